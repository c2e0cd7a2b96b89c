"""ERA5 profiles: pressure levels of the Climate Data Store, model levels along a trajectory.

Pressure levels, as the store documents them: `t` [K], `q` [kg kg-1], `u`, `v` [m s-1] and the
geopotential `z` [m2 s-2] by time, level, latitude and longitude. Its files since 2024 have
`valid_time` and `pressure_level`; older ones `time`, `level`, numbers packed as shorts, and near
the present a dimension `expver` of which either entry is missing wherever the other is not. Heights
come from `z` alone and count from the sea; levels below the ground, where ERA5 extrapolates, are
kept. With the surface's geopotential in the same file (`z_sfc` or `geopotential_at_surface`)
heights count from the ground, and what is below it is missing.

Model levels along a trajectory, as measured: `Temp` [K], `SH` [kg kg-1], `U`, `V` [m s-1] and the
geopotential height `GEOS_HT` [m] above mean sea level, the lowest level first, `Time` running
backward from the end; the position of every hour goes with it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.state import geometric_height, height_of_geopotential
from blindzone.pipeline.readers._checks import check_dims, check_variables
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import is_missing, read_numbers, read_values
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._state import assemble_state
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import (
    DEGREES,
    EASTWARD,
    METRES,
    NORTHWARD,
    to_stated_units,
    to_units,
)

_FIELDS = {
    "temperature": "t",
    "specific_humidity": "q",
    "eastward_wind": "u",
    "northward_wind": "v",
}
_AXES = (("valid_time", "pressure_level"), ("time", "level"))
"""Time and level, in the newer files and in the older."""
_POSITION = ("latitude", "longitude")
_GROUND = ("z_sfc", "geopotential_at_surface")
_UNITS = {
    "t": "K",
    "q": "kg kg-1",
    "u": EASTWARD,
    "v": NORTHWARD,
    **dict.fromkeys(("z", *_GROUND), "m2 s-2"),
    **dict.fromkeys(("level", "pressure_level"), "hPa"),
}
_STATED_UNITS = {"latitude": DEGREES, "longitude": DEGREES}
_LARGEST_LONE_STEP = 0.5
"""A single point states no grid step [degree]; ERA5 comes on 0.25, its ensemble on 0.5."""

_TRAJECTORY_FIELDS = {
    "temperature": "Temp",
    "specific_humidity": "SH",
    "eastward_wind": "U",
    "northward_wind": "V",
}
_TRAJECTORY = ("Time", "Latitude", "Longitude", "GEOS_HT", *_TRAJECTORY_FIELDS.values())
_TRAJECTORY_UNITS = {
    "Temp": "K",
    "SH": "kg kg-1",
    "U": EASTWARD,
    "V": NORTHWARD,
    "GEOS_HT": METRES,
}
_TRAJECTORY_STATED_UNITS = {"Latitude": DEGREES, "Longitude": DEGREES}


def read_era5(path: Path) -> xr.Dataset:
    """Returns the native state curtain `(time, height)` of an ERA5 column or trajectory.

    Raises:
        SourceFileError: If the file cannot be read, covers more than one point, lacks a variable,
            or has units, times, heights or values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    raw = _read_raw(path)
    return _read_trajectory(raw, path) if "Temp" in raw.variables else _read_levels(raw, None, path)


def read_era5_at(path: Path, latitude: float, longitude: float) -> xr.Dataset:
    """Returns the native state curtain `(time, height)` of the column nearest to a position.

    Args:
        path: An ERA5 file on pressure levels, of one or many columns.
        latitude: In degrees north.
        longitude: In degrees east, 0 to 360 or -180 to 180 whichever the file has.

    Raises:
        SourceFileError: As `read_era5`, or if the nearest column is farther than one grid step
            away.
        CurtainError: If its times do not increase strictly.
    """
    raw = _read_raw(path)
    if "Temp" in raw.variables:
        raise SourceFileError(
            f"{path}: it follows a trajectory and has its own positions; a source without"
            " 'position' in the catalogue is right"
        )
    return _read_levels(raw, (latitude, longitude), path)


def _read_raw(path: Path) -> xr.Dataset:
    levels = (
        *(name for pair in _AXES for name in pair),
        *_POSITION,
        *_FIELDS.values(),
        "z",
        *_GROUND,
    )
    return read_numbers(path, (*levels, *_TRAJECTORY))


def _read_levels(raw: xr.Dataset, position: tuple[float, float] | None, path: Path) -> xr.Dataset:
    time, level = _AXES[0] if _AXES[0][0] in raw.variables else _AXES[1]
    check_variables(raw, (time, level, *_POSITION, "t"), "an ERA5 file on pressure levels", path)
    if "z" not in raw.variables:
        raise SourceFileError(
            f"{path}: it lacks the geopotential 'z', without which the heights of its pressure"
            " levels are not known; a file retrieved with 'geopotential' among its variables is"
            " right"
        )
    check_dims(raw, (time,), (time,), path)
    check_dims(raw, (level,), (level,), path)
    raw = to_stated_units(to_units(raw, _UNITS, path), _STATED_UNITS, path)
    column = _pick_column(raw, position, path)
    column, times = keep_sound(column, decode_times(column[time], path), path, dim=time)
    fields = {
        ours: _read_column(column[theirs], (time, level), path)
        for ours, theirs in _FIELDS.items()
        if theirs in column.variables
    }
    above_sea = height_of_geopotential(_read_column(column["z"], (time, level), path))
    ground = _find_ground(column, (time, level), path)
    latitude, longitude, _ = read_site(column, (*_POSITION, "altitude"), dim=time)
    if ground is not None:
        fields = {
            name: np.where(above_sea < ground, np.nan, values) for name, values in fields.items()
        }
    return assemble_state(
        fields,
        time=times,
        gate_height=above_sea - (ground or 0.0),
        site=(latitude, longitude, ground or 0.0),
        attrs=pick_provenance(column, {"instrument": "source", "references": "references"}),
        path=path,
    )


