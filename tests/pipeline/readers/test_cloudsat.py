"""CloudSat 2B-GEOPROF granules: the curtain that is read, and rejected files.

No granule was at hand: what the tests write follows the documented layout (HDF-EOS2: arrays, tables
of one column, and attributes in tables of their own).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cloudsat_files import Content, write_cloudsat_granule, write_hdf_eos

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.curtains.curtain import (
    BlindZoneOrigin,
    DetectionStatus,
    QualityFlag,
    check_curtain,
    describe_curtain,
)
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.cloudsat import RADAR, read_cloudsat

for module in ("HDF", "SD", "VS"):
    pytest.importorskip(f"pyhdf.{module}")

PROFILES, BINS, BIN_DEPTH = 4, 125, 240
SURFACE_BIN = 105
"""Counted from one, from the top."""
NO_DATA, NO_ECHO, ECHO = (
    int(code) for code in (DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO)
)
CLUTTER = int(QualityFlag.SURFACE_CLUTTER)
# 2008-10-17 04:00:00: 5768 days after 1993-01-01, and six leap seconds (1993 to 2006) since.
TAI_START = 5768 * 86400 + 4 * 3600 + 6


def make_content() -> Content:
    """Four profiles, two over ocean and two over land at 480 m; echo of -10.5 dBZ up to 4.8 km.

    The centre of the surface bin lies at the surface: bin 105 at 0 m, bin 103 at 480 m.
    """
    heights = (SURFACE_BIN - 1 - np.arange(BINS)) * BIN_DEPTH
    surface = np.array([105, 105, 103, 103])
    echo = (heights > 0) & (heights <= 4800)
    return {
        "Radar_Reflectivity": np.tile(np.where(echo, -1050, -8888), (PROFILES, 1)).astype(np.int16),
        "CPR_Cloud_mask": np.tile(np.where(echo, 40, 0), (PROFILES, 1)).astype(np.int8),
        "Height": np.tile(heights, (PROFILES, 1)).astype(np.int16),
        "Latitude": np.arange(PROFILES, dtype=np.float32) * 0.01,
        "Longitude": np.full(PROFILES, 20, np.float32),
        "Profile_time": np.arange(PROFILES, dtype=np.float32) * np.float32(0.16),
        "DEM_elevation": np.array([-9999, -9999, 480, 480], np.int16),
        "SurfaceHeightBin": surface.astype(np.int8),
        "Data_quality": np.zeros(PROFILES, np.uint8),
        "TAI_start": np.array([TAI_START], np.float64),
        "UTC_start": np.array([4 * 3600], np.float32),
        "Radar_Reflectivity.factor": np.array([100.0]),
        "Radar_Reflectivity.offset": np.array([0.0]),
        "Radar_Reflectivity.missing": np.array([-8888.0]),
    }


def read_content(content: Content, folder: Path) -> xr.Dataset:
    return read_cloudsat(write_hdf_eos(content, folder / "2008291040000_13118_CS_2B-GEOPROF.hdf"))


def with_value(content: Content, name: str, index: Any, value: Any) -> Content:
    changed = content[name].copy()
    changed[index] = value
    return content | {name: changed}


def without(content: Content, *names: str) -> Content:
    return {name: values for name, values in content.items() if name not in names}


def test_profiles_come_with_heights_above_their_surface_from_the_lowest_up(tmp_path: Path) -> None:
    curtain = read_content(make_content(), tmp_path)
    check_curtain(curtain)
    assert dict(curtain.sizes) == {"time": PROFILES, "height": BINS}
    # Bin 125 lies 20 bins below bin 105.
    assert curtain["gate_height"].values[:, 0].tolist() == [-4800, -4800, -5280, -5280]
    assert curtain["height"].values[[0, 20, -1]].tolist() == [-4800, 0, 104 * 240]
    assert curtain["altitude"].values.tolist() == [0, 0, 480, 480]
    assert curtain["along_track_distance"].values == pytest.approx(
        1105.74 * np.arange(PROFILES), abs=0.5
    )
    assert curtain.attrs == {"instrument": "CloudSat CPR", "frequency_ghz": 94.05}


def test_stored_integers_are_divided_by_the_factor(tmp_path: Path) -> None:
    content = make_content()
    assert np.nanmax(read_content(content, tmp_path)["reflectivity"].values) == -10.5
    content["Radar_Reflectivity.factor"] = np.array([50.0])
    content["Radar_Reflectivity.offset"] = np.array([-100.0])
    assert (
        np.nanmin(read_content(content, tmp_path)["reflectivity"].values) == -19
    )  # (-1050 + 100) / 50


def test_blind_zone_ends_below_the_third_bin_over_the_ocean_and_the_fifth_over_land(
    tmp_path: Path,
) -> None:
    curtain = read_content(make_content(), tmp_path)
    assert curtain["blind_zone_top"].values.tolist() == [2.5 * 240, 2.5 * 240, 4.5 * 240, 4.5 * 240]
    flags = curtain["quality_flags"].values
    below = int(QualityFlag.BELOW_SURFACE)
    assert flags[0, 19:25].tolist() == [
        below,
        CLUTTER,
        CLUTTER,
        CLUTTER,
        0,
        0,
    ]  # gate 20 holds the surface
    assert flags[2, 21:29].tolist() == [below] + [CLUTTER] * 5 + [0, 0]
    status = curtain["detection_status"].values
    assert (status[flags > 0] == NO_DATA).all()
    assert status[0, 23:42].tolist() == [ECHO] * 18 + [NO_ECHO]  # 720 to 4800 m


def test_clutter_in_the_mask_raises_the_blind_zone_and_hides_the_gate_where_it_lies_higher(
    tmp_path: Path,
) -> None:
    content = with_value(
        make_content(), "CPR_Cloud_mask", (0, slice(SURFACE_BIN - 5, SURFACE_BIN)), 5
    )  # bins 101 to 105
    content = with_value(content, "CPR_Cloud_mask", (1, SURFACE_BIN - 1 - 10), 5)
    curtain = read_content(content, tmp_path)
    assert curtain["blind_zone_top"].values[:2].tolist() == [4.5 * 240, 2.5 * 240]
    assert curtain["quality_flags"].values[1, [29, 30, 31]].tolist() == [0, CLUTTER, 0]
    assert curtain["detection_status"].values[1, [29, 30, 31]].tolist() == [ECHO, NO_DATA, ECHO]


def with_range(content: Content, name: str, *limits: float, kind: str = "i2") -> Content:
    """States a valid range as HDF-EOS2 does, in a table of its own."""
    return content | {f"{name}.valid_range": np.array(limits, dtype=kind)}


@pytest.mark.parametrize(
    ("limits", "kind"), [((-4000, 5000), "i2"), ((-40, 50), "f4")], ids=["stored", "dBZ"]
)
def test_reflectivity_outside_its_valid_range_is_no_data_and_counted(
    tmp_path: Path, limits: tuple[float, float], kind: str
) -> None:
    # Bin 90 of the first profile holds echo; what the factor 100 makes 60 dBZ is beyond 50.
    content = with_value(make_content(), "Radar_Reflectivity", (0, 90), 6000)
    curtain = read_content(with_range(content, "Radar_Reflectivity", *limits, kind=kind), tmp_path)
    gate = BINS - 1 - 90
    assert curtain["detection_status"].values[0, gate] == NO_DATA
    assert curtain["quality_flags"].values[0, gate] & QualityFlag.REJECTED
    assert list(read_counts(curtain.attrs).values()) == [1]
    assert np.nanmax(curtain["reflectivity"].values) == -10.5
    sound = with_range(make_content(), "Radar_Reflectivity", *limits, kind=kind)
    assert read_counts(read_content(sound, tmp_path).attrs) == {}


def test_codes_outside_their_valid_range_are_unknown(tmp_path: Path) -> None:
    content = with_value(make_content(), "CPR_Cloud_mask", (0, 90), 99)
    content = with_value(content, "SurfaceHeightBin", 3, 126)
    content = with_range(content, "CPR_Cloud_mask", 0, 40)
    curtain = read_content(with_range(content, "SurfaceHeightBin", 1, 125), tmp_path)
    assert curtain["detection_status"].values[0, BINS - 1 - 90] == NO_DATA
    assert sum(read_counts(curtain.attrs).values()) == 2
    # Where the surface bin is not known, it is the one nearest to the terrain model.
    expected = read_content(make_content(), tmp_path)
    assert curtain["blind_zone_top"].equals(expected["blind_zone_top"])


@pytest.mark.parametrize(
    ("mask", "status"),
    [(-9, NO_DATA), (0, NO_ECHO), (8, NO_ECHO), (19, NO_ECHO), (20, ECHO), (30, ECHO), (40, ECHO)],
)
def test_mask_says_what_is_echo(mask: int, status: int, tmp_path: Path) -> None:
    curtain = read_content(with_value(make_content(), "CPR_Cloud_mask", (0, 90), mask), tmp_path)
    assert curtain["detection_status"].values[0, BINS - 1 - 90] == status


def test_echo_without_a_reflectivity_is_no_data(tmp_path: Path) -> None:
    curtain = read_content(
        with_value(make_content(), "Radar_Reflectivity", (0, 90), -8888), tmp_path
    )
    assert curtain["detection_status"].values[0, BINS - 1 - 90] == NO_DATA


def test_profile_of_bad_quality_is_rejected_and_one_without_position_left_out(
    tmp_path: Path,
) -> None:
    content = with_value(make_content(), "Data_quality", 1, 64)
    curtain = read_content(with_value(content, "Latitude", 0, np.nan), tmp_path)
    assert curtain.sizes["time"] == 3
    assert (curtain["detection_status"].values[0] == NO_DATA).all()
    assert (curtain["quality_flags"].values[0] & QualityFlag.REJECTED > 0).all()


def test_surface_is_found_by_radar_or_by_terrain_where_the_other_is_missing(tmp_path: Path) -> None:
    content = with_value(make_content(), "DEM_elevation", 2, 9999)
    content = with_value(content, "SurfaceHeightBin", 3, -1)
    curtain = read_content(content, tmp_path)
    assert curtain["altitude"].values.tolist() == [0, 0, 480, 480]
    assert curtain["blind_zone_top"].values[2:].tolist() == [4.5 * 240, 4.5 * 240]
    lost = read_content(with_value(content, "SurfaceHeightBin", 2, -1), tmp_path)
    assert np.isnan(lost["altitude"].values[2])
    assert (lost["detection_status"].values[2] == NO_DATA).all()


@pytest.mark.parametrize("utc", [True, False], ids=["both starts", "TAI alone"])
def test_times_are_utc_with_leap_seconds_taken_off(utc: bool, tmp_path: Path) -> None:
    content = make_content() if utc else without(make_content(), "UTC_start")
    start = np.datetime64("2008-10-17T04:00:00", "ns")
    expected = start + np.arange(PROFILES) * np.timedelta64(160, "ms")
    assert np.array_equal(read_content(content, tmp_path)["time"].values, expected)


@pytest.mark.parametrize(
    ("instant", "leap_seconds"),
    [
        ("1993-06-30T23:59:59", 0),
        ("1993-07-01", 1),
        ("2006-06-02T12:00:00", 6),
        ("2016-12-31T23:59:59", 9),
        ("2017-01-01", 10),
    ],
)
def test_leap_seconds_are_those_since_1993(instant: str, leap_seconds: int, tmp_path: Path) -> None:
    time = np.datetime64(instant, "ns")
    content = without(make_content(), "UTC_start")
    elapsed = (time - np.datetime64("1993-01-01", "ns")) / np.timedelta64(1, "s")
    content["TAI_start"] = np.array([elapsed + leap_seconds])
    assert read_content(content, tmp_path)["time"].values[0] == time


def test_day_is_right_when_the_granule_begins_at_midnight(tmp_path: Path) -> None:
    content = make_content()
    content["TAI_start"] = content["TAI_start"] - 4 * 3600 - 1  # one second before midnight
    content["UTC_start"] = np.array([86399], np.float32)
    assert read_content(content, tmp_path)["time"].values[0] == np.datetime64(
        "2008-10-16T23:59:59", "ns"
    )


@pytest.mark.parametrize("bit", range(7))
def test_profile_with_any_quality_bit_is_rejected(bit: int, tmp_path: Path) -> None:
    curtain = read_content(with_value(make_content(), "Data_quality", 2, 1 << bit), tmp_path)
    assert (curtain["detection_status"].values[2] == NO_DATA).all()
    assert (curtain["quality_flags"].values[2] & QualityFlag.REJECTED > 0).all()


def test_likely_bad_bin_is_rejected(tmp_path: Path) -> None:
    curtain = read_content(with_value(make_content(), "CPR_Cloud_mask", (0, 90), 1), tmp_path)
    assert curtain["detection_status"].values[0, BINS - 1 - 90] == NO_DATA
    assert curtain["quality_flags"].values[0, BINS - 1 - 90] == QualityFlag.REJECTED


def test_night_side_without_measurement_is_no_data_and_without_position_a_gap(
    tmp_path: Path,
) -> None:
    content = with_value(make_content(), "Radar_Reflectivity", slice(1, 3), -8888)
    content = with_value(content, "CPR_Cloud_mask", slice(1, 3), 0)
    curtain = read_content(content, tmp_path)
    assert (curtain["detection_status"].values[1:3] == NO_DATA).all()
    assert curtain.sizes["time"] == PROFILES
    # Three of four profiles without position are no reason to reject the file if nothing was
    # measured there.
    content = with_value(make_content(), "Radar_Reflectivity", slice(1, 4), -8888)
    for name in ("Latitude", "Longitude"):
        content = with_value(content, name, slice(1, 4), -9999)
    curtain = read_content(content, tmp_path)
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {"without measurement": 3}
    assert curtain.sizes["time"] == 1


def test_granule_without_any_measurement_is_rejected(tmp_path: Path) -> None:
    content = with_value(make_content(), "Radar_Reflectivity", slice(None), -8888)
    with pytest.raises(SourceFileError, match="no bin of its 4 profiles has a reflectivity"):
        read_content(content, tmp_path)


def test_profile_without_a_clutter_free_bin_is_hidden_to_its_top_by_clutter(
    tmp_path: Path,
) -> None:
    curtain = read_content(with_value(make_content(), "CPR_Cloud_mask", 1, 5), tmp_path)
    # The highest bin is centred 104 bins above the surface.
    assert curtain["blind_zone_top"].values[1] == 104.5 * BIN_DEPTH
    assert (curtain["detection_status"].values[1] == NO_DATA).all()
    assert (curtain["quality_flags"].values[1, 20:] == CLUTTER).all()
    assert curtain["blind_zone_origin"].values.tolist() == [2, 3, 2, 2]


def test_heights_that_are_missing_are_no_data(tmp_path: Path) -> None:
    content = with_value(make_content(), "Height", 1, -9999)
    content = with_value(content, "Height", (0, slice(0, 3)), -9999)
    curtain = read_content(content, tmp_path)
    assert (curtain["detection_status"].values[1] == NO_DATA).all()
    assert curtain["detection_status"].values[0, [-1, -2, -3, -4]].tolist() == [NO_DATA] * 3 + [
        NO_ECHO
    ]
    assert np.isnan(curtain["blind_zone_top"].values).tolist() == [False, True, False, False]


def test_surface_bin_far_from_the_terrain_is_none(tmp_path: Path) -> None:
    content = with_value(make_content(), "SurfaceHeightBin", 0, SURFACE_BIN - 40)  # 9.6 km up
    curtain = read_content(content, tmp_path)
    assert curtain["blind_zone_top"].values[0] == 2.5 * BIN_DEPTH
    assert curtain["blind_zone_origin"].values.tolist() == [
        BlindZoneOrigin.ASSUMED,
        *[BlindZoneOrigin.SURFACE_ECHO] * 3,
    ]


def test_saturated_surface_is_hidden_and_not_judged(tmp_path: Path) -> None:
    content = with_value(make_content(), "Radar_Reflectivity", (0, SURFACE_BIN - 1), 9000)
    curtain = read_content(content, tmp_path)  # 90 dBZ, beyond hydrometeors
    assert np.nanmax(curtain["reflectivity"].values) == -10.5


def test_surface_echo_and_estimated_clutter_are_read_where_the_file_has_them(
    tmp_path: Path,
) -> None:
    content = make_content()
    content["Sigma-Zero"] = np.array([1100, 1050, -9999, -300], np.int16)
    content["SurfaceClutter"] = np.full((PROFILES, BINS), -8888, np.int16)
    # Bin 102 is the lowest in use over the ocean. -10.5 dBZ are half clutter from -13.5 dBZ on.
    content["SurfaceClutter"][:2, 101] = [-1340, -1360]
    for name, missing in (("Sigma-Zero", -9999.0), ("SurfaceClutter", -8888.0)):
        content |= {f"{name}.factor": np.array([100.0]), f"{name}.missing": np.array([missing])}
    curtain = read_content(content, tmp_path)
    assert curtain["surface_echo"].values == pytest.approx([11, 10.5, np.nan, -3], nan_ok=True)
    assert curtain["blind_zone_top"].values[:2].tolist() == [3.5 * BIN_DEPTH, 2.5 * BIN_DEPTH]


def test_jump_in_time_stays_a_gap(tmp_path: Path) -> None:
    content = with_value(make_content(), "Profile_time", slice(2, 4), [600, 600.16])
    steps = np.diff(read_content(content, tmp_path)["time"].values) / np.timedelta64(1, "ms")
    assert steps.tolist() == [160, 599_840, 160]


def test_track_over_pole_and_date_line_has_no_jump(tmp_path: Path) -> None:
    content = make_content()
    content["Latitude"] = np.array([89.985, 89.995, 89.995, 89.985], np.float32)
    content["Longitude"] = np.array([-180, 180, 0, 0], np.float32)
    distance = read_content(content, tmp_path)["along_track_distance"].values
    assert np.diff(distance) == pytest.approx(np.full(3, 1116.9), rel=1e-3)


def test_people_are_told_how_deep_the_zone_is_and_how_that_is_known(tmp_path: Path) -> None:
    curtain = read_content(with_value(make_content(), "CPR_Cloud_mask", 1, 5), tmp_path)
    told = describe_curtain(curtain)[-1]
    assert told == (
        "top of the blind zone: 600 to 25080 m above the surface (75% surface echo, 25% file)"
    )


@dataclass(frozen=True)
class BadFile:
    """A way to break a granule, and what its one message must say."""

    name: str
    break_it: Callable[[Content], Content]
    says: str
    error: type[BlindzoneError] = SourceFileError


BAD_FILES = (
    BadFile(
        "no mask",
        lambda c: without(c, "CPR_Cloud_mask"),
        "not a CloudSat 2B-GEOPROF granule: it lacks CPR_C",
    ),
    BadFile("no start", lambda c: without(c, "TAI_start"), "it lacks TAI_start"),
    BadFile(
        "no factor",
        lambda c: without(c, "Radar_Reflectivity.factor"),
        "has factor 'none at all'; a number",
    ),
    BadFile(
        "factor 0",
        lambda c: c | {"Radar_Reflectivity.factor": np.zeros(1)},
        r"has factor .*0\.0.*; a number",
    ),
    BadFile(
        "factor 1",
        lambda c: c | {"Radar_Reflectivity.factor": np.ones(1)},
        "values outside -120 to 80 dBZ",
    ),
    BadFile(
        "transposed", lambda c: c | {"Height": c["Height"].T.copy()}, "'Height' has dimensions"
    ),
    BadFile(
        "short",
        lambda c: c | {"Latitude": c["Latitude"][:3]},
        r"'Latitude' has dimensions \('axis0_3',\)",
    ),
    BadFile(
        "gates mixed",
        lambda c: with_value(c, "Height", (1, 50), 30),
        "'Height' does not run one way",
    ),
    BadFile(
        "beyond the pole",
        lambda c: with_value(c, "Latitude", 0, 95),
        "'Latitude' holds 1 values outside -90",
    ),
    BadFile(
        "another granule's start",
        lambda c: c | {"UTC_start": np.array([5 * 3600], np.float32)},
        "'UTC_start' is 18000.0 s after midnight, 'TAI_start' is 14400.0 s after it",
    ),
    BadFile(
        "two starts",
        lambda c: c | {"TAI_start": np.zeros(2)},
        "'TAI_start' holds .*; one number is right",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_hdf_eos(bad.break_it(make_content()), tmp_path / "granule.hdf")
    with pytest.raises(bad.error, match=rf"^{path}: .*{bad.says}"):
        read_cloudsat(path)


def test_other_units_are_rejected(tmp_path: Path) -> None:
    path = write_hdf_eos(make_content(), tmp_path / "granule.hdf", units="dBm")
    with pytest.raises(SourceFileError, match="has units 'dBm'; 'dBZ' is right"):
        read_cloudsat(path)


def test_granule_is_recognised_by_its_container(tmp_path: Path) -> None:
    assert RADAR.recognises(read_header(write_hdf_eos(make_content(), tmp_path / "granule.hdf")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: with_value(c, "Profile_time", 2, 0.16), "at the time of another"),
    ],
)
def test_faulty_profile_is_left_out_and_counted(
    change: Callable[[Content], Content], reason: str, tmp_path: Path
) -> None:
    curtain = read_cloudsat(write_hdf_eos(change(make_content()), tmp_path / "granule.hdf"))
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {reason: 1}
    assert curtain.sizes["time"] == PROFILES - 1


def test_granule_of_simulated_weather_crosses_land_sea_and_the_date_line(tmp_path: Path) -> None:
    overpass = write_cloudsat_granule(tmp_path / "granule.hdf", profiles=300)
    curtain = read_cloudsat(tmp_path / "granule.hdf")
    assert dict(curtain.sizes) == {"time": 300, "height": BINS}
    assert np.ptp(curtain["longitude"].values) > 350
    assert curtain["latitude"].values.max() > 81
    # A profile every 1.08 km, as if there was no date line.
    assert np.diff(curtain["along_track_distance"].values) == pytest.approx(
        np.full(299, 1080), rel=0.03
    )
    land = overpass.is_land
    assert 0 < land.sum() < 300
    assert (curtain["altitude"].values[~land] == 0).all()
    assert np.allclose(curtain["altitude"].values[land], overpass.elevation[land], atol=0.5)
    status = curtain["detection_status"].values
    assert (status == ECHO).mean() > 0.05
    # No gate above the zone holds the surface's echo of 32 dBZ and more.
    assert np.nanmax(curtain["reflectivity"].values) < 30
