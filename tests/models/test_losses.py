"""Losses: values by hand, gradients by finite differences, nothing outside the mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from blindzone.core.errors import ModelError
from blindzone.core.network_units import LOG_SCALE_LIMITS
from blindzone.models.losses import (
    FairScore,
    ForecastScore,
    LossConfig,
    build_losses,
    forecast_quantile,
    masked_absolute_error,
    masked_cross_entropy,
    masked_dissimilarity,
    masked_focal,
    masked_hybrid,
    masked_laplace,
    masked_overlap_loss,
    route_targets,
)
from blindzone.models.network_config import NetworkConfig

Loss = Callable[[Any, Any], Any]
OF_OCCURRENCE = [
    masked_cross_entropy,
    masked_focal,
    masked_overlap_loss,
    masked_dissimilarity,
    masked_hybrid,
]
LOSSES = [masked_absolute_error, masked_laplace, ForecastScore(0.1), *OF_OCCURRENCE]


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
    return tf.constant(target, tf.float64), tf.constant(
        random.normal(0, 1, (2, 3, 4, 3)), tf.float64
    )


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
    other_truth = tf.concat(
        [tf.where(outside, 100.0 + target[..., :1], target[..., :1]), target[..., 1:]], axis=-1
    )
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
    expected = differences(loss, target, prediction.numpy())
    np.testing.assert_allclose(gradient(loss, target, prediction), expected, atol=1e-7)


def differences(loss: Loss, target: Any, values: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient of a loss by central differences."""
    found = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[index] += sign * step
            ends.append(float(loss(target, tf.constant(moved))))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found


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
        return float(
            gradient(masked_laplace, target, tensor(*[(0.0, np.log(scale))] * 3))[..., 1].sum()
        )

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
    # Right and sure: 0. Wrong and sure: |logit|, with a slope of one a pixel towards the truth.
    # Both in float32.
    right, wrong = (1.0, 0.0) if logit > 0 else (0.0, 1.0)
    prediction = tf.cast(tensor((logit,)), tf.float32)
    for truth, expected, slope in ((right, 0.0, 0.0), (wrong, abs(logit), np.sign(logit))):
        target = tf.cast(tensor((truth, 1)), tf.float32)
        assert float(masked_cross_entropy(target, prediction)) == pytest.approx(expected)
        assert gradient(masked_cross_entropy, target, prediction).item() == pytest.approx(slope)


def test_both_likelihoods_are_means_over_all_pixels() -> None:
    # A batch with little echo must not shout: the same masked pixel in a map twice as large counts
    # half.
    for loss, pixel, prediction in (
        (masked_laplace, (0.5, 1), (0.2, 0)),
        (masked_cross_entropy, (1, 1), (0.3,)),
    ):
        blank = tuple(0.0 for _ in prediction)
        alone = float(loss(tensor(pixel), tensor(prediction)))
        among = float(loss(tensor(pixel, (0, 0)), tensor(prediction, blank)))
        assert among == pytest.approx(alone / 2)


def test_focal_loss_by_hand() -> None:
    # Probability 0.8 given to an echo and 0.7 to clear sky: -(0.2^2 ln 0.8 + 0.3^2 ln 0.7) / 2; the
    # third is masked.
    logits = np.log([0.8 / 0.2, 0.3 / 0.7, 0.5 / 0.5])
    target, prediction = tensor((1, 1), (0, 1), (1, 0)), tensor(*((logit,) for logit in logits))
    expected = -(0.04 * np.log(0.8) + 0.09 * np.log(0.7)) / 2
    assert float(masked_focal(target, prediction)) == pytest.approx(expected)


def test_overlap_loss_by_hand() -> None:
    # Both: 0.8. Either: 1 for the echo, 0.3 for the clear pixel. One more pixel in each: 1 - 1.8 /
    # 2.3.
    logits = np.log([0.8 / 0.2, 0.3 / 0.7, 0.5 / 0.5])
    target, prediction = tensor((1, 1), (0, 1), (1, 0)), tensor(*((logit,) for logit in logits))
    assert float(masked_overlap_loss(target, prediction)) == pytest.approx(1 - 1.8 / 2.3)


