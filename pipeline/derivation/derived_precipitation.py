"""Precipitation of a product as one described dataset."""

from __future__ import annotations

from typing import Any

import xarray as xr

from blindzone.pipeline.curtains.cf import to_cf
from blindzone.pipeline.curtains.cf_table import METADATA
from blindzone.pipeline.curtains.position import is_moving
from blindzone.pipeline.derivation.amounts import derive_amounts
from blindzone.pipeline.derivation.precipitation import (
    derive_rates,
    find_row,
    open_precipitation,
)
from blindzone.pipeline.derivation.precipitation_table import PRECIPITATION
from blindzone.pipeline.derivation.relations import Phase
from blindzone.pipeline.derivation.shallow import HIDDEN_ECHO_KEY, describe_hidden_echo
from blindzone.pipeline.products.members import draw_member_rows, draw_members
from blindzone.pipeline.products.swath import RAY


def derive_precipitation(
    product: xr.Dataset,
    members: xr.DataArray | int,
    *,
    with_members: bool = False,
    with_amounts: bool = True,
    seed: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Returns rates and sums of rain and snow near the ground, with CF attributes.

    Args:
        product: A product `(time, height)`, or a swath's.
        members: Its members [dBZ] `(realization, time, height)`, as `draw_members` returns them; or
            how many to draw: then only the row near the ground is drawn, in bounded memory.
        with_members: Whether to return the rate of each member too.
        with_amounts: Whether to return sums; the row near the ground is then computed. A platform
            that moves has none: each of its profiles has another place.
        seed: Seed of the members, and of how gaps are bridged.
        options: As for `open_precipitation`.

    Returns:
        What `derive_rates` and `derive_amounts` return. The attribute `relation` of each says
        which laws it is from, or why it is missing; `hidden_echo`, whether hidden shallow echo is
        calibrated in it; `temperature_from` of `precipitation_phase`
        whose temperature (the attribute `origin` of `temperature_k`) parted rain and snow.

    Raises:
        ProductError: As of `open_precipitation`.
    """
    sums = with_amounts and has_sums(product)
    if isinstance(members, int):
        members = _draw_near_ground(product, members, seed, options.get("height_m"))
    precipitation = open_precipitation(product, members, in_memory=sums, seed=seed, **options)
    derived = derive_rates(precipitation, with_members=with_members)
    if sums:
        derived = derived.merge(derive_amounts(precipitation, seed=seed), join="exact")
    described = to_cf(derived, table={**METADATA, **PRECIPITATION})
    hidden = describe_hidden_echo(product)
    for name in described.data_vars:
        for phase in Phase:
            if f"{phase}fall" in str(name) and "flag" not in str(name):
                described[name].attrs["relation"] = precipitation.choices[phase].describe()
                described[name].attrs[HIDDEN_ECHO_KEY] = hidden
    temperature_k = options.get("temperature_k")
    origin = "not known" if temperature_k is None else temperature_k.attrs.get("origin", "given")
    described["precipitation_phase"].attrs["temperature_from"] = origin
    return described


def has_sums(product: xr.Dataset) -> bool:
    """Returns whether a product has sums: its profiles are of one place, and of one ray."""
    return not is_moving(product) and RAY not in product.dims


def _draw_near_ground(
    product: xr.Dataset, count: int, seed: int, height_m: float | None
) -> xr.DataArray:
    """Returns members `(realization, time, height)`, of the row near the ground at least."""
    if RAY in product.dims:
        return draw_members(product, count, seed)
    return draw_member_rows(product, count, [find_row(product, height_m)], seed)
