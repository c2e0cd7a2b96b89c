"""Sums of rain near the ground of filled days against the same relation on the truth.

Run `python benchmarks/sums.py`, after `blindzone reprocess palaiseau_basta --passes single`: the
days are those of the products. Rain is derived from ensemble members at the lowest trusted row, and
from what the radar measured there (`reflectivity_observed`). The opponent repeats the lowest
visible row, as a radar with the blind zone would. `--ceiling` gives members another ceiling.
"""

from __future__ import annotations

import argparse
from datetime import date
from functools import reduce
from operator import add

import numpy as np
import xarray as xr

from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.workspace import workspace
from blindzone.pipeline.derivation.precipitation import (
    CEILING_DBZ,
    find_row,
    take_near_ground,
)
from blindzone.pipeline.derivation.relations import LawChoice, Phase, choose_laws
from blindzone.pipeline.derivation.sums import DAY, HOUR, Windows, list_windows, sum_members
from blindzone.pipeline.products.members import draw_member_rows
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.verification.amount_scores import AmountSums, score_amounts
from blindzone.pipeline.verification.visible_layer import LayerView

SOURCE = "palaiseau_basta"
WINDOWS = {"10 minutes": np.timedelta64(10, "m"), "hour": HOUR, "day": DAY}
"""Windows that are summed over."""


def main() -> None:
    """Prints a table a block."""
    parser = make_parser(__doc__, members=50)
    parser.add_argument("--seed", type=int, default=0, help="seed of the members")
    parser.add_argument("--ceiling", type=float, help="ceiling of the members [dBZ]")
    options = parser.parse_args()
    data = open_source(options.source, DataPlaces(archive=options.archive), LayerView())
    choice = choose_laws(data.entry.frequency_ghz, Phase.RAIN)
    ceiling = CEILING_DBZ.get(choice.band or "") if options.ceiling is None else options.ceiling
    store = ProductStore(options.products)
    for block in options.block or ("validation", "test"):
        days = find_days(data, block)
        sums: dict[str, list[AmountSums]] = {name: [] for name in WINDOWS}
        for day in days:
            path = store.locate(options.source, day)
            with xr.open_dataset(path, engine="h5netcdf") as product:
                floor_dbz = float(product["sensitivity_floor"])
                rows = take_rows(product.load(), options.members, options.seed, ceiling)
            for name, length in WINDOWS.items():
                windows = list_windows(rows["truth"]["time"].values, length)
                sums[name].append(score(rows, windows, choice, floor_dbz))
            print_day(day, sums["hour"][-1])
        print_block(f"{block} block, {len(days)} days, {options.members} members", sums)


def make_parser(about: str | None, *, members: int) -> argparse.ArgumentParser:
    """Returns the options of a benchmark that scores products of days.

    Args:
        about: What the benchmark does.
        members: Number of members unless another is asked for.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default=SOURCE, help="whose days are scored")
    parser.add_argument("--archive", help="folder of the zarr archive")
    parser.add_argument("--products", default=str(workspace() / "products"), help="their folder")
    parser.add_argument("--block", choices=("validation", "test"), action="append")
    parser.add_argument("--members", type=int, default=members, help="number of members")
    return parser


def take_rows(
    product: xr.Dataset, count: int, seed: int, ceiling_dbz: float | None
) -> dict[str, xr.DataArray]:
    """Returns reflectivity [dBZ] `(realization, time)` of members, of the truth, and visible."""
    members = draw_member_rows(product, count, [find_row(product, None)], seed)
    ground = take_near_ground(product, members, ceiling_dbz=ceiling_dbz, seed=seed)
    observed = product["reflectivity_observed"]
    visible = float(product["height"].where(product["height"] > product["blind_zone_top"][0]).min())
    floor = ground.floor_dbz
    rows = {
        name: observed.sel(height=height).fillna(floor).clip(min=floor).expand_dims(realization=[1])
        for name, height in (("truth", ground.height_m), ("visible", visible))
    }
    return {"members": ground.row, **rows}


def score(
    rows: dict[str, xr.DataArray], windows: Windows, choice: LawChoice, floor_dbz: float
) -> AmountSums:
    """Returns the sums of a day's windows."""
    of_rows = {name: sum_members(row, windows, choice, floor_dbz) for name, row in rows.items()}
    members = np.tensordot(of_rows["members"].weights, of_rows["members"].values, axes=1)
    truth, visible = (of_rows[name].values.mean(axis=(0, 1)) for name in ("truth", "visible"))
    return score_amounts(members, truth, visible)


def print_day(day: date, sums: AmountSums) -> None:
    """Prints the totals of a day."""
    print(f"{day}: truth {sums.truth_mm:.2f}, members {sums.expected_mm:.2f} mm", flush=True)


def print_block(what: str, sums: dict[str, list[AmountSums]]) -> None:
    """Prints the table of a block."""
    scores = {name: reduce(add, of_days).scores() for name, of_days in sums.items()}
    print(f"\n| {what} | {' | '.join(scores)} |\n|---|{'---|' * len(scores)}")
    for name in next(iter(scores.values())):
        print(f"| {name} | {' | '.join(f'{each[name]:.3g}' for each in scores.values())} |")
    print()


if __name__ == "__main__":
    main()
