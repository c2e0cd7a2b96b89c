"""Measured values to and from network units.

After King et al. (2024, doi 10.1175/AIES-D-23-0063.1): reflectivity from -60 to 30 dBZ becomes
-0.5 to 1, and clear sky becomes -1. The range of other fields becomes -0.5 to 1, and absent values
become -1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.core.network_units import (
    ABSENT_UNIT,
    CLEAR_UNIT,
    HIGHEST_DBZ,
    HIGHEST_UNIT,
    LOWEST_DBZ,
    LOWEST_UNIT,
)

Finite = Annotated[float, Field(allow_inf_nan=False)]


@configuration(error=CurtainError, what="reflectivity scaling")
class ReflectivityScaling:
    """A linear map of reflectivity to network units, with a value of its own for clear sky."""

    lowest_dbz: Finite = LOWEST_DBZ
    """Lower end of the range [dBZ]; weaker echo is clipped to it."""
    highest_dbz: Finite = HIGHEST_DBZ
    """Upper end of the range [dBZ]; stronger echo is clipped to it."""
    lowest_unit: Finite = LOWEST_UNIT
    """Network units of the lower end."""
    highest_unit: Finite = HIGHEST_UNIT
    """Network units of the upper end."""
    clear_unit: Finite = CLEAR_UNIT
    """Network units of clear sky."""

    def __post_init__(self) -> None:
        if not (
            self.highest_dbz > self.lowest_dbz
            and self.highest_unit > self.lowest_unit > self.clear_unit
        ):
            raise ValueError(
                "lowest_dbz < highest_dbz and clear_unit < lowest_unit < highest_unit is right;"
                f" found {self}"
            )

    @property
    def db_per_unit(self) -> float:
        """Number of dB per network unit."""
        return (self.highest_dbz - self.lowest_dbz) / (self.highest_unit - self.lowest_unit)

    @property
    def clear_limit(self) -> float:
        """Network units below which a pixel is clear sky: halfway to the weakest echo."""
        return 0.5 * (self.clear_unit + self.lowest_unit)

    def scale(self, reflectivity_dbz: np.ndarray) -> np.ndarray:
        """Returns network units (float32) of reflectivity [dBZ] of any shape; NaN is clear sky."""
        clipped = np.clip(reflectivity_dbz, self.lowest_dbz, self.highest_dbz)
        units = self.lowest_unit + (clipped - self.lowest_dbz) / self.db_per_unit
        return np.where(np.isnan(clipped), self.clear_unit, units).astype(np.float32)

    def unscale(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32) of network units of echo, of any shape.

        Values beyond the range are not clipped: an interval bound may be there.
        """
        return ((units - self.lowest_unit) * self.db_per_unit + self.lowest_dbz).astype(np.float32)

    def restore(self, units: np.ndarray) -> np.ndarray:
        """Returns reflectivity [dBZ] (float32), NaN in clear sky: the inverse of `scale`."""
        return np.where(units < self.clear_limit, np.float32(np.nan), self.unscale(units))


@configuration(error=CurtainError, what="scaling")
class LinearScaling:
    """A linear map of a field to -0.5 ... 1 network units."""

    lowest: Finite
    """Lower end of the range, in the field's unit."""
    highest: Finite
    """Upper end of the range, in the field's unit."""

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise ValueError(f"lowest < highest is right; found {self.lowest} and {self.highest}")

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Returns network units (float32) of values of any shape; NaN is absent."""
        share = (np.clip(values, self.lowest, self.highest) - self.lowest) / (
            self.highest - self.lowest
        )
        return np.where(np.isnan(share), ABSENT_UNIT, 1.5 * share - 0.5).astype(np.float32)


@configuration(error=CurtainError, what="channel scalings")
class ChannelScalings:
    """The ranges of the optional channels.

    State as in King et al. (2024). Fall speeds of hydrometeors and the drafts that carry them stay
    below 10 m s-1 in most echo. A lidar sees from about 1e-8 sr-1 m-1, a tenth of what air
    molecules scatter, to 1e-3 in liquid cloud.
    """

    doppler_velocity: LinearScaling = LinearScaling(lowest=-10.0, highest=10.0)
    """Velocity, upwards [m s-1]."""
    attenuated_backscatter: LinearScaling = LinearScaling(lowest=-8.0, highest=-3.0)
    """Decimal logarithm of attenuated backscatter [sr-1 m-1]."""
    temperature: LinearScaling = LinearScaling(lowest=180.0, highest=300.0)
    """Temperature [K]."""
    specific_humidity: LinearScaling = LinearScaling(lowest=5.7e-8, highest=0.0115)
    """Specific humidity [kg kg-1]."""
    eastward_wind: LinearScaling = LinearScaling(lowest=-30.0, highest=30.0)
    """Eastward wind [m s-1]."""
    northward_wind: LinearScaling = LinearScaling(lowest=-30.0, highest=30.0)
    """Northward wind [m s-1]."""

    def of(self, name: str) -> LinearScaling:
        """Returns the scaling of an optional channel by its name."""
        scaling: LinearScaling = getattr(self, name)
        return scaling
