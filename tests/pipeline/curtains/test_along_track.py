"""Averages along the track: energy is kept, positions are centres, gaps stay gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.along_track import (
    average_along_track,
    find_spacing,
    looks_down,
)
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain, map_rays
from blindzone.pipeline.curtains.position import measure_track

DIMS = ("time", "height")
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
NONE = float("nan")


def make_track(dbz: Any, status: Any = None, *, step_m: float = 100.0, **more: Any) -> xr.Dataset:
    """Profiles 100 m and 20 ms apart along the equator; echo or none where no status is given."""
    values = np.array(dbz, dtype=np.float32).reshape(len(dbz), -1)
    codes = np.where(np.isnan(values), NO_ECHO, ECHO) if status is None else np.array(status)
    count, rows = values.shape
    along = step_m * np.arange(count)
    coordinates = {
        "latitude": ("time", np.zeros(count)),
        "longitude": ("time", along / 111_319.5),
        "altitude": ("time", np.arange(count, dtype=np.float64)),
        "along_track_distance": ("time", along),
        "blind_zone_top": ("time", np.full(count, 500.0)),
    } | {name: ("time", value) for name, value in more.items()}
    times = np.datetime64("2021-03-14", "ns") + np.arange(count) * np.timedelta64(20, "ms")
    curtain = xr.Dataset(
        {
            "reflectivity": (DIMS, values),
            "detection_status": (DIMS, codes.reshape(count, rows).astype(np.int8)),
        },
        {"time": times, "height": 50.0 + 100 * np.arange(rows), **coordinates},
        {"title": "A track"},
    )
    check_curtain(curtain)
    return curtain


def to_linear(dbz: np.ndarray) -> np.ndarray:
    return np.nan_to_num(10 ** (0.1 * dbz.astype(np.float64)), nan=0.0)


def test_reflectivity_is_averaged_in_linear_units_where_no_echo_is_zero() -> None:
    curtain = make_track([[10.0], [NONE], [0.0], [NONE], [NONE], [NONE]])
    averaged = average_along_track(curtain, 300.0)
    check_curtain(averaged)
    # (10 + 0 + 1) / 3 mm6 m-3, then nothing.
    assert averaged["reflectivity"].values[:, 0] == pytest.approx(
        [10 * np.log10(11 / 3), NONE], nan_ok=True
    )
    assert averaged["detection_status"].values[:, 0].tolist() == [ECHO, NO_ECHO]
    assert averaged.attrs == curtain.attrs
    assert find_spacing(averaged) == pytest.approx(300)


def test_what_has_no_data_does_not_count_and_the_strongest_claim_holds() -> None:
    status = [NO_DATA, NO_DATA, ECHO, NO_DATA, NO_DATA, NO_DATA, NO_ECHO, CLUTTER_REMOVED, NO_DATA]
    curtain = make_track([[3.0 if code == ECHO else NONE] for code in status], status)
    averaged = average_along_track(curtain, 300.0)
    assert averaged["reflectivity"].values[:, 0] == pytest.approx([3.0, NONE, NONE], nan_ok=True)
    assert averaged["detection_status"].values[:, 0].tolist() == [ECHO, NO_DATA, CLUTTER_REMOVED]


@given(
    st.lists(st.sampled_from([NONE, -30.0, -3.0, 10.0, 35.0]), min_size=12, max_size=60),
    st.sampled_from([200.0, 300.0, 450.0, 1000.0]),
)
def test_energy_is_conserved_where_all_is_seen(dbz: list[float], spacing_m: float) -> None:
    curtain = make_track([[value] for value in dbz])
    averaged = average_along_track(curtain, spacing_m)
    number = np.floor((curtain["along_track_distance"].values + 50) / spacing_m)
    counts = np.unique(number, return_counts=True)[1]
    before = to_linear(curtain["reflectivity"].values[:, 0]).sum()
    after = (to_linear(averaged["reflectivity"].values[:, 0]) * counts).sum()
    assert after == pytest.approx(before, rel=1e-6)


def test_velocity_is_weighted_with_linear_reflectivity() -> None:
    curtain = make_track([[10.0], [0.0], [NONE]])
    curtain["doppler_velocity"] = (DIMS, np.array([[2.0], [-9.0], [NONE]], dtype=np.float32))
    averaged = average_along_track(curtain, 300.0)
    assert averaged["doppler_velocity"].values.item() == pytest.approx((10 * 2 - 9) / 11)


def test_zone_is_the_highest_flags_are_all_and_others_are_means() -> None:
    curtain = make_track(
        [[1.0]] * 6, blind_zone_top=np.array([300.0, NONE, 900.0, NONE, NONE, NONE])
    )
    flags = np.array([1, 2, 0, 0, 0, 128], dtype=np.uint8)
    curtain["quality_flags"] = (DIMS, flags[:, None])
    curtain["surface_type"] = ("time", np.arange(6, dtype=np.int8))
    curtain["surface_echo"] = ("time", np.array([0.0, 10, NONE, 20, 20, 20], dtype=np.float32))
    averaged = average_along_track(curtain, 300.0)
    # (1 + 10) / 2 in linear units.
    assert averaged["surface_echo"].values == pytest.approx([10 * np.log10(5.5), 20])
    assert averaged["blind_zone_top"].values == pytest.approx([900, NONE], nan_ok=True)
    assert averaged["quality_flags"].values[:, 0].tolist() == [3, 128]
    assert averaged["surface_type"].values.tolist() == [1, 4]
    assert averaged["altitude"].values.tolist() == [1, 4]
    assert averaged["surface_type"].dtype == np.int8


def test_time_and_position_are_those_of_the_centre() -> None:
    averaged = average_along_track(make_track([[1.0]] * 6), 300.0)
    assert averaged["along_track_distance"].values.tolist() == [100, 400]
    assert averaged["longitude"].values == pytest.approx(np.array([100, 400]) / 111_319.5)
    seconds = (averaged["time"].values - np.datetime64("2021-03-14")) / np.timedelta64(1, "s")
    assert seconds == pytest.approx([0.02, 0.08])


@pytest.mark.parametrize(
    ("latitude", "longitude", "centre"),
    [
        ([10, 10, 10], [179.99, -180.0, -179.99], (10, 180)),
        ([10, 10, 10], [359.99, 0.0, 0.01], (10, 0)),
        ([89.99, 90.0, 89.99], [30.0, 30.0, -150.0], (90, None)),
        ([-89.9, -89.8, -89.7], [200.0, 200.0, 200.0], (-89.8, 200)),
    ],
    ids=["date line", "Greenwich from 360", "pole", "longitudes to 360"],
)
def test_neither_the_date_line_nor_a_pole_is_special(
    latitude: list[float], longitude: list[float], centre: tuple[float, float | None]
) -> None:
    curtain = make_track(
        [[1.0]] * 3, latitude=np.array(latitude, float), longitude=np.array(longitude, float)
    )
    averaged = average_along_track(curtain, 300.0)
    north, east = (averaged[name].values for name in ("latitude", "longitude"))
    # A mean over degrees would be 60 degrees of longitude away from the date line.
    assert north == pytest.approx([centre[0]], abs=1e-4)
    if centre[1] is not None:
        away = measure_track(np.append(north, centre[0]), np.append(east, centre[1]))
        assert away[-1] < 50


def test_gaps_stay_gaps_and_times_rise() -> None:
    curtain = make_track([[1.0]] * 40).isel(time=np.r_[0:7, 21:40])
    averaged = average_along_track(curtain, 300.0)
    check_curtain(averaged)
    # Lengths 0 to 2 (the last with one profile) and 7 to 13; those between have no profile.
    assert np.round(averaged["along_track_distance"].values).tolist() == [
        *(100, 400, 600),
        *(2200, 2500, 2800, 3100, 3400, 3700, 3900),
    ]


@pytest.mark.parametrize("spacing_m", [81.0, 100.0, 124.0])
def test_profiles_of_like_spacing_stay_as_they_are(spacing_m: float) -> None:
    curtain = make_track([[1.0]] * 5)
    assert average_along_track(curtain, spacing_m) is curtain
    single = curtain.isel(time=[0])
    assert average_along_track(single, spacing_m) is single


def test_swath_is_averaged_over_the_same_profiles_in_all_rays() -> None:
    one = make_track([[1.0]] * 12)
    # Off nadir the track is a little longer.
    other = one.assign_coords(along_track_distance=1.05 * one["along_track_distance"])
    swath = xr.concat(
        [one, other, one], dim="ray", data_vars="all", coords="different", compat="equals"
    )
    averaged = average_along_track(swath, 400.0)
    # The middle ray's 12 profiles stand for 1260 m: four lengths.
    assert averaged["reflectivity"].shape == (3, 4, 1)
    assert averaged["time"].dims == ("time",)
    middle = average_along_track(other, 400.0)
    np.testing.assert_allclose(
        averaged["along_track_distance"].values[1], middle["along_track_distance"].values
    )
    map_rays(lambda ray: check_curtain(ray) or ray, averaged)


def test_what_cannot_be_averaged_is_one_error() -> None:
    curtain = make_track([[1.0]] * 5)
    with pytest.raises(CurtainError, match="here: its profiles are 100 m apart"):
        average_along_track(curtain, 79.0, where="here")
    falling = curtain.assign_coords(along_track_distance=("time", [0, 100, 50, 200, 300.0]))
    with pytest.raises(CurtainError, match=r"falls at 1 of 4 steps \(first after profile 1\)"):
        average_along_track(falling, 300.0)
    with pytest.raises(CurtainError, match="does not look down from above; none is right"):
        average_along_track(curtain.drop_vars("along_track_distance"), 300.0)
    sloping = curtain.assign(gate_height=(DIMS, np.full((5, 1), 50.0)))
    with pytest.raises(CurtainError, match="a curtain on a grid is right"):
        average_along_track(sloping, 300.0)


def test_a_radar_on_the_ground_does_not_look_down() -> None:
    curtain = make_track([[1.0]] * 5)
    assert looks_down(curtain)
    assert not looks_down(curtain.drop_vars("along_track_distance"))
