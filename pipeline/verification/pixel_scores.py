"""Scores of single pixels: occurrence, intensity, and the distribution of max(dBZ, floor)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from blindzone.pipeline.verification.statistics import Sums, ratio, wasserstein_distance

CRPS_LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Levels over which the quantile loss is averaged to the CRPS."""

INTERVALS = {50: (0.25, 0.75), 80: (0.10, 0.90), 90: (0.05, 0.95), 95: (0.025, 0.975)}
"""Central intervals: nominal coverage [%] and the levels of their bounds."""

EVALUATION_LEVELS = (0.025, *CRPS_LEVELS, 0.975)
"""Levels that a scheme predicts, enough for every score of its distribution."""

PROBABILITY_BINS = 10
PIT_BINS = 20
SPREAD_STEP_DB = 0.5
SPREAD_BINS = 40
"""Bins of the standard deviation of a distribution; the last takes all that is wider."""

HISTOGRAM_STEP_DB = 0.5
HISTOGRAM_BINS = 181
"""Bin 0 is the atom at the floor; the others reach to 90 dB above it, the strongest echo counting
in the last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelSums(Sums):
    """Sums over pixels by row and regime: arrays `(row, regime)`, some with a third axis.

    Sums for which the levels of a distribution do not suffice are NaN.

    Attributes:
        pixels: Number of pixels scored.
        hits: Echo that was predicted.
        misses: Echo that was not.
        false_alarms: Predicted echo where there was none.
        absolute_error: Absolute error [dB] of the median.
        absolute_error_hits: The same over hits.
        squared_error_hits: Squared error [dB2] of the median over hits.
        squared_probability_error: Squared error of the echo probability.
        forecasts: Pixels by bin of the echo probability `(row, regime, bin)`.
        forecast_probability: Their probabilities, `(row, regime, bin)`.
        forecast_echo: Those of them with echo, `(row, regime, bin)`.
        crps: Continuous ranked probability score [dB].
        inside: Pixels with the truth inside an interval, bounds included, `(row, regime,
            interval)`.
        inside_echo: The same over echo pixels.
        width: Width of an interval [dB], `(row, regime, interval)`.
        width_echo: The same over echo pixels.
        pit: Pixels by bin of the probability integral transform `(row, regime, bin)`.
        variance: Variance of the predictive distribution [dB2].
        squared_error_of_mean: Squared error [dB2] of its mean.
        spread_pixels: Pixels by bin of the distribution's standard deviation `(row, regime, bin)`.
        spread_variance: Their variance [dB2].
        spread_error: Their squared error of the mean [dB2].
        spread_crps: Their CRPS [dB].
        histogram_truth: Pixels by bin of measured reflectivity `(row, regime, bin)`.
        histogram: Pixels by bin of the median `(row, regime, bin)`.
    """

    pixels: np.ndarray
    hits: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray
    absolute_error: np.ndarray
    absolute_error_hits: np.ndarray
    squared_error_hits: np.ndarray
    squared_probability_error: np.ndarray
    forecasts: np.ndarray
    forecast_probability: np.ndarray
    forecast_echo: np.ndarray
    crps: np.ndarray
    inside: np.ndarray
    inside_echo: np.ndarray
    width: np.ndarray
    width_echo: np.ndarray
    pit: np.ndarray
    variance: np.ndarray
    squared_error_of_mean: np.ndarray
    spread_pixels: np.ndarray
    spread_variance: np.ndarray
    spread_error: np.ndarray
    spread_crps: np.ndarray
    histogram_truth: np.ndarray
    histogram: np.ndarray

    def select(self, *, row: int | None = None, regime: int | None = None) -> PixelSums:
        """Returns the sums of one row, of one regime, or of one row in one regime."""
        rows, regimes = (slice(None) if at is None else slice(at, at + 1) for at in (row, regime))
        return PixelSums(**{f.name: getattr(self, f.name)[rows, regimes] for f in fields(self)})

    def pool(self) -> PixelSums:
        """Returns the sums over all rows and regimes, as one row and regime."""
        return PixelSums(
            **{f.name: getattr(self, f.name).sum(axis=(0, 1), keepdims=True) for f in fields(self)}
        )

    def split_rows(self, strata: tuple[int, int]) -> tuple[PixelSums, PixelSums]:
        """Returns sums by row and regime, and by stratum, of rows that are split into strata.

        Args:
            strata: Numbers of strata of both kinds; row r in strata i and j is number
                `(r * strata[0] + i) * strata[1] + j`.
        """
        parts = {
            f.name: getattr(self, f.name).reshape(-1, *strata, *getattr(self, f.name).shape[1:])
            for f in fields(self)
        }
        rows = PixelSums(**{name: of.sum(axis=(1, 2)) for name, of in parts.items()})
        return rows, PixelSums(**{name: of.sum(axis=(0, 3)) for name, of in parts.items()})

    def scores(self, *, least: int = 1) -> dict[str, float]:
        """Returns the scores pooled over rows and regimes; NaN without pixels to score.

        Args:
            least: Least number of pixels that a score rests on; with fewer it is NaN.
        """
        share = partial(ratio, least=least)
        total = {f.name: getattr(self, f.name).sum(axis=(0, 1)) for f in fields(self)}
        hits, pixels = total["hits"], total["pixels"]
        echo, predicted = hits + total["misses"], hits + total["false_alarms"]
        scores = {
            "POD": share(hits, echo),
            "FAR": share(total["false_alarms"], predicted),
            "CSI": share(hits, echo + total["false_alarms"]),
            "Dice": share(2 * hits, echo + predicted),
            "frequency bias": share(predicted, echo),
            "Brier": share(total["squared_probability_error"], pixels),
            "reliability": self._reliability(least),
            "MAE [dB]": share(total["absolute_error"], pixels),
            "MAE hits [dB]": share(total["absolute_error_hits"], hits),
            "RMSE hits [dB]": share(total["squared_error_hits"], hits) ** 0.5,
            "EMD [dB]": _earth_movers_distance(total["histogram"], total["histogram_truth"], least),
            "CRPS [dB]": share(total["crps"], pixels),
        }
        for index, nominal in enumerate(INTERVALS):
            scores |= {
                f"coverage {nominal} %": share(total["inside"][index], pixels),
                f"coverage {nominal} % echo": share(total["inside_echo"][index], echo),
                f"width {nominal} % [dB]": share(total["width"][index], pixels),
                f"width {nominal} % echo [dB]": share(total["width_echo"][index], echo),
            }
        scores["spread-skill ratio"] = (
            ratio(total["variance"], total["squared_error_of_mean"]) ** 0.5
            if pixels >= least
            else float("nan")
        )
        return scores

    def reliability_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns mean probability, observed frequency and pixels `(bin,)`; NaN in empty bins."""
        count = self.forecasts.sum(axis=(0, 1))
        with np.errstate(invalid="ignore"):
            return (
                self.forecast_probability.sum(axis=(0, 1)) / count,
                self.forecast_echo.sum(axis=(0, 1)) / count,
                count,
            )

    def _reliability(self, least: int) -> float:
        """Returns the reliability of the Brier score (Murphy 1973, J. Appl. Meteor. 12, 595)."""
        prediction, seen, count = self.reliability_curve()
        return ratio(np.nansum(count * (prediction - seen) ** 2), count.sum(), least=least)


