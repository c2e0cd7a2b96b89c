"""Calibrate: what a network says of days that it never saw corrects what it says of all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from functools import reduce
from importlib.metadata import version
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from prefect import flow

from blindzone.flows.evaluate import check_not_trained_on, find_days, layer_of
from blindzone.flows.experiments.runs import hash_data
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.workspace import archive_folder, trained_checkpoint
from blindzone.models.checkpoint import (
    Checkpoint,
    check_replaceable,
    fingerprint,
    read_checkpoint,
    write_checkpoint,
)
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import open_collocated
from blindzone.pipeline.catalog.catalog import Catalog, Source, read_catalog
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.applicability_fit import fit_applicability
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    fit_calibration,
    sample_day,
    score_given_echo,
    summarize_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.inpaint_curtain import check_fits, predict_curtain
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import REFERENCE_KEY, make_reference
from blindzone.pipeline.verification.curtain_scores import CurtainSums, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """What a calibration made.

    Attributes:
        checkpoint: The network with its calibration.
        days: The days that it was calibrated on.
        before: Scores of these days without calibration.
        after: Scores of each day with a calibration made from the other days; empty for a single
            day.
        groups: Regime, band of rows, days and blocks of time, with any pixels and with echo, of
            each group.
    """

    checkpoint: Path
    sha256: str
    source: str
    block: str
    days: tuple[date, ...]
    before: dict[str, float]
    after: dict[str, float]
    groups: tuple[tuple[str, int, int, int, int, int], ...]


@flow(name="calibrate", log_prints=True)
def calibrate(
    source: str,
    checkpoint: Path | None = None,
    block: str = "validation",
    passes: int = 50,
    seed: int = 0,
    output: Path | None = None,
    config: CalibrationConfig | None = None,
    catalog: Path | None = None,
    archive: Path | str | None = None,
) -> CalibrationReport:
    """Calibrates a network on whole days that it was not trained on and writes it with its calibration.

    Args:
        source: Name of the source in the catalogue.
        checkpoint: Trained network; by default the source's own, else the weights of the package.
        block: Block of the days: `validation`, or `test`, which then tests nothing any more.
        passes: Number of stochastic forward passes.
        seed: Seed of the passes.
        output: Checkpoint to write; by default the network's own file.
        config: How the calibration is fitted.
        catalog: Catalogue file.
        archive: Folder of the archive.

    Raises:
        CatalogError: If the source, the block or its days are not known.
        ArchiveError: If the archive lacks a day of the block.
        CurtainError: If the network was made for other curtains, or no truth is trusted.
        ModelError: If the checkpoint cannot be used or written, or was trained on days of the
            block.
    """
    store, network = archive or archive_folder(), checkpoint or trained_checkpoint(source)
    target, chosen = output or network, config or CalibrationConfig()
    check_replaceable(target)
    days = find_days(source, read_catalog(catalog)[source], Archive(store), block)
    with TemporaryDirectory() as folder:
        answers = predict_days(source, network, days, passes, seed, Path(folder), catalog, store)
        return calibrate_days(
            source,
            network,
            answers,
            passes,
            seed,
            target,
            chosen,
            catalog,
            store,
            block=block,
        )


@step
def predict_days(
    source: str,
    checkpoint: Path,
    days: tuple[date, ...],
    passes: int,
    seed: int,
    folder: Path,
    catalog: Path | None,
    archive: Path | str,
) -> dict[date, Path]:
    """Fills days and keeps, uncalibrated, what the network says of each in a file.

    Raises:
        BlindzoneError: If a day does not fit the checkpoint.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    sources, store = read_catalog(catalog), Archive(archive)
    trained = read_checkpoint(checkpoint)
    check_not_trained_on(trained, source, days, str(checkpoint))
    preprocessing = _preprocess(trained, sources[source], source)
    network = MonteCarloNetwork(
        trained.network, trained.config, floor_unit=preprocessing.floor_unit
    )
    answers = {}
    for day in days:
        curtain, _ = store.read_granule(source, day)
        check_fits(curtain, preprocessing, where=f"{source} {day}")
        beside = (
            open_collocated(store, sources, source, day)
            if preprocessing.uses_collocated
            else curtain
        )
        with stage(f"fill {day:%m-%d}") as on_progress:
            probability, intensity, _ = predict_curtain(
                beside, network, preprocessing, passes, seed, on_progress
            )
        answers[day] = folder / f"{day}.npz"
        np.savez(answers[day], probability=probability, intensity=intensity)
    return answers