def test_dissimilarity_is_that_of_the_whole_map_where_the_window_is_flat() -> None:
    # One profile of one row: mean is the value, variances and covariance are 0: 1 - (2 x y + C1) /
    # (x^2 + y^2 + C1).
    target, prediction = tensor((1, 1)), tensor((np.log(0.8 / 0.2),))
    expected = 1 - (2 * 0.8 + 1e-4) / (1 + 0.64 + 1e-4)
    assert float(masked_dissimilarity(target, prediction)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss", [masked_focal, masked_overlap_loss, masked_dissimilarity, masked_hybrid]
)
def test_an_occurrence_that_is_right_costs_nothing_and_a_wrong_one_most(loss: Loss) -> None:
    echo = np.random.default_rng(2).integers(0, 2, (1, 16, 32, 1)).astype(float)
    target = tf.constant(np.concatenate([echo, np.ones_like(echo)], axis=-1))
    right, unsure, wrong = (
        float(loss(target, tf.constant(factor * (2 * echo - 1)))) for factor in (40, 0, -40)
    )
    assert right == pytest.approx(0, abs=1e-6)
    assert right < unsure < wrong


def test_hybrid_is_the_sum_of_its_parts() -> None:
    target, prediction = draw_pixels()
    parts = sum(
        float(part(target, prediction))
        for part in (masked_focal, masked_overlap_loss, masked_dissimilarity)
    )
    assert float(masked_hybrid(target, prediction)) == pytest.approx(parts)


def forecast_distribution(
    x: np.ndarray, p: float, location: float, scale: float, floor: float
) -> np.ndarray:
    """Distribution function of max(value, floor): 1 - p at the floor, Laplace above it."""
    t = (x - location) / scale
    laplace = np.where(t < 0, 0.5 * np.exp(np.minimum(t, 0)), 1 - 0.5 * np.exp(-np.maximum(t, 0)))
    return np.where(x < floor, 0.0, 1 - p * (1 - laplace))


CASES = [
    # p, location, log scale, truth; the floor is at 0.1
    (0.8, 0.4, -2.0, 0.5),
    (0.8, 0.4, -2.0, -1.0),  # clear: on the floor
    (0.3, -0.2, -1.0, 0.3),  # most of the Laplace distribution below the floor
    (0.05, 0.6, -3.0, 0.1),
    (0.999, 0.7, -5.0, 0.2),
]


@pytest.mark.parametrize(("p", "location", "log_scale", "truth"), CASES)
def test_forecast_score_is_the_integral_of_the_squared_difference(
    p: float, location: float, log_scale: float, truth: float
) -> None:
    floor = 0.1
    x = np.linspace(floor, 8, 2_000_001)
    x = 0.5 * (x[1:] + x[:-1])
    distance = (
        forecast_distribution(x, p, location, np.exp(log_scale), floor) - (x >= max(truth, floor))
    ) ** 2
    expected = distance.sum() * (8 - floor) / x.size
    found = ForecastScore(floor)(
        tensor((truth, 1)), tensor((np.log(p / (1 - p)), location, log_scale))
    )
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_forecast_score_of_a_sure_forecast_is_its_absolute_error() -> None:
    # p = 1 and almost no spread at 0.7, truth 0.4; and p = 0, truth 0.4 above a floor of 0.1.
    score = ForecastScore(0.1)
    # The smallest scale is e^-5: of a Laplace distribution, the score of an error e >> b is e - 3 b
    # / 4.
    assert float(score(tensor((0.4, 1)), tensor((50.0, 0.7, -9.0)))) == pytest.approx(
        0.3 - 0.75 * np.exp(-5)
    )
    assert float(score(tensor((0.4, 1)), tensor((-50.0, 0.7, -9.0)))) == pytest.approx(0.3)
    assert float(score(tensor((-1, 1)), tensor((-50.0, 0.7, -9.0)))) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "values", [(1e3, 5.0, 9.0), (-1e3, -5.0, -9.0), (1e3, -50.0, -9.0), (-1e3, 50.0, -9.0)]
)
@pytest.mark.parametrize("truth", [-1.0, 0.5])
def test_forecast_score_is_finite_far_from_the_truth(
    values: tuple[float, ...], truth: float
) -> None:
    target, prediction = (tf.cast(tensor(pixel), tf.float32) for pixel in ((truth, 1), values))
    score = ForecastScore(0.0)
    assert np.isfinite(float(score(target, prediction)))
    assert np.isfinite(gradient(score, target, prediction)).all()


