"""What the networks for spaceborne radars are judged by, one command for each bar.

Days and granules must be archived (`blindzone ingest`). Nothing is tuned on the test block.

    python benchmarks/spaceborne.py layers CHECKPOINT [--source cloudsat_scenes] [--block test]
    python benchmarks/spaceborne.py depths CHECKPOINT --source palaiseau_as_cloudsat [--block test]
    python benchmarks/spaceborne.py zones CHECKPOINT --source palaiseau_as_cloudsat
    python benchmarks/spaceborne.py rays CHECKPOINT --source gpm_dpr_ku [--block test]

`layers` hides a layer of the blind zone's depth that begins at the k-th row, k = 0 ... 8, and
scores network, persistence and climatology over all of them. `depths` hides zones of 0.5 to 2.2 km.
`zones` fills the same curtains with tops that differ from profile to profile, and with one top.
`rays` hides the lowest visible layer of a swath and scores its rays in three parts, by their
distance from nadir.
"""

from __future__ import annotations

import argparse
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.granule import Granule
from blindzone.flows.evaluate import EvaluationPlan, evaluate
from blindzone.flows.experiments.day_blocks import find_days, find_training_days
from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.schemes import build_schemes
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.pipeline.inpainting.calibration_fit import summarize_sums
from blindzone.pipeline.inpainting.fill_mask import find_fill_mask
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.verification.curtain_scores import CurtainSums
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import read_sums
from blindzone.pipeline.verification.visible_layer import LayerView

LAYERS = 9
"""Layers begin at the rows 0 ... 8."""
DEPTHS_M = (500.0, 800.0, 1200.0, 1700.0, 2200.0)
SCHEMES = ("persistence", "climatology")
NAMES = ("CRPS [dB]", "CSI", "MAE [dB]", "Brier", "coverage 90 %", "coverage 90 % echo")
PASSES = 16


