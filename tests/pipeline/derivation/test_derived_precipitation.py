"""Precipitation as one described dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.pipeline.curtains.cf import check_cf
from blindzone.pipeline.curtains.cf_table import METADATA
from blindzone.pipeline.derivation.derived_precipitation import derive_precipitation
from blindzone.pipeline.derivation.precipitation_table import PRECIPITATION
from blindzone.pipeline.derivation.sums import SumFlag
from blindzone.pipeline.products.members import draw_members


@pytest.fixture(scope="module")
def derived() -> xr.Dataset:
    product = make_product()
    return derive_precipitation(product, draw_members(product, 8), with_members=True)


def test_every_variable_is_in_the_table_with_its_dimensions_and_units(derived: xr.Dataset) -> None:
    check_cf(derived, table={**METADATA, **PRECIPITATION})
    assert derived["rainfall_rate"].attrs["units"] == "mm h-1"
    assert "Comstock" in derived["rainfall_rate"].attrs["relation"]
    assert "Sassen" in derived["hourly_snowfall_amount"].attrs["relation"]


def test_a_product_of_a_minute_has_no_hourly_sum_and_says_so(derived: xr.Dataset) -> None:
    assert derived.sizes["hour"] == 1
    assert (derived["hourly_rainfall_amount_flag"] == SumFlag.GAP_TOO_LONG).all()
    assert np.isnan(derived["hourly_rainfall_amount"]).all()
    assert derived["hour_bounds"].dims == ("hour", "bnds")


def test_a_band_without_a_relation_says_why_rates_and_sums_are_missing() -> None:
    product = make_product()
    none = derive_precipitation(product, draw_members(product, 3), frequency_ghz=5.6)
    for name in ("rainfall_rate", "daily_snowfall_amount"):
        assert np.isnan(none[name]).all()
        assert "no published relation" in none[name].attrs["relation"]
    assert (none["daily_rainfall_amount_flag"] == SumFlag.NO_RELATION).all()


def test_it_is_written_and_read_back(derived: xr.Dataset, tmp_path: Path) -> None:
    derived.to_netcdf(tmp_path / "derived.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "derived.nc", engine="h5netcdf") as again:
        assert np.allclose(again["rainfall_rate"], derived["rainfall_rate"], equal_nan=True)
        assert set(again.variables) == set(derived.variables)


def test_platforms_that_move_have_rates_and_no_sums() -> None:
    product = make_product()
    moving = {name: ("time", np.linspace(0, 1, 6)) for name in ("latitude", "longitude")}
    product = product.assign_coords(moving)
    derived = derive_precipitation(product, draw_members(product, 3))
    assert "rainfall_rate" in derived
    assert not [name for name in derived.variables if "amount" in str(name)]


def test_a_number_of_members_gives_what_these_members_give() -> None:
    product = make_product()
    given = derive_precipitation(product, draw_members(product, 5, seed=3), seed=3)
    drawn = derive_precipitation(product.chunk(time=2), 5, seed=3)
    xr.testing.assert_identical(drawn.compute(), given.compute())
