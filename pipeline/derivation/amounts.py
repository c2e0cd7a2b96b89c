"""Hourly, daily and event sums of rain and snow near the ground."""

from __future__ import annotations

import xarray as xr

from blindzone.pipeline.curtains.cf import TIME_UNITS
from blindzone.pipeline.derivation.precipitation import Precipitation
from blindzone.pipeline.derivation.relations import Phase
from blindzone.pipeline.derivation.sums import (
    DAY,
    HOUR,
    Windows,
    find_events,
    list_windows,
    sum_windows,
)

AMOUNT_NAMES = {Phase.SNOW: "snowfall_amount", Phase.RAIN: "rainfall_amount"}
"""Name of the sum of each phase."""
WINDOW_NAMES = {"hour": "hourly", "day": "daily", "event": "event"}
"""Dimension of each kind of windows, and what names of its sums begin with."""


def derive_amounts(precipitation: Precipitation, *, seed: int = 0) -> xr.Dataset:
    """Returns sums of rain and snow over hours, days and events.

    An event is a stretch in which at least half of the members have echo near the ground.

    Args:
        precipitation: What falls; its row is computed, and better be in memory already.
        seed: Seed of how gaps are bridged.

    Returns:
        Along `hour`, `day` and `event`, for example `hourly_rainfall_amount` [mm], the mean over
        members and laws, `_variance_of_members` and `_variance_of_relations` [mm2],
        `_quantile (quantile, hour)` and `_flag` (`SumFlag`); `hourly_missing_share`. Coordinates
        are starts, with `hour_bounds (hour, bnds)` and so on.

    Raises:
        ProductError: If there is no profile.
    """
    ground = precipitation.ground
    times = ground.row["time"].values
    kinds = {
        "hour": list_windows(times, HOUR),
        "day": list_windows(times, DAY),
        "event": find_events(ground.row, ground.floor_dbz),
    }
    parts = [
        _sum_kind(precipitation, dim, windows, phase, seed)
        for dim, windows in kinds.items()
        for phase in Phase
    ]
    variables = {name: part[name] for part in parts for name in part.data_vars}
    return xr.Dataset(variables)


def _sum_kind(
    precipitation: Precipitation, dim: str, windows: Windows, phase: Phase, seed: int
) -> xr.Dataset:
    """Returns sums of one phase over one kind of windows."""
    row, choice = precipitation.rows[phase], precipitation.choices[phase]
    sums = sum_windows(row, windows, choice, precipitation.ground.floor_dbz, seed=seed)
    amount = f"{WINDOW_NAMES[dim]}_{AMOUNT_NAMES[phase]}"
    names = {
        name: str(name).replace("sum", amount, 1)
        for name in sums.data_vars
        if str(name).startswith("sum")
    }
    bounds = xr.concat([sums["window_start"], sums["window_end"]], "bnds").transpose()
    named = sums.rename(names | {"missing_share": f"{WINDOW_NAMES[dim]}_missing_share"})
    named = named.drop_vars(["window_start", "window_end"]).rename(window=dim)
    encoding = {"units": TIME_UNITS, "dtype": "float64"}
    starts = xr.Variable(dim, windows.starts, encoding=encoding)
    both = xr.Variable((dim, "bnds"), bounds.values, encoding=encoding)
    return named.assign_coords({dim: starts}).assign({f"{dim}_bounds": both})
