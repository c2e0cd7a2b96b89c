"""Times of raw files: epochs, steps, rounding, and times that cannot be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._times import (
    check_calendar,
    decode_seconds,
    decode_times,
    parse_epoch,
)

FILE = Path("a.nc")


@pytest.mark.parametrize(
    ("units", "epoch"),
    [
        ("seconds since 1970-01-01", "1970-01-01T00:00"),
        ("seconds since 2001-1-1 6:30:00", "2001-01-01T06:30"),
        ("seconds since 2021-03-14T12:00:00.5Z", "2021-03-14T12:00:00.500"),
        ("seconds since 2021-03-14 00:00:00 +00:00", "2021-03-14T00:00"),
        ("seconds since 2019-05-29 00:00:00 0:00", "2019-05-29T00:00"),
    ],
)
def test_epoch_is_read_from_the_units(units: str, epoch: str) -> None:
    assert parse_epoch(units, "time", FILE) == np.datetime64(epoch, "ms")


@pytest.mark.parametrize(
    ("units", "says"),
    [
        (None, "units none at all"),
        (5, "units 5"),
        ("hours since 1970-01-01", "'seconds since YYYY-MM-DD hh:mm:ss' is right"),
        ("seconds since 1970-01-01 00:00:00 +01:00", "is right"),
        ("seconds since 2021-02-30", "counts from 2021-02-30, which is no date"),
    ],
)
def test_units_without_an_instant_in_utc_are_rejected(units: Any, says: str) -> None:
    with pytest.raises(SourceFileError, match=rf"a\.nc: 'time' .*{says}"):
        parse_epoch(units, "time", FILE)


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


def make_time(values: list[float], units: Any, **attrs: Any) -> xr.DataArray:
    return xr.DataArray(np.array(values), dims="time", name="time", attrs={"units": units} | attrs)


@pytest.mark.parametrize("units", ["seconds", "minutes", "hours", "days"])
def test_numbers_count_steps_of_their_units(units: str) -> None:
    time = make_time([0.0, 1.5], f"{units} since 2021-03-14 00:00:00")
    seconds = {"seconds": 1.5, "minutes": 90, "hours": 5400, "days": 129_600}[units]
    found = decode_times(time, FILE) - np.datetime64("2021-03-14", "ns")
    assert found.tolist() == [0, int(seconds * 1e9)]


def test_step_that_the_file_s_kind_does_not_use_is_rejected() -> None:
    with pytest.raises(SourceFileError, match="has units 'days since 2021-03-14'; 'hours since"):
        decode_times(make_time([0.0], "days since 2021-03-14"), FILE, steps=("hours",))


def test_time_that_is_missing_or_cannot_be_right_is_not_known() -> None:
    time = make_time([0.0, -9999.0, np.nan, 1e30, 1, 2], "hours since 2021-03-14", _FillValue=-9999)
    assert np.isnat(decode_times(time, FILE)).tolist() == [False, True, True, True, False, False]


@pytest.mark.parametrize("calendar", ["standard", "Gregorian", "proleptic_gregorian"])
def test_calendars_of_utc_pass(calendar: str) -> None:
    check_calendar(make_time([0.0], "hours", calendar=calendar), FILE)


@pytest.mark.parametrize("calendar", ["noleap", "julian", 4])
def test_other_calendars_are_rejected(calendar: Any) -> None:
    with pytest.raises(SourceFileError, match=rf"'time' has calendar {calendar!r}; 'standard' is"):
        check_calendar(make_time([0.0], "hours", calendar=calendar), FILE)