def _pick_column(raw: xr.Dataset, position: tuple[float, float] | None, path: Path) -> xr.Dataset:
    """Returns the dataset without latitude and longitude as dimensions."""
    axes = {name: np.atleast_1d(raw[name].values.astype(np.float64)) for name in _POSITION}
    for name, axis in axes.items():
        if raw[name].dims not in ((), (name,)) or axis.size == 0:
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {raw[name].dims}; a regular grid is right"
            )
    if position is None:
        if axes["latitude"].size * axes["longitude"].size > 1:
            spans = (f"{name} {axis.min():g} to {axis.max():g}" for name, axis in axes.items())
            raise SourceFileError(
                f"{path}: it covers {axes['latitude'].size} x {axes['longitude'].size} grid points"
                f" ({', '.join(spans)}); the source's 'position' in the catalogue must say which is"
                " meant"
            )
        nearest = dict.fromkeys(_POSITION, 0)
    else:
        nearest = {
            name: _find_nearest(axis, wanted, name, path)
            for (name, axis), wanted in zip(axes.items(), position, strict=True)
        }
    return raw.isel(nearest, missing_dims="ignore")


def _find_nearest(axis: np.ndarray, wanted: float, name: str, path: Path) -> int:
    """Returns the index of the grid point nearest to a coordinate [degree], within one step."""
    turn = 360.0 if name == "longitude" else np.inf
    distance = np.abs(axis - wanted)
    distance = np.minimum(distance % turn, turn - distance % turn)
    index = int(np.argmin(distance))
    step = float(np.median(np.abs(np.diff(axis)))) if axis.size > 1 else _LARGEST_LONE_STEP
    if not distance[index] <= step:
        raise SourceFileError(
            f"{path}: its nearest {name} to {wanted:g} is {axis[index]:g}, {distance[index]:g}"
            f" degrees away; at most one grid step ({step:g} degrees) is right"
        )
    return index


def _read_column(variable: xr.DataArray, dims: tuple[str, str], path: Path) -> np.ndarray:
    """Returns a variable's values `(time, level)`, NaN if missing, of any experiment version."""
    values = variable.copy(data=np.where(is_missing(variable), np.nan, variable.values))
    if (
        "expver" in values.dims
    ):  # final ERA5 first, then the preliminary ERA5T: one of them is missing at any time
        versions = [values.isel(expver=index) for index in range(values.sizes["expver"])]
        values = versions[0]
        for version in versions[1:]:
            values = values.where(values.notnull(), version)
    values = values.isel(
        {name: 0 for name, size in values.sizes.items() if name not in dims and size == 1}
    )
    if set(values.dims) != set(dims):
        raise SourceFileError(
            f"{path}: '{variable.name}' has dimensions {dict(variable.sizes)}; {dims} of one point"
            " and one member are right"
        )
    return np.asarray(values.transpose(*dims).values)


def _find_ground(column: xr.Dataset, dims: tuple[str, str], path: Path) -> float | None:
    """Returns the height [m] of the ground above mean sea level; None if not stated."""
    for name in _GROUND:
        if name in column.variables:
            geopotential = read_values(column, {name: name}, path)[name]
            if set(column[name].dims) <= {dims[0]} and np.isfinite(geopotential).all():
                return float(height_of_geopotential(np.median(geopotential)))
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {column[name].dims} and misses"
                f" {int(np.isnan(geopotential).sum())} values; one value, or one for every time, is"
                " right"
            )
    return None


def _read_trajectory(raw: xr.Dataset, path: Path) -> xr.Dataset:
    check_variables(raw, _TRAJECTORY, "an ERA5 file along a trajectory", path)
    check_dims(raw, ("GEOS_HT", *_TRAJECTORY_FIELDS.values()), ("time", "pressure"), path)
    check_dims(raw, ("Time",), ("time",), path)
    raw = to_units(raw, _TRAJECTORY_UNITS, path)
    raw = to_stated_units(raw, _TRAJECTORY_STATED_UNITS, path)
    raw = _place_along_time(raw, path)
    # A trajectory runs backward from its end, which is no fault.
    times = decode_times(raw["Time"], path)
    order = np.argsort(times, kind="stable")
    raw, times = keep_sound(raw.isel(time=order), times[order], path)
    height = geometric_height(read_values(raw, {"height": "GEOS_HT"}, path)["height"])
    latitude, longitude, _ = read_site(raw, ("Latitude", "Longitude", "altitude"))
    return assemble_state(
        read_values(raw, _TRAJECTORY_FIELDS, path),
        time=times,
        gate_height=height,
        site=(latitude, longitude, 0.0),
        attrs=pick_provenance(raw, {"instrument": "source"}),
        path=path,
    )


def _place_along_time(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """Returns the content with positions `(time,)`, which have a dimension of their own."""
    placed = {}
    for name in ("Latitude", "Longitude"):
        if raw[name].shape != raw["Time"].shape:
            raise SourceFileError(
                f"{path}: '{name}' has {raw[name].shape} values; one for each of the"
                f" {raw['Time'].size} times is right"
            )
        placed[name] = ("time", raw[name].values, raw[name].attrs)
    return raw.assign(placed)


def _recognises(header: Header) -> bool:
    on_levels = header.has(*_POSITION, "t") and any(header.has(*pair) for pair in _AXES)
    return on_levels or header.has(*_TRAJECTORY)


STATE = Reader(
    name="era5",
    title="an ERA5 profile file",
    read=read_era5,
    recognises=_recognises,
    read_at=read_era5_at,
)
