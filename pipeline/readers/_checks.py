"""Shared by the readers: checks of a raw file, missing values, times, the site, the curtain.

Every check raises a `SourceFileError` that names the file, what was found and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    SITE_COORDINATES,
    DetectionStatus,
    check_curtain,
)
from blindzone.pipeline.readers._netcdf import read_netcdf

METRES = ("m", "meters", "metres", "meter", "metre")
DBZ = ("dBZ", "dbz", "dBz")
METRES_PER_SECOND = ("m s-1", "m/s", "m s^-1")
DEGREES = (
    "degree",
    "degrees",
    "deg",
    *(f"degree{s}_{direction}" for direction in ("north", "east", "N", "E") for s in ("", "s")),
)
"""Spellings of a unit; the first one is what a message calls right."""

_LARGEST_ZENITH_ANGLE = 5.0
"""Beyond this tilt [degree], range and height differ by more than 0.4 %, half a row at 10 km."""
_CREDIBLE_DBZ = (-120.0, 80.0)
LARGEST_SPEED = 150.0
"""Beyond any fall speed, wind or folding interval [m s-1]; undeclared fill values are far
beyond."""
_CREDIBLE_SITE = {
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 360.0),
    "alt": (-500.0, 9000.0),
    "msl": (-500.0, 9000.0),
}
"""By the first three letters of a name; what is outside is a fill value."""
_COMMON_PROVENANCE = {
    "title": ("title",),
    "institution": ("institution",),
    "creator": ("creator_name", "creator"),
    "publisher": ("publisher_name", "publisher"),
    "license": ("license", "licence"),
}
"""Attributes of a curtain by those of CF 1.11 and ACDD 1.3, with the British spelling."""
_FREQUENCY = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[kMG]?Hz)")
_GHZ_PER = {"GHz": 1.0, "MHz": 1e-3, "kHz": 1e-6, "Hz": 1e-9}
_CREDIBLE_GHZ = (0.1, 1000.0)
"""From wind profilers to beyond G band."""
_FILL_ATTRIBUTES = ("_FillValue", "missing_value")
_PACKING_ATTRIBUTES = ("scale_factor", "add_offset", "_Unsigned")
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_TIME_UNITS = re.compile(
    r"seconds since (?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<rest>\d{2}(?::\d{2}(?:\.\d+)?)?))?(?:"
    r" ?(?:UTC|Z|[+-]?0{1,2}:?00))?$"
)
_SECONDS_OF = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
_CREDIBLE_TOP_M = (100.0, 200_000.0)
"""Of the highest level or gate: that of a model, 80 km, is below in km, and that of the least
lidar beyond in mm."""
_CREDIBLE_TIMES = (np.datetime64("1970-01-01", "ms"), np.datetime64("2100-01-01", "ms"))


def read_numbers(path: Path, names: tuple[str, ...]) -> xr.Dataset:
    """Returns the named variables that a file has, as numbers; packed integers unpacked.

    Raises:
        SourceFileError: If the file cannot be read, or a variable holds no numbers, has a fill
            value that is none, or is packed in a way that cannot be undone.
    """
    raw = read_netcdf(path, names)
    present = [name for name in names if name in raw.variables]
    for name in present:
        _check_numbers(raw[name], path)
    packed = [
        name for name in present if any(key in raw[name].attrs for key in _PACKING_ATTRIBUTES)
    ]
    return raw.assign({name: _unpack(raw[name], path) for name in packed})


def _check_numbers(variable: xr.DataArray, path: Path) -> None:
    if variable.dtype.kind not in "iuf":
        raise SourceFileError(
            f"{path}: '{variable.name}' holds values of type {variable.dtype}; numbers are right"
        )
    for key in _FILL_ATTRIBUTES:
        fill = variable.attrs.get(key, 0)
        if np.asarray(fill).dtype.kind not in "iuf":
            raise SourceFileError(
                f"{path}: '{variable.name}' has {key} {fill!r}; a number is right"
            )


def _unpack(variable: xr.DataArray, path: Path) -> xr.Variable:
    """Returns values * scale_factor + add_offset (CF 1.11, section 8.1), NaN where missing."""
    attrs = {key: value for key, value in variable.attrs.items() if key not in _PACKING_ATTRIBUTES}
    factors = [
        np.asarray(variable.attrs.get(key, default))
        for key, default in (("scale_factor", 1), ("add_offset", 0))
    ]
    stated = {key: variable.attrs[key] for key in _PACKING_ATTRIBUTES if key in variable.attrs}
    sound = all(
        factor.dtype.kind in "iuf" and factor.size == 1 and np.isfinite(factor).all()
        for factor in factors
    )
    if not sound or not factors[0].any() or "_Unsigned" in stated:
        raise SourceFileError(
            f"{path}: '{variable.name}' is packed with {stated}; finite numbers, scale_factor not"
            " zero, are right"
        )
    scale, offset = (float(factor.item()) for factor in factors)
    if (scale, offset) == (1.0, 0.0):
        return xr.Variable(variable.dims, variable.values, attrs)
    if variable.dtype.kind == "f":  # NaN for no data would look like an unpacked fill value
        raise SourceFileError(
            f"{path}: '{variable.name}' is packed as {variable.dtype}; packed integers are right"
        )
    values = np.where(is_missing(variable), np.nan, variable.values * scale + offset)
    kept = {key: value for key, value in attrs.items() if key not in _FILL_ATTRIBUTES}
    return xr.Variable(variable.dims, values, kept | {"_FillValue": np.nan})


def check_variables(raw: xr.Dataset, required: tuple[str, ...], kind: str, path: Path) -> None:
    """Checks that a file has the variables of its kind, such as 'a Cloudnet radar file'."""
    absent = [name for name in required if name not in raw.variables]
    if absent:
        raise SourceFileError(
            f"{path}: not {kind}: it lacks {', '.join(absent)} (has"
            f" {sorted(map(str, raw.variables))})"
        )


def check_dims(raw: xr.Dataset, names: tuple[str, ...], dims: tuple[str, ...], path: Path) -> None:
    """Checks the dimensions of those of the named variables that the file has."""
    for name in names:
        if name in raw.variables and raw[name].dims != dims:
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {raw[name].dims}; {dims} is right"
            )


def check_units(raw: xr.Dataset, accepted: Mapping[str, tuple[str, ...]], path: Path) -> None:
    """Checks the units of those named variables that the file has, by accepted spellings."""
    for name, spellings in accepted.items():
        if name in raw.variables:
            found = raw[name].attrs.get("units", "none at all")
            if not isinstance(found, str) or found not in spellings:
                raise SourceFileError(
                    f"{path}: '{name}' has units {found!r}; {spellings[0]!r} is right"
                )


def check_stated_units(
    raw: xr.Dataset, accepted: Mapping[str, tuple[str, ...]], path: Path
) -> None:
    """Checks the same of variables whose units a file may leave out, such as those of the site."""
    stated = {
        name: units
        for name, units in accepted.items()
        if name in raw and "units" in raw[name].attrs
    }
    check_units(raw, stated, path)


def check_calendar(time: xr.DataArray, path: Path) -> None:
    """Checks that the times, if they name a calendar, name that of UTC."""
    found = time.attrs.get("calendar", _CALENDARS[0])
    if not isinstance(found, str) or found.lower() not in _CALENDARS:
        raise SourceFileError(
            f"{path}: '{time.name}' has calendar {found!r}; {_CALENDARS[0]!r} is right"
        )


def check_zenith(zenith_angles: np.ndarray, path: Path) -> None:
    """Checks that the beam points upwards, by its zenith angles [degree] of any shape.

    NaN and fill values say nothing, and neither does an empty array.
    """
    angles = np.abs(zenith_angles)
    tilt = np.max(angles, where=angles < 360, initial=0.0)
    if tilt > _LARGEST_ZENITH_ANGLE:
        raise SourceFileError(
            f"{path}: the beam points {tilt:.1f} degrees off zenith; at most"
            f" {_LARGEST_ZENITH_ANGLE:.0f} make a curtain"
        )


def check_elevation(raw: xr.Dataset, name: str, path: Path) -> None:
    """Checks that the beam points upwards, by the file's elevation angles [degree] if any."""
    if name in raw.variables:
        check_zenith(90.0 - raw[name].values.astype(np.float64), path)


