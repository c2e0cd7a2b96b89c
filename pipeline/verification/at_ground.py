"""Scores of what is filled against a disdrometer at the ground, minute by minute.

Two events are scored, since a disdrometer misses the lightest drizzle: that it counts any particle,
and that rain is at least `LEAST_RAIN_MM_H`. Echo near the ground that is weaker than it can count
is a false alarm of the first, and none of the second. What a radar has at a height is at the ground
later by the time of fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.verification.amount_scores import LEAST_WET_MM
from blindzone.pipeline.verification.class_scores import (
    ReliabilitySums,
    stack_reliability,
    sum_reliability,
)
from blindzone.pipeline.verification.curtain_scores import Regime
from blindzone.pipeline.verification.statistics import Sums, ratio

LEAST_RAIN_MM_H = 0.1
"""Rate of the second event [mm h-1]: 17 drops of 1 mm in a minute on the 54 cm2 of a Parsivel. A
weaker rate is known to no better than a quarter."""
FALL_SPEED_M_S = 5.0
"""Speed of fall [m s-1]: rain in the row at 273 m over Palaiseau is correlated best with minutes of
the disdrometer that end 40 to 60 s later, on each of five days. So stamps are ends of minutes."""
_LEAST_MEASURED = 0.95
"""Share of a window's minutes that must be measured."""
_MINUTE = np.timedelta64(60, "s")


def average_minutes(
    values: np.ndarray, times: np.ndarray, stamps: np.ndarray, height_m: float = 0.0
) -> np.ndarray:
    """Returns means over the profiles that arrive at the ground in each minute, `(..., minute)`.

    Args:
        values: Of profiles `(..., time)`; NaN where missing: those do not count.
        times: Times of the profiles, datetime64[ns], increasing `(time,)`.
        stamps: Ends of the minutes, datetime64[ns] `(minute,)`.
        height_m: Height of what is averaged [m], which sets the time of fall.

    Returns:
        The means, NaN in minutes without a profile.
    """
    arrival = times + np.timedelta64(round(1e9 * height_m / FALL_SPEED_M_S), "ns")
    begin, end = (
        np.searchsorted(arrival, edge, side="right") for edge in (stamps - _MINUTE, stamps)
    )

    def add_up(each: np.ndarray) -> np.ndarray:
        zero = np.zeros((*each.shape[:-1], 1))
        total = np.concatenate([zero, np.cumsum(each, axis=-1, dtype=np.float64)], axis=-1)
        return np.asarray(total[..., end] - total[..., begin])

    known = np.isfinite(values)
    count = add_up(known)
    sums = add_up(np.where(known, values, 0))
    return np.asarray(np.where(count > 0, sums / np.maximum(count, 1), np.nan))


