"""What a network does not know: ways to see it, scored at home and out of the network's range.

Run `python benchmarks/passes.py`, after an ingest of training and validation days and of other
radars. Of hidden pixels of max(dBZ, floor), the error is the root mean square error of a single
pass's expected value. Compared with it are

- **heads**: the standard deviation that a single pass states;
- **dropout**: that of the most likely fields of N passes with dropout;
- **paths**: that of the expected values of single passes with one column path each in place of
  their mean, a deep ensemble;
- **input**: that of the expected values of three inputs, 3 dB fainter and brighter among them,
  moved back;
- **features**: the Mahalanobis distance of the paths' hidden layer from the training days'.

A spread that measures what a network does not know grows out of range as the error does. Inputs
are shifted by known amounts: echo brighter or fainter throughout, or lowered. Other radars are
compared over all their archived days. The second table has, for each way, its size at home, its
rank correlation with the error of each pixel there, that of the curtains' ratios to home, and how
well it tells profiles of other radars from those at home (area under the ROC curve), beside
`out_of_range_score`. The CRPS of the mixture of all paths is beside that of the single pass.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import xarray as xr
from path_spread import ColumnPaths
from scipy.stats import rankdata, spearmanr

from blindzone.core.errors import CurtainError
from blindzone.flows.experiments.day_blocks import find_days, find_training_days
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.inpainting.inpaint_curtain import (
    LONGEST_GAP_S,
    assess_curtain,
    check_fits,
)
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
WAYS = ("heads", "dropout", "paths", "input", "features")
SCORE = "out_of_range_score"
MOVED_DB = 3.0
"""By how much the input is made fainter and brighter."""
TRAINING_STEP = 3
"""The features of every third training day are enough."""
COMPONENTS = 64
"""Principal components of the features, of 512 in the shipped weights."""
SCORED_PROFILES = slice(None, None, 8)
"""Profiles whose CRPS is computed."""
HEADER = (
    "| curtains | pixels | error, dB | of home | "
    + " | ".join(f"{way} of home" for way in WAYS)
    + " | CRPS, dB: single pass | mixture of paths |\n|---|---|---|---|"
    + "---|" * (len(WAYS) + 2)
)
HEADER_WAYS = (
    "| way | at home, dB | of the error | rank correlation with the error: pixels at home | ratios"
    " of curtains | tells from home: "
)

Shift = Callable[[xr.Dataset, float], xr.Dataset]
"""Changes a curtain whose sensitivity floor [dBZ] is given."""


@dataclass(frozen=True, kw_only=True)
class Spreads:
    """What is known of the error of some days.

    Attributes:
        error: Absolute error of the expected value of scored pixels [dB] `(pixel,)`.
        ways: The spread of each way, of the same shape [dB]; features have no unit.
        profile: Number of each pixel's profile `(pixel,)`.
        score: `out_of_range_score` of each profile `(profile,)`.
        crps: CRPS of the single pass and of the mixture of its paths [dB].
    """

    error: np.ndarray
    ways: Mapping[str, np.ndarray]
    profile: np.ndarray
    score: np.ndarray
    crps: tuple[float, float]

    def summarize(self) -> dict[str, float]:
        """Returns the root mean squares of the error and of each way, over all pixels."""
        return {name: find_rms(part) for name, part in {"error": self.error, **self.ways}.items()}

    def of_profiles(self) -> dict[str, np.ndarray]:
        """Returns the mean square of each way in each profile that is scored, and its score."""
        count = np.bincount(self.profile, minlength=self.score.size)
        scored = count > 0
        squares = {
            way: np.bincount(self.profile, part**2, minlength=count.size)[scored] / count[scored]
            for way, part in self.ways.items()
        }
        return {**squares, SCORE: np.nan_to_num(self.score[scored])}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_WEIGHTS, help="a network")
    parser.add_argument("--archive", type=Path, default=archive_folder(), help="the zarr archive")
    parser.add_argument("--realizations", type=int, default=10, help="number of passes")
    parser.add_argument("--processes", type=int, default=2, help="days at a time")
    asked = parser.parse_args()
    setting = Setting(asked.checkpoint, asked.archive, asked.realizations)
    found: dict[str, Spreads] = {}
    print(HEADER, flush=True)
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        features = pool.submit(fit_features, setting).result()
        under_way = {
            name: [pool.submit(measure_day, setting, source, day, shift, features) for day in days]
            for name, source, shift, days in list_curtains(setting)
        }
        for name, days in under_way.items():
            try:
                take(join_days([day.result() for day in days]), name, found)
            except CurtainError as error:
                print(f"| {name} | rejected: {error} |" + " |" * (3 + len(WAYS)))
    print()
    print_ways(found)


@dataclass(frozen=True)
class Setting:
    """The network, the archive, and the number of passes with dropout."""

    checkpoint: Path
    archive: Path
    passes: int

    def open(self, source: str) -> SourceData:
        """Returns the data of a source."""
        return SourceData(name=source, catalog=read_catalog(), archive=Archive(self.archive))


def list_curtains(setting: Setting) -> Iterator[tuple[str, str, Shift, Sequence[date]]]:
    """Yields name, source, shift and days of the curtains of each line; those at home first."""
    home = find_days(setting.open(HOME), "validation")
    for name, shift in list_shifts().items():
        yield name, HOME, shift, home
    for name in OTHER_RADARS:
        yield name, name, keep, setting.open(name).days


def take(measured: Spreads | None, name: str, found: dict[str, Spreads]) -> None:
    """Adds what was measured, if anything was, and prints its line."""
    if measured is not None:
        found[name] = measured
        print(format_row(name, found), flush=True)


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


@lru_cache(maxsize=1)
def open_paths(checkpoint: Path) -> ColumnPaths:
    """Returns a network with its column paths, opened once in a process."""
    return ColumnPaths(checkpoint, open_network(checkpoint))


def fit_features(setting: Setting) -> FeatureDistance:
    """Returns the distance of features from those of training days."""
    home, paths = setting.open(HOME), open_paths(setting.checkpoint)
    days = find_training_days(home)[::TRAINING_STEP]
    return FeatureDistance.fit([paths.describe(home.read(day)) for day in days])


def measure_day(
    setting: Setting, source: str, day: date, shift: Shift, features: FeatureDistance
) -> Spreads:
    """Returns the spreads of the scored pixels of a day.

    Raises:
        CurtainError: If the curtain does not fit the network.
    """
    data, paths = setting.open(source), open_paths(setting.checkpoint)
    trained = paths.trained.fit_zone(data.entry.blind_zone, where=data.name)
    preprocessing, layer = trained.preprocessing, layer_of(data.entry)
    curtain = data.read(day)
    check_fits(curtain, preprocessing, where=data.where(day))
    curtain = shift(curtain, preprocessing.floor_dbz)
    _, hidden, trusted = layer.part(curtain)
    truth = np.maximum(np.nan_to_num(hidden, nan=layer.floor_dbz), layer.floor_dbz)
    distributions, hidden_layer = paths.predict(curtain)
    expected, stated = distributions.estimate_moments()
    fields = estimate_passes(curtain, trained, setting.passes)
    of_inputs = [expected[..., 0], *move_input(curtain, paths)]
    ways = {
        "heads": stated[..., 0],
        "dropout": fields.std(axis=-1, ddof=1),
        "paths": expected[..., 1:].std(axis=-1, ddof=1),
        "input": np.std(of_inputs, axis=0, ddof=1),
        "features": np.broadcast_to(features.measure(hidden_layer)[:, None], truth.shape),
    }
    assessment = assess_curtain(
        curtain, preprocessing, trained.record, frequency_ghz=None, floor_dbz=None
    )
    few = trusted[SCORED_PROFILES]
    return Spreads(
        error=np.abs(expected[..., 0] - truth)[trusted],
        ways={way: part[trusted] for way, part in ways.items()},
        profile=np.nonzero(trusted)[0],
        score=np.zeros(len(truth)) if assessment is None else assessment[SCORE].values,
        crps=distributions.take(trusted, SCORED_PROFILES).score(truth[SCORED_PROFILES][few]),
    )


def move_input(curtain: xr.Dataset, paths: ColumnPaths) -> Iterator[np.ndarray]:
    """Yields the expected field of inputs that are fainter and brighter, moved back."""
    for offset_db in (-MOVED_DB, MOVED_DB):
        moved = brighten(curtain, paths.floor_dbz, offset_db=offset_db)
        yield paths.predict(moved)[0].move(-offset_db).estimate_moments()[0][..., 0]


def join_days(parts: Sequence[Spreads]) -> Spreads | None:
    """Returns the spreads of all days; None if no pixel is scored."""
    parts = [part for part in parts if part.error.size]
    if not parts:
        return None
    firsts = np.cumsum([0, *(part.score.size for part in parts[:-1])])
    weights = np.array([part.error.size for part in parts])
    profiles = [part.profile + first for part, first in zip(parts, firsts, strict=True)]
    single, mixture = np.average([part.crps for part in parts], axis=0, weights=weights)
    return Spreads(
        error=np.concatenate([part.error for part in parts]),
        ways={way: np.concatenate([part.ways[way] for part in parts]) for way in WAYS},
        profile=np.concatenate(profiles),
        score=np.concatenate([part.score for part in parts]),
        crps=(float(single), float(mixture)),
    )


@dataclass(frozen=True, kw_only=True)
class FeatureDistance:
    """Mahalanobis distance in the space of the features' first principal components.

    Attributes:
        mean: Mean of the features `(feature,)`.
        components: Components over their standard deviations `(feature, component)`.
    """

    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, features: Sequence[np.ndarray]) -> FeatureDistance:
        """Returns the distance from the features of days, each `(time, feature)`."""
        pooled = np.concatenate([part[SCORED_PROFILES] for part in features])
        mean = pooled.mean(axis=0)
        variance, vectors = np.linalg.eigh(np.cov((pooled - mean).T))
        kept = slice(-COMPONENTS, None)
        return cls(mean=mean, components=vectors[:, kept] / np.sqrt(variance[kept]))

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Returns the distance of each profile `(time,)`, 1 on average at home."""
        projected = (features - self.mean) @ self.components
        return np.asarray(np.sqrt((projected**2).mean(axis=1)))


