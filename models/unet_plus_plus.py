"""UNet++ (Zhou et al. 2018, doi 10.1007/978-3-030-00889-5_1).

Between encoder and decoder there are nodes X(i, j), the encoder being the column j = 0. Each joins
all nodes before it in its row, which have its size, with the up-sampled node below, and convolves
twice (their Fig. 1). X(0, depth) is what the heads predict from. With deep supervision there are
heads on the last node of each row, as with the other families; theirs are on the finest row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blindzone.models.blocks import (
    keep_rows,
    rows_before_convolution,
    rows_before_up_sampling,
)
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import branch_rows
from blindzone.models.trunk import Trunk, connect_encoder, encoder_dropout

Node = tuple[int, int]
"""Row i, counted from the finest, and column j, counted from the encoder."""


def connect_unet_plus_plus(curtain: Any, layers: TrainingLayers) -> Trunk:
    """Returns the trunk over a curtain `(batch, rows, profiles, channels)`."""
    depth, rows = layers.config.depth, list_node_rows(layers.config)
    needed = [rows[level, 0] for level in range(depth + 1)]
    encoders = connect_encoder(curtain, layers, needed)
    nodes: dict[Node, Any] = {(level, 0): x for level, x in enumerate(encoders)}
    for node in list_nodes(depth):
        nodes[node] = connect_node(node, nodes, rows[node], layers)
    stages = {level: nodes[level, depth - level] for level in range(depth + 1)}
    return Trunk(stages=stages, bottom=encoders[depth])


def connect_node(node: Node, nodes: Mapping[Node, Any], rows: int, layers: TrainingLayers) -> Any:
    """Returns the lowest `rows` rows of a node's map."""
    (level, step), config = node, layers.config
    name, filters = f"decoder{level}_{step}", config.filters << level
    available = config.input_rows >> level
    between = rows_before_convolution(rows, config.kernel_size, available)
    joined = rows_before_convolution(between, config.kernel_size, available)
    below = nodes[level + 1, step - 1]
    coarse = keep_rows(below, rows_before_up_sampling(joined, 2, available >> 1))
    maps = [keep_rows(nodes[level, before], joined) for before in range(step)]
    maps.append(layers.up_sampled(coarse, 2, joined, f"{name}_up"))
    # No dropout precedes the first encoder block.
    x = layers.block(maps, filters, f"{name}a", between, 0 if level else 1)
    return layers.block([x], filters, f"{name}b", rows)


def list_nodes(depth: int) -> list[Node]:
    """Returns the nodes but the encoder's, each after those that it joins."""
    return [(level, step) for step in range(1, depth + 1) for level in range(depth + 1 - step)]


def list_node_rows(config: NetworkConfig) -> dict[Node, int]:
    """Returns the rows that each node must give for the nodes that join it."""
    depth = config.depth
    rows = {(level, depth - level): 1 for level in range(depth + 1)}
    rows[0, depth] = config.output_rows
    if not config.limit_rows:
        return {
            (level, step): config.input_rows >> level
            for level in range(depth + 1)
            for step in range(depth + 1 - level)
        }
    for level, step in reversed(list_nodes(depth)):
        joined = branch_rows(rows[level, step], config, config.input_rows >> level)
        coarse = rows_before_up_sampling(joined, 2, config.input_rows >> (level + 1))
        for node, needed in [((level + 1, step - 1), coarse)] + [
            ((level, before), joined) for before in range(step)
        ]:
            rows[node] = max(rows.get(node, 0), needed)
    return rows


def unet_plus_plus_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map that dropout is applied to, by layer, in their order."""
    return encoder_dropout(config) | {
        f"decoder{level}_{step}_up_dropout": config.filters << (level + 1)
        for level, step in list_nodes(config.depth)
    }
