"""How often intervals hold: Monte Carlo dropout as published, the predictive distribution, and that calibrated.

Run `python benchmarks/coverage.py`, after an ingest of the source. All rows are the shipped weights, or a checkpoint of
yours, on the same pixels of whole days, one set of dropout masks for all:

- standard error: mean of what each pass takes for most likely, a value or none, and its standard error, the standard
  deviation over the square root of the number of passes. King et al. (2024) state it as the confidence;
- spread: the same mean with the standard deviation itself;
- distribution: what products state, uncalibrated: probabilities and expected errors of all passes;
- calibrated: what products state;
- climatology: quantiles of the training days given the lowest visible row, the opponent.

Of the first two a normal distribution is taken, cut off at the sensitivity floor. "PIT" is the share of probability
integral transforms inside the nominal interval, drawn at random within the atom at the floor: unlike coverage over all
pixels, which certain clear sky lifts above nominal, it is nominal for a calibrated distribution.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from functools import reduce
from operator import add
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import xarray as xr
from scipy.stats import norm

from blindzone.flows.evaluate import build_schemes, find_days, layer_of
from blindzone.flows.inpaint import LONGEST_GAP_S, find_calibration, realize_curtain
from blindzone.flows.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.calibration_fit import summarize_sums
from blindzone.pipeline.catalog import Source, read_catalog
from blindzone.pipeline.intervals import summarize_realizations
from blindzone.pipeline.patches import cut_windows, find_stretches, pick_windows
from blindzone.pipeline.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.preprocessing import Preprocessing
from blindzone.pipeline.verification import CurtainSums, Regime

SOURCE = "palaiseau_basta"
NOMINAL = (50, 80, 90, 95)
HEADER = (
    "| {block} block, {days} days, N = {realizations} | coverage of all, 50 / 80 / 90 / 95 % | of echo | "
    "PIT, 50 / 80 / 90 % | width of 90 %, dB | CRPS, dB | Brier reliability | spread-skill |\n"
    "|---|---|---|---|---|---|---|---|"
)

Said = tuple[np.ndarray, np.ndarray]
"""Probability of echo `(time, row)` and quantiles [dBZ] at `EVALUATION_LEVELS`, `(level, time, row)`."""


def main() -> None:
    """Prints one table a block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_WEIGHTS, help="a trained network")
    parser.add_argument("--archive", type=Path, default=archive_folder(), help="folder of the zarr archive")
    parser.add_argument("--block", choices=("validation", "test"), action="append", help="days (default: both blocks)")
    parser.add_argument("--realizations", type=int, default=50, help="number of passes")
    options = parser.parse_args()
    store, entry = Archive(options.archive), read_catalog()[SOURCE]
    for block in options.block or ("validation", "test"):
        print_block(block, store, entry, options.checkpoint, options.realizations)


def print_block(block: str, store: Archive, entry: Source, checkpoint: Path, realizations: int) -> None:
    """Prints the table of a block's days, and by regime and row how often what products state holds."""
    layer, days = layer_of(entry), find_days(SOURCE, entry, store, block)
    climatology = build_schemes(("climatology",), layer)["climatology"]
    for day in entry.split.training:
        climatology.fit(*layer.part(store.read_unit(SOURCE, day)[0]))
    say = make_ways(checkpoint, entry, realizations)
    sums: dict[str, list[CurtainSums]] = {}
    for day in days:
        curtain, _ = store.read_unit(SOURCE, day)
        for name, (probability, quantiles) in say(curtain):
            sums.setdefault(name, []).append(layer.score(curtain, probability, quantiles))
        opponent = climatology.predict(layer.part(curtain)[0])
        sums.setdefault("climatology", []).append(layer.score(curtain, opponent.probability, opponent.quantiles))
    print(HEADER.format(block=block, days=len(days), realizations=realizations))
    for name, of_days in sums.items():
        print(format_row(name, reduce(add, of_days)))
    print()
    if "calibrated" in sums:
        print_parts(reduce(add, sums["calibrated"]), layer.lowest_row)


