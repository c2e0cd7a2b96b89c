"""The heads: what they start from, observed pixels, and the gate of the scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.models.families import build_network
from blindzone.models.heads import LOG_SCALE_START
from blindzone.models.network_config import NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights

RandomNetwork = Callable[..., Any]
FULL: dict[str, Any] = {"deep_supervision": True, "classification_guided": True}


def draw_curtain(config: NetworkConfig, batch: int = 1) -> np.ndarray:
    shape = (batch, config.input_rows, config.input_profiles, config.channels)
    curtain = np.random.default_rng(11).normal(size=shape).astype(np.float32)
    curtain[..., 1:2] = 1  # soft mask: no predicted pixel was observed
    return curtain


def with_weights_of(source: keras.Model, config: NetworkConfig) -> keras.Model:
    network = build_network(config)
    copy_weights(source, network)
    return network


def test_zero_heads_repeat_the_row_of_the_curtain(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    network = random_network(tiny)
    for name in ("change", "log_scale", "occurrence"):
        head = network.get_layer(name)
        head.set_weights([np.zeros_like(weights) for weights in head.get_weights()])
    curtain = draw_curtain(tiny, batch=2)
    curtain[:, :4, :, 0] = np.linspace(
        0, 1, 32
    )  # the lowest visible row, repeated down to the ground
    curtain[:, :4, 5, 0] = -1  # clear sky starts at 0
    prediction = network(curtain)
    expected = np.linspace(0, 1, 32)
    expected[5] = 0
    np.testing.assert_allclose(
        prediction["intensity"][..., 0], np.broadcast_to(expected, (2, 3, 32)), atol=1e-6
    )
    np.testing.assert_array_equal(prediction["intensity"][..., 1], np.zeros((2, 3, 32)))


def test_an_untrained_network_expects_the_starting_scale(tiny: NetworkConfig) -> None:
    network = build_network(tiny)
    kernel, bias = network.get_layer("log_scale").get_weights()
    np.testing.assert_array_equal(bias, [LOG_SCALE_START])
    # With a kernel of zeros, only the start is left.
    network.get_layer("log_scale").set_weights([np.zeros_like(kernel), bias])
    np.testing.assert_array_equal(
        network(draw_curtain(tiny))["intensity"][..., 1], np.full((1, 3, 32), LOG_SCALE_START)
    )


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_observed_pixels_pass_untouched(
    tiny: NetworkConfig, head: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head=head)
    network = random_network(config)
    hidden = draw_curtain(config)
    curtain = hidden.copy()
    # The blind zone ends below row 1 in profile 4, and below row 2 in profile 5: what lies above
    # was seen.
    curtain[0, 1:, 4, 1] = 0.5
    curtain[0, 2:, 5, 1] = 0.0
    curtain[0, 1:3, 4, 0] = (0.123, -1.0)  # echo, clear
    curtain[0, 2, 5, 0] = -0.5  # the weakest echo there is
    prediction = {name: np.asarray(values)[0] for name, values in network(curtain).items()}
    is_observed = curtain[0, :3, :, 1] < 1
    assert is_observed.sum() == 3
    first = next(iter(main_heads(config)[::-1]))
    np.testing.assert_array_equal(
        prediction[first][is_observed][:, 0], curtain[0, :3][is_observed][:, 0]
    )
    if head == "two_part":
        # Rows of the mask: (1, 4) echo, (2, 4) clear, (2, 5) echo. Certain, but with finite
        # logarithms.
        np.testing.assert_array_equal(
            np.sign(prediction["occurrence"][is_observed][:, 0]), [1, -1, 1]
        )
        np.testing.assert_array_equal(
            1 / (1 + np.exp(-prediction["occurrence"][1, 4])), np.float32(1)
        )
        np.testing.assert_array_equal(prediction["intensity"][is_observed][:, 1], -5.0)
    assert np.isfinite(prediction[first]).all()


def test_an_observed_pixel_has_no_gradient(tiny: NetworkConfig) -> None:
    network = build_network(tiny)
    curtain = draw_curtain(tiny)
    curtain[..., 1] = 0  # all is seen
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(head) for head in network(curtain).values())
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is None or not np.any(gradient) for gradient in gradients)


def sigmoid(x: Any) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, dtype=np.float64))))


def set_scene(network: keras.Model, logit: float) -> None:
    layer = network.get_layer("scene_convolution")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.full_like(bias, logit)])


@pytest.mark.parametrize("logit", [-60.0, -2.0, 0.5, 60.0])
def test_the_scene_gates_every_occurrence_as_a_probability(
    tiny: NetworkConfig, logit: float, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **FULL)
    network = random_network(config)
    plain = with_weights_of(network, config)
    set_scene(plain, 1e4)  # certain: nothing is gated
    set_scene(network, logit)
    curtain = draw_curtain(config)
    free, gated = plain(curtain), network(curtain)
    np.testing.assert_array_equal(gated["scene"], [[logit]])
    for name in ("occurrence", "occurrence_1", "occurrence_2"):
        np.testing.assert_allclose(
            sigmoid(gated[name]), sigmoid(logit) * sigmoid(free[name]), rtol=1e-4, atol=1e-30
        )
        assert (np.asarray(gated[name]) <= np.asarray(free[name])).all()
    # Given echo, the scene holds echo: what it is then like does not depend on how likely that is.
    for name in ("intensity", "intensity_1", "intensity_2"):
        np.testing.assert_array_equal(gated[name], free[name])


def test_the_scene_draws_the_single_value_towards_clear(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head="single", **FULL)
    network = random_network(config)
    curtain = draw_curtain(config)
    predictions = []
    for logit in (1e4, 0.0, -1e4):
        set_scene(network, logit)
        predictions.append(network(curtain))
    for name in ("value", "value_1", "value_2"):
        free, half, none = (np.asarray(prediction[name]) for prediction in predictions)
        np.testing.assert_allclose(half, (free - 1) / 2, atol=1e-6)  # halfway to -1
        np.testing.assert_array_equal(none, np.full_like(free, -1))


@pytest.mark.parametrize("logit", [1e4, 3.0, -3.0, -1e4])
def test_the_gate_has_a_slope_towards_the_scene(
    tiny: NetworkConfig, logit: float, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **FULL)
    network = random_network(config)
    set_scene(network, logit)
    bias = network.get_layer("scene_convolution").bias
    with tf.GradientTape() as tape:
        total = tf.reduce_mean(network(draw_curtain(config))["occurrence"])
    slope = float(tape.gradient(total, bias.value)[0])
    assert np.isfinite(slope)
    # d/ds of the logit of s(a) s(s): 1 for a scene that is surely clear, 0 for one that surely
    # holds echo.
    assert {1e4: slope < 1e-6, -1e4: slope == pytest.approx(1)}.get(logit, 0 < slope < 1)


def test_without_a_base_zero_heads_are_zero(tiny: NetworkConfig) -> None:
    for head, last in (("two_part", "intensity"), ("single", "value")):
        network = build_network(dataclasses.replace(tiny, head=head, base="none"))
        layer = network.get_layer("change")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
        np.testing.assert_array_equal(
            network(draw_curtain(tiny))[last][..., 0], np.zeros((1, 3, 32))
        )


def test_the_single_value_starts_from_the_input_clear_sky_too(tiny: NetworkConfig) -> None:
    network = build_network(dataclasses.replace(tiny, head="single"))
    layer = network.get_layer("change")
    layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    curtain = draw_curtain(tiny)
    curtain[0, :3, 7, 0] = -1
    np.testing.assert_array_equal(network(curtain)["value"], curtain[:, :3, :, :1])


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_a_restored_picture_is_what_is_expected_before_observed_pixels_are_repeated(
    tiny: NetworkConfig, random_network: RandomNetwork, head: Any
) -> None:
    config = dataclasses.replace(tiny, head=head, restored=True)
    network = random_network(config)
    curtain = draw_curtain(config)
    curtain[0, 1, 4, 1] = 0.5  # one pixel was observed
    found = network(curtain)
    value, observed = np.moveaxis(np.asarray(found["restored"])[0], -1, 0)
    assert observed.sum() == observed[1, 4] == 1
    if head == "single":
        expected = np.asarray(found["value"])[0, ..., 0]
    else:
        echo = 1 / (1 + np.exp(-np.asarray(found["occurrence"])[0, ..., 0]))
        expected = echo * np.asarray(found["intensity"])[0, ..., 0] - (1 - echo)
    np.testing.assert_allclose(value[observed == 0], expected[observed == 0], atol=1e-5)
    assert abs(value[1, 4] - curtain[0, 1, 4, 0]) > 0.01


def test_an_untrained_network_may_start_from_the_echo_of_its_guess(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, occurrence_start=3.0)
    network = build_network(config)
    layer = network.get_layer("occurrence")
    layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    shape = (1, config.input_rows, config.input_profiles, config.channels)
    curtain = np.full(shape, -1.0, dtype=np.float32)
    curtain[..., 1] = 1.0  # all hidden
    curtain[:, :, ::2, 0] = 0.3
    logit = np.asarray(network(curtain)["occurrence"])[..., 0]
    assert np.unique(logit[:, :, ::2]).tolist() == [3.0]
    assert np.unique(logit[:, :, 1::2]).tolist() == [-3.0]
