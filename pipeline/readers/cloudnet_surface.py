"""Cloudnet Level 1b files of instruments at the surface: weather station and disdrometer.

Layout: CloudnetPy (Tukiainen et al. 2020, doi 10.21105/joss.02123), one UTC day a file, one value a
minute by `time`; the global attribute `cloudnet_file_type` says which of the two it is. A minute
that is not there was not measured: it stays a gap.

A Parsivel writes -9.999 dBZ where it counted no particle, the least of its range: no reflectivity.
Its `state_sensor` is 0 or 1 (dirty, but measuring); from 2 on it cannot measure.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.curtains.findings import with_count
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS, check_surface
from blindzone.pipeline.readers._checks import check_dims, check_variables
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import are_within, read_integers, read_numbers, read_values
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import ABOVE_SEA, DEGREES, to_stated_units, to_units

_KIND = "cloudnet_file_type"
_STATE = "state_sensor"
_NO_MEASUREMENT = 2
_NO_PARTICLE_DBZ = -9.99
_STATION_FIELDS = (
    "air_temperature",
    "relative_humidity",
    "air_pressure",
    "wind_speed",
    "wind_direction",
    "rainfall_rate",
    "rainfall_amount",
)
_DISDROMETER_FIELDS = (
    "rainfall_rate",
    "snowfall_rate",
    "radar_reflectivity",
    "visibility",
    "n_particles",
)
_SITE_UNITS = {"latitude": DEGREES, "longitude": DEGREES, "altitude": ABOVE_SEA}
_PROVENANCE = {
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}


def read_cloudnet_weather_station(path: Path) -> xr.Dataset:
    """Returns the surface series `(time,)` of a Cloudnet weather station.

    Raises:
        SourceFileError: If the file cannot be read, has none of the quantities, or has units, times
            or values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    return _assemble(*_read(path, _STATION_FIELDS, "a Cloudnet weather station file"), path)


def read_cloudnet_disdrometer(path: Path) -> xr.Dataset:
    """Returns the surface series `(time,)` of a Cloudnet disdrometer.

    Raises:
        SourceFileError: If the file cannot be read, has none of the quantities, or has units, times
            or values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    raw, time = _read(path, _DISDROMETER_FIELDS, "a Cloudnet disdrometer file")
    series = _assemble(raw, time, path)
    if "radar_reflectivity" in series:
        echo = series["radar_reflectivity"]
        series = series.assign(radar_reflectivity=echo.where(echo > _NO_PARTICLE_DBZ))
    if _STATE not in raw:
        return series
    blind = read_integers(raw[_STATE], path) >= _NO_MEASUREMENT
    attrs = with_count(series.attrs, "the disdrometer cannot measure", int(blind.sum()))
    return series.where(xr.DataArray(~blind, dims="time")).assign_attrs(attrs)


def _read(path: Path, fields: tuple[str, ...], kind: str) -> tuple[xr.Dataset, np.ndarray]:
    """Returns a file's content in our units and its times `(time,)`, of the sound minutes."""
    raw = read_numbers(path, ("time", *fields, _STATE, *SITE_COORDINATES))
    check_variables(raw, ("time",), kind, path)
    if not any(name in raw.variables for name in fields):
        raise SourceFileError(f"{path}: not {kind}: it has none of {', '.join(fields)}")
    check_dims(raw, ("time", *fields, _STATE), ("time",), path)
    wanted = {name: SURFACE_FIELDS[name].units for name in fields}
    raw = to_stated_units(to_units(raw, wanted, path), _SITE_UNITS, path)
    return keep_sound(raw, decode_times(raw["time"], path), path)


def _assemble(raw: xr.Dataset, time: np.ndarray, path: Path) -> xr.Dataset:
    """Returns the checked surface series `(time,)` of a file's content."""
    values = read_values(raw, {name: name for name in SURFACE_FIELDS}, path)
    for name in values:
        _check_credible(values[name], name, path)
    site = dict(zip(SITE_COORDINATES, _read_fixed_site(raw), strict=True))
    series = xr.Dataset(
        {name: ("time", one.astype(np.float32)) for name, one in values.items()},
        {"time": time, **site},
        pick_provenance(raw, _PROVENANCE),
    )
    check_surface(series, where=str(path))
    return series


def _read_fixed_site(raw: xr.Dataset) -> tuple[float, ...]:
    """Returns latitude, longitude [degree] and altitude [m], each the median where it varies."""
    latitude, longitude, altitude = SITE_COORDINATES
    site = read_site(raw, (latitude, longitude, altitude))
    return tuple(float(np.median(part)) for part in site)


def _check_credible(values: np.ndarray, name: str, path: Path) -> None:
    lowest, highest = SURFACE_FIELDS[name].credible
    if are_within(values, lowest, highest):
        return
    wrong = values[(values < lowest) | (values > highest)]
    raise SourceFileError(
        f"{path}: '{name}' holds {wrong.size} values outside {lowest:g} to {highest:g}"
        f" {SURFACE_FIELDS[name].units} (first: {wrong[0]:g}); an undeclared fill value or another"
        " unit would look like this"
    )


def _recognises(kind: str, header: Header) -> bool:
    return header.has("time") and header.attributes.get(_KIND) == kind


WEATHER_STATION = Reader(
    name="cloudnet_weather_station",
    title="a Cloudnet weather station file",
    read=read_cloudnet_weather_station,
    recognises=partial(_recognises, "weather-station"),
)
DISDROMETER = Reader(
    name="cloudnet_disdrometer",
    title="a Cloudnet disdrometer file",
    read=read_cloudnet_disdrometer,
    recognises=partial(_recognises, "disdrometer"),
)
