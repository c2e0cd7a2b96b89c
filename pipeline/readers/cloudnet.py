"""Cloudnet Level 1b radar files: calibrated reflectivity on native gates, one UTC day a file.

Layout: cloudnetpy (Tukiainen et al. 2020, doi 10.21105/joss.02123). `Zh(time, range)` [dBZ] and `v(time, range)`
[m s-1, positive away from the radar]; the fill value stands for no echo; `time` counts hours from the midnight that its
units name; `range` is the distance from the radar [m].
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.pipeline.curtain import DIMS, DetectionStatus, check_curtain
from blindzone.pipeline.errors import SourceFileError
from blindzone.pipeline.netcdf import read_netcdf

_REQUIRED = ("time", "range", "Zh", "latitude", "longitude", "altitude")
_OPTIONAL = ("v", "zenith_angle")
_UNITS = {
    "range": {"m", "metre", "metres", "meter", "meters"},
    "Zh": {"dBZ", "dbz"},
    "v": {"m s-1", "m/s", "m s^-1"},
}
_TIME_UNITS = re.compile(r"hours since (\d{4}-\d{2}-\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?(?: ?(?:\+00:00|UTC|Z))?$")
_LARGEST_ZENITH_ANGLE = 5.0
"""Beyond this tilt [degree], range and height differ by more than 0.4 %, half a row at 10 km."""
_CREDIBLE_DBZ = (-120.0, 80.0)


def read_cloudnet_radar(path: Path) -> xr.Dataset:
    """Returns the native curtain of a Cloudnet Level 1b radar file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or values that do not
            fit the layout.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_netcdf(path, (*_REQUIRED, *_OPTIONAL))
    _check_layout(raw, path)
    missing, fill = _missing(raw["Zh"])
    reflectivity = np.where(missing | fill, np.float32(np.nan), raw["Zh"].values.astype(np.float32))
    _check_credible(reflectivity, path)
    status = np.where(missing, DetectionStatus.NO_DATA, DetectionStatus.ECHO).astype(np.int8)
    status[fill] = DetectionStatus.NO_ECHO
    fields = {"reflectivity": (DIMS, reflectivity), "detection_status": (DIMS, status)}
    if "v" in raw:
        absent = np.logical_or(*_missing(raw["v"])) | np.isnan(reflectivity)
        fields["doppler_velocity"] = (DIMS, np.where(absent, np.float32(np.nan), raw["v"].values.astype(np.float32)))
    coordinates = {
        "time": _times(raw["time"], path),
        "height": raw["range"].values.astype(np.float64),
    } | {name: _site_value(raw, name, path) for name in ("latitude", "longitude", "altitude")}
    curtain = xr.Dataset(fields, coordinates, _provenance(raw))
    check_curtain(curtain, where=str(path))
    return curtain


def _check_layout(raw: xr.Dataset, path: Path) -> None:
    absent = [name for name in _REQUIRED if name not in raw.variables]
    if absent:
        raise SourceFileError(
            f"{path}: not a Cloudnet Level 1b radar file: it lacks {', '.join(absent)} "
            f"(has {sorted(map(str, raw.variables))})"
        )
    for name in ("Zh", "v"):
        if name in raw and raw[name].dims != ("time", "range"):
            raise SourceFileError(f"{path}: '{name}' has dimensions {raw[name].dims}; ('time', 'range') is right")
    for name, accepted in _UNITS.items():
        if name in raw.variables and raw[name].attrs.get("units") not in accepted:
            found = raw[name].attrs.get("units", "none at all")
            raise SourceFileError(f"{path}: '{name}' has units {found!r}; {sorted(accepted)[0]!r} is right")
    angles = np.abs(raw["zenith_angle"].values) if "zenith_angle" in raw else np.zeros(1)
    tilt = np.max(angles, where=angles < 360, initial=0.0)  # NaN and fill values say nothing
    if tilt > _LARGEST_ZENITH_ANGLE:
        raise SourceFileError(
            f"{path}: the beam points {tilt:.1f} degrees off zenith; at most {_LARGEST_ZENITH_ANGLE:.0f} make a curtain"
        )


def _missing(variable: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two masks: values that are not numbers (no data), and values equal to the fill value (no echo)."""
    values = variable.values
    fill = variable.attrs.get("_FillValue", variable.attrs.get("missing_value"))
    not_a_number = np.isnan(values)
    if fill is None:
        return not_a_number, np.zeros(values.shape, dtype=bool)
    if np.isnan(fill):  # no telling apart: what the file declares, wins
        return np.zeros(values.shape, dtype=bool), not_a_number
    return not_a_number, values == np.asarray(fill, dtype=values.dtype)


def _check_credible(reflectivity: np.ndarray, path: Path) -> None:
    lowest, highest = _CREDIBLE_DBZ
    with np.errstate(invalid="ignore"):
        wrong = (reflectivity < lowest) | (reflectivity > highest)
    if wrong.any():
        raise SourceFileError(
            f"{path}: 'Zh' holds {int(wrong.sum())} values outside {lowest:.0f} to {highest:.0f} dBZ "
            f"(first: {reflectivity[wrong][0]:g}); an undeclared fill value or linear units would look like this"
        )


def _times(time: xr.DataArray, path: Path) -> np.ndarray:
    units = time.attrs.get("units")
    match = _TIME_UNITS.match(units) if isinstance(units, str) else None
    if match is None:
        found = repr(units) if units is not None else "none at all"
        raise SourceFileError(f"{path}: 'time' has units {found}; 'hours since YYYY-MM-DD 00:00:00 +00:00' is right")
    hours = time.values.astype(np.float64)
    outside = ~((hours >= 0) & (hours <= 24))
    if outside.any():
        raise SourceFileError(
            f"{path}: {int(outside.sum())} times lie outside the file's day {match.group(1)} "
            f"(first: {hours[outside][0]:g} hours); 0 to 24 hours is right"
        )
    midnight = _midnight(match.group(1), path)
    # Hours in single precision are good to about 10 ms; rounding hides the noise that this puts on the time steps. A
    # profile of the day's last milliseconds may round to midnight, and stays in its day.
    milliseconds = np.minimum(np.round(hours * 3.6e6), 86_400_000 - 1).astype(np.int64)
    return np.asarray(midnight + milliseconds.astype("timedelta64[ms]"))


def _midnight(day: str, path: Path) -> np.datetime64:
    try:
        return np.datetime64(day, "ns")
    except ValueError as error:
        raise SourceFileError(f"{path}: 'time' counts from {day}, which is no date: {error}") from error


def _site_value(raw: xr.Dataset, name: str, path: Path) -> float:
    values = np.asarray(raw[name].values, dtype=np.float64).ravel()
    finite = values[np.isfinite(values) & (np.abs(values) < 1e6)]
    if finite.size == 0:
        raise SourceFileError(f"{path}: '{name}' holds no value; a fixed radar site is needed")
    return float(np.median(finite))


def _provenance(raw: xr.Dataset) -> dict[str, str]:
    names = {"instrument": "source", "site": "location", "file_uuid": "file_uuid", "references": "references"}
    return {ours: str(raw.attrs[theirs]) for ours, theirs in names.items() if theirs in raw.attrs}
