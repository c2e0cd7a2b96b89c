"""Evaluate: networks and simple schemes on the same pixels of whole days, to tables and a page.

A day that one scheme has been scored on is kept, under a name made from everything that decides its
numbers: an evaluation that was ended goes on where it stopped, and another checkpoint costs no
other scheme's time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from prefect import flow

from blindzone.core.errors import ArchiveError, CatalogError, CheckpointError, CurtainError
from blindzone.core.granule import Granule
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.workspace import archive_folder, workspace
from blindzone.models.baselines import (
    Baseline,
    BaselineConfig,
    Climatology,
    ClimatologyConfig,
    LinearExtrapolation,
    LinearExtrapolationConfig,
    MarchingAverage,
    MarchingAverageConfig,
    Persistence,
    PersistenceWithBias,
)
from blindzone.models.boosting import DAY_AVERAGES, Boosting, BoostingConfig
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import open_collocated
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.inpainting.inpaint_curtain import (
    LONGEST_GAP_S,
    check_fits,
    fill_curtain,
    find_calibration,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.plots.evaluation_page import draw_report
from blindzone.pipeline.verification.curtain_scores import CurtainSums, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import (
    Evaluation,
    SchemeResult,
    read_sums,
    write_sums,
    write_tables,
)

BLOCKS = ("validation", "test")

_SCHEMES: dict[str, Callable[..., Baseline[Any]]] = {
    "persistence": lambda **shape: Persistence(BaselineConfig(**shape)),
    "persistence_bias": lambda **shape: PersistenceWithBias(BaselineConfig(**shape)),
    "linear": lambda **shape: LinearExtrapolation(LinearExtrapolationConfig(**shape)),
    "marching_average": lambda **shape: MarchingAverage(MarchingAverageConfig(**shape)),
    "climatology": lambda **shape: Climatology(ClimatologyConfig(**shape)),
    "boosting": lambda **shape: Boosting(BoostingConfig(**shape)),
    "boosting_time": lambda **shape: Boosting(
        BoostingConfig(average_profiles=DAY_AVERAGES, **shape)
    ),
}

SCHEMES = tuple(_SCHEMES)
"""The simple schemes, by the names that the command line knows."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Where a scheme's sums of each day lie, and what it was made with."""

    files: dict[date, Path]
    is_deterministic: bool
    configuration: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """What an evaluation made.

    Attributes:
        scores: Pooled scores of each scheme.
        table: All scores, one a line.
        record: All scores and what they were made with, JSON.
        picture: The page.
        notes: What must be known to read the scores.
    """

    source: str
    block: str
    days: tuple[date, ...]
    scores: dict[str, dict[str, float]]
    table: Path
    record: Path
    picture: Path
    notes: tuple[str, ...] = ()


@flow(name="evaluate", log_prints=True)
def evaluate(
    source: str,
    block: str = "validation",
    schemes: tuple[str, ...] = SCHEMES,
    checkpoints: tuple[Path, ...] = (),
    passes: int = 16,
    seed: int = 0,
    output: Path | None = None,
    catalog: Path | None = None,
    archive: Path | str | None = None,
    uncalibrated: bool = False,
) -> EvaluationReport:
    """Scores simple schemes, fitted on the training block, and networks on the same pixels of a block's days.

    Args:
        source: Name of the source in the catalogue.
        block: `validation`, or `test`, which nothing may be tuned on.
        schemes: Names of simple schemes.
        checkpoints: Trained networks.
        passes: Number of a network's stochastic forward passes.
        seed: Seed of the passes.
        output: Folder of tables and page; by default one in the workspace.
        catalog: Catalogue file.
        archive: Folder of the archive.
        uncalibrated: Whether calibrated networks are scored without their calibration too, as
            NAME_uncalibrated.

    Raises:
        CatalogError: If the source, the block, its days or a scheme is not known.
        ArchiveError: If the archive lacks a day of the block.
        CurtainError: If a checkpoint was made for other curtains.
        ModelError: If a checkpoint cannot be used, or was trained on days of the block.
    """
    folder = output or workspace() / "evaluations" / f"{source}_{block}"
    store = archive or archive_folder()
    days = find_days(source, read_catalog(catalog)[source], Archive(store), block)
    _check_schemes(schemes, checkpoints)
    kept = score_schemes(source, schemes, days, folder / "days", catalog, store) if schemes else {}
    for name, checkpoint in _name_checkpoints(checkpoints).items():
        shared = (checkpoint, days, passes, seed, folder / "days", catalog, store)
        kept[name] = score_network(source, name, *shared)
        if uncalibrated and kept[name].configuration["calibration"] is not None:
            kept[f"{name}_uncalibrated"] = score_network(
                source, f"{name}_uncalibrated", *shared, is_calibrated=False
            )
    return report_scores(source, block, kept, folder, catalog)


