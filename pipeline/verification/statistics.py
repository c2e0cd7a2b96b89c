"""Sums that merge: of chunks, days and sites, in any order, into the sums of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Self, get_type_hints

import numpy as np


@cache
def _find_kinds(record: type) -> dict[str, Any]:
    """Returns the types of a record's sums by name; resampling asks for them a thousand times."""
    return get_type_hints(record)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """A record of sums: numbers, arrays, or records of them. Records of one kind add up."""

    def __add__(self, other: Self) -> Self:
        return type(self)(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns every sum, an array of its shape, by name; of an inner record `record.name`."""
        out: dict[str, np.ndarray] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Sums):
                out |= {f"{f.name}.{name}": array for name, array in value.to_arrays().items()}
            else:
                out[f.name] = np.asarray(value)
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Returns the sums that `to_arrays` gave.

        Raises:
            KeyError: If a sum is missing.
        """
        values: dict[str, Any] = {}
        record: type = cls
        for name, kind in _find_kinds(record).items():
            if issubclass(kind, Sums):
                prefix = f"{name}."
                within = {
                    key.removeprefix(prefix): arrays[key]
                    for key in arrays
                    if key.startswith(prefix)
                }
                values[name] = kind.from_arrays(within)
            else:
                values[name] = int(arrays[name]) if kind is int else np.asarray(arrays[name])
        return cls(**values)


LEAST_CASES = 100
"""Least number of cases (pixels, columns) that a published score rests on. The standard error of a
share of independent cases is then 0.05 at most."""


def ratio(numerator: Any, denominator: Any, *, least: int = 1) -> float:
    """Returns a quotient of two sums; NaN if the denominator is 0.

    Args:
        numerator: The sum above.
        denominator: The sum below.
        least: Least number of cases, where the denominator is one; NaN with fewer.
    """
    is_known = denominator and (least == 1 or denominator >= least)
    return float(numerator) / float(denominator) if is_known else float("nan")


def wasserstein_distance(shares: np.ndarray, other: np.ndarray, *, step_db: float) -> np.ndarray:
    """Returns the Wasserstein distance of order 1 [dB] of distributions of reflectivity, `(...)`.

    It is the area between the two cumulative distributions: the mean distance by which mass is
    moved to turn one distribution into the other. Mass of a step is taken at its centre.

    Args:
        shares: Share of pixels at the sensitivity floor, then in each step above it
            `(..., 1 + step)`.
        other: The other distribution, `(..., 1 + step)`.
        step_db: Width of a step [dB].
    """
    area: np.ndarray = np.trapezoid(np.abs(np.cumsum(shares - other, axis=-1)), axis=-1)
    return area * step_db
