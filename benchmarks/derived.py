"""Kinds of columns, echo at the ground and bases of filled days against what the radar measured.

Run `python benchmarks/derived.py`, after `blindzone reprocess palaiseau_basta --passes single` of
all days. The opponents are the climatology of classes on the training days, given what is seen
above the blind zone, and persistence: the lowest visible row goes on to the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add

import numpy as np
import xarray as xr
from sums import make_parser

from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.pipeline.curtains.echo import ROWS_ABOVE
from blindzone.pipeline.derivation.columns import (
    CLASS_NAMES,
    ColumnRows,
    classify_columns,
    derive_columns,
    find_bases,
    find_echo,
    find_rows,
)
from blindzone.pipeline.products.members import draw_members
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.verification.class_scores import ClassSums, ReliabilitySums, sum_classes
from blindzone.pipeline.verification.visible_layer import LayerView

STATES = 3
"""What is seen above the zone: nothing, echo aloft, echo in the rows right above it."""


def main() -> None:
    """Prints a table: scores of each block."""
    options = make_parser(__doc__, members=20).parse_args()
    data = open_source(options.source, DataPlaces(archive=options.archive), LayerView())
    days = Days(options.source, ProductStore(options.products), options.members)
    climatology = days.fit(data.entry.split.training)
    sums = {}
    for block in options.block or ("validation", "test"):
        found = [days.score(day, climatology) for day in find_days(data, block)]
        sums[block] = reduce(add, found)
    scores = {block: of.scores() for block, of in sums.items()}
    print(f"| {options.members} members | {' | '.join(scores)} |\n|---|{'---|' * len(scores)}")
    for name in next(iter(scores.values())):
        print(f"| {name} | {' | '.join(f'{of[name]:.4g}' for of in scores.values())} |")
    for block, of in sums.items():
        print_classes(block, of.classes)


def print_classes(block: str, classes: ReliabilitySums) -> None:
    """Prints a table of the classes of a block: a pooled score would hide one that is off."""
    print(f"\n| {block} | truth | stated | reliability |\n|---|---|---|---|")
    columns = classes.happened, classes.stated, classes.reliability
    for kind, *values in zip(CLASS_NAMES, *columns, strict=True):
        cells = " | ".join(f"{value:.4f}" for value in values)
        print(f"| {kind.name.replace('_', ' ').lower()} | {cells} |")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Columns as the radar measured them.

    Attributes:
        kind: Class of each column `(time,)`.
        state: What is seen of it above the zone, of `STATES`.
        ground: Whether there is echo in the lowest trusted row.
        visible: Whether there is echo in the lowest visible row.
        base: Base of the lowest echo [m], NaN if none.
        visible_base: That if the lowest visible row went on to the ground.
        known: Whether the column has data.
    """

    kind: np.ndarray
    state: np.ndarray
    ground: np.ndarray
    visible: np.ndarray
    base: np.ndarray
    visible_base: np.ndarray
    known: np.ndarray


class Days:
    """Products of a source's days, and what they say of columns.

    Args:
        source: The source.
        store: Its products.
        members: Number of members that are counted over.
    """

    def __init__(self, source: str, store: ProductStore, members: int) -> None:
        self.source, self.store, self.members = source, store, members

    def open(self, day: date) -> xr.Dataset:
        """Returns the product of a day."""
        with xr.open_dataset(self.store.locate(self.source, day), engine="h5netcdf") as product:
            return product.load()

    def fit(self, days: Sequence[date]) -> np.ndarray:
        """Returns how often each class is, given what is seen, `(state, class)`."""
        counts = np.zeros((STATES, len(CLASS_NAMES)))
        for day in days:
            product = self.open(day)
            truth = find_truth(product, find_rows(product))
            np.add.at(counts, (truth.state[truth.known], truth.kind[truth.known]), 1)
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def score(self, day: date, climatology: np.ndarray) -> ClassSums:
        """Returns the sums of a day."""
        product = self.open(day)
        rows = find_rows(product)
        truth = find_truth(product, rows)
        derived = derive_columns(product, draw_members(product, self.members).compute())
        probability = np.stack([derived[name].values for name in CLASS_NAMES.values()], axis=1)
        known = truth.known & np.isfinite(probability).all(axis=1)
        median = derived["echo_base_height"].sel(quantile=0.5).values
        return sum_classes(
            probability[known],
            climatology[truth.state[known]],
            truth.kind[known],
            ground=(
                derived["echo_to_ground_probability"].values[known],
                truth.ground[known],
                truth.visible[known],
            ),
            bases=(median[known], truth.base[known], truth.visible_base[known]),
            row_m=float(np.diff(rows.edges_m)[0]),
            rows=rows.edges_m.size - 1,
        )


def find_truth(product: xr.Dataset, rows: ColumnRows) -> Truth:
    """Returns the columns of a day as the radar measured them."""
    observed = product["reflectivity_observed"].values
    flag = product["inpainting_flag"].values
    measured = np.nan_to_num(observed, nan=rows.floor_dbz)
    echo, depth, known = find_echo(measured[None], observed, flag, rows)
    above = np.arange(echo.shape[-1]) - depth[:, None]
    near = (echo[0] & (above >= 0) & (above < ROWS_ABOVE)).any(axis=1)
    seen = (echo[0] & (above >= 0)).any(axis=1)
    visible = (echo[0] & (above == 0)).any(axis=1)
    going_on = echo.copy()
    going_on[0] = np.where(above >= 0, echo[0], visible[:, None])
    going_on[..., : rows.lowest] = False
    return Truth(
        kind=classify_columns(echo, depth, rows.lowest)[0].astype(int),
        state=np.where(near, 2, np.where(seen, 1, 0)),
        ground=echo[0, :, rows.lowest],
        visible=visible,
        base=find_bases(echo, rows.edges_m)[0],
        visible_base=find_bases(going_on, rows.edges_m)[0],
        known=known,
    )


if __name__ == "__main__":
    main()
