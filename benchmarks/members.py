"""Ensemble members as fields: how they score beside a Schaake shuffle, and the fit of the default.

Run `python benchmarks/members.py`, after `blindzone reprocess palaiseau_basta`: truth and
distributions are those of the products. On validation days each is scored with a dependence fitted
to all other training and validation days; test days with one fitted to all of these. The Schaake
shuffle has the same margins, in the order of analogous windows of training days; in one column it
gets even levels, as it is published, in the other draws, as members are. `--fit` prints the
dependence for `pipeline/inpainting/member_dependence.py`; `--picture FILE` draws members beside
truth and median.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from blindzone.flows.experiments.day_blocks import find_days, find_training_days
from blindzone.flows.experiments.field_scoring import DayFields, fit_schaake, take_fields
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.workspace import workspace
from blindzone.pipeline.inpainting.dependence_fit import DependenceSums, fit_dependence
from blindzone.pipeline.inpainting.member_dependence import MemberDependence
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.verification.field_scores import FieldSums
from blindzone.pipeline.verification.schaake import SchaakeShuffle

SOURCE = "palaiseau_basta"
WAYS = ("members", "Schaake, drawn", "Schaake, even")
HEADER = (
    "| {block} block, {days} days, {count} members | truth | "
    + " | ".join(WAYS)
    + " | median field |"
    "\n|---|---|" + "---|" * (len(WAYS) + 1)
)


def main() -> None:
    """Prints the tables, or the fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archive", help="folder of the zarr archive")
    parser.add_argument("--products", default=str(workspace() / "products"), help="their folder")
    parser.add_argument("--block", choices=("validation", "test"), action="append")
    parser.add_argument("--members", type=int, default=50, help="number of members")
    parser.add_argument("--seed", type=int, default=0, help="seed of the members")
    parser.add_argument("--fit", action="store_true", help="print the fit alone")
    parser.add_argument("--picture", type=Path, help="draw four members of --start instead")
    parser.add_argument("--start", default="2021-03-12T09:00", help="start of the picture's hours")
    parser.add_argument("--hours", type=float, default=3.0, help="length of the picture")
    options = parser.parse_args()
    benchmark = Benchmark(options.archive, options.products)
    if options.picture:
        draw(benchmark, options.picture, datetime.fromisoformat(options.start), options.hours)
        return
    fitted = benchmark.fit()
    print(fitted, flush=True)
    if options.fit:
        return
    for block in options.block or ("validation", "test"):
        benchmark.print_block(block, options.members, options.seed)


class Benchmark:
    """The archived days of the source, and their products."""

    def __init__(self, archive: str | None, products: str) -> None:
        self.data = open_source(SOURCE, DataPlaces(archive=archive))
        self.layer = layer_of(self.data.entry)
        self.products = ProductStore(products)
        self.training = find_training_days(self.data)
        self.validation = find_days(self.data, "validation")
        self.pairs: dict[date, DependenceSums] = {}

    def take(self, day: date) -> DayFields:
        """Returns the truth and the product's distributions of a day."""
        with xr.open_dataset(self.products.locate(SOURCE, day), engine="h5netcdf") as product:
            return take_fields(self.data.read(day), product, self.layer)

    def fit(self, without: date | None = None) -> MemberDependence:
        """Returns the dependence of all training and validation days but one."""
        days = (*self.training, *self.validation)
        for day in days:
            if day not in self.pairs:
                self.pairs[day] = self.take(day).sum_pairs()
        pairs = [self.pairs[day] for day in days if day != without]
        return fit_dependence(pairs, self.data.entry.grid.row_depth_m)

    def print_block(self, block: str, count: int, seed: int) -> None:
        """Prints the table of a block."""
        days = find_days(self.data, block)
        schaake = fit_schaake(self.data, self.layer, self.training)
        sums: dict[str, list[FieldSums]] = {way: [] for way in WAYS}
        for day in days:
            fields = self.take(day)
            drawn = (
                fields.draw(self.fit(without=day), count, seed),
                shuffle_drawn(fields, schaake, count, seed),
                fields.shuffle(schaake, count),
            )
            for way, members in zip(WAYS, drawn, strict=True):
                sums[way].append(fields.score(members))
        print(HEADER.format(block=block, days=len(days), count=count))
        print_scores({way: reduce(add, of_days).scores() for way, of_days in sums.items()})


def shuffle_drawn(fields: DayFields, schaake: SchaakeShuffle, count: int, seed: int) -> np.ndarray:
    """Returns the members of a Schaake shuffle of drawn levels `(member, time, row)`."""
    even = schaake.draw_levels(fields.visible, count, fields.truth.shape[1])
    drawn = np.sort(np.random.default_rng(seed).random(even.shape), axis=0)
    ranks = np.rint(even * count - 0.5).astype(np.intp)
    levels = np.take_along_axis(drawn, ranks, axis=0)
    everywhere = np.ones(fields.truth.shape, dtype=bool)
    return np.stack([fields.distribution.read_field(level, everywhere) for level in levels])


def print_scores(scores: Mapping[str, Mapping[str, float]]) -> None:
    """Prints the lines of a table."""
    first = next(iter(scores.values()))
    for name in first:
        if name.endswith((" truth", " of median")):
            continue
        truth = name.removesuffix(" member") + " truth"
        of_truth = f"{first[truth]:.3f}" if truth in first else ""
        median = f"{first[f'{name} of median']:.2f}" if f"{name} of median" in first else ""
        values = " | ".join(f"{of_way[name]:.3f}" for of_way in scores.values())
        print(f"| {name.removesuffix(' member')} | {of_truth} | {values} | {median} |")
    print(flush=True)


def draw(benchmark: Benchmark, path: Path, start: datetime, hours: float) -> None:
    """Draws truth, median and four members of some hours, the visible rows above them."""
    day = start.date()
    fields = benchmark.take(day)
    layer = benchmark.layer
    curtain = benchmark.data.read(day)
    times = curtain["time"].values
    inside = (times >= np.datetime64(start)) & (
        times < np.datetime64(start + timedelta(hours=hours))
    )
    members = fields.draw(benchmark.fit(without=day), 4, seed=0)
    panels = {"truth": fields.truth, "median": fields.median}
    panels |= {f"member {number}": member for number, member in enumerate(members, start=1)}
    top_m = 2500.0
    figure = Figure(figsize=(11, 12), layout="constrained")
    axes = figure.subplots(len(panels), sharex=True)
    heights = curtain["height"].values[layer.lowest_row :]
    for ax, (name, hidden) in zip(axes, panels.items(), strict=True):
        whole = np.concatenate([hidden, fields.visible], axis=1)
        echo = np.where(whole > layer.floor_dbz, whole, np.nan)[inside][:, heights < top_m]
        image = ax.pcolormesh(
            times[inside], heights[heights < top_m], echo.T, vmin=-30, vmax=20, cmap="viridis"
        )
        ax.axhline(benchmark.data.entry.blind_zone.top_m, color="0.3", linewidth=0.8)
        ax.set_ylabel("height (m)")
        ax.set_title(name, loc="left")
    figure.colorbar(image, ax=axes, label="reflectivity (dBZ)")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
