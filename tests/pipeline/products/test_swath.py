"""Swaths: rays are split, joined, picked and lined up, and nothing of them is lost."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.cf import check_cf
from blindzone.pipeline.products.product_statistics import measure_product
from blindzone.pipeline.products.swath import (
    count_profiles,
    join_rays,
    line_up_rays,
    pick_ray,
    split_rays,
)


@pytest.fixture
def rays() -> list[xr.Dataset]:
    """Three products of a track, which differ in place and in their numbers."""
    product = make_product()
    east = ("time", np.full(product.sizes["time"], 2.0), product["longitude"].attrs)
    rays = []
    for number in range(3):
        north = ("time", np.full(product.sizes["time"], 48.0 + number), product["latitude"].attrs)
        observed = product["reflectivity_observed"] + number
        placed = product.assign_coords(latitude=north, longitude=east)
        rays.append(placed.assign(reflectivity_observed=observed))
    return rays


@pytest.fixture
def swath(rays: list[xr.Dataset]) -> xr.Dataset:
    return join_rays(rays, xr.Dataset(coords={"ray": [4, 5, 6]}))


def test_rays_are_joined_and_split_again(rays: list[xr.Dataset], swath: xr.Dataset) -> None:
    check_cf(swath)
    assert swath["ray"].values.tolist() == [4, 5, 6]
    assert swath["reflectivity_quantile"].dims == ("ray", "quantile", "time", "height")
    assert swath["height_bounds"].dims == ("height", "bnds")
    assert swath["sensitivity_floor"].dims == ()
    assert swath.attrs["geospatial_lat_max"] == 50.0
    for one, ray in zip(rays, split_rays(swath), strict=True):
        for name in (name for name in one.variables if name != "profile"):
            np.testing.assert_array_equal(ray[name].values, one[name].values, err_msg=str(name))
    assert count_profiles(swath) == 3 * count_profiles(rays[0]) == 18


def test_lazy_rays_are_stacked_without_being_computed(
    rays: list[xr.Dataset], swath: xr.Dataset
) -> None:
    name = "reflectivity_quantile"
    lazy = [ray.assign({name: ray[name].chunk()}) for ray in rays]
    joined = join_rays(lazy, xr.Dataset(coords={"ray": [4, 5, 6]}))
    assert joined[name].chunks is not None
    xr.testing.assert_identical(joined.compute(), swath)
    measured = measure_product(swath)
    assert measure_product(joined) == measured


def test_what_is_no_swath_stays_as_it_is(rays: list[xr.Dataset]) -> None:
    assert split_rays(rays[0]) == [rays[0]]
    assert join_rays(rays[:1], rays[0]) is rays[0]
    assert line_up_rays(rays[0]) is rays[0]
    assert pick_ray(rays[0]) == (rays[0], "")


def test_ray_nearest_to_nadir_is_picked_and_named(swath: xr.Dataset) -> None:
    ray, name = pick_ray(swath)
    assert name == ", ray 1 of 0 to 2"
    assert ray["latitude"].values[0] == 49
    assert pick_ray(swath, 2)[1] == ", ray 2 of 0 to 2"
    with pytest.raises(ProductError, match="the swath has no ray 3; 0 to 2 are right"):
        pick_ray(swath, 3)
    with pytest.raises(ProductError, match="only a swath has rays"):
        pick_ray(ray, 0)


def test_statistics_of_a_swath_are_those_of_all_its_profiles(
    rays: list[xr.Dataset], swath: xr.Dataset
) -> None:
    of_rays = [measure_product(ray) for ray in rays]
    found = measure_product(swath)
    for name in ("filled_pixel_share", "no_data_share", "interval_width_db"):
        assert found[name] == pytest.approx(np.mean([one[name] for one in of_rays]))