def find_missing(variable: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two masks: literal NaN, and the fill value.

    Where the file declares NaN as its fill value the two are the same, and count as the fill value.
    """
    values = variable.values
    not_a_number, fill = np.isnan(values), np.zeros(values.shape, dtype=bool)
    for declared in (
        np.ravel(variable.attrs[key]) for key in _FILL_ATTRIBUTES if key in variable.attrs
    ):
        with np.errstate(over="ignore", invalid="ignore"):
            own = declared.astype(values.dtype)
        # A fill value of another type may be one that an integer cannot hold.
        for code in own if values.dtype.kind == "f" else own[own == declared]:
            fill |= values == code  # one pass each; np.isin takes ten
        if np.isnan(declared).any():
            not_a_number, fill = np.zeros(values.shape, dtype=bool), fill | not_a_number
    return not_a_number, fill


def is_missing(variable: xr.DataArray) -> np.ndarray:
    """Returns the mask of values that are NaN or the fill value."""
    not_a_number, fill = find_missing(variable)
    return np.asarray(not_a_number | fill)


def check_credible(
    reflectivity: np.ndarray, name: str, path: Path, limits: tuple[float, float] = _CREDIBLE_DBZ
) -> None:
    """Checks that reflectivity [dBZ] is within limits, by default of any radar; NaN is skipped."""
    lowest, highest = limits
    if _within(reflectivity, lowest, highest):
        return
    with np.errstate(invalid="ignore"):
        wrong = (reflectivity < lowest) | (reflectivity > highest)
    raise SourceFileError(
        f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:.0f} to {highest:.0f}"
        f" dBZ (first: {reflectivity[wrong][0]:g}); an undeclared fill value or linear units would"
        " look like this"
    )


def _within(values: np.ndarray, lowest: float, highest: float) -> bool:
    """Returns whether all values but NaN are within limits, without an array in between."""
    smallest = np.fmin.reduce(values, axis=None, initial=np.inf)
    largest = np.fmax.reduce(values, axis=None, initial=-np.inf)
    return bool(smallest >= lowest and largest <= highest)


def has_neighbour(mask: np.ndarray) -> np.ndarray:
    """Returns where at least one of the eight neighbours of a pixel is set."""
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.asarray(
        np.logical_or.reduce([padded[i : i + rows, j : j + columns] for i, j in shifts])
    )


def check_top(height: np.ndarray, path: Path) -> None:
    """Checks that the highest of some heights [m], of any shape, is credible; NaN is skipped.

    Raises:
        SourceFileError: If it is too low, as in km, or too high, as in mm.
    """
    lowest, highest = _CREDIBLE_TOP_M
    top = float(np.fmax.reduce(height, axis=None, initial=-np.inf))
    if height.size and not lowest <= top <= highest:
        raise SourceFileError(
            f"{path}: its heights end at {top:g} m; {lowest:g} to {highest:g} m is right, and"
            " heights in km or mm would look like this"
        )


def parse_epoch(units: object, name: str, path: Path) -> np.datetime64:
    """Returns the instant that units like 'seconds since 1970-01-01' count from, to the ms."""
    match = _TIME_UNITS.match(units) if isinstance(units, str) else None
    if match is None:
        found = repr(units) if units is not None else "none at all"
        raise SourceFileError(
            f"{path}: '{name}' has units {found}; 'seconds since YYYY-MM-DD hh:mm:ss' is right"
        )
    day = f"{match['year']}-{int(match['month']):02d}-{int(match['day']):02d}"
    instant = day if match["hour"] is None else f"{day}T{int(match['hour']):02d}:{match['rest']}"
    try:
        return np.datetime64(instant, "ms")
    except ValueError as error:
        raise SourceFileError(
            f"{path}: '{name}' counts from {instant}, which is no date: {error}"
        ) from error


def decode_seconds(seconds: np.ndarray, epoch: np.datetime64, name: str, path: Path) -> np.ndarray:
    """Returns `datetime64[ns]` times `(time,)` of seconds since an epoch, NaN where missing.

    Rounded to milliseconds, which hides the noise that single precision puts on the time steps.
    """
    missing = np.isnan(seconds)
    if missing.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(missing.sum())} missing values; every profile needs its"
            " time"
        )
    first, last = ((limit - epoch) / np.timedelta64(1, "s") for limit in _CREDIBLE_TIMES)
    wrong = ~((seconds >= first) & (seconds < last))
    if wrong.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} times outside the years 1970 to 2099"
            f" (first: {seconds[wrong][0]:g} seconds since {epoch}); an undeclared fill value or"
            " another epoch would look like this"
        )
    milliseconds = np.round(seconds * 1000).astype(np.int64).astype("timedelta64[ms]")
    return np.asarray((epoch + milliseconds).astype("datetime64[ns]"))


def find_site_value(raw: xr.Dataset, name: str) -> float:
    """Returns the median of a site's latitude, longitude or altitude; NaN if not stated."""
    if name not in raw.variables:
        return float("nan")
    values = np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64)).ravel()
    lowest, highest = _CREDIBLE_SITE[name[:3].lower()]
    stated = values[(values >= lowest) & (values <= highest)]
    return float(np.median(stated)) if stated.size else float("nan")


