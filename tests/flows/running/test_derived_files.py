"""Derived products in a store: next to the product they are made of, once for each target."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import xarray as xr
from tiny_products import DAY, SOURCE, make_product

from blindzone.flows.running.derived_files import derive_into, is_derived
from blindzone.pipeline.products.product_store import ProductStore, product_name

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