def sum_measured(
    stamps: np.ndarray, rate_mm_h: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Returns what fell in windows [mm] `(window,)`, NaN where too few minutes were measured.

    Up to a twentieth of a window may be missing; its mean rate then goes on.

    Args:
        stamps: Ends of the minutes, datetime64[ns] `(minute,)`.
        rate_mm_h: Mean rate of each minute [mm h-1] `(minute,)`, NaN where not measured.
        starts: Starts of the windows `(window,)`.
        ends: Their ends.
    """
    known = np.isfinite(rate_mm_h)
    at, rate = stamps[known], rate_mm_h[known]
    total = np.concatenate([[0.0], np.cumsum(rate, dtype=np.float64)])
    begin, end = (np.searchsorted(at, edge, side="right") for edge in (starts, ends))
    minutes, length = end - begin, (ends - starts) / _MINUTE
    mean = (total[end] - total[begin]) / np.maximum(minutes, 1)
    return np.where(minutes >= _LEAST_MEASURED * length, mean * length / 60, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowForecast:
    """Sums of windows, `(window,)`.

    Attributes:
        expected_mm: Expected sum [mm].
        low_mm: Lower bound of its 90 % interval [mm]; NaN if none is stated.
        high_mm: Upper bound.
    """

    expected_mm: np.ndarray
    low_mm: np.ndarray
    high_mm: np.ndarray

    @classmethod
    def without_bounds(cls, expected_mm: np.ndarray) -> WindowForecast:
        """Returns expected sums [mm] whose intervals are not stated."""
        none = np.full(expected_mm.shape, np.nan)
        return cls(expected_mm=expected_mm, low_mm=none, high_mm=none)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundForecast:
    """What a scheme predicts for minutes, `(minute,)`, and for windows.

    Attributes:
        echo: Probability that echo reaches the ground.
        rain: Probability of rain of at least `LEAST_RAIN_MM_H`.
        rate_mm_h: Expected rate [mm h-1].
        hours: Hourly sums.
        days: Daily sums.
    """

    echo: np.ndarray
    rain: np.ndarray
    rate_mm_h: np.ndarray
    hours: WindowForecast
    days: WindowForecast


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundTruth:
    """What a disdrometer measured.

    Attributes:
        rate_mm_h: Rate of minutes [mm h-1] `(minute,)`, NaN where not measured.
        regime: `Regime` of what the radar sees above the blind zone `(minute,)`.
        hours_mm: Hourly sums [mm] `(window,)`, NaN where not measured.
        days_mm: Daily sums [mm], likewise.
    """

    rate_mm_h: np.ndarray
    regime: np.ndarray
    hours_mm: np.ndarray
    days_mm: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class EventSums(Sums):
    """Sums of probabilities of an event, by regime.

    Attributes:
        reliability: Probabilities and outcomes `(regime, bin)`.
        hits: Minutes of the event that were stated with a probability of a half or more
            `(regime,)`.
        misses: Those that were not.
        false_alarms: Minutes without it in which it was stated so.
    """

    reliability: ReliabilitySums
    hits: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    def scores(self, what: str, regimes: slice) -> dict[str, float]:
        """Returns the scores of an event over some regimes; NaN where there is nothing to score."""
        hits, misses, false = (
            float(part[regimes].sum()) for part in (self.hits, self.misses, self.false_alarms)
        )
        pooled = ReliabilitySums(
            **{name: part[regimes].sum(axis=0) for name, part in vars(self.reliability).items()}
        )
        return {
            f"{what}: minutes": float(hits + misses),
            f"{what}: POD": ratio(hits, hits + misses),
            f"{what}: FAR": ratio(false, hits + false),
            f"{what}: CSI": ratio(hits, hits + misses + false),
            f"{what}: Brier": float(pooled.brier),
            f"{what}: reliability": float(pooled.reliability),
            f"{what}: stated": float(pooled.stated),
            f"{what}: happened": float(pooled.happened),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowSums(Sums):
    """Sums over windows.

    Attributes:
        windows: Number of windows.
        wet: Those in which the truth or what was expected is at least `LEAST_WET_MM`.
        wet_stated: Wet ones with a 90 % interval.
        wet_inside: Those of them whose truth is inside it.
        wet_below: Those whose truth is below it.
        truth_mm: Sum of the truth.
        expected_mm: Sum of what was expected.
        error_mm: Sum of the absolute errors.
    """

    windows: int
    wet: int
    wet_stated: int
    wet_inside: int
    wet_below: int
    truth_mm: np.ndarray
    expected_mm: np.ndarray
    error_mm: np.ndarray

    def scores(self, what: str) -> dict[str, float]:
        """Returns the scores of windows; NaN where there is nothing to score."""
        return {
            f"{what}: windows": float(self.windows),
            f"{what}: wet": float(self.wet),
            f"{what}: truth [mm]": float(self.truth_mm),
            f"{what}: bias": ratio(self.expected_mm, self.truth_mm) - 1,
            f"{what}: MAE [mm]": ratio(self.error_mm, self.windows),
            f"{what}: coverage 90 %, wet": ratio(self.wet_inside, self.wet_stated),
            f"{what}: truth below, wet": ratio(self.wet_below, self.wet_stated),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundSums(Sums):
    """All sums of a scheme over a day.

    Attributes:
        minutes: Number of scored minutes `(regime,)`.
        echo: The event that the disdrometer counts a particle.
        rain: The event that it rains.
        truth_mm_h: Sum of true rates `(regime,)`.
        rate_mm_h: Sum of expected rates.
        error_mm_h: Sum of the absolute errors of rates.
        hours: Hourly sums.
        days: Daily sums.
    """

    minutes: np.ndarray
    echo: EventSums
    rain: EventSums
    truth_mm_h: np.ndarray
    rate_mm_h: np.ndarray
    error_mm_h: np.ndarray
    hours: WindowSums
    days: WindowSums

    def scores(self, regime: Regime | None = None) -> dict[str, float]:
        """Returns all scores, or those of minutes of one regime; NaN where there is nothing."""
        part = slice(None) if regime is None else slice(regime, regime + 1)
        minutes = self.minutes[part].sum()
        truth, expected = self.truth_mm_h[part].sum(), self.rate_mm_h[part].sum()
        found = {
            "minutes": float(minutes),
            **self.echo.scores("echo", part),
            **self.rain.scores("rain", part),
            "rate: truth [mm h-1]": ratio(truth, minutes),
            "rate: bias": ratio(expected, truth) - 1,
            "rate: MAE [mm h-1]": ratio(self.error_mm_h[part].sum(), minutes),
        }
        if regime is not None:
            return found
        return found | self.hours.scores("hour") | self.days.scores("day")


def sum_ground(forecast: GroundForecast, truth: GroundTruth) -> GroundSums:
    """Returns the sums of a scheme over a day, of minutes with a prediction and a truth."""
    known = np.isfinite(truth.rate_mm_h) & np.isfinite(forecast.rate_mm_h)
    known &= np.isfinite(forecast.echo) & np.isfinite(forecast.rain)
    rate, regime = truth.rate_mm_h[known], truth.regime[known]
    expected = forecast.rate_mm_h[known]

    def add(values: np.ndarray) -> np.ndarray:
        return np.bincount(regime, values, minlength=len(Regime))

    return GroundSums(
        minutes=np.bincount(regime, minlength=len(Regime)),
        echo=_sum_event(forecast.echo[known], rate > 0, regime),
        rain=_sum_event(forecast.rain[known], rate >= LEAST_RAIN_MM_H, regime),
        truth_mm_h=add(rate),
        rate_mm_h=add(expected),
        error_mm_h=add(np.abs(expected - rate)),
        hours=_sum_windows(forecast.hours, truth.hours_mm),
        days=_sum_windows(forecast.days, truth.days_mm),
    )


def _sum_event(probability: np.ndarray, outcome: np.ndarray, regime: np.ndarray) -> EventSums:
    stated = probability >= 0.5

    def count(is_one: np.ndarray) -> np.ndarray:
        return np.bincount(regime[is_one], minlength=len(Regime))

    of_regimes = [regime == one for one in Regime]
    return EventSums(
        reliability=stack_reliability(
            [sum_reliability(probability[one], outcome[one]) for one in of_regimes]
        ),
        hits=count(stated & outcome),
        misses=count(~stated & outcome),
        false_alarms=count(stated & ~outcome),
    )


def _sum_windows(forecast: WindowForecast, truth_mm: np.ndarray) -> WindowSums:
    known = np.isfinite(forecast.expected_mm) & np.isfinite(truth_mm)
    truth, expected = truth_mm[known], forecast.expected_mm[known]
    below, above = truth < forecast.low_mm[known], truth > forecast.high_mm[known]
    is_stated = np.isfinite(forecast.low_mm[known])
    wet = np.maximum(truth, expected) >= LEAST_WET_MM
    return WindowSums(
        windows=int(known.sum()),
        wet=int(wet.sum()),
        wet_stated=int((wet & is_stated).sum()),
        wet_inside=int((wet & is_stated & ~below & ~above).sum()),
        wet_below=int((wet & below).sum()),
        truth_mm=truth.sum(),
        expected_mm=expected.sum(),
        error_mm=np.abs(expected - truth).sum(),
    )
