"""Calibrate: predictions of days that a network never saw correct its predictions of others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field, replace
from datetime import UTC, date, datetime
from functools import reduce
from importlib.metadata import version
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.core.fence import Fence, describe
from blindzone.core.forward_passes import FixedPasses, is_single
from blindzone.flows.experiments.calibration_report import CalibrationReport, DepthReport
from blindzone.flows.experiments.day_blocks import (
    check_not_trained_on,
    find_days,
    list_training_days,
)
from blindzone.flows.experiments.fitted_depth import FittedDepth, join_depths
from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.hole_calibrating import fit_holes, list_groups
from blindzone.flows.experiments.predicted_days import PredictedDays, SourceDay
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.network_choice import trained_checkpoint
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import late_flow, step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.models.checkpoint import (
    Checkpoint,
    check_replaceable,
    copy_checkpoint,
    fingerprint,
    read_checkpoint,
    write_checkpoint,
    write_single_calibration,
)
from blindzone.models.checkpoint_record import locate_single
from blindzone.models.light_network import write_light
from blindzone.pipeline.derivation.shallow_fit import compare_days, fit_hidden_echo
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.applicability_fit import fit_applicability
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    summarize_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.calibration_verdict import (
    describe_calibration,
)
from blindzone.pipeline.inpainting.dependence_fit import count_touching_days, fit_dependence
from blindzone.pipeline.inpainting.inpaint_curtain import check_fits, predict_curtain
from blindzone.pipeline.inpainting.member_dependence import PALAISEAU
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import REFERENCE_KEY, make_reference
from blindzone.pipeline.verification.curtain_scores import CurtainSums
from blindzone.pipeline.verification.visible_layer import LayerView

logger = logging.getLogger(__name__)


@configuration(error=PlanError, what="calibrate")
class CalibrationPlan:
    """Which network is calibrated, and on what."""

    source: str
    """Name of the source in the catalogue."""
    others: tuple[str, ...] = ()
    """Further sources of the same grid, whose days it is calibrated on too."""
    checkpoint: Path | None = None
    """Trained network; by default the source's own, else the weights of the package."""
    block: str = "validation"
    """Block of the days: `validation`, or `test`, which then tests nothing any more."""
    passes: FixedPasses = 50
    """Number of stochastic forward passes, or `single`: one pass without dropout."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the passes."""
    output: Path | None = None
    """Checkpoint to write; by default the network's own file. A calibration for single passes is
    written beside it, with the network for LiteRT."""
    fit: CalibrationConfig = field(default_factory=CalibrationConfig)
    """How the calibration is fitted."""
    depths_m: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    """Depths of the blind zone [m] that each get a fit of their own; by default one fit for that of
    the source."""
    bottom_m: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Height of the hidden layer's bottom [m], as in an evaluation."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""

    @property
    def network(self) -> Path:
        """The network's checkpoint."""
        return self.checkpoint or trained_checkpoint(self.source)

    @property
    def layers(self) -> tuple[LayerView, ...]:
        """The layers that are hidden, one for each fit."""
        depths = self.depths_m or (None,)
        return tuple(LayerView(bottom_m=self.bottom_m, depth_m=depth) for depth in depths)

    @property
    def target(self) -> Path:
        """The checkpoint to write."""
        return self.output or self.network