def sum_pixels(
    truth: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    *,
    row: np.ndarray,
    regime: np.ndarray,
    shape: tuple[int, int],
    floor_dbz: float,
    random: np.random.Generator,
) -> PixelSums:
    """Returns the sums of a distribution over pixels.

    The best estimate of a pixel is its median. The CRPS, twice the integral of the quantile loss
    over all levels (Gneiting and Ranjan 2011, J. Bus. Econ. Stat. 29, 411), is taken as the mean of
    twice the loss over `CRPS_LEVELS`. For a deterministic scheme it is the absolute error, for a
    smooth distribution up to 5 % more: the outermost levels, of small loss, do not count.

    Args:
        truth: Observations as max(dBZ, floor) [dBZ], float32 `(pixel,)`.
        probability: Probability of echo `(pixel,)`; echo is predicted where it exceeds 0.5.
        quantiles: Quantiles of max(dBZ, floor) [dBZ], float32 `(level, pixel)`.
        levels: Their levels, the median among them.
        row: Number of each pixel's row, `(pixel,)`.
        regime: Number of its regime, `(pixel,)`.
        shape: How many rows and regimes there are.
        floor_dbz: Sensitivity floor [dBZ].
        random: Draws that spread the probability integral transform over an atom.
    """
    cell = row * shape[1] + regime
    tally = _Tally(cell, shape)
    floor = np.float32(floor_dbz)
    median = quantiles[levels.index(0.5)]
    echo, predicted = truth > floor, probability > 0.5
    hit = echo & predicted
    error = median.astype(np.float64) - truth
    mean, variance = _moments(probability, quantiles, levels, floor)
    pit = probability_integral_transform(
        truth, probability, quantiles, levels, floor_dbz=floor_dbz, random=random
    )
    squared_error, crps = (mean - (truth - floor)) ** 2, _crps(truth, quantiles, levels)
    pit_bins = np.minimum((pit * PIT_BINS).astype(np.intp), PIT_BINS - 1)
    return PixelSums(
        pixels=tally.count(np.ones_like(echo)),
        hits=tally.count(hit),
        misses=tally.count(echo & ~predicted),
        false_alarms=tally.count(~echo & predicted),
        absolute_error=tally.add(np.abs(error)),
        absolute_error_hits=tally.add(np.where(hit, np.abs(error), 0.0)),
        squared_error_hits=tally.add(np.where(hit, error**2, 0.0)),
        squared_probability_error=tally.add((probability.astype(np.float64) - echo) ** 2),
        **_sum_reliability(tally, probability, echo),
        crps=tally.add(crps),
        **_sum_intervals(tally, truth, quantiles, levels, echo),
        pit=tally.add_binned(np.ones(truth.size), pit_bins, PIT_BINS),
        variance=tally.add(variance),
        squared_error_of_mean=tally.add(squared_error),
        **_sum_by_spread(tally, variance, squared_error, crps),
        histogram_truth=_sum_histogram(tally, truth, floor),
        histogram=_sum_histogram(tally, median, floor),
    )


