"""Files or a Dataset to a product in memory: the numbers of the archive, and bad input."""

from __future__ import annotations

import doctest
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import blindzone
from blindzone.core.errors import BlindzoneError, CheckpointError, CurtainError, SourceFileError
from blindzone.flows.running.fill_data import _join
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_task import ProductTask, fill_task
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts
from blindzone.pipeline.products.checks import check_product

SOURCE = "short_days"
RULES = {"lowest_trusted_m": 234}
"""Those of the catalogue's entry."""
OWN_NUMBERS = (
    "reflectivity",
    "reflectivity_quantile",
    "hydrometeor_probability",
    "inpainting_flag",
)


@pytest.fixture
def day(simulated_days: Path) -> Path:
    """Two simulated hours of a test day."""
    return simulated_days / SOURCE / "20000103_radar.nc"


@pytest.fixture
def options(trained: tuple[Path, Path]) -> dict[str, Any]:
    """A tiny network and few passes."""
    return {"checkpoint": trained[1], "passes": 2, "quality": RULES}


def test_file_becomes_the_product_that_the_archive_gives(
    day: Path, options: dict[str, Any], catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    filled = blindzone.fill(day, **options)
    places = Places(catalog=catalog, archive=str(trained[0]), products=str(tmp_path)).settle()
    filling = Filling(passes=2, checkpoint=trained[1])
    task = ProductTask(source=SOURCE, day=date(2000, 1, 3), filling=filling, places=places)
    with xr.open_dataset(str(fill_task(task).product), engine="h5netcdf") as product:
        assert set(filled.variables) == set(product.variables)
        for name, variable in product.variables.items():
            np.testing.assert_array_equal(filled[name].values, variable.values, err_msg=str(name))
    check_product(filled)
    assert filled.attrs["source_files"].startswith("20000103_radar.nc sha256:")


def test_dataset_becomes_the_product_of_its_file(day: Path, options: dict[str, Any]) -> None:
    with xr.open_dataset(day, engine="h5netcdf", chunks={}) as dataset:
        filled = blindzone.fill(dataset, **options)
    with pytest.warns(UserWarning, match="intervals are not calibrated here"):
        of_file = blindzone.fill(str(day), **options)
    for name in OWN_NUMBERS:
        np.testing.assert_array_equal(filled[name].values, of_file[name].values)
    assert filled.attrs["source_files"] == "not stated"
    assert "simulated" in filled.attrs["title"].lower()
    assert filled.attrs["institution"] == "not stated"


def test_product_names_the_people_whom_the_dataset_names(
    day: Path, options: dict[str, Any]
) -> None:
    with xr.open_dataset(day, engine="h5netcdf") as dataset:
        filled = blindzone.fill(dataset.assign_attrs(institution="An observatory"), **options)
    assert filled.attrs["institution"] == "An observatory"


def test_files_are_joined_in_order_of_time(simulated_days: Path, options: dict[str, Any]) -> None:
    first, second = (simulated_days / SOURCE / f"2000010{day}_radar.nc" for day in (1, 2))
    together = blindzone.fill([second, first], **options)
    assert together.sizes["time"] == 2 * blindzone.open_curtain(first).sizes["time"]
    assert (np.diff(together["time"].values) > np.timedelta64(0)).all()
    alone = blindzone.fill(first, **options)
    # The first day ends a stretch: 22 hours without a profile part it from the second.
    count = alone.sizes["time"]
    np.testing.assert_array_equal(
        together["reflectivity_quantile"].values[:, :count], alone["reflectivity_quantile"].values
    )


def test_members_and_another_blind_zone_are_as_asked_for(
    day: Path, options: dict[str, Any]
) -> None:
    filled = blindzone.fill(day, members=3, blind_zone_top=1000.0, **options)
    assert filled.sizes["realization"] == 3
    check_product(filled)
    with pytest.raises(CurtainError, match=r"reaches up to 3000(\.0)? m; the network was trained"):
        blindzone.fill(day, blind_zone_top=3000.0, **options)


def test_same_seed_gives_the_same_product_and_target(day: Path, options: dict[str, Any]) -> None:
    one, same, other = (blindzone.fill(day, seed=seed, **options) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one["reflectivity_quantile"], same["reflectivity_quantile"])
    assert one.attrs["target_sha256"] == same.attrs["target_sha256"]
    assert one.attrs["target_sha256"] != other.attrs["target_sha256"]


def test_product_is_written_opened_and_joined(
    simulated_days: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    paths = []
    for number in (2, 1):
        product = blindzone.fill(simulated_days / SOURCE / f"2000010{number}_radar.nc", **options)
        paths.append(blindzone.write(product, tmp_path / f"{number}.nc"))
    joined = blindzone.open_products(paths)
    assert joined.sizes["time"] == 2 * product.sizes["time"]
    assert (np.diff(joined["time"].values) > np.timedelta64(0)).all()
    assert joined["latitude"].ndim == 0
    assert joined["sensitivity_floor"].ndim == 0
    assert joined["height_bounds"].dims == ("height", "bnds")
    assert joined["reflectivity"].chunks is not None
    # 2.nc was written first and is the product of the later day.
    later = joined.isel(time=slice(product.sizes["time"], None))
    with xr.open_dataset(paths[0], engine="h5netcdf") as reopened:
        np.testing.assert_array_equal(later["reflectivity"].values, reopened["reflectivity"].values)
    xr.testing.assert_identical(blindzone.open_products(tmp_path), joined)
    xr.testing.assert_identical(blindzone.open_products(str(tmp_path / "*.nc")), joined)


def test_examples_of_the_front_door_run(
    day: Path, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(day, "20210314_radar.nc")
    blindzone.write(blindzone.fill(day, **options), "20210314_blindzone.nc")
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name in set(blindzone.__all__) - {"__version__"}:
        (example,) = finder.find(getattr(blindzone, name), name, module=False, globs={})
        assert example.examples, name
        assert runner.run(example).failed == 0, name
    assert Path("filled.pdf").read_bytes().startswith(b"%PDF")


def coarse(day: Path) -> xr.Dataset:
    curtain = blindzone.open_curtain(day)
    return curtain.isel(height=slice(None, None, 10))  # 25 m become 250 m


def low(day: Path) -> xr.Dataset:
    curtain = blindzone.open_curtain(day)
    return curtain.isel(height=curtain["height"] < 5000)


def in_orbit(day: Path) -> xr.Dataset:
    curtain = blindzone.open_curtain(day)
    distance = 7000.0 * np.arange(curtain.sizes["time"])
    return curtain.assign_coords(along_track_distance=("time", distance))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (coarse, r"gates every 250 m .* cannot become the grid .* 128 rows every 78.125 m"),
        (low, r"to 49\d\d.* cannot become the grid .* to 9960.94 m"),
        (
            in_orbit,
            r"the curtain is that of a radar from above at .*the network tiny.keras was made for a"
            r" radar on the ground",
        ),
        (lambda day: day.parent / "none.nc", "none.nc: no such file"),
        (lambda day: day.parent, "no file but a folder"),
        (lambda day: [], "no file is named"),
        (lambda day: [day, day], "the files overlap in time"),
        (lambda day: 3, "int cannot be filled; a Dataset, a path or several paths are right"),
        (lambda day: xr.DataArray([1.0]), "DataArray cannot be filled.*to_dataset"),
        (lambda day: Path(__file__), "not a netCDF file"),
    ],
    ids=[
        "coarse",
        "low",
        "in orbit",
        "absent",
        "folder",
        "none",
        "twice",
        "number",
        "array",
        "text",
    ],
)
def test_data_that_cannot_be_filled_are_one_error(
    change: Any, message: str, day: Path, options: dict[str, Any]
) -> None:
    with pytest.raises((CurtainError, SourceFileError), match=message):
        blindzone.fill(change(day), **options)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"passes": 1}, "fill: passes: a distribution needs at least 2; found 1"),
        ({"members": 1}, "fill: members: a distribution needs at least 2; found 1"),
        ({"seed": -1}, "fill: seed: a number of at least 0 is right; found -1"),
        ({"reader": "nonsense"}, "unknown reader 'nonsense'"),
    ],
    ids=str,
)
def test_choices_that_make_no_sense_are_refused_by_name(
    choice: dict[str, Any], message: str, day: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(BlindzoneError, match=message):
        blindzone.fill(day, **(options | choice))


def test_file_that_is_no_checkpoint_is_named(day: Path) -> None:
    with pytest.raises(CheckpointError, match=r"20000103_radar.nc: Keras opens no file"):
        blindzone.fill(day, checkpoint=day)


def test_ship_s_hours_that_overlap_are_joined_along_its_track(
    day: Path, options: dict[str, Any]
) -> None:
    curtain = blindzone.open_curtain(day)
    count = curtain.sizes["time"]
    track = 10 + 1e-4 * np.arange(count)
    ship = curtain.assign_coords(latitude=("time", track), longitude=("time", 0 * track - 30))
    filled = blindzone.fill(ship, **options)
    np.testing.assert_array_equal(filled["latitude"].values, track)
    check_product(filled)
    first, second = ship.isel(time=slice(0, 100)), ship.isel(time=slice(98, None))
    joined = _join([first, second])
    assert joined["time"].size == count
    assert read_counts(joined.attrs, PROFILES_DROPPED) == {"in the file before": 2}
    away = second.assign_coords(latitude=second["latitude"] - 40)
    with pytest.raises(CurtainError, match="the files are of different sites: position 10"):
        _join([first, away])
