"""Holes of any shape: their kind by their shape, a first guess of them, and how wide they are.

A hole is a hidden pixel `(time, row)`. Its kind follows from the run of hidden rows that it is in,
and from what surrounds that run:

| kind | run of hidden rows | beyond the run |
|---|---|---|
| `OUTAGE` | the whole profile | |
| `BLIND_ZONE` | from the ground up | |
| `INTERFERENCE` | at most `THIN_ROWS` | long in time: `LEAST_LINE_PROFILES`, thrice its height |
| `ATTENUATED` | up to the top | heavy echo below most of it |
| `NO_DATA` | any other | |

So each pixel has one kind, also where holes cross.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.curtains.hidden import HiddenKind

THIN_ROWS = 3
"""Rows that a line of interference covers at most."""
LEAST_LINE_PROFILES = 8
"""Profiles that it covers at least; a shorter one is a speck."""
_LINE_ASPECT = 3
"""How many times as many profiles as rows a line covers: one that slants is still long."""
HEAVY_DBZ = 10.0
"""Echo that rain attenuates above at W band [dBZ]: some millimetres an hour."""
PROFILES_PER_ROW = 3.0
"""How many profiles a row of distance counts. On the eight training days of Palaiseau up to 17
February the guess of irregular holes has an error of .511, .411, .402, .403 and .408 dB with 1, 2,
3, 4 and 6, that of shadows 1.86, 1.31, 1.23, 1.22 and 1.22 dB."""
_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class _Runs:
    """Runs of hidden pixels along the second axis, each `(line, place)`.

    Attributes:
        before: Place of the last visible pixel up to here; -1 if there is none.
        after: Place of the next visible pixel from here on; the number of places if there is none.
    """

    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, hidden: np.ndarray) -> _Runs:
        """Returns the runs of a mask `(line, place)`."""
        count = hidden.shape[1]
        places = np.arange(count)
        before = np.maximum.accumulate(np.where(hidden, -1, places), axis=1)
        after = np.minimum.accumulate(np.where(hidden, count, places)[:, ::-1], axis=1)[:, ::-1]
        return cls(before, after)


def classify_holes(hidden: np.ndarray, heavy: np.ndarray | None = None) -> np.ndarray:
    """Returns the `HiddenKind` of each pixel by the shape of its hole, int8 `(time, row)`.

    Args:
        hidden: The mask `(time, row)`.
        heavy: Which profiles have heavy visible echo `(time,)`, as `find_heavy` finds them; None if
            that is not known: all may have.
    """
    kinds = np.where(hidden, np.int8(HiddenKind.NO_DATA), np.int8(HiddenKind.VISIBLE))
    if not hidden.any():
        return kinds
    rows = hidden.shape[1]
    runs = _Runs.of(hidden)
    length = runs.after - runs.before - 1
    from_ground, to_top = hidden & (runs.before < 0), hidden & (runs.after == rows)
    thin = hidden & (length <= THIN_ROWS) & ~from_ground
    kinds[_find_lines(thin)] = HiddenKind.INTERFERENCE
    kinds[_find_shadows(to_top & ~from_ground & ~thin, heavy)] = HiddenKind.ATTENUATED
    kinds[from_ground] = HiddenKind.BLIND_ZONE
    kinds[from_ground & to_top] = HiddenKind.OUTAGE
    return kinds


def _find_lines(thin: np.ndarray) -> np.ndarray:
    """Returns which of some thin runs are lines: long in time."""
    from scipy import ndimage  # late: what fills nothing needs none of it

    labels, _ = ndimage.label(thin, _NEIGHBOURS)
    sizes = [
        (part[0].stop - part[0].start, part[1].stop - part[1].start) for part in _boxes(labels)
    ]
    is_line = [
        profiles >= LEAST_LINE_PROFILES and profiles >= _LINE_ASPECT * rows
        for profiles, rows in sizes
    ]
    return np.asarray(np.array([False, *is_line])[labels])


def _find_shadows(upper: np.ndarray, heavy: np.ndarray | None) -> np.ndarray:
    """Returns which parts of the mask that reach the top are above heavy echo, mostly."""
    from scipy import ndimage  # late: what fills nothing needs none of it

    if heavy is None:
        return upper
    labels, count = ndimage.label(upper, _NEIGHBOURS)
    share = ndimage.mean(
        np.broadcast_to(heavy[:, None], upper.shape).astype(np.float32), labels, range(1, count + 1)
    )
    return np.asarray(np.array([False, *(np.asarray(share) >= 0.5)])[labels])


def _boxes(labels: np.ndarray) -> Sequence[tuple[slice, slice]]:
    from scipy import ndimage  # late: what fills nothing needs none of it

    found: Sequence[tuple[slice, slice]] = ndimage.find_objects(labels)
    return found


def find_heavy(
    reflectivity: np.ndarray, hidden: np.ndarray, heavy: float = HEAVY_DBZ
) -> np.ndarray:
    """Returns which profiles have heavy visible echo, bool `(time,)`.

    Args:
        reflectivity: `(time, row)`; NaN is none.
        hidden: The mask `(time, row)`.
        heavy: The least echo that counts, in the units of the reflectivity.
    """
    return np.asarray(((reflectivity >= heavy) & ~hidden).any(axis=1))


def measure_distance(hidden: np.ndarray) -> np.ndarray:
    """Returns how far each hidden pixel is from the nearest visible one, float32 `(time, row)`.

    It is counted in profiles, a row as `PROFILES_PER_ROW`.

    Args:
        hidden: The mask; visible pixels are 0 away, and without any all are infinitely far.
    """
    from scipy import ndimage  # late: what fills nothing needs none of it

    if hidden.all():
        return np.full(hidden.shape, np.inf, dtype=np.float32)
    if not hidden.any():
        return np.zeros(hidden.shape, dtype=np.float32)
    away = ndimage.distance_transform_edt(hidden, sampling=(1.0, PROFILES_PER_ROW))
    return np.asarray(away, dtype=np.float32)


def guess_hidden(
    values: np.ndarray,
    hidden: np.ndarray,
    *,
    absent: float,
    least_echo: float,
    profiles_per_row: float = PROFILES_PER_ROW,
) -> np.ndarray:
    """Returns values `(time, row)` with a first guess in the hidden pixels.

    It lies between the two visible pixels on either side, in the same row or in the same profile,
    whichever is nearer. Of the two the nearer one says whether there is echo. Where both have echo,
    it goes straight from one to the other; where one side has no visible pixel, it is the other.
    So an outage is filled in time, a line across its rows, the blind zone with the pixel above, and
    the depth of a shadow in time. A pixel with no visible one in its row or profile is filled from
    guesses. Of a curtain that is all hole, every pixel is absent. No value of a hidden pixel
    matters, NaN included.

    Args:
        values: Reflectivity or any other field, linear in dB or in its own unit.
        hidden: The mask `(time, row)`.
        absent: Value where there is nothing to guess from.
        least_echo: Values that exceed it are echo.
        profiles_per_row: How many profiles a row of distance counts.
    """
    if not hidden.any():
        return values
    guess = np.where(hidden, values.dtype.type(absent), values)
    left = hidden
    while left.any() and not left.all():
        found = _guess_once(guess, left, least_echo, profiles_per_row)
        if not found.any():
            break
        left = left & ~found
    return guess


def _guess_once(
    guess: np.ndarray, hidden: np.ndarray, least_echo: float, profiles_per_row: float
) -> np.ndarray:
    """Puts a guess into the hidden pixels that have a visible one in their row or profile.

    Args:
        guess: `(time, row)`, changed.
        hidden: Which pixels say nothing.
        least_echo: Values that exceed it are echo.
        profiles_per_row: How many profiles a row of distance counts.

    Returns:
        Which pixels had any, bool `(time, row)`.
    """
    at = np.nonzero(hidden)
    in_time, away = _guess_along(guess.T, hidden.T, at[::-1], least_echo)
    in_height, away_rows = _guess_along(guess, hidden, at, least_echo)
    found = np.where(away <= profiles_per_row * away_rows, in_time, in_height)
    has_any = np.isfinite(np.minimum(away, away_rows))
    place = tuple(index[has_any] for index in at)
    guess[place] = found[has_any]
    had = np.zeros_like(hidden)
    had[place] = True
    return had


def _guess_along(
    values: np.ndarray, hidden: np.ndarray, at: tuple[np.ndarray, ...], least_echo: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the guess along the second axis, and how far the nearest visible pixel is `(pixel,)`.

    Args:
        values: `(line, place)`.
        hidden: Which of them say nothing.
        at: Lines and places of the pixels.
        least_echo: Values that exceed it are echo.
    """
    runs, (line, place) = _Runs.of(hidden), at
    before, after, last = runs.before[line, place], runs.after[line, place], hidden.shape[1] - 1
    away_before = np.where(before < 0, np.inf, place - before)
    away_after = np.where(after > last, np.inf, after - place)
    of_before, of_after = values[line, np.maximum(before, 0)], values[line, np.minimum(after, last)]
    found = np.where(away_before <= away_after, of_before, of_after)
    nearest, furthest = np.minimum(away_before, away_after), np.maximum(away_before, away_after)
    both = np.isfinite(furthest) & (of_before > least_echo) & (of_after > least_echo)
    share = away_before[both] / (away_before[both] + away_after[both])
    found[both] = of_before[both] + share * (of_after - of_before)[both]
    return found, nearest
