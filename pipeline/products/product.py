"""Products: a day's curtain with its blind zone filled, as a self-describing CF netCDF file."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.cf import TIME_UNITS, check_cf, to_cf
from blindzone.pipeline.curtains.cf_table import METADATA
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    PROFILE_FIELDS,
    SITE_COORDINATES,
    DetectionStatus,
    check_curtain,
)
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.curtains.position import is_moving
from blindzone.pipeline.inpainting.fill_mask import FillMask
from blindzone.pipeline.products.checks import check_product
from blindzone.pipeline.products.layout import (
    ASSESSMENT_NAMES,
    BOUND_NAMES,
    FILL_NAMES,
    find_median,
    is_filled,
    keep_echo,
)
from blindzone.pipeline.products.provenance import WARNING, Provenance, describe_provenance
from blindzone.pipeline.products.swath import split_rays

_CHUNK_PROFILES = 1024
"""Profiles a chunk: with 128 rows of four bytes, half a megabyte, which reads well by time and by
height."""
_CHUNK_ROWS = 32
"""Rows a chunk of what the lowest rows alone have: chunks without values take neither time nor
room."""

LAZY_ABOVE_PROFILES = 32768
"""Products of more profiles are lazy: three times as many as a day of a ground radar has."""
LAZY_PROFILES = 4 * _CHUNK_PROFILES
"""Profiles of a lazy product that are in memory at a time."""

_MAY_LACK = ("out_of_range_score", "blind_zone_top")
"""What a profile may lack; one of a platform that moves also a coordinate of its place."""

FEATURE_TYPE = "profile"
"""CF's discrete sampling geometry of a track: each profile has a place and a time of its own. A
`trajectoryProfile` would have a dimension more, of its one trajectory."""


def build_product(
    curtain: xr.Dataset,
    fill: xr.Dataset,
    *,
    mask: FillMask,
    blind_zone_top_m: float,
    floor_dbz: float,
    provenance: Provenance,
    assessment: xr.Dataset | None = None,
    lazily: bool = False,
) -> xr.Dataset:
    """Returns the product of one UTC day or granule.

    Args:
        curtain: Gridded canonical curtain `(time, height)`.
        fill: Predictive distribution of the lowest `mask.rows` rows, as `summarize_distribution`
            returns it, with the curtain's `time`. Its values for pixels that are not filled are not
            used.
        mask: Which pixels are hidden, and which of them are filled.
        blind_zone_top_m: Height of the blind zone's top above the ground [m], where the curtain
            has none of its own.
        floor_dbz: Sensitivity floor [dBZ].
        provenance: Where all this comes from.
        assessment: How far each profile is outside the training data, as `Applicability.assess`
            returns it, with the curtain's `time`. Without it every profile is flagged as not
            assessed and has no score.
        lazily: Whether the numbers of the distribution are dask arrays, which put the fill on all
            rows when they are read: few rows are filled, and all rows of the numbers are many times
            as large as the curtain.

    Raises:
        ProductError: If curtain, fill and assessment do not fit each other.
        CurtainError: If the curtain is not canonical.
    """
    check_curtain(curtain)
    _check_fill(curtain, fill, mask)
    flag = _find_flags(curtain["detection_status"].values, mask)
    filled = is_filled(flag)
    pad = _pad_lazily if lazily else _pad
    fields = {name: pad(fill[name].values, filled) for name in FILL_NAMES}
    observed = curtain["reflectivity"].values.astype(np.float32, copy=False)
    median = fill["reflectivity_quantile"].values[find_median(fill)]
    best = np.where(flag == InpaintingFlag.NO_DATA, np.float32(np.nan), observed)
    lowest = np.s_[:, : mask.rows]
    best[lowest] = np.where(filled[lowest], keep_echo(median, floor_dbz), best[lowest])
    variables: dict[str, Any] = {
        "reflectivity": (DIMS, best),
        "reflectivity_observed": (DIMS, observed),
        "inpainting_flag": (DIMS, flag),
        "blind_zone_top": ("time", _find_tops(curtain, blind_zone_top_m)),
        "sensitivity_floor": ((), np.float32(floor_dbz)),
        "height_bounds": (("height", "bnds"), _find_row_bounds(curtain["height"].values)),
        **{name: (METADATA[name].dims, values) for name, values in fields.items()},
        **_take_assessment(curtain, assessment),
    }
    attributes = describe_provenance(provenance)
    if looks_down(curtain) or mask.repaired is not None:
        variables["hidden_kind"] = (DIMS, mask.kinds)
    if looks_down(curtain):
        variables |= {
            name: ("time", curtain[name].values) for name in PROFILE_FIELDS if name in curtain
        }
        if is_moving(curtain):
            attributes["featureType"] = FEATURE_TYPE
            variables["profile"] = ("time", np.arange(curtain.sizes["time"], dtype=np.int32))
    coordinates = _take_coordinates(curtain, fill)
    product = xr.Dataset(variables, coordinates, attributes)
    described = to_cf(product, simulated=provenance.simulated)
    return described if provenance.is_calibrated else _warn_of_bounds(described)


def _warn_of_bounds(product: xr.Dataset) -> xr.Dataset:
    """Returns a product whose quantiles say in their comment that they may not hold."""
    product = product.copy()
    for name in BOUND_NAMES:
        comment = f"{product[name].attrs.get('comment', '')} {WARNING}".strip()
        product[name] = product[name].assign_attrs(comment=comment)
    return product


def _take_coordinates(curtain: xr.Dataset, fill: xr.Dataset) -> dict[str, Any]:
    coordinates: dict[str, Any] = {name: (name, curtain[name].values) for name in DIMS}
    coordinates["quantile"] = ("quantile", fill["quantile"].values)
    return coordinates | {
        name: (curtain[name].dims, curtain[name].values)
        for name in (*SITE_COORDINATES, "along_track_distance")
        if name in curtain.coords
    }


def _find_tops(curtain: xr.Dataset, blind_zone_top_m: float) -> np.ndarray:
    """Returns the height [m] of each profile's blind zone, float32 `(time,)`."""
    if "blind_zone_top" in curtain.coords:
        return np.asarray(curtain["blind_zone_top"].values.astype(np.float32))
    return np.full(curtain.sizes["time"], blind_zone_top_m, dtype=np.float32)