@pytest.mark.parametrize(("p", "location", "log_scale", "truth"), CASES)
def test_a_quantile_is_where_the_distribution_reaches_its_level(
    p: float, location: float, log_scale: float, truth: float
) -> None:
    levels = np.linspace(0.01, 0.99, 99)
    prediction = tensor(*[(np.log(p / (1 - p)), location, log_scale)] * 99)
    found = forecast_quantile(prediction, tf.constant(levels[None, None]), 0.1).numpy()[0, 0]
    reached = forecast_distribution(found, p, location, np.exp(log_scale), 0.1)
    above = found > 0.1
    np.testing.assert_allclose(reached[above], levels[above], atol=1e-9)
    assert (reached[~above] >= levels[~above] - 1e-9).all()


def copies(values: list[float]) -> Any:
    """Realizations of one pixel of one window, `(K, 1, 1, 1)`."""
    return tf.constant(np.array(values)[:, None, None, None])


def test_fair_score_by_hand() -> None:
    # Realizations 0.2, 0.5 and -1 (0 after the floor), truth 0.4: errors 0.2, 0.1, 0.4, mean 0.7 /
    # 3. Differences of the three pairs: 0.3, 0.2, 0.5; their sum, counted both ways, over 2 x 3 x
    # 2: 2 / 12.
    target = tf.constant(np.tile([0.4, 1.0], (3, 1, 1, 1)))
    found = FairScore(3, 0.0)(target, copies([0.2, 0.5, -1.0]))
    assert float(found) == pytest.approx(0.7 / 3 - 2 / 12)


def test_the_expected_fair_score_does_not_depend_on_how_many_realizations_there_are() -> None:
    # For draws of the forecast, its own score is the mean: the closed form, with draws at random
    # levels.
    pixels, p, location, log_scale, truth = 40_000, 0.7, 0.3, -1.5, 0.4
    one = np.array([np.log(p / (1 - p)), location, log_scale])
    expected = float(ForecastScore(0.0)(tensor((truth, 1)), tensor(tuple(one))))
    for count in (2, 5):
        prediction = tf.constant(np.tile(one, (count, 1, pixels, 1)))
        target = tf.constant(np.tile([truth, 1.0], (count, 1, pixels, 1)))
        # One score's standard deviation is about the scale, 0.22: 40 000 of them are known to
        # 0.0011.
        assert float(FairScore(count, 0.0)(target, prediction)) == pytest.approx(
            expected, abs=0.005
        )


def test_fair_score_leaves_masked_pixels_out() -> None:
    target = tf.constant(np.array([[0.4, 1.0], [9.0, 0.0]])[None, None].repeat(2, axis=0))
    prediction = tf.constant(np.random.default_rng(0).normal(size=(2, 1, 2, 1)))
    found = gradient(FairScore(2, 0.0), target, prediction)
    np.testing.assert_array_equal(found[:, :, 1], 0)
    first = FairScore(2, 0.0)(target[:, :, :1], prediction[:, :, :1])
    assert float(FairScore(2, 0.0)(target, prediction)) == pytest.approx(float(first))


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_of_the_fair_score_is_that_of_finite_differences(channels: int) -> None:
    random = np.random.default_rng(4)
    values = random.normal(0.5, 0.5, (4, 2, 3, channels))  # two windows, two realizations each
    target = np.stack(
        [random.normal(0.4, 0.3, (2, 2, 3)), random.integers(0, 2, (2, 2, 3))], axis=-1
    )
    target = tf.constant(target.repeat(2, axis=0))

    def score(_: Any, prediction: Any) -> Any:
        return FairScore(2, 0.0)(target, prediction)  # a new one draws the same levels

    np.testing.assert_allclose(
        gradient(score, target, tf.constant(values)), differences(score, target, values), atol=1e-7
    )


TINY = NetworkConfig(input_rows=16, input_profiles=16, output_rows=3, depth=2, filters=2)


def network_config(**changes: Any) -> NetworkConfig:
    return dataclasses.replace(TINY, **changes)


def test_every_output_has_a_loss_and_a_weight() -> None:
    config = LossConfig(
        intensity_weight=2.0, scene_weight=0.3, forecast_weight=4.0, deep_weight=0.5
    )
    shape = network_config(deep_supervision=True, classification_guided=True, joint_forecast=True)
    losses, weights = build_losses(config, shape)
    assert weights == {
        "occurrence": 1.0,
        "intensity": 2.0,
        "forecast": 4.0,
        "scene": 0.3,
        "occurrence_1": 0.5,
        "intensity_1": 1.0,
        "occurrence_2": 0.25,
        "intensity_2": 0.5,
    }
    assert losses.keys() == weights.keys()
    for name, loss in losses.items():
        expected = {
            "occurrence": masked_cross_entropy,
            "intensity": masked_laplace,
            "scene": masked_cross_entropy,
        }
        kind = name.partition("_")[0]
        assert isinstance(loss, ForecastScore) if kind == "forecast" else loss is expected[kind]


