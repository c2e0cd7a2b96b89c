"""UNet3+ (Huang et al. 2020, doi 10.1109/ICASSP40776.2020.9053405) for a radar's blind zone.

As in King et al. (2024, doi 10.1175/AIES-D-23-0063.1), all scales enter each decoder stage, and
dropout follows every pooling and up-sampling. It differs in two ways. The prediction has two parts,
occurrence and intensity given echo, since one value per pixel blurs a mixture of clear sky and
echo. And the decoder computes only the rows that the heads need, which is exact
(`blindzone.models.row_limits`).
"""

from __future__ import annotations

from typing import Any

from blindzone.models.blocks import (
    keep_rows,
    pool,
    rows_before_convolution,
    rows_before_up_sampling,
)
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import branch_rows, decoder_rows, skip_rows
from blindzone.models.trunk import Trunk, connect_encoder, encoder_dropout


def connect_unet3plus(curtain: Any, layers: TrainingLayers) -> Trunk:
    """Returns the trunk over a curtain `(batch, rows, profiles, channels)`."""
    encoders = connect_encoder(curtain, layers, skip_rows(layers.config))
    depth, rows = layers.config.depth, decoder_rows(layers.config)
    stages = {depth: encoders[depth]}
    for level in reversed(range(depth)):
        stages[level] = connect_stage(level, encoders, stages, rows[level], layers)
    return Trunk(stages=stages, bottom=encoders[depth])


def connect_stage(
    level: int, encoders: list[Any], stages: dict[int, Any], rows: int, layers: TrainingLayers
) -> Any:
    """Returns the lowest `rows` rows of one decoder stage: all scales joined (their Fig. 2)."""
    config, available = layers.config, encoders[level].shape[1]
    entering = branch_rows(rows, config, available)
    between = rows_before_convolution(rows, config.kernel_size, available)
    branches = []
    for scale in range(config.depth + 1):
        name = f"decoder{level}_from{scale}"
        if scale <= level:
            factor = 2 ** (level - scale)
            x = pool(keep_rows(encoders[scale], entering * factor), factor, name)
            x = layers.dropout(x, f"{name}_dropout") if scale < level else x
            x = layers.block([x], config.filters, name, between)
        else:
            factor = 2 ** (scale - level)
            coarse = rows_before_up_sampling(entering, factor, encoders[scale].shape[1])
            x = keep_rows(stages[scale], coarse)
            x = layers.up_sampled_block(x, factor, entering, between, name)
        branches.append(x)
    # No dropout precedes the finest stage's branch from the first encoder block.
    before_dropout = 0 if level else 1
    filters = config.filters * (config.depth + 1)
    return layers.block(branches, filters, f"decoder{level}", rows, before_dropout)


def unet3plus_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map that dropout is applied to, by layer, in their order."""
    depth, filters = config.depth, config.filters
    of_encoder = [filters << level for level in range(depth + 1)]
    of_decoder = [filters * (depth + 1)] * depth + [of_encoder[depth]]  # the bottom is in both
    channels = {
        f"decoder{level}_from{scale}_dropout": (of_encoder if scale < level else of_decoder)[scale]
        for level in reversed(range(depth))
        for scale in range(depth + 1)
        if scale != level
    }
    return encoder_dropout(config) | channels
