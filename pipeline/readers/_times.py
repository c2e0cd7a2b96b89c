"""Times of a raw file, as UTC."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import is_mostly

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_TIME_UNITS = re.compile(
    r"seconds since (?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<rest>\d{2}(?::\d{2}(?:\.\d+)?)?))?(?:"
    r" ?(?:UTC|Z|[+-]?0{1,2}:?00))?$"
)
_SECONDS_OF = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
_CREDIBLE_TIMES = (np.datetime64("1970-01-01", "ms"), np.datetime64("2100-01-01", "ms"))


def check_calendar(time: xr.DataArray, path: Path) -> None:
    """Checks that times `(time,)`, if they name a calendar, name that of UTC."""
    found = time.attrs.get("calendar", _CALENDARS[0])
    if not isinstance(found, str) or found.lower() not in _CALENDARS:
        raise SourceFileError(
            f"{path}: '{time.name}' has calendar {found!r}; {_CALENDARS[0]!r} is right"
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
    """Returns `datetime64[ns]` times `(time,)` of seconds since an epoch, NaT where not known.

    Rounded to milliseconds, which hides the noise that single precision puts on the time steps.

    Args:
        seconds: Since the epoch, NaN where missing.
        epoch: The instant that they count from.
        name: Variable in the file.
        path: The file, for messages.

    Raises:
        SourceFileError: If most of them are missing, or not credible.
    """
    missing = np.isnan(seconds)
    if is_mostly(missing):
        raise SourceFileError(
            f"{path}: '{name}' holds {int(missing.sum())} missing values of {missing.size}; every"
            " profile needs its time"
        )
    first, last = ((limit - epoch) / np.timedelta64(1, "s") for limit in _CREDIBLE_TIMES)
    credible = (seconds >= first) & (seconds < last)
    wrong = ~credible & ~missing
    if is_mostly(wrong):
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} times outside the years 1970 to 2099"
            f" (first: {seconds[wrong][0]:g} seconds since {epoch}); an undeclared fill value or"
            " another epoch would look like this"
        )
    milliseconds = np.round(np.where(credible, seconds, 0) * 1000).astype(np.int64)
    times = (epoch + milliseconds.astype("timedelta64[ms]")).astype("datetime64[ns]")
    return np.asarray(np.where(credible, times, np.datetime64("NaT")))


def decode_times(
    time: xr.DataArray, path: Path, *, steps: tuple[str, ...] = tuple(_SECONDS_OF)
) -> np.ndarray:
    """Returns `datetime64[ns]` times `(time,)` of numbers whose units name a step and an epoch.

    NaT where a time is not known.

    Args:
        time: The variable.
        path: The file, for messages.
        steps: The steps that a file of its kind may count in; a wrong one could pass for right in a
            short file.

    Raises:
        SourceFileError: If the units are not one of the steps since an instant in UTC, or most of
            the times are missing or not credible.
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
