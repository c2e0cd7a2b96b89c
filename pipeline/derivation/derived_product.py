"""Derived products: what a filled curtain implies for the ground, as a CF netCDF file."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.cf import TIME_UNITS, check_cf, to_cf
from blindzone.pipeline.curtains.cf_table import METADATA
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.derivation.columns import OF_HIDDEN_ECHO, derive_columns
from blindzone.pipeline.derivation.columns_table import COLUMNS
from blindzone.pipeline.derivation.derived_precipitation import derive_precipitation, has_sums
from blindzone.pipeline.derivation.precipitation_table import PRECIPITATION
from blindzone.pipeline.derivation.shallow import HIDDEN_ECHO_KEY, describe_hidden_echo
from blindzone.pipeline.products.members import check_number, draw_members
from blindzone.pipeline.products.opening import DERIVED_ENDING, open_netcdf
from blindzone.pipeline.products.product import LAZY_ABOVE_PROFILES
from blindzone.pipeline.products.swath import RAY, count_profiles

DERIVED_FROM = "derived_from_target_sha256"
"""Global attribute: the `target_sha256` of the product that it was made of."""
MEMBERS = "members"
"""Global attribute: the number of ensemble members that it was counted over."""
DEFAULT_MEMBERS = 20
"""Ensemble members that quantities are counted over, unless others are asked for."""

_NEEDED = ("reflectivity_observed", "inpainting_flag", "height_bounds", "sensitivity_floor")
_KEPT = (*SITE_COORDINATES, "along_track_distance", "profile", RAY)
_CHUNK_PROFILES = 4096

TABLE = {**METADATA, **COLUMNS, **PRECIPITATION}
"""The metadata table with what is derived."""


def derive_product(
    product: xr.Dataset,
    *,
    members: int = DEFAULT_MEMBERS,
    seed: int = 0,
    temperature_k: xr.DataArray | None = None,
    attenuated: xr.DataArray | None = None,
    with_members: bool = False,
) -> xr.Dataset:
    """Returns what a product implies for its columns and for the ground, lazy where it is.

    Args:
        product: A product `(time, height)`, or a swath's, as `build_product` returns it or as it is
            opened again; several days joined along time too.
        members: Number of ensemble members that are counted over, at least 2.
        seed: Seed of the members.
        temperature_k: Air temperature near the ground [K] `(time,)`, for rain or snow.
        attenuated: Where liquid attenuates on the way to the ground, bool `(time,)`.
        with_members: Whether to return the rates of each member too.

    Returns:
        The variables of `derive_columns` and `derive_precipitation` `(time,)`, of a swath with a
        leading `ray`, with CF metadata. Of more profiles than `LAZY_ABOVE_PROFILES` all but the
        sums is lazy, and those hold one row of all members.

    Raises:
        ProductError: If the product lacks its distribution or anything else that is needed, or the
            number of members makes no sense.
    """
    _check(product, members)
    drawn = draw_members(product, members, seed)
    is_short = count_profiles(product) <= LAZY_ABOVE_PROFILES
    if is_short:
        drawn = drawn.compute()  # once for all that is counted over them
    columns = to_cf(derive_columns(product, drawn), table=TABLE)
    hidden = describe_hidden_echo(product)
    for name in OF_HIDDEN_ECHO:
        columns[name].attrs[HIDDEN_ECHO_KEY] = hidden
    precipitation = derive_precipitation(
        product,
        # The row that sums are of is drawn alone: of a month, all rows have no room in memory.
        drawn if is_short or not has_sums(product) else members,
        temperature_k=temperature_k,
        attenuated=attenuated,
        with_members=with_members,
        seed=seed,
    )
    derived = columns.merge(precipitation, join="exact", compat="override")
    kept = {name: product[name].variable for name in _KEPT if name in product.variables}
    derived = derived.drop_vars([name for name in kept if name in derived.variables])
    derived = derived.assign_coords({name: kept[name] for name in kept if name != "profile"})
    derived = derived.assign({name: kept[name] for name in kept if name == "profile"})
    # Of a part of a product, time and place are those of the part.
    return derived.assign_attrs(_describe(product, members, seed) | columns.attrs)


def _check(product: xr.Dataset, members: int) -> None:
    if not isinstance(product, xr.Dataset):
        raise ProductError(
            f"derive: found {type(product).__name__}; a product as an xarray.Dataset, or the path"
            " of one, is right"
        )
    absent = [name for name in _NEEDED if name not in product.variables]
    if absent:
        raise ProductError(
            f"derive: the product lacks {', '.join(absent)}; a product as blindzone.fill returns"
            " it, with all its variables, is right"
        )
    check_number("members", members, 2, where="derive")


def _describe(product: xr.Dataset, members: int, seed: int) -> dict[str, Any]:
    """Returns the global attributes: the product's, but for what says what it contains."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    old = dict(product.attrs) | _describe_altitude(product)
    software = f"blindzone {version('blindzone')}"
    how = f"derived from {members} ensemble members, seed {seed}"
    return old | {
        "title": f"{old.get('title', 'filled curtain')}: columns and precipitation derived",
        "summary": (
            "Whether echo reaches the ground, the base of the lowest echo, the kind of each column,"
            " rates and sums of rain and snow, as probabilities, means and quantiles over ensemble"
            " members of a filled curtain and over published relations. Observed values above the"
            " blind zone are the same in all members."
        ),
        "comment": f"Estimates of a filled blind zone. {old.get('comment', '')}".strip(),
        "history": "\n".join(filter(None, (old.get("history"), f"{created} {software}: {how}"))),
        "id": f"{old.get('id', 'product')}_derived",
        "processing_level": "Level 3: derived from a filled curtain",
        "derived_from": old.get("id", "not stated"),
        DERIVED_FROM: old.get("target_sha256", "not stated"),
        MEMBERS: np.int32(members),
        "members_seed": np.int64(seed),
        **{
            f"date_{what}": created
            for what in ("created", "modified", "issued", "metadata_modified")
        },
    }


