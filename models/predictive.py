"""What the realizations of one window say together: a distribution of two parts, and how well it is known.

The probability of echo is the mean over realizations. Given echo, reflectivity is the mixture of
what each expects: of the two-part answer a Laplace distribution each, so that both the spread
between networks (dropout) and the spread that each expects (scale) enter (Kendall and Gal 2017,
arXiv 1703.04977); of the single value the values above the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.core.two_part_distribution import (
    even_levels,
    quantile,
    read_ordered,
    weakest_echo,
)
from blindzone.models.unet3plus import LOG_SCALE_LIMITS

LEVELS = 5
"""Levels at which each Laplace distribution enters the mixture; odd, so that one stands in the
middle of its part."""


@dataclass(frozen=True, kw_only=True)
class TwoPartHeads:
    """Both heads of all realizations of a window.

    Attributes:
        probability: Probability of echo, `(realization, hidden row, time)`.
        location: Median of reflectivity given echo [network units], of the same shape.
        scale: Its mean absolute deviation [network units], of the same shape.
    """

    probability: np.ndarray
    location: np.ndarray
    scale: np.ndarray

    @classmethod
    def of_network(cls, occurrence: np.ndarray, intensity: np.ndarray) -> TwoPartHeads:
        """Returns them from what the network says: a logit, and location and log scale, channels last."""
        location, log_scale = np.moveaxis(intensity, -1, 0)
        return cls(
            # 1 / (1 + exp(-x)), but exp(-x) overflows for a network that is very sure of clear sky.
            probability=0.5 + 0.5 * np.tanh(0.5 * occurrence[..., 0]),
            location=location,
            scale=np.exp(np.clip(log_scale, *LOG_SCALE_LIMITS)),
        )

    def summarize(self, ranks: np.ndarray, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the probability of echo, `(hidden row, time)`, and `values` ordered intensities, channels last.

        Realization n of N enters with the levels (l + u) / L, l = 0 ... L - 1, where u is (its rank
        + 1/2) / N: all N x L levels are evenly spread.

        Args:
            ranks: 0 ... N - 1 in random order.
            values: Number of intensities that leave.
        """
        stratum = (ranks + 0.5) / ranks.size
        residual = laplace_quantile((np.arange(LEVELS) + stratum[:, None]) / LEVELS).astype(
            np.float32
        )
        location, scale = (
            np.moveaxis(part, 0, -1)[..., None] for part in (self.location, self.scale)
        )
        ordered = (location + scale * residual).reshape(
            *location.shape[:2], -1
        )  # (row, time, realization and level)
        ordered.sort(axis=-1)
        return self.probability.mean(axis=0), read_ordered(ordered, even_levels(values))

    def influence(self, bound: np.ndarray) -> np.ndarray:
        """Returns how each realization moves the distribution function at a bound, but for a constant.

        The function is F = 1 - p (1 - G), p and G being means over realizations.

        Args:
            bound: [network units], `(hidden row, time)`.
        """
        distance = (bound - self.location) / self.scale
        tail = 0.5 * np.exp(-np.abs(distance))
        below = np.where(distance < 0, tail, 1 - tail)
        return np.asarray(
            self.probability.mean(axis=0) * below - (1 - below.mean(axis=0)) * self.probability
        )

    def estimate(self, floor: float) -> np.ndarray:
        """Returns what each realization takes for most likely: its median, `(hidden row, time, realization)`."""
        # The level 1/2 lies (p - 1/2) / p up the echo part.
        echo_part = np.clip(1 - 0.5 / np.maximum(self.probability, 0.5), 1e-6, None)
        median = self.location + self.scale * laplace_quantile(echo_part)
        above = np.where(self.probability > 0.5, np.maximum(median, floor), floor)
        return np.moveaxis(above, 0, -1).astype(np.float32)

    def sample(self, echo_ranks: np.ndarray, ranks: np.ndarray, floor: float) -> np.ndarray:
        """Returns one field a realization on max(reflectivity, floor), `(hidden row, time, realization)`."""
        residual = laplace_quantile((ranks + 0.5) / ranks.size).astype(np.float32)
        drawn = self.location + self.scale * residual[:, None, None]
        has_echo = ((echo_ranks + 0.5) / echo_ranks.size)[:, None, None] < self.probability.mean(
            axis=0
        )
        echo = np.maximum(drawn, weakest_echo(floor))
        return np.moveaxis(np.where(has_echo, echo, np.float32(floor)), 0, -1)


@dataclass(frozen=True, kw_only=True)
class SingleHead:
    """The single value of all realizations of a window.

    Attributes:
        value: Reflectivity [network units], `(realization, hidden row, time)`.
        floor: Sensitivity floor [network units]: a value above it is echo.
    """

    value: np.ndarray
    floor: float

    def summarize(self, ranks: np.ndarray, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns what M of N values above the floor say: probability M / N, and those M, stretched to `values`.

        Where none is above, the intensities are the floor. `ranks` do not matter.
        """
        ordered = np.sort(np.moveaxis(self.value, 0, -1), axis=-1)
        count = ordered.shape[-1]
        above = (ordered > self.floor).sum(axis=-1, keepdims=True)
        intensity = read_ordered(ordered, even_levels(values), first=count - above)
        return (above[..., 0] / count).astype(np.float32), np.maximum(
            intensity, np.float32(self.floor)
        )

    def influence(self, bound: np.ndarray) -> np.ndarray:
        """Returns how each realization moves the distribution function at a bound, `(realization, row, time)`."""
        return (self.value <= bound).astype(np.float32)

    def estimate(self, floor: float) -> np.ndarray:
        """Returns the values themselves on max(reflectivity, floor), `(hidden row, time, realization)`."""
        return np.moveaxis(np.maximum(self.value, np.float32(floor)), 0, -1)

    def sample(self, echo_ranks: np.ndarray, ranks: np.ndarray, floor: float) -> np.ndarray:
        """Returns the values themselves, as `estimate` does."""
        return self.estimate(floor)


Heads = TwoPartHeads | SingleHead


def estimate_bound_errors(
    heads: Heads,
    probability: np.ndarray,
    ordered: np.ndarray,
    floor: float,
    levels: tuple[float, ...],
) -> np.ndarray:
    """Returns the standard error of interval bounds that comes from the number of realizations, [network units].

    The distribution function at a bound is a mean over realizations, with its standard error e; a
    bound at the level t then lies between the quantiles at t - e and t + e (Woodruff 1952, J. Am.
    Stat. Assoc. 47, 635), and half their distance is the answer.

    Args:
        heads: The realizations.
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


def laplace_quantile(level: np.ndarray) -> np.ndarray:
    """Returns the quantiles of the standard Laplace distribution, of location 0 and scale 1."""
    return np.asarray(np.where(level < 0.5, np.log(2 * level), -np.log(2 * (1 - level))))
