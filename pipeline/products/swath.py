"""Swaths: curtains and products whose leading dimension is `ray`, each ray by itself a curtain.

A granule of a scanning radar is one product, and every variable of its profiles has the dimension
`ray` in front. What is computed of a product is computed ray by ray, or of all rays in one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

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


def join_rays(products: Iterable[xr.Dataset], swath: xr.Dataset) -> xr.Dataset:
    """Returns the products `(time, height)` of a swath's rays as one; that of a curtain as it is.

    What has no time, such as the heights, is that of the first ray. No two rays are needed at a
    time: those of a whole orbit are larger than what they are made of.

    Args:
        products: The products, in order of the rays.
        swath: What they are made of.
    """
    found = iter(products)
    first = next(found)
    if RAY not in swath.dims:
        return first
    # CF has no sampling geometry of profiles in rays that share their times.
    first = first.drop_vars("profile", errors="ignore")
    count = swath.sizes[RAY]
    of_rays = [
        name
        for name, variable in first.variables.items()
        if name in _OF_RAYS or (name != "time" and "time" in variable.dims)
    ]
    lazy: dict[Any, list[Any]] = {name: [] for name in of_rays if first[name].chunks is not None}
    stacked = {
        name: np.empty((count, *first[name].shape), first[name].dtype)
        for name in of_rays
        if name not in lazy
    }
    for number, product in enumerate(chain([first], found)):
        for name, values in stacked.items():
            values[number] = product[name].values
        for name, parts in lazy.items():
            parts.append(product[name].data)
    whole = {
        name: ((RAY, *first[name].dims), values, first[name].attrs)
        for name, values in (stacked | _stack_lazily(lazy)).items()
    }
    numbers = swath[RAY].values if RAY in swath.coords else np.arange(count)
    ray = to_cf(xr.Dataset(coords={RAY: numbers.astype(np.int32)}))
    joined = first.drop_vars(list(whole)).assign(whole).set_coords(list(first.coords))
    joined = joined.assign_coords(ray.coords)
    attributes = {key: value for key, value in first.attrs.items() if key != "featureType"}
    joined.attrs = attributes | describe_coverage(joined)
    return joined


def _stack_lazily(lazy: Mapping[Any, list[Any]]) -> dict[Any, Any]:
    """Returns dask arrays of rays stacked, by name."""
    if not lazy:
        return {}
    import dask.array

    stack: Any = dask.array.stack
    return {name: stack(parts) for name, parts in lazy.items()}


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