def _describe_altitude(product: xr.Dataset) -> dict[str, Any]:
    """Returns ACDD's vertical extent: heights are no coordinate of it, the ground is one."""
    altitudes = np.ravel(product["altitude"].values) if "altitude" in product else np.empty(0)
    altitudes = altitudes[np.isfinite(altitudes)]
    if not altitudes.size:
        return {}
    return {
        "geospatial_vertical_min": float(altitudes.min()),
        "geospatial_vertical_max": float(altitudes.max()),
        "geospatial_vertical_units": "m",
        "geospatial_vertical_positive": "up",
        "geospatial_vertical_resolution": "point",
        "geospatial_bounds_vertical_crs": "EPSG:5714",
    }


def write_derived(derived: xr.Dataset, path: Path) -> Path:
    """Writes a derived product as CF netCDF-4, whole or not at all, and returns its path.

    Args:
        derived: What `derive_product` returned.
        path: The file; one that is there is replaced.

    Raises:
        ProductError: If the name does not end in `.nc`, the dataset is not as the metadata table
            has it, or the file cannot be written.
    """
    if path.suffix != ".nc":
        raise ProductError(
            f"{path}: a derived product is a netCDF file; a name that ends in .nc is right"
        )
    content = encode_derived(derived)
    with write_atomically(path, error=ProductError) as partial:
        partial.write_bytes(content)
    return path


def name_derived(name: str) -> str:
    """Returns the file name of what is derived of a product, from the product's."""
    return f"{name.removesuffix('.nc')}{DERIVED_ENDING}"


def encode_derived(derived: xr.Dataset) -> bytes | memoryview:
    """Returns a derived product as the content of a netCDF-4 file.

    Raises:
        ProductError: If the dataset is not as the metadata table has it.
    """
    check_cf(derived, table=TABLE)
    loaded = derived.load()
    return encode_netcdf(loaded, _encode(loaded))


def open_derived(path: Path) -> xr.Dataset:
    """Returns a derived product in memory.

    Raises:
        ProductError: If the file cannot be opened, or is no derived product.
    """
    with open_netcdf(path) as opened:
        derived = opened.load()
    if not is_derived_product(derived):
        raise ProductError(
            f"{path}: no derived product: it does not state {DERIVED_FROM}; a file that 'blindzone"
            " derive' wrote is right"
        )
    return derived


def is_derived_product(dataset: xr.Dataset) -> bool:
    """Returns whether a dataset is a derived product."""
    return DERIVED_FROM in dataset.attrs


def _encode(derived: xr.Dataset) -> dict[str, dict[str, Any]]:
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in derived.variables.items():
        is_data = name in derived.data_vars and variable.dtype.kind == "f" and variable.ndim > 0
        of_place = name in SITE_COORDINATES and variable.ndim > 0 and looks_down(derived)
        fill = variable.dtype.type(np.nan) if is_data or of_place else None
        entry: dict[str, Any] = {"_FillValue": fill}
        if is_data and variable.size:  # a dry day has no event, and nothing has no chunks
            chunks = (*((1,) * (variable.ndim - 1)), min(_CHUNK_PROFILES, variable.shape[-1]))
            entry |= {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": chunks}
        if variable.dtype.kind == "M":
            entry |= {"units": TIME_UNITS, "calendar": "standard", "dtype": "float64"}
        encoding[str(name)] = entry
    return encoding