def find_days(source: str, entry: Source, store: Archive, block: str) -> tuple[date, ...]:
    """Returns the days of a block, all of which the archive holds.

    Raises:
        CatalogError: If there is no such block, or the catalogue names no day of it.
        ArchiveError: If the archive lacks a day.
    """
    if block not in BLOCKS:
        raise CatalogError(f"no block '{block}' to score on; {' or '.join(BLOCKS)} is right")
    wanted: tuple[date, ...] = getattr(entry.split, block)
    if not wanted:
        raise CatalogError(
            f"{source}: the catalogue's split names no {block} day, so nothing can be scored"
            " honestly"
        )
    _check_held(source, wanted, store, block)
    return tuple(sorted(wanted))


@step
def score_schemes(
    source: str,
    schemes: Sequence[str],
    days: tuple[date, ...],
    folder: Path,
    catalog: Path | None,
    archive: Path | str,
) -> dict[str, Kept]:
    """Fits simple schemes on the training block, scores them on days and keeps the sums of each day.

    Raises:
        CatalogError: If the catalogue names no training day.
        ArchiveError: If the archive lacks one.
    """
    entry, store = read_catalog(catalog)[source], Archive(archive)
    layer = layer_of(entry)
    built = build_schemes(schemes, layer)
    training: tuple[date, ...] = ()
    if any(scheme.learns for scheme in built.values()):
        training = _find_training(source, entry, store)
    taught = [store.record(source, day).store for day in training]
    kept = {
        name: Kept(
            files=_name_files(
                folder, name, store, source, days, layer, [asdict(scheme.config), taught]
            ),
            is_deterministic=scheme.is_deterministic,
            configuration={
                "scheme": type(scheme).__name__,
                "training_days": [str(day) for day in training] if scheme.learns else [],
                **_plain(scheme.config),
            },
        )
        for name, scheme in built.items()
    }
    missing = {
        name: [day for day in days if read_sums(kept[name].files[day]) is None] for name in built
    }
    _fit(
        [scheme for name, scheme in built.items() if scheme.learns and missing[name]],
        source,
        store,
        training,
        layer,
    )
    _score(built, missing, kept, source, store, days, layer)
    return kept


def build_schemes(schemes: Sequence[str], layer: ScoredLayer) -> dict[str, Baseline[Any]]:
    """Returns simple schemes by name, not fitted yet, that answer for the hidden rows at `EVALUATION_LEVELS`."""
    shape = {
        "hidden_rows": layer.hidden_rows,
        "floor_dbz": layer.floor_dbz,
        "levels": EVALUATION_LEVELS,
    }
    return {scheme: _SCHEMES[scheme](**shape) for scheme in schemes}


def _score(
    built: Mapping[str, Baseline[Any]],
    missing: Mapping[str, Sequence[date]],
    kept: Mapping[str, Kept],
    source: str,
    store: Archive,
    days: Sequence[date],
    layer: ScoredLayer,
) -> None:
    """Scores every scheme on the days that it misses; each day is read once."""
    with stage("schemes") as on_progress:
        for number, day in enumerate(days):
            lacking = [name for name in built if day in missing[name]]
            if not lacking:
                continue
            curtain = _read(store, source, day)
            visible, _, _ = layer.part(curtain)
            for done, name in enumerate(lacking):
                on_progress((number + done / len(lacking)) / len(days), f"{name} {day}")
                prediction = built[name].predict(visible)
                write_sums(
                    layer.score(curtain, prediction.probability, prediction.quantiles),
                    kept[name].files[day],
                )
        on_progress(1.0)


def _fit(
    schemes: Sequence[Baseline[Any]],
    source: str,
    store: Archive,
    training: Sequence[date],
    layer: ScoredLayer,
) -> None:
    if not schemes:
        return
    with stage("fit") as on_progress:
        for number, day in enumerate(training, start=1):
            parts = layer.part(_read(store, source, day))
            for scheme in schemes:
                scheme.fit(*parts)
            on_progress(number / len(training), str(day))


