"""EarthCARE cloud radar frames: the curtain that is read, and rejected files.

No frame was at hand: what the tests write follows the documented layouts of C-NOM and C-FMR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import xarray as xr
from earthcare_files import write_earthcare_frame

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.curtains.curtain import (
    BlindZoneOrigin,
    DetectionStatus,
    QualityFlag,
    check_curtain,
)
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts, read_doubts
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.earthcare import FLOOR_DBZ, RADAR, read_earthcare

PROFILES, GATES, GATE_DEPTH, ECHO_GATE = 4, 218, 100, 150
FILL = np.float32(9.96921e36)
NO_DATA, NO_ECHO, ECHO = (
    int(code) for code in (DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO)
)
# 2024-08-01 03:00:00, 8979 days after 2000-01-01.
START = 8979 * 86400 + 3 * 3600
EPOCH = "seconds since 2000-01-01 00:00:00"
Z, Z_CORRECTED = "ScienceData/Data/radarReflectivityFactor", "ScienceData/reflectivity_corrected"
Content = dict[str, tuple[np.ndarray, str | None]]


def make_geolocation() -> dict[str, np.ndarray]:
    """Four profiles over a surface at 0, 0, 250, 250 m; gates 100 m apart, 20.7 to -1 km."""
    heights = 20_700 - GATE_DEPTH * np.arange(GATES)
    return {
        "height": np.tile(heights, (PROFILES, 1)).astype(np.float32),
        "elevation": np.array([0, 0, 250, 250], np.float32),
        "latitude": np.arange(PROFILES) * 0.01,
        "longitude": np.full(PROFILES, 20.0),
        "time": START + 0.07 * np.arange(PROFILES),
    }


def make_c_nom() -> Content:
    """Noise of -40 dBZ and echo of -10 dBZ in gate 150 (5.7 km), in linear units."""
    geo = make_geolocation()
    z = np.full((PROFILES, GATES), 1e-4, np.float32)
    z[:, ECHO_GATE] = 0.1
    return {
        Z: (z, "mm6/m3"),
        "ScienceData/Geo/binHeight": (geo["height"], "m"),
        "ScienceData/Geo/surfaceElevation": (geo["elevation"], "m"),
        "ScienceData/Geo/latitude": (geo["latitude"], "degree"),
        "ScienceData/Geo/longitude": (geo["longitude"], "degree"),
        "ScienceData/Geo/profileTime": (geo["time"], EPOCH),
    }


def make_c_fmr() -> Content:
    """Fill, and echo of -10 dBZ in gate 150 (5.7 km)."""
    geo = make_geolocation()
    z = np.full((PROFILES, GATES), FILL, np.float32)
    z[:, ECHO_GATE] = -10
    names = {"surface_elevation": "elevation"} | {
        name: name for name in ("height", "latitude", "longitude", "time")
    }
    units = {"time": EPOCH + ".0", "height": "m", "surface_elevation": "m"}
    return {Z_CORRECTED: (z, "dBZ")} | {
        f"ScienceData/{theirs}": (geo[ours], units.get(theirs)) for theirs, ours in names.items()
    }


def write_content(content: Content, path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for name, (values, units) in content.items():
            item = file.create_dataset(name, data=values)
            if values.dtype.kind == "f":
                item.attrs["_FillValue"] = values.dtype.type(FILL)
            if units is not None:
                item.attrs["units"] = units
    return path


def read_content(content: Content, folder: Path) -> xr.Dataset:
    return read_earthcare(write_content(content, folder / "ECA_EXAF_CPR.h5"))


def with_value(content: Content, name: str, index: Any, value: float) -> Content:
    values, units = content[name]
    changed = values.copy()
    changed[index] = value
    return content | {name: (changed, units)}


def with_units(content: Content, name: str, units: str | None) -> Content:
    return content | {name: (content[name][0], units)}


def without(content: Content, name: str) -> Content:
    return {other: item for other, item in content.items() if other != name}


@pytest.mark.parametrize("make", [make_c_nom, make_c_fmr], ids=["C-NOM", "C-FMR"])
def test_frame_is_read_from_the_lowest_gate_up_with_its_surface_and_times(
    make: Callable[[], Content], tmp_path: Path
) -> None:
    curtain = read_content(make(), tmp_path)
    check_curtain(curtain)
    assert dict(curtain.sizes) == {"time": PROFILES, "height": GATES}
    assert curtain["gate_height"].values[:, 0].tolist() == [-1000, -1000, -1250, -1250]
    assert curtain["height"].values[[0, -1]].tolist() == [-1000, 20_700]
    assert curtain["altitude"].values.tolist() == [0, 0, 250, 250]
    start = np.datetime64("2024-08-01T03:00:00", "ns")
    assert np.array_equal(
        curtain["time"].values, start + np.arange(PROFILES) * np.timedelta64(70, "ms")
    )
    assert curtain["along_track_distance"].values == pytest.approx(
        1105.74 * np.arange(PROFILES), abs=0.1
    )
    echo = curtain["detection_status"].values == ECHO
    assert np.argwhere(echo)[:, 1].tolist() == [GATES - 1 - ECHO_GATE] * PROFILES
    assert curtain["reflectivity"].values[echo] == pytest.approx(np.full(PROFILES, -10), abs=1e-4)


@pytest.mark.parametrize("make", [make_c_nom, make_c_fmr], ids=["C-NOM", "C-FMR"])
def test_gates_within_a_pulse_of_the_surface_are_blind(
    make: Callable[[], Content], tmp_path: Path
) -> None:
    curtain = read_content(make(), tmp_path)
    # Gates are at whole hundreds above a surface at 0 m, and 50 m off them above one at 250 m:
    # the lowest lower edges at 500 m or more are those of the gates at 600 m (550 m) and 550 m (500
    # m).
    assert curtain["blind_zone_top"].values.tolist() == [550, 550, 500, 500]
    flags = curtain["quality_flags"].values
    below, clutter = int(QualityFlag.BELOW_SURFACE), int(QualityFlag.SURFACE_CLUTTER)
    assert flags[0, 9:17].tolist() == [below] + [clutter] * 6 + [0]
    assert (curtain["detection_status"].values[flags > 0] == NO_DATA).all()
    assert (curtain["detection_status"].values[flags == 0] != NO_DATA).all()


def test_noise_of_level_1_is_no_echo_and_missing_values_are_no_data(tmp_path: Path) -> None:
    assert pytest.approx(-28.495, abs=0.001) == FLOOR_DBZ  # -35 + 5 log10(20)
    content = make_c_nom()
    for gates, dbz in (
        (slice(90, 93), FLOOR_DBZ - 0.1),
        (slice(100, 103), FLOOR_DBZ + 0.1),
    ):
        content = with_value(content, Z, (slice(None), gates), 10 ** (0.1 * dbz))
    alone = 10 ** (0.1 * (FLOOR_DBZ + 0.1))
    for gate, value in ((80, alone), (110, 0.0), (111, -1e-4), (112, FILL), (113, np.nan)):
        content = with_value(content, Z, (0, gate), value)
    status = read_content(content, tmp_path)["detection_status"].values[0, ::-1]
    assert status[[91, 101, 80]].tolist() == [NO_ECHO, ECHO, NO_ECHO]
    assert status[110:114].tolist() == [NO_ECHO, NO_ECHO, NO_DATA, NO_DATA]


def test_level_1_in_dbz_is_told_by_its_units(tmp_path: Path) -> None:
    content = make_c_nom()
    content[Z] = (10 * np.log10(content[Z][0]), "dBZ")
    assert np.nanmax(read_content(content, tmp_path)["reflectivity"].values) == pytest.approx(
        -10, abs=1e-4
    )


def test_fill_of_the_feature_mask_is_no_echo_and_weak_echo_is_kept(tmp_path: Path) -> None:
    curtain = read_content(with_value(make_c_fmr(), Z_CORRECTED, (0, 100), -34), tmp_path)
    assert curtain["detection_status"].values[0, ::-1][99:101].tolist() == [NO_ECHO, ECHO]


def test_masked_reflectivity_is_read_where_there_is_no_corrected_one(tmp_path: Path) -> None:
    content = make_c_fmr()
    content["ScienceData/reflectivity_masked"] = (content[Z_CORRECTED][0] - np.float32(1), "dBZ")
    assert np.nanmax(read_content(content, tmp_path)["reflectivity"].values) == -10
    assert (
        np.nanmin(read_content(without(content, Z_CORRECTED), tmp_path)["reflectivity"].values)
        == -11
    )


def test_gates_and_profiles_of_unknown_height_hold_no_data(tmp_path: Path) -> None:
    content = with_value(make_c_nom(), "ScienceData/Geo/binHeight", (0, [0, 1, GATES - 1]), FILL)
    content = with_value(content, "ScienceData/Geo/surfaceElevation", 1, FILL)
    curtain = read_content(content, tmp_path)
    status = curtain["detection_status"].values
    assert status[0, [0, -3, -2, -1]].tolist() == [NO_DATA, NO_ECHO, NO_DATA, NO_DATA]
    assert (status[1] == NO_DATA).all()
    assert np.isnan(curtain["blind_zone_top"].values).tolist() == [False, True, False, False]


def test_profile_without_position_is_left_out(tmp_path: Path) -> None:
    assert (
        read_content(with_value(make_c_fmr(), "ScienceData/latitude", 2, FILL), tmp_path).sizes[
            "time"
        ]
        == 3
    )


@pytest.mark.parametrize("make", [make_c_nom, make_c_fmr], ids=["C-NOM", "C-FMR"])
def test_frame_is_recognised_and_another_product_is_not(
    make: Callable[[], Content], tmp_path: Path
) -> None:
    assert RADAR.recognises(read_header(write_content(make(), tmp_path / "frame.h5")))
    other = without(without(make(), Z), Z_CORRECTED)
    assert not RADAR.recognises(read_header(write_content(other, tmp_path / "other.h5")))


STATUS, ZERO = "ScienceData/detection_status", np.zeros((PROFILES, GATES), np.float32)
DEFINITION = "0 = no significant detection, 3 = hydrometeor + clutter, 4 = clutter, 9 = no data"
SEA_GATE = 207  # at 0 m


def write_with_status(content: Content, path: Path, status: np.ndarray, definition: str) -> Path:
    write_content(content | {STATUS: (status, None)}, path)
    with h5py.File(path, "a") as file:
        file[STATUS].attrs["definition"] = definition
    return path


def test_zone_follows_the_clutter_that_the_file_flags(tmp_path: Path) -> None:
    status = ZERO.copy()
    status[0, SEA_GATE - 8 :] = 4  # up to 800 m
    status[1, [SEA_GATE - 2, SEA_GATE - 1, SEA_GATE]] = [3, 4, 4]  # up to 200 m
    status[1, SEA_GATE - 30] = 4  # and alone at 3 km
    path = write_with_status(make_c_fmr(), tmp_path / "frame.h5", status, DEFINITION)
    curtain = read_earthcare(path)
    # The others have no flag near the surface: 500 m above the terrain.
    assert curtain["blind_zone_top"].values.tolist() == [850, 250, 500, 500]
    origin = curtain["blind_zone_origin"].values.tolist()
    assert origin == [BlindZoneOrigin.FILE] * 2 + [BlindZoneOrigin.ASSUMED] * 2
    alone = GATES - 1 - (SEA_GATE - 30)
    assert curtain["quality_flags"].values[1, alone] == QualityFlag.SURFACE_CLUTTER
    assert curtain["detection_status"].values[1, [alone, alone + 1]].tolist() == [NO_DATA, NO_ECHO]


def test_status_of_no_data_is_no_data_and_codes_that_nobody_explains_say_nothing(
    tmp_path: Path,
) -> None:
    status = ZERO.copy()
    status[0, 100], status[0, 101] = 9, FILL
    path = write_with_status(make_c_fmr(), tmp_path / "frame.h5", status, DEFINITION)
    found = read_earthcare(path)["detection_status"].values[0, ::-1]
    assert found[99:103].tolist() == [NO_ECHO, NO_DATA, NO_DATA, NO_ECHO]
    path = write_with_status(make_c_fmr(), tmp_path / "other.h5", status, "")
    assert read_earthcare(path)["detection_status"].values[0, ::-1][100] == NO_ECHO


def test_zone_counts_from_the_surface_that_the_radar_found_if_it_is_higher(tmp_path: Path) -> None:
    content = make_c_nom()
    gates = np.array([SEA_GATE + 1, SEA_GATE - 1, -9, 0], np.int16)  # from 1: 0 m, 200 m, none
    content["ScienceData/Data/surfaceBinNumber"] = (gates, None)
    curtain = read_content(content, tmp_path)
    assert curtain["blind_zone_top"].values.tolist() == [550, 750, 500, 500]
    assert curtain["blind_zone_origin"].values.tolist() == [
        BlindZoneOrigin.SURFACE_ECHO,
        BlindZoneOrigin.SURFACE_ECHO,
        BlindZoneOrigin.ASSUMED,
        BlindZoneOrigin.ASSUMED,
    ]
    content["ScienceData/Data/surfaceEstimationFlag"] = (np.ones(PROFILES, np.int16), None)
    from_model = read_content(content, tmp_path)["blind_zone_origin"].values
    assert (from_model == BlindZoneOrigin.ASSUMED).all()


def test_level_1_velocities_are_turned_downwards_and_kept_where_there_is_echo(
    tmp_path: Path,
) -> None:
    content = make_c_nom()
    rising = np.full((PROFILES, GATES), -1.5, np.float32)  # falling with 1.5 m s-1
    content["ScienceData/Data/dopplerVelocity"] = (rising, "m/s")
    velocity = read_content(content, tmp_path)["doppler_velocity"].values
    assert np.isfinite(velocity).sum() == PROFILES
    assert velocity[0, GATES - 1 - ECHO_GATE] == 1.5


def test_surface_echo_without_units_is_a_doubt_and_not_read(tmp_path: Path) -> None:
    content = make_c_nom()
    name = "ScienceData/Data/sigmaZero"
    content[name] = (np.full(PROFILES, 11, np.float32), "dB")
    assert (read_content(content, tmp_path)["surface_echo"].values == 11).all()
    content[name] = (content[name][0], None)
    curtain = read_content(content, tmp_path)
    assert "surface_echo" not in curtain
    assert "'sigmaZero' has no units" in read_doubts(curtain.attrs)[0]


def test_attenuation_and_altitude_above_the_geoid_are_those_of_level_2(tmp_path: Path) -> None:
    content = make_c_fmr()
    pia = np.array([0, 1.5, FILL, 3], np.float32)
    content["ScienceData/path_integrated_attenuation"] = (pia, "dB")
    content["ScienceData/geoid_offset"] = (np.full(PROFILES, -20, np.float32), "m")
    curtain = read_content(content, tmp_path)
    assert curtain["path_integrated_attenuation"].values == pytest.approx(
        [0, 1.5, np.nan, 3], nan_ok=True
    )
    assert curtain["altitude"].values.tolist() == [20, 20, 270, 270]
    assert curtain["gate_height"].values[2, 0] == -1250  # both are above the ellipsoid


def test_corrected_velocities_are_a_curtain_of_their_own(tmp_path: Path) -> None:
    write_earthcare_frame(tmp_path / "frame.h5", "C-CD", profiles=120)
    curtain = read_curtain(tmp_path / "frame.h5")
    check_curtain(curtain)
    assert "reflectivity" not in curtain
    velocity = curtain["doppler_velocity"].values
    # Rain and snow fall: away from the radar.
    assert np.nanmedian(velocity) > 0.3
    assert np.isnan(velocity[curtain["quality_flags"].values > 0]).all()
    gridded = grid_curtain(curtain, Grid(rows=128, row_depth_m=100))
    assert np.nanmedian(gridded["doppler_velocity"].values) > 0.3
    assert "blind_zone_origin" in gridded


def test_velocities_of_bad_quality_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "frame.h5"
    write_earthcare_frame(path, "C-CD", profiles=120)
    known = np.isfinite(read_earthcare(path)["doppler_velocity"].values).sum(axis=1)
    with h5py.File(path, "a") as file:
        file["ScienceData/quality_status"][:60] = 1
    kept = np.isfinite(read_earthcare(path)["doppler_velocity"].values).sum(axis=1)
    assert known[:60].any()
    assert kept.tolist() == [0] * 60 + known[60:].tolist()


def test_profile_whose_every_gate_is_clutter_is_hidden_to_its_top(tmp_path: Path) -> None:
    status = ZERO.copy()
    status[0] = 4
    path = write_with_status(make_c_fmr(), tmp_path / "frame.h5", status, DEFINITION)
    curtain = read_earthcare(path)
    assert curtain["blind_zone_top"].values[0] == 20_750  # half a gate above the highest
    assert (curtain["detection_status"].values[0] == NO_DATA).all()
    assert (curtain["quality_flags"].values[0, 10:] == QualityFlag.SURFACE_CLUTTER).all()


def test_unknown_elevation_is_that_of_the_surface_gate(tmp_path: Path) -> None:
    content = with_value(make_c_nom(), "ScienceData/Geo/surfaceElevation", 2, FILL)
    gates = np.full(PROFILES, SEA_GATE - 1, np.int16)  # at 200 m
    content["ScienceData/Data/surfaceBinNumber"] = (gates, None)
    curtain = read_content(content, tmp_path)
    assert curtain["altitude"].values.tolist() == [0, 0, 200, 250]
    assert curtain["gate_height"].values[2, 0] == -1200


def test_elevation_of_minus_9999_is_not_known(tmp_path: Path) -> None:
    content = with_value(make_c_nom(), "ScienceData/Geo/surfaceElevation", 1, -9999)
    curtain = read_content(content, tmp_path)
    assert np.isnan(curtain["altitude"].values).tolist() == [False, True, False, False]
    assert (curtain["detection_status"].values[1] == NO_DATA).all()
    assert curtain["blind_zone_origin"].values[1] == BlindZoneOrigin.UNKNOWN


def test_jump_in_time_and_the_date_line_stay_what_they_are(tmp_path: Path) -> None:
    times = START + np.array([0, 0.07, 120, 120.07])
    content = make_c_fmr()
    content["ScienceData/time"] = (times, EPOCH)
    content["ScienceData/longitude"] = (np.array([179.99, 180, -179.99, -179.98]), None)
    content["ScienceData/latitude"] = (np.zeros(PROFILES), None)
    curtain = read_content(content, tmp_path)
    steps = np.diff(curtain["time"].values) / np.timedelta64(1, "ms")
    assert steps.tolist() == [70, 119_930, 70]
    # 0.01 degrees of longitude at the equator.
    assert np.diff(curtain["along_track_distance"].values) == pytest.approx(
        np.full(3, 1113.2), abs=0.1
    )


@dataclass(frozen=True)
class BadFile:
    """A way to break a C-NOM frame, and what its one message must say."""

    name: str
    break_it: Callable[[Content], Content]
    says: str
    error: type[BlindzoneError] = SourceFileError


GEO = "ScienceData/Geo"
BAD_FILES = (
    BadFile("no Z", lambda c: without(c, Z), f"not an EarthCARE CPR frame: it has none of {Z}, "),
    BadFile(
        "no height",
        lambda c: without(c, f"{GEO}/binHeight"),
        f"an EarthCARE C-NOM frame: it lacks {GEO}/bin",
    ),
    BadFile(
        "no units",
        lambda c: with_units(c, Z, None),
        "radarReflectivityFactor' has no units; 'mm6 m-3' is",
    ),
    BadFile(
        "other units",
        lambda c: with_units(c, Z, "dB"),
        "'reflectivity' has units 'dB'; 'dBZ' is right",
    ),
    BadFile(
        "dBZ with linear units",
        lambda c: with_value(c, Z, 0, 1e10),
        "values outside -inf to 80 dBZ",
    ),
    BadFile(
        "height in km",
        lambda c: with_units(c, f"{GEO}/binHeight", "km"),
        "'height' holds .* values outside",
    ),
    BadFile(
        "no epoch",
        lambda c: with_units(c, f"{GEO}/profileTime", "s"),
        "'time' has units 's'; 'seconds since ",
    ),
    BadFile("transposed", lambda c: c | {Z: (c[Z][0].T, "mm6/m3")}, "'height' has dimensions"),
    BadFile(
        "one profile", lambda c: c | {Z: (c[Z][0][0], "mm6/m3")}, "profiles and gates are right"
    ),
    BadFile(
        "gates mixed",
        lambda c: with_value(c, f"{GEO}/binHeight", (0, 9), 0),
        "'height' does not run one way",
    ),
    BadFile(
        "undeclared fill",
        lambda c: with_value(c, f"{GEO}/latitude", 0, -999),
        r"outside -90 to 90 \(first: -9",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_content(bad.break_it(make_c_nom()), tmp_path / "frame.h5")
    with pytest.raises(bad.error, match=rf"^{path}: .*{bad.says}"):
        read_earthcare(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: with_value(c, f"{GEO}/profileTime", 1, FILL), "without a credible time"),
        (lambda c: with_value(c, f"{GEO}/profileTime", 1, START), "at the time of another"),
    ],
)
def test_faulty_profile_is_left_out_and_counted(
    change: Callable[[Content], Content], reason: str, tmp_path: Path
) -> None:
    curtain = read_earthcare(write_content(change(make_c_nom()), tmp_path / "frame.h5"))
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {reason: 1}
    assert curtain.sizes["time"] == PROFILES - 1


def test_values_outside_their_valid_range_are_rejected_and_counted(tmp_path: Path) -> None:
    path = write_content(make_c_fmr(), tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        values = file[Z_CORRECTED][...]
        values[0, 100] = 30.0
        file[Z_CORRECTED][...] = values
        file[Z_CORRECTED].attrs["valid_max"] = np.float32(25)

    curtain = read_earthcare(path)

    assert list(read_counts(curtain.attrs).values()) == [1]
    assert curtain["detection_status"].values[0, ::-1][100] == NO_DATA
    assert curtain["quality_flags"].values[0, ::-1][100] == QualityFlag.REJECTED


@pytest.mark.parametrize("product", ["C-NOM", "C-FMR"])
def test_frame_of_simulated_weather_is_read(
    product: Literal["C-NOM", "C-FMR"], tmp_path: Path
) -> None:
    overpass = write_earthcare_frame(tmp_path / "frame.h5", product, profiles=200)
    curtain = read_earthcare(tmp_path / "frame.h5")
    assert dict(curtain.sizes) == {"time": 200, "height": GATES}
    assert 0 < overpass.is_land.sum() < 200
    assert (curtain["detection_status"].values == ECHO).mean() > 0.05
    spacing = {"C-NOM": 500, "C-FMR": 1000}[product]
    assert np.diff(curtain["along_track_distance"].values) == pytest.approx(
        np.full(199, spacing), rel=0.03
    )
