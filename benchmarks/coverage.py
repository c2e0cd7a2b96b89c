"""Coverage of intervals: Monte Carlo dropout as published, the distribution, and that calibrated.

Run `python benchmarks/coverage.py`, after an ingest of the source. All rows are the shipped
weights, or a checkpoint of yours, on the same pixels of whole days, with one set of dropout masks:

- standard error: mean of each pass's most likely field, and its standard error, the standard
  deviation over the square root of the number of passes. King et al. (2024) state it as the
  confidence;
- spread: the same mean with the standard deviation itself;
- distribution: the predictive distribution of all passes, uncalibrated;
- calibrated: the distribution that products state;
- climatology: quantiles of the training days given the lowest visible row, the opponent.

The first two become a normal distribution, cut off at the sensitivity floor. "PIT" is the share of
probability integral transforms inside the nominal interval, drawn at random within the atom at the
floor. Coverage over all pixels is above nominal, since clear sky is certain; the PIT of a
calibrated distribution is nominal.

A second table is of echo pixels alone, and of the distribution given echo; there the climatology is
one of echo alone. On the days of its calibration a checkpoint is also scored by calibrations of the
other days.

`python benchmarks/coverage.py --other-radars` prints the coverage elsewhere, over all archived days
of other radars.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import xarray as xr
from passes import OTHER_RADARS, estimate_passes
from scipy.stats import norm

from blindzone.core.errors import CurtainError
from blindzone.core.forward_passes import FixedPasses
from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.experiments.schemes import build_schemes
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.models.baselines import Baseline, ClimatologyConfig
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.inpainting.calibration import Calibration, CalibrationByDepth
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    fit_calibration,
    sample_day,
    score_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.inpaint_curtain import (
    assess_curtain,
    check_fits,
    fill_curtain,
    predict_curtain,
)
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.verification.curtain_scores import CurtainSums, Regime, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

SOURCE = "palaiseau_basta"
NOMINAL = (50, 80, 90, 95)
HEADER = (
    "| {block} block, {days} days, N = {passes} | coverage of all, 50 / 80 / 90 / 95 % | of"
    " echo | PIT, 50 / 80 / 90 % | width of 90 %, dB | CRPS, dB | Brier reliability | spread-skill"
    " |\n|---|---|---|---|---|---|---|---|"
)
HEADER_GIVEN_ECHO = (
    "| {block} block, echo alone | coverage, 50 / 80 / 90 / 95 % | width of 50 / 80 / 90 / 95 %, dB"
    " | CRPS, dB |\n|---|---|---|---|"
)
HEADER_OTHERS = (
    "| radar | profiles | echo, % of pixels | coverage of all, 90 % | of echo, 90 % | given echo,"
    " 50 / 80 / 90 / 95 % | profiles flagged, % | unlike training, % | flagged for"
    " |\n|---|---|---|---|---|---|---|---|---|"
)
PARTS_HEADER = (
    "| calibrated | share of pixels, % | of echo, % | coverage of all, 50 / 80 / 90 / 95 % | of"
    " echo | given echo |\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Prediction of a day's hidden rows.

    Attributes:
        probability: Probability of echo `(time, row)`.
        quantiles: At `EVALUATION_LEVELS` [dBZ] `(level, time, row)`.
        given_echo: The same given echo; None if there is none.
    """

    probability: np.ndarray
    quantiles: np.ndarray
    given_echo: np.ndarray | None = None


Scored = dict[str, list[CurtainSums]]
"""Sums of each day, by the name of the forecast."""


