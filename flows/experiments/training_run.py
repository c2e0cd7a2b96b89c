"""Training runs: archived days of a source to a checkpoint, in a directory of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blindzone.core.errors import BlindzoneError
from blindzone.core.files import sha256_file
from blindzone.flows.experiments.contest import (
    Contest,
    find_rival,
    hold_contest,
    is_used,
    put_in_use,
)
from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.pretrained import check_pretrained
from blindzone.flows.experiments.runs import (
    Run,
    RunError,
    begin_run,
    describe_software,
    runs_folder,
)
from blindzone.flows.experiments.stage_checks import check_stages
from blindzone.flows.experiments.staged_training import (
    finish_run,
    fit_stages,
    train_paths,
    write_network,
)
from blindzone.flows.experiments.training_budget import Budget
from blindzone.flows.experiments.training_data import TrainingData, fit_config, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.window_scores import SCORE, WindowScorer
from blindzone.flows.running.network_choice import find_kind
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.source_data import SourceData
from blindzone.models.checkpoint import (
    copy_checkpoint,
    read_checkpoint,
)
from blindzone.models.checkpoint_record import TRUNK_KEY
from blindzone.models.training_step import list_devices
from blindzone.pipeline.plots.scenes import draw_scenes


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """Results of a training.

    Attributes:
        checkpoint: The trained network: where later runs find it, or in its run's directory.
        in_use: Whether later runs find it.
        contest: How it compares with what was in use; None if it was to be written by name.
        kept: Where the checkpoint that it replaced is kept, if it replaced one.
        minutes: What the steps took [min].
        all_minutes: What everything took [min], if there was a budget for it.
    """

    checkpoint: Path
    in_use: bool
    contest: Contest | None
    kept: Path | None
    sha256: str
    steps: int
    minutes: float
    all_minutes: float | None
    validation_loss: float
    training_days: int
    validation_days: int
    run: Path
    wait_share: float
    scores: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """What is trained on, and where the results go.

    Attributes:
        source: Name of the source in the catalogue.
        places: Where catalogue and archive are.
        checkpoint: File to write.
        start_from: Checkpoint of a network of the same shape to begin with, or one for each of its
            column paths, which are then not trained before.
        tensorboard: Whether the events for TensorBoard are written.
        runs: Folder of runs; by default that of the workspace.
        spent_s: What of a budget in minutes was spent before [s].
        others: Names of sources that are pooled with it.
        pretrained: Checkpoint whose trunk the network begins with.
        is_trunk: Whether it is a trunk that other networks will begin with.
    """

    source: str
    places: DataPlaces
    checkpoint: Path
    start_from: tuple[Path, ...] = ()
    tensorboard: bool = False
    runs: Path | None = None
    spent_s: float = 0.0
    others: tuple[str, ...] = ()
    pretrained: Path | None = None
    is_trunk: bool = False


@step
def run_training(task: TrainingTask, plan: TrainingPlan) -> TrainReport:
    """Trains one network from start to checkpoint.

    Raises:
        WindowError: If too few days are archived to train and to validate.
        TrainingError: If the training diverges.
    """
    if task.start_from:
        plan = plan.without_paths()
    check_stages(plan)
    budget = None if plan.minutes is None else Budget(plan.minutes, task.spent_s)
    if budget is not None:
        plan = budget.fit_validation(plan)
    source = open_blocks(task.source, task.places)
    others = [open_blocks(name, task.places) for name in task.others]
    data = prepare_data(source, plan, others)
    if task.pretrained is not None:
        check_pretrained(
            task.pretrained, fit_config(plan.network, data.preprocessing), data.preprocessing
        )
    about = _describe_task(task, source, data)
    run = begin_run(task.runs or runs_folder(), task.source, plan, about)
    return _record_end(run, data, plan, budget)


def _describe_task(task: TrainingTask, source: SourceData, data: TrainingData) -> dict[str, Any]:
    """Returns what a run is made from, as its directory keeps it."""
    catalog, root = task.places.catalog, source.archive.root
    return {
        "source": task.source,
        "title": data.entry.full_title,
        "licence": data.entry.licence,
        "reference": data.entry.reference,
        "simulated": data.simulated,
        "frequency_ghz": data.entry.find_frequency(),
        "catalog": None if catalog is None else str(catalog.resolve()),
        "archive": str(root.resolve() if isinstance(root, Path) else root),
        "checkpoint": str(task.checkpoint.resolve()),
        "start_from": [str(path.resolve()) for path in task.start_from],
        "start_from_sha256": [read_checkpoint(path).sha256 for path in task.start_from],
        "pretrained": None if task.pretrained is None else str(task.pretrained.resolve()),
        "pretrained_sha256": task.pretrained and sha256_file(task.pretrained),
        TRUNK_KEY: task.is_trunk,
        "tensorboard": task.tensorboard,
        "begun": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "training_days": [str(day) for day in data.training_days],
        "validation_days": [str(day) for day in data.validation_days],
        "pooled": {
            name: {
                "training_days": [str(day) for day in training],
                "validation_days": [str(day) for day in validation],
            }
            for name, (training, validation) in data.pooled.items()
        },
        "data_sha256": data.sha256,
        "preprocessing": data.preprocessing.to_dict(),
        "software": describe_software(),
        "devices": list_devices(),
    }


@step
def continue_training(run: Run) -> TrainReport:
    """Continues a run from its last state, or from its beginning if it has none yet.

    Raises:
        RunError: If the archived days, or the catalogue's entry, have changed since.
    """
    about, plan = run.about(), read_plan(run.plan_file)
    catalog = None if about["catalog"] is None else Path(about["catalog"])
    places = DataPlaces(catalog=catalog, archive=about["archive"])
    others = [open_blocks(name, places) for name in about.get("pooled", ())]
    data = prepare_data(open_blocks(about["source"], places), plan, others)
    if (data.sha256, data.preprocessing.to_dict()) != (
        about["data_sha256"],
        about["preprocessing"],
    ):
        raise RunError(
            f"{run.name}: the archive's days, or how the catalogue treats them, have changed since"
            " the run was begun; it cannot be gone on with, so begin a new one"
        )
    return _record_end(run, data, plan)


def _record_end(
    run: Run, data: TrainingData, plan: TrainingPlan, budget: Budget | None = None
) -> TrainReport:
    """Trains and writes down how that ended, well or not."""
    try:
        return _train_run(run, data, plan, budget)
    except BlindzoneError as error:
        run.write("result.json", {"status": "failed", "reason": str(error)})
        raise


def _train_run(
    run: Run, data: TrainingData, plan: TrainingPlan, budget: Budget | None
) -> TrainReport:
    before, plan = train_paths(run, data, plan, budget)
    fitted = fit_stages(run, data, plan, budget)
    record, scorer = fitted.record, fitted.make_scorer(data)
    filled = scorer.fill(fitted.network)
    scores = scorer.scores(filled)
    sha256 = write_network(run, fitted, read_plan(run.plan_file), scores)
    if scenes := scorer.scenes(filled):
        title = f"{data.entry.full_title}: validation windows, after {record.steps} steps"
        picture = run.path / "pictures" / "trained.webp"
        draw_scenes(scenes, data.preprocessing.grid, picture, title=title)
    contest = _hold_contest(run, data, scorer, scores, fitted.plan.training.validation_realizations)
    placed = _place(run, contest)
    minutes = before + fitted.minutes
    notes = [*fitted.notes, *data.notes, *(budget.notes if budget else ())]
    result = {"sha256": sha256, "scores": scores, "minutes": minutes} | placed.to_dict()
    finish_run(run, fitted, result, notes)
    return TrainReport(
        checkpoint=placed.checkpoint,
        in_use=placed.in_use,
        contest=contest,
        kept=placed.kept,
        sha256=sha256,
        steps=record.steps,
        minutes=minutes,
        all_minutes=None if budget is None else budget.spent_s / 60,
        validation_loss=record.validation_loss,
        training_days=len(data.training_days),
        validation_days=len(data.validation_days),
        run=run.path,
        wait_share=record.wait_share,
        scores=scores,
        notes=(*record.notes, *notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Where a trained network is, and where what it replaced is kept."""

    checkpoint: Path
    in_use: bool
    contest: Contest | None
    kept: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the same as the run's result holds it."""
        return {
            "checkpoint": str(self.checkpoint),
            "in_use": self.in_use,
            "contest": None if self.contest is None else str(self.contest),
            "replaced": None if self.kept is None else str(self.kept),
        }


def _hold_contest(
    run: Run, data: TrainingData, scorer: WindowScorer, scores: dict[str, float], passes: int
) -> Contest | None:
    """Returns how the run's network compares with what is in use; None if it replaces nothing."""
    source = data.entry.name
    if not is_used(source, Path(run.about()["checkpoint"])):
        return None
    rival = find_rival(source, find_kind(data.preprocessing, data.entry.find_frequency()))
    return hold_contest(scorer, scores.get(SCORE, math.nan), rival, data, passes)


def _place(run: Run, contest: Contest | None) -> _Placed:
    """Puts a checkpoint in its place, unless what is in use there is better."""
    checkpoint = Path(run.about()["checkpoint"])
    if contest is not None and not contest.is_won:
        return _Placed(checkpoint=run.checkpoint, in_use=False, contest=contest)
    kept = None
    if contest is not None:
        kept = put_in_use(run.checkpoint, checkpoint)
    elif checkpoint != run.checkpoint.resolve():
        copy_checkpoint(run.checkpoint, checkpoint)
    return _Placed(checkpoint=checkpoint, in_use=True, contest=contest, kept=kept)
