"""Catalogue entries made from a file: valid, and found to read that file again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.entry import (
    guess_grid,
    guess_lowest_trusted,
    guess_name,
    guess_pattern,
    guess_spacing,
    make_entry,
    write_catalog,
)
from blindzone.pipeline.readers import read_curtain

DAY = "2018-09-05T01:00:02"


def make_native(
    heights: np.ndarray, *, time: str = DAY, track: bool = False, field: str = "reflectivity"
) -> xr.Dataset:
    """A curtain of one profile, of the fields that entries are made from."""
    values = (("time", "height"), np.zeros((1, heights.size)))
    native = xr.Dataset(
        {field: values},
        {"time": [np.datetime64(time, "ns")], "height": heights},
        {"reader": "cloudnet_radar"},
    ).assign_coords(latitude=48.7, longitude=2.2, altitude=156.0)
    if field == "attenuated_backscatter":
        native = native.assign(backscatter_status=values)
    if field == "reflectivity":
        native = native.assign(detection_status=values)
    return native.assign_coords(along_track_distance=("time", [0.0])) if track else native


@pytest.mark.parametrize(
    ("name", "time", "pattern"),
    [
        ("20180905_palaiseau_basta.nc", DAY, "%Y%m%d_palaiseau_basta.nc"),
        ("sgpkazrgeC1.a1.20180905.000002.cdf", DAY, "sgpkazrgeC1.a1.%Y%m%d.*.cdf"),
        ("mirac_compact_20180905010002_P01.nc", DAY, "mirac_compact_%Y%m%d*_P01.nc"),
        ("180905_010000_P09_ZEN.nc", DAY, "%y%m%d_*_P09_ZEN.nc"),
        ("MPL_5030_201809050100.nc", DAY, "MPL_5030_%Y%m%d*.nc"),
        ("era5_end_2018-09-05-18.nc", DAY, "era5_end_%Y-%m-%d-*.nc"),
        ("radar_2018248.nc", DAY, "radar_%Y%j.nc"),
        ("radar.nc", DAY, "%Y%m%d*.nc"),
        ("leg_05Sep2018.nc", DAY, "leg_%d%b%Y.nc"),
        # Not the date, but a number that has its digits.
        ("id1180905_20180905.nc", DAY, "id1180905_%Y%m%d.nc"),
    ],
)
def test_date_in_the_name_becomes_a_pattern(name: str, time: str, pattern: str) -> None:
    native = make_native(np.array([100.0]), time=time)
    assert guess_pattern(name, native, is_granule=False) == pattern


def test_identifier_of_the_file_becomes_a_star() -> None:
    native = make_native(np.array([100.0])).assign_attrs(file_uuid="5b3bec62-2389-4fcd")
    found = guess_pattern("20180905_granada_rpg_5b3bec62.nc", native, is_granule=False)
    assert found == "%Y%m%d_granada_rpg_*.nc"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (
            "2A-CS.GPM.Ku.V7-20170308.20180905-S010002-E015137.004383.V05A.HDF5",
            "2A-CS.GPM.Ku.V7-20170308.%Y%m%d-S%H%M%S-E*.*.V05A.HDF5",
        ),
        ("ECA_CPR_20180905T010002Z_01234A.h5", "ECA_CPR_%Y%m%dT%H%M%SZ_*A.h5"),
        ("leg_05Sep2018.nc", "leg_%d%b%Y.nc"),  # no start: a day
    ],
)
def test_granule_is_named_by_its_start(name: str, pattern: str) -> None:
    native = make_native(np.array([100.0]), track=True)
    assert guess_pattern(name, native, is_granule=True) == pattern


@pytest.mark.parametrize(
    ("heights", "rows", "depth_m"),
    [
        # The package's grid ends at 10 km.
        (np.arange(12.5, 18_000, 25), 128, 78.125),
        # 7545 m are 96.6 rows of 78.125 m; 96 can be halved four times.
        (np.arange(15.0, 7560, 30), 96, 78.125),
        # Gates that are deeper than the rows.
        (np.arange(0.0, 22_000, 125), 128, 125.0),
        # 900 m are eleven rows, too few to halve.
        (np.arange(50.0, 925, 25), 11, 78.125),
    ],
    ids=["high", "low", "deep", "flat"],
)
def test_grid_is_within_reach_of_the_gates(heights: np.ndarray, rows: int, depth_m: float) -> None:
    assert guess_grid(make_native(heights)) == {"rows": rows, "row_depth_m": depth_m}


@pytest.mark.parametrize(("depth_m", "rows"), [(239.83, 64), (100.0, 128)])
def test_grid_of_a_track_is_that_of_its_networks(depth_m: float, rows: int) -> None:
    native = make_native(np.arange(-1000.0, 20_000, depth_m), track=True)
    assert guess_grid(native) == {"rows": rows, "row_depth_m": round(depth_m, -1)}


def test_spacing_of_a_track_is_stated_and_of_one_profile_not_known() -> None:
    track = xr.Dataset(coords={"along_track_distance": ("time", [0.0, 1079.8, 2160.1])})
    assert guess_spacing(track) == {"profile_spacing_m": 1080}
    assert guess_spacing(track.isel(time=[0])) == {}


def test_levels_of_a_state_may_be_further_apart_than_rows() -> None:
    native = make_native(np.arange(10.0, 80_000, 800), field="temperature")
    assert guess_grid(native) == {"rows": 128, "row_depth_m": 78.125}


def test_lowest_gate_is_trusted_of_a_radar_on_the_ground_alone() -> None:
    heights = np.array([102.2, 130.0])
    assert guess_lowest_trusted(make_native(heights)) == 103
    assert guess_lowest_trusted(make_native(heights, track=True)) is None
    assert guess_lowest_trusted(make_native(heights, field="attenuated_backscatter")) is None


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("%Y%m%d_palaiseau_basta.nc", "palaiseau_basta"),
        ("sgpkazrgeC1.a1.%Y%m%d.*.cdf", "sgpkazrgec1"),
        ("%Y%m%d_*.nc", "mrr_pro"),
    ],
)
def test_source_is_called_like_its_files_or_their_folder(pattern: str, name: str) -> None:
    assert guess_name(pattern, "mrr_pro") == name


@pytest.fixture
def days(simulated_file: Path, tmp_path: Path) -> Path:
    """A data directory with three files of one source."""
    (tmp_path / "data" / "short_days").mkdir(parents=True)
    for day in ("20000101", "20000102", "20000103"):
        shutil.copy(simulated_file, tmp_path / "data" / "short_days" / f"{day}_radar.nc")
    return tmp_path / "data"


def test_entry_reads_the_file_that_it_was_made_from(days: Path, tmp_path: Path) -> None:
    file = days / "short_days" / "20000101_radar.nc"
    text = write_catalog(file, read_curtain(file), days)
    (tmp_path / "own.yaml").write_text(text)

    catalog = read_catalog(tmp_path / "own.yaml")

    assert [*catalog] == ["radar"]
    found = catalog["radar"].find_days(days)
    assert file in [path for paths in found.values() for path in paths]
    assert len(found) == 3  # and its like


def test_folder_outside_of_the_data_is_absolute(days: Path, tmp_path: Path) -> None:
    file = days / "short_days" / "20000101_radar.nc"
    entry = make_entry(file, read_curtain(file), tmp_path / "elsewhere")
    assert (entry["directory"], entry["outside"]) == (str(file.parent.resolve()), True)
    entry = make_entry(file, read_curtain(file), days)
    assert entry["directory"] == "short_days"
    assert "outside" not in entry


def test_comments_say_what_the_file_does_not_decide(tmp_path: Path) -> None:
    native = make_native(np.arange(50.0, 12_000, 50))
    stated = write_catalog(tmp_path / "20180905_a_radar.nc", native, tmp_path)
    assert "# position: {latitude: 48.7, longitude: 2.2, altitude: 156.0} is what the" in stated
    lacking = native.assign_coords(altitude=np.nan)
    text = write_catalog(tmp_path / "20180905_a_radar.nc", lacking, tmp_path)
    assert "is to be added: no altitude here" in text
    assert yaml.safe_load(text) == yaml.safe_load(stated)
