"""How much spread over error, and what a calibration gains, differ from day to day.

Run `python benchmarks/calibration_days.py`, after an ingest of all days of the source. Days that
the network never saw are predicted in a single pass: those of validation, and the archived days of
no block, which are nearly clear. Each is scored as it is predicted, calibrated by the other
validation days, and calibrated by all other days. With `--occurrence-days K` a group of n days
counts n / (n + K) where its curve of occurrence is concerned, in place of K = 256.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import reduce
from operator import add
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from coverage import SOURCE, Forecaster

from blindzone.core.forward_passes import SINGLE
from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    fit_calibration,
    sample_day,
    summarize_sums,
)
from blindzone.pipeline.verification.curtain_scores import CurtainSums

WAYS = ("uncalibrated", "by other validation days", "by all other days")
HEADER = (
    "| days | echo, % of pixels | "
    + " | ".join(f"{of}: {way}" for of in ("spread / error", "CRPS, dB") for way in WAYS)
    + " |\n|---|---|"
    + "---|---|" * len(WAYS)
)

Scored = Mapping[str, CurtainSums]
"""Sums of a day by way of calibrating."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_WEIGHTS, help="a network")
    parser.add_argument("--archive", type=Path, default=archive_folder(), help="the zarr archive")
    parser.add_argument("--occurrence-days", type=float, default=256.0, help="the K of occurrence")
    asked = parser.parse_args()
    data = SourceData(name=SOURCE, catalog=read_catalog(), archive=Archive(asked.archive))
    split = data.entry.split
    validation = find_days(data, "validation")
    blocks = {*split.training, *validation, *split.test}
    others = tuple(day for day in data.days if day not in blocks)
    config = CalibrationConfig(occurrence_days=asked.occurrence_days)
    unseen = tuple(sorted((*validation, *others)))
    days = Days(data, asked.checkpoint, unseen, config)
    print(HEADER)
    scored: dict[date, Scored] = {}
    for day in unseen:
        sums = (days.score(day), days.score(day, validation), days.score(day, unseen))
        scored[day] = dict(zip(WAYS, sums, strict=True))
        print(format_row(f"{day}", [scored[day]]), flush=True)
    print(format_row("validation days", [scored[day] for day in validation]))
    if others:
        print(format_row("days of no block", [scored[day] for day in others]))
    print(format_row("all", list(scored.values())))


class Days:
    """Days that a network never saw, and its predictions of them.

    Args:
        data: The source.
        checkpoint: The network.
        days: The days.
        config: How calibrations are fitted.
    """

    def __init__(
        self, data: SourceData, checkpoint: Path, days: Sequence[date], config: CalibrationConfig
    ) -> None:
        self.data, self.config, self.layer = data, config, layer_of(data.entry)
        self.forecaster = Forecaster(checkpoint, SOURCE, data.entry, SINGLE)
        self.predictions = {day: self.forecaster.predict(data.read(day)) for day in days}
        self.samples = {day: self.sample(day) for day in days}

    def sample(self, day: date) -> CalibrationSample:
        """Returns what a calibration is fitted to."""
        curtain = self.data.read(day)
        visible, hidden, trusted = self.layer.part(curtain)
        return sample_day(
            *self.predictions[day],
            hidden,
            scored=trusted,
            visible=visible,
            time=curtain["time"].values,
            floor_dbz=self.layer.floor_dbz,
            config=self.config,
        )

    def score(self, day: date, by: Iterable[date] = ()) -> CurtainSums:
        """Returns the sums of a day, calibrated by the other ones of some days, if any."""
        curtain = self.data.read(day)
        parts: tuple[np.ndarray, ...] = self.predictions[day]
        if fitted := [self.samples[other] for other in by if other != day]:
            calibration = fit_calibration(
                fitted,
                self.config,
                hidden_rows=self.layer.hidden_rows,
                floor_dbz=self.layer.floor_dbz,
            )
            visible = self.layer.part(curtain)[0]
            parts = calibration.apply_below(visible, *self.predictions[day])
        forecast = self.forecaster.summarize(*parts)
        return self.layer.score(curtain, forecast.probability, forecast.quantiles)


def format_row(name: str, days: Sequence[Scored]) -> str:
    """Returns a line of the table."""
    pooled = {way: reduce(add, (one[way] for one in days)) for way in WAYS}
    scores = {way: summarize_sums(sums) for way, sums in pooled.items()}
    pixels = pooled[WAYS[0]].pixels
    echo = (pixels.hits + pixels.misses).sum() / pixels.pixels.sum()
    ratios = " | ".join(f"{scores[way]['spread-skill ratio']:.2f}" for way in WAYS)
    crps = " | ".join(f"{scores[way]['CRPS [dB]']:.4f}" for way in WAYS)
    return f"| {name} | {100 * echo:.1f} | {ratios} | {crps} |"


if __name__ == "__main__":
    main()
