"""What whole visible columns, side by side in time, say of the blind zone below them.

A few hundred hours of one radar hold few *independent* scenes, and a two-dimensional network soon
knows them by heart. This path sees less and generalises better: of each profile only mean and
maximum over bands that widen with height, as a forecaster would note them, and of its neighbours in
time those at widening distances (dilated convolutions, Yu and Koltun 2016, arXiv 1511.07122).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras

from blindzone.models.blocks import Dropout

RESIDUAL_SHARE = 0.5
"""How much of each step in time is added: a deeper path does not start with a larger variance."""

LEAK = 0.1
"""Slope of the activation below 0."""


def name_path(number: int) -> str:
    """Returns what the names of all layers of a path begin with: column, column1, column2, ..."""
    return f"column{number or ''}"


def connect_column_path(
    curtain: Any,
    output_rows: int,
    filters: int,
    depth: int,
    outputs: int,
    dropout: Dropout,
    path: str = "column",
    spread: Callable[[Any], Any] = lambda x: x,
) -> Any:
    """Returns maps for the blind zone, `(batch, output_rows, profiles, outputs)`, float32.

    Args:
        curtain: Input, `(batch, rows, profiles, channels)`; of it only the rows from `output_rows`
            on are seen.
        output_rows: Rows of the blind zone.
        filters: Width of the path.
        depth: Number of convolutions in time; the k-th reaches 2^k profiles to either side.
        outputs: Number of maps.
        dropout: Applied to what each of them adds, and before the last layer.
        path: What the names of the layers begin with.
        spread: Applied to what no dropout precedes before it meets what some does.
    """
    x = _mix(
        summarize_bands(keras.ops.split(curtain, [output_rows], axis=1)[1]),
        filters,
        f"{path}_bands",
    )
    for step in range(depth):
        name = f"{path}_time{step}"
        near = keras.layers.Conv2D(
            filters,
            (1, 3),
            dilation_rate=(1, 2**step),
            padding="same",
            kernel_initializer="he_normal",
            name=f"{name}_convolution",
        )(x)
        near = keras.layers.LeakyReLU(LEAK, name=f"{name}_activation")(near)
        x = (x if step else spread(x)) + RESIDUAL_SHARE * dropout(near, f"{name}_dropout")
    x = _mix(dropout(x, f"{path}_dropout"), 2 * filters, f"{path}_hidden")
    x = keras.layers.Conv2D(output_rows * outputs, 1, name=f"{path}_rows", dtype="float32")(x)
    x = keras.layers.Reshape(
        (curtain.shape[2], output_rows, outputs), name=f"{path}_unfold", dtype="float32"
    )(x)
    return keras.layers.Permute((2, 1, 3), name=path, dtype="float32")(x)


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
    """Returns where the bands of so many rows begin, and where the last ends: 0, 1, 2, 4, 8, ..., rows."""
    edges = [0, 1]
    while edges[-1] < rows:
        edges.append(min(2 * edges[-1], rows))
    return tuple(edges)


def _mix(x: Any, filters: int, name: str) -> Any:
    x = keras.layers.Conv2D(filters, 1, kernel_initializer="he_normal", name=f"{name}_convolution")(
        x
    )
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_activation")(x)