def read_site_value(raw: xr.Dataset, name: str, path: Path) -> float:
    """Returns the same where the file must say."""
    value = find_site_value(raw, name)
    if np.isnan(value):
        raise SourceFileError(f"{path}: '{name}' holds no value; a fixed radar site is needed")
    return value


def pick_provenance(raw: xr.Dataset, names: Mapping[str, str]) -> dict[str, str]:
    """Returns origin and terms as the file states them; empty ones are left out.

    Args:
        raw: The file's content.
        names: Attributes of the file's kind, as `{ours: theirs}`. Those of CF and ACDD (title,
            institution, creator, publisher, license) are taken in any case.
    """
    spellings = _COMMON_PROVENANCE | {ours: (theirs,) for ours, theirs in names.items()}
    found = {
        ours: next((text for name in theirs if (text := _read_text(raw, name))), "")
        for ours, theirs in spellings.items()
    }
    return {ours: text for ours, text in found.items() if text}


def _read_text(raw: xr.Dataset, attribute: str) -> str:
    return str(raw.attrs.get(attribute, "")).strip()


def pick_frequency(raw: xr.Dataset, *names: str) -> dict[str, float]:
    """Returns the radar frequency as the curtain attribute `frequency_ghz`, if the file states one.

    Args:
        raw: The file's content.
        names: Variables or global attributes that may state it, the first one that does counts. A
            variable needs units of frequency, an attribute is text such as `34.83 GHz`.
    """
    found = (_find_ghz(raw, name) for name in names)
    frequency = next((ghz for ghz in found if ghz is not None), None)
    return {} if frequency is None else {"frequency_ghz": round(frequency, 4)}


