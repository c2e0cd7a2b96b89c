"""The canonical series at the surface: what weather stations and disdrometers measure.

A surface series is an `xarray.Dataset` with the dimension `time` alone:

- `time` as of a curtain: `datetime64[ns]` [UTC], strictly increasing; a gap stays a gap;
- one or more of `SURFACE_FIELDS`, float32 `(time,)`, NaN where nothing was measured: a missing
  minute is never zero;
- scalar coordinates `latitude`, `longitude` and `altitude` of the instrument.

It has no height, no status and no quality flags. It is archived as curtains are, and never put
into a curtain: nothing of it reaches a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import (
    FIELDS,
    SITE_COORDINATES,
    check_times,
    describe_curtain,
)


@dataclass(frozen=True, kw_only=True)
class SurfaceField:
    """A quantity at the surface.

    Attributes:
        units: Its unit.
        credible: Least and largest value that can be, in this unit.
        long_name: What it is, in words.
        standard_name: CF standard name; empty if CF has none.
        comment: What else a reader must know.
    """

    units: str
    credible: tuple[float, float]
    long_name: str
    standard_name: str = ""
    comment: str = ""


_HEAVIEST_RATE = 1e-3
"""Beyond any minute's rain [m s-1]: the record is 38 mm in one minute, 6.3e-4 m s-1 (WMO World
Weather and Climate Extremes Archive)."""

SURFACE_FIELDS: Mapping[str, SurfaceField] = MappingProxyType(
    {
        "air_temperature": SurfaceField(
            units="K",
            # The least and the largest on record are 184 and 330 K (WMO archive of extremes).
            credible=(180.0, 340.0),
            long_name="air temperature at the surface",
            standard_name="air_temperature",
        ),
        "relative_humidity": SurfaceField(
            units="1",
            # Sensors drift beyond saturation by some percent.
            credible=(0.0, 1.2),
            long_name="relative humidity at the surface",
            standard_name="relative_humidity",
        ),
        "air_pressure": SurfaceField(
            units="Pa",
            # From the highest stations, at 6 km, to the largest on record, 1085 hPa.
            credible=(40_000.0, 110_000.0),
            long_name="air pressure at the surface",
            standard_name="air_pressure",
        ),
        "wind_speed": SurfaceField(
            units="m s-1",
            # The largest gust on record is 113 m s-1 (WMO archive of extremes).
            credible=(0.0, 120.0),
            long_name="wind speed at the station's mast",
            standard_name="wind_speed",
        ),
        "wind_direction": SurfaceField(
            units="degree",
            credible=(0.0, 360.0),
            long_name="direction that the wind comes from",
            standard_name="wind_from_direction",
        ),
        "rainfall_rate": SurfaceField(
            units="m s-1",
            credible=(0.0, _HEAVIEST_RATE),
            long_name="rainfall rate at the surface",
            standard_name="rainfall_rate",
        ),
        "rainfall_amount": SurfaceField(
            units="m",
            # Of one day; the record is 1.8 m (WMO archive of extremes).
            credible=(0.0, 2.0),
            long_name="thickness of rain since 00:00 UTC",
            standard_name="thickness_of_rainfall_amount",
        ),
        "snowfall_rate": SurfaceField(
            units="m s-1",
            credible=(0.0, _HEAVIEST_RATE),
            long_name="snowfall rate at the surface",
            comment="As the file has it: of a Parsivel a depth of snow, no depth of water.",
        ),
        "radar_reflectivity": SurfaceField(
            units="dBZ",
            credible=(-40.0, 80.0),
            long_name="reflectivity factor computed from the particles' sizes",
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Of Rayleigh scattering: not that of a radar at millimetre wavelengths. Missing"
                " where no particle was counted."
            ),
        ),
        "visibility": SurfaceField(
            units="m",
            credible=(0.0, 100_000.0),
            long_name="visibility in precipitation",
            standard_name="visibility_in_air",
        ),
        "n_particles": SurfaceField(
            units="1",
            credible=(0.0, 1e6),
            long_name="number of particles counted in the time interval",
        ),
    }
)
"""The quantities by their names, with their units and limits."""


def is_surface(dataset: xr.Dataset) -> bool:
    """Returns whether a dataset is a surface series, `(time,)`, and no curtain.

    What is derived from a product has rates as well, next to other variables.
    """
    names = set(map(str, dataset.data_vars))
    return bool(names) and "height" not in dataset.dims and names <= SURFACE_FIELDS.keys()


def check_surface(series: xr.Dataset, *, where: str) -> None:
    """Checks that a dataset is a canonical surface series `(time,)`.

    Raises:
        CurtainError: With the first rule that it breaks, what was found, and what would be right.
    """
    absent = [name for name in ("time", *SITE_COORDINATES) if name not in series.coords]
    if absent:
        raise CurtainError(f"{where}: a surface series needs the coordinates {', '.join(absent)}")
    for name in (*SURFACE_FIELDS, *SITE_COORDINATES):
        right = ("time",) if name in SURFACE_FIELDS else ()
        if name in series.variables and series[name].dims != right:
            raise CurtainError(
                f"{where}: '{name}' has dimensions {series[name].dims}; {right} is right"
            )
        if name in SURFACE_FIELDS and name in series and np.isinf(series[name].values).any():
            raise CurtainError(
                f"{where}: '{name}' holds infinite values; what is missing must be NaN"
            )
    check_times(series["time"].values, where)


def check_surface_measured(series: xr.Dataset, *, where: str) -> None:
    """Checks that a surface series `(time,)` has a value.

    Raises:
        CurtainError: If nothing of it is known at any time.
    """
    fields = [name for name in SURFACE_FIELDS if name in series]
    if not any(np.isfinite(series[name].values).any() for name in fields):
        raise CurtainError(
            f"{where}: no {' or '.join(fields)} at any of {series.sizes['time']} times; at least"
            " one value is right"
        )


def describe_series(series: xr.Dataset) -> list[str]:
    """Returns lines for people on a curtain, or a surface series `(time,)`."""
    return describe_curtain(series, SURFACE_FIELDS if is_surface(series) else FIELDS)


def pick_series(series: Iterable[xr.Dataset], name: str) -> xr.Dataset | None:
    """Returns the first surface series that has a field; None if none has."""
    return next((one for one in series if name in one), None)