def find_rms(values: np.ndarray) -> float:
    """Returns the root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def find_auc(home: np.ndarray, other: np.ndarray) -> float:
    """Returns the share of pairs in which the other profile has the larger value."""
    ranks = rankdata(np.concatenate([home, other]))[home.size :]
    return float((ranks.mean() - (other.size + 1) / 2) / home.size)


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


def format_row(name: str, found: Mapping[str, Spreads]) -> str:
    """Returns a line of the first table; the first curtains found are those at home."""
    own, home = found[name].summarize(), next(iter(found.values())).summarize()
    ratios = " | ".join(f"{own[part] / home[part]:.2f}" for part in ("error", *WAYS))
    crps = " | ".join(f"{score:.3f}" for score in found[name].crps)
    return f"| {name} | {found[name].error.size} | {own['error']:.2f} | {ratios} | {crps} |"


def print_ways(found: Mapping[str, Spreads]) -> None:
    """Prints the second table."""
    (_, home), *others = found.items()
    radars = {name: one.of_profiles() for name, one in others if name in OTHER_RADARS}
    print(f"{HEADER_WAYS}{' | '.join(radars)} |\n|---|---|---|---|---|{'---|' * len(radars)}")
    at_home, sizes = home.of_profiles(), home.summarize()
    ratios = [one.summarize() for one in found.values()]
    for way in (*WAYS, SCORE):
        areas = " | ".join(f"{find_auc(at_home[way], one[way]):.2f}" for one in radars.values())
        if way == SCORE:
            print(f"| `{way}` |  |  |  |  | {areas} |")
            continue
        pixels = spearmanr(home.ways[way], home.error).statistic
        curtains = spearmanr(*([one[part] for one in ratios] for part in (way, "error"))).statistic
        size = f"{sizes[way]:.2f} | {sizes[way] / sizes['error']:.2f}"
        print(
            f"| {way} | {' | ' if way == 'features' else size} | {pixels:.2f} | {curtains:.2f} |"
            f" {areas} |"
        )


if __name__ == "__main__":
    main()
