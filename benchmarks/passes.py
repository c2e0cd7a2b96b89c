"""What the spread between forward passes is worth: at home, and out of the network's range.

Run `python benchmarks/passes.py`, after an ingest of the validation days and of other radars. It
prints, of hidden pixels of max(dBZ, floor):

- **spread**: the root of the mean variance between the most likely fields of N passes with dropout;
- **width**: the mean width of the calibrated 90 % interval of all of them;
- **error**: the root mean square error of their mean;
- **rank correlation** of spread, and of that width, with the absolute error, pixel by pixel.

A spread that measures what a network does not know grows out of range at least as the error does.
Inputs are shifted by known amounts: echo brighter or fainter throughout, or lowered. Other radars
are compared over all their archived days.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from blindzone.core.errors import CurtainError
from blindzone.flows.experiments.day_blocks import find_days
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.inpainting.inpaint_curtain import LONGEST_GAP_S, check_fits, fill_curtain
from blindzone.pipeline.network_input.inference_windows import (
    cut_windows,
    find_stretches,
    pick_windows,
)
from blindzone.pipeline.verification.visible_layer import lower_curtain

HOME = "palaiseau_basta"
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
BOUNDS = (0.05, 0.95)
HEADER = (
    "| curtains | pixels | spread, dB | of home | width, dB | of home | error, dB | of home | rank"
    " correlation with the error: spread | width |\n|---|---|---|---|---|---|---|---|---|---|"
)

Shift = Callable[[xr.Dataset, float], xr.Dataset]
"""Changes a curtain whose sensitivity floor [dBZ] is given."""


@dataclass(frozen=True)
class Spread:
    """Of scored pixels, each `(pixel,)` [dB].

    Attributes:
        spread: Standard deviation between passes.
        width: Width of the interval of 90 %.
        error: Absolute error of the mean over passes.
    """

    spread: np.ndarray
    width: np.ndarray
    error: np.ndarray

    def summarize(self) -> tuple[float, float, float]:
        """Returns the spread, the width and the error over all pixels [dB]."""
        return (
            float(np.sqrt(np.mean(self.spread**2))),
            float(self.width.mean()),
            float(np.sqrt(np.mean(self.error**2))),
        )

    def correlate(self) -> tuple[float, float]:
        """Returns the rank correlations of spread and width with the error."""
        return tuple(
            float(spearmanr(part, self.error).statistic) for part in (self.spread, self.width)
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_WEIGHTS, help="a network")
    parser.add_argument("--archive", type=Path, default=archive_folder(), help="the zarr archive")
    parser.add_argument("--realizations", type=int, default=20, help="number of passes")
    asked = parser.parse_args()
    trained, catalog, archive = (
        open_network(asked.checkpoint),
        read_catalog(),
        Archive(asked.archive),
    )
    home = SourceData(name=HOME, catalog=catalog, archive=archive)
    print(HEADER)
    at_home: tuple[float, float, float] | None = None
    for name, shift in list_shifts().items():
        found = measure(home, find_days(home, "validation"), trained, asked.realizations, shift)
        at_home = at_home or found.summarize()
        print(format_row(name, found, at_home), flush=True)
    for name in OTHER_RADARS:
        data = SourceData(name=name, catalog=catalog, archive=archive)
        try:
            found = measure(data, archive.days(name), trained, asked.realizations, keep)
        except CurtainError as error:
            print(f"| {name} | rejected: {error} |" + " |" * 8)
            continue
        if found.error.size and at_home:
            print(format_row(name, found, at_home), flush=True)


def list_shifts() -> dict[str, Shift]:
    """Returns what is done to the curtains of the home radar, by name; nothing first."""
    return {
        "validation days": keep,
        "6 dB brighter": partial(brighten, offset_db=6.0),
        "6 dB fainter": partial(brighten, offset_db=-6.0),
        "12 dB brighter": partial(brighten, offset_db=12.0),
        "lowered by 8 rows": partial(lower, rows=8),
        "upside down above the zone": turn,
    }


def keep(curtain: xr.Dataset, floor_dbz: float) -> xr.Dataset:
    """Returns a curtain as it is."""
    return curtain


def brighten(curtain: xr.Dataset, floor_dbz: float, *, offset_db: float) -> xr.Dataset:
    """Returns a curtain with all its echo brighter; none is left at the floor."""
    moved = curtain["reflectivity"] + np.float32(offset_db)
    is_echo = moved > floor_dbz
    status = curtain["detection_status"]
    gone = (status == DetectionStatus.ECHO) & ~is_echo
    return curtain.assign(
        reflectivity=moved.where(is_echo),
        detection_status=status.where(~gone, DetectionStatus.NO_ECHO).astype(status.dtype),
    )


def lower(curtain: xr.Dataset, floor_dbz: float, *, rows: int) -> xr.Dataset:
    """Returns a curtain moved down by some rows."""
    return lower_curtain(curtain, np.full(curtain.sizes["time"], rows))


def turn(curtain: xr.Dataset, floor_dbz: float) -> xr.Dataset:
    """Returns a curtain whose visible rows are upside down: weather that does not exist."""
    rows = np.arange(curtain.sizes["height"])
    rows[16:] = rows[16:][::-1]
    turned = curtain.isel(height=rows)
    return turned.assign_coords(height=curtain["height"])


def measure(
    data: SourceData, days: Iterator | tuple, trained: TrainedNetwork, passes: int, shift: Shift
) -> Spread:
    """Returns spread, width and error of all scored pixels of some days.

    Raises:
        CurtainError: If the curtains do not fit the network.
    """
    trained = trained.fit_zone(data.entry.blind_zone, where=data.name)
    layer, floor = layer_of(data.entry), trained.preprocessing.floor_dbz
    parts: list[tuple[np.ndarray, ...]] = []
    for day in days:
        curtain, _ = data.archive.read_granule(data.name, day)
        check_fits(curtain, trained.preprocessing, where=f"{data.name} {day}")
        curtain = shift(curtain, floor)
        _, hidden, trusted = layer.part(curtain)
        fields = estimate_passes(curtain, trained, passes)
        filled = fill_curtain(
            curtain,
            trained.network,
            trained.preprocessing,
            passes,
            0,
            levels=BOUNDS,
            calibration=trained.calibration,
        )
        bounds = filled["reflectivity_quantile"].values[..., : hidden.shape[1]]
        truth = np.maximum(np.nan_to_num(hidden, nan=floor), floor)
        error = np.abs(fields.mean(axis=-1) - truth)
        of_pixels = (fields.std(axis=-1, ddof=1), bounds[1] - bounds[0], error)
        parts.append(tuple(part[trusted] for part in of_pixels))
    return Spread(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def estimate_passes(curtain: xr.Dataset, trained: TrainedNetwork, passes: int) -> np.ndarray:
    """Returns each pass's most likely max(dBZ, floor) [dBZ] `(time, hidden row, pass)`."""
    preprocessing = trained.preprocessing
    inputs = preprocessing.encode_input(curtain)
    parts = []
    for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
        length = stretch.stop - stretch.start
        windows = cut_windows(length, preprocessing.window_profiles)
        maps = (
            (stretch.start + number, inputs[stretch][window.indices].swapaxes(0, 1))
            for number, window in enumerate(windows)
        )
        predictions = (
            (window, field[: preprocessing.hidden_rows].swapaxes(0, 1))
            for window, field in zip(
                windows, trained.network.estimate_medians(maps, passes=passes, seed=0), strict=True
            )
        )
        parts.append(pick_windows(predictions, length))
    fields = preprocessing.scaling.unscale(np.concatenate(parts))
    return np.asarray(np.maximum(fields, np.float32(preprocessing.floor_dbz)))


def format_row(name: str, found: Spread, home: tuple[float, float, float]) -> str:
    """Returns a line of the table."""
    cells = [
        f"{value:.2f} | {value / of:.2f}" for value, of in zip(found.summarize(), home, strict=True)
    ]
    ranks = " | ".join(f"{rank:.2f}" for rank in found.correlate())
    return f"| {name} | {found.error.size} | {' | '.join(cells)} | {ranks} |"


if __name__ == "__main__":
    main()
