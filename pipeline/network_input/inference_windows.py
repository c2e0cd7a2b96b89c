"""Windows cut from a curtain of any length, and their predictions blended back without a seam.

Windows overlap by half and are weighted by a raised cosine: near the edges of a window, where the
network lacks context, its neighbour counts more. A stretch of profiles without a gap is mirrored at
its ends, where windows reach beyond it.

Numbers of a distribution are blended. Ensemble members are not, since the mean of two fields is
smoother than either: each profile is taken from one window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from blindzone.core.errors import WindowError

PART_PROFILES = 1024
"""Profiles that are blended, and then summarized, at a time."""
LONGEST_GAP_PROFILES = 13
"""A longer gap parts a curtain along its track, in profiles of the network: two minutes of profiles
9 s apart on the ground."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window of a stretch of profiles.

    Attributes:
        start: Index of its first profile; negative if it begins before the stretch, in the mirror
            image.
        indices: Index of the profile in each of its columns, `(width,)`.
        weights: Weight of each column in the blend, `(width,)`, in (0, 1].
    """

    start: int
    indices: np.ndarray
    weights: np.ndarray


def find_stretches(time: np.ndarray, *, longest_gap_s: float) -> tuple[slice, ...]:
    """Returns the stretches of profiles without a gap longer than `longest_gap_s` [s].

    Args:
        time: Profile times `(time,)`, datetime64, increasing.
        longest_gap_s: Longest step in time [s] within a stretch.
    """
    return part_at_gaps(np.diff(time) / np.timedelta64(1, "s"), longest_gap_s)


def part_at_gaps(steps: np.ndarray, longest: float) -> tuple[slice, ...]:
    """Returns the stretches of profiles whose steps to the next one are none of them too long.

    Args:
        steps: From each profile to the next `(time - 1,)`, in any unit.
        longest: Longest step within a stretch, in the same unit.
    """
    breaks = np.flatnonzero(steps > longest) + 1
    bounds = [0, *breaks.tolist(), steps.size + 1]
    return tuple(slice(begin, end) for begin, end in pairwise(bounds))


def cut_windows(length: int, width: int) -> tuple[Window, ...]:
    """Returns windows that cover a stretch of `length` profiles, each profile twice.

    Raises:
        WindowError: If the stretch is empty or the width is odd or below 2.
    """
    if length < 1 or width < 2 or width % 2:
        raise WindowError(
            f"windows need a stretch of profiles and an even width; found {length} profiles and"
            f" width {width}"
        )
    step = width // 2
    columns = np.arange(width)
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * (columns + 0.5) / width)
    starts = range(-step, length, step)
    return tuple(
        Window(start=start, indices=_mirror(start + columns, length), weights=weights)
        for start in starts
    )


def _mirror(positions: np.ndarray, length: int) -> np.ndarray:
    """Returns positions folded back into 0 ... length - 1, the end profiles not doubled."""
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    folded = np.abs(positions) % period
    return np.asarray(np.where(folded < length, folded, period - folded))


def blend_windows(predictions: Iterator[tuple[Window, np.ndarray]], length: int) -> np.ndarray:
    """Returns the weighted mean of overlapping windows.

    Args:
        predictions: Each window with the prediction of its columns `(width, ...)`. They are taken
            one at a time, so that memory does not grow with their number.
        length: Number of profiles in the stretch.

    Returns:
        Array `(length, ...)`, float32.

    Raises:
        WindowError: If a profile is covered by no window.
    """
    total: np.ndarray | None = None
    weight = np.zeros(length)
    for window, prediction in predictions:
        if total is None:
            total = np.zeros((length, *prediction.shape[1:]), dtype=np.float64)
        position, inside = _find_profiles(window, length)
        kept = window.weights[inside]
        total[position] += prediction[inside] * _over(kept, prediction)
        weight[position] += kept
    if total is None:
        raise _uncovered(weight)
    return _weigh(total, weight)


def blend_in_order(
    predictions: Iterator[tuple[Window, np.ndarray]], length: int, least: int = PART_PROFILES
) -> Iterator[np.ndarray]:
    """Yields what `blend_windows` returns part by part, from the first profile to the last.

    Memory depends on neither the stretch nor the number of windows.

    Args:
        predictions: As for `blend_windows`, in order of their starts.
        length: Number of profiles in the stretch.
        least: Number of profiles in each part but the last, at least.

    Yields:
        Arrays `(profiles, ...)`, float32.

    Raises:
        WindowError: If a profile is covered by no window.
    """
    done = 0
    total: np.ndarray | None = None
    weight = np.zeros(0)
    for window, prediction in predictions:
        if total is None:
            size = min(least + window.weights.size, length)
            total = np.zeros((size, *prediction.shape[1:]), dtype=np.float64)
            weight = np.zeros(size)
        # Windows that are still to come begin no earlier: what is before them is whole.
        whole = max(window.start, 0) - done
        if whole >= least:
            yield _weigh(total[:whole], weight[:whole])
            done += whole
            for array in (total, weight):
                array[:-whole] = array[whole:].copy()
                array[-whole:] = 0
        position, inside = _find_profiles(window, length)
        kept = window.weights[inside]
        total[position - done] += prediction[inside] * _over(kept, prediction)
        weight[position - done] += kept
    if total is None:
        raise _uncovered(np.zeros(length))
    yield _weigh(total[: length - done], weight[: length - done])


def _weigh(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns a weighted mean `(profiles, ...)`, float32, from its sums."""
    if not np.all(weight > 0):
        raise _uncovered(weight)
    return np.asarray((total / _over(weight, total)).astype(np.float32))


def _over(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns weights of profiles `(profiles,)` as factors of values `(profiles, ...)`."""
    return weights.reshape(-1, *[1] * (values.ndim - 1))


def pick_windows(predictions: Iterator[tuple[Window, np.ndarray]], length: int) -> np.ndarray:
    """Returns each profile's prediction from the window in which its weight is largest.

    Of equal weights the first window counts.

    Args:
        predictions: As for `blend_windows`.
        length: Number of profiles in the stretch.

    Returns:
        Array `(length, ...)`, float32.

    Raises:
        WindowError: If a profile is covered by no window.
    """
    picked: np.ndarray | None = None
    weight = np.zeros(length)
    for window, prediction in predictions:
        if picked is None:
            picked = np.zeros((length, *prediction.shape[1:]), dtype=np.float32)
        position, inside = _find_profiles(window, length)
        kept = window.weights[inside]
        is_best = kept > weight[position]
        picked[position[is_best]] = prediction[inside][is_best]
        weight[position] = np.maximum(weight[position], kept)
    if picked is None or not np.all(weight > 0):
        raise _uncovered(weight)
    return picked


def _find_profiles(window: Window, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the profiles of the stretch in a window, and which of its columns hold them."""
    position = window.start + np.arange(window.weights.size)
    inside = (position >= 0) & (position < length)
    return position[inside], inside


def _uncovered(weight: np.ndarray) -> WindowError:
    return WindowError(
        f"{int(np.sum(weight <= 0))} of {weight.size} profiles are covered by no window"
    )
