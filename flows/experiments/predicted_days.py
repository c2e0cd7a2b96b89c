"""Predictions of withheld days, with the truth that a calibration is fitted to and scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from blindzone.flows.experiments.field_scoring import DayFields, take_fields
from blindzone.flows.running.source_data import SourceData
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    fit_calibration,
    sample_day,
    score_given_echo,
)
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.verification.curtain_scores import CurtainSums, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

SourceDay = tuple[str, date]
"""Name of a source, and its day."""


@dataclass(frozen=True, kw_only=True)
class PredictedDays:
    """Predictions of days, with the truth that they are compared with.

    Attributes:
        data: The data of each source.
        layer: The rows that are hidden and scored.
        files: File of each day's prediction.
    """

    data: Mapping[str, SourceData]
    layer: ScoredLayer
    files: Mapping[SourceDay, Path]

    def read(self, day: SourceDay) -> tuple[np.ndarray, np.ndarray]:
        """Returns probability `(time, row)` and intensities `(time, row, value)` [dBZ]."""
        with np.load(self.files[day], allow_pickle=False) as prediction:
            return prediction["probability"], prediction["intensity"]

    def sample(self, day: SourceDay, config: CalibrationConfig) -> CalibrationSample:
        """Returns what a calibration is fitted to of a day."""
        curtain = self.data[day[0]].read(day[1])
        visible, hidden, trusted = self.layer.part(curtain)
        return sample_day(
            *self.read(day),
            hidden,
            scored=trusted,
            visible=visible,
            time=curtain["time"].values,
            floor_dbz=self.layer.floor_dbz,
            config=config,
        )

    def fit(self, samples: Sequence[CalibrationSample], config: CalibrationConfig) -> Calibration:
        """Returns a calibration fitted to days."""
        return fit_calibration(
            samples, config, hidden_rows=self.layer.hidden_rows, floor_dbz=self.layer.floor_dbz
        )

    def take_fields(self, day: SourceDay, calibration: Calibration) -> DayFields:
        """Returns the truth and the calibrated distributions of one day."""
        curtain = self.data[day[0]].read(day[1])
        visible, _, _ = self.layer.part(curtain)
        parts = calibration.apply_below(visible, *self.read(day))
        summary = summarize_distribution(*parts, floor_dbz=self.layer.floor_dbz)
        return take_fields(curtain, summary, self.layer)

    def score(
        self, day: SourceDay, calibration: Calibration | None
    ) -> tuple[CurtainSums, CurtainSums]:
        """Returns the sums of one day, calibrated or not, over all pixels and given echo."""
        curtain = self.data[day[0]].read(day[1])
        parts: tuple[np.ndarray, ...] = self.read(day)
        if calibration is not None:
            visible, _, _ = self.layer.part(curtain)
            parts = calibration.apply_below(visible, *parts)
        floor_dbz = self.layer.floor_dbz
        summary = summarize_distribution(*parts, floor_dbz=floor_dbz, levels=EVALUATION_LEVELS)
        probability, quantiles, given_echo = (
            summary[name].values
            for name in (
                "hydrometeor_probability",
                "reflectivity_quantile",
                "reflectivity_quantile_given_echo",
            )
        )
        return (
            self.layer.score(curtain, probability, quantiles),
            score_given_echo(self.layer, curtain, given_echo),
        )
