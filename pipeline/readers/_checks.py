"""What the readers share: checks of a raw file, missing values, times, the site, and the curtain made of them.

Every check raises a `SourceFileError` that names the file, what was found and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.pipeline.curtain import DIMS, SITE_COORDINATES, DetectionStatus, check_curtain
from blindzone.pipeline.errors import SourceFileError

METRES = ("m", "meters", "metres", "meter", "metre")
DBZ = ("dBZ", "dbz", "dBz")
METRES_PER_SECOND = ("m s-1", "m/s", "m s^-1")
"""Spellings of a unit; the first one is what a message calls right."""

_LARGEST_ZENITH_ANGLE = 5.0
"""Beyond this tilt [degree], range and height differ by more than 0.4 %, half a row at 10 km."""
_CREDIBLE_DBZ = (-120.0, 80.0)
_TIME_UNITS = re.compile(
    r"seconds since (?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<rest>\d{2}(?::\d{2}(?:\.\d+)?)?))?(?: ?(?:UTC|Z|[+-]?0{1,2}:?00))?$"
)
_CREDIBLE_TIMES = (np.datetime64("1970-01-01", "ms"), np.datetime64("2100-01-01", "ms"))


def check_variables(raw: xr.Dataset, required: tuple[str, ...], kind: str, path: Path) -> None:
    """Checks that a file has the variables that make it a file of its kind, such as 'a Cloudnet radar file'."""
    absent = [name for name in required if name not in raw.variables]
    if absent:
        raise SourceFileError(
            f"{path}: not {kind}: it lacks {', '.join(absent)} (has {sorted(map(str, raw.variables))})"
        )


def check_dims(raw: xr.Dataset, names: tuple[str, ...], dims: tuple[str, ...], path: Path) -> None:
    """Checks the dimensions of those of the named variables that the file has."""
    for name in names:
        if name in raw.variables and raw[name].dims != dims:
            raise SourceFileError(f"{path}: '{name}' has dimensions {raw[name].dims}; {dims} is right")


def check_units(raw: xr.Dataset, accepted: Mapping[str, tuple[str, ...]], path: Path) -> None:
    """Checks the units of those of the named variables that the file has, each against its accepted spellings."""
    for name, spellings in accepted.items():
        if name in raw.variables and raw[name].attrs.get("units") not in spellings:
            found = raw[name].attrs.get("units", "none at all")
            raise SourceFileError(f"{path}: '{name}' has units {found!r}; {spellings[0]!r} is right")


def check_zenith(zenith_angles: np.ndarray, path: Path) -> None:
    """Checks that the beam points upwards, by its zenith angles [degree] of any shape.

    NaN and fill values say nothing, and neither does an empty array.
    """
    angles = np.abs(zenith_angles)
    tilt = np.max(angles, where=angles < 360, initial=0.0)
    if tilt > _LARGEST_ZENITH_ANGLE:
        raise SourceFileError(
            f"{path}: the beam points {tilt:.1f} degrees off zenith; at most {_LARGEST_ZENITH_ANGLE:.0f} make a curtain"
        )


def check_elevation(raw: xr.Dataset, name: str, path: Path) -> None:
    """Checks that the beam points upwards, by the file's elevation angles [degree], where it has them."""
    if name in raw.variables:
        check_zenith(90.0 - raw[name].values.astype(np.float64), path)


