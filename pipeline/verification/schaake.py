"""The Schaake shuffle: the same margins, in the order of measured fields of analogous weather.

For each window of a day the K training windows with the most similar visible part are taken, and
in each pixel the K levels (k - 1/2) / K go to them by the rank of their measured values there
(Clark et al. 2004, J. Hydrometeorol. 5, 243). It is the opponent of members drawn from a model: its
dependence is that of real fields, for as long as a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blindzone.core.two_part_distribution import even_levels

WINDOW_PROFILES = 128
"""Profiles of a window: 19 minutes of 9 s profiles, as of power spectra."""

_PARTS = (8, 4)
"""Parts of a window in time and of its visible rows, whose means are compared."""


class SchaakeShuffle:
    """Measured windows of training days, with what was visible above them."""

    def __init__(self) -> None:
        self._features: list[np.ndarray] = []
        self._fields: list[np.ndarray] = []

    def fit(self, visible: np.ndarray, hidden: np.ndarray) -> None:
        """Takes the windows of a day, each half a window later than the one before.

        Args:
            visible: max(dBZ, floor) above the blind zone `(time, visible row)`, no NaN.
            hidden: The same of the scored rows `(time, row)`.
        """
        for start in range(0, len(hidden) - WINDOW_PROFILES + 1, WINDOW_PROFILES // 2):
            window = slice(start, start + WINDOW_PROFILES)
            self._features.append(_describe(visible[window]))
            self._fields.append(hidden[window].astype(np.float32))

    def draw_levels(self, visible: np.ndarray, count: int, rows: int) -> np.ndarray:
        """Returns levels of members `(member, time, row)`.

        Args:
            visible: As for `fit`.
            count: Number of members.
            rows: Number of scored rows.
        """
        levels = np.full((count, len(visible), rows), 0.5)
        features = np.stack(self._features)
        for window in cut_windows(len(visible)):
            distance = ((features - _describe(visible[window])) ** 2).sum(axis=1)
            nearest = np.argsort(distance, kind="stable")[:count]
            fields = np.stack([self._fields[number] for number in nearest])
            length = window.stop - window.start
            levels[:, window] = _rank(fields[:, :length])
        return levels


def cut_windows(profiles: int) -> Sequence[slice]:
    """Returns the windows of a day; the last may be shorter."""
    return [
        slice(start, min(start + WINDOW_PROFILES, profiles))
        for start in range(0, profiles, WINDOW_PROFILES)
    ]


def _describe(visible: np.ndarray) -> np.ndarray:
    """Returns what is compared of a window's visible part: means of its parts [dBZ]."""
    rows = np.array_split(visible, _PARTS[1], axis=1)
    # The rows next to the blind zone are the nearest: the lowest part is split once more.
    parts = [*np.array_split(rows[0], 2, axis=1), *rows[1:]]
    means = [
        part.mean() if part.size else 0.0
        for of_rows in parts
        for part in np.array_split(of_rows, _PARTS[0], axis=0)
    ]
    return np.array(means, dtype=np.float32)


def _rank(fields: np.ndarray) -> np.ndarray:
    """Returns the level of each field by its rank in each pixel, of the shape of the fields.

    Equal values, such as those without echo, rank by how much echo a field has in all.
    """
    order = np.argsort(fields.mean(axis=(1, 2)), kind="stable")
    ranks = np.empty(fields.shape, dtype=np.intp)
    ranks[order] = np.argsort(
        np.argsort(fields[order], axis=0, kind="stable"), axis=0, kind="stable"
    )
    return np.asarray(even_levels(len(fields))[ranks])
