"""Measured values to and from network units, after King et al. (2024, doi 10.1175/AIES-D-23-0063.1).

Reflectivity from -60 to 30 dBZ becomes -0.5 to 1 and clear sky becomes -1. Other fields likewise:
their range becomes -0.5 to 1, and what is absent becomes -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.core.errors import CurtainError
from blindzone.core.network_units import (
    ABSENT_UNIT,
    CLEAR_UNIT,
    HIGHEST_DBZ,
    HIGHEST_UNIT,
    LOWEST_DBZ,
    LOWEST_UNIT,
)


@dataclass(frozen=True, kw_only=True)
class ReflectivityScaling:
    """A linear map of reflectivity [dBZ] with a value of its own for clear sky."""

    lowest_dbz: float = LOWEST_DBZ
    highest_dbz: float = HIGHEST_DBZ
    lowest_unit: float = LOWEST_UNIT
    highest_unit: float = HIGHEST_UNIT
    clear_unit: float = CLEAR_UNIT

    def __post_init__(self) -> None:
        if not (
            self.highest_dbz > self.lowest_dbz
            and self.highest_unit > self.lowest_unit > self.clear_unit
        ):
            raise CurtainError(
                "reflectivity scaling: lowest_dbz < highest_dbz and clear_unit < lowest_unit <"
                f" highest_unit is right; found {self}"
            )

    @property
    def db_per_unit(self) -> float:
        """How many dB one network unit spans."""
        return (self.highest_dbz - self.lowest_dbz) / (self.highest_unit - self.lowest_unit)

    @property
    def clear_limit(self) -> float:
        """Network units below this stand for clear sky: halfway to the weakest echo."""
        return 0.5 * (self.clear_unit + self.lowest_unit)

    def scale(self, reflectivity_dbz: np.ndarray) -> np.ndarray:
        """Returns network units (float32) of reflectivity [dBZ] of any shape; NaN is clear, the range is clipped."""
        clipped = np.clip(reflectivity_dbz, self.lowest_dbz, self.highest_dbz)
        units = self.lowest_unit + (clipped - self.lowest_dbz) / self.db_per_unit
        return np.where(np.isnan(clipped), self.clear_unit, units).astype(np.float32)

    def unscale(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32) of network units of any shape that stand for echo.

        What lies beyond the scaled range is not clipped: an interval bound may lie there.
        """
        return ((units - self.lowest_unit) * self.db_per_unit + self.lowest_dbz).astype(np.float32)

    def restore(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32), NaN where the units stand for clear sky: the inverse of `scale`."""
        return np.where(units < self.clear_limit, np.float32(np.nan), self.unscale(units))


@dataclass(frozen=True, kw_only=True)
class LinearScaling:
    """A linear map of a field from `lowest` ... `highest`, in the field's unit, to -0.5 ... 1."""

    lowest: float
    highest: float

    def __post_init__(self) -> None:
        if not -np.inf < self.lowest < self.highest < np.inf:
            raise CurtainError(
                f"scaling: lowest < highest, both finite, is right; found {self.lowest},"
                f" {self.highest}"
            )

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Returns network units (float32) of values of any shape; NaN is absent, the range is clipped."""
        share = (np.clip(values, self.lowest, self.highest) - self.lowest) / (
            self.highest - self.lowest
        )
        return np.where(np.isnan(share), ABSENT_UNIT, 1.5 * share - 0.5).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ChannelScalings:
    """The ranges of the optional channels.

    State as in King et al. (2024). Fall speeds of hydrometeors and the drafts that carry them stay
    below 10 m s-1 in most echo. A lidar sees from about 1e-8 sr-1 m-1, a tenth of what air
    molecules scatter, to 1e-3 in liquid cloud.

    Attributes:
        doppler_velocity: Of velocity, upwards [m s-1].
        attenuated_backscatter: Of the decimal logarithm of attenuated backscatter [sr-1 m-1].
        temperature: [K].
        specific_humidity: [kg kg-1].
        eastward_wind: [m s-1].
        northward_wind: [m s-1].
    """

    doppler_velocity: LinearScaling = LinearScaling(lowest=-10.0, highest=10.0)
    attenuated_backscatter: LinearScaling = LinearScaling(lowest=-8.0, highest=-3.0)
    temperature: LinearScaling = LinearScaling(lowest=180.0, highest=300.0)
    specific_humidity: LinearScaling = LinearScaling(lowest=5.7e-8, highest=0.0115)
    eastward_wind: LinearScaling = LinearScaling(lowest=-30.0, highest=30.0)
    northward_wind: LinearScaling = LinearScaling(lowest=-30.0, highest=30.0)

    def of(self, name: str) -> LinearScaling:
        """Returns the scaling of an optional channel by its name."""
        scaling: LinearScaling = getattr(self, name)
        return scaling
