"""U-Net (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28).

The coarsest map comes back scale by scale. At each it is up-sampled and convolved to half as many
channels, joined with the encoder's map of the same size, and convolved twice (their Fig. 1).
Here maps keep their size in a convolution, and up-sampling interpolates: a transposed convolution
leaves a chequerboard (Odena et al. 2016, doi 10.23915/distill.00003).
"""

from __future__ import annotations

from typing import Any

from blindzone.models.blocks import keep_rows
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import StageRows, list_skip_rows, list_stage_rows
from blindzone.models.trunk import Trunk, connect_encoder, encoder_dropout


def connect_unet(curtain: Any, layers: TrainingLayers) -> Trunk:
    """Returns the trunk over a curtain `(batch, rows, profiles, channels)`."""
    config = layers.config
    rows = list_stage_rows(config, leaving=config.output_rows, convolves_up=True)
    encoders = connect_encoder(curtain, layers, list_skip_rows(rows))
    stages = {config.depth: encoders[config.depth]}
    for level in reversed(range(config.depth)):
        stages[level] = connect_stage(
            level, encoders[level], stages[level + 1], rows[level], layers
        )
    return Trunk(stages=stages, bottom=encoders[config.depth])


def connect_stage(
    level: int, skip: Any, coarser: Any, rows: StageRows, layers: TrainingLayers
) -> Any:
    """Returns the map of one decoder stage, of the encoder's map and the coarser stage's."""
    name, filters = f"decoder{level}", layers.config.filters << level
    coarse = keep_rows(coarser, rows.coarse)
    up = layers.up_sampled_block(
        coarse, 2, rows.up_sampled, rows.joined, f"{name}_up", filters=filters
    )
    # No dropout precedes the first encoder block.
    maps, before_dropout = [keep_rows(skip, rows.joined), up], 0 if level else 1
    x = layers.block(maps, filters, f"{name}a", rows.between, before_dropout)
    return layers.block([x], filters, f"{name}b", rows.leaving)


def unet_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map that dropout is applied to, by layer, in their order."""
    return encoder_dropout(config) | {
        f"decoder{level}_up_dropout": config.filters << (level + 1)
        for level in reversed(range(config.depth))
    }
