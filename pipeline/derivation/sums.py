"""Sums of rain or snow over hours, days and events, of whole members, with their uncertainty.

A member's rates are summed over a window, and the sums of all members under all laws are its
distribution: what is coherent in a member stays so in its sum. Profiles that are missing are
bridged (`gaps`), and never count as zero. A sum is missing, and says why, where a gap as long as
its window or longer touches it, or more than half of it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.gaps import Series, bridge_gaps
from blindzone.pipeline.derivation.mixture import find_moments, find_quantiles
from blindzone.pipeline.derivation.rates import LEVELS, find_rates, name_moments
from blindzone.pipeline.derivation.relations import LawChoice

HOUR = np.timedelta64(1, "h")
DAY = np.timedelta64(1, "D")
MOST_MISSING = 0.5
"""Share of a window that may be missing: with more, most of the sum would be made up."""
LEAST_DRY = np.timedelta64(1, "h")
"""Events are at least so long apart: showers within the shortest sum belong together."""
_SECONDS_PER_HOUR = 3600.0


class SumFlag(IntEnum):
    """Whether a sum is known."""

    COMPLETE = 0
    """No profile is missing."""
    GAPS_BRIDGED = 1
    """Profiles are missing; members go on through the gaps, and spread more."""
    GAP_TOO_LONG = 2
    """A gap touches the window that is longer, goes on outside of the data, or has no whole stretch
    nearby that could bridge it: no sum."""
    MOSTLY_MISSING = 3
    """Less than half of the window has profiles: no sum."""
    NO_RELATION = 4
    """No relation between reflectivity and rate is known: no sum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Stretches of time to be summed over, in order, that do not overlap.

    Attributes:
        starts: Their starts, datetime64[ns] `(window,)`.
        ends: Their ends, which are not in them, `(window,)`.
    """

    starts: np.ndarray
    ends: np.ndarray


def list_windows(times: np.ndarray, step: np.timedelta64) -> Windows:
    """Returns all whole windows of a length, counted from midnight, that have any of the times."""
    since = np.datetime64("1970-01-01", "ns")
    numbers = np.unique((times.astype("datetime64[ns]") - since) // step.astype("timedelta64[ns]"))
    starts = since + numbers * step.astype("timedelta64[ns]")
    return Windows(starts=starts, ends=starts + step)


def find_events(
    row: xr.DataArray, floor_dbz: float, least_dry: np.timedelta64 = LEAST_DRY
) -> Windows:
    """Returns the times in which at least half of the members have echo, event by event.

    Args:
        row: Reflectivity near the ground [dBZ] `(realization, time)`, at the floor without echo.
        floor_dbz: Sensitivity floor [dBZ].
        least_dry: Events closer together are one.
    """
    times = row["time"].values.astype("datetime64[ns]")
    wet = np.flatnonzero(((row > floor_dbz).mean("realization") >= 0.5).values)
    if not wet.size:
        return Windows(starts=times[:0], ends=times[:0])
    half = np.median(np.diff(times)) / 2 if times.size > 1 else np.timedelta64(0, "ns")
    first = np.concatenate([[True], np.diff(times[wet]) > least_dry])
    last = np.concatenate([first[1:], [True]])
    return Windows(starts=times[wet[first]] - half, ends=times[wet[last]] + half)


@dataclass(frozen=True, kw_only=True, eq=False)
class MemberSums:
    """Sums of each member under each law.

    Attributes:
        values: Sums [mm] `(law, realization, window)`; NaN where there is none.
        weights: Weights of the laws `(law,)`, which sum to 1.
        flags: `SumFlag` of each window, int8 `(window,)`.
        missing: Share of each window that is bridged `(window,)`; NaN where there is no sum.
    """

    values: np.ndarray
    weights: np.ndarray
    flags: np.ndarray
    missing: np.ndarray


def sum_members(
    row: xr.DataArray, windows: Windows, choice: LawChoice, floor_dbz: float, *, seed: int = 0
) -> MemberSums:
    """Returns the sums of each member over windows.

    Args:
        row: Reflectivity near the ground [dBZ] `(realization, time)`, at the floor without echo,
            NaN where it is missing; in memory, or dask arrays that are computed together.
        windows: Windows.
        choice: The laws; without any, all sums are missing.
        floor_dbz: Sensitivity floor [dBZ].
        seed: Seed of how gaps are bridged.

    Raises:
        ProductError: If there is no profile.
    """
    if not row.sizes["time"]:
        raise ProductError("sums: the product has no profile; one or more are right")
    starts, ends = _to_seconds(windows.starts), _to_seconds(windows.ends)
    longest_s = float((ends - starts).max(initial=0))
    values = row.transpose("realization", "time").values
    series = bridge_gaps(_to_seconds(row["time"].values), values, longest_s, seed)
    flags, missing = _find_flags(series, starts, ends)
    laws, weights = choice.spread()
    if not laws:
        flags[:] = SumFlag.NO_RELATION
    sums = np.full((max(len(laws), 1), len(values), flags.size), np.nan)
    begin, end = np.searchsorted(series.seconds, [starts, ends])
    for at in np.flatnonzero(flags <= SumFlag.GAPS_BRIDGED):
        of_window = np.s_[begin[at] : end[at]]
        durations = series.durations[of_window]
        rates = find_rates(series.values[:, of_window], laws, floor_dbz)
        hours = (ends[at] - starts[at]) / _SECONDS_PER_HOUR
        sums[..., at] = (rates @ durations) / durations.sum() * hours
    return MemberSums(
        values=sums, weights=weights if laws else np.ones(1), flags=flags, missing=missing
    )


def sum_windows(
    row: xr.DataArray, windows: Windows, choice: LawChoice, floor_dbz: float, *, seed: int = 0
) -> xr.Dataset:
    """Returns the distribution of sums over windows.

    Args:
        row: As for `sum_members`, like all else.
        windows: Windows.
        choice: The laws.
        floor_dbz: Sensitivity floor [dBZ].
        seed: Seed of how gaps are bridged.

    Returns:
        Along `window`: `sum` [mm], the mean over members and laws, `sum_variance_of_members` and
        `sum_variance_of_relations` [mm2], `sum_quantile (quantile, window)`, `sum_flag` (`SumFlag`)
        and `missing_share`; coordinates `window_start` and `window_end`.

    Raises:
        ProductError: If there is no profile.
    """
    sums = sum_members(row, windows, choice, floor_dbz, seed=seed)
    moments = find_moments(sums.values, sums.weights)
    parts = dict(zip(name_moments("sum"), vars(moments).values(), strict=True))
    quantiles = find_quantiles(sums.values, sums.weights, LEVELS)
    return xr.Dataset(
        {
            **{name: ("window", part) for name, part in parts.items()},
            "sum_quantile": (("quantile", "window"), quantiles),
            "sum_flag": ("window", sums.flags),
            "missing_share": ("window", sums.missing),
        },
        {
            "quantile": LEVELS,
            "window_start": ("window", windows.starts),
            "window_end": ("window", windows.ends),
        },
    )


def _to_seconds(times: np.ndarray) -> np.ndarray:
    return np.asarray((times - np.datetime64("1970-01-01")) / np.timedelta64(1, "s"))


def _find_flags(
    series: Series, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `SumFlag` of windows, int8, and the share of each that is missing."""
    begin, end = np.searchsorted(series.seconds, [starts, ends])
    lacking = np.concatenate([[0.0], np.cumsum(series.durations * series.bridged)])
    missing = (lacking[end] - lacking[begin]) / (ends - starts)
    flags = np.where(missing > 0, SumFlag.GAPS_BRIDGED, SumFlag.COMPLETE).astype(np.int8)
    flags[missing > MOST_MISSING] = SumFlag.MOSTLY_MISSING
    gap_starts, gap_ends = series.open_gaps.T
    # Gaps do not overlap: one touches a window if more of them begin before its end than have
    # ended at its start.
    touched = np.searchsorted(gap_starts, ends) > np.searchsorted(gap_ends, starts, side="right")
    flags[touched | (begin == end)] = SumFlag.GAP_TOO_LONG
    return flags, np.where(flags == SumFlag.GAP_TOO_LONG, np.nan, missing)
