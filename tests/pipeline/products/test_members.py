"""Members of a product: their distribution, their independence of chunks, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_products import HIDDEN, NO_DATA_PROFILE, make_product

import blindzone
from blindzone.core.errors import ProductError
from blindzone.pipeline.inpainting.member_dependence import PALAISEAU
from blindzone.pipeline.products.members import (
    add_members,
    draw_member_rows,
    draw_members,
    find_dependence,
)

FLOOR = -30.0


def test_over_200_members_each_pixel_follows_its_stored_distribution() -> None:
    product = make_product()
    members = draw_members(product, 200).values[..., :HIDDEN]
    usable = np.arange(product.sizes["time"]) != NO_DATA_PROFILE
    probability = product["hydrometeor_probability"].values[usable, :HIDDEN]
    echo = (members > FLOOR).mean(axis=0)[usable]
    # Four standard deviations of a share of 200, and a step.
    assert (
        np.abs(echo - probability) <= 4 * np.sqrt(probability * (1 - probability) / 200) + 0.005
    ).all()
    for level in product["quantile"].values:
        quantile = product["reflectivity_quantile"].sel(quantile=level).values[usable, :HIDDEN]
        below = (members[:, usable] <= quantile + 1e-4).mean(axis=0)
        certain = quantile > FLOOR  # at the floor more may be below than the level
        assert (np.abs(below - level)[certain] <= 4.5 * np.sqrt(level * (1 - level) / 200)).all()
        assert (below[~certain] >= level - 0.1).all()


def test_members_are_lazy_described_and_where_something_is_filled() -> None:
    product = make_product()
    members = draw_members(product, 3, seed=5)
    assert members.dims == ("realization", "time", "height")
    assert members.chunks is not None
    assert members.chunks[0] == (1, 1, 1)
    assert members.attrs["units"] == "dBZ"
    assert members["realization"].values.tolist() == [1, 2, 3]
    finite = np.isfinite(members.values)
    filled = np.isfinite(product["hydrometeor_probability"].values)
    assert (finite == filled).all()


def test_members_do_not_depend_on_count_chunks_or_file(tmp_path: Path) -> None:
    product = make_product()
    expected = draw_members(product, 4, seed=2).values
    assert np.array_equal(draw_members(product, 2, seed=2), expected[:2], equal_nan=True)
    chunked = draw_members(product.chunk(time=3), 4, seed=2)
    assert chunked.chunksizes["time"][0] == 3
    assert np.array_equal(chunked[:, -2:], expected[:, -2:], equal_nan=True)
    assert np.array_equal(chunked, expected, equal_nan=True)
    path = blindzone.write(product, tmp_path / "product.nc")
    assert np.array_equal(blindzone.members(path, 4, seed=2), expected, equal_nan=True)
    assert np.array_equal(
        add_members(product, 4, 2)["reflectivity_realization"], expected, equal_nan=True
    )
    assert not np.array_equal(draw_members(product, 4, seed=3), expected, equal_nan=True)


def test_rows_drawn_alone_are_those_of_the_members_in_any_chunks() -> None:
    product = make_product()
    expected = draw_members(product, 3, seed=4).isel(height=[0, 2])
    for each in (product, product.chunk(time=2)):
        rows = draw_member_rows(each, 3, [0, 2], seed=4)
        assert np.array_equal(rows, expected, equal_nan=True)
        assert rows["height"].equals(expected["height"])


def make_swath(apart_degrees: float) -> xr.Dataset:
    product = make_product()
    of_place = {
        name: ("time", np.full(product.sizes["time"], product[name]))
        for name in ("latitude", "longitude")
    }
    ray = product.assign_coords(of_place)
    rays = [
        ray.assign_coords({at: ray[at] + apart_degrees * n for at in of_place}) for n in range(2)
    ]
    return xr.concat(rays, "ray", data_vars="all", coords="different", compat="equals")


def test_rays_that_are_near_have_echo_together() -> None:
    correlation = []
    for apart in (1e-4, 5.0):
        members = draw_members(make_swath(apart), 60)
        assert members.dims == ("ray", "realization", "time", "height")
        one, other = members.values[..., 0, :HIDDEN]
        correlation.append(np.corrcoef(one.ravel(), other.ravel())[0, 1])
    assert correlation[0] > 0.5
    assert abs(correlation[1]) < 0.25


def test_dependence_is_that_of_the_product_s_calibration_or_the_default() -> None:
    product = make_product()
    assert find_dependence(product) == PALAISEAU
    own = {"touching": [1.0], "aloft": [1.0], "clear": [1.0], "height_m": 5e4, "times_s": [1e6]}
    product.attrs["configuration"] = json.dumps({"calibration": {"members": own}})
    assert find_dependence(product).times_s == (1e6,)
    product.attrs["configuration"] = json.dumps({"calibration": {"members": {"touching": [2.0]}}})
    with pytest.raises(ProductError, match="members: the product's attribute 'configuration'"):
        draw_members(product, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count is 0; a whole number of at least 1"),
        ({"count": 2.5}, "count is 2.5"),
        ({"count": True}, "count is True"),
        ({"seed": None}, "seed is None; a whole number of at least 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "two"}, "seed is 'two'"),
    ],
)
def test_count_and_seed_that_are_none_are_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProductError, match=message):
        blindzone.members(make_product(), **({"count": 2, "seed": 0} | changes))


def test_product_without_its_distribution_is_rejected() -> None:
    product = make_product().drop_vars("reflectivity_quantile_given_echo")
    with pytest.raises(ProductError, match="lacks reflectivity_quantile_given_echo"):
        blindzone.members(product, 2)
    with pytest.raises(ProductError, match="found DataArray; a product as"):
        blindzone.members(product["reflectivity"], 2)  # type: ignore[arg-type]
