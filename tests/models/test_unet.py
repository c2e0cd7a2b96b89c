"""U-Net: the widths of its figure."""

from __future__ import annotations

import dataclasses

from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig


def test_each_stage_halves_the_channels_and_joins_the_encoder(tiny: NetworkConfig) -> None:
    network = build_network(dataclasses.replace(tiny, family="unet", filters=4))
    shapes = {
        name: tuple(network.get_layer(f"{name}_convolution").kernel.shape[2:])
        for level in (1, 0)
        for name in (f"decoder{level}_up", f"decoder{level}a", f"decoder{level}b")
    }
    assert shapes == {
        "decoder1_up": (16, 8),
        "decoder1a": (16, 8),
        "decoder1b": (8, 8),
        "decoder0_up": (8, 4),
        "decoder0a": (8, 4),
        "decoder0b": (4, 4),
    }
