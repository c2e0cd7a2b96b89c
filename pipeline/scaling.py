"""Reflectivity to and from network units, after King et al. (2024, doi 10.1175/AIES-D-23-0063.1).

Reflectivity from -60 to 30 dBZ becomes -0.5 to 1 and clear sky becomes -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.errors import CurtainError


@dataclass(frozen=True, kw_only=True)
class ReflectivityScaling:
    """A linear map of reflectivity [dBZ] with a value of its own for clear sky."""

    lowest_dbz: float = -60.0
    highest_dbz: float = 30.0
    lowest_unit: float = -0.5
    highest_unit: float = 1.0
    clear_unit: float = -1.0

    def __post_init__(self) -> None:
        if not (self.highest_dbz > self.lowest_dbz and self.highest_unit > self.lowest_unit > self.clear_unit):
            raise CurtainError(
                "reflectivity scaling: lowest_dbz < highest_dbz and clear_unit < lowest_unit < highest_unit is right; "
                f"found {self}"
            )

    @property
    def decibels_a_unit(self) -> float:
        """How many dB one network unit spans."""
        return (self.highest_dbz - self.lowest_dbz) / (self.highest_unit - self.lowest_unit)

    def scale(self, reflectivity_dbz: np.ndarray) -> np.ndarray:
        """Returns network units (float32) of reflectivity [dBZ] of any shape; NaN is clear, the range is clipped."""
        clipped = np.clip(reflectivity_dbz, self.lowest_dbz, self.highest_dbz)
        units = self.lowest_unit + (clipped - self.lowest_dbz) / self.decibels_a_unit
        return np.where(np.isnan(clipped), self.clear_unit, units).astype(np.float32)

    def unscale(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32) of network units of any shape that stand for echo.

        What lies beyond the scaled range is not clipped: an interval bound may lie there.
        """
        return ((units - self.lowest_unit) * self.decibels_a_unit + self.lowest_dbz).astype(np.float32)

    def restore(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32), NaN where the units stand for clear sky: the inverse of `scale`."""
        halfway = 0.5 * (self.clear_unit + self.lowest_unit)
        return np.where(units < halfway, np.float32(np.nan), self.unscale(units))
