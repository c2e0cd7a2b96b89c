"""What a picture shows: spans of time in all spellings, heights, and names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.selection import find_heights, find_names, select_time

HOURLY = xr.Dataset(coords={"time": np.arange("2021-03-14", "2021-03-16", dtype="M8[h]")})
"""Two days, a profile an hour: 48."""
SIX, NINE = datetime(2021, 3, 14, 6), datetime(2021, 3, 14, 9)


def find_hours(time: Any) -> list[int]:
    """Returns the first and last hour selected, since the first midnight."""
    hours = (select_time(HOURLY, time)["time"] - HOURLY["time"][0]) / np.timedelta64(1, "h")
    return [int(hours[0]), int(hours[-1])]


@pytest.mark.parametrize(
    "time",
    [
        (SIX, NINE),
        slice(SIX, NINE),
        [SIX.replace(tzinfo=UTC), NINE],
        (datetime(2021, 3, 14, 8, tzinfo=timezone(timedelta(hours=2))), NINE),
        ("2021-03-14T06:00", "2021-03-14T09:00"),
        ("2021-03-14 06:00", "2021-03-14T09:00Z"),
        ("2021-03-14T04:00-02:00", np.datetime64("2021-03-14T09:30")),
        ("2021-03-14T05:01", "2021-03-14T09"),  # nine o'clock, all of it
    ],
    ids=str,
)
def test_three_hours_in_many_spellings(time: Any) -> None:
    assert find_hours(time) == [6, 9]


@pytest.mark.parametrize("day", ["2021-03-15", date(2021, 3, 15), np.datetime64("2021-03-15")])
def test_a_day_is_all_of_it(day: Any) -> None:
    assert find_hours((day, day)) == [24, 47]
    assert find_hours(("2021-03-14", day)) == [0, 47]


def test_one_text_names_a_span() -> None:
    assert find_hours("2021-03-15") == [24, 47]
    assert find_hours("2021-03") == [0, 47]


def test_open_ends_reach_to_the_first_and_last_profile() -> None:
    assert find_hours((None, SIX)) == [0, 6]
    assert find_hours(slice(NINE, None)) == [9, 47]
    assert select_time(HOURLY, None) is HOURLY


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (
            ("2022-01-01", "2022-01-02"),
            "no profile is between 2022-01-01 and 2022-01-02; the times from"
            " 2021-03-14T00:00:00 to 2021-03-15T23:00:00",
        ),
        ((NINE, SIX), "no profile is between"),
        (("breakfast", "lunch"), "is no span of time: .*; two times such as"),
        ((SIX,), "a slice, or a first and a last time, is right"),
        (SIX, "a slice, or a first and a last time, is right"),
        (6, "time 6: a slice, or a first and a last time, is right"),
    ],
)
def test_other_spans_are_rejected_with_what_there_is(time: Any, reason: str) -> None:
    with pytest.raises(ProductError, match=reason):
        select_time(HOURLY, time)


def test_heights_are_a_top_or_a_pair() -> None:
    assert find_heights(4000) == (None, 4000.0)
    assert find_heights((250, 4000.0)) == (250.0, 4000.0)
    assert find_heights([-100, 10]) == (-100.0, 10.0)


@pytest.mark.parametrize(
    "height",
    [0, -1, np.nan, np.inf, (3, 3), (4, 3), (1, 2, 3), (), (1,), "low", ("a", 3), (0, None)],
)
def test_other_heights_are_rejected(height: Any) -> None:
    with pytest.raises(ProductError, match=r"a top above 0 m, or a lower and a higher height"):
        find_heights(height)


def test_names_are_one_or_several_of_the_known() -> None:
    assert find_names("b", ["a", "b"], "product") == ["b"]
    assert find_names(("b", "a"), ["a", "b"], "product") == ["b", "a"]
    with pytest.raises(ProductError, match=r"no 'c' and no 'd' can be .* product; .* are: a, b"):
        find_names(["a", "c", "d"], ["a", "b"], "product")
    with pytest.raises(ProductError, match="no variable can be drawn of this curtain"):
        find_names([], ["a"], "curtain")
