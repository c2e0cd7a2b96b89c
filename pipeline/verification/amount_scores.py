"""Scores of sums of precipitation, as ensembles, against the truth of the same relation.

A window counts as wet if the truth or the mean of the members is at least `LEAST_WET_MM`: most
windows are dry, and their intervals hold 0 whatever else they are. The CRPS of K members is the
fair one (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917); that of a single sum its absolute error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.verification.statistics import Sums, ratio

LEAST_WET_MM = 0.01
"""Sum from which a window is wet [mm]: a tenth of what gauges report (WMO-No. 8, 2018, volume I,
chapter 6)."""
_TOLERANCE_MM = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class AmountSums(Sums):
    """Sums over windows.

    Attributes:
        windows: Number of windows.
        inside: Those whose truth is inside the 90 % interval.
        wet: Number of wet windows.
        wet_inside: Those of them whose truth is inside.
        wet_below: Those whose truth is below it.
        expected_mm: Sum of the members' means.
        truth_mm: Sum of the truth.
        other_mm: Sum of the opponent.
        crps_mm: Sum of the CRPS of the members.
        other_error_mm: Sum of the opponent's absolute error, which is its CRPS.
    """

    windows: int
    inside: int
    wet: int
    wet_inside: int
    wet_below: int
    expected_mm: np.ndarray
    truth_mm: np.ndarray
    other_mm: np.ndarray
    crps_mm: np.ndarray
    other_error_mm: np.ndarray

    def scores(self) -> dict[str, float]:
        """Returns all scores; NaN where there is nothing to score."""
        crps, other = ratio(self.crps_mm, self.windows), ratio(self.other_error_mm, self.windows)
        return {
            "windows": float(self.windows),
            "wet windows": float(self.wet),
            "coverage 90 %": ratio(self.inside, self.windows),
            "coverage 90 %, wet": ratio(self.wet_inside, self.wet),
            "truth below, wet": ratio(self.wet_below, self.wet),
            "truth [mm]": float(self.truth_mm),
            "bias": ratio(self.expected_mm, self.truth_mm) - 1,
            "bias, opponent": ratio(self.other_mm, self.truth_mm) - 1,
            "CRPS [mm]": crps,
            "CRPS, opponent [mm]": other,
            "CRPS skill": 1 - ratio(crps, other),
        }


def score_amounts(members: np.ndarray, truth: np.ndarray, other: np.ndarray) -> AmountSums:
    """Returns the sums of windows; those that are missing in any of the three are left out.

    Args:
        members: Sums of members [mm] `(realization, window)`, at least two members.
        truth: True sums [mm] `(window,)`.
        other: Sums of an opponent, such as persistence [mm] `(window,)`.
    """
    known = np.isfinite(members).all(axis=0) & np.isfinite(truth) & np.isfinite(other)
    members, truth, other = members[:, known], truth[known], other[known]
    low, high = np.quantile(members, [0.05, 0.95], axis=0, method="hazen")
    below, above = truth < low - _TOLERANCE_MM, truth > high + _TOLERANCE_MM
    mean = members.mean(axis=0)
    wet = np.maximum(mean, truth) >= LEAST_WET_MM
    return AmountSums(
        windows=int(truth.size),
        inside=int((~below & ~above).sum()),
        wet=int(wet.sum()),
        wet_inside=int((wet & ~below & ~above).sum()),
        wet_below=int((wet & below).sum()),
        expected_mm=mean.sum(),
        truth_mm=truth.sum(),
        other_mm=other.sum(),
        crps_mm=_find_crps(members, truth).sum(),
        other_error_mm=np.abs(other - truth).sum(),
    )


def _find_crps(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the fair CRPS [mm] `(window,)`."""
    count = len(members)
    weights = 2 * np.arange(1, count + 1) - count - 1
    pairs = weights @ np.sort(members, axis=0) / (count * (count - 1))
    return np.asarray(np.abs(members - truth).mean(axis=0) - pairs)
