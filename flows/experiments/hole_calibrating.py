"""Calibration of a network that repairs holes: on drawn holes of days that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from blindzone.core.forward_passes import Passes
from blindzone.flows.experiments.hole_scoring import hide_day, predict_pixels
from blindzone.flows.running.progress import stage
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork
from blindzone.pipeline.inpainting.calibration_fit import CalibrationConfig
from blindzone.pipeline.inpainting.calibration_verdict import HOLES, PASSED, judge_scores
from blindzone.pipeline.inpainting.hole_calibration import HoleCalibration
from blindzone.pipeline.inpainting.hole_calibration_fit import HolePixels, fit_hole_calibration
from blindzone.pipeline.verification.hole_scores import MIXED, HoleSums

OCCURRENCE_DAYS = 16.0
"""Days that a group needs for its own curve of occurrence to count half, at most. Holes of few days
tell more of others than blind zones do: on validation days withheld the CRPS is .4311 dB with 256,
.4295 with 16 and .4394 with 4."""
DRAWS = 3
"""Draws of holes for each day, all kinds in turn: with 37 blocks a day some 14 holes of a kind."""


@dataclass(frozen=True, kw_only=True)
class FittedHoles:
    """A calibration of holes.

    Attributes:
        calibration: The fit to all days.
        scores: Scores of the days `before`, and `after` a calibration by the other days.
    """

    calibration: HoleCalibration
    scores: dict[str, dict[str, float]]

    def to_record(self) -> dict[str, Any]:
        """Returns what a checkpoint's record holds of it."""
        known = {
            when: {name: round(value, 5) for name, value in table.items() if np.isfinite(value)}
            for when, table in self.scores.items()
        }
        return {
            PASSED: judge_scores(self.scores["after"]),
            "scores": known,
            HOLES: self.calibration.to_dict(),
        }


def fit_holes(
    network: TrainedNetwork,
    days: Sequence[tuple[SourceData, date]],
    config: CalibrationConfig,
    *,
    passes: Passes,
    seed: int,
) -> FittedHoles:
    """Returns a calibration fitted to drawn holes of days, and its scores.

    Args:
        network: A network that repairs holes.
        days: The days, each with its source.
        config: How it is fitted.
        passes: How windows are passed.
        seed: Seed of the passes and of the draw.

    Raises:
        CurtainError: If no truth is trusted.
    """
    config = replace(config, occurrence_days=min(config.occurrence_days, OCCURRENCE_DAYS))
    pixels: list[list[HolePixels]] = []
    with stage("holes") as on_progress:
        for number, (data, day) in enumerate(days, start=1):
            drawn = [hide_day(data, day, MIXED, seed=seed + draw) for draw in range(DRAWS)]
            pixels.append(
                [predict_pixels(network, hidden, passes=passes, seed=seed) for hidden in drawn]
            )
            on_progress(number / len(days), data.where(day))
    flat = [one for of_day in pixels for one in of_day]
    return FittedHoles(
        calibration=fit_hole_calibration(flat, config),
        scores={
            "before": _summarize([one.score(None) for one in flat]),
            "after": _summarize(_score_withheld(pixels, config)),
        },
    )


def _score_withheld(
    pixels: Sequence[Sequence[HolePixels]], config: CalibrationConfig
) -> list[HoleSums]:
    """Returns the sums of each day by a calibration of the others; none of a single day."""
    sums = []
    for number, withheld in enumerate(pixels):
        others = [one for at, day in enumerate(pixels) if at != number for one in day]
        if others:
            fitted = fit_hole_calibration(others, config)
            sums += [one.score(fitted) for one in withheld]
    return sums


def _summarize(sums: Sequence[HoleSums]) -> dict[str, float]:
    """Returns the scores of days together, those that a verdict is passed on among them."""
    return reduce(add, sums).summarize() if sums else {}


def list_groups(
    calibration: HoleCalibration,
) -> tuple[tuple[str, int, int, int, int, int], ...]:
    """Returns kind, class of distance, days and blocks with any pixels and with echo of groups."""
    return tuple(
        (
            group.regime.lower(),
            group.band,
            group.days,
            group.blocks,
            group.echo_days,
            group.echo_blocks,
        )
        for group in calibration.groups
    )
