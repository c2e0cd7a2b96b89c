"""The distribution that all forward passes of a window give together, and how well it is known.

The probability of echo is the mean over the passes. Given echo, reflectivity follows a mixture over
the passes. Of the two-part head it is a mixture of Laplace distributions: both the spread between
networks (dropout) and the spread that each expects (scale) enter (Kendall and Gal 2017, arXiv
1703.04977). Of the single head it is the values above the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.core.network_units import LOG_SCALE_LIMITS
from blindzone.core.two_part_distribution import (
    even_levels,
    laplace_quantile,
    quantile,
    read_ordered,
)

LEVELS = 5
"""Levels at which each Laplace distribution enters the mixture; odd, so that one is in the middle
of its part."""


@dataclass(frozen=True, kw_only=True)
class SinglePass:
    """The distribution that a single pass expects: that of its heads.

    Attributes:
        probability: Probability of echo, `(hidden row, time)`.
        location: Median of reflectivity given echo [network units], of the same shape.
        scale: Its mean absolute deviation [network units], of the same shape.
    """

    probability: np.ndarray
    location: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TwoPartHeads:
    """Both heads of all forward passes of a window.

    Attributes:
        probability: Probability of echo, `(pass, hidden row, time)`.
        location: Median of reflectivity given echo [network units], of the same shape.
        scale: Its mean absolute deviation [network units], of the same shape.
    """

    probability: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    @classmethod
    def of_network(cls, occurrence: np.ndarray, intensity: np.ndarray) -> TwoPartHeads:
        """Returns them from the network's outputs, `(pass, hidden row, time, value)`.

        Args:
            occurrence: Logit of echo, one value.
            intensity: Location and log scale, two values.
        """
        location, log_scale = np.moveaxis(intensity, -1, 0)
        return cls(
            # 1 / (1 + exp(-x)), but exp(-x) overflows for a network that is very sure of clear sky.
            probability=0.5 + 0.5 * np.tanh(0.5 * occurrence[..., 0]),
            location=location,
            scale=np.exp(np.clip(log_scale, *LOG_SCALE_LIMITS)),
        )

    def summarize(self, ranks: np.ndarray, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the probability of echo and ordered intensities.

        Pass n of N enters with the levels (l + u) / L, l = 0 ... L - 1, where u is (its rank + 1/2)
        / N: all N x L levels are evenly spread.

        Args:
            ranks: 0 ... N - 1 in random order.
            values: Number of intensities that are returned.

        Returns:
            Arrays `(hidden row, time)` and `(hidden row, time, value)`.
        """
        stratum = (ranks + 0.5) / ranks.size
        levels = (np.arange(LEVELS) + stratum[:, None]) / LEVELS
        residual = laplace_quantile(levels).astype(np.float32)
        location, scale = (
            np.moveaxis(part, 0, -1)[..., None] for part in (self.location, self.scale)
        )
        # (row, time, pass and level)
        ordered = (location + scale * residual).reshape(*location.shape[:2], -1)
        ordered.sort(axis=-1)
        return self.probability.mean(axis=0), read_ordered(ordered, even_levels(values))

    def read_single(self) -> SinglePass:
        """Returns the distribution of the one pass."""
        return SinglePass(
            probability=self.probability[0], location=self.location[0], scale=self.scale[0]
        )

    def influence(self, bound: np.ndarray) -> np.ndarray:
        """Returns how each pass moves the distribution function at a bound, but for a constant.

        The function is F = 1 - p (1 - G), p and G being means over passes.

        Args:
            bound: [network units], `(hidden row, time)`.

        Returns:
            Array `(pass, hidden row, time)`.
        """
        distance = (bound - self.location) / self.scale
        tail = 0.5 * np.exp(-np.abs(distance))
        below = np.where(distance < 0, tail, 1 - tail)
        return np.asarray(
            self.probability.mean(axis=0) * below - (1 - below.mean(axis=0)) * self.probability
        )

    def estimate_medians(self, floor: float) -> np.ndarray:
        """Returns the median of each pass, `(hidden row, time, pass)`."""
        # The level 1/2 is (p - 1/2) / p up the echo part.
        echo_part = np.clip(1 - 0.5 / np.maximum(self.probability, 0.5), 1e-6, None)
        median = self.location + self.scale * laplace_quantile(echo_part)
        above = np.where(self.probability > 0.5, np.maximum(median, floor), floor)
        return np.moveaxis(above, 0, -1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class SingleHead:
    """The single value of all forward passes of a window.

    Attributes:
        value: Reflectivity [network units], `(pass, hidden row, time)`.
        floor: Sensitivity floor [network units]: a value above it is echo.
    """

    value: np.ndarray
    floor: float

    def summarize(self, ranks: np.ndarray, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the share of values above the floor, and these values, stretched to `values`.

        Where none is above, the intensities are the floor. `ranks` do not matter.

        Returns:
            Arrays `(hidden row, time)` and `(hidden row, time, value)`.
        """
        ordered = np.sort(np.moveaxis(self.value, 0, -1), axis=-1)
        count = ordered.shape[-1]
        above = (ordered > self.floor).sum(axis=-1, keepdims=True)
        intensity = read_ordered(ordered, even_levels(values), first=count - above)
        probability = (above[..., 0] / count).astype(np.float32)
        return probability, np.maximum(intensity, np.float32(self.floor))

    def read_single(self) -> SinglePass:
        """Returns the distribution of the one pass: all of it at its value."""
        value = self.value[0]
        return SinglePass(
            probability=(value > self.floor).astype(np.float32),
            location=np.maximum(value, np.float32(self.floor)),
            scale=np.zeros_like(value),
        )

    def influence(self, bound: np.ndarray) -> np.ndarray:
        """Returns how each pass moves the distribution function at a bound, `(pass, row, time)`."""
        return (self.value <= bound).astype(np.float32)

    def estimate_medians(self, floor: float) -> np.ndarray:
        """Returns max(value, floor) of each pass, `(hidden row, time, pass)`."""
        return np.moveaxis(np.maximum(self.value, np.float32(floor)), 0, -1)


Heads = TwoPartHeads | SingleHead


def estimate_bound_errors(
    heads: Heads,
    probability: np.ndarray,
    ordered: np.ndarray,
    floor: float,
    levels: tuple[float, ...],
) -> np.ndarray:
    """Returns the standard error of interval bounds from the number of passes [network units].

    The distribution function at a bound is a mean over passes, with its standard error e. A bound
    at the level t then lies between the quantiles at t - e and t + e (Woodruff 1952, J. Am. Stat.
    Assoc. 47, 635). Half their distance is returned.

    Args:
        heads: The heads of all passes.
        probability: Their probability of echo, `(hidden row, time)`.
        ordered: Their ordered intensities, `(hidden row, time, value)`.
        floor: Sensitivity floor [network units]; bounds are those of max(reflectivity, floor).
        levels: Of the bounds.

    Returns:
        Array `(level, hidden row, time)`.
    """
    clipped = np.maximum(ordered, np.float32(floor))

    def read(level: np.ndarray) -> np.ndarray:
        return quantile(probability, clipped, level, np.float32(floor))

    errors = []
    for level in levels:
        moved = heads.influence(read(np.full_like(probability, level)))
        error = moved.std(axis=0, ddof=1) / np.sqrt(len(moved))
        errors.append((read(level + error) - read(level - error)) / 2)
    return np.stack(errors)
