"""Scores of a filled blind zone against what was hidden.

Scores are made of *sums* that add up over chunks, days and sites, and of one final formula each: a year is scored in
parallel and in bounded memory. All schemes are scored on the same pixels; none is dropped for being uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import xarray as xr

from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.quality import apply_floor


@dataclass(frozen=True, kw_only=True)
class ScoreSums:
    """Sums over pixels; two of them added are the sums over both sets of pixels.

    Attributes:
        pixels: Number of pixels scored.
        hits: Echo that was predicted.
        misses: Echo that was not.
        false_alarms: Predicted echo where there was none.
        absolute_error: Absolute error [dB] on max(dBZ, floor).
        absolute_error_hits: The same over hits.
        squared_error_hits: Squared error [dB2] over hits.
        squared_probability_error: Squared error of the echo probability.
        inside: Pixels whose truth lies inside the interval, all pixels and echo pixels.
        inside_echo: The same over echo pixels.
        width: Width of the interval [dB].
    """

    pixels: int = 0
    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    absolute_error: float = 0.0
    absolute_error_hits: float = 0.0
    squared_error_hits: float = 0.0
    squared_probability_error: float = 0.0
    inside: int = 0
    inside_echo: int = 0
    width: float = 0.0

    def __add__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def scores(self) -> dict[str, float]:
        """Returns the scores; NaN where a score has nothing to stand on (no echo at all, say)."""
        echo, predicted = self.hits + self.misses, self.hits + self.false_alarms
        return {
            "POD": _ratio(self.hits, echo),
            "FAR": _ratio(self.false_alarms, predicted),
            "CSI": _ratio(self.hits, echo + self.false_alarms),
            "Dice": _ratio(2 * self.hits, echo + predicted),
            "frequency bias": _ratio(predicted, echo),
            "MAE [dB]": _ratio(self.absolute_error, self.pixels),
            "MAE hits [dB]": _ratio(self.absolute_error_hits, self.hits),
            "RMSE hits [dB]": _ratio(self.squared_error_hits, self.hits) ** 0.5,
            "Brier": _ratio(self.squared_probability_error, self.pixels),
            "coverage": _ratio(self.inside, self.pixels),
            "coverage echo": _ratio(self.inside_echo, echo),
            "width [dB]": _ratio(self.width, self.pixels),
        }


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a scheme says of pixels, arrays of one shape.

    Attributes:
        reflectivity: Best estimate on max(dBZ, floor) [dBZ].
        probability: Probability of echo; 0 or 1 for a deterministic scheme.
        lower: Lower interval bound [dBZ]; the estimate itself for a deterministic scheme.
        upper: Upper interval bound [dBZ], likewise.
    """

    reflectivity: np.ndarray
    probability: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def sum_scores(truth: np.ndarray, prediction: Prediction, floor_dbz: float) -> ScoreSums:
    """Returns the sums of a prediction over pixels.

    Args:
        truth: What was measured on max(dBZ, floor) [dBZ], any shape.
        prediction: Arrays of the same shape; echo is predicted where the probability exceeds 0.5.
        floor_dbz: Sensitivity floor [dBZ].
    """
    echo = truth > floor_dbz
    predicted = prediction.probability > 0.5
    hit = echo & predicted
    error = np.abs(prediction.reflectivity.astype(np.float64) - truth)
    inside = (truth >= prediction.lower) & (truth <= prediction.upper)
    return ScoreSums(
        pixels=truth.size,
        hits=int(hit.sum()),
        misses=int((echo & ~predicted).sum()),
        false_alarms=int((~echo & predicted).sum()),
        absolute_error=float(error.sum()),
        absolute_error_hits=float(error[hit].sum()),
        squared_error_hits=float((error[hit] ** 2).sum()),
        squared_probability_error=float(((prediction.probability - echo) ** 2).sum()),
        inside=int(inside.sum()),
        inside_echo=int((inside & echo).sum()),
        width=float((prediction.upper.astype(np.float64) - prediction.lower).sum()),
    )


def score_product(product: xr.Dataset, detection_status: xr.DataArray, *, floor_dbz: float) -> dict[str, ScoreSums]:
    """Returns the sums of a product and of persistence on the same pixels: the hidden ones whose truth is trusted.

    Args:
        product: A product with `reflectivity_observed` in its blind zone, as ground-based radars give it.
        detection_status: Status of the measured curtain `(time, height)`.
        floor_dbz: Sensitivity floor [dBZ].

    Returns:
        Sums of `fill` (interval: the 5 and 95 % quantiles) and of `repeat`, the lowest visible row repeated downwards.
    """
    quantiles = product["reflectivity_quantile"]
    filled = np.isfinite(product["hydrometeor_probability"].values)
    hidden_rows = int(filled.any(axis=0).sum())
    status = detection_status.values
    scored = filled & (status != DetectionStatus.UNTRUSTED) & (status != DetectionStatus.NO_DATA)
    observed = product["reflectivity_observed"].values
    truth = _raise_to_floor(observed, floor_dbz)
    fill = Prediction(
        reflectivity=_raise_to_floor(product["reflectivity"].values, floor_dbz)[scored],
        probability=product["hydrometeor_probability"].values[scored],
        lower=quantiles.sel(quantile=0.05).values[scored],
        upper=quantiles.sel(quantile=0.95).values[scored],
    )
    repeated = np.broadcast_to(truth[:, hidden_rows : hidden_rows + 1], truth.shape)[scored]
    repeat = Prediction(
        reflectivity=repeated, probability=(repeated > floor_dbz).astype(np.float32), lower=repeated, upper=repeated
    )
    return {"fill": sum_scores(truth[scored], fill, floor_dbz), "repeat": sum_scores(truth[scored], repeat, floor_dbz)}


def _raise_to_floor(reflectivity: np.ndarray, floor_dbz: float) -> np.ndarray:
    return np.asarray(np.nan_to_num(apply_floor(reflectivity, floor_dbz), nan=floor_dbz))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
