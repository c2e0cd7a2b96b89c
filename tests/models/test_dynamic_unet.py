"""DynamicUnet: a decoder that follows from the encoder's shapes."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from blindzone.models.dynamic_unet import connect_stage, find_skips
from blindzone.models.families import build_network
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import StageRows


def test_there_is_a_skip_at_each_change_of_size() -> None:
    sizes = [(16, 32), (16, 32), (8, 16), (4, 8), (4, 8)]
    assert find_skips([keras.Input((*size, 2)) for size in sizes]) == [1, 2]


def test_a_stage_is_as_wide_as_what_it_joins_and_starts_without_a_chequerboard(
    tiny: NetworkConfig,
) -> None:
    rows = StageRows(leaving=6, between=7, joined=8, up_sampled=8, coarse=4)
    skip, coarser = keras.Input((8, 16, 5)), keras.Input((4, 8, 7))
    stage = connect_stage(0, skip, coarser, rows, TrainingLayers(config=tiny))
    assert stage.shape == (None, 6, 16, 5)
    network = keras.Model([skip, coarser], stage)
    shuffled = network.get_layer("decoder0_up_activation")
    found = keras.Model(network.inputs, shuffled.output)(
        [np.ones((1, 8, 16, 5)), np.random.default_rng(1).normal(size=(1, 4, 8, 7))]
    )
    sub_pixels = np.asarray(found).reshape(1, 4, 8, 4, 5)
    np.testing.assert_allclose(sub_pixels, sub_pixels[..., :1, :].repeat(4, axis=3), atol=1e-6)


@pytest.mark.parametrize("normalization", ["batch", "none"])
def test_skips_are_normalised_and_the_curtain_joins_last(
    tiny: NetworkConfig, normalization: str
) -> None:
    config = dataclasses.replace(tiny, family="dynamic_unet", normalization=normalization)
    network = build_network(config)
    names = {layer.name for layer in network.layers}
    skips = {f"decoder{level}_skip_normalization" for level in range(2)}
    assert (skips <= names) == (normalization == "batch")
    # Two channels of the curtain, and the two filters of the finest stage.
    assert network.get_layer("decoder_lasta_convolution").kernel.shape == (3, 3, 4, 2)
