"""Bounds of scores by resampling whole days: what is measured within a day is not independent.

Days are drawn with replacement, as many as there are (Efron 1979, Ann. Stat. 7, 1), and the score
of their sums is taken each time. Two schemes are compared on the same draws. Bounds from few days
are too narrow: with n days by a factor near sqrt((n - 1) / n).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from blindzone.pipeline.verification.statistics import Sums

DRAWS = 1000
"""Number of draws: the bounds of 95 % are then known to within a tenth of the standard error."""
LEAST_DAYS = 4
"""Least number of days with bounds. One of n days is drawn n times over in a share n^-n of the
draws. With three this is 3.7 %, and the bounds were those of single days."""
_BOUNDS = (2.5, 97.5)
_LEAST_SHARE = 0.95
"""Least share of the draws that have a score: were they fewer, others might be its bounds."""

S = TypeVar("S", bound=Sums)
Scores = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score of some days.

    Attributes:
        value: The score of all days.
        low: Lower bound, 2.5 % of the draws are below it; NaN with fewer than `LEAST_DAYS` days,
            or if more than one draw in twenty lacks the score.
        high: Upper bound, likewise.
    """

    value: float
    low: float
    high: float

    @property
    def is_apart_from_zero(self) -> bool:
        """Whether the bounds exclude zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class DrawnScores:
    """Scores of days, and of each draw of these days.

    Attributes:
        days: Number of days.
        whole: Scores of all days.
        draws: Scores of the draws `(draw,)` by name; NaN where a draw lacks one.
    """

    days: int
    whole: Scores
    draws: Mapping[str, np.ndarray]

    def bound(self) -> dict[str, Estimate]:
        """Returns the scores with their 95 % bounds."""
        return {
            name: bound_value(value, self.draws[name], days=self.days)
            for name, value in self.whole.items()
        }

    def subtract(self, other: DrawnScores) -> DrawnScores:
        """Returns how much the scores differ from those of the same draws of another scheme."""
        return DrawnScores(
            days=self.days,
            whole={name: value - other.whole[name] for name, value in self.whole.items()},
            draws={name: drawn - other.draws[name] for name, drawn in self.draws.items()},
        )


def draw_scores(
    days: Sequence[S], score: Callable[[S], Scores], *, draws: int = DRAWS, seed: int = 0
) -> DrawnScores:
    """Returns the scores of days and of draws of them.

    Args:
        days: Sums of each day, at least one.
        score: Scores of sums.
        draws: Number of draws.
        seed: Their seed; draws of as many days with the same seed are the same.
    """
    arrays, kind = [day.to_arrays() for day in days], type(days[0])
    sums = draw_sums(arrays, draws=draws, seed=seed)
    drawn = [
        score(kind.from_arrays({name: of[at] for name, of in sums.items()})) for at in range(draws)
    ]
    whole = score(reduce(add, days))
    return DrawnScores(
        days=len(days),
        whole=whole,
        draws={name: np.asarray([scores[name] for scores in drawn]) for name in whole},
    )


def draw_sums(
    days: Sequence[Mapping[str, np.ndarray]], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns each sum over the days of a draw, `(draw, ...)`, by name.

    Args:
        days: Sums of each day by name, as `Sums.to_arrays` gives them.
        draws: Number of draws.
        seed: Their seed.
    """
    random = np.random.default_rng(seed)
    weights = random.multinomial(len(days), np.full(len(days), 1 / len(days)), draws)
    return {
        name: np.tensordot(weights, np.stack([day[name] for day in days]), axes=1)
        for name in days[0]
    }


def bound_value(value: float, drawn: np.ndarray, *, days: int) -> Estimate:
    """Returns a value with the 95 % bounds of its draws.

    Args:
        value: The value of all days.
        drawn: The value of each draw `(draw,)`, NaN where it lacks it.
        days: Number of days.
    """
    low = high = float("nan")
    if days >= LEAST_DAYS and np.isfinite(value):
        low, high = map(float, find_bounds(drawn))
    return Estimate(value=value, low=low, high=high)


def find_bounds(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 95 % bounds of draws `(draw, ...)`; NaN where one in twenty has no value."""
    is_known = np.isfinite(drawn)
    enough = is_known.mean(axis=0) >= _LEAST_SHARE
    # Zeros in place of too few: percentiles of nothing would warn.
    used = np.where(enough, np.where(is_known, drawn, np.nan), 0.0)
    low, high = np.nanpercentile(used, _BOUNDS, axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def bound_scores(
    days: Sequence[S], score: Callable[[S], Scores], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """Returns scores over days with their 95 % bounds.

    Args:
        days: Sums of each day, at least one.
        score: Scores of sums.
        draws: Number of draws.
        seed: Their seed.
    """
    return draw_scores(days, score, draws=draws, seed=seed).bound()