def main() -> None:
    """Runs the command that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("layers", "depths", "zones", "rays"))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--source", default="cloudsat_scenes")
    parser.add_argument("--block", default="validation")
    asked = parser.parse_args()
    if asked.command in ("zones", "rays"):
        compare = {"zones": compare_zones, "rays": compare_rays}[asked.command]
        compare(asked.checkpoint, asked.source, asked.block)
        return
    row_m = open_blocks(asked.source, DataPlaces()).entry.grid.row_depth_m
    views = {
        "layers": {f"from row {k}": LayerView(bottom_m=k * row_m) for k in range(LAYERS)},
        "depths": {f"{depth:.0f} m deep": LayerView(depth_m=depth) for depth in DEPTHS_M},
    }[asked.command]
    pooled: dict[str, list[CurtainSums]] = {}
    for title, view in views.items():
        for name, sums in score(asked.checkpoint, asked.source, asked.block, view).items():
            print_line(title, name, sums)
            pooled.setdefault(name, []).append(sums)
    if asked.command == "layers":  # as many rows each, so that their sums add up
        for name, parts in pooled.items():
            print_line("all layers", name, reduce(add, parts))


def score(checkpoint: Path, source: str, block: str, view: LayerView) -> dict[str, CurtainSums]:
    """Returns the sums of the network and of simple schemes over a block."""
    plan = EvaluationPlan(
        source=source,
        block=block,
        schemes=SCHEMES,
        checkpoints=(checkpoint,),
        passes=PASSES,
        layer=view,
    )
    evaluate.fn(plan)
    days = find_days(open_blocks(source, DataPlaces()), block)
    scored = plan.open(days)
    found = {}
    for name in (*SCHEMES, checkpoint.stem):
        newest = [
            max(
                scored.folder.glob(f"{name}_{Granule.of(day).key}_*.npz"),
                key=lambda path: path.stat().st_mtime,
            )
            for day in days
        ]
        found[name] = reduce(add, [sums for path in newest if (sums := read_sums(path))])
    return found


def print_line(title: str, name: str, sums: CurtainSums) -> None:
    """Prints the scores of a scheme."""
    scores = sums.scores() | summarize_sums(sums)
    numbers = "  ".join(f"{score} {scores[score]:.3f}" for score in NAMES if score in scores)
    print(f"{title:14s} {name:14s} {numbers}", flush=True)


def compare_zones(checkpoint: Path, source: str, block: str) -> None:
    """Prints the mean probability of echo below ragged tops, and below one top, by depth."""
    network = open_network(checkpoint)
    data = open_blocks(source, DataPlaces(), LayerView())
    random = np.random.default_rng(0)
    shallowest, deepest = (network.preprocessing.grid.row_of(m) for m in (500.0, 2200.0))
    sums: dict[str, list[np.ndarray]] = {"ragged": [], "uniform": []}
    depths = []
    for day in find_days(data, block):
        curtain = data.read(day)
        depth = random.integers(shallowest, deepest + 1, curtain.sizes["time"])
        depth = np.repeat(depth[::8], 8)[: depth.size]  # tops hold for eight profiles
        sums["ragged"].append(fill(network, curtain, depth))
        uniform = np.full((curtain.sizes["time"], deepest), np.nan)
        for rows in np.unique(depth):
            here = depth == rows
            uniform[here] = fill(network, curtain, np.full(depth.size, rows))[here]
        sums["uniform"].append(uniform)
        depths.append(depth)
    together = np.concatenate(depths)
    for rows in np.unique(together):
        here = together == rows
        means = [np.nanmean(np.concatenate(parts)[here][:, :shallowest]) for parts in sums.values()]
        metres = rows * network.preprocessing.grid.row_depth_m
        print(
            f"tops at {metres:.0f} m: P(echo) {means[0]:.3f} ragged, {means[1]:.3f} uniform,"
            f" difference {means[0] - means[1]:+.3f}"
        )


def compare_rays(checkpoint: Path, source: str, block: str) -> None:
    """Prints scores of a swath's lowest visible layer near nadir, between, and at the edges."""
    network, data = open_network(checkpoint), open_blocks(source, DataPlaces(), LayerView())
    layer = layer_of(data.entry)
    schemes = build_schemes(SCHEMES, layer, data.entry.profile_spacing_m)
    for day in find_training_days(data):
        for scheme in schemes.values():
            scheme.fit(*layer.part(data.read(day)))
    sums: dict[tuple[str, str], list[CurtainSums]] = {}
    for day in find_days(data, block):
        curtain = data.read(day)
        off_nadir = np.abs(curtain["ray"].values - curtain["ray"].values.max() / 2)
        part = np.minimum(3 * off_nadir / (off_nadir.max() + 1), 2).astype(int)
        for number, title in enumerate(("near nadir", "between", "at the edges")):
            rays = curtain.isel(time=np.flatnonzero(part == number))
            filled = fill_curtain(
                rays,
                network.network,
                network.preprocessing,
                PASSES,
                0,
                levels=EVALUATION_LEVELS,
                calibration=network.calibration,
            )
            predictions = {
                name: (found.probability, found.quantiles)
                for name, scheme in schemes.items()
                if (found := scheme.predict(layer.part(rays)[0]))
            } | {
                checkpoint.stem: (
                    filled["hydrometeor_probability"].values,
                    filled["reflectivity_quantile"].values,
                )
            }
            for name, prediction in predictions.items():
                sums.setdefault((title, name), []).append(layer.score(rays, *prediction))
    for (title, name), parts in sums.items():
        print_line(title, name, reduce(add, parts))


def fill(network: TrainedNetwork, curtain: xr.Dataset, depth: np.ndarray) -> np.ndarray:
    """Returns the probability of echo `(time, row)` below tops of so many rows, else NaN."""
    preprocessing: Preprocessing = network.preprocessing
    tops = preprocessing.grid.row_depth_m * depth
    curtain = curtain.assign_coords(blind_zone_top=("time", tops))
    mask = find_fill_mask(curtain, preprocessing)
    filled = fill_curtain(
        curtain, network.network, preprocessing, PASSES, 0, calibration=network.calibration
    )
    found = np.full((depth.size, preprocessing.grid.row_of(2200.0)), np.nan)
    values = filled["hydrometeor_probability"].values
    found[:, : values.shape[1]] = np.where(mask.filled[:, : values.shape[1]], values, np.nan)
    return found


if __name__ == "__main__":
    main()
