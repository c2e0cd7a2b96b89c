"""Positions: distances, movement, and curtains of one place or of one track."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.curtains.position import (
    HORIZONTAL_NOISE_M,
    LARGEST_PLATFORM_SPEED,
    align_positions,
    find_middle,
    find_other_place,
    is_moving,
    measure_track,
    moves,
)

METRES_PER_DEGREE = 110_574.0
"""Of latitude at the equator."""


def make_curtain(
    latitude: Any, longitude: Any = -30.0, altitude: Any = 5.0, *, first_s: int = 0
) -> xr.Dataset:
    """A curtain of which only times, every 10 s, and place matter."""
    count = max(np.size(latitude), np.size(longitude), 2)
    times = np.datetime64("2021-03-14", "ns") + np.timedelta64(1, "s") * (
        first_s + 10 * np.arange(count)
    )
    place = {"latitude": latitude, "longitude": longitude, "altitude": altitude}
    return xr.Dataset(
        coords={"time": times}
        | {name: (("time",)[: np.ndim(value)], value) for name, value in place.items()}
    )


@pytest.mark.parametrize(
    ("points", "metres"),
    [
        # Lengths of a degree on WGS84 (NGA tables): along the equator a * pi / 180, along the
        # meridian by a (1 - e2) / (1 - e2 sin2)^1.5 at its middle.
        (((0, 0), (0, 1)), 111_319.5),
        (((0, 10), (1, 10)), 110_574.3),
        (((45, -60), (46, -60)), 111_141.5),
        (((0, 179.5), (0, -179.5)), 111_319.5),
        (((0, 179.5), (0, 180.5)), 111_319.5),
        (((89.5, 0), (89.5, 180)), 111_693.9),
    ],
    ids=["equator", "meridian", "mid latitude", "date line", "longitudes to 360", "over the pole"],
)
def test_a_degree_on_the_ground_has_its_length_on_the_ellipsoid(
    points: tuple[tuple[float, float], tuple[float, float]], metres: float
) -> None:
    latitude, longitude = (np.array(values) for values in zip(*points, strict=True))
    assert measure_track(latitude, longitude) == pytest.approx([0, metres], abs=2)


def test_distance_counts_from_the_first_point_and_may_be_of_one() -> None:
    assert measure_track(np.array([10.0]), np.array([20.0])).tolist() == [0]
    assert measure_track(np.empty(0), np.empty(0)).size == 0
    distance = measure_track(np.arange(5) * 0.01, np.zeros(5))
    assert np.diff(distance) == pytest.approx(np.full(4, 1105.74), abs=0.02)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 360)), min_size=2, max_size=20))
def test_distance_never_falls_and_is_the_same_backwards(points: list[tuple[float, float]]) -> None:
    latitude, longitude = (np.array(values) for values in zip(*points, strict=True))
    there, back = measure_track(latitude, longitude), measure_track(latitude[::-1], longitude[::-1])
    assert (np.diff(there) >= 0).all()
    assert there[-1] == pytest.approx(back[-1])


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([10.0, 20, 60], 20),
        ([179.0, -179, 178], 179),
        ([359.0, 1, 2], 1),
        ([-179.0, 179.5, 179.9], 179.9),
        ([np.nan, 5], 5),
        ([], np.nan),
    ],
)
def test_middle_of_longitudes_is_among_them(values: list[float], middle: float) -> None:
    found = find_middle(np.array(values), turn=360.0)
    assert found == pytest.approx(middle, nan_ok=True)


def test_platform_moves_beyond_the_noise_of_its_fixes() -> None:
    noise = HORIZONTAL_NOISE_M / METRES_PER_DEGREE
    longitude = np.zeros(200)
    assert not moves(np.resize([0.0, 0.9 * noise], 200), longitude)
    assert moves(np.linspace(0, 3 * noise, 200), longitude)
    glitch = np.where(np.arange(200) == 7, 5.0, 0.0)
    assert not moves(glitch, longitude)
    assert not moves(np.full(3, np.nan), np.zeros(3))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (make_curtain(48.5), make_curtain(48.505), None),
        (make_curtain(48.5), make_curtain(48.52), ("latitude 48.5", "latitude 48.52")),
        (make_curtain(48.5, 179.999), make_curtain(48.5, -179.999), None),
        (make_curtain(48.5, 359.999), make_curtain(48.5, -0.001), None),
        (make_curtain(48.5), make_curtain(np.nan), ("latitude 48.5", "latitude nan")),
    ],
    ids=["noise", "other site", "date line", "other range", "unknown"],
)
def test_fixed_sites_are_one_within_a_hundredth_of_a_degree(
    one: xr.Dataset, other: xr.Dataset, found: tuple[str, str] | None
) -> None:
    assert find_other_place(one, other) == found


def test_platform_gets_from_file_to_file_at_the_speed_of_an_aircraft() -> None:
    before = make_curtain(np.array([10.0, 10.1]))  # ends after 10 s
    hour = LARGEST_PLATFORM_SPEED * 3600 / METRES_PER_DEGREE
    within = make_curtain(np.array([10.1 + 0.99 * hour, 20.0]), first_s=3610)
    beyond = make_curtain(np.array([10.1 + 1.02 * hour, 30.0]), first_s=3610)
    assert find_other_place(within, before) is None
    found = find_other_place(beyond, before)
    assert found is not None
    assert found[1] == "position 10.1000, -30.0000 at 2021-03-14T00:00:10Z"


def test_platform_without_any_fix_may_be_anywhere() -> None:
    adrift = make_curtain(np.full(2, np.nan), np.full(2, np.nan))
    assert find_other_place(adrift, make_curtain(np.array([10.0, 11.0]))) is None


def test_files_overlap_where_both_are_at_one_place() -> None:
    track = np.linspace(10, 10.3, 40)
    assert find_other_place(make_curtain(track[:30]), make_curtain(track[20:], first_s=200)) is None
    other_ship = make_curtain(track[20:] + 5, first_s=200)
    assert find_other_place(make_curtain(track[:30]), other_ship) is not None


def test_all_get_a_position_for_each_profile_where_one_moves() -> None:
    harbour = make_curtain(10.0, altitude=5.0)
    at_sea = make_curtain(np.array([10.0, 10.2, 10.4]), -30.0, altitude=6.0, first_s=100)
    aligned = align_positions([harbour, at_sea])
    assert all(map(is_moving, aligned))
    assert [one["latitude"].values.tolist() for one in aligned] == [[10, 10], [10, 10.2, 10.4]]
    assert [one["longitude"].dims for one in aligned] == [("time",)] * 2
    assert [one["altitude"].values.tolist() for one in aligned] == [5.0, 6.0]


def test_altitudes_of_a_platform_that_climbs_are_given_for_each_profile() -> None:
    valley = make_curtain(np.array([10.0, 10.2]), altitude=400.0)
    hill = make_curtain(np.array([10.2, 10.4]), altitude=900.0, first_s=100)
    aligned = align_positions([valley, hill])
    assert [one["altitude"].values.tolist() for one in aligned] == [[400, 400], [900, 900]]


def test_fixed_sites_stay_as_they_are() -> None:
    curtains = [make_curtain(10.0), make_curtain(10.001)]
    for before, after in zip(curtains, align_positions(curtains), strict=True):
        assert before.identical(after)


def test_pieces_of_one_track_follow_one_another() -> None:
    track = np.linspace(-179, -181, 90)
    pieces = [
        make_curtain(10.0, (track[n : n + 30] + 180) % 360 - 180, first_s=10 * n)
        for n in (0, 30, 60)
    ]
    assert [find_other_place(one, other) for one, other in pairwise(pieces)] == [None, None]
