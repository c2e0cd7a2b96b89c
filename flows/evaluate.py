"""Evaluate: networks and simple schemes on the same pixels of whole days, to tables and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from blindzone.core.configuration import configuration, to_plain
from blindzone.core.errors import CatalogError, CurtainError, PlanError
from blindzone.core.forward_passes import FixedPasses
from blindzone.flows.experiments.day_blocks import (
    check_not_trained_on,
    find_days,
    find_training_days,
)
from blindzone.flows.experiments.field_scoring import fit_schaake, predict_fields
from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.kept_sums import KeptSums, ScoredDays
from blindzone.flows.experiments.schemes import FORMER_SCHEMES, SCHEMES, build_schemes
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import late_flow, step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.flows.running.workspace import workspace
from blindzone.models.baselines import Baseline, BaselineConfig
from blindzone.pipeline.inpainting.inpaint_curtain import check_fits, fill_curtain
from blindzone.pipeline.plots.diagrams import write_diagrams
from blindzone.pipeline.plots.evaluation_page import draw_report
from blindzone.pipeline.verification.bootstrap import Estimate, bound_scores
from blindzone.pipeline.verification.curtain_scores import CurtainSums
from blindzone.pipeline.verification.field_scores import FieldSums
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.score_dataset import write_dataset, write_markdown
from blindzone.pipeline.verification.tables import (
    Evaluation,
    SchemeResult,
    write_field_scores,
    write_sums,
    write_tables,
)
from blindzone.pipeline.verification.visible_layer import LayerView


@configuration(error=PlanError, what="evaluate")
class EvaluationPlan:
    """What is scored, and on what."""

    source: str
    """Name of the source in the catalogue."""
    block: str = "validation"
    """`validation`, or `test`, which nothing may be tuned on."""
    schemes: tuple[str, ...] = SCHEMES
    """Names of simple schemes, which are fitted on the training days."""
    checkpoints: tuple[Path, ...] = ()
    """Trained networks."""
    passes: FixedPasses = 16
    """Number of a network's stochastic forward passes, or `single`: one pass without dropout."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the passes."""
    output: Path | None = None
    """Folder of tables and page; by default one in the workspace."""
    uncalibrated: bool = False
    """Whether calibrated networks are scored without their calibration too, as
    NAME_uncalibrated."""
    members: Annotated[int, Field(ge=2)] | None = None
    """Number of ensemble members of each network that are scored as fields, beside a Schaake
    shuffle of the same distributions; none by default."""
    figures: bool = False
    """Whether diagrams are written too, each as PDF and PNG."""
    layer: LayerView = LayerView()
    """The layer that is hidden and scored; by default the blind zone."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""

    @field_validator("schemes")
    @classmethod
    def _take_former_names(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(FORMER_SCHEMES.get(name, name) for name in schemes)

    @property
    def folder(self) -> Path:
        """Folder of tables and page."""
        name = f"{self.source}_{self.block}"
        if self.layer.depth_m is not None:
            name += f"_depth{self.layer.depth_m:g}m"
        if self.layer.bottom_m:
            name += f"_from{self.layer.bottom_m:g}m"
        return self.output or workspace() / "evaluations" / name

    def open(self, days: tuple[date, ...]) -> ScoredDays:
        """Returns the days with the source's data."""
        data = open_blocks(self.source, self.places, self.layer)
        return ScoredDays(
            data=data, layer=layer_of(data.entry), days=days, folder=self.folder / "days"
        )


