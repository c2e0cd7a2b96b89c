"""Times of raw files: steps, instants, offsets, calendars, and times that cannot be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._times import (
    check_calendar,
    decode_day,
    decode_seconds,
    decode_times,
    parse_instant,
    parse_time_units,
)

FILE = Path("a.nc")
STEPS = {
    "nanoseconds": 1e-9,
    "us": 1e-6,
    "milliseconds": 1e-3,
    "msec": 1e-3,
    "s": 1,
    "sec": 1,
    "Seconds": 1,
    "min": 60,
    "minutes": 60,
    "h": 3600,
    "hrs": 3600,
    "Hours": 3600,
    "days": 86_400,
    "d": 86_400,
}
"""In seconds."""


def make_time(values: Any, units: Any, **attrs: Any) -> xr.DataArray:
    return xr.DataArray(np.array(values), dims="time", name="time", attrs={"units": units} | attrs)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01", "1970-01-01T00:00"),
        ("1970-1-1 0:0:0", "1970-01-01T00:00"),
        ("1970-1-1 0:00:00 0:00", "1970-01-01T00:00"),
        ("2001-1-1 6:30:00", "2001-01-01T06:30"),
        ("2021-03-14T12:00:00.5Z", "2021-03-14T12:00:00.500"),
        ("2021-03-14 00:00:00 +00:00", "2021-03-14T00:00"),
        ("2021-03-14 00:00:00 +0:00", "2021-03-14T00:00"),
        ("2021-03-14 00:00:00 -0:00", "2021-03-14T00:00"),
        ("2021-03-14 00:00 UTC", "2021-03-14T00:00"),
        ("2021-03-14 00:00:00 (GMT)", "2021-03-14T00:00"),
        ("2021-03-14 00", "2021-03-14T00:00"),
        ("2020-03-13-18", "2020-03-13T18:00"),
        ("20210314", "2021-03-14T00:00"),
        ("20210314T061500", "2021-03-14T06:15"),
        ("2021/3/14", "2021-03-14T00:00"),
        ("2001.01.01. 00:00:00", "2001-01-01T00:00"),
        ("01.02.2001", "2001-02-01T00:00"),
        ("14-MAR-2021 06:00:00", "2021-03-14T06:00"),
        ("March 14, 2021", "2021-03-14T00:00"),
        ("the Unix epoch", "1970-01-01T00:00"),
        # What a clock ahead of UTC shows, UTC has yet to reach.
        ("2021-03-14 00:00:00 +01:00", "2021-03-13T23:00"),
        ("2021-03-14 00:00:00 -6:00", "2021-03-14T06:00"),
        ("2021-03-14 00:00:00 +0530", "2021-03-13T18:30"),
        ("2021-03-14T00:00:00UTC+2", "2021-03-13T22:00"),
        ("2021-03-14 09:00 JST", "2021-03-14T00:00"),
    ],
)
def test_instant_is_read_in_any_spelling(text: str, instant: str) -> None:
    assert parse_instant(text) == np.datetime64(instant, "ms")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2021-02-30", "is no date"),
        ("2021-13-01", "is no date"),
        ("2021-03-14 25:00", "is no time of day"),
        ("2021-03-14 00:00:61", "is no time of day"),
        ("2021-03-14 00:00:00 +15:00", "no offset from UTC"),
        ("2021-03-14 00:00:00 EST", "is no instant in UTC"),
        ("01/02/2021", "is no instant in UTC"),
        ("21-14-03 and more", "is no instant in UTC"),
        ("base_time", "is no instant in UTC"),
    ],
)
def test_instant_that_is_none_or_means_two_is_rejected(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_instant(text)


@given(
    instant=st.datetimes(datetime(1950, 1, 1), datetime(2049, 12, 31)),
    minutes=st.integers(-14 * 60, 14 * 60),
    form=st.sampled_from(
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S", "%d-%b-%Y %H:%M:%S"]
    ),
    colon=st.booleans(),
)
def test_clock_of_any_zone_is_the_same_instant(
    instant: datetime, minutes: int, form: str, colon: bool
) -> None:
    utc = instant.replace(microsecond=0, tzinfo=UTC)
    local = utc.astimezone(timezone(timedelta(minutes=minutes)))
    zone = local.strftime("%z")
    spelled = f"{local.strftime(form)} {zone[:3] + ':' + zone[3:] if colon else zone}"
    assert parse_instant(spelled) == np.datetime64(utc.replace(tzinfo=None), "ms")


@given(
    seconds=st.integers(0, 86_399_999).map(lambda milliseconds: milliseconds / 1000),
    step=st.sampled_from(sorted(STEPS)),
    since=st.sampled_from(["since", "after", "from", "@"]),
    epoch=st.sampled_from(["2021-03-14", "2021-3-14 0:0:0", "2021-03-14T00:00:00Z", "14.03.2021"]),
)
def test_any_spelling_of_a_time_is_the_same_time(
    seconds: float, step: str, since: str, epoch: str
) -> None:
    time = make_time([seconds / STEPS[step]], f"{step} {since} {epoch}")
    expected = np.datetime64("2021-03-14", "ns") + np.timedelta64(round(seconds * 1000), "ms")
    assert decode_times(time, FILE) == expected


@pytest.mark.parametrize(
    "units",
    [
        "julian day",
        "Julian Date",
        "JD",
        "days since -4713-11-24 12:00:00",
        "days since -4712-01-01 12:00:00 UTC",
    ],
)
def test_julian_days_count_from_noon_of_their_first(units: str) -> None:
    # JD 2451545.0 is 2000-01-01 12:00, the epoch J2000.
    assert decode_times(make_time([2_451_545.0], units), FILE) == np.datetime64("2000-01-01T12:00")


def test_modified_julian_days_count_from_midnight() -> None:
    assert decode_times(make_time([51_544.0], "MJD"), FILE) == np.datetime64("2000-01-01")


@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian"])
def test_epoch_before_the_gregorian_calendar_is_of_the_file_s_calendar(calendar: str) -> None:
    units = "hours since 0001-01-01 00:00:00"
    expected = cftime.num2date(17_715_000, units, calendar=calendar)
    found = decode_times(make_time([17_715_000], units, calendar=calendar), FILE)[0]
    assert str(found)[:19] == expected.isoformat()


def test_whole_nanoseconds_keep_their_milliseconds() -> None:
    # Of 2**53 and more, double precision skips some.
    since = np.datetime64("2021-03-14T06:00:00.123", "ns").astype(np.int64)
    found = decode_times(make_time([since], "nanoseconds since 1970-01-01"), FILE)
    assert found == np.datetime64("2021-03-14T06:00:00.123", "ns")


@pytest.mark.parametrize(
    ("units", "says"),
    [
        (None, "units none at all"),
        (5, "units '5'"),
        ("hours", "names no instant to count from"),
        ("months since 1970-01-01", "'months' is no step of fixed length"),
        ("metres since 1970-01-01", "'metres' is no step of fixed length"),
        ("seconds since 2021-02-30", "'2021-02-30' is no date"),
        ("seconds since base_time", "'base_time' is no instant in UTC"),
    ],
)
def test_units_without_a_step_or_an_instant_are_rejected(units: Any, says: str) -> None:
    with pytest.raises(SourceFileError, match=rf"a\.nc: 'time' has .* is right: .*{says}|{says}"):
        decode_times(make_time([0.0], units), FILE)


def test_units_of_a_layout_count_where_the_file_states_none() -> None:
    found = decode_times(make_time([1.0], None), FILE, assumed="seconds since 1970-01-01")
    assert found == np.datetime64("1970-01-01T00:00:01")


def test_seconds_are_rounded_to_milliseconds() -> None:
    epoch = np.datetime64("2021-03-14", "ms")
    found = decode_seconds(np.array([0.0004, 9.0006]), epoch, "time", FILE)
    assert found.dtype == np.dtype("datetime64[ns]")
    assert (found - np.datetime64("2021-03-14", "ns")).tolist() == [0, 9_001_000_000]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        ([0.0, np.nan, np.nan], "holds 2 missing values of 3; every profile needs its time"),
        ([-1.0], "1 times outside the years 1970 to 2099 .first: -1 seconds"),
        ([9.9e36, 0.0, 9.9e36], "2 times outside"),
        ([np.inf], "1 times outside"),
    ],
)
def test_times_of_which_most_cannot_be_right_are_rejected(seconds: list[float], says: str) -> None:
    with pytest.raises(SourceFileError, match=says):
        decode_seconds(np.array(seconds), np.datetime64("1970-01-01", "ms"), "time", FILE)


def test_time_that_is_missing_or_cannot_be_right_is_not_known() -> None:
    time = make_time([0.0, -9999.0, np.nan, 1e30, 1, 2], "hours since 2021-03-14", _FillValue=-9999)
    assert np.isnat(decode_times(time, FILE)).tolist() == [False, True, True, True, False, False]


def test_day_keeps_what_rounds_to_its_midnight() -> None:
    found = decode_day(make_time([23.9, 24.0], "hours since 2021-03-14"), FILE)
    assert found[1] == np.datetime64("2021-03-14T23:59:59.999")


def test_time_of_another_day_is_not_known() -> None:
    found = decode_day(make_time([22.0, 23.0, 24.5], "hours since 2021-03-14"), FILE)
    assert np.isnat(found).tolist() == [False, False, True]


def test_day_may_count_from_any_instant() -> None:
    found = decode_day(make_time([18_700.5, 18_700.75], "days since 1970-01-01"), FILE)
    assert found[0] == np.datetime64("1970-01-01T12:00") + np.timedelta64(18_700, "D")


@pytest.mark.parametrize(
    ("values", "units", "says"),
    [
        ([1.0, 2.0, 24.0], "days since 2021-03-14", "2 times are outside the file's day"),
        (np.linspace(0, 24, 9540), "seconds since 2021-03-14", "a profile every 0.0025 s"),
    ],
)
def test_day_in_another_unit_is_rejected(values: Any, units: str, says: str) -> None:
    with pytest.raises(SourceFileError, match=says):
        decode_day(make_time(values, units), FILE)


@pytest.mark.parametrize("calendar", ["standard", "Gregorian", "proleptic_gregorian"])
def test_calendars_of_utc_pass(calendar: str) -> None:
    check_calendar(make_time([0.0], "hours", calendar=calendar), FILE)


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "365_day", "none", 4])
def test_other_calendars_are_rejected(calendar: Any) -> None:
    with pytest.raises(SourceFileError, match=rf"'time' has calendar {calendar!r}; 'standard' is"):
        check_calendar(make_time([0.0], "hours", calendar=calendar), FILE)


def test_julian_calendar_is_read_where_the_epoch_tells_that_it_is_meant() -> None:
    days = make_time([2_451_545.0], "days since -4712-01-01 12:00:00", calendar="julian")
    assert decode_times(days, FILE) == np.datetime64("2000-01-01T12:00")
    with pytest.raises(SourceFileError, match="a Julian calendar is 13 days off, if it is meant"):
        decode_times(make_time([0.0], "hours since 2021-03-14", calendar="julian"), FILE)


def test_step_of_no_unit_is_none() -> None:
    assert float(parse_time_units("hours since 2021-03-14").step) == 3600
    with pytest.raises(ValueError, match="no step of fixed length"):
        parse_time_units("years since 2021-03-14")