def _find_ghz(raw: xr.Dataset, name: str) -> float | None:
    if name in raw.variables:
        values = raw[name].values[~is_missing(raw[name])].astype(np.float64)
        unit = str(raw[name].attrs.get("units", ""))
    else:
        match = _FREQUENCY.fullmatch(_read_text(raw, name))
        values, unit = (
            (np.array([float(match["number"])]), match["unit"]) if match else (np.empty(0), "")
        )
    ghz = np.unique(values) * _GHZ_PER.get(unit, np.nan)
    lowest, highest = _CREDIBLE_GHZ
    return float(ghz[0]) if ghz.size == 1 and lowest <= ghz[0] <= highest else None


def _check_credible_velocity(velocity: np.ndarray, path: Path) -> None:
    if not _within(velocity, -LARGEST_SPEED, LARGEST_SPEED):
        wrong = np.abs(velocity) > LARGEST_SPEED
        raise SourceFileError(
            f"{path}: {int(wrong.sum())} Doppler velocities exceed {LARGEST_SPEED:.0f} m s-1"
            f" (first: {velocity[wrong][0]:g}); an undeclared fill value or another unit would look"
            " like this"
        )


def build_curtain(
    fields: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: tuple[float, float, float],
    attrs: Mapping[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain.

    Args:
        fields: Arrays of shape `(time, height)`: `reflectivity` [dBZ], NaN without echo; `no_data`,
            true where the radar delivered nothing; optionally `doppler_velocity` [m s-1], positive
            away from the radar, of which the part without echo is dropped.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height above the radar [m], shape `(height,)`.
        site: Latitude, longitude and altitude; NaN where the file does not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        SourceFileError: If a velocity is beyond what any radar measures.
        CurtainError: If the times or heights do not increase strictly, or another rule of the
            canonical form is broken.
    """
    # A day holds some 10 million gates: no array is copied, or made of wider numbers, without need.
    echo = ~np.isnan(fields["reflectivity"])
    status = np.full(echo.shape, DetectionStatus.NO_ECHO, dtype=np.int8)
    np.copyto(status, np.int8(DetectionStatus.ECHO), where=echo)
    status[fields["no_data"] & ~echo] = DetectionStatus.NO_DATA
    variables: dict[str, np.ndarray] = {
        "reflectivity": fields["reflectivity"].astype(np.float32, copy=False),
        "detection_status": status,
    }
    if "doppler_velocity" in fields:
        velocity = fields["doppler_velocity"]
        if not np.all(np.isnan(velocity) | echo):
            velocity = np.where(echo, velocity, np.nan)
        _check_credible_velocity(velocity, path)
        variables["doppler_velocity"] = velocity.astype(np.float32, copy=False)
    return assemble_curtain(variables, time=time, height=height, site=site, attrs=attrs, path=path)


def assemble_curtain(
    variables: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: tuple[float | np.ndarray, float | np.ndarray, float | np.ndarray],
    attrs: Mapping[str, Any],
    path: Path,
    track: Mapping[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """Returns the checked native curtain of variables that are as the canonical form wants them.

    Args:
        variables: Arrays `(time, height)` under the canonical names.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height [m] above the ground at the instrument, shape `(height,)`; nominal where
            there is `gate_height`.
        site: Latitude, longitude and altitude, each a number or `(time,)`; NaN where the file does
            not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.
        track: Coordinates of a spaceborne curtain, `(time,)`.

    Raises:
        CurtainError: If a rule of the canonical form is broken.
    """
    coordinates: dict[str, Any] = {"time": time, "height": np.asarray(height, dtype=np.float64)}
    for name, value in zip(SITE_COORDINATES, site, strict=True):
        coordinates[name] = value if np.ndim(value) == 0 else ("time", value)
    coordinates |= {name: ("time", values) for name, values in (track or {}).items()}
    curtain = xr.Dataset(
        {name: (DIMS, values) for name, values in variables.items()}, coordinates, dict(attrs)
    )
    check_curtain(curtain, where=str(path))
    return curtain


def decode_times(
    time: xr.DataArray, path: Path, *, steps: tuple[str, ...] = tuple(_SECONDS_OF)
) -> np.ndarray:
    """Returns `datetime64[ns]` times `(time,)` of numbers whose units name a step and an epoch.

    Args:
        time: The variable.
        path: The file, for messages.
        steps: The steps that a file of its kind may count in; a wrong one could pass for right in a
            short file.

    Raises:
        SourceFileError: If the units are not one of the steps since an instant in UTC, or a time is
            missing or not credible.
    """
    units = time.attrs.get("units")
    step, separator, rest = units.partition(" since ") if isinstance(units, str) else ("", "", "")
    if not separator or step not in steps:
        found = repr(units) if units is not None else "none at all"
        raise SourceFileError(
            f"{path}: '{time.name}' has units {found}; '{' or '.join(steps)} since YYYY-MM-DD"
            " hh:mm:ss' is right"
        )
    check_calendar(time, path)
    epoch = parse_epoch(f"seconds since {rest}", str(time.name), path)
    numbers = np.where(is_missing(time), np.nan, time.values.astype(np.float64))
    return decode_seconds(numbers * _SECONDS_OF[step], epoch, str(time.name), path)


def find_position(raw: xr.Dataset, name: str) -> float | np.ndarray:
    """Returns latitude, longitude or altitude: a number, or `(time,)` of a moving platform.

    NaN where the file does not say, or says what cannot be.
    """
    if name in raw.variables and raw[name].dims == ("time",):
        lowest, highest = _CREDIBLE_SITE[name[:3].lower()]
        values = np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64))
        values[~((values >= lowest) & (values <= highest))] = np.nan
        if np.any(values != values[:1]):
            return values
    return find_site_value(raw, name)


def read_values(raw: xr.Dataset, names: Mapping[str, str], path: Path) -> dict[str, np.ndarray]:
    """Returns those variables that a file has, as `{ours: theirs}`, NaN where they are missing.

    Raises:
        SourceFileError: If one holds infinite values.
    """
    present = {ours: raw[theirs] for ours, theirs in names.items() if theirs in raw.variables}
    for variable in present.values():
        if np.isinf(variable.values).any():
            raise SourceFileError(
                f"{path}: '{variable.name}' holds infinite values; what is missing must be NaN"
            )
    return {
        ours: np.where(is_missing(variable), np.nan, variable.values)
        for ours, variable in present.items()
    }