def _check_fill(curtain: xr.Dataset, fill: xr.Dataset, mask: FillMask) -> None:
    expected = (curtain.sizes["time"], curtain.sizes["height"])
    if mask.kinds.shape != expected:
        raise ProductError(
            f"the mask of hidden pixels has {mask.kinds.shape} profiles and rows; those of the"
            f" curtain, {expected}, are right"
        )
    hidden_rows = mask.rows
    if mask.repaired is None and not hidden_rows < expected[1]:
        raise ProductError(
            f"{hidden_rows} hidden rows of {expected[1]}; at least one visible row is right"
        )
    absent = [name for name in (*FILL_NAMES, "quantile", "time") if name not in fill.variables]
    if absent:
        raise ProductError(
            f"the fill lacks {', '.join(absent)}; it has {sorted(map(str, fill.variables))}"
        )
    for name in FILL_NAMES:
        dims = METADATA[name].dims
        shape = (curtain.sizes["time"], hidden_rows)
        if fill[name].dims != dims or fill[name].shape[-2:] != shape:
            raise ProductError(
                f"the fill's '{name}' is {dict(fill[name].sizes)}; {dims} with {shape} profiles and"
                " rows is right"
            )
    if not np.array_equal(fill["time"].values, curtain["time"].values):
        raise ProductError(
            "the fill's times are not those of the curtain; each profile must be filled from itself"
        )


def _take_assessment(curtain: xr.Dataset, assessment: xr.Dataset | None) -> dict[str, Any]:
    """Returns flag and score of each profile, `(time,)`."""
    count = curtain.sizes["time"]
    if assessment is None:
        flag, score = np.full(count, OutOfRangeFlag.NOT_ASSESSED), np.full(count, np.nan)
    else:
        _check_assessment(curtain, assessment)
        flag, score = (assessment[name].values for name in ASSESSMENT_NAMES)
    values = flag.astype(np.int16), score.astype(np.float32)
    return {
        name: ("time", of_profile)
        for name, of_profile in zip(ASSESSMENT_NAMES, values, strict=True)
    }


