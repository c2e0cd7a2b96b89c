"""Fits a `HoleCalibration` to a network's predictions of drawn holes, and scores it.

As in `inpainting.calibration_fit`, a group of few days is drawn towards the coarser one: a kind and
class of distance towards the kind, that towards all holes, and these towards the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.calibration import UNCHANGED, Calibrated
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    find_residuals,
    fit_group,
    name_group,
    pool_samples,
)
from blindzone.pipeline.inpainting.hole_calibration import (
    CALIBRATED_KINDS,
    DISTANCES,
    HoleCalibration,
    class_distances,
    group_kinds,
)
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.verification.hole_scores import HoleSums, sum_holes
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS


@dataclass(frozen=True, kw_only=True, eq=False)
class HolePixels:
    """Predictions and observations of pixels of holes, with trusted truth.

    Attributes:
        kinds: `HiddenKind` of each `(pixel,)`.
        distance: How far it is from visible data [profiles] `(pixel,)`.
        time: Time of its profile, datetime64 `(pixel,)`.
        truth: Its reflectivity as max(dBZ, floor) `(pixel,)`.
        probability: Predicted probability of echo `(pixel,)`.
        intensity_dbz: Predicted intensities given echo [dBZ], increasing, `(pixel, realization)`.
        floor_dbz: Sensitivity floor [dBZ].
    """

    kinds: np.ndarray
    distance: np.ndarray
    time: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    intensity_dbz: np.ndarray
    floor_dbz: float

    def sample(self, config: CalibrationConfig) -> CalibrationSample:
        """Returns what a calibration is fitted to."""
        seconds = (self.time - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
        echo = self.truth > self.floor_dbz
        return CalibrationSample(
            probability=self.probability.astype(np.float32),
            echo=echo,
            regime=group_kinds(self.kinds),
            row=class_distances(self.distance),
            day=np.floor(seconds / 86400).astype(np.int64),
            block=np.floor(seconds / config.block_s).astype(np.int64),
            truth=self.truth[echo].astype(np.float32),
            intensity=np.maximum(self.intensity_dbz[echo], np.float32(self.floor_dbz)),
        )

    def score(self, calibration: HoleCalibration | None) -> HoleSums:
        """Returns the sums of scores of these pixels, calibrated or not."""
        parts: Calibrated | tuple[np.ndarray, np.ndarray] = (self.probability, self.intensity_dbz)
        if calibration is not None:
            parts = calibration.apply(self.kinds, self.distance, *parts)
        # (pixel,) -> (time, row) of one row
        summary = summarize_distribution(
            *(part[:, None] for part in parts), floor_dbz=self.floor_dbz, levels=EVALUATION_LEVELS
        )
        return sum_holes(
            self.truth[:, None],
            np.ones((self.truth.size, 1), dtype=bool),
            summary["hydrometeor_probability"].values,
            summary["reflectivity_quantile"].values,
            summary["reflectivity_quantile_given_echo"].values,
            floor_dbz=self.floor_dbz,
        )


def fit_hole_calibration(days: Sequence[HolePixels], config: CalibrationConfig) -> HoleCalibration:
    """Returns the calibration that fits the pixels of some days.

    Raises:
        CurtainError: If none of them has a pixel.
    """
    samples = [day.sample(config) for day in days if day.truth.size]
    if not samples:
        raise CurtainError(
            f"calibration of holes: none of {len(days)} days has a hidden pixel with trusted truth;"
            " days with measured profiles are right"
        )
    pooled = pool_samples(samples)
    residuals = find_residuals(pooled)
    whole = fit_group(pooled, residuals, np.ones_like(pooled.echo), UNCHANGED, config)
    groups = []
    for kind in CALIBRATED_KINDS:
        of_kind = pooled.regime == kind
        coarser = fit_group(pooled, residuals, of_kind, whole, config)
        for number in range(len(DISTANCES)):
            named = name_group(coarser, kind.name, number)
            inside = of_kind & (pooled.row == number)
            groups.append(fit_group(pooled, residuals, inside, named, config))
    return HoleCalibration(floor_dbz=days[0].floor_dbz, distances=DISTANCES, groups=tuple(groups))
