"""Inpaint: archived days and a checkpoint to products with the blind zone filled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
from prefect import flow

from blindzone.flows.orchestration import step
from blindzone.flows.progress import Report, stage
from blindzone.flows.workspace import archive_folder, product_folder, trained_checkpoint
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive, DayRecord
from blindzone.pipeline.calibration import Calibration
from blindzone.pipeline.catalog import Source, read_catalog
from blindzone.pipeline.curtain import check_radar
from blindzone.pipeline.domain import Domain, find_frequency
from blindzone.pipeline.errors import ArchiveError, CurtainError
from blindzone.pipeline.intervals import QUANTILE_LEVELS, summarize_realizations
from blindzone.pipeline.partners import open_with_partners
from blindzone.pipeline.patches import Window, blend_windows, cut_windows, find_stretches
from blindzone.pipeline.preprocessing import Preprocessing, check_finite
from blindzone.pipeline.products import Provenance, build_product, product_path, write_product
from blindzone.pipeline.verification import find_regimes

LONGEST_GAP_S = 120.0
"""A longer gap parts a curtain [s]: what lies before it says little about what lies behind it."""


@flow(name="inpaint", log_prints=True)
def inpaint(
    source: str,
    start: date,
    end: date,
    output: Path | None = None,
    checkpoint: Path | None = None,
    realizations: int = 50,
    seed: int = 0,
    catalog: Path | None = None,
    archive: Path | str | None = None,
) -> list[Path]:
    """Fills the blind zone of every archived day in a range and writes one product a day.

    Args:
        source: Name of the source in the catalogue.
        start: First UTC day.
        end: Last UTC day, inclusive.
        output: Folder of the products.
        checkpoint: Trained network; by default the source's own, else the weights of the package.
        realizations: Number of stochastic forward passes.
        seed: Seed of the passes; the same seed gives the same product.
        catalog: Catalogue file.
        archive: Folder of the archive.

    Raises:
        ArchiveError: If the archive holds no day of the range.
    """
    folder = archive or archive_folder()
    if start > end:
        raise ArchiveError(f"{source}: the range starts on {start} and ends on {end}; start must not be after end")
    days = Archive(folder).days_between(source, start, end)
    trained, products = checkpoint or trained_checkpoint(source), output or product_folder()
    return [inpaint_day(source, day, catalog, folder, trained, products, realizations, seed) for day in days]


@step
def inpaint_day(
    source: str,
    day: date,
    catalog: Path | None,
    archive: Path | str,
    checkpoint: Path,
    output: Path,
    realizations: int,
    seed: int,
) -> Path:
    """Fills one day, writes its product and returns its path.

    Raises:
        BlindzoneError: If the day is not there, or does not fit the checkpoint; earlier products stay as they were.
        ModelError: If the checkpoint cannot be used.
    """
    sources = read_catalog(catalog)
    entry = sources[source]
    store = Archive(archive)
    trained, network = _load(checkpoint, checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0)
    preprocessing = Preprocessing.from_dict(trained.preprocessing)
    curtain, record = store.read_unit(source, day)
    check_fits(curtain, preprocessing, where=f"{source} {day}")
    preprocessing = preprocessing.fit_zone(entry.blind_zone, where=source)
    beside = open_with_partners(store, sources, source, day) if preprocessing.uses_partners else curtain
    calibration = find_calibration(trained, preprocessing)
    with stage(f"fill {day:%m-%d}") as tell:
        fill = fill_curtain(beside, network, preprocessing, realizations, seed, tell, calibration=calibration)
    product = build_product(
        curtain,
        fill,
        hidden_rows=preprocessing.hidden_rows,
        blind_zone_top_m=preprocessing.blind_zone.top_m,
        floor_dbz=preprocessing.floor_dbz,
        provenance=describe_run(
            source, entry, record, trained, realizations, seed, is_calibrated=calibration is not None
        ),
        untrusted_rows=preprocessing.untrusted_rows,
        assessment=assess_curtain(beside, entry, trained, preprocessing),
    )
    path = product_path(output, source, day)
    write_product(product, path)
    return path


def fill_curtain(
    curtain: xr.Dataset,
    network: MonteCarloNetwork,
    preprocessing: Preprocessing,
    realizations: int,
    seed: int,
    tell: Report = lambda share_done, note="": None,
    levels: tuple[float, ...] = QUANTILE_LEVELS,
    calibration: Calibration | None = None,
) -> xr.Dataset:
    """Returns the predictive distribution of a curtain's hidden rows, as `summarize_realizations` describes it.

    The network may answer for more rows than this curtain hides; just those are kept. Optional channels are taken from
    the curtain's own fields, as `open_with_partners` brings them, and are absent where it has none. With a calibration
    the distribution is the calibrated one.
    """
    probability, intensity_dbz = realize_curtain(curtain, network, preprocessing, realizations, seed, tell)
    if calibration is not None:
        visible = curtain["reflectivity"].values[:, preprocessing.hidden_rows :]
        regime = find_regimes(visible, preprocessing.floor_dbz, profiles=len(visible))
        probability, intensity_dbz = calibration.apply(
            probability, intensity_dbz, regime=regime[:, None], row=np.arange(preprocessing.hidden_rows)
        )
    summary = summarize_realizations(probability, intensity_dbz, floor_dbz=preprocessing.floor_dbz, levels=levels)
    return summary.assign_coords(time=curtain["time"], height=curtain["height"][: preprocessing.hidden_rows])


def realize_curtain(
    curtain: xr.Dataset,
    network: MonteCarloNetwork,
    preprocessing: Preprocessing,
    realizations: int,
    seed: int,
    tell: Report = lambda share_done, note="": None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the network says of a curtain's hidden rows: probability of echo, and intensities given echo.

    What is blended between windows is the echo probability and the ordered intensities: averaging quantile functions
    keeps the spread where windows overlap, averaging realizations would shrink it.

    Returns:
        Probability `(time, row)`, and intensities in increasing order [dBZ] `(time, row, realization)`.
    """
    shown = preprocessing.show_curtain(curtain)
    parts = []
    for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
        length = stretch.stop - stretch.start
        # A window's number, on which its dropout masks depend, is its own in the whole curtain.
        numbered = list(enumerate(cut_windows(length, preprocessing.window_profiles), start=stretch.start))
        answers = _answer(shown[stretch], numbered, preprocessing.hidden_rows, network, realizations, seed)
        parts.append(blend_windows(_reported(answers, stretch, shown.shape[0], tell), length))
    blended = np.concatenate(parts)  # (time, hidden row, 1 + realization)
    # No truth near the ground ever taught the network anything: what it says of the lowest trusted row holds below it.
    lowest = preprocessing.untrusted_rows
    blended[:, :lowest] = blended[:, lowest : lowest + 1]
    return blended[..., 0], preprocessing.scaling.unscale(blended[..., 1:])