def find_missing(variable: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two masks: literal NaN, and the fill value.

    Where the file declares NaN as its fill value the two cannot be told apart, and what the file declares wins.
    """
    values = variable.values
    fill = variable.attrs.get("_FillValue", variable.attrs.get("missing_value"))
    not_a_number = np.isnan(values)
    if fill is None:
        return not_a_number, np.zeros(values.shape, dtype=bool)
    if np.isnan(fill):
        return np.zeros(values.shape, dtype=bool), not_a_number
    return not_a_number, values == np.asarray(fill, dtype=values.dtype)


def is_missing(variable: xr.DataArray) -> np.ndarray:
    """Returns the mask of values that are NaN or the fill value."""
    not_a_number, fill = find_missing(variable)
    return np.asarray(not_a_number | fill)


def check_credible(reflectivity: np.ndarray, name: str, path: Path) -> None:
    """Checks that no reflectivity [dBZ] is beyond what any radar measures; NaN is skipped."""
    lowest, highest = _CREDIBLE_DBZ
    with np.errstate(invalid="ignore"):
        wrong = (reflectivity < lowest) | (reflectivity > highest)
    if wrong.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:.0f} to {highest:.0f} dBZ "
            f"(first: {reflectivity[wrong][0]:g}); an undeclared fill value or linear units would look like this"
        )


def parse_epoch(units: object, name: str, path: Path) -> np.datetime64:
    """Returns the instant that units such as 'seconds since 1970-01-01 00:00:00' count from, in milliseconds."""
    match = _TIME_UNITS.match(units) if isinstance(units, str) else None
    if match is None:
        found = repr(units) if units is not None else "none at all"
        raise SourceFileError(f"{path}: '{name}' has units {found}; 'seconds since YYYY-MM-DD hh:mm:ss' is right")
    day = f"{match['year']}-{int(match['month']):02d}-{int(match['day']):02d}"
    instant = day if match["hour"] is None else f"{day}T{int(match['hour']):02d}:{match['rest']}"
    try:
        return np.datetime64(instant, "ms")
    except ValueError as error:
        raise SourceFileError(f"{path}: '{name}' counts from {instant}, which is no date: {error}") from error


def decode_seconds(seconds: np.ndarray, epoch: np.datetime64, name: str, path: Path) -> np.ndarray:
    """Returns `datetime64[ns]` times, shape `(time,)`, of seconds since an epoch; missing seconds must be NaN.

    Rounded to milliseconds, which hides the noise that single precision puts on the time steps.
    """
    missing = np.isnan(seconds)
    if missing.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(missing.sum())} missing values; every profile needs its time"
        )
    first, last = ((limit - epoch) / np.timedelta64(1, "s") for limit in _CREDIBLE_TIMES)
    wrong = ~((seconds >= first) & (seconds < last))
    if wrong.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} times outside the years 1970 to 2099 "
            f"(first: {seconds[wrong][0]:g} seconds since {epoch}); an undeclared fill value or another epoch would "
            "look like this"
        )
    milliseconds = np.round(seconds * 1000).astype(np.int64).astype("timedelta64[ms]")
    return np.asarray((epoch + milliseconds).astype("datetime64[ns]"))


def find_site_value(raw: xr.Dataset, name: str) -> float:
    """Returns the median of a site's latitude, longitude or altitude, or NaN where the file does not say."""
    if name not in raw.variables:
        return float("nan")
    values = np.asarray(raw[name].values, dtype=np.float64).ravel()
    stated = values[np.isfinite(values) & (np.abs(values) < 1e6) & (values != -9999.0)]
    return float(np.median(stated)) if stated.size else float("nan")


def read_site_value(raw: xr.Dataset, name: str, path: Path) -> float:
    """Returns the same where the file must say."""
    value = find_site_value(raw, name)
    if np.isnan(value):
        raise SourceFileError(f"{path}: '{name}' holds no value; a fixed radar site is needed")
    return value


def pick_provenance(raw: xr.Dataset, names: Mapping[str, str]) -> dict[str, str]:
    """Returns the file's attributes under our names, given as `{ours: theirs}`; empty ones are left out."""
    found = {ours: str(raw.attrs.get(theirs, "")).strip() for ours, theirs in names.items()}
    return {ours: value for ours, value in found.items() if value}


def build_curtain(
    fields: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: tuple[float, float, float],
    attrs: Mapping[str, str],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain.

    Args:
        fields: Arrays of shape `(time, height)`: `reflectivity` [dBZ], NaN without echo; `no_data`, true where the
            radar delivered nothing; optionally `doppler_velocity` [m s-1], positive away from the radar, of which the
            part without echo is dropped.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height above the radar [m], shape `(height,)`.
        site: Latitude, longitude and altitude; NaN where the file does not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        CurtainError: If the times or heights do not increase strictly, or another rule of the canonical form is broken.
    """
    echo = ~np.isnan(fields["reflectivity"])
    status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    status[fields["no_data"] & ~echo] = DetectionStatus.NO_DATA
    variables = {
        "reflectivity": (DIMS, fields["reflectivity"].astype(np.float32)),
        "detection_status": (DIMS, status),
    }
    if "doppler_velocity" in fields:
        velocity = np.where(echo, fields["doppler_velocity"], np.nan)
        variables["doppler_velocity"] = (DIMS, velocity.astype(np.float32))
    coordinates = {"time": time, "height": height.astype(np.float64)} | dict(zip(SITE_COORDINATES, site, strict=True))
    curtain = xr.Dataset(variables, coordinates, attrs)
    check_curtain(curtain, where=str(path))
    return curtain
