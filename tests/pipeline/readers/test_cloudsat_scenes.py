"""CloudSat scenes without place and time: made-up days, identity grid, the catalogue's blocks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import BadFile, check_rejected, set_units, set_value, write_raw

from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.readers import read_curtain, recognise
from blindzone.pipeline.readers.cloudsat_scenes import LOWEST_GATE_M, read_cloudsat_scenes

SCENES, PROFILES, GATES = 3, 5, 64


@pytest.fixture
def raw() -> xr.Dataset:
    """Three scenes; scene n holds n dBZ in gate n alone."""
    values = np.full((SCENES, PROFILES, GATES), np.nan, np.float32)
    for scene in range(SCENES):
        values[scene, :, scene] = scene
    dims = ("scene", "along_track", "gate")
    blocks = np.array(["training", "validation", "test"], dtype=object)
    return xr.Dataset(
        {"reflectivity": (dims, values, {"units": "dBZ"}), "block": ("scene", blocks)},
        attrs={"gate_spacing_m": 240.0, "along_track_spacing_m": 1090.0},
    )


def test_each_scene_is_on_a_made_up_day_of_its_own(raw: xr.Dataset, tmp_path: Path) -> None:
    path = write_raw(raw, tmp_path / "scenes.nc")
    assert recognise(path).name == "cloudsat_scenes"
    curtain = read_curtain(path)
    check_curtain(curtain)
    days = curtain["time"].values.astype("datetime64[D]").reshape(SCENES, PROFILES)
    assert (days == np.array([["2000-01-01"], ["2000-01-02"], ["2000-01-03"]], "M8[D]")).all()
    # Five profiles 0.16 s apart from noon on, 1090 m apart.
    within = curtain.isel(time=slice(PROFILES))
    assert str(within["time"].values[-1]) == "2000-01-01T12:00:00.640000000"
    assert within["along_track_distance"].values.tolist() == [0, 1090, 2180, 3270, 4360]
    assert (np.diff(curtain["along_track_distance"].values) > 0).all()


def test_all_gates_are_visible_and_the_place_is_unknown(raw: xr.Dataset, tmp_path: Path) -> None:
    curtain = read_cloudsat_scenes(write_raw(raw, tmp_path / "scenes.nc"))
    # The lowest gate begins where nothing is hidden any more.
    assert (curtain["blind_zone_top"].values == curtain["height"].values[0] - 120).all()
    assert all(np.isnan(curtain[name]).all() for name in ("latitude", "longitude", "altitude"))
    status = curtain["detection_status"].values
    assert np.argwhere(status == DetectionStatus.ECHO)[:, 1].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert (status != DetectionStatus.NO_DATA).all()


def test_rows_of_240_m_are_the_gates_above_rows_without_data(
    raw: xr.Dataset, tmp_path: Path
) -> None:
    curtain = read_cloudsat_scenes(write_raw(raw, tmp_path / "scenes.nc"))
    gridded = grid_curtain(curtain, Grid(rows=GATES, row_depth_m=240))
    below = round(LOWEST_GATE_M / 240)
    assert np.allclose(
        gridded["reflectivity"][:, below:],
        curtain["reflectivity"][:, :-below],
        equal_nan=True,
        atol=1e-5,
    )
    status = gridded["detection_status"].values
    assert (status[:, :below] == DetectionStatus.NO_DATA).all()
    assert (status[:, below:] != DetectionStatus.NO_DATA).all()


BAD_FILES = (
    BadFile("linear", set_value("reflectivity", (0, 0, 0), 1e3), "outside -120 to 80 dBZ"),
    BadFile("other unit", set_units("reflectivity", "m"), "has units 'm'"),
    BadFile("transposed", lambda raw: raw.transpose(), "'reflectivity' has dimensions"),
    BadFile("no gates", lambda raw: raw.drop_vars("reflectivity"), "it lacks reflectivity"),
    BadFile("no scene", lambda raw: raw.isel(scene=slice(0)), "it has 0 scenes of 5 profiles"),
    BadFile(
        "no spacing",
        lambda raw: raw.drop_attrs(deep=False),
        "'gate_spacing_m' is 'not there'; a number from 20 to 1000",
    ),
    BadFile(
        "spacing in km", lambda raw: raw.assign_attrs(gate_spacing_m=0.24), "'gate_spacing_m' is"
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected(bad: BadFile, raw: xr.Dataset, tmp_path: Path) -> None:
    path = write_raw(bad.make(raw), tmp_path / "scenes.nc")
    check_rejected(read_cloudsat_scenes, path, bad.says, bad.error)


@pytest.fixture
def entry(catalog_file: Path) -> Source:
    return read_catalog(catalog_file)["cloudsat_scenes"]


def test_measured_scenes_are_in_the_blocks_of_the_catalogue(
    entry: Source, measured_directory: Path
) -> None:
    path = measured_directory / "cloudsat_scenes" / "cloudsat_scenes.nc"
    with xr.open_dataset(path, engine="h5netcdf") as file:
        blocks = [str(block) for block in file["block"].values]
    days = read_curtain(path)["time"].values.astype("datetime64[D]")
    of_scenes = [day.astype(date) for day in np.unique(days)]
    assert list(entry.find_days(measured_directory)) == of_scenes
    for block in ("training", "validation", "test"):
        wanted = [day for day, its in zip(of_scenes, blocks, strict=True) if its == block]
        assert list(getattr(entry.split, block)) == wanted
