"""The U-Net of partial convolutions: what its holes hold, and where it ends without neighbours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig

RandomNetwork = Callable[..., Any]


@pytest.fixture(scope="module")
def config(tiny: NetworkConfig) -> NetworkConfig:
    return dataclasses.replace(
        tiny, family="partial_conv", base="none", output_rows=16, joint_forecast=True
    )


@pytest.fixture(scope="module")
def network(config: NetworkConfig, random_network: RandomNetwork) -> keras.Model:
    return random_network(config)


def draw_curtain(hidden: np.ndarray) -> np.ndarray:
    curtain = np.random.default_rng(4).normal(0.3, 0.5, (1, 16, 32, 2)).astype(np.float32)
    curtain[0, ..., 1] = hidden
    return curtain


def test_what_a_hole_holds_never_reaches_the_prediction(network: keras.Model) -> None:
    hidden = np.random.default_rng(5).random((16, 32)) < 0.6
    curtain = draw_curtain(hidden)
    junk = curtain.copy()
    junk[0, hidden, 0] = np.nan
    expected, found = network(curtain), network(junk)
    for name in ("occurrence", "intensity"):
        np.testing.assert_array_equal(found[name], expected[name])
        assert np.isfinite(found[name]).all()


def test_a_curtain_that_is_all_hole_gives_the_bias_of_the_heads(network: keras.Model) -> None:
    found = network(draw_curtain(np.ones((16, 32), bool)))["forecast"]
    bias = [network.get_layer(name).get_weights()[1][0] for name in ("occurrence", "change")]
    bias.append(network.get_layer("log_scale").get_weights()[1][0])
    np.testing.assert_allclose(found, np.broadcast_to(bias, (1, 16, 32, 3)), atol=1e-6)


def test_kernels_and_widths_are_the_published_ones(tiny: NetworkConfig) -> None:
    network = build_network(
        dataclasses.replace(
            tiny, family="partial_conv", filters=16, depth=5, input_rows=64, input_profiles=32
        )
    )
    shapes = [
        tuple(network.get_layer(f"encoder{level}_convolution").kernel.shape)
        for level in range(1, 6)
    ]
    assert [shape[0] for shape in shapes] == [7, 5, 5, 3, 3]
    # Eight times as wide at most: theirs are 64, 128, 256, 512, 512, ...
    assert [shape[-1] for shape in shapes] == [16, 32, 64, 128, 128]
    # Last the curtain joins the up-sampled map: 2 channels and 16.
    assert network.get_layer("decoder0_convolution").kernel.shape == (3, 3, 18, 16)


def test_statistics_of_a_stage_are_those_of_known_pixels(config: NetworkConfig) -> None:
    # So the loss does not jump when they are frozen: what a frozen network gives is what it was
    # trained with.
    network = build_network(config)
    normalizations = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in normalizations:
        layer.momentum = 0.0  # the moving statistics are those of the last batch
    hidden = np.zeros((16, 32), bool)
    hidden[:, 8:] = True
    curtain = np.concatenate([draw_curtain(hidden)] * 2)
    training = network(curtain, training=True)["occurrence"]
    frozen = network(curtain, training=False)["occurrence"]
    np.testing.assert_allclose(frozen, training, atol=1e-4)

    first = network.get_layer("encoder1_convolution")
    known = keras.ops.cast(curtain[..., 1:] < 1, "float32")
    values, found = first(curtain, known)
    values = np.asarray(values)[np.asarray(found)[..., 0] > 0]
    mean = network.get_layer("encoder1_normalization").moving_mean
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-5)
