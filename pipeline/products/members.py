"""Ensemble members of a product, drawn from the distribution that it stores, when they are needed.

A member is a field of max(reflectivity, floor). Each pixel follows its stored distribution over all
members (`blindzone.pipeline.inpainting.stored_distribution`); in time, in height and across rays
members are as coherent as the truth was found to be (`member_dependence`). Member n of a seed is
the same whatever the number of members, the chunks of the product and the order in which they are
computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed

from blindzone.core.configuration import read_plain
from blindzone.core.errors import ProductError
from blindzone.core.fence import refusing_as
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.cf import to_cf
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.curtains.position import measure_distance
from blindzone.pipeline.inpainting.member_dependence import (
    PALAISEAU,
    WIND_M_S,
    MemberDependence,
    begin_field,
    continue_field,
    correlate,
    find_field_levels,
)
from blindzone.pipeline.inpainting.stored_distribution import StoredDistribution
from blindzone.pipeline.products.layout import MEMBERS_NAME
from blindzone.pipeline.products.swath import RAY, split_rays
from blindzone.pipeline.verification.curtain_scores import find_regimes_above

DEPENDENCE_KEY = "members"
"""Key of a calibration's record for the dependence of members that was fitted with it."""

_READ = (
    "hydrometeor_probability",
    "reflectivity_quantile",
    "reflectivity_quantile_given_echo",
    "reflectivity",
    "sensitivity_floor",
)
_FAR_M = 1e9
"""Rays this far apart have nothing to do with each other [m]."""

_TIME_STEP_S = 1e-3
"""Times are rounded to this [s]: a product in memory and one from a file give the same members."""


def draw_members(product: xr.Dataset, count: int, seed: int = 0) -> xr.DataArray:
    """Returns ensemble members of a product, computed when they are needed.

    Args:
        product: A product `(time, height)`, or a swath's, in memory or of dask arrays.
        count: Number of members, at least 1.
        seed: Seed of the members.

    Returns:
        max(reflectivity, floor) [dBZ] of filled pixels, float32 `(realization, time, height)`, of a
        swath `(ray, realization, time, height)`, in a chunk a member and chunk of the product.

    Raises:
        ProductError: If count or seed make no sense, or the product lacks its distribution.
    """
    dependence = _check_drawn(product, count, seed)
    rays = [_open_ray(ray) for ray in split_rays(product)]
    links = _link_rays(product, dependence)
    members = [
        da.stack(list(_draw_member(rays, links, dependence, seed, number)))
        for number in range(1, count + 1)
    ]
    fields = da.stack(members)  # (realization, ray, time, height)
    dims = ("realization", *DIMS)
    of_rays = (da.moveaxis(fields, 0, 1), (RAY, *dims)) if RAY in product.dims else None
    shared = [name for name in product.coords if name not in ("quantile", "realization")]
    coordinates = {name: product[name].variable for name in shared}
    coordinates["realization"] = xr.Variable("realization", np.arange(1, count + 1, dtype=np.int32))
    values, dims_of = of_rays or (fields[:, 0], dims)
    array = xr.DataArray(values, coordinates, dims_of, MEMBERS_NAME)
    described = to_cf(array.to_dataset())[MEMBERS_NAME]
    # Those of the product have attributes that depend on its other variables, such as bounds.
    return described.assign_coords({name: product[name].variable for name in shared})


def draw_member_rows(
    product: xr.Dataset, count: int, rows: Sequence[int], seed: int = 0
) -> xr.DataArray:
    """Returns some rows of the members that `draw_members` gives, now and in bounded memory.

    Chunk after chunk of the product is read, and dropped when all members have gone on through it.

    Args:
        product: A product `(time, height)`, in memory or of dask arrays.
        count: Number of members, at least 1.
        rows: Indices of the rows.
        seed: Seed of the members.

    Returns:
        max(reflectivity, floor) [dBZ] of filled pixels, float32 `(realization, time, height)`.

    Raises:
        ProductError: If count or seed make no sense, the product is a swath, or it lacks its
            distribution.
    """
    dependence = _check_drawn(product, count, seed)
    if RAY in product.dims:
        raise ProductError("members: found a swath; a product of one ray is right")
    ray = _open_ray(product)
    wanted = np.zeros(ray.heights_m.size, dtype=bool)
    wanted[list(rows)] = True
    states = [begin_field(seed, number) for number in range(1, count + 1)]
    parts = []
    for piece in ray.pieces:
        prepared = piece.prepared.compute(scheduler="synchronous")
        of_rows = replace(prepared, filled=prepared.filled & wanted[: ray.rows])
        fields = np.full((count, piece.seconds.size, len(rows)), np.float32(np.nan))
        for at, state in enumerate(states):
            scales, states[at] = continue_field(
                state, piece.seconds, ray.heights_m[: ray.rows], dependence
            )
            fields[at] = _draw(of_rows, scales, dependence, wanted.size)[:, list(rows)]
        parts.append(fields)
    shared = [name for name in product.coords if name not in ("quantile", "realization", "height")]
    coordinates = {name: product[name].variable for name in shared}
    coordinates["realization"] = xr.Variable("realization", np.arange(1, count + 1, dtype=np.int32))
    coordinates["height"] = product["height"][list(rows)].variable
    dims = ("realization", *DIMS)
    return xr.DataArray(np.concatenate(parts, axis=1), coordinates, dims, MEMBERS_NAME)