@dataclass(frozen=True, kw_only=True)
class ScoredNetwork:
    """A network that is scored.

    Attributes:
        name: Name in tables.
        checkpoint: Its checkpoint.
        is_calibrated: Whether its calibration is used, if it has one.
    """

    name: str
    checkpoint: Path
    is_calibrated: bool = True


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Results of an evaluation.

    Attributes:
        scores: Pooled scores of each scheme.
        bounds: The same with their 95 % bounds.
        leaders: The scheme that leads in a score, where its lead is apart from zero.
        table: All scores, one a line.
        record: All scores and what they were made with, JSON.
        picture: The page.
        notes: What must be known to read the scores.
        figures: The diagrams, if there are any.
        fields: Pooled scores of each network's members as fields, and of the Schaake shuffle's,
            with their bounds.
        fields_table: The same, one a line; None without members.
    """

    source: str
    block: str
    days: tuple[date, ...]
    scores: dict[str, dict[str, float]]
    table: Path
    record: Path
    picture: Path
    notes: tuple[str, ...] = ()
    bounds: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    leaders: dict[str, str] = field(default_factory=dict)
    figures: tuple[Path, ...] = ()
    fields: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    fields_table: Path | None = None


@late_flow("evaluate")
@also_takes(
    EvaluationPlan,
    source="source",
    block="block",
    schemes="schemes",
    checkpoints="checkpoints",
    passes="passes",
    realizations="passes",
    seed="seed",
    output="output",
    catalog="places.catalog",
    archive="places.archive",
    uncalibrated="uncalibrated",
)
def evaluate(plan: EvaluationPlan) -> EvaluationReport:
    """Scores networks and simple schemes on the same pixels of a block's days.

    Args:
        plan: What is scored, and on what.

    Raises:
        CatalogError: If the source, the block, its days or a scheme is not known.
        ArchiveError: If the archive lacks a day of the block.
        CurtainError: If a checkpoint was made for other curtains.
        ModelError: If a checkpoint cannot be used, or was trained on days of the block.
    """
    days = find_days(open_blocks(plan.source, plan.places), plan.block)
    _check_schemes(plan.schemes, plan.checkpoints)
    kept = score_schemes(plan, days) if plan.schemes else {}
    for name, checkpoint in _name_checkpoints(plan.checkpoints).items():
        kept[name] = score_network(plan, ScoredNetwork(name=name, checkpoint=checkpoint), days)
        if plan.uncalibrated and kept[name].configuration["calibration"] is not None:
            plain = f"{name}_uncalibrated"
            network = ScoredNetwork(name=plain, checkpoint=checkpoint, is_calibrated=False)
            kept[plain] = score_network(plan, network, days)
    report = report_scores(plan, kept)
    if plan.members is None or not plan.checkpoints:
        return report
    fields: dict[str, dict[str, Estimate]] = {}
    for name, checkpoint in _name_checkpoints(plan.checkpoints).items():
        fields |= score_members(plan, ScoredNetwork(name=name, checkpoint=checkpoint), days)
    table = write_field_scores(fields, plan.folder / "members.csv")
    return replace(report, fields=fields, fields_table=table)


@step
def score_schemes(plan: EvaluationPlan, days: tuple[date, ...]) -> dict[str, KeptSums]:
    """Fits simple schemes on the training days, scores them and keeps the sums of each day.

    Args:
        plan: What is scored, and on what.
        days: The days to score on.

    Raises:
        CatalogError: If the catalogue names no training day.
        ArchiveError: If the archive lacks one.
    """
    scored = plan.open(days)
    spacing_m = scored.data.entry.profile_spacing_m
    built = build_schemes(plan.schemes, scored.layer, spacing_m)
    learns = any(scheme.learns for scheme in built.values())
    training = find_training_days(scored.data) if learns else ()
    stores = [scored.data.archive.record(plan.source, day).store for day in training]
    kept = {
        name: KeptSums(
            files=scored.name_files(name, [asdict(scheme.config), stores]),
            is_deterministic=scheme.is_deterministic,
            configuration={
                "scheme": type(scheme).__name__,
                "training_days": [str(day) for day in training] if scheme.learns else [],
                **_plain(scheme.config),
            },
        )
        for name, scheme in built.items()
    }
    missing = {name: sums.missing for name, sums in kept.items()}
    unfitted = [scheme for name, scheme in built.items() if scheme.learns and missing[name]]
    _fit(unfitted, scored, training)
    for day, name, prediction_sums in _score(built, missing, scored):
        write_sums(prediction_sums, kept[name].files[day])
    return kept


def _score(
    built: Mapping[str, Baseline[Any]], missing: Mapping[str, Sequence[date]], scored: ScoredDays
) -> Iterator[tuple[date, str, CurtainSums]]:
    """Yields day, scheme and sums wherever they are missing; each day is read once."""
    with stage("schemes") as on_progress:
        for number, day in enumerate(scored.days):
            lacking = [name for name in built if day in missing[name]]
            if not lacking:
                continue
            curtain = scored.data.read(day)
            visible, _, _ = scored.layer.part(curtain)
            for done, name in enumerate(lacking):
                share = (number + done / len(lacking)) / len(scored.days)
                on_progress(share, f"{name} {day}")
                prediction = built[name].predict(visible)
                probability, quantiles = prediction.probability, prediction.quantiles
                yield day, name, scored.layer.score(curtain, probability, quantiles)
        on_progress(1.0)


def _fit(schemes: Sequence[Baseline[Any]], scored: ScoredDays, training: Sequence[date]) -> None:
    if not schemes:
        return
    with stage("fit") as on_progress:
        for number, day in enumerate(training, start=1):
            parts = scored.layer.part(scored.data.read(day))
            for scheme in schemes:
                scheme.fit(*parts)
            on_progress(number / len(training), str(day))


@step
def score_network(plan: EvaluationPlan, network: ScoredNetwork, days: tuple[date, ...]) -> KeptSums:
    """Scores a network and keeps the sums of each day.

    Args:
        plan: What is scored, and on what.
        network: The network.
        days: The days to score on.

    Raises:
        CurtainError: If it was made for other curtains.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    scored = plan.open(days)
    opened = _open_scored(plan, network, scored, days)
    trained = opened.checkpoint
    calibrated = network.is_calibrated and opened.calibration is not None
    decided = [trained.sha256, plan.passes, plan.seed, calibrated, *opened.list_further_hashes()]
    files = scored.name_files(network.name, decided)
    kept = KeptSums(
        files=files,
        is_deterministic=False,
        configuration={
            "checkpoint": network.checkpoint.name,
            "checkpoint_sha256": trained.sha256,
            "realizations": plan.passes,
            "seed": plan.seed,
            "network": to_plain(trained.config),
            "training": trained.training,
            "calibration": opened.record if calibrated else None,
        },
    )
    for day in kept.missing:
        write_sums(_score_day(plan, network, opened, scored, day), files[day])
    return kept


