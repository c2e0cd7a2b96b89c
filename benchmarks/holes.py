"""Repaired holes against simple schemes: what is hidden by a fixed draw, filled, and scored.

Run `python benchmarks/holes.py [--checkpoint FILE]`, with the days in the archive. By kind of hole
it prints CSI, mean absolute error and CRPS [dB] on max(dBZ, floor) of each simple scheme, and of
the network with its calibration, if it has one. The CRPS of a network stands beside the mean
absolute error of the best scheme. Its 90 % intervals given echo should hold 90 % of the echo.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial, reduce
from operator import add
from pathlib import Path

from blindzone.core.forward_passes import SINGLE, Passes
from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.experiments.hole_scoring import HiddenDay, hide_day, score_day
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.trained_network import open_network
from blindzone.pipeline.verification.hole_scores import (
    SCORED_HOLES,
    SIMPLE_SCHEMES,
    HoleSums,
    sum_scheme,
)

SOURCE = "palaiseau_basta"
OLD_VALIDATION = tuple(date(2021, 3, day) for day in (6, 9, 11, 12))
"""Validation days of the first split, those of the published figures."""
HEADER = """\
| hole | scheme | CSI | MAE dB | CRPS dB | against the best MAE | 90 % given echo | 90 % all |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Prints the table."""
    options = parse_options()
    data = open_source(SOURCE, DataPlaces(archive=options.archive))
    days = OLD_VALIDATION if options.block == "old" else find_days(data, options.block)
    score = find_network(options.checkpoint, options.passes)
    print(f"{len(days)} days of {SOURCE}, block {options.block}, seed {options.seed}\n\n{HEADER}")
    for kind in options.kind or SCORED_HOLES:
        hidden = [hide_day(data, day, kind, seed=options.seed) for day in days]
        print_kind(kind, hidden, score)


def parse_options() -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archive", help="folder of the zarr archive")
    parser.add_argument("--checkpoint", type=Path, help="network that repairs holes")
    parser.add_argument("--passes", type=int, help="forward passes (default: a single one)")
    parser.add_argument("--block", choices=("old", "validation", "test"), default="old")
    parser.add_argument("--kind", choices=tuple(SCORED_HOLES), action="append")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    return parser.parse_args()


def find_network(path: Path | None, count: int | None) -> Callable[[HiddenDay], HoleSums] | None:
    """Returns what scores a network on a day; None without one."""
    if path is None:
        return None
    passes: Passes = count or SINGLE
    return partial(score_day, open_network(path).for_passes(passes), passes=passes)


def print_kind(
    kind: str, days: Sequence[HiddenDay], score: Callable[[HiddenDay], HoleSums] | None
) -> None:
    """Prints the lines of a kind of hole."""
    best = math.inf
    for name in SIMPLE_SCHEMES:
        sums = [
            sum_scheme(name, day.truth, day.hidden, day.scored, floor_dbz=day.floor_dbz)
            for day in days
        ]
        scores = reduce(add, sums).scores()
        best = min(best, scores["MAE [dB]"])
        print(f"| {kind} | {name} | {scores['CSI']:.3f} | {scores['MAE [dB]']:.3f} | | | | |")
    if score is not None:
        print_network(kind, reduce(add, map(score, days)).scores(), best)


def print_network(kind: str, scores: dict[str, float], best: float) -> None:
    """Prints the line of a network beside the mean absolute error of the best scheme [dB]."""
    given_echo, everywhere = scores["given echo: coverage 90 %"], scores["coverage 90 %"]
    print(
        f"| {kind} | **network** | {scores['CSI']:.3f} | {scores['MAE [dB]']:.3f}"
        f" | {scores['CRPS [dB]']:.3f} | {scores['CRPS [dB]'] / best - 1:+.0%}"
        f" | {given_echo:.1%} | {everywhere:.1%} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
