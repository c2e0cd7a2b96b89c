"""U-Net of partial convolutions (Liu et al. 2018, arXiv 1804.07723), for holes of any shape.

Values and mask go through every stage together. The encoder halves both at each level, with kernels
of 7, 5, 5 and then 3 pixels. The decoder up-samples both to the nearest pixel, joins them with the
encoder's of the same size, and last with the curtain itself (their Fig. 3 and Table 1). What a
curtain holds in its holes never enters. Where no known pixel is within reach, and so in a curtain
that is all hole, the map is 0: heads then give their bias, added to their base.

Holes are those of radar and all other channels alike. All rows are computed.
"""

from __future__ import annotations

from typing import Any

from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig, count_bottom_filters
from blindzone.models.network_weights import ENCODER
from blindzone.models.partial_convolution import hide_unknown
from blindzone.models.trunk import Trunk

FIRST_KERNELS = (7, 5, 5)
"""Kernels of the first levels; the others have 3."""
KERNEL = 3


def connect_partial_unet(curtain: Any, layers: TrainingLayers) -> Trunk:
    """Returns the trunk over a curtain `(batch, rows, profiles, channels)`."""
    config = layers.config
    encoders = [hide_unknown(curtain)]
    for level in range(1, config.depth + 1):
        x, name = encoders[-1], f"{ENCODER}{level}"
        if level > 1:
            x = x.with_values(layers.dropout(x.values, f"{name}_dropout"))
        kernel = (*FIRST_KERNELS, *(KERNEL,) * level)[level - 1]
        encoders.append(layers.partial_block([x], count_filters(config, level), name, kernel, 2))
    stages = {config.depth: encoders[-1]}
    for level in reversed(range(config.depth)):
        name, skip = f"decoder{level}", encoders[level]
        if level < 2:  # no dropout precedes it
            skip = skip.with_values(layers.for_each_pass(skip.values))
        up = layers.up_sampled_partial(stages[level + 1], f"{name}_up")
        stages[level] = layers.partial_block([skip, up], count_filters(config, level), name, KERNEL)
    return Trunk(
        stages={level: stage.values for level, stage in stages.items()},
        bottom=encoders[-1].values,
    )


def count_filters(config: NetworkConfig, level: int) -> int:
    """Returns the channels of a level's maps; those of the finest are as many as of level 1."""
    return count_bottom_filters("partial_conv", config.filters, max(level, 1))


def partial_unet_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map that dropout is applied to, by layer, in their order."""
    return {
        f"{ENCODER}{level}_dropout": count_filters(config, level - 1)
        for level in range(2, config.depth + 1)
    } | {
        f"decoder{level}_up_dropout": count_filters(config, level + 1)
        for level in reversed(range(config.depth))
    }
