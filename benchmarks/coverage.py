"""How often intervals hold: Monte Carlo dropout as published, the predictive distribution, and that calibrated.

Run `python benchmarks/coverage.py`, after an ingest of the source. All rows are the shipped
weights, or a checkpoint of yours, on the same pixels of whole days, one set of dropout masks for
all:

- standard error: mean of what each pass takes for most likely, a value or none, and its standard
  error, the standard deviation over the square root of the number of passes. King et al. (2024)
  state it as the confidence;
- spread: the same mean with the standard deviation itself;
- distribution: what products state, uncalibrated: probabilities and expected errors of all passes;
- calibrated: what products state;
- climatology: quantiles of the training days given the lowest visible row, the opponent.

Of the first two a normal distribution is taken, cut off at the sensitivity floor. "PIT" is the
share of probability integral transforms inside the nominal interval, drawn at random within the
atom at the floor: unlike coverage over all pixels, which certain clear sky lifts above nominal, it
is nominal for a calibrated distribution.

A second table is of echo pixels alone, and of what is told of them given that there is echo; there
the climatology is one of echo alone. On the days of its calibration a checkpoint is also scored by
calibrations of the other days.

`python benchmarks/coverage.py --other-radars` prints how often the calibrated intervals hold
elsewhere, over all days that the archive holds of other radars.
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
from scipy.stats import norm

from blindzone.core.errors import CurtainError
from blindzone.flows.evaluate import build_schemes, find_days, layer_of
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.models.baselines import Baseline, ClimatologyConfig
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.curtains.cf import OutOfRangeFlag
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    fit_calibration,
    sample_day,
    score_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.inpaint_curtain import (
    LONGEST_GAP_S,
    assess_curtain,
    check_fits,
    fill_curtain,
    find_calibration,
    predict_curtain,
)
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.inference_windows import (
    cut_windows,
    find_stretches,
    pick_windows,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.verification.curtain_scores import CurtainSums, Regime, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

SOURCE = "palaiseau_basta"
OTHER_RADARS = (
    "rpg94_juelich",
    "rpg94_ny_alesund",
    "cabauw_categorize",
    "granada_rpg94",
    "schneefernerhaus_mira",
    "arm_kazr_sgp",
    "arm_kazr_oliktok",
    "mrr_pro",
)
NOMINAL = (50, 80, 90, 95)
HEADER = (
    "| {block} block, {days} days, N = {realizations} | coverage of all, 50 / 80 / 90 / 95 % | of"
    " echo | PIT, 50 / 80 / 90 % | width of 90 %, dB | CRPS, dB | Brier reliability | spread-skill"
    " |\n|---|---|---|---|---|---|---|---|"
)
HEADER_GIVEN_ECHO = (
    "| {block} block, echo alone | coverage, 50 / 80 / 90 / 95 % | width of 50 / 80 / 90 / 95 %, dB"
    " | CRPS, dB |\n|---|---|---|---|"
)
HEADER_OTHERS = (
    "| radar | profiles | echo, % of pixels | coverage of all, 90 % | of echo, 90 % | given echo,"
    " 50 / 80 / 90 / 95 % | profiles flagged, % | unlike what was seen, % | flagged for"
    " |\n|---|---|---|---|---|---|---|---|---|"
)
PARTS_HEADER = (
    "| calibrated | share of pixels, % | of echo, % | coverage of all, 50 / 80 / 90 / 95 % | of"
    " echo | given echo |\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a way says of a day.

    Attributes:
        probability: Probability of echo `(time, row)`.
        quantiles: At `EVALUATION_LEVELS` [dBZ] `(level, time, row)`.
        given_echo: The same given echo; None where nothing is told of it.
    """

    probability: np.ndarray
    quantiles: np.ndarray
    given_echo: np.ndarray | None = None


Scored = dict[str, list[CurtainSums]]
"""Sums of each day, by the name of the way."""


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
        "--other-radars", action="store_true", help="of all days that the archive holds of others"
    )
    options = parser.parse_args()
    store = Archive(options.archive)
    if options.other_radars:
        print_others(store, options.checkpoint, options.passes)
        return
    for block in options.block or ("validation", "test"):
        print_block(block, store, read_catalog()[SOURCE], options.checkpoint, options.passes)


def print_block(block: str, store: Archive, entry: Source, checkpoint: Path, passes: int) -> None:
    """Prints the tables of a block's days, and by regime and row how often what products state holds."""
    layer, days = layer_of(entry), find_days(SOURCE, entry, store, block)
    climatology, of_echo = fit_climatologies(store, entry, layer)
    speaker = Speaker(checkpoint, entry, passes)
    others = speaker.calibrate_by_others(store, days, layer)
    sums: Scored = {}
    given_echo: Scored = {}
    for day in days:
        curtain, _ = store.read_granule(SOURCE, day)
        visible = layer.part(curtain)[0]
        prediction = dict(speaker.say(curtain, others.get(day)))
        opponent = climatology.predict(visible)
        prediction["climatology"] = Said(
            probability=opponent.probability,
            quantiles=opponent.quantiles,
            given_echo=of_echo.predict(visible).quantiles,
        )
        for name, of_day in prediction.items():
            sums.setdefault(name, []).append(
                layer.score(curtain, of_day.probability, of_day.quantiles)
            )
            if of_day.given_echo is not None:
                for way, quantiles in (
                    (f"{name}, of all", of_day.quantiles),
                    (name, of_day.given_echo),
                ):
                    given_echo.setdefault(way, []).append(
                        score_given_echo(layer, curtain, quantiles)
                    )
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


