"""Derived products in a store: next to the product they are made of, once for each target."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw
from surface_files import make_station_raw
from tiny_products import DAY, SOURCE, make_product

from blindzone.flows.running.derived_files import derive_into, find_ground_data, is_derived
from blindzone.flows.running.plans import DataPlaces
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.products.product_store import ProductStore, product_name
from blindzone.pipeline.readers import read_curtain

NAME = product_name(SOURCE, DAY)


@pytest.fixture
def store(tmp_path: Path) -> ProductStore:
    return ProductStore(tmp_path / "products")


def test_derived_product_states_the_target_of_its_product(store: ProductStore) -> None:
    product = make_product()
    assert not is_derived(store, NAME, product.attrs["target_sha256"])
    place = derive_into(store, product, NAME)
    assert Path(place).name == "station_20210314_blindzone_derived.nc"
    assert is_derived(store, NAME, product.attrs["target_sha256"])
    assert not is_derived(store, NAME, "00" * 32)
    assert not is_derived(
        store, product_name(SOURCE, date(2021, 3, 15)), product.attrs["target_sha256"]
    )


def test_derived_product_is_no_product_of_the_store(store: ProductStore) -> None:
    product = make_product()
    store.write(product, SOURCE, DAY)
    derive_into(store, product, NAME)
    assert store.find_target(SOURCE, DAY) == product.attrs["target_sha256"]
    with xr.open_dataset(store.locate(SOURCE, DAY)) as opened:
        assert "column_class" not in opened


def make_places(folder: Path) -> DataPlaces:
    """A catalogue with the product's source and a mast, and an archive of the mast's day."""
    entry = "{{title: a, instrument: a, site: a, directory: x, files: '%Y%m%d.nc'{more}}}"
    partners = ", partners: {surface: [mast]}"
    sources = f"  {SOURCE}: {entry.format(more=partners)}\n  mast: {entry.format(more='')}\n"
    catalog = folder / "catalog.yaml"
    catalog.write_text(f"version: 1\nsources:\n{sources}")
    return DataPlaces(catalog=catalog, archive=folder / "archive")


def put_temperature(places: DataPlaces, folder: Path, kelvin: float) -> None:
    raw = make_station_raw(str(DAY), 5).assign(air_temperature=("time", np.full(5, kelvin)))
    raw["air_temperature"].attrs["units"] = "K"
    series = read_curtain(write_raw(raw, folder / "mast.nc"))
    file = FileRecord(name="mast.nc", size=1, sha256=f"{kelvin:.0f}")
    Archive(places.archive_address).upsert("mast", DAY, {file: series}, {})


def test_temperature_of_an_archived_station_parts_rain_and_snow(
    store: ProductStore, tmp_path: Path
) -> None:
    places, product = make_places(tmp_path), make_product()
    target = product.attrs["target_sha256"]
    ground = find_ground_data(NAME, places)
    assert ground is not None
    place = derive_into(store, product, NAME, ground)
    with xr.open_dataset(place) as derived:
        assert (derived["precipitation_phase"] == PrecipitationPhase.UNKNOWN).all()
        assert derived["precipitation_phase"].attrs["temperature_from"] == "not known"
    assert is_derived(store, NAME, target, ground)
    for kelvin, phase, other in (
        (263, PrecipitationPhase.SNOW, "rainfall_rate"),
        (283, PrecipitationPhase.RAIN, "snowfall_rate"),
    ):
        put_temperature(places, tmp_path, kelvin)
        assert not is_derived(store, NAME, target, ground)
        derive_into(store, product, NAME, ground)
        assert is_derived(store, NAME, target, ground)
        with xr.open_dataset(place) as derived:
            assert (derived["precipitation_phase"] == phase).all()
            assert derived["precipitation_phase"].attrs["temperature_from"] == "mast"
            assert derived.attrs["collocated_granules"].startswith("mast 20210314 ")
            assert (derived[other].dropna("time") == 0).all()


def test_product_of_no_source_of_the_catalogue_has_no_temperature(tmp_path: Path) -> None:
    places = make_places(tmp_path)
    assert find_ground_data("another_20210314_blindzone.nc", places) is None
    assert find_ground_data("20210314_radar_blindzone.nc", places) is None
