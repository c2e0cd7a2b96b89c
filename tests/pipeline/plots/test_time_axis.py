"""Axes of time: round clock times, days where there are several, and the days of a title."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blindzone.pipeline.plots.time_axis import (
    describe_days,
    label_distances,
    label_times,
)


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure().subplots()
    return axes


def labels_of(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def times_of(start: str, hours: float, count: int = 2) -> np.ndarray:
    span = np.linspace(0, 3.6e12 * hours, count).astype("timedelta64[ns]")
    return np.datetime64(start, "ns") + span


def label(ax: Axes, times: np.ndarray, first_hour: float, hours: float) -> list[str]:
    label_times(ax, (first_hour, first_hour + hours), times)
    return labels_of(ax)


def test_hours_are_labelled_by_the_least_round_step_of_twelve_at_most(ax: Axes) -> None:
    # Three hours: 12 quarters of an hour, and both ends.
    found = label(ax, times_of("2021-03-14T06:00", 3), 6, 3)
    assert found[:3] == ["06:00", "06:15", "06:30"]
    assert (len(found), found[-1]) == (13, "09:00")
    assert ax.get_xticks()[1] == pytest.approx(6.25)


def test_seconds_and_their_parts_are_labelled(ax: Axes) -> None:
    assert label(ax, times_of("2021-03-14T06:00", 1 / 360), 6, 1 / 360)[:2] == [
        "06:00:00",
        "06:00:01",
    ]
    assert label(ax, times_of("2021-03-14T06:00", 1 / 3600), 6, 1 / 3600)[1] == "06:00:00.100"


def test_days_are_named_at_midnight_where_there_are_several(ax: Axes) -> None:
    found = label(ax, times_of("2021-03-14", 48), 0, 48)
    assert [text for text in found if "\n" in text] == [
        f"00:00\n2021-03-{day}" for day in (14, 15, 16)
    ]
    assert found[1] == "06:00"
    assert label(ax, times_of("2021-03-14", 24), 0, 24)[0] == "00:00"


def test_weeks_are_labelled_by_days_alone(ax: Axes) -> None:
    found = label(ax, times_of("2021-03-01", 24 * 20), 0, 24 * 20)
    assert found[:2] == ["2021-03-01", "2021-03-03"]


def test_hour_just_before_the_first_profile_is_labelled(ax: Axes) -> None:
    # The first column begins 2 s after midnight.
    found = label(ax, times_of("2021-03-14T00:00:06", 6), 2 / 3600, 6)
    assert found[0] == "00:00"
    assert ax.get_xlim()[0] == 0


def test_one_profile_is_labelled_with_its_own_time(ax: Axes) -> None:
    assert label(ax, times_of("2021-03-14T06:00:30", 0, count=1), 6, 1 / 60) == ["06:00:30"]


def test_day_is_labelled_with_clock_times(ax: Axes) -> None:
    found = label(ax, times_of("2021-03-14", 24), 0, 24)
    assert found == [*(f"{hour:02d}:00" for hour in range(0, 24, 2)), "00:00"]


def make_track(distances_m: list[float]) -> xr.Dataset:
    times = times_of("2021-03-14", 1, count=len(distances_m))
    return xr.Dataset({"along_track_distance": ("time", distances_m)}, {"time": times})


def test_distances_lie_where_their_profiles_do(ax: Axes) -> None:
    ax.set_xlim(0, 1)
    label_distances(ax, make_track([0.0, 50_000.0, 200_000.0]))  # profiles at 0, 0.5 and 1 h
    (upper,) = ax.child_axes
    at = dict(zip(labels_of(upper), upper.get_xticks(), strict=True))  # type: ignore[arg-type]
    # Linear between profiles: 20 km is 0.4 of the first half hour, 100 km a third of the second.
    assert at["20"] == pytest.approx(0.2)
    assert at["100"] == pytest.approx(0.5 + 0.5 / 3)


@pytest.mark.parametrize("distances", [[0.0], [0.0, np.nan, 2.0], [0.0, 2.0, 1.0]])
def test_distances_that_do_not_rise_are_left_out(ax: Axes, distances: list[float]) -> None:
    label_distances(ax, make_track(distances))
    assert not ax.child_axes


def test_days_are_described_by_the_first_and_the_last() -> None:
    assert describe_days(times_of("2021-03-14T03:00", 5)) == "2021-03-14"
    assert describe_days(times_of("2021-03-14T23:00", 2)) == "2021-03-14 to 2021-03-15"
    assert describe_days(times_of("2021-03-14", 24)) == "2021-03-14"  # its last profile at midnight
    assert describe_days(times_of("2021-03-14", 0, count=1)) == "2021-03-14"
