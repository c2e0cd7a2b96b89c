"""Granules and swaths from the archive to products: inpaint, reprocess and nightly as with days."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import xarray as xr
from cloudsat_files import write_cloudsat_granule
from flow_calls import fill_days, ingest_days
from tiny_networks import write_network

from blindzone.core.errors import ArchiveError
from blindzone.core.files import sha256_file
from blindzone.flows.nightly import NightlyPlan, nightly
from blindzone.flows.reports import writing
from blindzone.flows.reprocess import reprocess
from blindzone.flows.running import network_choice
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_run import ReprocessPlan
from blindzone.flows.running.visible_layer_check import PREFIX
from blindzone.pipeline.archive import Archive, describe_file
from blindzone.pipeline.archive.assembly import make_part, read_native
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.products.layout import is_filled
from blindzone.pipeline.products.product_store import ProductStore

DAY = date(2008, 10, 17)
STARTS = (datetime(2008, 10, 17, 4), datetime(2008, 10, 17, 5, 38, 53))
SOURCE = "cloudsat"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orbits")
    (folder / SOURCE).mkdir()
    for number, start in enumerate(STARTS):
        name = f"{start:%Y%m%d_%H%M%S}_{12_000 + number}_2B-GEOPROF.hdf"
        write_cloudsat_granule(folder / SOURCE / name, profiles=150, seed=number, start=start)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("weights") / "cloudsat.keras")


@pytest.fixture(autouse=True)
def _places(data: Path, tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(data))
    monkeypatch.setattr(network_choice, "SHIPPED_WEIGHTS", network.with_name("palaiseau.keras"))
    monkeypatch.setattr(writing, "draw_trends", lambda points, path: False)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        dedent(f"""
            version: 1
            sources:
              {SOURCE}:
                title: Written CloudSat granules
                reader: cloudsat
                directory: {SOURCE}
                files: "%Y%m%d_%H%M%S_*_2B-GEOPROF.hdf"
                unit: granule
                grid: {{rows: 64, row_depth_m: 240}}
                profile_spacing_m: 1090
            """)
    )
    return Places(
        catalog=catalog, archive=str(tmp_path / "archive"), products=str(tmp_path / "products")
    )


def test_granules_are_ingested_and_filled_by_the_network_that_fits_their_entry(
    places: Places, network: Path
) -> None:
    filling = Filling(passes=2)
    report = nightly.fn(NightlyPlan(sources=(SOURCE,), days=1, filling=filling, places=places))
    assert [(day.day, day.status, day.profiles) for day in report.days] == [
        (start, "created", 150) for start in STARTS
    ]
    assert all(day.flaws == () and "filled_pixel_share" in day.statistics for day in report.days)
    # Nobody knows the truth in a blind zone that was measured.
    assert all(name.startswith(PREFIX) for day in report.days for name in day.scores)
    plan = ReprocessPlan(sources=(SOURCE,), filling=filling, places=places, pictures=True)
    again = reprocess.fn(plan)
    assert [day.status for day in again.days] == ["unchanged"] * 2
    names = [f"{SOURCE}_20081017T{clock}_blindzone" for clock in ("040000", "053853")]
    products = Path(str(places.products))
    assert sorted(path.name for path in products.iterdir() if path.is_file()) == sorted(
        f"{name}.{kind}" for name in names for kind in ("nc", "webp")
    )
    with xr.open_dataset(products / f"{names[0]}.nc", engine="h5netcdf") as product:
        assert product.attrs["checkpoint_sha256"] == sha256_file(network)
        assert product["latitude"].dims == ("time",)
        assert np.ptp(product["blind_zone_top"].values) > 0
        assert is_filled(product["inpainting_flag"].values).any(axis=1).all()


def test_granules_on_a_finer_grid_are_averaged_to_that_of_the_network(
    places: Places, tmp_path: Path
) -> None:
    ingest_days(SOURCE, None, None, places.catalog, places.archive)
    coarse = write_network(
        tmp_path / "coarse.keras",
        grid=Grid(rows=32, row_depth_m=480.0),
        profile_spacing_m=2200.0,
        deepest_m=3000.0,
    )
    (path, _) = fill_days(
        SOURCE, DAY, DAY, tmp_path, coarse, 2, places.catalog, str(places.archive)
    )
    with xr.open_dataset(path, engine="h5netcdf") as product:
        assert dict(product.sizes) == {"time": 75, "height": 32, "bnds": 2, "quantile": 9}
        configuration = json.loads(product.attrs["configuration"])
    in_height, along = configuration["ingest"]["regridded"]
    assert in_height == "regridded from 240 m to 480 m in height"
    assert along.endswith("m to 2200 m along the track")


def test_granule_that_no_network_of_the_package_fits_is_one_error(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_days(SOURCE, None, None, places.catalog, places.archive)
    plan = ReprocessPlan(sources=(SOURCE,), filling=Filling(passes=2), places=places)
    monkeypatch.setattr(network_choice, "SHIPPED_WEIGHTS", tmp_path / "palaiseau.keras")
    message = (
        "cloudsat: the curtain is that of a radar from above at 94.05 GHz, rows every 240 m, .*"
        "; of the package from above: none"
    )
    with pytest.raises(ArchiveError, match=message):
        reprocess.fn(plan)


def test_measured_swath_is_one_product_a_granule(
    measured_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(measured_directory))
    network = write_network(
        tmp_path / "gpm.keras",
        13.6,
        floor_dbz=12.0,
        deepest_m=3000.0,
        grid=Grid(rows=128, row_depth_m=125.0),
        profile_spacing_m=5000.0,
    )
    # Three rays of 49.
    entry = read_catalog()["gpm_dpr_ku"]
    (path,) = (measured_directory / "gpm_dpr").glob("*.HDF5")
    part = make_part(read_native(path, entry).isel(ray=slice(23, 26)), entry, "here")
    start = datetime(2014, 12, 6, 9, 50, 2)
    archive = tmp_path / "archive"
    Archive(archive).upsert(entry.name, start, {describe_file(path): part}, {})
    (made,) = fill_days(entry.name, start.date(), start.date(), tmp_path, network, 2, None, archive)
    assert Path(made).name == "gpm_dpr_ku_20141206T095002_blindzone.nc"
    with xr.open_dataset(made, engine="h5netcdf") as product:
        expected = {"ray": 3, "time": 136, "height": 128, "bnds": 2, "quantile": 9}
        assert dict(product.sizes) == expected
        assert product["ray"].values.tolist() == [23, 24, 25]
        filled = is_filled(product["inpainting_flag"].values)
        # Each profile to its own depth, from 0.6 km upwards over sea and land.
        assert filled.any(axis=2).all()
        assert np.ptp(filled.sum(axis=2)) > 1


def test_run_that_ends_amid_granules_goes_on_with_those_that_are_left(
    places: Places, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_days(SOURCE, None, None, places.catalog, Path(str(places.archive)))
    plan = ReprocessPlan(sources=(SOURCE,), filling=Filling(passes=2), places=places)

    def stop(store: ProductStore, product: xr.Dataset, source: str, day: date) -> str:
        if day == STARTS[1]:
            raise KeyboardInterrupt
        return write(store, product, source, day)

    write = ProductStore.write
    with monkeypatch.context() as patch:
        patch.setattr(ProductStore, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            reprocess.fn(plan)
    report = reprocess.fn(plan)
    assert [day.status for day in report.days] == ["unchanged", "created"]
