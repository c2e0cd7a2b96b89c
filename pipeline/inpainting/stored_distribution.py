"""The predictive distribution of each pixel as a product stores it, to be read at any level.

A product has the probability p of echo and two sets of quantiles at the same few levels: of the
whole distribution Q(u), an atom of 1 - p at the sensitivity floor and echo above, and of echo alone
G(v). Their parts are calibrated apart and differ a little (`docs/coverage.md`). The quantile
function here is exactly Q at the stored levels. In between, and beyond them, it has the shape of G:

    z(u) = floor                    u <= 1 - p
    z(u) = G(v(u)) + d(u)           u >  1 - p,   v(u) = (u - (1 - p)) / p,

with d(u_k) = Q(u_k) - G(v(u_k)) at the stored levels u_k above the atom, linear between them and
constant beyond. It stays between the stored quantiles on either side. Where p is so small that
every stored quantile is at the floor, d is 0: echo is as strong as G says. G is interpolated, and
continued beyond its outermost levels, linearly in normal scores of v.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blindzone.core.two_part_distribution import even_levels, weakest_echo

_INVERSE_LEVELS = 200
"""Levels within the echo part between which a measured value is placed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredDistribution:
    """The predictive distribution of pixels, from a product.

    Attributes:
        probability: Probability of echo `(pixel,)`.
        quantiles: Quantiles of max(reflectivity, floor) [dBZ] `(level, pixel)`.
        given_echo: Quantiles given echo [dBZ] `(level, pixel)`.
        levels: Levels of both, increasing, inside (0, 1), `(level,)`.
        floor_dbz: Sensitivity floor [dBZ].
    """

    probability: np.ndarray
    quantiles: np.ndarray
    given_echo: np.ndarray
    levels: np.ndarray
    floor_dbz: float

    def read(self, pixel: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Returns quantiles [dBZ] of pixels, float32 `(n,)`.

        Args:
            pixel: Indices of the pixels `(n,)`.
            level: The level of each, inside (0, 1), `(n,)`.
        """
        values = np.full(level.shape, np.float32(self.floor_dbz))
        with_echo = level > 1 - self.probability[pixel].astype(np.float64)
        values[with_echo] = self._read_echo(pixel[with_echo], level[with_echo])
        return values

    def read_field(self, levels: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Returns a field [dBZ], float32 `(time, row)`, NaN where nothing is filled.

        Args:
            levels: Level of each pixel `(time, row)`; the pixels here are its, row by row.
            filled: Which pixels are filled, bool `(time, row)`.
        """
        field = np.full(filled.shape, np.float32(np.nan))
        pixel = np.flatnonzero(filled)
        field[filled] = self.read(pixel, levels.ravel()[pixel].astype(np.float64))
        return field

    def find_levels(
        self, pixel: np.ndarray, values: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Returns the levels at which pixels have values, `(n,)`: their probability integral.

        Within the atom at the floor, and within a step of the quantile function, they are drawn
        evenly.

        Args:
            pixel: Indices of the pixels `(n,)`.
            values: Their max(reflectivity, floor) [dBZ] `(n,)`.
            random: Draws within the atom.
        """
        drawn = random.random(values.shape)
        probability = self.probability[pixel].astype(np.float64)
        levels = drawn * (1 - probability)
        echo = np.flatnonzero(values > np.float32(self.floor_dbz))
        p, of_echo = probability[echo], pixel[echo]
        below = np.zeros(echo.size)
        for inner in even_levels(_INVERSE_LEVELS):
            below += self._read_echo(of_echo, 1 - p + p * inner) < values[echo]
        inner = np.clip((below - 0.5 + drawn[echo]) / _INVERSE_LEVELS, 0.0, 1.0)
        levels[echo] = 1 - p + p * inner
        return np.asarray(levels)

    def _read_echo(self, pixel: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Returns quantiles [dBZ] above the atom `(n,)`."""
        p = self.probability[pixel].astype(np.float64)
        shape = self._read_given_echo(pixel, _inner_level(level, p))
        last = self.levels.size - 1
        above = np.searchsorted(self.levels, level)  # the first stored level not below
        low, high = np.maximum(above - 1, 0), np.minimum(above, last)
        width = np.where(high > low, self.levels[high] - self.levels[low], 1.0)
        share = np.clip((level - self.levels[low]) / width, 0.0, 1.0)
        offset = (1 - share) * self._offsets[low, pixel] + share * self._offsets[high, pixel]
        weakest = weakest_echo(self.floor_dbz)
        least = np.where(above > 0, self.quantiles[low, pixel], weakest)
        most = np.where(above <= last, self.quantiles[high, pixel], np.inf)
        bounded = np.clip(shape + offset, least, np.maximum(most, least))
        return np.asarray(np.maximum(bounded, weakest), dtype=np.float32)

    def _read_given_echo(self, pixel: np.ndarray, inner: np.ndarray) -> np.ndarray:
        """Returns quantiles [dBZ] of echo alone `(n,)` at levels in (0, 1)."""
        # Late: each product is checked, and SciPy takes a quarter of a command's start.
        from scipy.special import ndtri

        scores = ndtri(self.levels)
        score = ndtri(np.clip(inner, 1e-6, 1 - 1e-6))
        low = np.clip(np.searchsorted(scores, score) - 1, 0, scores.size - 2)
        share = (score - scores[low]) / (scores[low + 1] - scores[low])
        below, above = self.given_echo[low, pixel], self.given_echo[low + 1, pixel]
        return np.asarray(below + share * (above - below))

    @cached_property
    def _offsets(self) -> np.ndarray:
        """How far the whole distribution differs from echo alone [dB], float32 `(level, pixel)`.

        A level within the atom has the offset of the first above it.
        """
        pixel = np.arange(self.probability.size)
        p = self.probability.astype(np.float64)
        offsets = np.zeros(self.quantiles.shape, dtype=np.float32)
        later = np.zeros(p.shape, dtype=np.float32)
        for number in range(self.levels.size - 1, -1, -1):
            quantile = self.quantiles[number]
            inner = _inner_level(np.full(p.shape, self.levels[number]), p)
            is_echo = quantile > np.float32(self.floor_dbz)
            offset = quantile - self._read_given_echo(pixel, inner)
            later = np.where(is_echo, offset, later).astype(np.float32)
            offsets[number] = later
        return offsets


def _inner_level(level: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Returns the level within the echo part of levels above the atom."""
    return np.asarray((level - (1 - probability)) / np.maximum(probability, 1e-9))