@step
def score_members(
    plan: EvaluationPlan, network: ScoredNetwork, days: tuple[date, ...]
) -> dict[str, dict[str, Estimate]]:
    """Scores a network's members as fields, beside a Schaake shuffle of the same distributions.

    Args:
        plan: What is scored, and on what.
        network: The network.
        days: The days to score on.

    Raises:
        CatalogError: If the catalogue names no training day.
        CurtainError: If it was made for other curtains.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    scored = plan.open(days)
    opened = _open_scored(plan, network, scored, days)
    schaake = fit_schaake(scored.data, scored.layer, find_training_days(scored.data))
    dependence, count = opened.dependence, plan.members or 0
    sums: dict[str, list[FieldSums]] = {network.name: [], f"{network.name}_schaake": []}
    for day in days:
        with stage(f"members {day:%m-%d}") as on_progress:
            fields = predict_fields(
                scored.data,
                opened,
                scored.layer,
                day,
                passes=plan.passes,
                seed=plan.seed,
                on_progress=on_progress,
            )
        members = fields.draw(dependence, count, plan.seed), fields.shuffle(schaake, count)
        for of_days, drawn in zip(sums.values(), members, strict=True):
            of_days.append(fields.score(drawn))
    return {name: bound_scores(of_days, FieldSums.scores) for name, of_days in sums.items()}


def _open_scored(
    plan: EvaluationPlan, network: ScoredNetwork, scored: ScoredDays, days: tuple[date, ...]
) -> TrainedNetwork:
    """Returns a network that may be scored on some days, for their blind zone.

    Raises:
        CurtainError: If it was made for other curtains.
        ModelError: If the checkpoint cannot be used, or was trained on one of the days.
    """
    opened = open_network(network.checkpoint).for_passes(plan.passes)
    check_not_trained_on(opened.checkpoint, plan.source, days, str(network.checkpoint))
    opened = opened.fit_zone(scored.data.entry.blind_zone, where=plan.source)
    found, expected = opened.preprocessing.floor_dbz, scored.layer.floor_dbz
    if found != expected:
        raise CurtainError(
            f"{network.checkpoint}: made for a sensitivity floor of {found} dBZ; {scored.data.name}"
            f" is scored with {expected} dBZ, and only predictions of max(dBZ, floor) with one"
            " floor can be compared"
        )
    return opened


def _score_day(
    plan: EvaluationPlan,
    network: ScoredNetwork,
    opened: TrainedNetwork,
    scored: ScoredDays,
    day: date,
) -> CurtainSums:
    """Returns the sums of one day of a network."""
    curtain = scored.data.read(day)
    check_fits(curtain, opened.preprocessing, where=scored.data.where(day))
    with stage(f"{network.name} {day:%m-%d}") as on_progress:
        prediction = fill_curtain(
            scored.data.read_input(day, opened.preprocessing, curtain),
            opened.network,
            opened.preprocessing,
            plan.passes,
            plan.seed,
            on_progress,
            EVALUATION_LEVELS,
            opened.calibration if network.is_calibrated else None,
        )
    return scored.layer.score(
        curtain,
        prediction["hydrometeor_probability"].values,
        prediction["reflectivity_quantile"].values,
    )


@step
def report_scores(plan: EvaluationPlan, kept: Mapping[str, KeptSums]) -> EvaluationReport:
    """Adds the days up and writes tables and page.

    Args:
        plan: What is scored, and on what.
        kept: The sums of each scheme.

    Raises:
        ArchiveError: If sums that were kept are gone.
        ProductError: If the folder cannot be written.
    """
    results = {
        name: SchemeResult(
            days=sums.read(),
            is_deterministic=sums.is_deterministic,
            configuration=sums.configuration,
        )
        for name, sums in kept.items()
    }
    evaluation = _describe(plan, results)
    table, record = write_tables(evaluation, plan.folder)
    write_dataset(evaluation, plan.folder / "scores.nc")
    write_markdown(evaluation, plan.folder / "scores.md")
    picture = plan.folder / "report.webp"
    draw_report(evaluation, picture)
    figures = write_diagrams(evaluation, plan.folder / "figures") if plan.figures else []
    return EvaluationReport(
        source=plan.source,
        block=plan.block,
        days=tuple(next(iter(kept.values())).files),
        scores={name: result.keep(result.drawn.whole) for name, result in results.items()},
        bounds=evaluation.bounds,
        leaders=evaluation.leaders,
        figures=tuple(figures),
        table=table,
        record=record,
        picture=picture,
        notes=tuple(_note_calibrations(plan.source, kept)),
    )


def _describe(plan: EvaluationPlan, results: Mapping[str, SchemeResult]) -> Evaluation:
    data = open_blocks(plan.source, plan.places, plan.layer)
    entry, layer = data.entry, layer_of(data.entry)
    return Evaluation(
        source=plan.source,
        block=plan.block,
        rows_m=tuple(entry.grid.centres_m[layer.lowest_row : layer.hidden_rows].tolist()),
        results=dict(results),
        configuration={
            "title": entry.full_title,
            "simulated": entry.simulation is not None,
            "sensitivity_floor_dbz": layer.floor_dbz,
            "layer": to_plain(plan.layer),
            "software_version": version("blindzone"),
        },
    )


def _note_calibrations(source: str, kept: Mapping[str, KeptSums]) -> Iterator[str]:
    """Yields a sentence for each network that was calibrated on days that it is scored on."""
    for name, sums in kept.items():
        calibration = sums.configuration.get("calibration") or {}
        seen = {str(day) for day in sums.files} & set(calibration.get("days", ()))
        if seen and calibration.get("source") == source:
            yield (
                f"{name} was calibrated on {', '.join(sorted(seen))}: its scores there are better"
                " than on other days; 'blindzone calibrate' reports the scores with each of them"
                " left out"
            )


def _check_schemes(schemes: Sequence[str], checkpoints: Sequence[Path]) -> None:
    unknown = [name for name in schemes if name not in SCHEMES]
    if unknown:
        raise CatalogError(f"no scheme '{unknown[0]}'; there are {', '.join(SCHEMES)}")
    if not schemes and not checkpoints:
        raise CatalogError("nothing to score: name a simple scheme or a checkpoint")


def _name_checkpoints(checkpoints: Sequence[Path]) -> dict[str, Path]:
    """Returns checkpoints by file name, with that of the folder where it is not enough."""
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


def _plain(config: BaselineConfig) -> dict[str, Any]:
    return {name: value for name, value in asdict(config).items() if name != "levels"}
