"""Feature maps by a trained encoder: of which networks, of which pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models.checkpoint import Checkpoint
from blindzone.models.families import for_inference
from blindzone.models.feature_maps import make_feature_maps
from blindzone.models.network_config import NetworkConfig

RandomNetwork = Callable[..., Any]


def give_checkpoint(config: NetworkConfig, network: Any, *channels: str) -> Checkpoint:
    return Checkpoint(network=network, config=config, preprocessing={"channels": list(channels)})


def test_maps_are_those_of_the_encoder_over_a_curtain_without_holes(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, channels=3, dropout=0.1)
    network = for_inference(random_network(config), config)
    checkpoint = give_checkpoint(config, network, "reflectivity", "soft_mask", "height")
    pictures = np.random.default_rng(0).normal(size=(2, 16, 32, 1)).astype(np.float32)
    found = make_feature_maps(checkpoint, where="x")(pictures)
    heights = np.broadcast_to(((np.arange(16) + 0.5) / 16)[:, None, None], (2, 16, 32, 1))
    curtain = np.concatenate([pictures, np.zeros_like(pictures), heights], axis=-1)
    names = ["encoder1_pool", "encoder2_pool"]
    pools = keras.Model(network.input, [network.get_layer(name).output for name in names])
    for maps, expected in zip(found, pools(curtain), strict=True):
        np.testing.assert_allclose(maps, expected, atol=1e-6)
    narrow = make_feature_maps(checkpoint, where="x")(pictures[:, :, :8])
    assert [tuple(maps.shape) for maps in narrow] == [(2, 8, 4, 2), (2, 4, 2, 4)]


@pytest.mark.parametrize(
    ("changes", "channels", "message"),
    [
        ({}, ("reflectivity", "doppler_velocity"), "x: its encoder sees .*doppler_velocity; one"),
        ({"family": "partial_conv"}, ("reflectivity", "soft_mask"), "an encoder of convolutions"),
        (
            {"filters": 0, "base": "column"},
            ("reflectivity", "soft_mask"),
            "found family 'unet3plus' and filters 0",
        ),
    ],
)
def test_a_network_without_such_an_encoder_is_refused(
    tiny: NetworkConfig, changes: Any, channels: tuple[str, ...], message: str
) -> None:
    config = dataclasses.replace(tiny, **changes)
    with pytest.raises(ModelError, match=message):
        make_feature_maps(give_checkpoint(config, None, *channels), where="x")
