"""What the trunks of all families share: what they give, and the encoder.

A trunk goes from the curtain to maps that the heads predict from. Layers of the encoder have the
same names in all families that have it, `encoder{level}{a|b}_...`: the weights of one may begin
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blindzone.models.blocks import pool
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import ENCODER
from blindzone.models.row_limits import encoder_rows


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """The maps that a trunk gives, `(batch, rows, profiles, channels)`.

    Attributes:
        stages: The map of each decoder stage by its level; 0 is the finest, of at least
            `output_rows` rows, and the last is the bottom. None where there is no trunk.
        bottom: The coarsest map; None where there is no trunk.
    """

    stages: Mapping[int, Any]
    bottom: Any | None


NO_TRUNK = Trunk(stages={0: None}, bottom=None)
"""What a network of column paths alone has."""


def connect_encoder(curtain: Any, layers: TrainingLayers, needed: Sequence[int]) -> list[Any]:
    """Returns the map of every encoder block, from the finest to the bottom.

    Args:
        curtain: Input, `(batch, rows, profiles, channels)`.
        layers: The layers to build it of, with the configuration.
        needed: Rows of each map that the decoder needs.
    """
    config = layers.config
    # The scene is predicted from the whole bottom.
    is_limited = layers.limits_encoder and not config.classification_guided
    rows = encoder_rows(config, needed) if is_limited else [(None, None)] * (config.depth + 1)
    encoders: list[Any] = []
    x = curtain
    for level in range(config.depth + 1):
        name = f"{ENCODER}{level}"
        if level:
            x = layers.dropout(pool(x, 2, name), f"{name}_dropout")
        for repeat, kept in zip("ab", rows[level], strict=True):
            x = layers.block([x], config.filters << level, f"{name}{repeat}", kept)
        encoders.append(x)
    return encoders


def encoder_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map of the encoder that dropout is applied to, by layer."""
    return {
        f"{ENCODER}{level}_dropout": config.filters << (level - 1)
        for level in range(1, config.depth + 1)
    }