def _check_assessment(curtain: xr.Dataset, assessment: xr.Dataset) -> None:
    wrong = [
        name
        for name in ASSESSMENT_NAMES
        if name not in assessment or assessment[name].dims != ("time",)
    ]
    if wrong:
        raise ProductError(f"the assessment lacks {' and '.join(wrong)} of dimensions ('time',)")
    if not np.array_equal(assessment["time"].values, curtain["time"].values):
        raise ProductError(
            "the assessment's times are not those of the curtain; each profile has its own"
        )


def _find_flags(status: np.ndarray, mask: FillMask) -> np.ndarray:
    """Returns the flag `(time, height)` from the detection status `(time, height)`."""
    is_visible = mask.kinds == HiddenKind.VISIBLE
    flag = np.where(is_visible, np.int8(InpaintingFlag.OBSERVED), np.int8(InpaintingFlag.NO_DATA))
    # Trust is lost below a height, so it is lost for the whole row, profiles without data included.
    untrusted = ((status == DetectionStatus.UNTRUSTED) & ~is_visible).any(axis=0)
    untrusted[: mask.untrusted_rows] = True
    filled = np.where(
        untrusted, InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH, InpaintingFlag.FILLED
    ).astype(np.int8)
    return np.asarray(np.where(mask.filled, filled, flag))


def _pad(values: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Returns values `(..., time, hidden row)` on all rows, NaN where not filled."""
    rows = values.shape[-1]
    out = np.full((*values.shape[:-2], *filled.shape), np.nan, dtype=np.float32)
    np.copyto(out[..., :rows], values, where=filled[:, :rows])
    return out


def _pad_lazily(values: np.ndarray, filled: np.ndarray) -> Any:
    """Returns the same as a dask array, of which parts are computed; nothing is copied."""
    import dask.array

    array: Any = dask.array

    def read(block_info: Any = None) -> np.ndarray:
        first, last = block_info[None]["array-location"][-2]
        return _pad(values[..., first:last, :], filled[first:last])

    (lengths,) = array.core.normalize_chunks((LAZY_PROFILES,), filled.shape[:1])
    return array.map_blocks(
        read,
        name=f"padded-{uuid4()}",  # a hash of the arrays would take their time and memory
        dtype=np.float32,
        chunks=(*((size,) for size in values.shape[:-2]), lengths, filled.shape[1:]),
        meta=np.empty((0,) * values.ndim, np.float32),
    )


def _find_row_bounds(centres: np.ndarray) -> np.ndarray:
    """Returns the edges [m] of each row `(height, 2)`: half way to its neighbours."""
    if centres.size < 2:
        raise ProductError("one row has no depth; a product needs at least two")
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate(
        [[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]]
    )
    return np.stack([edges[:-1], edges[1:]], axis=1)


def encode_product(product: xr.Dataset) -> bytes | memoryview:
    """Returns a product `(time, height)`, or a swath's, as the content of a netCDF-4 file.

    Raises:
        ProductError: If the product contradicts itself or the metadata table.
    """
    check_cf(product)
    for ray in split_rays(product):
        for first in range(0, ray.sizes["time"], LAZY_PROFILES):
            part = ray.isel(time=slice(first, first + LAZY_PROFILES))
            check_product(part.load(), first_profile=first)
    product = product.copy()
    # CF bounds have no attributes of their own.
    product["height_bounds"].encoding["coordinates"] = None
    return encode_netcdf(product, _encoding(product))


def _encoding(product: xr.Dataset) -> dict[str, dict[str, Any]]:
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in product.variables.items():
        gridded = variable.dims[-2:] == DIMS
        of_place = name in SITE_COORDINATES and variable.ndim > 0
        missing = variable.dtype.kind == "f" and (gridded or of_place or name in _MAY_LACK)
        entry: dict[str, Any] = {"_FillValue": np.float32(np.nan) if missing else None}
        if gridded:
            rows = _CHUNK_ROWS if name in FILL_NAMES else variable.shape[-1]
            chunks = (min(_CHUNK_PROFILES, variable.shape[-2]), min(rows, variable.shape[-1]))
            entry |= {
                "zlib": True,
                "complevel": 4,
                "shuffle": True,
                "fletcher32": True,
                "chunksizes": (1,) * (variable.ndim - 2) + chunks,
            }
        encoding[str(name)] = entry
    encoding["time"] |= {"units": TIME_UNITS, "calendar": "standard", "dtype": "float64"}
    return encoding
