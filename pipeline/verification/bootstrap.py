"""Bounds of scores by resampling whole days: what is measured within a day is not independent.

Days are drawn with replacement, as many as there are (Efron 1979, Ann. Stat. 7, 1), and the score
of their sums is taken each time. Two schemes are compared on the same draws.
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
_BOUNDS = (2.5, 97.5)

S = TypeVar("S", bound=Sums)
Scores = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score of some days.

    Attributes:
        value: The score of all days.
        low: Lower bound, 2.5 % of the draws are below it; NaN without a draw that has the score.
        high: Upper bound, likewise.
    """

    value: float
    low: float
    high: float

    @property
    def is_apart_from_zero(self) -> bool:
        """Whether the bounds exclude zero."""
        return self.low > 0 or self.high < 0


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
    drawn = [score(sums) for sums in _draw(days, draws, seed)]
    return _bound(score(reduce(add, days)), drawn)


def bound_differences(
    days: Sequence[S],
    others: Sequence[S],
    score: Callable[[S], Scores],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Returns how much scores differ from those of another scheme on the same days.

    Args:
        days: Sums of each day.
        others: Those of the other scheme, of the same days in the same order.
        score: Scores of sums.
        draws: Number of draws.
        seed: Their seed.
    """
    pairs = zip(_draw(days, draws, seed), _draw(others, draws, seed), strict=True)
    drawn = [_subtract(score(one), score(other)) for one, other in pairs]
    whole = _subtract(score(reduce(add, days)), score(reduce(add, others)))
    return _bound(whole, drawn)


def _subtract(one: Scores, other: Scores) -> Scores:
    return {name: one[name] - other[name] for name in one}


def _draw(days: Sequence[S], draws: int, seed: int) -> list[S]:
    """Returns the sums of days that are drawn with replacement."""
    parts = [one.to_arrays() for one in days]
    random = np.random.default_rng(seed)
    weights = random.multinomial(len(days), np.full(len(days), 1 / len(days)), draws)
    sums = {
        name: np.tensordot(weights, np.stack([part[name] for part in parts]), axes=1)
        for name in parts[0]
    }
    kind = type(days[0])
    return [kind.from_arrays({name: of[at] for name, of in sums.items()}) for at in range(draws)]


def _bound(whole: Scores, drawn: Sequence[Scores]) -> dict[str, Estimate]:
    out = {}
    for name, value in whole.items():
        values = np.asarray([scores[name] for scores in drawn])
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, _BOUNDS) if known.size else (np.nan, np.nan)
        out[name] = Estimate(value=value, low=float(low), high=float(high))
    return out
