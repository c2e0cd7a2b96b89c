"""DynamicUnet (Howard and Gugger 2020, fastai, doi 10.3390/info11020108): built from its encoder.

The decoder follows from the shapes of the encoder's maps, whatever encoder that is. At each change
of size there is a skip. A block up-samples by pixel shuffle, joins the normalised skip, and
convolves twice. The curtain itself joins last. It is meant for an encoder that was trained before
(`blindzone.models.network_weights.load_trunk`), frozen at first. Two more convolutions of the
bottom are left out: ours has two that are trained with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blindzone.models.blocks import keep_rows, rows_before_convolution
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import (
    StageRows,
    branch_rows,
    list_skip_rows,
    list_stage_rows,
)
from blindzone.models.trunk import Trunk, connect_encoder, encoder_dropout


def connect_dynamic_unet(curtain: Any, layers: TrainingLayers) -> Trunk:
    """Returns the trunk over a curtain `(batch, rows, profiles, channels)`."""
    config = layers.config
    before_join = branch_rows(config.output_rows, config, config.input_rows)
    rows = list_stage_rows(config, leaving=before_join, convolves_up=False)
    encoders = connect_encoder(curtain, layers, list_skip_rows(rows))
    skips = find_skips(encoders)
    stages = {len(skips): encoders[-1]}
    for level in reversed(range(len(skips))):
        skip = encoders[skips[level]]
        stages[level] = connect_stage(level, skip, stages[level + 1], rows[level], layers)
    stages[0] = join_curtain(curtain, stages[0], layers)
    return Trunk(stages=stages, bottom=encoders[-1])


def find_skips(encoders: Sequence[Any]) -> list[int]:
    """Returns which maps of an encoder are the last of their size, the coarsest left out."""
    # Of few rows all may be kept; profiles always are.
    sizes = [x.shape[2] for x in encoders]
    return [level for level in range(len(sizes) - 1) if sizes[level] != sizes[level + 1]]


def connect_stage(
    level: int, skip: Any, coarser: Any, rows: StageRows, layers: TrainingLayers
) -> Any:
    """Returns the map of one decoder stage, as wide as the encoder's map that it joins."""
    name, filters = f"decoder{level}", skip.shape[-1]
    up = layers.shuffled_block(
        keep_rows(coarser, rows.coarse), filters, rows.up_sampled, f"{name}_up"
    )
    normalized = layers.normalize(keep_rows(skip, rows.joined), f"{name}_skip")
    # No dropout precedes the first encoder block.
    x = layers.block([normalized, up], filters, f"{name}a", rows.between, 0 if level else 1)
    return layers.block([x], filters, f"{name}b", rows.leaving)


def join_curtain(curtain: Any, x: Any, layers: TrainingLayers) -> Any:
    """Returns the finest map after two convolutions of it and the curtain."""
    config = layers.config
    between = rows_before_convolution(config.output_rows, config.kernel_size, config.input_rows)
    kept = [between, config.output_rows] if config.limit_rows else [config.input_rows] * 2
    maps = [keep_rows(curtain, x.shape[1]), x]
    x = layers.block(maps, x.shape[-1], "decoder_lasta", kept[0], before_dropout=1)
    return layers.block([x], x.shape[-1], "decoder_lastb", kept[1])


def dynamic_unet_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map that dropout is applied to, by layer, in their order."""
    return encoder_dropout(config) | {
        f"decoder{level}_up_dropout": config.filters << level
        for level in reversed(range(config.depth))
    }
