"""Training runs: archived days of a source to a checkpoint, in a directory of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from blindzone.core.configuration import to_plain
from blindzone.core.errors import BlindzoneError
from blindzone.core.progress import OnProgress
from blindzone.flows.experiments.contest import (
    Contest,
    find_rival,
    hold_contest,
    is_used,
    put_in_use,
)
from blindzone.flows.experiments.fitting import fit_network
from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.model_card import write_card
from blindzone.flows.experiments.runs import (
    Run,
    RunError,
    begin_run,
    describe_software,
    runs_folder,
)
from blindzone.flows.experiments.tensorboard import open_board
from blindzone.flows.experiments.training_budget import Budget
from blindzone.flows.experiments.training_data import TrainingData, fit_config, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.window_scores import SCORE, WindowScorer
from blindzone.flows.running.network_choice import find_kind
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.source_data import SourceData
from blindzone.models.checkpoint import (
    Checkpoint,
    copy_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from blindzone.models.column import name_path
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_record import Progress, TrainingRecord, Validation
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
    """

    source: str
    places: DataPlaces
    checkpoint: Path
    start_from: tuple[Path, ...] = ()
    tensorboard: bool = False
    runs: Path | None = None
    spent_s: float = 0.0
    others: tuple[str, ...] = ()


@step
def run_training(task: TrainingTask, plan: TrainingPlan) -> TrainReport:
    """Trains one network from start to checkpoint.

    Raises:
        WindowError: If too few days are archived to train and to validate.
        TrainingError: If the training diverges.
    """
    if task.start_from:
        plan = replace(plan, path_training=None)
    budget = None if plan.minutes is None else Budget(plan.minutes, task.spent_s)
    if budget is not None:
        plan = budget.fit_validation(plan)
    source = open_blocks(task.source, task.places)
    others = [open_blocks(name, task.places) for name in task.others]
    data = prepare_data(source, plan, others)
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
    minutes, plan = _train_paths(run, data, plan, budget)
    if budget is not None:
        plan = replace(plan, training=budget.fit_whole(plan.training))
        run.write("plan.json", plan.to_dict())  # a resumed run goes by it
    fitted = _fit(run, data, plan)
    record, scorer = fitted.record, fitted.make_scorer(data, plan)
    filled = scorer.fill(fitted.network)
    scores = scorer.scores(filled)
    sha256 = _write(run, data, plan, fitted, scores)
    if scenes := scorer.scenes(filled):
        title = f"{data.entry.full_title}: validation windows, after {record.steps} steps"
        picture = run.path / "pictures" / "trained.webp"
        draw_scenes(scenes, data.preprocessing.grid, picture, title=title)
    contest = _hold_contest(run, data, scorer, scores, plan.training.validation_realizations)
    placed = _place(run, contest)
    minutes += record.seconds / 60
    notes = [*fitted.notes, *data.notes, *(budget.notes if budget else ())]
    result = {"sha256": sha256, "scores": scores, "minutes": minutes} | placed.to_dict()
    _finish(run, fitted, result, notes)
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
class _Fitted:
    """A trained network, the record of its training, and what went wrong on the way.

    `steps_s` is what its steps took without the first, in which its graph is compiled [s].
    """

    network: keras.Model
    config: NetworkConfig
    record: TrainingRecord
    steps_s: float
    notes: tuple[str, ...]

    def make_scorer(self, data: TrainingData, plan: TrainingPlan) -> WindowScorer:
        """Returns what scores the network on the validation windows."""
        passes = plan.training.validation_realizations
        return WindowScorer(data.validation, self.config, data.preprocessing, passes=passes)


def _fit(run: Run, data: TrainingData, plan: TrainingPlan, name: str = "train") -> _Fitted:
    """Trains one network on prepared data, its progress displayed and logged."""
    about, notes, steps_at = run.about(), list[str](), list[float]()
    with stage(name) as on_progress:
        report = _report_steps(on_progress)

        def on_step(progress: Progress) -> None:
            steps_at[1:] = [time.monotonic()]  # the first, and the last
            report(progress)

        network, record = fit_network(
            data,
            plan,
            on_step=on_step,
            on_validation=_log_to(run, notes, has_board=about["tensorboard"]),
            start_from=tuple(Path(path) for path in about["start_from"]),
            state_file=run.state_file,
        )
    return _Fitted(
        network=network,
        config=fit_config(plan.network, data.preprocessing),
        record=record,
        steps_s=steps_at[-1] - steps_at[0] if steps_at else 0.0,
        notes=tuple(notes),
    )


