"""Ensemble members as fields: how they score beside a Schaake shuffle, and the fit of the default.

Run `python benchmarks/members.py`, after `blindzone reprocess palaiseau_basta`: truth and
distributions are those of the products. On validation days each is scored with a dependence fitted
to all other training and validation days; test days with one fitted to all of these. The Schaake
shuffle has the same margins, in the order of analogous windows of training days; in one column it
gets even levels, as it is published, in the other draws, as members are. `--fit` prints the
dependence for `pipeline/inpainting/member_dependence.py`; `--picture FILE` draws members beside
truth and median.

`--source NAME --checkpoint FILE` scores another source, such as an emulated radar from above: its
days are predicted in a single pass, in the whole zone of the catalogue. A column more has members
with the default dependence, for which distance is time at 10 m/s.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from blindzone.core.forward_passes import SINGLE
from blindzone.flows.experiments.day_blocks import find_days, find_training_days
from blindzone.flows.experiments.field_scoring import (
    DayFields,
    fit_schaake,
    predict_fields,
    take_fields,
)
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.trained_network import open_network
from blindzone.flows.running.workspace import workspace
from blindzone.pipeline.inpainting.dependence_fit import DependenceSums, fit_dependence
from blindzone.pipeline.inpainting.member_dependence import (
    PALAISEAU,
    WIND_M_S,
    MemberDependence,
)
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.verification.field_scores import LAGS_S, FieldSums
from blindzone.pipeline.verification.schaake import SchaakeShuffle
from blindzone.pipeline.verification.visible_layer import LayerView

SOURCE = "palaiseau_basta"
"""The source whose days the default dependence was fitted to."""


def main() -> None:
    """Prints the tables, or the fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default=SOURCE, help="whose days are scored")
    parser.add_argument("--checkpoint", type=Path, help="predict the days, read no products")
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
    places = DataPlaces(archive=options.archive)
    benchmark = Benchmark(options.source, places, options.products, options.checkpoint)
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
    """The archived days of a source, and their products or a network that predicts them."""

    def __init__(
        self, source: str, places: DataPlaces, products: str, checkpoint: Path | None
    ) -> None:
        self.data = open_source(source, places, LayerView())
        self.layer = layer_of(self.data.entry)
        self.products = ProductStore(products)
        self.network = (
            None
            if checkpoint is None
            else open_network(checkpoint)
            .for_passes(SINGLE)
            .fit_zone(self.data.entry.blind_zone, where=source)
        )
        self.training = find_training_days(self.data)
        self.validation = find_days(self.data, "validation")
        self.pairs: dict[date, DependenceSums] = {}

    def take(self, day: date) -> DayFields:
        """Returns the truth and the distributions of a day."""
        if self.network is not None:
            return predict_fields(self.data, self.network, self.layer, day, passes=SINGLE)
        path = self.products.locate(self.data.name, day)
        with xr.open_dataset(path, engine="h5netcdf") as product:
            return take_fields(self.data.read(day), product, self.layer)

    def fit(self, without: date | None = None) -> MemberDependence:
        """Returns the dependence of all training and validation days but one."""
        days = (*self.training, *self.validation)
        for day in days:
            if day not in self.pairs:
                self.pairs[day] = self.take(day).sum_pairs()
        pairs = [self.pairs[day] for day in days if day != without]
        return fit_dependence(pairs, self.data.entry.grid.row_depth_m)

    def draw(
        self, fields: DayFields, day: date, schaake: SchaakeShuffle, count: int, seed: int
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yields the members of each way `(member, time, row)`, by its name."""
        yield "members", fields.draw(self.fit(without=day), count, seed)
        if self.data.name != SOURCE:
            yield "default dependence", fields.draw(PALAISEAU, count, seed)
        yield "Schaake, drawn", shuffle_drawn(fields, schaake, count, seed)
        yield "Schaake, even", fields.shuffle(schaake, count)

    def print_block(self, block: str, count: int, seed: int) -> None:
        """Prints the table of a block."""
        days = find_days(self.data, block)
        schaake = fit_schaake(self.data, self.layer, self.training)
        sums: dict[str, list[FieldSums]] = {}
        for day in days:
            fields = self.take(day)
            for way, members in self.draw(fields, day, schaake, count, seed):
                sums.setdefault(way, []).append(fields.score(members))
        print(format_header(f"{block} block, {len(days)} days, {count} members", tuple(sums)))
        spacing_m = self.data.entry.profile_spacing_m
        shortest_s = 0.0 if spacing_m is None else spacing_m / WIND_M_S
        scores = {way: reduce(add, of_days).scores() for way, of_days in sums.items()}
        print_scores(scores, shortest_s)


def format_header(what: str, ways: Sequence[str]) -> str:
    """Returns the first lines of a table."""
    return f"| {what} | truth | {' | '.join(ways)} | median field |\n|---|---|" + "---|" * (
        len(ways) + 1
    )


def shuffle_drawn(fields: DayFields, schaake: SchaakeShuffle, count: int, seed: int) -> np.ndarray:
    """Returns the members of a Schaake shuffle of drawn levels `(member, time, row)`."""
    even = schaake.draw_levels(fields.visible, count, fields.truth.shape[1])
    drawn = np.sort(np.random.default_rng(seed).random(even.shape), axis=0)
    ranks = np.rint(even * count - 0.5).astype(np.intp)
    levels = np.take_along_axis(drawn, ranks, axis=0)
    everywhere = np.ones(fields.truth.shape, dtype=bool)
    return np.stack([fields.distribution.read_field(level, everywhere) for level in levels])


def print_scores(scores: Mapping[str, Mapping[str, float]], shortest_s: float) -> None:
    """Prints the lines of a table, without lags below that of neighbouring profiles [s]."""
    first = next(iter(scores.values()))
    short = tuple(f" {lag} s member" for lag in LAGS_S if lag < shortest_s)
    for name in first:
        if name.endswith((" truth", " of median", *short)):
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
