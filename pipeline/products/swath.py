"""Swaths: curtains and products whose leading dimension is `ray`, each ray by itself a curtain.

A granule of a scanning radar is one product, and every variable of its profiles has the dimension
`ray` in front. What is computed of a product is computed ray by ray, or of all rays in one line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from blindzone.core.errors import BlindzoneError, ProductError
from blindzone.pipeline.curtains.acdd import describe_coverage
from blindzone.pipeline.curtains.cf import to_cf
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES

RAY = "ray"
_OF_RAYS = (*SITE_COORDINATES, "along_track_distance")


def split_rays(data: xr.Dataset) -> list[xr.Dataset]:
    """Returns the rays of a swath, or of anything else the dataset itself alone."""
    if RAY not in data.dims:
        return [data]
    return [_take_ray(data, number) for number in range(data.sizes[RAY])]


def _take_ray(data: xr.Dataset, number: int) -> xr.Dataset:
    return data.isel(ray=number).drop_vars(RAY, errors="ignore")


def count_profiles(data: xr.Dataset) -> int:
    """Returns the number of profiles of a curtain or product, of a swath those of all rays."""
    return int(data.sizes["time"] * data.sizes.get(RAY, 1))


def join_rays(products: Sequence[xr.Dataset], swath: xr.Dataset) -> xr.Dataset:
    """Returns the products `(time, height)` of a swath's rays as one; that of a curtain as it is.

    What has no time, such as the heights, is that of the first ray.

    Args:
        products: The products, in order of the rays.
        swath: What they are made of.
    """
    if RAY not in swath.dims:
        return products[0]
    # CF has no sampling geometry of profiles in rays that share their times.
    products = [product.drop_vars("profile", errors="ignore") for product in products]
    first = products[0]
    joined = xr.concat(
        products,
        dim=RAY,
        data_vars=[name for name, field in first.data_vars.items() if "time" in field.dims],
        coords=[name for name in _OF_RAYS if name in first.coords],
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    numbers = swath[RAY].values if RAY in swath.coords else np.arange(len(products))
    described = to_cf(xr.Dataset(coords={RAY: numbers.astype(np.int32)}))
    joined.attrs.pop("featureType", None)
    return joined.assign_coords(described.coords).assign_attrs(describe_coverage(joined))


def pick_ray(
    data: xr.Dataset, ray: int | None = None, *, error: type[BlindzoneError] = ProductError
) -> tuple[xr.Dataset, str]:
    """Returns one ray of a swath, and in words which; of anything else itself, and nothing.

    Args:
        data: A curtain or product, or a swath of them.
        ray: Number of the ray, counted from 0; the middle one, nearest to nadir, by default.
        error: What is raised.

    Raises:
        BlindzoneError: If there is no such ray.
    """
    if RAY not in data.dims:
        if ray is None:
            return data, ""
        raise error(
            f"ray {ray} is asked for, and there is no dimension 'ray'; only a swath has rays"
        )
    count = data.sizes[RAY]
    number = count // 2 if ray is None else ray
    if not 0 <= number < count:
        raise error(f"the swath has no ray {number}; 0 to {count - 1} are right")
    return _take_ray(data, number), f", ray {number} of 0 to {count - 1}"


def line_up_rays(product: xr.Dataset) -> xr.Dataset:
    """Returns a swath's rays as one product `(time, height)`, the profiles of the first ray first.

    What is counted pixel by pixel or profile by profile needs no more. Times repeat.
    """
    if RAY not in product.dims:
        return product
    rays = split_rays(product)
    return xr.concat(
        rays,
        dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
