"""Shared by spaceborne readers: distances on the ground, order of gates, the curtain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin, DetectionStatus, QualityFlag
from blindzone.pipeline.readers._track import (
    Track,
    build_track_curtain,
    check_range,
    find_lower_edges,
    find_unplaced,
    find_upward_order,
    find_zone_top,
    measure_along_track,
)

NO_DATA, NO_ECHO, ECHO = (
    int(code) for code in (DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO)
)
PATH = Path("granule.hdf")


def test_gates_from_the_top_down_are_turned_and_missing_heights_say_nothing() -> None:
    falling = np.array([[30.0, 20, 10], [31, 21, np.nan]])
    assert falling[:, find_upward_order(falling, "Height", PATH)][0].tolist() == [10, 20, 30]
    rising = falling[:, ::-1]
    assert rising[:, find_upward_order(rising, "Height", PATH)][0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("second", [[10.0, 20, 30], [30, 20, 20]], ids=["other way", "standing"])
def test_gates_that_do_not_run_one_way_are_rejected(second: list[float]) -> None:
    with pytest.raises(
        SourceFileError,
        match=r"^granule.hdf: 'Height' does not run one way: .* of every profile are",
    ):
        find_upward_order(np.array([[30.0, 20, 10], second]), "Height", PATH)


def test_lower_edges_lie_half_way_to_the_gate_below() -> None:
    assert find_lower_edges(np.array([[100.0, 300, 600]])).tolist() == [[0, 200, 450]]


def test_zone_ends_at_the_lowest_usable_gate_or_above_the_highest_or_nobody_knows() -> None:
    heights = np.array([[0.0, 100, 200], [0, 100, 200], [0, 100, np.nan], [np.nan] * 3])
    usable = np.array([[False, True, True], [False] * 3, [False] * 3, [True] * 3])
    top = find_zone_top(heights, usable)
    assert top == pytest.approx([50, 250, 150, np.nan], nan_ok=True)


def test_profile_without_a_position_is_between_its_neighbours() -> None:
    latitude, longitude = np.array([0.0, np.nan, 0, np.nan]), np.array([0.0, 0.01, 0.02, 0.03])
    distance = measure_along_track(latitude, longitude)
    assert distance == pytest.approx([0, 1113.2, 2226.4, 2226.4], abs=0.1)
    assert np.isnan(measure_along_track(latitude * np.nan, longitude)[1:]).all()


def test_value_beyond_its_range_is_rejected_and_a_missing_one_is_not() -> None:
    raw = xr.Dataset({"Height": ("x", np.array([1.0, -9999, 5]), {"_FillValue": -9999.0})})
    check_range(raw, {"Height": (0, 5), "absent": (0, 1)}, PATH)
    with pytest.raises(
        SourceFileError,
        match=r"'Height' holds 1 values outside 0 to 4 \(first: 5\); an undeclared fill",
    ):
        check_range(raw, {"Height": (0, 4)}, PATH)


def test_profiles_without_a_position_are_left_out() -> None:
    raw = xr.Dataset(
        {
            "lat": ("nray", np.array([1.0, np.nan, 3, 4])),
            "lon": ("nray", np.array([1.0, 2, -9999, 4]), {"_FillValue": -9999.0}),
            "z": (("nray", "nbin"), np.arange(8.0).reshape(4, 2)),
        }
    )
    assert find_unplaced(raw, "lat", "lon").has.tolist() == [False, True, True, False]


def make_fields() -> dict[str, np.ndarray]:
    """Two profiles of five gates from 50 m below the surface up; 10 dBZ but in the highest."""
    reflectivity = np.full((2, 5), 10.0)
    reflectivity[:, 4] = np.nan
    return {
        "reflectivity": reflectivity,
        "gate_height": np.tile([-50.0, 50, 150, 250, 350], (2, 1)),
        "no_data": np.zeros((2, 5), dtype=bool),
    }


def build(
    fields: dict[str, np.ndarray],
    top: tuple[float, float] = (100.0, 200.0),
    **of_profiles: np.ndarray,
) -> xr.Dataset:
    track = Track(
        time=np.datetime64("2020-01-01", "ns") + np.arange(2) * np.timedelta64(1, "s"),
        latitude=np.array([0.0, 0.0]),
        longitude=np.array([0.0, 0.01]),
        altitude=np.array([5.0, 6.0]),
        blind_zone_top=np.array(top),
        origin=BlindZoneOrigin.FILE,
        fields=of_profiles,
    )
    return build_track_curtain(
        fields, track, height=np.arange(5) * 100.0, attrs={"instrument": "CPR"}, path=PATH
    )


def test_hidden_gates_hold_no_data_and_their_reason() -> None:
    curtain = build(make_fields())
    clutter, below = int(QualityFlag.SURFACE_CLUTTER), int(QualityFlag.BELOW_SURFACE)
    assert curtain["quality_flags"].values.tolist() == [
        [below, clutter, 0, 0, 0],
        [below, clutter, clutter, 0, 0],
    ]
    assert curtain["quality_flags"].dtype == np.uint8
    assert curtain["detection_status"].values.tolist() == [
        [NO_DATA, NO_DATA, ECHO, ECHO, NO_ECHO],
        [NO_DATA, NO_DATA, NO_DATA, ECHO, NO_ECHO],
    ]
    assert np.array_equal(np.isnan(curtain["reflectivity"]), curtain["detection_status"] != ECHO)
    assert curtain["altitude"].dims == curtain["blind_zone_top"].dims == ("time",)
    assert curtain["along_track_distance"].values == pytest.approx([0, 1113.2], abs=0.1)


def test_clutter_rejection_and_missing_data_take_the_value_away() -> None:
    fields = make_fields()
    for name, gate in (("no_data", 2), ("clutter", 3), ("rejected", 4)):
        fields[name] = np.zeros((2, 5), dtype=bool)
        fields[name][0, gate] = True
    curtain = build(fields)
    assert curtain["detection_status"].values[0].tolist() == [NO_DATA] * 5
    assert curtain["quality_flags"].values[0].tolist()[2:] == [
        0,
        QualityFlag.SURFACE_CLUTTER,
        QualityFlag.REJECTED,
    ]


def test_profile_of_unknown_geometry_holds_no_data() -> None:
    fields = make_fields()
    fields["gate_height"][1] = np.nan
    curtain = build(fields, top=(100.0, np.nan))
    assert (curtain["detection_status"].values[1] == NO_DATA).all()
    assert np.isnan(curtain["blind_zone_top"].values[1])
    assert curtain["blind_zone_origin"].values.tolist() == [3, 0]


def test_velocity_is_kept_where_there_is_echo_and_alone_where_nothing_else_is() -> None:
    fields = make_fields() | {"doppler_velocity": np.arange(10.0).reshape(2, 5)}
    curtain = build(fields)
    assert np.isfinite(curtain["doppler_velocity"].values).tolist() == [
        [False, False, True, True, False],
        [False, False, False, True, False],
    ]
    del fields["reflectivity"]
    alone = build(fields)
    assert "detection_status" not in alone
    assert alone["doppler_velocity"].values[0].tolist()[2:] == [2, 3, 4]
    assert np.isnan(alone["doppler_velocity"].values[:, :2]).all()


def test_variables_of_profiles_come_with_the_curtain() -> None:
    curtain = build(make_fields(), surface_echo=np.array([11.0, np.nan]))
    assert curtain["surface_echo"].dims == ("time",)
    assert curtain["surface_echo"].dtype == np.float32
    assert curtain["blind_zone_origin"].values.tolist() == [BlindZoneOrigin.FILE] * 2


def test_curtain_that_breaks_the_canonical_form_is_rejected() -> None:
    fields = make_fields()
    track = Track(
        time=np.array(["2020-01-01", "2020-01-01"], dtype="datetime64[ns]"),
        **{name: np.zeros(2) for name in ("latitude", "longitude", "altitude", "blind_zone_top")},
        origin=BlindZoneOrigin.UNKNOWN,
    )
    with pytest.raises(CurtainError, match="time repeats at index 1"):
        build_track_curtain(fields, track, height=np.arange(5.0), attrs={}, path=PATH)