def test_the_published_recipe_is_the_masked_absolute_error_of_every_head() -> None:
    losses, weights = build_losses(
        LossConfig(deep_weight=1.0), network_config(head="single", deep_supervision=True)
    )
    assert losses == dict.fromkeys(("value", "value_1", "value_2"), masked_absolute_error)
    assert weights == dict.fromkeys(losses, 1.0)


def test_other_losses_by_configuration() -> None:
    config = LossConfig(
        occurrence="hybrid", intensity="absolute_error", forecast="fair_crps", realizations=2
    )
    losses, _ = build_losses(config, network_config(joint_forecast=True))
    assert losses["occurrence"] is masked_hybrid
    assert losses["intensity"] is masked_absolute_error
    assert isinstance(losses["forecast"], FairScore)


def test_a_restored_picture_is_scored_where_the_network_gives_one() -> None:
    config = LossConfig(restored={"hole": 2.0}, restored_weight=0.5)  # type: ignore[arg-type]
    losses, weights = build_losses(config, NetworkConfig(restored=True))
    assert weights["restored"] == 0.5
    assert losses["restored"].weights.hole == 2  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="need a network with restored=True"):
        build_losses(config, NetworkConfig())


def test_a_fair_score_that_no_output_has_is_refused() -> None:
    config = LossConfig(forecast="fair_crps", realizations=2)
    with pytest.raises(
        ModelError, match=r"fair_crps of forecast needs .* its outputs are occurrence, intensity$"
    ):
        build_losses(config, network_config())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"occurrence": "dice"}, "occurrence: should be 'cross_entropy' or 'hybrid' .*'dice'.*"),
        ({"intensity": "l2"}, "intensity: should be 'laplace' or 'absolute_error' .*'l2'.*"),
        ({"scene_weight": -1.0}, "scene_weight: should be greater than or equal to 0 .*-1.0.*"),
        ({"deep_weight": float("nan")}, "deep_weight: should be a finite number .*nan.*"),
        ({"realizations": 0}, "realizations: should be greater than 0 .*found 0.*"),
        ({"value": "fair_crps"}, "fair_crps needs at least 2 realizations, found 1"),
        ({"floor_unit": float("inf")}, "floor_unit: should be a finite number .*inf.*"),
    ],
)
def test_a_wrong_loss_configuration_says_what_is_wrong(changes: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^loss configuration: {message}$"):
        LossConfig(**changes)


def draw_targets(batch: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        name: random.random((*batch, 3, 16, 2)) for name in ("occurrence", "intensity", "value")
    }


def test_every_output_is_routed_to_its_target() -> None:
    targets = draw_targets()
    routed = route_targets(targets, ["occurrence_2", "intensity", "value_1", "forecast"])
    expected = {
        "occurrence_2": "occurrence",
        "intensity": "intensity",
        "value_1": "value",
        "forecast": "value",
    }
    assert list(routed) == list(expected)
    for output, target in expected.items():
        np.testing.assert_array_equal(routed[output], targets[target])


def test_a_scene_holds_echo_if_any_pixel_that_counts_does() -> None:
    occurrence = np.zeros((4, 3, 16, 2), np.float32)
    occurrence[0, 1, 5] = (1, 1)  # echo that counts
    occurrence[1, 1, 5] = (1, 0)  # echo that does not count, among clear pixels that do
    occurrence[1, 0, 0] = (0, 1)
    occurrence[2, 0, 0] = (0, 1)  # clear
    occurrence[3, 1, 5] = (1, 0)  # nothing counts
    expected = [[1, 1], [0, 1], [0, 1], [0, 0]]
    np.testing.assert_array_equal(
        route_targets({"occurrence": occurrence}, ["scene"])["scene"], expected
    )
    np.testing.assert_array_equal(
        route_targets({"occurrence": occurrence[0]}, ["scene"])["scene"], expected[0]
    )


def test_an_output_without_a_target_is_named() -> None:
    with pytest.raises(
        ModelError, match="the output value_1 needs the target 'value'; there are occurrence"
    ):
        route_targets({"occurrence": draw_targets()["occurrence"]}, ["value_1"])
