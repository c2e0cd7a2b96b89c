"""Feature maps of pictures by a trained encoder, for the losses that compare them.

A picture is reflectivity alone. The encoder's other channels are set to those of a curtain without
holes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.core.errors import ModelError
from blindzone.models.blocks import pool
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.layers import PlainLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import load_trunk
from blindzone.models.restored_loss import FeatureMaps
from blindzone.models.trunk import connect_encoder

POOLINGS = 3
"""Number of poolings after which maps are compared, as in Liu et al. (2018, Eq. 4)."""

_CHANNELS: Mapping[str, Callable[[int], np.ndarray]] = {
    "soft_mask": np.zeros,
    "height": lambda rows: (np.arange(rows) + 0.5) / rows,
    "hole_distance": np.zeros,
}
"""Channels but reflectivity that a curtain without holes has, by row."""


@lru_cache(maxsize=1)
def read_feature_maps(path: Path) -> FeatureMaps:
    """Returns what gives the feature maps of pictures by the encoder in a checkpoint.

    Raises:
        CheckpointError: If it cannot be read.
        ModelError: If it has no encoder, or one of channels that a picture does not have.
    """
    return make_feature_maps(read_checkpoint(path), where=str(path))


def make_feature_maps(checkpoint: Checkpoint, *, where: str) -> FeatureMaps:
    """Returns what gives the feature maps of pictures by a checkpoint's encoder.

    Args:
        checkpoint: The checkpoint.
        where: Where it is from, for messages.

    Raises:
        ModelError: If it has no encoder, or one of channels that a picture does not have.
    """
    config = replace(checkpoint.config, dropout=0.0)
    _check_encoder(config, where)
    others = _find_other_channels(checkpoint, where)
    networks: dict[tuple[int, int], keras.Model] = {}

    def give(pictures: Any) -> list[Any]:
        _, rows, profiles, _ = pictures.shape
        if (rows, profiles) not in networks:
            own = replace(config, input_rows=rows, input_profiles=profiles, output_rows=1)
            with tf.init_scope():  # its weights are no part of a graph that is traced
                networks[rows, profiles] = _build(own, checkpoint.network)
        planes = np.stack([_CHANNELS[name](rows) for name in others], axis=-1)
        planes = planes.astype(np.float32)[None, :, None]  # (1, row, 1, channel)
        ones = keras.ops.ones_like(pictures)
        shown = keras.ops.concatenate([pictures, ones * planes], axis=-1) if others else pictures
        found = networks[rows, profiles](shown, training=False)
        return list(found) if isinstance(found, list) else [found]

    return give


def _check_encoder(config: NetworkConfig, where: str) -> None:
    if config.family == "partial_conv" or not config.has_trunk:
        raise ModelError(
            f"{where}: a feature network needs an encoder of convolutions, found family"
            f" {config.family!r} and filters {config.filters}"
        )


def _find_other_channels(checkpoint: Checkpoint, where: str) -> tuple[str, ...]:
    """Returns the channels of an encoder but reflectivity."""
    first, *others = checkpoint.preprocessing["channels"]
    unknown = [name for name in others if name not in _CHANNELS]
    if first != "reflectivity" or unknown:
        raise ModelError(
            f"{where}: its encoder sees {', '.join((first, *others))}; one of reflectivity,"
            f" {', '.join(_CHANNELS)} is right, since losses compare pictures of reflectivity"
        )
    return tuple(others)


def _build(config: NetworkConfig, trained: keras.Model) -> keras.Model:
    """Returns the encoder up to the last pooling, with weights that nothing trains."""
    curtain = keras.Input((config.input_rows, config.input_profiles, config.channels))
    encoders = connect_encoder(curtain, PlainLayers(config=config), ())
    maps = [
        pool(encoder, 2, f"features{level}")
        for level, encoder in enumerate(encoders[: min(POOLINGS, config.depth)])
    ]
    network = keras.Model(curtain, maps, trainable=False)
    whole = keras.Model(curtain, encoders)
    load_trunk(whole, trained)
    return network
