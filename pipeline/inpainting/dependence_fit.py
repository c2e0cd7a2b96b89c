"""Fits a `MemberDependence` to the levels that measured values have in their distributions.

A value of a pixel has a level u there, its probability integral transform, drawn evenly within the
atom at the floor (`StoredDistribution.find_levels`). If the distributions are right, all levels are
uniform, and how they depend in time and height is what members must have too. At the floor a draw
hides most of that dependence, more the less likely echo is. So the fit is of moments that know it:
with f_p(x) the mean level of a pixel with echo probability p whose field is x,

    f_p(x) = Phi(x) above the atom, (1 - p) / 2 within,     f_p = sum over n of c_n(p) He_n(x),

two pixels whose fields correlate by r have E[(u - 1/2)(u' - 1/2)] = sum over n >= 1 of
c_n(p) c_n(p') r^n (Mehler's formula, He_n the orthonormal Hermite polynomials). Sums of measured
products and of c_n c_n' over pairs of pixels, by regime, lag and distance in height, are all that
is kept of a day: they add up. The shares of the scales and the length in height are those with the
least squares between measured and expected correlation of levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.member_dependence import (
    REGIMES,
    TIMES_S,
    MemberDependence,
    correlate,
)
from blindzone.pipeline.verification.curtain_scores import Regime
from blindzone.pipeline.verification.statistics import Sums

LAGS_S = (10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Lags in time [s] at which pairs are formed; 0 are pairs within a profile."""
MOST_ROWS = 12
"""Most rows between two pixels of a pair."""
HEIGHTS_M = (300.0, 400.0, 500.0, 600.0, 800.0, 1000.0, 1300.0)
"""Lengths in height [m] that are tried."""

_TERMS = 32
"""Terms of the series: at a correlation of 0.95 the next has a fifth of the first's weight, and
coefficients fall as 1 / n."""
_THRESHOLDS = np.linspace(-4.5, 4.5, 181)
"""Fields above which there is echo, for which the coefficients are tabulated."""
_UNIFORM_VARIANCE = 1 / 12
_DECIMALS = 4
"""Of the shares: finer than any of them is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DependenceSums(Sums):
    """Sums over pairs of pixels, by regime, lag and rows between them.

    Attributes:
        pairs: Number of pairs `(regime, lag, rows between)`.
        seconds: Summed time between them [s], of the same shape.
        product: Summed product of (level - 1/2), of the same shape.
        terms: Summed product of coefficients `(regime, lag, rows between, term)`.
    """

    pairs: np.ndarray
    seconds: np.ndarray
    product: np.ndarray
    terms: np.ndarray


def sum_pairs(
    levels: np.ndarray,
    probability: np.ndarray,
    scored: np.ndarray,
    *,
    seconds: np.ndarray,
    regimes: np.ndarray,
) -> DependenceSums:
    """Returns the sums of a curtain.

    Args:
        levels: Level of each measured value in its distribution `(time, row)`.
        probability: Probability of echo `(time, row)`.
        scored: Pixels whose truth counts, bool `(time, row)`.
        seconds: Times of the profiles [s] `(time,)`.
        regimes: `Regime` of each profile `(time,)`.
    """
    shape = (len(REGIMES), len(LAGS_S) + 1, MOST_ROWS + 1)
    pairs, total, product = (np.zeros(shape) for _ in range(3))
    terms = np.zeros((*shape, _TERMS))
    centred = np.where(scored, levels - 0.5, 0).astype(np.float32)
    at = np.rint((-ndtri(np.clip(probability, 1e-7, 1 - 1e-7)) + 4.5) / np.diff(_THRESHOLDS)[0])
    kernel = _tabulate_terms()[:, np.clip(at, 0, _THRESHOLDS.size - 1).astype(np.intp)] * scored
    for number, first, second in _find_partners(seconds):
        for regime in REGIMES:
            same = (regimes[first] == regime) & (regimes[second] == regime)
            a, b = first[same], second[same]
            total[regime, number] = (seconds[b] - seconds[a]).mean() if a.size else 0.0
            # (row, row) sums over time: all distances in height at once
            pairs[regime, number] = _add_diagonals(scored[a].T.astype(float) @ scored[b])
            product[regime, number] = _add_diagonals(centred[a].T @ centred[b])
            for term, of_term in enumerate(kernel):
                terms[regime, number, :, term] = _add_diagonals(of_term[a].T @ of_term[b])
    pairs[:, 0, 0] = 0  # a pixel with itself
    return DependenceSums(pairs=pairs, seconds=total * pairs, product=product, terms=terms)


def _find_partners(seconds: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields the number of each lag and the profiles that are so far apart, first and second."""
    everyone = np.arange(seconds.size)
    yield 0, everyone, everyone
    spacing = float(np.median(np.diff(seconds))) if seconds.size > 1 else np.inf
    done = set()
    for number, lag in enumerate(LAGS_S, start=1):
        second = np.searchsorted(seconds, seconds + lag - spacing / 2)
        first = np.flatnonzero(second < seconds.size)
        second = second[first]
        near = np.abs(seconds[second] - seconds[first] - lag) <= max(spacing, 0.1 * lag) / 2
        near &= second > first
        # Profiles further apart than the lag have that of their neighbours only once.
        mean = round(float((second - first)[near].mean()), 1) if near.any() else 0.0
        if near.any() and mean not in done:
            done.add(mean)
            yield number, first[near], second[near]