def add_members(product: xr.Dataset, count: int, seed: int) -> xr.Dataset:
    """Returns a product with so many of its members, in memory."""
    members = draw_members(product, count, seed).compute(scheduler="synchronous")
    return product.assign_coords(realization=members["realization"]).assign(
        {MEMBERS_NAME: members.variable}
    )


def find_dependence(product: xr.Dataset) -> MemberDependence:
    """Returns the dependence that a product's network was calibrated with, or else the default.

    Raises:
        ProductError: If the product states one that is not understood.
    """
    where, record = read_calibration_part(product, DEPENDENCE_KEY)
    return read_dependence(record, where=where)


def read_calibration_part(product: xr.Dataset, key: str) -> tuple[str, Any]:
    """Returns where a product states a part of its network's calibration, and the part.

    Args:
        product: The product.
        key: Key of the part in the calibration's record.

    Returns:
        What to call the place in messages, and plain values; None if it states none.

    Raises:
        ProductError: If its attribute cannot be read.
    """
    where = "members: the product's attribute 'configuration'"
    with refusing_as(ProductError, f"{where} cannot be read"):
        configuration = json.loads(product.attrs.get("configuration") or "{}")
        return where, (configuration.get("calibration") or {}).get(key)


def read_dependence(record: Mapping[str, Any] | None, *, where: str) -> MemberDependence:
    """Returns the dependence of a record, or the default of the package where there is none."""
    if record is None:
        return PALAISEAU
    return read_plain(MemberDependence, record, where=where, error=ProductError)


def _check_drawn(product: xr.Dataset, count: int, seed: int) -> MemberDependence:
    """Returns the dependence of a product whose members can be drawn."""
    check_number("count", count, 1)
    check_number("seed", seed, 0)
    if not isinstance(product, xr.Dataset):
        raise ProductError(
            f"members: found {type(product).__name__}; a product as an xarray.Dataset, or the path"
            " of one, is right"
        )
    absent = [name for name in (*_READ, "quantile", "time") if name not in product.variables]
    if absent:
        raise ProductError(
            f"members: the product lacks {', '.join(absent)}, and so the distribution that members"
            " follow; a product as blindzone.fill returns it, with all its variables, is right"
        )
    return find_dependence(product)