def fit_climatologies(
    store: Archive, entry: Source, layer: ScoredLayer
) -> tuple[Baseline[ClimatologyConfig], Baseline[ClimatologyConfig]]:
    """Returns the climatology of the training days given the lowest visible row, and that of their echo alone."""
    climatology, of_echo = (build_schemes(("climatology",), layer)["climatology"] for _ in range(2))
    for day in entry.split.training:
        visible, hidden, trusted = layer.part(store.read_granule(SOURCE, day)[0])
        climatology.fit(visible, hidden, trusted)
        of_echo.fit(visible, hidden, trusted & (hidden > np.float32(layer.floor_dbz)))
    return climatology, of_echo


class Speaker:
    """Tells all that a checkpoint says of a curtain, by the name of the way."""

    def __init__(self, checkpoint: Path, entry: Source, passes: int) -> None:
        self.trained: Checkpoint = read_checkpoint(checkpoint)
        shown = Preprocessing.from_dict(self.trained.preprocessing)
        self.preprocessing = shown.fit_zone(entry.blind_zone, where=SOURCE)
        self.network = MonteCarloNetwork(
            self.trained.network, self.trained.config, floor_unit=self.preprocessing.floor_unit
        )
        self.calibration = find_calibration(self.trained.calibration, self.preprocessing)
        self.layer, self.passes = layer_of(entry), passes

    def say(
        self, curtain: xr.Dataset, by_others: Calibration | None = None
    ) -> Iterator[tuple[str, Said]]:
        """Yields each way and what it says; by others: a calibration that did not see this day, if this one did."""
        yield from state_spread(curtain, self.network, self.preprocessing, self.passes)
        probability, intensity_dbz = self.predict(curtain)
        yield "distribution", self.summarize(probability, intensity_dbz)
        visible = self.layer.part(curtain)[0]
        for name, calibration in (
            ("calibrated", self.calibration),
            ("calibrated by other days", by_others),
        ):
            if calibration is not None:
                yield (
                    name,
                    self.summarize(*calibration.apply_below(visible, probability, intensity_dbz)),
                )

    def predict(self, curtain: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Returns probability of echo `(time, row)` and ordered intensities [dBZ] `(time, row, value)`."""
        return predict_curtain(curtain, self.network, self.preprocessing, self.passes, 0)[:2]

    def summarize(self, *parts: np.ndarray) -> Said:
        """Returns what is scored of a distribution."""
        summary = summarize_distribution(
            *parts, floor_dbz=self.preprocessing.floor_dbz, levels=EVALUATION_LEVELS
        )
        return Said(
            probability=summary["hydrometeor_probability"].values,
            quantiles=summary["reflectivity_quantile"].values,
            given_echo=summary["reflectivity_quantile_given_echo"].values,
        )

    def calibrate_by_others(
        self, store: Archive, days: Sequence[date], layer: ScoredLayer
    ) -> Mapping[date, Calibration]:
        """Returns of each day that the checkpoint was calibrated on a calibration by the others; elsewhere none."""
        record = self.trained.calibration or {}
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
    """Prints how often calibrated intervals hold of other radars, and what their products' flags say."""
    print(HEADER_OTHERS)
    catalog = read_catalog()
    for source in OTHER_RADARS:
        try:
            print(format_other(source, catalog[source], store, checkpoint, passes), flush=True)
        except CurtainError as error:
            print(f"| {source} | refused: {error} |" + " |" * 7)


def format_other(source: str, entry: Source, store: Archive, checkpoint: Path, passes: int) -> str:
    """Returns the line of all days of a radar.

    Raises:
        CurtainError: If its curtains do not fit the checkpoint.
    """
    speaker, layer = Speaker(checkpoint, entry, passes), layer_of(entry)
    everywhere, given_echo, flags = [], [], []
    for day in store.days(source):
        curtain, _ = store.read_granule(source, day)
        check_fits(curtain, speaker.preprocessing, where=f"{source} {day}")
        prediction = fill_curtain(
            curtain,
            speaker.network,
            speaker.preprocessing,
            passes,
            0,
            levels=EVALUATION_LEVELS,
            calibration=speaker.calibration,
        )
        probability, quantiles, of_echo = (
            prediction[name].values
            for name in (
                "hydrometeor_probability",
                "reflectivity_quantile",
                "reflectivity_quantile_given_echo",
            )
        )
        everywhere.append(layer.score(curtain, probability, quantiles))
        given_echo.append(score_given_echo(layer, curtain, of_echo))
        assessment = assess_curtain(curtain, entry, speaker.trained, speaker.preprocessing)
        flags.append(
            np.zeros(0, dtype=np.int16)
            if assessment is None
            else assessment["out_of_range_flag"].values
        )
    if not flags:
        return f"| {source} | not in the archive |" + " |" * 7
    told, of_echo_alone = reduce(add, everywhere), reduce(add, given_echo)
    scores = told.scores()
    echo = of_echo_alone.pixels.pixels.sum() / told.pixels.pixels.sum()
    return (
        f"| {source} | {sum(map(len, flags))} | {100 * echo:.1f} | {on_progress(scores['coverage 90 %'])}"
        f" | {on_progress(scores['coverage 90 % echo'])} | {join(of_echo_alone.scores(), 'coverage {} %')}"
        f" | {format_flags(np.concatenate(flags))} |"
    )


def format_flags(flags: np.ndarray) -> str:
    """Returns the shares of profiles with any bit and with that of unlike weather, and what bits most have."""
    unlike = flags & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0
    common = [
        bit.name.lower() for bit in OutOfRangeFlag if bit.name and (flags & bit != 0).mean() > 0.5
    ]
    return f"{100 * (flags != 0).mean():.1f} | {100 * unlike.mean():.1f} | {', '.join(common)}"


def state_spread(
    curtain: xr.Dataset, network: MonteCarloNetwork, preprocessing: Preprocessing, passes: int
) -> Iterator[tuple[str, Said]]:
    """Yields what the mean of all passes and its standard error, or the spread of the passes, state."""
    fields = estimate_passes(curtain, network, preprocessing, passes)
    mean, deviation = fields.mean(axis=-1), fields.std(axis=-1, ddof=1)
    floor = preprocessing.floor_dbz
    probability = (fields > floor).mean(axis=-1)
    for name, error in (
        ("standard error", deviation / np.sqrt(passes)),
        ("spread", deviation),
    ):
        quantiles = [mean + norm.ppf(level) * error for level in EVALUATION_LEVELS]
        yield (
            name,
            Said(
                probability=probability, quantiles=np.maximum(quantiles, floor).astype(np.float32)
            ),
        )


def estimate_passes(
    curtain: xr.Dataset, network: MonteCarloNetwork, preprocessing: Preprocessing, passes: int
) -> np.ndarray:
    """Returns what each pass takes for most likely, on max(dBZ, floor) [dBZ] `(time, hidden row, pass)`."""
    shown = preprocessing.encode_input(curtain)
    parts = []
    for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
        length = stretch.stop - stretch.start
        windows = cut_windows(length, preprocessing.window_profiles)
        maps = (
            (stretch.start + n, shown[stretch][w.indices].swapaxes(0, 1))
            for n, w in enumerate(windows)
        )
        prediction = network.estimate(maps, passes=passes, seed=0)
        answers = (
            (w, field[: preprocessing.hidden_rows].swapaxes(0, 1))
            for w, field in zip(windows, prediction, strict=True)
        )
        parts.append(pick_windows(answers, length))
    fields = preprocessing.scaling.unscale(np.concatenate(parts))
    return np.maximum(fields, np.float32(preprocessing.floor_dbz))


def format_row(name: str, sums: CurtainSums) -> str:
    """Returns a line of the table."""
    told = summarize_sums(sums)
    covered = [join(told, f"coverage {{}} %{of}") for of in ("", " echo")]
    held = join(told, "PIT inside {} %", NOMINAL[:3])
    numbers = f"{told['width 90 % [dB]']:.2f} | {told['CRPS [dB]']:.3f} | {told['reliability']:.4f}"
    return (
        f"| {name} | {covered[0]} | {covered[1]} | {held} | {numbers} |"
        f" {told['spread-skill ratio']:.2f} |"
    )


def format_row_given_echo(name: str, sums: CurtainSums) -> str:
    """Returns a line of the table of echo alone."""
    told = sums.scores()
    widths = join(told, "width {} % [dB]", decimals=1)
    return f"| {name} | {join(told, 'coverage {} %')} | {widths} | {told['CRPS [dB]']:.3f} |"


def join(
    told: Mapping[str, float], name: str, nominal: Sequence[int] = NOMINAL, decimals: int = 3
) -> str:
    """Returns a score of each interval."""
    return " / ".join(on_progress(told[name.format(interval)], decimals) for interval in nominal)


def on_progress(score: float, decimals: int = 3) -> str:
    """Returns a score in digits, and a dash for one that has nothing to stand on."""
    return f"{score:.{decimals}f}" if np.isfinite(score) else "-"


def print_parts(sums: CurtainSums, given_echo: CurtainSums, lowest_row: int) -> None:
    """Prints how often calibrated intervals held in each regime and row, rows counted from the ground."""
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