def _write(
    run: Run, data: TrainingData, plan: TrainingPlan, fitted: _Fitted, scores: dict[str, float]
) -> str:
    """Writes the checkpoint of a run and returns its hash."""
    trained = Checkpoint(
        network=fitted.network,
        config=fitted.config,
        preprocessing=data.preprocessing.to_dict(),
        training=_describe(fitted.record, run.about(), plan, scores),
    )
    return write_checkpoint(run.checkpoint, trained)


def _report_steps(on_progress: OnProgress) -> Callable[[Progress], None]:
    """Returns what is called after every step."""

    def on_step(progress: Progress) -> None:
        score = progress.best_score
        best = "" if math.isnan(score) else f", best validation score {score:.3f}"
        on_progress(
            progress.share_done,
            f"step {progress.step}{best}, {progress.wait_share:.1%} waiting for data",
        )

    return on_step


def _log_to(run: Run, notes: list[str], *, has_board: bool) -> Callable[[Validation], None]:
    """Returns what is called after every validation; what goes wrong is added to the notes."""
    board = open_board(run.path / "tensorboard") if has_board else None

    def log(validation: Validation) -> None:
        try:
            run.log(validation)
        except RunError as error:  # a full disk: the numbers are worth less than the training
            notes.append(str(error))
        if board is not None:
            board.write(validation.step, asdict(validation))

    return log


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


def _finish(run: Run, fitted: _Fitted, result: dict[str, Any], notes: Sequence[str]) -> None:
    """Writes result and card of a run."""
    record = fitted.record.to_dict()
    full = {"status": "finished"} | result
    run.write("result.json", full | {"record": record | {"notes": [*fitted.record.notes, *notes]}})
    write_card(run, fitted.config)
    run.state_file.unlink(missing_ok=True)


def _train_paths(
    run: Run, data: TrainingData, plan: TrainingPlan, budget: Budget | None
) -> tuple[float, TrainingPlan]:
    """Trains each column path alone, if the plan says so.

    Each has a directory inside the run's. The run then starts from their checkpoints; a path that
    is trained is not trained again when the run is gone on with.

    Returns:
        The minutes that it took, and the plan, with fewer paths if not all fit into the budget.
    """
    about, paths = run.about(), list[Run]()
    while len(paths) < len(plans := plan.of_paths()):
        path, alone = run.part(name_path(len(paths))), plans[len(paths)]
        if budget is not None:
            left = len(plans) - len(paths)
            alone = replace(alone, training=budget.fit_path(alone.training, left))
        _train_path(path, data, alone, about, budget)
        paths.append(path)
        if budget is not None:
            plan = budget.plan_paths(plan, len(paths))
    if paths:
        started = {"start_from": [str(path.checkpoint.resolve()) for path in paths]}
        run.write(
            "about.json",
            about | started | {"start_from_sha256": [path.result()["sha256"] for path in paths]},
        )
    return float(sum(path.result()["minutes"] for path in paths)), plan


def _train_path(
    path: Run,
    data: TrainingData,
    plan: TrainingPlan,
    about: dict[str, Any],
    budget: Budget | None,
) -> None:
    """Trains a column path alone, unless it is; it is not scored, as nothing is filled by it."""
    if path.status == "finished":
        return
    if not path.is_begun:
        path.begin(plan, about | {"checkpoint": str(path.checkpoint.resolve())})
    begun = time.monotonic()
    fitted = _fit(path, data, plan, f"train {path.path.name}")
    sha256 = _write(path, data, plan, fitted, {})
    minutes = fitted.record.seconds / 60
    _finish(path, fitted, {"sha256": sha256, "scores": {}, "minutes": minutes}, fitted.notes)
    if budget is not None:
        budget.learn(time.monotonic() - begun, fitted.steps_s)


def _describe(
    record: TrainingRecord, about: dict[str, Any], plan: TrainingPlan, scores: dict[str, float]
) -> dict[str, Any]:
    """Returns the record of its training in a checkpoint."""
    keys = (
        "source",
        "simulated",
        "training_days",
        "validation_days",
        "data_sha256",
        "software",
        "devices",
    )
    return record.to_dict() | {
        **{key: about[key] for key in keys},
        **{key: about[key] for key in ("frequency_ghz", "pooled") if about.get(key)},
        "start_from_sha256": about["start_from_sha256"],
        "software_version": version("blindzone"),
        "configuration": to_plain(plan.training),
        "windows": plan.windows.to_dict(),
        "validation_scores": scores,
    }