def find_calibration(trained: Checkpoint, preprocessing: Preprocessing) -> Calibration | None:
    """Returns a checkpoint's calibration, or None: it has none, or one for another depth of the blind zone.

    Raises:
        CurtainError: If it is not understood.
    """
    if trained.calibration is None:
        return None
    calibration = Calibration.from_dict(trained.calibration.get("fit", {}))
    return calibration if calibration.hidden_rows == preprocessing.hidden_rows else None


def assess_curtain(
    curtain: xr.Dataset, entry: Source, trained: Checkpoint, preprocessing: Preprocessing
) -> xr.Dataset | None:
    """Returns in what each profile lies outside what a calibrated network saw; None if the checkpoint does not tell.

    Raises:
        CurtainError: If what it tells is not understood.
    """
    if trained.calibration is None or find_calibration(trained, preprocessing) is None:
        return None
    return Domain.from_dict(trained.calibration.get("domain", {})).assess(
        curtain,
        preprocessing,
        frequency_ghz=find_frequency(entry.title, entry.instrument),
        floor_dbz=entry.quality.sensitivity_floor_dbz,
    )


def _answer(
    shown: np.ndarray,
    numbered: list[tuple[int, Window]],
    hidden_rows: int,
    network: MonteCarloNetwork,
    realizations: int,
    seed: int,
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yields each window with the probability and the ordered intensities of its columns' hidden rows."""
    # (time, height, channel) -> (height, time, channel), the network's order
    maps = ((number, shown[window.indices].swapaxes(0, 1)) for number, window in numbered)
    answers = network.realize(maps, realizations=realizations, seed=seed)
    for (_, window), answer in zip(numbered, answers, strict=True):
        said = np.concatenate([answer.probability[..., None], answer.intensity], axis=-1)
        yield window, said[:hidden_rows].swapaxes(0, 1)


def _reported(
    answers: Iterator[tuple[Window, np.ndarray]], stretch: slice, profiles: int, tell: Report
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yields the answers and tells, after each, up to which profile of the curtain windows are done."""
    for window, answer in answers:
        yield window, answer
        tell(min(stretch.stop, stretch.start + window.start + window.indices.size) / profiles)


def check_fits(curtain: xr.Dataset, preprocessing: Preprocessing, *, where: str) -> None:
    """Checks that a curtain is what a checkpoint was made for.

    Raises:
        CurtainError: If it holds no radar echo or infinite values, or its grid is another one.
    """
    check_radar(curtain, where=where)
    check_finite(curtain[["reflectivity"]], where=where)
    heights, expected = curtain["height"].values, preprocessing.grid.centres_m
    if heights.shape != expected.shape or not np.allclose(heights, expected, rtol=0, atol=1e-3):
        raise CurtainError(
            f"{where}: the curtain has {heights.size} rows from {heights[0]:.1f} to {heights[-1]:.1f} m, "
            f"the checkpoint was made for {expected.size} rows from {expected[0]:.1f} to {expected[-1]:.1f} m"
        )


def describe_run(
    source: str,
    entry: Source,
    record: DayRecord,
    trained: Checkpoint,
    realizations: int,
    seed: int,
    *,
    is_calibrated: bool,
) -> Provenance:
    """Returns where a product comes from."""
    told = {key: value for key, value in (trained.calibration or {}).items() if key not in ("fit", "domain", "scores")}
    return Provenance(
        source=source,
        title=entry.full_title,
        instrument=entry.instrument,
        site=entry.site,
        licence=entry.licence,
        references=entry.reference,
        simulated=entry.simulation is not None,
        source_files=tuple((file.name, file.sha256) for file in record.contributing),
        source_file_uuids=tuple(file.uuid for file in record.contributing if file.uuid),
        checkpoint_sha256=trained.sha256,
        realizations=realizations,
        seed=seed,
        software_version=version("blindzone"),
        configuration={
            "network": trained.config.to_dict(),
            "preprocessing": trained.preprocessing,
            "training": trained.training,
            "calibration": told if is_calibrated else None,
            "ingest": record.configuration,
        },
        created=datetime.now(UTC),
    )


@lru_cache(maxsize=1)
def _load(checkpoint: Path, modified_ns: int) -> tuple[Checkpoint, MonteCarloNetwork]:
    """Returns a checkpoint and its network; read once for many days, again if the file has changed."""
    trained = read_checkpoint(checkpoint)
    floor_unit = Preprocessing.from_dict(trained.preprocessing).floor_unit
    return trained, MonteCarloNetwork(trained.network, trained.config, floor_unit=floor_unit)