@late_flow("calibrate")
@also_takes(
    CalibrationPlan,
    source="source",
    checkpoint="checkpoint",
    block="block",
    passes="passes",
    realizations="passes",
    seed="seed",
    output="output",
    config="fit",
    catalog="places.catalog",
    archive="places.archive",
)
def calibrate(plan: CalibrationPlan) -> CalibrationReport:
    """Calibrates a network on whole days that it was not trained on, and writes it with that.

    Each day is scored by a calibration made from the others. If intervals then miss what they
    state, the record in the checkpoint says so, and fills do not use the calibration.

    Args:
        plan: Which network is calibrated, and on what.

    Raises:
        CatalogError: If the source, the block or its days are not known.
        ArchiveError: If the archive lacks a day of the block.
        CurtainError: If the network was made for other curtains, or no truth is trusted.
        ModelError: If the checkpoint cannot be used or written, or was trained on days of the
            block.
    """
    check_replaceable(plan.target)
    days = {
        source: find_days(open_blocks(source, plan.places), plan.block)
        for source in (plan.source, *plan.others)
    }
    if open_network(plan.network).preprocessing.holes:
        return calibrate_holes(plan, days)
    with TemporaryDirectory() as folder:
        parts = []
        for number, layer in enumerate(plan.layers):
            predictions = {}
            for source, of_source in days.items():
                place = Path(folder) / str(number) / source
                place.mkdir(parents=True)
                predictions[source] = predict_days(plan, layer, source, of_source, place)
            parts.append(fit_days(plan, layer, predictions))
        return write_calibration(plan, days, parts)


@step
def calibrate_holes(
    plan: CalibrationPlan, days: Mapping[str, tuple[date, ...]]
) -> CalibrationReport:
    """Fits a calibration of a network that repairs holes, and writes the network with it.

    Args:
        plan: Network and source.
        days: The days of the calibration, by source.

    Raises:
        PlanError: If the plan names layers, which such a network has none of.
        CurtainError: If no truth is trusted.
        ModelError: If the checkpoint cannot be used or written, or was trained on one of the days.
    """
    if plan.depths_m or plan.bottom_m:
        raise PlanError(
            f"{plan.network}: it repairs holes of any depth; no depth and no bottom of a layer is"
            " right"
        )
    opened = {name: _open(plan, plan.layers[0], name, found) for name, found in days.items()}
    data, network = opened[plan.source]
    named = [(opened[name][0], day) for name, found in days.items() for day in found]
    fitted = fit_holes(network, named, plan.fit, passes=plan.passes, seed=plan.seed)
    record = _describe(plan, data, network, days[plan.source]) | fitted.to_record()
    others = {name: opened[name][0] for name in plan.others}
    if others:
        record["pooled"] = {name: [str(day) for day in days[name]] for name in others}
    record |= _describe_seen(data, network, days, others)
    written, sha256 = _write(plan, network.checkpoint, record)
    rows = network.preprocessing.output_rows
    return CalibrationReport(
        written=written,
        sha256=sha256,
        source=plan.source,
        block=plan.block,
        days=tuple(day for _, day in named),
        depths=(DepthReport(hidden_rows=rows, **fitted.scores),),
        status=describe_calibration(record, hidden_rows=rows, single=is_single(plan.passes)),
        groups=list_groups(fitted.calibration),
    )


