"""Scores of kinds of columns: probabilities of ordered classes, of echo at the ground, and bases.

The ranked probability score of K classes is the mean squared difference of cumulative
probabilities, over K - 1 (Epstein 1969, J. Appl. Meteorol. 8, 985; Murphy 1971, J. Appl. Meteorol.
10, 155). Its opponent is the climatology given the visible part: how often each class is, by what
is seen above the blind zone. Reliability is that term of Murphy's decomposition of the Brier score
(1973, J. Appl. Meteorol. 12, 595), in ten bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from blindzone.pipeline.verification.statistics import Sums, ratio

BINS = 10
"""Bins of probability that reliability is counted in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReliabilitySums(Sums):
    """Sums of probabilities and outcomes `(bin,)`, or of several events `(event, bin)`."""

    count: np.ndarray
    probability: np.ndarray
    outcomes: np.ndarray
    squares: np.ndarray

    @property
    def reliability(self) -> np.ndarray:
        """Mean squared difference of probability and frequency over the bins, of each event."""
        counts = np.maximum(self.count, 1)
        apart = (self.probability - self.outcomes) / counts
        return self._average((self.count * apart**2).sum(axis=-1))

    @property
    def brier(self) -> np.ndarray:
        """Brier score of each event."""
        return self._average(self.squares.sum(axis=-1))

    @property
    def stated(self) -> np.ndarray:
        """Mean probability of each event."""
        return self._average(self.probability.sum(axis=-1))

    @property
    def happened(self) -> np.ndarray:
        """Share of the columns in which each event happened."""
        return self._average(self.outcomes.sum(axis=-1))

    def _average(self, sums: np.ndarray) -> np.ndarray:
        count = self.count.sum(axis=-1)
        return np.asarray(np.where(count > 0, sums / np.maximum(count, 1), np.nan))


def stack_reliability(events: Sequence[ReliabilitySums]) -> ReliabilitySums:
    """Returns the sums of events one by one as those of all, `(event, bin)`."""
    return ReliabilitySums(
        **{
            each.name: np.stack([getattr(event, each.name) for event in events])
            for each in fields(ReliabilitySums)
        }
    )


def sum_reliability(probability: np.ndarray, outcome: np.ndarray) -> ReliabilitySums:
    """Returns the sums of probabilities `(time,)` of what happened or not, bool `(time,)`."""
    at = np.minimum((probability * BINS).astype(int), BINS - 1)

    def add(weights: np.ndarray) -> np.ndarray:
        return np.bincount(at, weights, minlength=BINS)

    return ReliabilitySums(
        count=np.bincount(at, minlength=BINS),
        probability=add(probability),
        outcomes=add(outcome.astype(float)),
        squares=add((probability - outcome) ** 2),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassSums(Sums):
    """Sums over columns.

    Attributes:
        columns: Number of columns.
        ranked: Sum of the ranked probability score.
        other_ranked: That of the opponent.
        classes: Reliability of the probability of each class, `(class, bin)`.
        ground: That of echo at the ground.
        other_ground: Sum of the Brier score of the opponent at the ground.
        base_errors: Columns by absolute error of the base, in metres of whole rows `(row,)`.
        other_base_errors: The same of the opponent.
        row_m: Depth of a row [m], of each sum; their mean is meant.
        days: Number of sums.
    """

    columns: int
    ranked: np.ndarray
    other_ranked: np.ndarray
    classes: ReliabilitySums
    ground: ReliabilitySums
    other_ground: np.ndarray
    base_errors: np.ndarray
    other_base_errors: np.ndarray
    row_m: np.ndarray
    days: int

    def scores(self) -> dict[str, float]:
        """Returns all scores; NaN where there is nothing to score."""
        row_m = ratio(self.row_m, self.days)
        return {
            "columns": float(self.columns),
            "RPS": ratio(self.ranked, self.columns),
            "RPS, climatology given the visible part": ratio(self.other_ranked, self.columns),
            "Brier, to the ground": float(self.ground.brier),
            "Brier, persistence": ratio(self.other_ground, self.columns),
            "reliability, to the ground": float(self.ground.reliability),
            "base error, median [m]": _find_quantile(self.base_errors, 0.5) * row_m,
            "base error of persistence, median [m]": _find_quantile(self.other_base_errors, 0.5)
            * row_m,
            "base error, mean [m]": _find_mean(self.base_errors) * row_m,
            "base error of persistence, mean [m]": _find_mean(self.other_base_errors) * row_m,
            "base error, 90 % [m]": _find_quantile(self.base_errors, 0.9) * row_m,
            "base error of persistence, 90 % [m]": _find_quantile(self.other_base_errors, 0.9)
            * row_m,
        }


def _find_mean(counts: np.ndarray) -> float:
    return ratio((counts * np.arange(counts.size)).sum(), counts.sum())


def _find_quantile(counts: np.ndarray, level: float) -> float:
    if not counts.sum():
        return float("nan")
    return float(np.searchsorted(np.cumsum(counts), level * counts.sum()))


def score_ranked(probability: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Returns the ranked probability score of each column `(time,)`.

    Args:
        probability: Of each class, in order, `(time, class)`.
        kind: Number of the class that it was `(time,)`.
    """
    classes = probability.shape[1]
    below = np.cumsum(probability, axis=1)[:, :-1]
    was = np.arange(classes - 1) >= kind[:, None]
    return np.asarray(((below - was) ** 2).mean(axis=1))


def sum_classes(
    probability: np.ndarray,
    climatology: np.ndarray,
    kind: np.ndarray,
    *,
    ground: tuple[np.ndarray, np.ndarray, np.ndarray],
    bases: tuple[np.ndarray, np.ndarray, np.ndarray],
    row_m: float,
    rows: int,
) -> ClassSums:
    """Returns the sums of columns of a day.

    Args:
        probability: Of each class `(time, class)`.
        climatology: The same of the opponent.
        kind: Number of the class that it was `(time,)`.
        ground: Probability of echo at the ground, whether there was, and whether there is in the
            lowest visible row, each `(time,)`.
        bases: Predicted base [m], the true one, and that of the opponent, each `(time,)`, NaN
            where there is none. Columns with all three count.
        row_m: Depth of a row [m].
        rows: Number of rows.
    """
    every = np.eye(probability.shape[1])[kind]
    of_ground, was_ground, visible = ground
    predicted, true, other = bases
    counted = np.isfinite(predicted) & np.isfinite(true) & np.isfinite(other)

    def count_errors(found: np.ndarray) -> np.ndarray:
        apart = np.rint(np.abs(found - true)[counted] / row_m).astype(int)
        return np.bincount(apart, minlength=rows)[:rows]

    return ClassSums(
        columns=kind.size,
        ranked=np.asarray(score_ranked(probability, kind).sum()),
        other_ranked=np.asarray(score_ranked(climatology, kind).sum()),
        classes=stack_reliability(
            [sum_reliability(*pair) for pair in zip(probability.T, every.T, strict=True)]
        ),
        ground=sum_reliability(of_ground, was_ground),
        other_ground=np.asarray((visible != was_ground).sum(), dtype=float),
        base_errors=count_errors(predicted),
        other_base_errors=count_errors(other),
        row_m=np.asarray(row_m),
        days=1,
    )
