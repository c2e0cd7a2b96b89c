"""Missing profiles of a curtain: gaps in time become profiles without data, which can be filled."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import STATUS_OF, DetectionStatus


def insert_missing(curtain: xr.Dataset, longest: int) -> xr.Dataset:
    """Returns a curtain `(time, height)` with profiles without data where some are missing.

    Profiles are missing where a step in time is longer than one and a half of the median step. They
    are inserted evenly. A gap of more than `longest` stays a gap, and so does everything along a
    track, where profiles have a place each.

    Args:
        curtain: The curtain.
        longest: Profiles of the longest gap that is closed.
    """
    times = curtain["time"].values
    if times.size < 2 or "along_track_distance" in curtain.coords:
        return curtain
    inserted = _list_missing(times, longest)
    if not inserted.size:
        return curtain
    whole = curtain.reindex(time=np.sort(np.concatenate([times, inserted])))
    for name in {*STATUS_OF.values()} & set(map(str, curtain.data_vars)):
        empty = whole[name].isnull()
        filled = whole[name].where(~empty, int(DetectionStatus.NO_DATA))
        whole[name] = filled.astype(curtain[name].dtype).assign_attrs(curtain[name].attrs)
    if "quality_flags" in curtain:
        flags = whole["quality_flags"].fillna(0).astype(curtain["quality_flags"].dtype)
        whole["quality_flags"] = flags.assign_attrs(curtain["quality_flags"].attrs)
    return whole


def _list_missing(times: np.ndarray, longest: int) -> np.ndarray:
    """Returns the times of missing profiles, in order."""
    steps = np.diff(times)
    missing = np.rint(steps / np.median(steps)).astype(np.int64) - 1
    gaps = np.flatnonzero((missing > 0) & (missing <= longest))
    return np.concatenate(
        [
            times[at] + (np.arange(1, missing[at] + 1) * (steps[at] / (missing[at] + 1)))
            for at in gaps
        ]
        or [times[:0]]
    ).astype(times.dtype)