def _add_diagonals(table: np.ndarray) -> np.ndarray:
    """Returns the sums `(rows between,)` of a table `(row, row)`, above its diagonal and below."""
    rows = min(MOST_ROWS, len(table) - 1)
    sums = np.zeros(MOST_ROWS + 1)
    sums[0] = np.trace(table)
    for between in range(1, rows + 1):
        sums[between] = np.trace(table, between) + np.trace(table, -between)
    return sums


@lru_cache(maxsize=1)
def _tabulate_terms() -> np.ndarray:
    """Returns the coefficients c_n, n = 1 ..., at `_THRESHOLDS`, float32 `(term, threshold)`."""
    x, step = np.linspace(-8, 8, 8001, retstep=True)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    basis = [np.ones_like(x), x]
    for n in range(1, _TERMS):
        basis.append((x * basis[n] - np.sqrt(n) * basis[n - 1]) / np.sqrt(n + 1))
    above = x > _THRESHOLDS[:, None]
    mean_level = np.where(above, ndtr(x), ndtr(_THRESHOLDS[:, None]) / 2)
    return np.asarray(step * (np.array(basis[1:]) * density) @ mean_level.T, dtype=np.float32)


def count_touching_days(sums: Iterable[DependenceSums]) -> int:
    """Returns how many days have pairs below echo at the top of the blind zone."""
    return sum(bool(day.pairs[Regime.TOUCHING].any()) for day in sums)


def fit_dependence(sums: Iterable[DependenceSums], row_depth_m: float) -> MemberDependence:
    """Returns the dependence that fits the sums of days.

    A regime that the days do not have gets the shares of the next one towards clear sky, or else
    from it.

    Args:
        sums: Those of each day.
        row_depth_m: Depth of a row [m].

    Raises:
        CurtainError: If there is no pair of pixels at all.
    """
    days = list(sums)
    if not days or not any(day.pairs.any() for day in days):
        raise CurtainError(
            "dependence of members: no two pixels with trusted truth; days with echo are right"
        )
    whole = days[0]
    for day in days[1:]:
        whole = whole + day
    best = min(
        (_fit_shares(whole, row_depth_m, height_m) for height_m in HEIGHTS_M),
        key=lambda fitted: fitted[0],
    )
    return best[1]


def _fit_shares(
    sums: DependenceSums, row_depth_m: float, height_m: float
) -> tuple[float, MemberDependence]:
    """Returns the squared misfit and the dependence with a length in height."""
    misfit, shares = 0.0, {}
    for regime in REGIMES:
        cell = np.nonzero(sums.pairs[regime])
        if cell[0].size:
            pairs = sums.pairs[regime][cell]
            lag = sums.seconds[regime][cell] / pairs
            apart = correlate(cell[1] * row_depth_m / height_m)
            model = apart[:, None] * correlate(lag[:, None] / np.asarray(TIMES_S))
            measured = sums.product[regime][cell] / pairs / _UNIFORM_VARIANCE
            terms = sums.terms[regime][cell] / pairs[:, None] / _UNIFORM_VARIANCE
            found, shares[regime] = _minimize(model, terms, measured)
            misfit += found
    known = list(shares)
    chosen = {
        regime: shares[min(known, key=lambda other: (abs(other - regime), -other))]
        for regime in REGIMES
    }
    fitted = {regime.name.lower(): chosen[regime] for regime in REGIMES}
    return misfit, MemberDependence(**fitted, height_m=height_m)


def _minimize(
    model: np.ndarray, terms: np.ndarray, measured: np.ndarray
) -> tuple[float, tuple[float, ...]]:
    """Returns the squared misfit of correlations and the shares with the least, `(scale,)`.

    Args:
        model: Correlation of each scale `(pair, scale)`.
        terms: Coefficients of the powers of the correlation `(pair, term)`.
        measured: Correlation of levels `(pair,)`.
    """
    power = np.arange(1, terms.shape[1] + 1)

    def misfit(parts: np.ndarray) -> tuple[float, np.ndarray]:
        shares, total = parts / parts.sum(), parts.sum()
        r = (model @ shares)[:, None]
        error = (terms * r**power).sum(axis=1) - measured
        slope = 2 * error * (terms * power * r ** (power - 1)).sum(axis=1)
        gradient = slope @ model
        return float((error**2).sum()), (gradient - gradient @ shares) / total

    found = minimize(
        misfit,
        np.ones(model.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1e-6, None)] * model.shape[1],
        options={"maxiter": 2000, "ftol": 1e-12},
    )
    shares = np.round(found.x / found.x.sum(), _DECIMALS)
    return float(found.fun), tuple(shares.tolist())