def main() -> None:
    """Prints the tables of each block, or that of other radars."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=Path, default=SHIPPED_WEIGHTS, help="a trained network"
    )
    parser.add_argument(
        "--archive", type=Path, default=archive_folder(), help="folder of the zarr archive"
    )
    parser.add_argument(
        "--block",
        choices=("validation", "test"),
        action="append",
        help="days (default: both blocks)",
    )
    parser.add_argument("--realizations", type=int, default=50, help="number of passes")
    parser.add_argument(
        "--other-radars", action="store_true", help="all archived days of other radars"
    )
    options = parser.parse_args()
    store = Archive(options.archive)
    if options.other_radars:
        print_others(store, options.checkpoint, options.realizations)
        return
    for block in options.block or ("validation", "test"):
        print_block(block, store, read_catalog()[SOURCE], options.checkpoint, options.realizations)


def print_block(block: str, store: Archive, entry: Source, checkpoint: Path, passes: int) -> None:
    """Prints the tables of a block's days, and the coverage of products by regime and row."""
    data = SourceData(name=SOURCE, catalog=read_catalog(), archive=store)
    layer, days = layer_of(data.entry), find_days(data, block)
    climatology, of_echo = fit_climatologies(store, entry, layer)
    forecaster = Forecaster(checkpoint, SOURCE, entry, passes)
    others = forecaster.calibrate_by_others(store, days, layer)
    sums: Scored = {}
    given_echo: Scored = {}
    for day in days:
        curtain, _ = store.read_granule(SOURCE, day)
        forecasts = dict(forecaster.forecast(curtain, others.get(day)))
        forecasts["climatology"] = forecast_climatology(climatology, of_echo, layer, curtain)
        for name, forecast in forecasts.items():
            sums.setdefault(name, []).append(
                layer.score(curtain, forecast.probability, forecast.quantiles)
            )
            for of, of_echo_alone in score_echo(name, forecast, layer, curtain):
                given_echo.setdefault(of, []).append(of_echo_alone)
    print(HEADER.format(block=block, days=len(days), passes=passes))
    for name, found in sums.items():
        print(format_row(name, reduce(add, found)))
    print()
    print(HEADER_GIVEN_ECHO.format(block=block))
    for name, found in given_echo.items():
        print(format_row_given_echo(name, reduce(add, found)))
    print()
    if "calibrated" in sums:
        print_parts(
            reduce(add, sums["calibrated"]), reduce(add, given_echo["calibrated"]), layer.lowest_row
        )


def score_echo(
    name: str, forecast: Forecast, layer: ScoredLayer, curtain: xr.Dataset
) -> Iterator[tuple[str, CurtainSums]]:
    """Yields the scores of echo alone: of the whole distribution, and of that given echo."""
    if forecast.given_echo is not None:
        for of, quantiles in ((f"{name}, of all", forecast.quantiles), (name, forecast.given_echo)):
            yield of, score_given_echo(layer, curtain, quantiles)


def forecast_climatology(
    climatology: Baseline[ClimatologyConfig],
    of_echo: Baseline[ClimatologyConfig],
    layer: ScoredLayer,
    curtain: xr.Dataset,
) -> Forecast:
    """Returns the forecast of the climatology, and of that of echo alone."""
    visible = layer.part(curtain)[0]
    opponent = climatology.predict(visible)
    return Forecast(
        probability=opponent.probability,
        quantiles=opponent.quantiles,
        given_echo=of_echo.predict(visible).quantiles,
    )


def fit_climatologies(
    store: Archive, entry: Source, layer: ScoredLayer
) -> tuple[Baseline[ClimatologyConfig], Baseline[ClimatologyConfig]]:
    """Returns the climatology of the training days, and that of their echo alone."""
    climatology, of_echo = (build_schemes(("climatology",), layer)["climatology"] for _ in range(2))
    for day in entry.split.training:
        visible, hidden, trusted = layer.part(store.read_granule(SOURCE, day)[0])
        climatology.fit(visible, hidden, trusted)
        of_echo.fit(visible, hidden, trusted & (hidden > np.float32(layer.floor_dbz)))
    return climatology, of_echo