def probability_integral_transform(
    truth: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    *,
    floor_dbz: float,
    random: np.random.Generator,
) -> np.ndarray:
    """Returns F(truth) of each pixel `(pixel,)`, uniform if calibrated (Dawid 1984).

    The distribution function runs straight between the atom (1 - probability, at the floor) and the
    quantiles. Where it jumps, at the floor or at quantiles that coincide, and beyond the last
    quantile, where it is not known, the value is drawn from its range there (Czado et al. 2009,
    Biometrics 65, 1254).

    Args:
        truth: Observations as max(dBZ, floor) [dBZ], float32 `(pixel,)`.
        probability: Probability of echo `(pixel,)`.
        quantiles: Quantiles of max(dBZ, floor) [dBZ], float32 `(level, pixel)`.
        levels: Their levels.
        floor_dbz: Sensitivity floor [dBZ].
        random: Generator of the draws.
    """
    floor, steps = np.float32(floor_dbz), np.asarray(levels)
    draw = random.random(truth.size)
    atom = 1.0 - probability.astype(np.float64)
    below = (quantiles < truth).sum(axis=0)  # quantiles below the truth
    up_to = (quantiles <= truth).sum(axis=0)
    last = len(levels) - 1
    lower = np.take_along_axis(quantiles, np.maximum(below - 1, 0)[None], axis=0)[0]
    in_atom = (below == 0) | (lower <= floor)
    lower = np.where(in_atom, floor, lower).astype(np.float64)
    reached = np.where(in_atom, atom, steps[np.maximum(below - 1, 0)])
    upper = np.take_along_axis(quantiles, np.minimum(below, last)[None], axis=0)[0].astype(
        np.float64
    )
    ahead = np.where(below > last, 1.0, np.maximum(steps[np.minimum(below, last)], reached))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(below > last, draw, (truth - lower) / (upper - lower))
    between = reached + share * (ahead - reached)
    tied = steps[np.minimum(below, last)] + draw * (
        steps[np.maximum(up_to - 1, 0)] - steps[np.minimum(below, last)]
    )
    return np.asarray(np.where(truth <= floor, draw * atom, np.where(up_to > below, tied, between)))