def make_ways(checkpoint: Path, entry: Source, realizations: int) -> Callable[[xr.Dataset], Iterator[tuple[str, Said]]]:
    """Returns what tells all that is said of a curtain, by the name of the way."""
    trained = read_checkpoint(checkpoint)
    preprocessing = Preprocessing.from_dict(trained.preprocessing).fit_zone(entry.blind_zone, where=SOURCE)
    network = MonteCarloNetwork(trained.network, trained.config, floor_unit=preprocessing.floor_unit)
    calibration = find_calibration(trained, preprocessing)
    layer = layer_of(entry)

    def say(curtain: xr.Dataset) -> Iterator[tuple[str, Said]]:
        yield from state_spread(curtain, network, preprocessing, realizations)
        probability, intensity_dbz, _ = realize_curtain(curtain, network, preprocessing, realizations, 0)
        yield "distribution", summarize(probability, intensity_dbz, preprocessing)
        if calibration is not None:
            calibrated = calibration.apply_below(layer.part(curtain)[0], probability, intensity_dbz)
            yield "calibrated", summarize(*calibrated, preprocessing)

    return say


def summarize(probability: np.ndarray, intensity_dbz: np.ndarray, preprocessing: Preprocessing) -> Said:
    """Returns what is scored of a distribution."""
    summary = summarize_realizations(
        probability, intensity_dbz, floor_dbz=preprocessing.floor_dbz, levels=EVALUATION_LEVELS
    )
    return summary["hydrometeor_probability"].values, summary["reflectivity_quantile"].values


def state_spread(
    curtain: xr.Dataset, network: MonteCarloNetwork, preprocessing: Preprocessing, realizations: int
) -> Iterator[tuple[str, Said]]:
    """Yields what the mean of all passes and its standard error, or the spread of the passes, state."""
    fields = estimate_passes(curtain, network, preprocessing, realizations)
    mean, deviation = fields.mean(axis=-1), fields.std(axis=-1, ddof=1)
    floor = preprocessing.floor_dbz
    probability = (fields > floor).mean(axis=-1)
    for name, error in (("standard error", deviation / np.sqrt(realizations)), ("spread", deviation)):
        quantiles = [mean + norm.ppf(level) * error for level in EVALUATION_LEVELS]
        yield name, (probability, np.maximum(quantiles, floor).astype(np.float32))


def estimate_passes(
    curtain: xr.Dataset, network: MonteCarloNetwork, preprocessing: Preprocessing, realizations: int
) -> np.ndarray:
    """Returns what each pass takes for most likely, on max(dBZ, floor) [dBZ] `(time, hidden row, pass)`."""
    shown = preprocessing.show_curtain(curtain)
    parts = []
    for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
        length = stretch.stop - stretch.start
        windows = cut_windows(length, preprocessing.window_profiles)
        maps = ((stretch.start + n, shown[stretch][w.indices].swapaxes(0, 1)) for n, w in enumerate(windows))
        said = network.estimate(maps, realizations=realizations, seed=0)
        answers = (
            (w, field[: preprocessing.hidden_rows].swapaxes(0, 1)) for w, field in zip(windows, said, strict=True)
        )
        parts.append(pick_windows(answers, length))
    fields = preprocessing.scaling.unscale(np.concatenate(parts))
    return np.maximum(fields, np.float32(preprocessing.floor_dbz))


def format_row(name: str, sums: CurtainSums) -> str:
    """Returns a line of the table."""
    told = summarize_sums(sums)
    covered = [" / ".join(f"{told[f'coverage {n} %{of}']:.3f}" for n in NOMINAL) for of in ("", " echo")]
    held = " / ".join(f"{told[f'PIT inside {n} %']:.3f}" for n in NOMINAL[:3])
    numbers = f"{told['width 90 % [dB]']:.2f} | {told['CRPS [dB]']:.3f} | {told['reliability']:.4f}"
    return f"| {name} | {covered[0]} | {covered[1]} | {held} | {numbers} | {told['spread-skill ratio']:.2f} |"


def print_parts(sums: CurtainSums, lowest_row: int) -> None:
    """Prints how often calibrated intervals held in each regime and row, rows counted from the ground."""
    pixels = sums.pixels
    whole = pixels.pixels.sum()
    print("| calibrated | share of pixels, % | coverage of all, 50 / 80 / 90 / 95 % | of echo |\n|---|---|---|---|")
    parts = [(regime.name.lower(), pixels.select(regime=regime)) for regime in Regime]
    parts += [(f"row {lowest_row + row}", pixels.select(row=row)) for row in range(len(pixels.pixels))]
    for name, part in parts:
        scores, share = part.scores(), part.pixels.sum() / whole
        if share:
            covered = [" / ".join(f"{scores[f'coverage {n} %{of}']:.3f}" for n in NOMINAL) for of in ("", " echo")]
            print(f"| {name} | {100 * share:.1f} | {covered[0]} | {covered[1]} |")
    print()


if __name__ == "__main__":
    main()
