"""Products for a notebook: many days as one lazy Dataset, and one written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.products.opening import open_products, write_product

DAY = np.timedelta64(1, "D")


def write_days(folder: Path, *days: int) -> list[Path]:
    """Writes the same product as if it were of several days, and returns the files."""
    product = make_product()
    return [write_product(shift(product, day), folder / f"{day}.nc") for day in days]


def shift(product: xr.Dataset, days: int) -> xr.Dataset:
    time = product["time"].copy(data=product["time"].values + days * DAY)
    return product.assign_coords(time=time)


def test_days_are_joined_in_order_of_time_whatever_their_names(tmp_path: Path) -> None:
    paths = write_days(tmp_path, 2, 0, 1)
    joined = open_products(paths)
    single = make_product()
    assert joined.sizes["time"] == 3 * single.sizes["time"]
    expected = np.concatenate([single["time"].values + day * DAY for day in range(3)])
    # Seconds in double precision are good to less than a microsecond.
    assert np.abs(joined["time"].values - expected).max() < np.timedelta64(1, "us")
    np.testing.assert_array_equal(
        joined["reflectivity"].values, np.tile(single["reflectivity"].values, (3, 1))
    )


def test_what_has_no_time_stays_as_it_is_and_nothing_is_read(tmp_path: Path) -> None:
    joined = open_products(write_days(tmp_path, 0, 1))
    assert joined["latitude"].ndim == joined["sensitivity_floor"].ndim == 0
    assert joined["height_bounds"].dims == ("height", "bnds")
    assert joined["reflectivity_quantile"].chunks is not None
    assert joined["reflectivity"].attrs["units"] == "dBZ"


def test_folder_and_pattern_name_the_same_products(tmp_path: Path) -> None:
    paths = write_days(tmp_path, 0, 1)
    (tmp_path / "notes.txt").write_text("no product")
    for given in (tmp_path, str(tmp_path / "*.nc"), tmp_path / "[01].nc", [*paths, paths[0]]):
        xr.testing.assert_identical(open_products(given), open_products(paths))
    assert open_products(str(paths[1]))["time"].size == make_product()["time"].size


def test_part_of_a_product_in_time_can_be_written(tmp_path: Path) -> None:
    (path,) = write_days(tmp_path, 0)
    part = open_products(path).isel(time=slice(2, 5))
    with xr.open_dataset(write_product(part, tmp_path / "part.nc"), engine="h5netcdf") as reopened:
        np.testing.assert_array_equal(reopened["time"].values, part["time"].values)


def of_another_site(product: xr.Dataset) -> xr.Dataset:
    return product.assign_coords(latitude=product["latitude"].copy(data=10.0))


def of_other_heights(product: xr.Dataset) -> xr.Dataset:
    return product.assign_coords(height=product["height"].copy(data=product["height"] + 10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_another_site, r"b\.nc: its latitude differs from that of .*a\.nc: 10 against 48\.716"),
        (of_other_heights, r"its height differs .*8 from 49\.\d+ to .* against 8 from 39\.06"),
        (
            lambda product: product,
            r"the products overlap in time \(at 2021-03-14T00:00:04\.(5|499999)",
        ),
    ],
    ids=["site", "heights", "times"],
)
def test_products_that_do_not_belong_together_are_rejected(
    change: Any, message: str, tmp_path: Path
) -> None:
    product = make_product()
    write_product(product, tmp_path / "a.nc")
    later = product if message.startswith("the products overlap") else shift(product, 1)
    write_product(change(later), tmp_path / "b.nc")
    with pytest.raises(ProductError, match=message):
        open_products([tmp_path / "a.nc", tmp_path / "b.nc"])


def test_what_is_no_product_is_named(tmp_path: Path) -> None:
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    (tmp_path / "text.nc").write_text("text")
    for given, message in (
        (tmp_path / "none.nc", r"none\.nc: no such file; the path of a product is right"),
        (tmp_path / "other.nc", r"other\.nc: no product of blindzone: it lacks reflectivity, "),
        (tmp_path / "text.nc", r"text\.nc: cannot be opened as netCDF-4"),
        (str(tmp_path / "x*.nc"), "no product is named"),
        ([], "no product is named; a file, a folder of products or a pattern"),
    ):
        with pytest.raises(ProductError, match=message):
            open_products(given)


def test_write_that_is_rejected_leaves_the_earlier_file(tmp_path: Path) -> None:
    (path,) = write_days(tmp_path, 0)
    before = path.read_bytes()
    broken = make_product()
    broken["hydrometeor_probability"].values[0, 0] = np.nan
    with pytest.raises(ProductError, match="are filled and lack 'hydrometeor_probability'"):
        write_product(broken, path)
    with pytest.raises(ProductError, match="no product: it lacks inpainting_flag; what blindzone"):
        write_product(make_product().drop_vars("inpainting_flag"), path)
    with pytest.raises(ProductError, match=r"a\.zarr: .* a name that ends in \.nc is right"):
        write_product(make_product(), tmp_path / "a.zarr")
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def at_sea(product: xr.Dataset, first: float) -> xr.Dataset:
    """The product of a ship that goes north from a latitude."""
    north = first + 0.001 * np.arange(product.sizes["time"])
    attrs = {name: product[name].attrs for name in ("latitude", "longitude")}
    return product.assign_coords(
        latitude=("time", north, attrs["latitude"]),
        longitude=("time", 0 * north - 30, attrs["longitude"]),
    )


def test_days_of_a_ship_have_one_track(tmp_path: Path) -> None:
    product = make_product()
    days = [at_sea(shift(product, day), 10.0 + day) for day in range(2)]
    paths = [write_product(one, tmp_path / f"{day}.nc") for day, one in enumerate(days)]
    joined = open_products(paths)
    np.testing.assert_array_equal(
        joined["latitude"].values, np.concatenate([one["latitude"].values for one in days])
    )
    assert joined["longitude"].dims == ("time",)
    elsewhere = at_sea(shift(product, 0), 10.0)
    elsewhere = elsewhere.assign_coords(
        time=elsewhere["time"] + np.timedelta64(1, "h"), latitude=elsewhere["latitude"] - 80
    )
    paths[1] = write_product(elsewhere, tmp_path / "other.nc")
    with pytest.raises(ProductError, match=r"other\.nc: its position -70\.0.*one platform"):
        open_products(paths)