class Forecaster:
    """All forecasts of a checkpoint, by name."""

    def __init__(self, checkpoint: Path, source: str, entry: Source, passes: FixedPasses) -> None:
        self.trained = open_network(checkpoint).fit_zone(entry.blind_zone, where=source)
        self.layer, self.passes = layer_of(entry), passes

    def forecast(
        self, curtain: xr.Dataset, by_others: Calibration | None = None
    ) -> Iterator[tuple[str, Forecast]]:
        """Yields name and forecast.

        Args:
            curtain: Gridded radar curtain.
            by_others: A calibration fitted without this day, if it is a day of the calibration.
        """
        if isinstance(self.passes, int):
            yield from forecast_spread(curtain, self.trained, self.passes)
        probability, intensity_dbz = self.predict(curtain)
        yield "distribution", self.summarize(probability, intensity_dbz)
        visible = self.layer.part(curtain)[0]
        own = self.trained.calibration
        for name, calibration in (
            # That of a network which is fitted to a zone is of its depth alone.
            ("calibrated", own.classes[0] if isinstance(own, CalibrationByDepth) else None),
            ("calibrated by other days", by_others),
        ):
            if calibration is not None:
                calibrated = calibration.apply_below(visible, probability, intensity_dbz)
                yield name, self.summarize(*calibrated)

    def predict(self, curtain: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Returns probability of echo `(time, row)` and intensities [dBZ] `(time, row, value)`."""
        trained = self.trained
        return predict_curtain(curtain, trained.network, trained.preprocessing, self.passes, 0)[:2]

    def summarize(self, *parts: np.ndarray) -> Forecast:
        """Returns what is scored of a distribution."""
        summary = summarize_distribution(
            *parts, floor_dbz=self.trained.preprocessing.floor_dbz, levels=EVALUATION_LEVELS
        )
        return Forecast(
            probability=summary["hydrometeor_probability"].values,
            quantiles=summary["reflectivity_quantile"].values,
            given_echo=summary["reflectivity_quantile_given_echo"].values,
        )

    def calibrate_by_others(
        self, store: Archive, days: Sequence[date], layer: ScoredLayer
    ) -> Mapping[date, Calibration]:
        """Returns for each day of the calibration one by the other days; else none."""
        record = self.trained.checkpoint.calibration or {}
        if {str(day) for day in days} - set(record.get("days", ())) or len(days) < 2:
            return {}
        config = CalibrationConfig(**record["configuration"])
        samples = {}
        for day in days:
            curtain, _ = store.read_granule(SOURCE, day)
            visible, hidden, trusted = layer.part(curtain)
            samples[day] = sample_day(
                *self.predict(curtain),
                hidden,
                scored=trusted,
                visible=visible,
                time=curtain["time"].values,
                floor_dbz=layer.floor_dbz,
                config=config,
            )
        return {
            day: fit_calibration(
                [sample for other, sample in samples.items() if other != day],
                config,
                hidden_rows=layer.hidden_rows,
                floor_dbz=layer.floor_dbz,
            )
            for day in days
        }


def print_others(store: Archive, checkpoint: Path, passes: int) -> None:
    """Prints the coverage of calibrated intervals of other radars, and their flags."""
    print(HEADER_OTHERS)
    catalog = read_catalog()
    for source in OTHER_RADARS:
        try:
            print(format_other(source, catalog[source], store, checkpoint, passes), flush=True)
        except CurtainError as error:
            print(f"| {source} | rejected: {error} |" + " |" * 7)


def format_other(source: str, entry: Source, store: Archive, checkpoint: Path, passes: int) -> str:
    """Returns the line of all days of a radar.

    Raises:
        CurtainError: If its curtains do not fit the checkpoint.
    """
    forecaster, layer = Forecaster(checkpoint, source, entry, passes), layer_of(entry)
    trained = forecaster.trained
    everywhere, given_echo, flags = [], [], []
    for day in store.days(source):
        curtain, _ = store.read_granule(source, day)
        check_fits(curtain, trained.preprocessing, where=f"{source} {day}")
        filled = fill_curtain(
            curtain,
            trained.network,
            trained.preprocessing,
            passes,
            0,
            levels=EVALUATION_LEVELS,
            calibration=trained.calibration,
        )
        probability, quantiles, of_echo = (
            filled[name].values
            for name in (
                "hydrometeor_probability",
                "reflectivity_quantile",
                "reflectivity_quantile_given_echo",
            )
        )
        everywhere.append(layer.score(curtain, probability, quantiles))
        given_echo.append(score_given_echo(layer, curtain, of_echo))
        flags.append(assess(curtain, entry, trained))
    if not flags:
        return f"| {source} | not in the archive |" + " |" * 7
    whole, of_echo_alone = reduce(add, everywhere), reduce(add, given_echo)
    scores = whole.scores()
    echo = of_echo_alone.pixels.pixels.sum() / whole.pixels.pixels.sum()
    coverage = [digits(scores[f"coverage 90 %{of}"]) for of in ("", " echo")]
    return (
        f"| {source} | {sum(map(len, flags))} | {100 * echo:.1f} | {' | '.join(coverage)}"
        f" | {join(of_echo_alone.scores(), 'coverage {} %')}"
        f" | {format_flags(np.concatenate(flags))} |"
    )


def assess(curtain: xr.Dataset, entry: Source, trained: TrainedNetwork) -> np.ndarray:
    """Returns the `out_of_range_flag` of each profile `(time,)`, nothing if it is not assessed."""
    assessment = assess_curtain(
        curtain,
        trained.preprocessing,
        trained.checkpoint.calibration,
        frequency_ghz=entry.find_frequency(curtain.attrs),
        floor_dbz=entry.quality.sensitivity_floor_dbz,
    )
    if assessment is None:
        return np.zeros(0, dtype=np.int16)
    return np.asarray(assessment["out_of_range_flag"].values)


def format_flags(flags: np.ndarray) -> str:
    """Returns the shares of profiles with any bit and unlike training, and the common bits."""
    unlike = flags & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0
    common = [
        bit.name.lower() for bit in OutOfRangeFlag if bit.name and (flags & bit != 0).mean() > 0.5
    ]
    return f"{100 * (flags != 0).mean():.1f} | {100 * unlike.mean():.1f} | {', '.join(common)}"


def forecast_spread(
    curtain: xr.Dataset, trained: TrainedNetwork, passes: int
) -> Iterator[tuple[str, Forecast]]:
    """Yields the mean of all passes with its standard error, and with their spread."""
    fields = estimate_passes(curtain, trained, passes)
    mean, deviation = fields.mean(axis=-1), fields.std(axis=-1, ddof=1)
    floor = trained.preprocessing.floor_dbz
    probability = (fields > floor).mean(axis=-1)
    for name, error in (
        ("standard error", deviation / np.sqrt(passes)),
        ("spread", deviation),
    ):
        quantiles = [mean + norm.ppf(level) * error for level in EVALUATION_LEVELS]
        bounded = np.maximum(quantiles, floor).astype(np.float32)
        yield name, Forecast(probability=probability, quantiles=bounded)


def format_row(name: str, sums: CurtainSums) -> str:
    """Returns a line of the table."""
    scores = summarize_sums(sums)
    covered = [join(scores, f"coverage {{}} %{of}") for of in ("", " echo")]
    inside = join(scores, "PIT inside {} %", NOMINAL[:3])
    numbers = (
        f"{scores['width 90 % [dB]']:.2f} | {scores['CRPS [dB]']:.3f} | {scores['reliability']:.4f}"
    )
    return (
        f"| {name} | {covered[0]} | {covered[1]} | {inside} | {numbers} |"
        f" {scores['spread-skill ratio']:.2f} |"
    )


def format_row_given_echo(name: str, sums: CurtainSums) -> str:
    """Returns a line of the table of echo alone."""
    scores = sums.scores()
    widths = join(scores, "width {} % [dB]", decimals=1)
    return f"| {name} | {join(scores, 'coverage {} %')} | {widths} | {scores['CRPS [dB]']:.3f} |"


def join(
    scores: Mapping[str, float], name: str, nominal: Sequence[int] = NOMINAL, decimals: int = 3
) -> str:
    """Returns a score of each interval."""
    return " / ".join(digits(scores[name.format(interval)], decimals) for interval in nominal)


def digits(score: float, decimals: int = 3) -> str:
    """Returns a score in digits, and a dash for one without data."""
    return f"{score:.{decimals}f}" if np.isfinite(score) else "-"


def print_parts(sums: CurtainSums, given_echo: CurtainSums, lowest_row: int) -> None:
    """Prints the coverage of calibrated intervals by regime and row, from the ground."""
    whole, echo = sums.pixels.pixels.sum(), given_echo.pixels.pixels.sum()
    print(PARTS_HEADER)
    parts = [(regime.name.lower(), {"regime": int(regime)}) for regime in Regime]
    parts += [(f"row {lowest_row + row}", {"row": row}) for row in range(len(sums.pixels.pixels))]
    for name, which in parts:
        part, of_echo = (pixels.select(**which) for pixels in (sums.pixels, given_echo.pixels))
        scores, shares = part.scores(), (part.pixels.sum() / whole, of_echo.pixels.sum() / echo)
        if shares[0]:
            covered = [join(scores, f"coverage {{}} %{of}") for of in ("", " echo")]
            covered.append(join(of_echo.scores(), "coverage {} %"))
            print(
                f"| {name} | {100 * shares[0]:.1f} | {100 * shares[1]:.1f} |"
                f" {' | '.join(covered)} |"
            )
    print()


if __name__ == "__main__":
    main()
