"""Times of a raw file, as UTC: any step since any instant, in any spelling of the two.

CF has its time units from UDUNITS: `hours since 2021-03-14 00:00:00 +00:00`. Read here is what the
field writes for it: other words, dates and clocks (`sec since 1970-1-1 0:0:0 0:00`, `days since
20210314`, `s since 01.01.2001`), offsets from UTC, which are applied, and Julian days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cftime
import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import is_mostly
from blindzone.pipeline.readers._units import find_unit_text, parse_unit

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian", "utc")
_CREDIBLE_TIMES = (np.datetime64("1970-01-01", "ms"), np.datetime64("2100-01-01", "ms"))
_DAY_HOURS = 24
_LEAST_STEP_S = 0.01
"""No profiler averages less: another unit, or times in too few digits, would look like this."""
_LARGEST_OFFSET_H = 14
"""From UTC, of any place."""

_JULIAN_DAY = (
    Fraction(86_400),
    np.datetime64("1970-01-01T12", "ms") - np.timedelta64(2_440_588, "D"),
)
_MODIFIED_JULIAN_DAY = (Fraction(86_400), np.datetime64("1858-11-17", "ms"))
_JULIAN_WORDS = re.compile(
    r"(?P<modified>modified\s+julian\s+da(y|te)s?|mjd)|(julian\s+da(y|te)s?|jd)", re.IGNORECASE
)
_JULIAN_EPOCH = re.compile(r"-471[234]-(0?1-0?1|11-24)[T ]12(:00?){0,2}(\.0*)?", re.IGNORECASE)
"""Noon on 1 January 4713 BC: of the Julian calendar or, in November, of the Gregorian one, with a
year zero or without."""
_GREGORIAN_START = np.datetime64("1582-10-15", "ms")
_SINCE = re.compile(r"(?P<step>.+?)\s+(since|after|from|ref)\s+(?P<instant>.+)", re.IGNORECASE)
_EPOCH_WORDS = re.compile(r"(the\s+)?(unix\s+)?epoch", re.IGNORECASE)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK = (
    r"(?:(?:\s*[T,\s]\s*|-)(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:[.,]\d*)?))?"
    r"|(?P<packed_minute>\d\d)(?P<packed_second>\d\d(?:\.\d*)?)?)?)?"
)
_ZONE = (
    r"[\s(]*(?P<zone>Z|UTC|GMT|UT|JST)?"
    r"(?:(?:\s*(?P<sign>[+-])\s*|\s+)(?P<zone_hour>\d{1,2})(?::?(?P<zone_minute>\d\d))?)?[\s).]*"
)
_INSTANTS = tuple(
    re.compile(date + _CLOCK + _ZONE, re.IGNORECASE)
    for date in (
        r"(?P<year>\d{4}|\d{1,3}(?=-))(?P<between>[-/.])(?P<month>\d{1,2})(?P=between)(?P<day>\d{1,2})\.?",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        r"(?P<day>\d{1,2})[\s-]+(?P<month>[a-z]{3,9})[\s,-]+(?P<year>\d{4})",
        r"(?P<month>[a-z]{3,9})\s+(?P<day>\d{1,2}),?\s+(?P<year>\d{4})",
    )
)
_ZONE_HOURS = {"jst": 9}


@dataclass(frozen=True)
class TimeUnits:
    """What times count.

    Attributes:
        step: Of one unit [s].
        epoch: From when they count [UTC], to the ms.
    """

    step: Fraction
    epoch: np.datetime64


def parse_time_units(text: str, calendar: str = "standard") -> TimeUnits:
    """Returns the step and the instant that units such as 'seconds since 1970-01-01' spell.

    Args:
        text: The units.
        calendar: Name of the calendar of the instant, as CF has it.

    Raises:
        ValueError: If the text is no step since an instant in UTC; it says why.
    """
    text = " ".join(text.replace("@", " since ").split())
    if words := _JULIAN_WORDS.fullmatch(text):
        return TimeUnits(*(_MODIFIED_JULIAN_DAY if words["modified"] else _JULIAN_DAY))
    parts = _SINCE.fullmatch(text)
    if parts is None:
        raise ValueError("it names no instant to count from")
    unit = parse_unit(parts["step"])
    if unit is None or unit.powers != (("s", 1),):
        raise ValueError(f"{parts['step']!r} is no step of fixed length")
    is_julian_day = _JULIAN_EPOCH.fullmatch(_strip_utc(parts["instant"])) is not None
    if calendar == "julian" and not is_julian_day:
        raise ValueError("a Julian calendar is 13 days off, if it is meant")
    epoch = _JULIAN_DAY[1] if is_julian_day else parse_instant(parts["instant"], calendar)
    return TimeUnits(unit.scale, epoch)


def parse_instant(text: str, calendar: str = "standard") -> np.datetime64:
    """Returns the instant [UTC], `datetime64[ms]`, that a text spells; its offset is applied.

    Raises:
        ValueError: If the text spells none.
    """
    text = text.strip()
    if _EPOCH_WORDS.fullmatch(text):
        return np.datetime64("1970-01-01", "ms")
    match = next((match for form in _INSTANTS if (match := form.fullmatch(text))), None)
    if match is None:
        raise ValueError(f"{text!r} is no instant in UTC")
    found = match.groupdict()
    minutes = _find_offset(found)
    local = _find_day(found, text, calendar) + _find_clock(found, text)
    return local - np.timedelta64(minutes, "m")


def _strip_utc(text: str) -> str:
    return re.sub(r"(\s+(UTC|GMT|[+-]?0?0:?00)|\+00:?00|\s*Z)$", "", text, flags=re.IGNORECASE)


def _find_day(found: dict[str, str | None], text: str, calendar: str) -> np.datetime64:
    month = found["month"] or ""
    number = int(month) if month.isdigit() else _MONTHS.get(month[:3].lower(), 0)
    year, day = int(found["year"] or 0), int(found["day"] or 0)
    try:
        date = np.datetime64(f"{year:04d}-{number:02d}-{day:02d}", "ms")
        if date >= _GREGORIAN_START or calendar == "proleptic_gregorian":
            return date
        mixed = cftime.datetime(year, number, day, calendar="standard")
        days = cftime.date2num(mixed, "days since 2000-01-01", calendar="standard")
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from error
    return np.datetime64("2000-01-01", "ms") + np.timedelta64(round(days), "D")


def _find_clock(found: dict[str, str | None], text: str) -> np.timedelta64:
    hour = int(found["hour"] or 0)
    minute = int(found["minute"] or found["packed_minute"] or 0)
    second = float((found["second"] or found["packed_second"] or "0").replace(",", "."))
    if hour > 23 or minute > 59 or second >= 60:
        raise ValueError(f"{text!r} is no time of day")
    return np.timedelta64((hour * 60 + minute) * 60_000 + round(second * 1000), "ms")


def _find_offset(found: dict[str, str | None]) -> int:
    """Returns how many minutes a clock is ahead of UTC."""
    hours, minutes = int(found["zone_hour"] or 0), int(found["zone_minute"] or 0)
    if hours > _LARGEST_OFFSET_H or minutes > 59:
        raise ValueError(f"{hours}:{minutes:02d} is no offset from UTC")
    sign = -1 if found["sign"] == "-" else 1
    zone = _ZONE_HOURS.get((found["zone"] or "").lower(), 0)
    return zone * 60 + sign * (hours * 60 + minutes)


def check_calendar(time: xr.DataArray, path: Path) -> str:
    """Returns the calendar of times `(time,)`, which must be that of UTC or Julian.

    Raises:
        SourceFileError: If it is another.
    """
    found = time.attrs.get("calendar", _CALENDARS[0])
    name = found.strip().lower() if isinstance(found, str) else ""
    if name not in (*_CALENDARS, "julian"):
        raise SourceFileError(
            f"{path}: '{time.name}' has calendar {found!r}; {_CALENDARS[0]!r} is right"
        )
    return name


def find_time_units(time: xr.DataArray, path: Path, *, assumed: str | None = None) -> TimeUnits:
    """Returns what times `(time,)` count.

    Args:
        time: The variable.
        path: The file, for messages.
        assumed: Units of a layout that need not state any.

    Raises:
        SourceFileError: If its units are no step since an instant in UTC, or its calendar is of a
            model.
    """
    calendar, text = check_calendar(time, path), find_unit_text(time) or assumed
    try:
        if text is None:
            raise ValueError("it names no instant to count from")
        return parse_time_units(text, calendar)
    except ValueError as error:
        found = repr(text) if text is not None else "none at all"
        raise SourceFileError(
            f"{path}: '{time.name}' has units {found}; 'seconds since YYYY-MM-DD hh:mm:ss', or"
            f" another step and instant in UTC, is right: {error}"
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
    return _decode(seconds, TimeUnits(Fraction(1), epoch), name, path)


def decode_times(time: xr.DataArray, path: Path, *, assumed: str | None = None) -> np.ndarray:
    """Returns `datetime64[ns]` times `(time,)` of numbers whose units name a step and an epoch.

    NaT where a time is not known.

    Args:
        time: The variable.
        path: The file, for messages.
        assumed: Units of a layout that need not state any.

    Raises:
        SourceFileError: If the units are not one of the steps since an instant in UTC, or most of
            the times are missing or not credible.
    """
    units = find_time_units(time, path, assumed=assumed)
    return _decode(_read_present(time), units, str(time.name), path)


def decode_day(time: xr.DataArray, path: Path) -> np.ndarray:
    """Returns `datetime64[ns]` times `(time,)` of a file that holds one UTC day.

    NaT where a time is not known or of another day. A profile of the day's last milliseconds may
    round to midnight, and stays in its day.

    Raises:
        SourceFileError: As `decode_times`, or if most times are outside of one day, or closer
            together than those of any profiler.
    """
    units = find_time_units(time, path)
    times = _decode(_read_present(time), units, str(time.name), path)
    known = times[~np.isnat(times)]
    if not known.size:
        return times
    day = _find_file_day(known, units.epoch)
    hours = (times - day) / np.timedelta64(1, "h")
    outside = (hours < 0) | (hours > _DAY_HOURS)
    if is_mostly(outside):
        raise SourceFileError(
            f"{path}: {int(outside.sum())} times are outside the file's day"
            f" {day.astype('datetime64[D]')} (first: {hours[outside][0]:g} hours); 0 to"
            f" {_DAY_HOURS} hours is right"
        )
    step_s = float(np.nanmax(hours) - np.nanmin(hours)) * 3600 / max(times.size - 1, 1)
    if 0 < step_s < _LEAST_STEP_S:
        raise SourceFileError(
            f"{path}: '{time.name}' has a profile every {step_s:.2g} s; {_LEAST_STEP_S:g} s and"
            " more is right, and another unit would look like this"
        )
    last = day + np.timedelta64(_DAY_HOURS * 3_600_000 - 1, "ms")
    return np.asarray(np.where(outside, np.datetime64("NaT"), np.minimum(times, last)))


def _find_file_day(times: np.ndarray, epoch: np.datetime64) -> np.datetime64:
    """Returns the midnight that times count from, if most are of that day, or else theirs."""
    middle: np.datetime64 = np.sort(times)[(times.size - 1) // 2]
    midnight = epoch.astype("datetime64[D]")
    is_day = epoch == midnight and 0 <= (middle - midnight) / np.timedelta64(1, "D") <= 1
    day = midnight if is_day else middle.astype("datetime64[D]")
    return np.datetime64(day, "ns")


def _read_present(time: xr.DataArray) -> np.ndarray:
    return np.where(is_missing(time), np.nan, time.values.astype(np.float64))


def _decode(numbers: np.ndarray, units: TimeUnits, name: str, path: Path) -> np.ndarray:
    missing = np.isnan(numbers)
    if is_mostly(missing):
        raise SourceFileError(
            f"{path}: '{name}' holds {int(missing.sum())} missing values of {missing.size}; every"
            " profile needs its time"
        )
    milliseconds = numbers * float(units.step * 1000)
    first, last = ((limit - units.epoch) / np.timedelta64(1, "ms") for limit in _CREDIBLE_TIMES)
    credible = (milliseconds >= first) & (milliseconds < last)
    wrong = ~credible & ~missing
    if is_mostly(wrong):
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} times outside the years 1970 to 2099"
            f" (first: {milliseconds[wrong][0] / 1000:g} seconds since {units.epoch}); an"
            " undeclared fill value or another epoch would look like this"
        )
    since = np.round(np.where(credible, milliseconds, 0)).astype(np.int64)
    times = (units.epoch + since.astype("timedelta64[ms]")).astype("datetime64[ns]")
    return np.asarray(np.where(credible, times, np.datetime64("NaT")))
