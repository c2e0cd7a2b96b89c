"""Numbers of a page: rounded as they are printed, and packed into text that a browser unpacks.

A number is kept as a whole multiple of its last printed digit. What the page prints is then what
Python prints of the product's own number. For float32 this is exact: a factor of up to 1000 fits
into the 53 bits of the product, and `rint` rounds halves to even as formatting does.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

_TYPES = (np.int8, np.int16, np.int32)
_MOST = np.iinfo(np.int32).max
_LEVEL = 6
"""Of zlib: higher levels take twice the time for two per cent."""


def pack(values: np.ndarray, digits: int = 0, *, stacked: bool = False) -> dict[str, Any]:
    """Returns numbers as a plain value for JSON.

    Args:
        values: Numbers of any shape; those that are not finite are missing.
        digits: Digits after the decimal point that are printed, 0 to 3.
        stacked: Whether neighbours along the first dimension resemble each other, as quantiles do:
            their differences are smaller.

    Returns:
        `text`: the whole numbers of `type`, as base64 of a zlib stream of byte planes, the lowest
        first, in C order; `digits`; `count`; `rows`: length of the first dimension if differences
        along it are stored, else 0. The lowest number of a type says that a value is missing.
    """
    is_known = np.isfinite(values)
    scaled = np.where(is_known, values, 0).astype(np.float64) * 10**digits
    whole = np.clip(np.rint(scaled), -_MOST, _MOST)
    kind = _find_type(whole)
    missing = np.iinfo(kind).min
    numbers = np.where(is_known, whole, missing).astype(kind)
    rows = numbers.shape[0] if stacked and numbers.ndim > 1 else 0
    if rows:  # overflow wraps around, and back when they are summed
        numbers = np.diff(numbers, axis=0, prepend=kind(0))
    planes = numbers.ravel().view(np.uint8).reshape(-1, numbers.itemsize).T
    stream = zlib.compress(np.ascontiguousarray(planes).tobytes(), _LEVEL)
    return {
        "type": np.dtype(kind).name,
        "digits": digits,
        "count": int(numbers.size),
        "rows": rows,
        "text": base64.b64encode(stream).decode("ascii"),
    }


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Returns the numbers that `pack` packed, float64 `(count,)`, NaN where they are missing."""
    kind = np.dtype(packed["type"])
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["text"])), np.uint8)
    numbers = np.ascontiguousarray(planes.reshape(kind.itemsize, -1).T).view(kind).ravel()
    if packed["rows"]:
        numbers = np.cumsum(numbers.reshape(packed["rows"], -1), axis=0, dtype=kind).ravel()
    values = numbers / 10.0 ** packed["digits"]
    return np.where(numbers == np.iinfo(kind).min, np.nan, values)


def _find_type(whole: np.ndarray) -> Any:
    """Returns the smallest type that holds whole numbers, and one more for missing values."""
    low, high = (float(whole.min()), float(whole.max())) if whole.size else (0.0, 0.0)
    return next(kind for kind in _TYPES if np.iinfo(kind).min < low and high <= np.iinfo(kind).max)