class _Tally:
    """Sums over the pixels of each cell: of one row and regime."""

    def __init__(self, cell: np.ndarray, shape: tuple[int, int]) -> None:
        self._cell, self._shape = cell, shape

    def add(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum of values `(pixel,)` in each cell, float64 `(row, regime)`."""
        return self.add_binned(values, np.zeros_like(self._cell), 1)[..., 0]

    def count(self, mask: np.ndarray) -> np.ndarray:
        """Returns the number of true pixels in each cell, `(row, regime)`."""
        return np.bincount(self._cell[mask], minlength=self._shape[0] * self._shape[1]).reshape(
            self._shape
        )

    def add_binned(self, values: np.ndarray, bins: np.ndarray, count: int) -> np.ndarray:
        """Returns the sum of values `(pixel,)` by cell and bin, float64 `(row, regime, bin)`."""
        size = self._shape[0] * self._shape[1] * count
        return np.bincount(self._cell * count + bins, weights=values, minlength=size).reshape(
            *self._shape, count
        )


def _sum_reliability(
    tally: _Tally, probability: np.ndarray, echo: np.ndarray
) -> dict[str, np.ndarray]:
    bins = np.minimum((probability * PROBABILITY_BINS).astype(np.intp), PROBABILITY_BINS - 1)
    return {
        "forecasts": tally.add_binned(np.ones(echo.size), bins, PROBABILITY_BINS),
        "forecast_probability": tally.add_binned(probability, bins, PROBABILITY_BINS),
        "forecast_echo": tally.add_binned(echo, bins, PROBABILITY_BINS),
    }


def _sum_by_spread(
    tally: _Tally, variance: np.ndarray, squared_error: np.ndarray, crps: np.ndarray
) -> dict[str, np.ndarray]:
    steps = np.sqrt(np.nan_to_num(variance)) / SPREAD_STEP_DB
    bins = np.minimum(steps.astype(np.intp), SPREAD_BINS - 1)
    values = {
        "pixels": np.ones(variance.size),
        "variance": variance,
        "error": squared_error,
        "crps": crps,
    }
    return {
        f"spread_{name}": tally.add_binned(of, bins, SPREAD_BINS) for name, of in values.items()
    }


def _sum_histogram(tally: _Tally, reflectivity: np.ndarray, floor: np.float32) -> np.ndarray:
    steps = np.ceil((reflectivity - floor) / HISTOGRAM_STEP_DB)
    bins = np.asarray(np.clip(steps, 0, HISTOGRAM_BINS - 1), dtype=np.intp)
    return tally.add_binned(np.ones(reflectivity.size), bins, HISTOGRAM_BINS)


def _crps(truth: np.ndarray, quantiles: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    if not set(CRPS_LEVELS) <= set(levels):
        return np.full(truth.shape, np.nan)
    total = np.zeros(truth.shape)
    for level in CRPS_LEVELS:
        error = truth.astype(np.float64) - quantiles[levels.index(level)]
        total += 2 * np.maximum(level * error, (level - 1) * error)
    return total / len(CRPS_LEVELS)


def _sum_intervals(
    tally: _Tally,
    truth: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    echo: np.ndarray,
) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {
        "inside": [],
        "inside_echo": [],
        "width": [],
        "width_echo": [],
    }
    for bounds in INTERVALS.values():
        if set(bounds) <= set(levels):
            low, high = (quantiles[levels.index(bound)] for bound in bounds)
            inside, width = (
                ((truth >= low) & (truth <= high)).astype(np.float64),
                high.astype(np.float64) - low,
            )
        else:
            inside = width = np.full(truth.shape, np.nan)
        for name, values in (("inside", inside), ("width", width)):
            found[name].append(tally.add(values))
            found[f"{name}_echo"].append(tally.add(np.where(echo, values, 0.0)))
    return {name: np.stack(values, axis=-1) for name, values in found.items()}


def _moments(
    probability: np.ndarray, quantiles: np.ndarray, levels: tuple[float, ...], floor: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean [dB above the floor] and variance [dB2] `(pixel,)`; NaN for one level.

    The quantile function runs straight between the atom and the quantiles; beyond the outermost
    levels it goes on exponentially, as steeply as between the last two.
    """
    if len(levels) < 2:
        return np.full(probability.shape, np.nan), np.full(probability.shape, np.nan)
    x, steps = quantiles.astype(np.float64) - floor, np.asarray(levels)
    atom = 1.0 - probability.astype(np.float64)
    mean, square = np.zeros(probability.shape), np.zeros(probability.shape)
    for low, high, start, end in zip(x[:-1], x[1:], steps[:-1], steps[1:], strict=True):
        share = end - np.where(low <= 0, np.clip(atom, start, end), start)
        mean += share * (low + high) / 2
        square += share * (low**2 + low * high + high**2) / 3
    beyond = 1 - steps[-1]
    # Excess over the last quantile: exponential, of this scale. Where the atom ends just below that
    # quantile, their distance is no measure of the tail: it is used as if half of the echo
    # lay between them at least.
    span = np.log(np.maximum((1 - np.clip(atom, steps[-2], steps[-1])) / beyond, 2.0))
    scale = (x[-1] - x[-2]) / span
    below = np.where(x[0] > 0, np.maximum(steps[0] - atom, 0), 0)
    under = (x[1] - x[0]) / np.log(steps[1] / steps[0])
    mean += beyond * (x[-1] + scale) + below * (x[0] - under)
    square += beyond * (x[-1] ** 2 + 2 * x[-1] * scale + 2 * scale**2)
    square += below * (x[0] ** 2 - 2 * x[0] * under + 2 * under**2)
    return mean, np.maximum(square - mean**2, 0.0)


def _earth_movers_distance(histogram: np.ndarray, other: np.ndarray, least: int) -> float:
    """Returns how far [dB] the mass of one histogram is moved on average to give the other."""
    if min(histogram.sum(), other.sum()) < least:
        return float("nan")
    shares, other_shares = histogram / histogram.sum(), other / other.sum()
    return float(wasserstein_distance(shares, other_shares, step_db=HISTOGRAM_STEP_DB))