def check_number(name: str, value: Any, least: int, *, where: str = "members") -> None:
    """Checks that a value is a whole number.

    Args:
        name: What it is.
        value: The value.
        least: The least that is right.
        where: What messages begin with.

    Raises:
        ProductError: If it is none, or less.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ProductError(
            f"{where}: {name} is {value!r}; a whole number of at least {least} is right"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """A ray's profiles of one chunk.

    Attributes:
        seconds: Times, or distance over wind [s] `(time,)`.
        prepared: What its members are drawn from, delayed.
    """

    seconds: np.ndarray
    prepared: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ray:
    """A ray of a product, or the only one.

    Attributes:
        heights_m: Heights of all rows [m].
        rows: Number of lowest rows that hold all filled pixels.
        pieces: Its profiles, chunk by chunk.
    """

    heights_m: np.ndarray
    rows: int
    pieces: tuple[_Piece, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prepared:
    """What the members of some profiles are drawn from.

    Attributes:
        distribution: Distribution of the pixels of the lowest rows, profile by profile.
        filled: Which of them are filled, bool `(time, row)`.
        regimes: `Regime` of each profile.
    """

    distribution: StoredDistribution
    filled: np.ndarray
    regimes: np.ndarray


def _open_ray(ray: xr.Dataset) -> _Ray:
    probability = ray["hydrometeor_probability"]
    is_row = probability.notnull().any("time").compute().values
    rows = max(1, int(np.flatnonzero(is_row).max(initial=-1)) + 1)
    read = ray[[*_READ]].reset_coords(drop=True)
    seconds = find_seconds(ray)
    lengths = probability.chunksizes.get("time", (ray.sizes["time"],))
    ends = np.cumsum(lengths)
    pieces = tuple(
        _Piece(
            seconds=seconds[end - length : end],
            prepared=delayed(_prepare)(read.isel(time=slice(end - length, end)), rows),
        )
        for length, end in zip(lengths, ends, strict=True)
    )
    return _Ray(heights_m=ray["height"].values, rows=rows, pieces=pieces)


def find_seconds(ray: xr.Dataset) -> np.ndarray:
    """Returns the times of the profiles [s], from above the distance over the wind."""
    if looks_down(ray):
        seconds = ray["along_track_distance"].values / WIND_M_S
    else:
        seconds = (ray["time"].values - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    return np.asarray(np.round(seconds / _TIME_STEP_S) * _TIME_STEP_S)


def _prepare(read: xr.Dataset, rows: int) -> _Prepared:
    floor_dbz = float(read["sensitivity_floor"])
    probability = read["hydrometeor_probability"].values
    everywhere = np.isfinite(probability)
    filled = everywhere[:, :rows]
    depth = np.where(filled.any(axis=1), rows - np.argmax(filled[:, ::-1], axis=1), 0)
    quantiles, given_echo = (
        np.nan_to_num(read[name].values[:, :, :rows], nan=floor_dbz).reshape(
            read.sizes["quantile"], -1
        )
        for name in ("reflectivity_quantile", "reflectivity_quantile_given_echo")
    )
    return _Prepared(
        distribution=StoredDistribution(
            probability=np.nan_to_num(probability[:, :rows]).ravel(),
            quantiles=quantiles,
            given_echo=given_echo,
            levels=read["quantile"].values,
            floor_dbz=floor_dbz,
        ),
        filled=filled,
        regimes=find_regimes_above(read["reflectivity"].values, depth, floor_dbz),
    )


def _link_rays(product: xr.Dataset, dependence: MemberDependence) -> list[np.ndarray]:
    """Returns how the scales of each ray correlate with those of the ray before, `(scale,)`."""
    count = product.sizes.get(RAY, 1)
    if count == 1 or RAY not in product["latitude"].dims:
        return [np.zeros(len(dependence.times_s))] * count
    latitude, longitude = (
        product[name].transpose(RAY, ...).values.reshape(count, -1)
        for name in ("latitude", "longitude")
    )
    apart_m = measure_distance(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    middle = np.concatenate([[np.inf], np.nan_to_num(np.median(apart_m, axis=1), nan=np.inf)])
    seconds = np.minimum(middle, _FAR_M)[:, None] / WIND_M_S
    return list(correlate(seconds / np.asarray(dependence.times_s)))


def _draw_member(
    rays: list[_Ray],
    links: list[np.ndarray],
    dependence: MemberDependence,
    seed: int,
    member: int,
) -> Iterator[da.Array]:
    """Yields the rays of a member, each `(time, height)`."""
    before: list[Any] = [None] * len(rays[0].pieces)
    rows = max(ray.rows for ray in rays)
    for number, (ray, link) in enumerate(zip(rays, links, strict=True)):
        state = delayed(begin_field)(seed, member, number)
        parts = []
        for at, piece in enumerate(ray.pieces):
            scales, state = delayed(continue_field, nout=2)(
                state, piece.seconds, ray.heights_m[:rows], dependence
            )
            if number:
                scales = delayed(_link)(scales, before[at], link)
            before[at] = scales
            field = delayed(_draw)(piece.prepared, scales, dependence, ray.heights_m.size)
            shape = (piece.seconds.size, ray.heights_m.size)
            parts.append(da.from_delayed(field, shape, np.float32))
        yield da.concatenate(parts)


def _link(scales: np.ndarray, before: np.ndarray, link: np.ndarray) -> np.ndarray:
    """Returns the scales of a ray that depend on those of the ray before."""
    by_scale = link[:, None].astype(np.float32)
    return np.asarray(by_scale * before + np.sqrt(1 - by_scale**2) * scales)


def _draw(
    prepared: _Prepared, scales: np.ndarray, dependence: MemberDependence, height: int
) -> np.ndarray:
    """Returns a member of some profiles, float32 `(time, height)`, NaN where nothing is filled."""
    filled = prepared.filled
    levels = find_field_levels(scales[..., : filled.shape[1]], prepared.regimes, dependence)
    out = np.full((filled.shape[0], height), np.float32(np.nan))
    out[:, : filled.shape[1]] = prepared.distribution.read_field(levels, filled)
    return out
