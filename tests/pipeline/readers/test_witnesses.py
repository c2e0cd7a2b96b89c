"""What a file states twice is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from field_cases import field_case
from raw_files import write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import read_doubts
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers._witnesses import (
    check_against_file,
    check_gates,
    read_witnesses,
    shift_heights,
)

RANGE_M = 12.5 + 25 * np.arange(400)
CURTAIN = xr.Dataset(
    {"reflectivity": (("time", "height"), np.zeros((1, 400)))}, {"height": RANGE_M}
)


def hold(tmp_path: Path, attrs: dict[str, object] | None = None, **variables: object) -> xr.Dataset:
    """Returns the curtain, checked by a file of such variables."""
    given = {"altitude": 156.0, "range": ("range", RANGE_M)} | variables
    path = write_raw(xr.Dataset(given, attrs=attrs), tmp_path / "a.nc")  # type: ignore[arg-type]
    return check_against_file(CURTAIN, read_witnesses(CURTAIN, path), path)


def test_heights_that_agree_are_right(tmp_path: Path) -> None:
    tilted = RANGE_M * np.cos(np.radians(4))

    assert not hold(tmp_path, height=("range", RANGE_M + 156)).attrs
    assert not hold(tmp_path, height=("range", tilted + 156), zenith_angle=4.0).attrs
    assert not hold(tmp_path, height=("range", RANGE_M + 170)).attrs  # on a roof
    assert not hold(tmp_path, height=("range", RANGE_M, {"standard_name": "height"})).attrs


@pytest.mark.parametrize(
    ("height", "altitude", "says"),
    [
        (RANGE_M, 156.0, "counts from sea level"),
        (RANGE_M * 0.3048 + 156, 156.0, "range may be in feet"),
        (RANGE_M * 1000 + 156, 156.0, "range may be in km"),
    ],
)
def test_contradicting_heights_are_refused_with_what_may_be_wrong(
    height: np.ndarray, altitude: float, says: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceFileError, match=f"{says}.*'first_gate_m' of the source"):
        hold(tmp_path, height=("range", height), altitude=altitude)


@pytest.mark.parametrize("altitude", [0.156, 16.0, 500.0])
def test_altitude_that_does_not_fit_the_heights_is_a_doubt(altitude: float, tmp_path: Path) -> None:
    found = hold(tmp_path, height=("range", RANGE_M + 156), altitude=altitude)

    assert read_doubts(found.attrs) == (
        f"its altitude is {altitude:g} m, and 156 m by its range and height",
    )


def test_range_that_begins_at_the_altitude_is_a_doubt(tmp_path: Path) -> None:
    path = write_raw(xr.Dataset({"altitude": 156.0}), tmp_path / "a.nc")
    high = CURTAIN.assign_coords(height=RANGE_M + 156)

    found = check_against_file(high, read_witnesses(CURTAIN, path), path)

    assert "may count from sea level" in read_doubts(found.attrs)[0]


def test_frequency_that_no_radar_has_is_a_doubt(tmp_path: Path) -> None:
    found = hold(tmp_path, radar_frequency=((), 95e9, {"units": "GHz"}))

    assert "radar frequency is 9.5e+10" in read_doubts(found.attrs)[0]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"altitude": 8848.0}, "altitude is 8848 m"),
        ({"altitude": -700.0}, "altitude is -700 m"),
        ({"latitude": 139.7, "longitude": 35.7}, "latitude is 139.7.*swapped"),
        ({"longitude": 390.0}, "longitude is 390"),
        ({"zenith_angle": 0.52, "elevation": 60.0}, "zenith angle is 0.52 and its elevation 60"),
        ({"zenith_angle": ((), 2.0, {"standard_name": "sensor_elevation_angle"})}, "a zenith"),
        ({"range": ("range", RANGE_M, {"meters_between_gates": 82.0})}, "state 82"),
    ],
)
def test_what_no_station_has_is_refused(
    variables: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceFileError, match=says):
        hold(tmp_path, **variables)


@pytest.mark.parametrize("missing", [-999.0, -9999.0, 9999.0, 9.96921e36, np.nan])
def test_number_for_a_missing_position_is_none(missing: float, tmp_path: Path) -> None:
    assert not hold(tmp_path, altitude=missing, latitude=missing, longitude=missing).attrs


def test_swapped_position_is_refused_where_attributes_tell(tmp_path: Path) -> None:
    stated = {"geospatial_lat_min": 48.7, "geospatial_lon_min": "2.2"}

    assert not hold(tmp_path, stated, latitude=48.716, longitude=2.212).attrs
    with pytest.raises(SourceFileError, match="are swapped"):
        hold(tmp_path, stated, latitude=2.212, longitude=48.716)
    doubts = read_doubts(hold(tmp_path, stated, latitude=40.0, longitude=2.212).attrs)
    assert doubts == ("latitude is 40 as a variable and 48.7 as an attribute",)


def test_part_of_the_gates_keeps_what_the_file_states_of_all(tmp_path: Path) -> None:
    attrs = {"meters_between_gates": 25.0, "meters_to_center_of_first_gate": 12.5}

    assert not hold(tmp_path, range=("range", RANGE_M[4::2], attrs)).attrs


@pytest.mark.parametrize(
    ("heights", "says"),
    [
        (RANGE_M * 1e-3, "end at 9.9875 m"),
        (RANGE_M / 0.3048, "end at 32767.4 m"),
        (RANGE_M[:6] * 40, "1000 m apart"),
        (RANGE_M - 300, "lowest gate lies at -287.5 m.*'first_gate_m'"),
    ],
)
def test_incredible_gates_are_refused(heights: np.ndarray, says: str) -> None:
    curtain = CURTAIN.isel(height=slice(heights.size)).assign_coords(height=heights)

    with pytest.raises(SourceFileError, match=says):
        check_gates(curtain, Path("a.nc"))


def test_gates_a_little_below_the_radar_are_a_doubt() -> None:
    found = check_gates(CURTAIN.assign_coords(height=RANGE_M - 50), Path("a.nc"))

    assert read_doubts(found.attrs) == ("the lowest gate lies 37.5 m below the instrument",)


def test_catalogue_states_the_height_of_the_lowest_gate() -> None:
    found = shift_heights(CURTAIN.assign_coords(height=RANGE_M + 156), 12.5)

    assert np.allclose(found["height"], RANGE_M)


def test_file_that_is_no_netcdf_states_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.LV1"
    path.write_bytes(b"\x01" * 100)

    assert read_witnesses(CURTAIN, path).nyquist is None


def test_range_above_sea_level_is_counted_from_the_antenna() -> None:
    found = read_curtain(field_case("01") / "20220124_180000.nc")

    assert np.array_equal(found["height"], 25.0 * np.arange(128))
    assert found["height"].values[-1] == 3175.0


def test_both_forms_of_one_measurement_have_the_same_heights() -> None:
    folder = field_case("01")

    own = read_curtain(folder / "20220124_180000.nc")
    level1b = read_curtain(folder / "same_file_as_cloudnetpy_1.97.4_makes_it.nc")

    assert np.allclose(own["height"], level1b["height"])
