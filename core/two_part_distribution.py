"""The two-part distribution of a pixel: an atom at the sensitivity floor, and an echo part.

It is the distribution of max(reflectivity, floor). With the probability 1 - p the value is the
floor; with the probability p of echo it follows the echo part. The echo part is given by N ordered
values: the k-th is its quantile at the level (k - 1/2) / N (Hazen 1914), and quantiles in between
are interpolated linearly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Level = np.ndarray | float


def quantile(
    probability: np.ndarray,
    ordered: np.ndarray,
    level: Level,
    floor: float | np.float32,
    *,
    weight_dtype: type[np.floating[Any]] = np.float32,
) -> np.ndarray:
    """Returns one quantile of each pixel `(...)`: the floor, or a value of the echo part.

    Args:
        probability: Probability p of echo, `(...)`.
        ordered: Values of the echo part in increasing order, `(..., value)`.
        level: Level of the quantile, one number or `(...)`.
        floor: Sensitivity floor, in the unit of the values.
        weight_dtype: Precision of the interpolation, as for `read_ordered`.
    """
    inner = np.asarray(echo_level(level, probability))
    echo = read_ordered(ordered, inner[..., None], weight_dtype=weight_dtype)[..., 0]
    return np.where(inner > 0, echo, floor)


def echo_level(level: Level, probability: Level) -> Level:
    """Returns the level within the echo part, (level - (1 - p)) / p, in [0, 1].

    It is 0 just where the level does not exceed 1 - p: there the quantile is the floor.

    Args:
        level: Level within the whole distribution, broadcasts with `probability`.
        probability: Probability p of echo.
    """
    above_atom = level - (1 - probability)
    return np.clip(above_atom / np.maximum(probability, np.finfo(np.float32).tiny), 0, 1)


def read_ordered(
    ordered: np.ndarray,
    level: np.ndarray,
    first: np.ndarray | int = 0,
    *,
    weight_dtype: type[np.floating[Any]] = np.float32,
) -> np.ndarray:
    """Returns quantiles `(..., level)` of ordered values; beyond the ends the end values.

    Args:
        ordered: Values in increasing order, `(..., value)`.
        level: In [0, 1], `(..., level)` or one that broadcasts.
        first: Index of the first value that counts, `(..., 1)`. Where none counts, the last value
            is returned.
        weight_dtype: Precision of the interpolation's weights. A network's predictions are single
            precision throughout. Quantiles of a product are interpolated in double precision and
            rounded once, when they are written.
    """
    last = ordered.shape[-1] - 1
    count = ordered.shape[-1] - np.asarray(first)
    position = np.minimum(first + np.clip(level * count - 0.5, 0, np.maximum(count - 1, 0)), last)
    lower = position.astype(np.intp)
    upper = np.minimum(lower + 1, last)
    if position.ndim == 1:  # the same for all
        below, above = ordered[..., lower], ordered[..., upper]
    else:
        shape = (*ordered.shape[:-1], position.shape[-1])
        below, above = (
            np.take_along_axis(ordered, np.broadcast_to(index, shape), axis=-1)
            for index in (lower, upper)
        )
    between = below + (position - lower).astype(weight_dtype) * (above - below)
    # Rounding may exceed the higher value, and quantiles be out of order.
    return np.asarray(np.minimum(between, above))


def even_levels(count: int) -> np.ndarray:
    """Returns the levels (k - 1/2) / count, k = 1 ... count, of ordered values `(count,)`."""
    return np.asarray((np.arange(count) + 0.5) / count)


def laplace_quantile(level: np.ndarray) -> np.ndarray:
    """Returns the standard Laplace quantiles of levels of any shape: location 0, scale 1."""
    return np.asarray(np.where(level < 0.5, np.log(2 * level), -np.log(2 * (1 - level))))


def weakest_echo(floor: float) -> np.float32:
    """Returns the next number above the floor in single precision: echo exceeds the floor."""
    return np.float32(np.nextafter(np.float32(floor), np.float32(np.inf)))
