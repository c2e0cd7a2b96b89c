"""Gaps in a series of profiles, and members that go on through them.

Nothing is known in a gap. A member goes on there as it does nearby: with a stretch of its own as
long as the gap, from one to three lengths of the gap before or after it, chosen by chance for each
member. So sums of members spread more where profiles are missing, by as much as the weather changes
within such a time, and no missing profile counts as zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GAP_STEPS = 2.5
"""Profiles further apart than so many usual steps have a gap in between: with one missing, they are
two steps apart, and steps vary."""
_FARTHEST = 3
"""Stretches are taken from at most so many lengths of the gap away."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Members at the times of profiles, gaps included as far as they are bridged.

    Attributes:
        seconds: Times [s], increasing `(time,)`.
        durations: Time that each profile stands for [s] `(time,)`.
        values: Reflectivity [dBZ] of members `(realization, time)`; NaN where it is missing still.
        source: Index of the profile that each member's value is from, `(realization, time)`; -1
            where it is missing.
        bridged: Where a profile was missing, bool `(time,)`.
        open_gaps: Start and end [s] of gaps that are left, in order `(gap, 2)`; the time before
            the first and after the last profile are such.
    """

    seconds: np.ndarray
    durations: np.ndarray
    values: np.ndarray
    source: np.ndarray
    bridged: np.ndarray
    open_gaps: np.ndarray


def bridge_gaps(seconds: np.ndarray, values: np.ndarray, longest_s: float, seed: int) -> Series:
    """Returns members that go on through gaps.

    Args:
        seconds: Times of profiles [s], increasing `(time,)`.
        values: Reflectivity of members [dBZ] `(realization, time)`, NaN where it is missing.
        longest_s: Longest gap that is bridged [s].
        seed: Seed of the choice of stretches.
    """
    step = float(np.median(np.diff(seconds))) if seconds.size > 1 else 1.0
    times, at = _insert_times(seconds, step, longest_s)
    missing = at < 0
    missing[~missing] = np.isnan(values[:, at[~missing]]).any(axis=0)
    source = np.broadcast_to(np.where(missing, -1, at), (len(values), times.size)).copy()
    for begin, end in _find_runs(missing):
        if (end - begin) * step <= longest_s:
            _bridge(source, missing, begin, end, seed=(seed, abs(int(times[begin]))))
    left = np.asarray((source < 0).any(axis=0))
    bridged = np.where(source < 0, np.nan, np.take_along_axis(values, np.maximum(source, 0), 1))
    return Series(
        seconds=times,
        durations=_find_durations(times, step),
        values=bridged.astype(values.dtype),
        source=source,
        bridged=missing & ~left,
        open_gaps=_find_open_gaps(times, left, step),
    )


def _insert_times(
    seconds: np.ndarray, step: float, longest_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns times with those of profiles that are absent, and the index of each, or -1."""
    distance = np.diff(seconds)
    absent = np.where(
        (distance > GAP_STEPS * step) & (distance <= longest_s + step),
        np.round(distance / step) - 1,
        0,
    ).astype(np.intp)
    at = np.insert(np.arange(seconds.size), np.repeat(np.arange(1, seconds.size), absent), -1)
    known = at >= 0
    times = np.interp(np.arange(at.size), np.flatnonzero(known), seconds)
    return times, at


def _find_runs(is_in: np.ndarray) -> list[tuple[int, int]]:
    """Returns begin and end of runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_in.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _bridge(
    source: np.ndarray, missing: np.ndarray, begin: int, end: int, seed: tuple[int, int]
) -> None:
    """Fills the sources of one gap, in place, if there is a whole stretch for it."""
    length = end - begin
    before = np.concatenate([[0], np.cumsum(missing)])
    shifts = np.arange(length, _FARTHEST * length + 1)
    starts = np.concatenate([begin - shifts, begin + shifts])
    starts = starts[(starts >= 0) & (starts + length <= missing.size)]
    starts = starts[before[starts + length] == before[starts]]
    if starts.size:
        chosen = np.random.default_rng(seed).choice(starts, len(source))
        stretch = chosen[:, None] + np.arange(length)
        source[:, begin:end] = np.take_along_axis(source, stretch, axis=1)


def _find_durations(times: np.ndarray, step: float) -> np.ndarray:
    """Returns the time that each profile stands for [s]: half of the way to its neighbours."""
    half = np.full(times.size + 1, step / 2)
    half[1:-1] = np.minimum(np.diff(times), GAP_STEPS * step) / 2
    return np.asarray(half[:-1] + half[1:])


def _find_open_gaps(times: np.ndarray, left: np.ndarray, step: float) -> np.ndarray:
    """Returns start and end [s] of what is missing still, the time outside included."""
    near = GAP_STEPS * step / 2  # a window that ends so near to a profile has no gap at its end
    gaps = [(-np.inf, times[0] - near)]
    jumps = np.flatnonzero(np.diff(times) > GAP_STEPS * step)
    gaps += [(times[at] + near, times[at + 1] - near) for at in jumps]
    gaps += [(times[b] - step / 2, times[e - 1] + step / 2) for b, e in _find_runs(left)]
    gaps += [(times[-1] + near, np.inf)]
    return np.asarray(sorted(gaps))