@step
def score_network(
    source: str,
    name: str,
    checkpoint: Path,
    days: tuple[date, ...],
    passes: int,
    seed: int,
    folder: Path,
    catalog: Path | None,
    archive: Path | str,
    is_calibrated: bool = True,
) -> Kept:
    """Scores a network, calibrated if it can be, on days and keeps the sums of each.

    Raises:
        CurtainError: If it was made for other curtains.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    sources, store = read_catalog(catalog), Archive(archive)
    layer = layer_of(sources[source])
    trained = read_checkpoint(checkpoint)
    check_not_trained_on(trained, source, days, str(checkpoint))
    preprocessing = Preprocessing.from_dict(trained.preprocessing).fit_zone(
        sources[source].blind_zone, where=source
    )
    if preprocessing.floor_dbz != layer.floor_dbz:
        raise CurtainError(
            f"{checkpoint}: made for a sensitivity floor of {preprocessing.floor_dbz} dBZ; {source}"
            f" is scored with {layer.floor_dbz} dBZ, and only answers on max(dBZ, floor) of one"
            " floor can be compared"
        )
    network = MonteCarloNetwork(
        trained.network, trained.config, floor_unit=preprocessing.floor_unit
    )
    calibration = find_calibration(trained.calibration, preprocessing) if is_calibrated else None
    decisive = [trained.sha256, passes, seed, calibration is not None]
    files = _name_files(folder, name, store, source, days, layer, decisive)
    for day in days:
        if read_sums(files[day]) is not None:
            continue
        curtain = _read(store, source, day)
        check_fits(curtain, preprocessing, where=f"{source} {day}")
        beside = (
            open_collocated(store, sources, source, day)
            if preprocessing.uses_collocated
            else curtain
        )
        with stage(f"{name} {day:%m-%d}") as on_progress:
            prediction = fill_curtain(
                beside,
                network,
                preprocessing,
                passes,
                seed,
                on_progress,
                EVALUATION_LEVELS,
                calibration,
            )
        probability, quantiles = (
            prediction["hydrometeor_probability"].values,
            prediction["reflectivity_quantile"].values,
        )
        write_sums(layer.score(curtain, probability, quantiles), files[day])
    configuration = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": trained.sha256,
        "realizations": passes,
        "seed": seed,
        "network": trained.config.to_dict(),
        "training": trained.training,
        "calibration": trained.calibration if calibration is not None else None,
    }
    return Kept(files=files, is_deterministic=False, configuration=configuration)


@step
def report_scores(
    source: str, block: str, kept: dict[str, Kept], folder: Path, catalog: Path | None
) -> EvaluationReport:
    """Adds the days up and writes tables and page.

    Raises:
        ArchiveError: If sums that were kept are gone.
        ProductError: If the folder cannot be written.
    """
    entry = read_catalog(catalog)[source]
    layer = layer_of(entry)
    results = {
        name: SchemeResult(
            days={day: _read_kept(file) for day, file in scheme.files.items()},
            is_deterministic=scheme.is_deterministic,
            configuration=scheme.configuration,
        )
        for name, scheme in kept.items()
    }
    evaluation = Evaluation(
        source=source,
        block=block,
        rows_m=tuple(entry.grid.centres_m[layer.lowest_row : layer.hidden_rows].tolist()),
        results=results,
        configuration={
            "title": entry.full_title,
            "simulated": entry.simulation is not None,
            "sensitivity_floor_dbz": layer.floor_dbz,
            "software_version": version("blindzone"),
        },
    )
    table, record = write_tables(evaluation, folder)
    picture = folder / "report.webp"
    draw_report(evaluation, picture)
    return EvaluationReport(
        source=source,
        block=block,
        days=tuple(next(iter(kept.values())).files),
        scores={name: result.keep(result.pooled.scores()) for name, result in results.items()},
        table=table,
        record=record,
        picture=picture,
        notes=tuple(_note_calibrations(source, kept)),
    )


def _note_calibrations(source: str, kept: Mapping[str, Kept]) -> Iterator[str]:
    """Yields a sentence for each network that was calibrated on days that it is scored on."""
    for name, scheme in kept.items():
        calibration = scheme.configuration.get("calibration") or {}
        seen = {str(day) for day in scheme.files} & set(calibration.get("days", ()))
        if seen and calibration.get("source") == source:
            yield (
                f"{name} was calibrated on {', '.join(sorted(seen))}: its scores there are better"
                " than on other days; 'blindzone calibrate' tells what leaving each of them out"
                " gives"
            )


def layer_of(entry: Source) -> ScoredLayer:
    """Returns what of a source's curtains is hidden and scored.

    Raises:
        CurtainError: If no hidden row is trusted.
    """
    return ScoredLayer(
        hidden_rows=entry.blind_zone.rows(entry.grid),
        lowest_row=entry.grid.row_of(entry.quality.lowest_trusted_m),
        floor_dbz=entry.quality.sensitivity_floor_dbz,
        longest_gap_s=LONGEST_GAP_S,
    )


def _read(store: Archive, source: str, day: date) -> xr.Dataset:
    curtain, _ = store.read_granule(source, day)
    check_radar(curtain, where=f"{source} {day}")
    return curtain


def _read_kept(file: Path) -> CurtainSums:
    sums = read_sums(file)
    if sums is None:
        raise ArchiveError(
            f"{file}: these sums were removed or damaged while the evaluation ran; start it again"
        )
    return sums


def _find_training(source: str, entry: Source, store: Archive) -> tuple[date, ...]:
    training = tuple(sorted(entry.split.training))
    if not training:
        raise CatalogError(
            f"{source}: the catalogue's split names no training day; schemes that learn need some"
        )
    _check_held(source, training, store, "training")
    return training


def _check_schemes(schemes: Sequence[str], checkpoints: Sequence[Path]) -> None:
    unknown = [name for name in schemes if name not in _SCHEMES]
    if unknown:
        raise CatalogError(f"no scheme '{unknown[0]}'; there are {', '.join(SCHEMES)}")
    if not schemes and not checkpoints:
        raise CatalogError("nothing to score: name a simple scheme or a checkpoint")


def _check_held(source: str, days: Sequence[date], store: Archive, block: str) -> None:
    held = set(store.days(source))
    lacking = [str(day) for day in sorted(days) if day not in held]
    if lacking:
        raise ArchiveError(
            f"{source}: the archive lacks {len(lacking)} of {len(days)} days of the {block} block "
            f"({', '.join(lacking)}); 'blindzone ingest {source}' fetches them"
        )


def check_not_trained_on(
    trained: Checkpoint, source: str, days: Sequence[date], checkpoint: str
) -> None:
    """Checks that a network was not trained on days.

    Raises:
        CheckpointError: With the days that it was trained on.
    """
    if trained.training.get("source") != source:
        return
    taught = sorted({str(day) for day in days} & set(trained.training.get("training_days", ())))
    if taught:
        raise CheckpointError(
            f"{checkpoint}: trained on {', '.join(taught)}, which would be scored; days unseen are"
            " right"
        )


def _name_checkpoints(checkpoints: Sequence[Path]) -> dict[str, Path]:
    """Returns checkpoints by the names of their files, with that of the folder where those are not enough."""
    stems = [path.stem for path in checkpoints]
    is_enough = [stems.count(stem) == 1 and stem not in SCHEMES for stem in stems]
    names = [
        path.stem if enough else f"{path.resolve().parent.name}_{path.stem}"
        for path, enough in zip(checkpoints, is_enough, strict=True)
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CatalogError(
            f"several checkpoints would be called {twice[0]}; files or folders of different names"
            " are right"
        )
    return dict(zip(names, checkpoints, strict=True))


def _name_files(
    folder: Path,
    name: str,
    store: Archive,
    source: str,
    days: Sequence[date],
    layer: ScoredLayer,
    decisive: list[Any],
) -> dict[date, Path]:
    """Returns the file that keeps each day's sums, its name made from all that decides them."""
    shared = [name, asdict(layer), EVALUATION_LEVELS, _hash_software(), *decisive]
    files = {}
    for day in days:
        record = store.record(source, day)
        content = json.dumps([*shared, record.store, record.content_hash], default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        files[day] = folder / f"{name}_{Granule.of(day).key}_{digest}.npz"
    return files


@lru_cache(maxsize=1)
def _hash_software() -> str:
    """Returns a hash of the package's own code: another version may come to other numbers."""
    root = Path(str(files("blindzone")))
    packages = ("core", "pipeline", "models", "flows")
    modules = [module for package in packages for module in sorted((root / package).rglob("*.py"))]
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()


def _plain(config: BaselineConfig) -> dict[str, Any]:
    return {name: value for name, value in asdict(config).items() if name != "levels"}
