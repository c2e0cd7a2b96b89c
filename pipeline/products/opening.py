"""Products for people with a notebook: many days as one lazy Dataset, and one written to a file."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.pipeline.curtains.along_track import continue_tracks
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.curtains.position import align_positions, find_other_place, is_moving
from blindzone.pipeline.products.product import encode_product

DERIVED_ENDING = "_derived.nc"
"""What the names of derived products end in (`blindzone.pipeline.derivation`)."""
_ESSENTIAL = ("reflectivity", "reflectivity_quantile", "inpainting_flag", "hydrometeor_probability")
_SHARED = ("height", "quantile", *SITE_COORDINATES, "sensitivity_floor")
"""What has no time and must be the same in all products that are opened together."""
_MADE_BY = {
    "product_version": "version",
    "checkpoint_sha256": "network",
    "interval_calibration": "calibration",
}
"""Attributes that must be the same where numbers of several products are compared."""


def open_products(paths: str | Path | Iterable[str | Path]) -> xr.Dataset:
    """Returns products as one Dataset over time, lazily; what has no time stays as it is.

    Args:
        paths: A product, a folder of them, a pattern such as `products/*.nc`, or several paths.

    Returns:
        Dataset of dask arrays `(time, height)`, in order of time; attributes of the first product.

    Raises:
        ProductError: If there is no product, one cannot be opened or is none, or two differ in
            site, heights, quantiles or sensitivity floor, or overlap in time.
    """
    found = _open_each(paths)
    files, opened = [path for path, _ in found], [product for _, product in found]
    if len(opened) == 1:
        return opened[0]
    opened = continue_tracks(align_positions(opened))
    for path, other in zip(files[1:], opened[1:], strict=True):
        _check_alike(opened[0], other, files[0], path)
    if is_moving(opened[0]):
        _check_one_track(opened, files)
    joined = xr.concat(
        opened,
        dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    if "profile" in joined:
        numbers = np.arange(joined.sizes["time"], dtype=np.int32)
        joined["profile"] = ("time", numbers, joined["profile"].attrs)
    backwards = np.flatnonzero(np.diff(joined["time"].values) <= np.timedelta64(0))
    if backwards.size:
        at = joined["time"].values[backwards[0] + 1]
        raise ProductError(f"the products overlap in time (at {at}); one product a time is right")
    return joined


def open_alike(paths: str | Path | Iterable[str | Path]) -> list[tuple[Path, xr.Dataset]]:
    """Returns products one by one, lazily, in order of time: of one kind, to be seen side by side.

    Args:
        paths: As `open_products` takes them. Tracks need not continue each other.

    Raises:
        ProductError: As `open_products` does; or if two were made by different networks, with
            different calibrations, or in different versions of the product.
    """
    found = _open_each(paths)
    (first_path, first), *others = found
    for path, other in others:
        _check_alike(first, other, first_path, path)
        _check_made_alike(first, other, first_path, path)
    for (_, before), (path, after) in pairwise(found):
        if not after["time"].values[0] > before["time"].values[-1]:
            raise ProductError(
                f"{path}: begins at {after['time'].values[0]}, before another product ends; one"
                " product a time is right"
            )
    return found


def _open_each(paths: str | Path | Iterable[str | Path]) -> list[tuple[Path, xr.Dataset]]:
    """Returns products with their paths, in order of time."""
    found = [(path, _open(path)) for path in list_products(paths)]
    return sorted(found, key=lambda item: item[1]["time"].values[0])


def write_product(product: xr.Dataset, path: Path) -> Path:
    """Writes a product as CF netCDF-4, whole or not at all, and returns its path.

    Args:
        product: What `build_product` returned `(time, height)`, or a part of it in time.
        path: The file; one that is there is replaced.

    Raises:
        ProductError: If the name does not end in `.nc`, the product contradicts itself or the
            metadata table, or the file cannot be written.
    """
    if path.suffix != ".nc":
        raise ProductError(f"{path}: a product is a netCDF file; a name that ends in .nc is right")
    absent = [name for name in _ESSENTIAL if name not in product.variables]
    if absent:
        raise ProductError(
            f"no product: it lacks {', '.join(absent)}; what blindzone.fill returned is right"
        )
    content = encode_product(product)
    with write_atomically(path, error=ProductError) as partial:
        partial.write_bytes(content)
    return path


def list_products(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """Returns the files of products: those named, in folders and of patterns; none derived.

    Raises:
        ProductError: If there is none.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found += sorted(file for file in path.glob("*.nc") if not _is_derived(file))
        elif glob.has_magic(str(given)) and not path.exists():
            matching = Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))
            found += sorted(file for file in matching if not _is_derived(file))
        else:
            found.append(path)
    if not found:
        raise ProductError(
            "no product is named; a file, a folder of products or a pattern such as 'products/*.nc'"
            " is right"
        )
    return list(dict.fromkeys(found))


def _is_derived(path: Path) -> bool:
    """Returns whether a file holds what is derived of a product, next to it."""
    return path.name.endswith(DERIVED_ENDING)


def open_netcdf(path: Path) -> xr.Dataset:
    """Returns the content of a netCDF-4 file, lazily.

    Raises:
        ProductError: If it is not there, or cannot be opened.
    """
    if not path.is_file():
        raise ProductError(f"{path}: no such file; the path of a product is right")
    try:
        return xr.open_dataset(path, engine="h5netcdf", chunks={})
    except (OSError, ValueError, KeyError) as error:
        raise ProductError(f"{path}: cannot be opened as netCDF-4: {error}") from error


def _open(path: Path) -> xr.Dataset:
    product = open_netcdf(path)
    absent = [name for name in _ESSENTIAL if name not in product.variables]
    if absent:
        raise ProductError(
            f"{path}: no product of blindzone: it lacks {', '.join(absent)} (has"
            f" {', '.join(map(str, product.data_vars))})"
        )
    return product


def _check_alike(first: xr.Dataset, other: xr.Dataset, first_path: Path, path: Path) -> None:
    """Checks that two products have the same fixed site, heights, quantiles and floor."""
    for name in (name for name in _SHARED if "time" not in first[name].dims):
        one, another = first[name].values, other[name].values
        if one.shape != another.shape or not np.allclose(one, another, atol=1e-6, equal_nan=True):
            raise ProductError(
                f"{path}: its {name} differs from that of {first_path}: {_show(another)} against"
                f" {_show(one)}; products of one site and grid are right"
            )


def _check_made_alike(first: xr.Dataset, other: xr.Dataset, first_path: Path, path: Path) -> None:
    """Checks that two products were made by one network, calibration and version."""
    for name, what in _MADE_BY.items():
        one, another = first.attrs.get(name), other.attrs.get(name)
        if one != another:
            raise ProductError(
                f"{path}: its {what} ({name}) is {another!r}, that of {first_path} is {one!r};"
                " products of one network, calibration and version are right"
            )


def _check_one_track(products: list[xr.Dataset], files: list[Path]) -> None:
    """Checks that one platform gets from each product to the next."""
    for (product, path), (other, other_path) in pairwise(zip(products, files, strict=True)):
        found = find_other_place(product, other)
        if found is not None:
            raise ProductError(
                f"{other_path}: its {found[1]}, of {path} the {found[0]}; products of one platform"
                " are right"
            )


def _show(values: np.ndarray) -> str:
    return (
        f"{values.item():g}"
        if values.ndim == 0
        else f"{values.size} from {values[0]:g} to {values[-1]:g}"
    )