@step
def calibrate_days(
    source: str,
    checkpoint: Path,
    answers: Mapping[date, Path],
    passes: int,
    seed: int,
    output: Path,
    config: CalibrationConfig,
    catalog: Path | None,
    archive: Path | str,
    *,
    block: str,
) -> CalibrationReport:
    """Fits a calibration to what a network said of days, scores it and writes it with the network.

    Raises:
        CurtainError: If no truth is trusted.
        CheckpointError: If the checkpoint cannot be written; an earlier file stays as it was.
    """
    sources, store = read_catalog(catalog), Archive(archive)
    entry, trained = sources[source], read_checkpoint(checkpoint)
    preprocessing = _preprocess(trained, entry, source)
    layer = replace(
        layer_of(entry), hidden_rows=preprocessing.hidden_rows, floor_dbz=preprocessing.floor_dbz
    )
    samples = {
        day: _sample(store, source, day, file, layer, config) for day, file in answers.items()
    }
    calibration = _fit(list(samples.values()), layer, config)
    before, after = [], []
    with stage("score") as on_progress:
        for number, (day, file) in enumerate(answers.items(), start=1):
            others = [sample for other, sample in samples.items() if other != day]
            before.append(_score(store, source, day, file, layer, None))
            if others:
                after.append(_score(store, source, day, file, layer, _fit(others, layer, config)))
            on_progress(number / len(answers), str(day))
    scores = {"before": _summarize(before), "after": _summarize(after)}
    seen = _list_seen(store, source, trained, answers)
    record = {
        "source": source,
        "block": block,
        "days": [str(day) for day in answers],
        "data_sha256": hash_data(store, source, answers),
        "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "realizations": passes,
        "seed": seed,
        "software_version": version("blindzone"),
        "configuration": asdict(config),
        **fingerprint(trained.network, trained.preprocessing),
        "scores": _without_nan(scores),
        "fit": calibration.to_dict(),
        "domain": _find_applicability(store, sources, source, preprocessing, seen).to_dict(),
    }
    reference = make_reference(store, source, preprocessing, seen)
    if reference is not None:
        record[REFERENCE_KEY] = reference.to_dict()
    sha256 = write_checkpoint(output, replace(trained, calibration=record))
    return CalibrationReport(
        checkpoint=output,
        sha256=sha256,
        source=source,
        block=block,
        days=tuple(answers),
        before=scores["before"],
        after=scores["after"],
        groups=tuple(
            (
                group.regime.lower(),
                group.band,
                group.days,
                group.blocks,
                group.echo_days,
                group.echo_blocks,
            )
            for group in calibration.groups
        ),
    )


def _list_seen(
    store: Archive, source: str, trained: Checkpoint, days: Iterable[date]
) -> list[date]:
    """Returns the days that network and calibration saw: those given, and those of its training that are archived."""
    seen = set(days)
    if trained.training.get("source") == source:
        seen |= {*map(date.fromisoformat, trained.training.get("training_days", ()))} & {
            *store.days(source)
        }
    return sorted(seen)


def _find_applicability(
    store: Archive,
    sources: Catalog,
    source: str,
    preprocessing: Preprocessing,
    seen: Sequence[date],
) -> Applicability:
    """Returns what days were like, as the network is shown them."""
    curtains = (
        (
            open_collocated(store, sources, source, day).load()
            if preprocessing.uses_collocated
            else store.read_granule(source, day)[0]
        )
        for day in seen
    )
    attributes = store.open_day(source, seen[0]).attrs if seen else {}
    return fit_applicability(
        curtains, preprocessing, frequency_ghz=sources[source].find_frequency(attributes)
    )


def _preprocess(trained: Checkpoint, entry: Source, source: str) -> Preprocessing:
    return Preprocessing.from_dict(trained.preprocessing).fit_zone(entry.blind_zone, where=source)


def _sample(
    store: Archive,
    source: str,
    day: date,
    file: Path,
    layer: ScoredLayer,
    config: CalibrationConfig,
) -> CalibrationSample:
    curtain, _ = store.read_granule(source, day)
    visible, hidden, trusted = layer.part(curtain)
    with np.load(file, allow_pickle=False) as prediction:
        return sample_day(
            prediction["probability"],
            prediction["intensity"],
            hidden,
            scored=trusted,
            visible=visible,
            time=curtain["time"].values,
            floor_dbz=layer.floor_dbz,
            config=config,
        )


def _fit(
    samples: Sequence[CalibrationSample], layer: ScoredLayer, config: CalibrationConfig
) -> Calibration:
    return fit_calibration(
        samples, config, hidden_rows=layer.hidden_rows, floor_dbz=layer.floor_dbz
    )


def _score(
    store: Archive,
    source: str,
    day: date,
    file: Path,
    layer: ScoredLayer,
    calibration: Calibration | None,
) -> tuple[CurtainSums, CurtainSums]:
    """Returns the sums of one day, calibrated or as the network said it, and those of what is told given echo."""
    curtain, _ = store.read_granule(source, day)
    with np.load(file, allow_pickle=False) as prediction:
        parts: tuple[np.ndarray, ...] = prediction["probability"], prediction["intensity"]
    if calibration is not None:
        visible, _, _ = layer.part(curtain)
        parts = calibration.apply_below(visible, *parts)
    summary = summarize_distribution(*parts, floor_dbz=layer.floor_dbz, levels=EVALUATION_LEVELS)
    return (
        layer.score(
            curtain,
            summary["hydrometeor_probability"].values,
            summary["reflectivity_quantile"].values,
        ),
        score_given_echo(layer, curtain, summary["reflectivity_quantile_given_echo"].values),
    )


def _summarize(days: Sequence[tuple[CurtainSums, CurtainSums]]) -> dict[str, float]:
    """Returns the scores of days together; none of no day."""
    if not days:
        return {}
    everywhere, given_echo = zip(*days, strict=True)
    return summarize_sums(reduce(add, everywhere)) | summarize_given_echo(reduce(add, given_echo))


def _without_nan(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Returns scores without those that have nothing to stand on: JSON knows no NaN."""
    return {
        when: {name: round(value, 5) for name, value in table.items() if np.isfinite(value)}
        for when, table in scores.items()
    }
