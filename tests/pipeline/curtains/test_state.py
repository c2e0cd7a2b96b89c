"""Atmospheric state on a curtain: interpolation in height and time, and conversions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, check_curtain
from blindzone.pipeline.curtains.state import (
    geometric_height,
    height_of_geopotential,
    humidity_of_dew_point,
    interpolate_in_height,
    match_state,
    wind_components,
)

MIDNIGHT = np.datetime64("2021-03-14", "ns")


def make_state(hours: tuple[float, ...] = (0, 1, 2), *, altitude: float = 100.0) -> xr.Dataset:
    """Levels 0 to 5 km above ground at 100 m; temperature falls 6 K km-1 and rises 1 K h-1."""
    gate_height = np.tile(np.arange(0.0, 5001.0, 500.0), (len(hours), 1))
    gate_height[:, 1:] += np.asarray(hours)[:, np.newaxis]  # levels follow pressure: they wander
    temperature = 290 - 0.006 * (altitude + gate_height) + np.asarray(hours)[:, np.newaxis]
    times = MIDNIGHT + (np.asarray(hours) * 3600e9).astype("timedelta64[ns]")
    coordinates = {
        "time": times,
        "height": gate_height[0],
        "latitude": 48.7,
        "longitude": 2.2,
        "altitude": altitude,
    }
    fields = {
        "temperature": (DIMS, temperature.astype(np.float32)),
        "gate_height": (DIMS, gate_height),
    }
    return xr.Dataset(fields, coordinates)


def expect_temperature(curtain: xr.Dataset) -> np.ndarray:
    """What `make_state` says of any pixel, shape (time, height)."""
    hours = (curtain["time"].values - MIDNIGHT) / np.timedelta64(1, "h")
    above_sea = np.reshape(curtain["altitude"].values, (-1, 1)) + curtain["height"].values
    return np.asarray(290 - 0.006 * above_sea + hours[:, np.newaxis])


@given(
    st.lists(
        st.lists(st.integers(0, 2000), min_size=4, max_size=4, unique=True), min_size=1, max_size=5
    ),
    st.lists(st.integers(-100, 2100), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_profile_is_interpolated_as_numpy_does_it(
    levels: list[list[int]], rows: list[int], descending: bool
) -> None:
    level_height = np.sort(np.array(levels, dtype=np.float64), axis=1)
    values = np.sin(level_height)
    expected = [
        np.interp(rows, h, v, left=np.nan, right=np.nan)
        for h, v in zip(level_height, values, strict=True)
    ]
    order = slice(None, None, -1 if descending else 1)
    found = interpolate_in_height(
        values[:, order], level_height[:, order], np.array(rows, dtype=np.float64)
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_missing_values_spread_to_what_lies_between_them_and_their_neighbours() -> None:
    values = np.array([[1.0, np.nan, 3.0, 4.0]])
    level_height = np.array([[0.0, 10.0, 20.0, 30.0]])
    found = interpolate_in_height(
        values, level_height, np.array([0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
    )
    # Rows on a level need that level alone.
    np.testing.assert_array_equal(found, [[1.0, np.nan, np.nan, np.nan, 3.0, 3.5]])


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_levels_of_unknown_height_are_not_interpolated_across(order: slice) -> None:
    level_height = np.array([[np.nan, 10.0, np.nan, 30.0, 40.0], [np.nan] * 5])[:, order]
    values = np.where(np.isnan(level_height), np.nan, level_height / 10)
    found = interpolate_in_height(
        values, level_height, np.array([9.5, 10.0, 20.0, 30.0, 35.0, 41.0])
    )
    np.testing.assert_allclose(found[0], [np.nan, 1.0, np.nan, 3.0, 3.5, np.nan])
    assert np.isnan(found[1]).all()


def test_profiles_may_have_heights_of_their_own() -> None:
    level_height = np.array([[0.0, 100.0], [50.0, 150.0]])
    found = interpolate_in_height(
        level_height, level_height, np.array([[25.0, 75.0], [75.0, 125.0]])
    )
    np.testing.assert_allclose(found, [[25.0, 75.0], [75.0, 125.0]])


def test_levels_that_run_both_ways_are_rejected() -> None:
    level_height = np.array([[0.0, 100.0, 200.0], [0.0, 150.0, 140.0]])
    with pytest.raises(
        CurtainError, match=r"up and down in profile 1 \(150 m is followed by 140 m\)"
    ):
        interpolate_in_height(level_height, level_height, np.array([50.0]))


def test_state_is_linear_in_height_above_sea_and_in_time(curtain: xr.Dataset) -> None:
    # The radar stands 56 m above the state's ground: its lowest rows lie inside the state's levels.
    matched = match_state(curtain, make_state())
    np.testing.assert_allclose(matched["temperature"], expect_temperature(curtain), atol=1e-3)
    assert matched["temperature"].dims == DIMS
    assert matched["temperature"].dtype == np.float32
    check_curtain(matched)


def test_state_above_a_higher_ground_leaves_the_rows_beneath_it_unknown(
    curtain: xr.Dataset,
) -> None:
    # Radar at 156 m, model ground at 400 m: rows centred below 244 m above the radar (39, 117, 195
    # m) lie beneath.
    matched = match_state(curtain, make_state(altitude=400.0))
    np.testing.assert_array_equal(np.isnan(matched["temperature"]).all("time"), np.arange(16) < 3)
    assert not np.isnan(matched["temperature"].values[:, 3:]).any()


def test_platform_far_from_the_state_s_place_has_none(curtain: xr.Dataset) -> None:
    # 48.7 N 2.2 E is the state's place; a degree of latitude is 111 km.
    north = np.where(np.arange(curtain.sizes["time"]) < 5, 49.5, 49.7)
    ship = curtain.assign_coords(latitude=("time", north), longitude=("time", 0 * north + 2.2))
    known = np.isfinite(match_state(ship, make_state())["temperature"]).any("height")
    assert known.values.tolist() == (north < 49.6).tolist()
    # A model along the track.
    along = make_state().assign_coords(latitude=("time", [49.5, 49.6, 49.7]))
    assert np.isfinite(match_state(ship, along)["temperature"]).any("height").all()
    # A place that is not known is trusted, as that of a state in the radar's own file.
    unknown = make_state().assign_coords(latitude=np.nan, longitude=np.nan)
    assert np.isfinite(match_state(ship, unknown)["temperature"]).any("height").all()


def test_matching_keeps_the_rest_and_changes_no_argument(curtain: xr.Dataset) -> None:
    state = make_state()
    before = curtain.copy(deep=True), state.copy(deep=True)
    matched = match_state(curtain, state)
    xr.testing.assert_identical(matched.drop_vars("temperature"), curtain)
    xr.testing.assert_identical(curtain, before[0])
    xr.testing.assert_identical(state, before[1])
    warmer = state.assign(temperature=state["temperature"] + 1)
    replaced = match_state(matched, warmer)
    np.testing.assert_allclose(replaced["temperature"] - matched["temperature"], 1, atol=1e-3)


def test_moving_platform_takes_the_state_at_its_own_height(curtain: xr.Dataset) -> None:
    climbing = curtain.assign_coords(
        altitude=("time", np.linspace(150.0, 2000.0, curtain.sizes["time"]))
    )
    matched = match_state(climbing, make_state())
    np.testing.assert_allclose(matched["temperature"], expect_temperature(climbing), atol=1e-3)


def test_gates_that_slope_take_the_state_at_their_own_height(curtain: xr.Dataset) -> None:
    sloping = (
        curtain["height"].values + np.linspace(0.0, 500.0, curtain.sizes["time"])[:, np.newaxis]
    )
    matched = match_state(curtain.assign(gate_height=(DIMS, sloping)), make_state())
    hours = (curtain["time"].values - MIDNIGHT) / np.timedelta64(1, "h")
    np.testing.assert_allclose(
        matched["temperature"], 290 - 0.006 * (156 + sloping) + hours[:, np.newaxis], atol=1e-3
    )


def test_gridded_state_without_gate_heights_is_matched_too(curtain: xr.Dataset) -> None:
    state = match_state(curtain, make_state())[["temperature"]]
    again = match_state(curtain.isel(height=slice(2, 9)), state)
    np.testing.assert_array_equal(again["temperature"], state["temperature"][:, 2:9])


def matched_hours(curtain: xr.Dataset, hours: tuple[float, ...]) -> np.ndarray:
    """Hours of the day whose temperature each profile got from a state of these hours."""
    known = np.isfinite(match_state(curtain, make_state(hours))["temperature"].values).all(axis=1)
    return np.asarray(((curtain["time"].values - MIDNIGHT) / np.timedelta64(1, "h"))[known])


@pytest.fixture
def whole_day(curtain: xr.Dataset) -> xr.Dataset:
    """Forty-eight profiles at the half hours 00:00 to 23:30."""
    times = MIDNIGHT + np.arange(48) * np.timedelta64(30, "m")
    return curtain.isel(time=slice(48)).assign_coords(time=times)


def test_nothing_is_known_before_the_first_and_after_the_last_profile(
    whole_day: xr.Dataset,
) -> None:
    np.testing.assert_array_equal(matched_hours(whole_day, (10, 12, 14)), np.arange(10, 14.5, 0.5))


def test_gaps_longer_than_allowed_stay_gaps(whole_day: xr.Dataset) -> None:
    # 2 to 14 is twelve hours, just allowed; 10.5 to 22.75 is more, and only its ends are known.
    np.testing.assert_array_equal(matched_hours(whole_day, (2, 14)), np.arange(2, 14.5, 0.5))
    np.testing.assert_array_equal(
        matched_hours(whole_day, (2, 10.5, 22.75, 23.5)), [*np.arange(2, 11, 0.5), 23.0, 23.5]
    )


def test_lone_profile_holds_for_half_the_largest_gap_either_way(whole_day: xr.Dataset) -> None:
    np.testing.assert_array_equal(matched_hours(whole_day, (12,)), np.arange(6, 18.5, 0.5))
    matched = match_state(whole_day, make_state((12,)), largest_gap=np.timedelta64(1, "h"))
    assert int(np.isfinite(matched["temperature"].values[:, 0]).sum()) == 3  # 11:30, 12:00, 12:30


def test_state_without_fields_is_rejected(curtain: xr.Dataset) -> None:
    with pytest.raises(CurtainError, match="state: it has none of temperature"):
        match_state(curtain, make_state().drop_vars("temperature"))


def test_unknown_altitude_is_rejected(curtain: xr.Dataset) -> None:
    with pytest.raises(CurtainError, match="curtain: its altitude above mean sea level is unknown"):
        match_state(curtain.assign_coords(altitude=np.nan), make_state())
    with pytest.raises(CurtainError, match="state: its altitude"):
        match_state(curtain, make_state().assign_coords(altitude=np.nan))


def test_geopotential_height_becomes_geometric() -> None:
    # U.S. Standard Atmosphere 1976, table I: z = 11019 m, 20063 m and 32162 m at H = 11000, 20000
    # and 32000 m.
    np.testing.assert_allclose(
        geometric_height(np.array([0.0, 11e3, 20e3, 32e3])), [0, 11019, 20063, 32162], atol=0.5
    )
    np.testing.assert_allclose(height_of_geopotential(np.array([9.80665 * 11e3])), 11019, atol=0.5)


def test_dew_point_becomes_specific_humidity() -> None:
    # Saturation over water (Goff-Gratch): 6.11 hPa at 0, 23.37 hPa at 20, 1.254 hPa at -20 degree
    # C; q = 0.622 e / (p - 0.378 e) at 1000 hPa: 3.808e-3, 14.67e-3, 0.780e-3.
    found = humidity_of_dew_point(np.array([0.0, 20.0, -20.0]), np.full(3, 1000.0))
    np.testing.assert_allclose(found, [3.808e-3, 14.67e-3, 0.780e-3], rtol=5e-3)


@pytest.mark.parametrize(
    ("direction", "expected"), [(0, (0, -10)), (90, (-10, 0)), (180, (0, 10)), (225, (7.07, 7.07))]
)
def test_wind_direction_is_where_the_wind_comes_from(
    direction: float, expected: tuple[float, float]
) -> None:
    found = wind_components(np.array([10.0]), np.array([direction]))
    np.testing.assert_allclose(np.ravel(found), expected, atol=2e-3)
