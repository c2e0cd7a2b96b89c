"""Sets of layers: the same numbers of the same weights, with dropout where it is configured."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.layers import PlainLayers, TrainingLayers, join_maps
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import copy_weights


@pytest.mark.parametrize("changes", [{}, {"normalization": "none", "interpolation": "nearest"}])
def test_both_sets_give_the_same_decoder_branch(tiny: NetworkConfig, changes: Any) -> None:
    config = dataclasses.replace(tiny, **changes)
    networks = []
    for kind in (TrainingLayers, PlainLayers):
        coarse = keras.Input((4, 8, 3))
        branch = kind(config=config).up_sampled_block(coarse, 2, 6, 5, "branch")
        networks.append(keras.Model(coarse, branch))
    copy_weights(*networks)
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 3)).astype(np.float32)
    fast, plain = (np.asarray(network(x)) for network in networks)
    assert fast.shape == (2, 5, 16, 2)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    kinds = [type(network.get_layer("branch_convolution")).__name__ for network in networks]
    assert kinds == ["UpSampledConvolution", "Conv2D"]


def test_dropout_of_single_pixels_forbids_to_mix_channels_first(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2, dropout_kind="element")
    coarse = keras.Input((4, 8, 3))
    branch = TrainingLayers(config=config).up_sampled_block(coarse, 2, 6, 5, "branch")
    names = [layer.name for layer in keras.Model(coarse, branch).layers]
    assert names.index("branch_up") < names.index("branch_dropout")


def test_maps_are_joined_as_channels_and_a_single_one_stays() -> None:
    one, other = keras.Input((4, 8, 3)), keras.Input((4, 8, 2))
    assert join_maps([one], "x") is one
    assert join_maps([one, other], "x").shape == (None, 4, 8, 5)


def test_training_needs_no_copy_for_each_pass(tiny: NetworkConfig) -> None:
    curtain = keras.Input((4, 8, 3))
    layers = TrainingLayers(config=tiny)
    assert layers.for_each_pass(curtain) is curtain
    assert layers.dropout(curtain, "x") is curtain  # the configuration has none
