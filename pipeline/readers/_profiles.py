"""Profiles of a file that no curtain can hold: left out one by one and counted.

Every reader passes its file through `keep_sound` before it looks at values: a profile without a
time, off zenith, of infinite values or of a time that another has costs that profile. What stands
in the wrong order is put in order. A file that is mostly fault is refused: then the fault is the
file's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import with_doubt, with_dropped
from blindzone.pipeline.readers._numbers import is_missing

LARGEST_FAULTY_SHARE = 0.5
"""Of a file's profiles. Beyond it a fault is what the file mostly says: another time axis, angles
of another kind, a radar that scans. Then the few profiles that look sound are so by chance."""

_DAY = np.timedelta64(24, "h")
_AROUND_MIDNIGHT = np.timedelta64(1, "h")
"""Times of day that go on after midnight without a new date step back by a day, less what lies
between two profiles; and a file reaches no farther than this into the next day."""


@dataclass(frozen=True)
class Fault:
    """A fault that profiles of a file have.

    Attributes:
        reason: What they are, in a few words, as the ledger has it: 'off zenith'.
        has: Which profiles have it, `(time,)`.
        found: What was found and what would be right, for the message of a file that is refused.
    """

    reason: str
    has: np.ndarray
    found: str = ""


def is_mostly(mask: np.ndarray) -> bool:
    """Returns whether a fault `(time,)` is one of the file and not of single profiles."""
    return bool(np.count_nonzero(mask) > LARGEST_FAULTY_SHARE * mask.size)


def keep_sound(
    raw: xr.Dataset, time: np.ndarray, path: Path, *faults: Fault | None, dim: str = "time"
) -> tuple[xr.Dataset, np.ndarray]:
    """Returns a file's content and its times `(time,)`, of the sound profiles in order of time.

    Of profiles with one time, the first in the file is kept. A file without a fault stays as it is;
    else its attributes state what was left out, as findings.

    Args:
        raw: The file's content.
        time: `datetime64[ns]` [UTC] of every profile, NaT where it is not known.
        path: The file, for messages.
        faults: Faults that the reader found. A profile counts under the first that it has.
        dim: The dimension of profiles in the file.

    Raises:
        SourceFileError: If more than `LARGEST_FAULTY_SHARE` of the profiles have a fault.
    """
    found = [
        Fault("without a credible time", np.isnat(time)),
        *(fault for fault in faults if fault is not None),
        Fault("with infinite values", _find_infinite(raw, dim)),
    ]
    sound, dropped = np.ones(time.size, dtype=bool), list[tuple[Fault, np.ndarray]]()
    for fault in found:
        _drop(fault, sound, dropped)
    _drop(Fault("after midnight with the date before", _find_wrapped(time, sound)), sound, dropped)
    _drop(Fault("at the time of another", _find_repeated(time, sound)), sound, dropped)
    _check_mostly_sound(dropped, time.size, path)
    index = np.flatnonzero(sound)
    reordered = _count_late(time[index])
    if reordered:
        index = index[np.argsort(time[index], kind="stable")]
    attrs = dict(raw.attrs)
    for fault, mask in dropped:
        attrs = with_dropped(attrs, fault.reason, time[mask])
    if index.size < time.size or reordered:
        raw, time = raw.isel({dim: index}), time[index]
    if reordered:
        attrs = with_doubt(attrs, f"{reordered} profiles after later ones, put in order of time")
    return raw.assign_attrs(attrs), time


def _drop(fault: Fault, sound: np.ndarray, dropped: list[tuple[Fault, np.ndarray]]) -> None:
    """Takes the profiles with a fault out of the sound ones `(time,)`, and notes them."""
    new = sound & fault.has
    if new.any():
        dropped.append((fault, new))
        sound &= ~new


def _check_mostly_sound(dropped: list[tuple[Fault, np.ndarray]], size: int, path: Path) -> None:
    total = sum(np.count_nonzero(mask) for _, mask in dropped)
    if total <= LARGEST_FAULTY_SHARE * size:
        return
    reasons = ", ".join(
        f"{np.count_nonzero(mask)} {fault.reason}{fault.found and f': {fault.found}'}"
        for fault, mask in dropped
    )
    raise SourceFileError(
        f"{path}: {total} of {size} profiles cannot be used ({reasons}); at most"
        f" {LARGEST_FAULTY_SHARE:.0%} may be left out"
    )


def _find_infinite(raw: xr.Dataset, dim: str) -> np.ndarray:
    """Returns the profiles `(time,)` with a value in a gate that is infinite and no fill value."""
    infinite = np.zeros(raw.sizes[dim], dtype=bool)
    for variable in raw.data_vars.values():
        if variable.ndim > 1 and variable.dims[0] == dim and variable.dtype.kind == "f":
            wrong = np.isinf(variable.values)
            if wrong.any():
                wrong &= ~is_missing(variable)
                infinite |= wrong.any(axis=tuple(range(1, wrong.ndim)))
    return infinite


def _find_wrapped(time: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Returns the last profiles `(time,)` of a file whose date did not change at midnight."""
    index = np.flatnonzero(sound)
    wrapped = np.zeros(time.size, dtype=bool)
    back = np.flatnonzero(np.diff(time[index]) < _AROUND_MIDNIGHT - _DAY)
    if back.size != 1:
        return wrapped
    before, after = time[index[back[0]]], time[index[back[0] + 1 :]]
    if before - after.min() < _DAY and np.ptp(after) <= _AROUND_MIDNIGHT:
        wrapped[index[back[0] + 1 :]] = True
    return wrapped


def _find_repeated(time: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Returns the sound profiles `(time,)` whose time, to the microsecond, one before them has."""
    index = np.flatnonzero(sound)
    # The archive rounds to microseconds.
    rounded = (time[index] + np.timedelta64(500, "ns")).astype("datetime64[us]")
    _, first = np.unique(rounded, return_index=True)
    repeated = sound.copy()
    repeated[index[first]] = False
    return repeated


def _count_late(time: np.ndarray) -> int:
    """Returns how many times `(time,)` are before one that precedes them in the file."""
    return int(np.count_nonzero(time < np.maximum.accumulate(time))) if time.size else 0