@step
def predict_days(
    plan: CalibrationPlan, layer: LayerView, source: str, days: tuple[date, ...], folder: Path
) -> dict[date, Path]:
    """Predicts days without calibration and returns the file of each day's prediction.

    Args:
        plan: Network and source.
        layer: The layer that is hidden.
        source: Name of the source of the days.
        days: The days.
        folder: Folder of the files.

    Raises:
        CurtainError: If a day does not fit the checkpoint.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    data, opened = _open(plan, layer, source, days)
    predictions = {}
    for day in days:
        curtain = data.read(day)
        check_fits(curtain, opened.preprocessing, where=data.where(day))
        with stage(f"fill {day:%m-%d}") as on_progress:
            probability, intensity, _ = predict_curtain(
                data.read_input(day, opened.preprocessing, curtain),
                opened.network,
                opened.preprocessing,
                plan.passes,
                plan.seed,
                on_progress,
            )
        predictions[day] = folder / f"{day}.npz"
        np.savez(predictions[day], probability=probability, intensity=intensity)
    return predictions


def _open(
    plan: CalibrationPlan, layer: LayerView, source: str, days: Iterable[date]
) -> tuple[SourceData, TrainedNetwork]:
    data, opened = open_blocks(source, plan.places, layer), open_network(plan.network)
    check_not_trained_on(opened.checkpoint, source, tuple(days), str(plan.network))
    return data, opened.fit_zone(data.entry.blind_zone, where=source)


@step
def fit_days(
    plan: CalibrationPlan, layer: LayerView, predictions: Mapping[str, Mapping[date, Path]]
) -> FittedDepth:
    """Fits a calibration to predictions of days and scores it.

    Args:
        plan: Network and source.
        layer: The layer that is hidden.
        predictions: File of each day's prediction, of `predict_days`, by source.

    Raises:
        CurtainError: If no truth is trusted.
    """
    opened = {source: _open(plan, layer, source, days) for source, days in predictions.items()}
    preprocessing = opened[plan.source][1].preprocessing
    layers = [layer_of(data.entry) for data, _ in opened.values()]
    scored = replace(
        layers[0],
        hidden_rows=preprocessing.hidden_rows,
        lowest_row=max(one.lowest_row for one in layers),
        floor_dbz=preprocessing.floor_dbz,
    )
    predicted = PredictedDays(
        data={source: data for source, (data, _) in opened.items()},
        layer=scored,
        files={
            (source, day): file
            for source, days in predictions.items()
            for day, file in days.items()
        },
    )
    samples = {day: predicted.sample(day, plan.fit) for day in predicted.files}
    calibration = predicted.fit(list(samples.values()), plan.fit)
    scores = _compare(predicted, samples, plan.fit)
    pairs = [predicted.take_fields(day, calibration).sum_pairs() for day in predicted.files]
    is_enough = count_touching_days(pairs) >= plan.fit.member_days
    members = fit_dependence(pairs, preprocessing.grid.row_depth_m) if is_enough else None
    clear = [
        predicted.take_fields(day, calibration).find_clear_sky(members or PALAISEAU)
        for day in predicted.files
    ]
    compared = compare_days(clear, plan.fit.hidden_echo_days)
    return FittedDepth(
        calibration=calibration,
        members=members,
        hidden_echo=fit_hidden_echo(clear, plan.fit.hidden_echo_days),
        scores={
            when: {**table, **of_hidden}
            for (when, table), of_hidden in zip(scores.items(), compared, strict=True)
        },
    )


@step
def write_calibration(
    plan: CalibrationPlan,
    days: Mapping[str, tuple[date, ...]],
    parts: Sequence[FittedDepth],
) -> CalibrationReport:
    """Writes a network with its calibration.

    Args:
        plan: Network and source.
        days: The days of the calibration, by source.
        parts: The fit of each depth.

    Raises:
        CheckpointError: If the checkpoint cannot be written; an earlier file stays as it was.
    """
    layer, own = plan.layers[0], days[plan.source]
    data, opened = _open(plan, layer, plan.source, own)
    others = {name: _open(plan, layer, name, days[name])[0] for name in plan.others}
    record = _describe(plan, data, opened, own) | join_depths(parts)
    if others:
        record["pooled"] = {name: [str(day) for day in days[name]] for name in others}
    record |= _describe_seen(data, opened, days, others)
    written, sha256 = _write(plan, opened.checkpoint, record)
    hidden_rows = [part.calibration.hidden_rows for part in parts]
    return CalibrationReport(
        written=written,
        sha256=sha256,
        source=plan.source,
        block=plan.block,
        days=tuple(day for of_source in days.values() for day in of_source),
        depths=tuple(
            DepthReport(hidden_rows=rows, before=part.scores["before"], after=part.scores["after"])
            for rows, part in zip(hidden_rows, parts, strict=True)
        ),
        status=describe_calibration(
            record, hidden_rows=hidden_rows[0], single=is_single(plan.passes)
        ),
        groups=tuple(
            (
                group.regime.lower(),
                group.band,
                group.days,
                group.blocks,
                group.echo_days,
                group.echo_blocks,
            )
            for part in parts
            for group in part.calibration.groups
        ),
    )


def _write(
    plan: CalibrationPlan, checkpoint: Checkpoint, record: dict[str, Any]
) -> tuple[Path, str]:
    """Writes a record where it belongs by the way of passing, and returns the file and its hash."""
    if not is_single(plan.passes):
        whole = read_checkpoint(plan.network)
        return plan.target, write_checkpoint(plan.target, replace(whole, calibration=record))
    if plan.target.absolute() != plan.network.absolute():
        copy_checkpoint(plan.network, plan.target)
    written = locate_single(plan.target)
    sha256 = write_single_calibration(plan.target, checkpoint, record)
    with Fence(_note_no_light):  # TensorFlow computes single passes too
        write_light(plan.target, checkpoint)
    return written, sha256


def _note_no_light(error: BaseException) -> None:
    logger.warning("no network for LiteRT: %s", describe(error))


def _compare(
    predicted: PredictedDays,
    samples: Mapping[SourceDay, CalibrationSample],
    config: CalibrationConfig,
) -> dict[str, dict[str, float]]:
    """Returns the scores before calibration, and after one by the other days."""
    before, after = [], []
    with stage("score") as on_progress:
        for number, day in enumerate(samples, start=1):
            others = [sample for other, sample in samples.items() if other != day]
            before.append(predicted.score(day, None))
            if others:
                after.append(predicted.score(day, predicted.fit(others, config)))
            on_progress(number / len(samples), str(day[1]))
    return {"before": _summarize(before), "after": _summarize(after)}


def _describe(
    plan: CalibrationPlan, data: SourceData, opened: TrainedNetwork, days: Sequence[date]
) -> dict[str, Any]:
    """Returns what a calibration was made from, as its record keeps it."""
    trained = opened.checkpoint
    return {
        "source": plan.source,
        "block": plan.block,
        "days": [str(day) for day in days],
        "data_sha256": data.hash_content(days),
        "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "realizations": plan.passes,
        "seed": plan.seed,
        "software_version": version("blindzone"),
        "configuration": asdict(plan.fit),
        **fingerprint(trained.network, trained.preprocessing),
    }


def _describe_seen(
    data: SourceData,
    opened: TrainedNetwork,
    days: Mapping[str, Sequence[date]],
    others: Mapping[str, SourceData],
) -> dict[str, Any]:
    """Returns the records of applicability and input of the days that the network saw."""
    preprocessing = opened.preprocessing
    seen = _list_seen(data, opened.checkpoint, days[data.name])
    all_seen = [(data, seen)]
    for name, other in others.items():
        all_seen.append((other, _list_seen(other, opened.checkpoint, days[name])))
    record = {"domain": _find_applicability(all_seen, preprocessing).to_dict()}
    reference = make_reference(data.archive, data.name, preprocessing, seen)
    return record if reference is None else record | {REFERENCE_KEY: reference.to_dict()}


def _list_seen(data: SourceData, trained: Checkpoint, days: Iterable[date]) -> list[date]:
    """Returns the days that network and calibration saw: those given and those of training."""
    training = list_training_days(trained, data.name)
    return sorted({*days} | {day for day in data.days if str(day) in training})


def _find_applicability(
    seen: Sequence[tuple[SourceData, Sequence[date]]], preprocessing: Preprocessing
) -> Applicability:
    """Returns the applicability of days of sources as network input."""
    curtains = (data.read_input(day, preprocessing) for data, days in seen for day in days)
    data, days = seen[0]
    attributes = data.archive.open_day(data.name, days[0]).attrs if days else {}
    frequency = data.entry.find_frequency(attributes)
    return fit_applicability(curtains, preprocessing, frequency_ghz=frequency)


def _summarize(days: Sequence[tuple[CurtainSums, CurtainSums]]) -> dict[str, float]:
    """Returns the scores of days together; none of no day."""
    if not days:
        return {}
    everywhere, given_echo = zip(*days, strict=True)
    return summarize_sums(reduce(add, everywhere)) | summarize_given_echo(reduce(add, given_echo))
