"""The losses: values by hand, gradients by finite differences, and nothing from pixels outside the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from blindzone.models.losses import LOG_SCALE_LIMITS, masked_absolute_error, masked_cross_entropy, masked_laplace

Loss = Callable[[Any, Any], Any]
LOSSES = [masked_absolute_error, masked_laplace, masked_cross_entropy]


def tensor(*pixels: tuple[float, ...]) -> Any:
    """One row of pixels, `(1, 1, pixel, channel)`, float64."""
    return tf.constant(np.array(pixels, dtype=np.float64)[None, None])


def gradient(loss: Loss, target: Any, prediction: Any) -> np.ndarray:
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(target, prediction)
    return np.asarray(tape.gradient(value, prediction))


def draw_pixels(seed: int = 0) -> tuple[Any, Any]:
    """Two maps of 3 x 4 pixels, a third of them outside the mask."""
    random = np.random.default_rng(seed)
    target = np.stack([random.integers(0, 2, (2, 3, 4)), random.random((2, 3, 4)) < 2 / 3], axis=-1)
    return tf.constant(target, tf.float64), tf.constant(random.normal(0, 1, (2, 3, 4, 2)), tf.float64)


def test_absolute_error_is_the_mean_over_masked_pixels() -> None:
    # |0.5 - 0.2| and |-1 - 0| count, 9 does not: 1.3 / 2
    target, prediction = tensor((0.5, 1), (-1, 1), (9, 0)), tensor((0.2,), (0,), (0,))
    assert float(masked_absolute_error(target, prediction)) == pytest.approx(0.65)


def test_laplace_is_the_negative_log_density() -> None:
    # Densities exp(-|y - m| / b) / (2 b), divided by all three pixels:
    # y = 0.5, m = 0.2, b = e^-1: 0.3 e - 1 + ln 2; y = -1, m = 0, b = 1: 1 + ln 2
    target, prediction = tensor((0.5, 1), (-1, 1), (9, 0)), tensor((0.2, -1), (0, 0), (0, 0))
    expected = -(np.log(np.exp(-0.3 * np.e) * np.e / 2) + np.log(np.exp(-1) / 2)) / 3
    assert expected == pytest.approx((0.3 * np.e + 2 * np.log(2)) / 3)
    assert float(masked_laplace(target, prediction)) == pytest.approx(expected)


def test_cross_entropy_is_minus_log_of_the_probability_given_to_the_truth() -> None:
    # p = 0.8 for an echo, 0.3 for none: -ln 0.8 - ln 0.7, over three pixels
    logits = np.log([0.8 / 0.2, 0.3 / 0.7, 0.5 / 0.5])
    target, prediction = tensor((1, 1), (0, 1), (1, 0)), tensor(*((logit,) for logit in logits))
    expected = -(np.log(0.8) + np.log(0.7)) / 3
    assert float(masked_cross_entropy(target, prediction)) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_pixel_outside_the_mask_has_no_gradient(loss: Loss) -> None:
    target, prediction = draw_pixels()
    found = gradient(loss, target, prediction)
    outside = target[..., 1].numpy() == 0
    assert outside.any()
    np.testing.assert_array_equal(found[outside], 0)
    assert (found[~outside][:, 0] != 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_pixel_outside_the_mask_has_no_say(loss: Loss) -> None:
    target, prediction = draw_pixels()
    outside = target[..., 1:] == 0
    other_truth = tf.concat([tf.where(outside, 100.0 + target[..., :1], target[..., :1]), target[..., 1:]], axis=-1)
    other_prediction = tf.where(outside, prediction - 50, prediction)
    assert float(loss(other_truth, other_prediction)) == float(loss(target, prediction))


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_mask_gives_zero(loss: Loss) -> None:
    target, prediction = draw_pixels()
    target = tf.stack([target[..., 0], tf.zeros_like(target[..., 1])], axis=-1)
    assert float(loss(target, prediction)) == 0.0
    np.testing.assert_array_equal(gradient(loss, target, prediction), 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_that_of_finite_differences(loss: Loss) -> None:
    target, prediction = draw_pixels(seed=1)
    step, values = 1e-6, prediction.numpy()
    expected = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[index] += sign * step
            ends.append(float(loss(target, tf.constant(moved))))
        expected[index] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(gradient(loss, target, prediction), expected, atol=1e-8)


def test_laplace_is_lowest_at_the_median() -> None:
    # Of 0, 0.1, 0.4, 2, 3 the median is 0.4 and the mean 1.1.
    truths = [0.0, 0.1, 0.4, 2.0, 3.0]
    target = tensor(*((truth, 1) for truth in truths))

    def slope(location: float) -> float:
        return float(gradient(masked_laplace, target, tensor(*[(location, 0.0)] * 5))[..., 0].sum())

    assert slope(0.4) == pytest.approx(0, abs=1e-12)
    # One step of rank away, three pixels pull one way and two the other: -/+ 1/5 at b = 1.
    assert slope(0.3) == pytest.approx(-1 / 5)
    assert slope(1.1) == pytest.approx(1 / 5)


def test_laplace_is_lowest_where_the_scale_is_the_mean_absolute_error() -> None:
    # Absolute errors about 0: 0.1, 0.4, 1.0, mean 0.5
    target = tensor((0.1, 1), (-0.4, 1), (1.0, 1))

    def slope(scale: float) -> float:
        return float(gradient(masked_laplace, target, tensor(*[(0.0, np.log(scale))] * 3))[..., 1].sum())

    assert slope(0.5) == pytest.approx(0, abs=1e-12)
    assert slope(0.25) == pytest.approx(1 - 0.5 / 0.25)
    assert slope(1.0) == pytest.approx(1 - 0.5 / 1.0)


@pytest.mark.parametrize("limit", LOG_SCALE_LIMITS)
def test_the_log_scale_stops_at_its_limits(limit: float) -> None:
    beyond = limit + np.sign(limit) * 100
    target = tensor((0.5, 1))
    at_limit = float(masked_laplace(target, tensor((0.0, limit))))
    assert float(masked_laplace(target, tensor((0.0, beyond)))) == pytest.approx(at_limit)
    assert at_limit == pytest.approx(0.5 / np.exp(limit) + limit + np.log(2))


def test_limits_of_the_log_scale_in_decibels() -> None:
    # 60 dB are one unit: e^-5 x 60 = 0.40 dB, e x 60 = 163 dB
    np.testing.assert_allclose(60 * np.exp(LOG_SCALE_LIMITS), [0.404, 163.1], rtol=1e-3)


@pytest.mark.parametrize("logit", [1e4, -1e4, 3e38, -3e38])
def test_cross_entropy_is_finite_for_large_logits(logit: float) -> None:
    # Right and sure: 0. Wrong and sure: |logit|, with a slope of one a pixel towards the truth. Both in float32.
    right, wrong = (1.0, 0.0) if logit > 0 else (0.0, 1.0)
    prediction = tf.cast(tensor((logit,)), tf.float32)
    for truth, expected, slope in ((right, 0.0, 0.0), (wrong, abs(logit), np.sign(logit))):
        target = tf.cast(tensor((truth, 1)), tf.float32)
        assert float(masked_cross_entropy(target, prediction)) == pytest.approx(expected)
        assert gradient(masked_cross_entropy, target, prediction).item() == pytest.approx(slope)


def test_both_likelihoods_are_means_over_all_pixels() -> None:
    # A batch with little echo must not shout: the same masked pixel in a map twice as large counts half.
    for loss, pixel, answer in ((masked_laplace, (0.5, 1), (0.2, 0)), (masked_cross_entropy, (1, 1), (0.3,))):
        blank = tuple(0.0 for _ in answer)
        alone = float(loss(tensor(pixel), tensor(answer)))
        among = float(loss(tensor(pixel, (0, 0)), tensor(answer, blank)))
        assert among == pytest.approx(alone / 2)
