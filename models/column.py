"""A path of its own for whole visible columns, next to each other in time.

A few hundred hours of one radar hold few *independent* scenes, and a two-dimensional network soon
overfits them. This path sees less and generalises better. Of each profile it sees only mean and
maximum over bands that widen with height, as a forecaster would note them. Of neighbours in time it
sees those at widening distances (dilated convolutions, Yu and Koltun 2016, arXiv 1511.07122).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras

from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig

RESIDUAL_SHARE = 0.5
"""Weight of what each step in time adds: a deeper path does not start with a larger variance."""

LEAK = 0.1
"""Slope of the activation below 0."""


def name_path(number: int) -> str:
    """Returns the prefix of the names of all layers of a path: column, column1, column2, ..."""
    return f"column{number or ''}"


def connect_column_path(curtain: Any, outputs: int, layers: TrainingLayers, path: str) -> Any:
    """Returns maps for the blind zone, `(batch, output_rows, profiles, outputs)`, float32.

    Args:
        curtain: Input, `(batch, rows, profiles, channels)`. By the configuration only the rows from
            `output_rows` on enter.
        outputs: Number of maps.
        layers: The layers to build it of, with the configuration.
        path: Prefix of the names of its layers.
    """
    config = layers.config
    low, visible = keras.ops.split(curtain, [config.output_rows], axis=1)
    bands = summarize_bands(visible)
    if config.column_rows == "all":
        # (batch, row, profiles, channels) -> (batch, 1, profiles, row and channel)
        rows = keras.ops.split(low, config.output_rows, axis=1)
        bands = keras.ops.concatenate([*rows, bands], axis=-1)
    x = _mix(bands, config.column_filters, f"{path}_bands")
    for step in range(config.column_depth):
        near = _convolve_in_time(x, config.column_filters, 2**step, f"{path}_time{step}")
        near = layers.dropout(near, f"{path}_time{step}_dropout")
        x = (x if step else layers.for_each_pass(x)) + RESIDUAL_SHARE * near
    x = _mix(layers.dropout(x, f"{path}_dropout"), 2 * config.column_filters, f"{path}_hidden")
    rows = config.output_rows
    x = keras.layers.Conv2D(rows * outputs, 1, name=f"{path}_rows", dtype="float32")(x)
    unfolded = (curtain.shape[2], rows, outputs)
    x = keras.layers.Reshape(unfolded, name=f"{path}_unfold", dtype="float32")(x)
    return keras.layers.Permute((2, 1, 3), name=path, dtype="float32")(x)


def column_dropout(config: NetworkConfig) -> dict[str, int]:
    """Returns the channels of every map of the paths that dropout is applied to, by layer."""
    names = [f"time{step}_dropout" for step in range(config.column_depth)] + ["dropout"]
    return {
        f"{name_path(number)}_{name}": config.column_filters
        for number in range(config.column_paths if config.base == "column" else 0)
        for name in names
    }


def summarize_bands(visible: Any) -> Any:
    """Returns mean and maximum of each channel over bands of rows, `(batch, 1, profiles, feature)`.

    The lowest two bands are one row each; each further one is as deep as all below it together.

    Args:
        visible: `(batch, rows, profiles, channels)`.
    """
    parts = []
    for low, high in pairwise(find_band_edges(visible.shape[1])):
        band = visible[:, low:high]
        parts.append(keras.ops.mean(band, axis=1, keepdims=True))
        if high - low > 1:
            parts.append(keras.ops.max(band, axis=1, keepdims=True))
    return keras.ops.concatenate(parts, axis=-1)


def find_band_edges(rows: int) -> tuple[int, ...]:
    """Returns where the bands of so many rows begin and the last ends: 0, 1, 2, 4, ..., rows."""
    edges = [0, 1]
    while edges[-1] < rows:
        edges.append(min(2 * edges[-1], rows))
    return tuple(edges)


def _convolve_in_time(x: Any, filters: int, distance: int, name: str) -> Any:
    """Returns a convolution of each profile with those `distance` profiles before and after."""
    x = keras.layers.Conv2D(
        filters,
        (1, 3),
        dilation_rate=(1, distance),
        padding="same",
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(x)
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_activation")(x)


def _mix(x: Any, filters: int, name: str) -> Any:
    """Returns a combination of the channels of each profile."""
    x = keras.layers.Conv2D(filters, 1, kernel_initializer="he_normal", name=f"{name}_convolution")(
        x
    )
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_activation")(x)
