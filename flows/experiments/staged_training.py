"""The stages of a training run, each trained from where the last one ended.

The last stage of the whole network is the run itself. The others have directories inside its own:
`column`, `column1`, ... for the column paths, `stage1`, `stage2`, ... for the stages of the whole
network. A stage that is trained is not trained again when the run is gone on with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from blindzone.core.configuration import to_plain
from blindzone.core.progress import OnProgress
from blindzone.flows.experiments.fitting import fit_network
from blindzone.flows.experiments.model_card import write_card
from blindzone.flows.experiments.runs import Run, RunError
from blindzone.flows.experiments.tensorboard import open_board
from blindzone.flows.experiments.training_budget import Budget
from blindzone.flows.experiments.training_data import TrainingData, fit_config
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.experiments.window_scores import WindowScorer
from blindzone.flows.running.progress import stage as show_stage
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from blindzone.models.checkpoint_record import TRUNK_KEY
from blindzone.models.column import name_path
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import load_trunk, load_weights, save_weights
from blindzone.models.training_record import Progress, TrainingRecord, Validation

WEIGHTS = "weights.npz"
"""All weights that a stage ended with, those of heads that no checkpoint has included."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network, the record of its last stage, and what went wrong on the way.

    Attributes:
        plan: The plan of its last stage alone, as it was trained.
        steps_s: What the steps of all stages took without the first of each, in which its graph is
            compiled [s].
        minutes: What all stages took [min].
    """

    network: keras.Model
    config: NetworkConfig
    preprocessing: dict[str, Any]
    plan: TrainingPlan
    record: TrainingRecord
    steps_s: float
    minutes: float
    notes: tuple[str, ...]

    def make_scorer(self, data: TrainingData) -> WindowScorer:
        """Returns what scores the network on the validation windows."""
        passes = self.plan.training.validation_realizations
        return WindowScorer(data.validation, self.config, data.preprocessing, passes=passes)


def train_paths(
    run: Run, data: TrainingData, plan: TrainingPlan, budget: Budget | None
) -> tuple[float, TrainingPlan]:
    """Trains each column path alone, if the plan says so; the run then starts from them.

    Returns:
        The minutes that it took, and the plan, with fewer paths if not all fit into the budget.
    """
    about, paths = run.about(), list[Run]()
    while len(paths) < len(plans := plan.of_paths()):
        path, alone = run.part(name_path(len(paths))), plans[len(paths)]
        if budget is not None:
            alone = replace(alone, stages=budget.fit_path(plan, len(paths)))
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
    """Trains a column path alone, unless it is trained."""
    if path.status == "finished":
        return
    begun = time.monotonic()
    fitted = fit_stages(path, data, _begin_part(path, plan, about))
    _finish_part(path, fitted)
    if budget is not None:
        budget.learn(time.monotonic() - begun, fitted.steps_s)


def fit_stages(
    run: Run, data: TrainingData, plan: TrainingPlan, budget: Budget | None = None
) -> Fitted:
    """Trains the stages of a run's network, all but the last in directories inside the run's.

    Args:
        run: The run; its record names the checkpoints that the first stage starts from.
        data: What to train on.
        plan: The plan, the stages of which are of the whole of this network.
        budget: What of the plan's budget is left.
    """
    stages = list(plan.whole_stages)
    done = _Done()
    for number, part in enumerate(
        run.part(f"stage{place + 1}") for place in range(len(stages) - 1)
    ):
        if part.status != "finished":
            _train_part(part, run, data, plan.only(_fit_budget(stages[number:], budget)), done)
        done = done.after(part)
    if budget is not None:
        stages[-1] = budget.fit_whole(stages[-1:])
        plan = replace(plan, stages=(*plan.path_stages, *stages))
        run.write("plan.json", plan.to_dict())  # a resumed run goes by it
    return _fit(run, data, plan.only(stages[-1]), done)


@dataclass(frozen=True, kw_only=True)
class _Done:
    """The stages that are trained: where their weights are, and what they took."""

    weights: Path | None = None
    windows: int = 0
    minutes: float = 0.0
    steps_s: float = 0.0

    def after(self, part: Run) -> _Done:
        """Returns the same with one more stage."""
        result, (stage,) = part.result(), read_plan(part.plan_file).stages
        return _Done(
            weights=part.path / WEIGHTS,
            windows=self.windows + result["record"]["steps"] * stage.batch_size,
            minutes=self.minutes + result["minutes"],
            steps_s=self.steps_s + result["steps_s"],
        )


def _fit_budget(stages: Sequence[Stage], budget: Budget | None) -> Stage:
    return stages[0] if budget is None else budget.fit_whole(stages)


def _train_part(part: Run, run: Run, data: TrainingData, plan: TrainingPlan, done: _Done) -> None:
    """Trains a stage in its own directory, whose result counts the stage alone."""
    plan = _begin_part(part, plan, run.about())
    begin = replace(done, minutes=0.0, steps_s=0.0)
    _finish_part(part, _fit(part, data, plan, begin, keeps_weights=True))


def _begin_part(part: Run, plan: TrainingPlan, about: dict[str, Any]) -> TrainingPlan:
    """Returns the plan of a part of a run; one that was begun before goes by its own."""
    if part.is_begun:
        return read_plan(part.plan_file)
    part.begin(plan, about | {"checkpoint": str(part.checkpoint.resolve())})
    return plan


def _finish_part(part: Run, fitted: Fitted) -> None:
    """Writes checkpoint, result and card of a part; without scores, as it fills nothing."""
    result = {
        "sha256": write_network(part, fitted, fitted.plan, {}),
        "scores": {},
        "minutes": fitted.minutes,
        "steps_s": fitted.steps_s,
    }
    finish_run(part, fitted, result, fitted.notes)


def _fit(
    run: Run, data: TrainingData, plan: TrainingPlan, done: _Done, *, keeps_weights: bool = False
) -> Fitted:
    """Trains one stage, its progress displayed and logged.

    Args:
        run: Directory of the stage.
        data: What to train on.
        plan: The plan of the stage alone.
        done: The stages before.
        keeps_weights: Whether all weights are kept for the stage after it.
    """
    (stage,), about = plan.stages, run.about()
    data = data.narrow(plan.window_profiles)
    notes, steps_at = list[str](), list[float]()
    keep = partial(save_weights, run.path / WEIGHTS) if keeps_weights else None
    with show_stage(_name_stage(run, stage)) as on_progress:
        report = _report_steps(on_progress)

        def on_step(progress: Progress) -> None:
            steps_at[1:] = [time.monotonic()]  # the first, and the last
            report(progress)

        network, record = fit_network(
            data,
            plan,
            on_step=on_step,
            on_validation=_log_to(run, notes, has_board=about["tensorboard"]),
            start_from=() if done.weights else tuple(map(Path, about["start_from"])),
            begin_with=_begin_with(plan, about, done),
            on_trained=keep,
            state_file=run.state_file,
            first_window=done.windows,
        )
    return Fitted(
        network=network,
        config=fit_config(plan.network, data.preprocessing),
        preprocessing=data.preprocessing.to_dict(),
        plan=plan,
        record=record,
        steps_s=done.steps_s + (steps_at[-1] - steps_at[0] if steps_at else 0.0),
        minutes=done.minutes + record.seconds / 60,
        notes=tuple(notes),
    )


def _begin_with(
    plan: TrainingPlan, about: dict[str, Any], done: _Done
) -> Callable[[keras.Model], Any] | None:
    """Returns what sets the weights that a stage begins with, besides those it starts from."""
    if done.weights:
        return partial(load_weights, done.weights)
    if about.get("pretrained") and plan.network.has_trunk:
        return partial(load_trunk, trained=read_checkpoint(Path(about["pretrained"])).network)
    return None


def _name_stage(run: Run, stage: Stage) -> str:
    """Returns what the bar of a stage is called."""
    is_part = (run.path.parent / "about.json").is_file()
    return f"train {run.path.name}" if is_part else "train"


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


def write_network(run: Run, fitted: Fitted, plan: TrainingPlan, scores: dict[str, float]) -> str:
    """Writes the checkpoint of a run and returns its hash.

    Args:
        run: The run.
        fitted: Its network.
        plan: The plan of all its stages.
        scores: Scores on the validation windows.
    """
    trained = Checkpoint(
        network=fitted.network,
        config=fitted.config,
        preprocessing=fitted.preprocessing,
        training=_describe(fitted.record, run.about(), plan, scores),
    )
    return write_checkpoint(run.checkpoint, trained)


def finish_run(run: Run, fitted: Fitted, result: dict[str, Any], notes: Sequence[str]) -> None:
    """Writes result and card of a run."""
    record = fitted.record.to_dict()
    full = {"status": "finished"} | result
    run.write("result.json", full | {"record": record | {"notes": [*fitted.record.notes, *notes]}})
    write_card(run, fitted.config)
    run.state_file.unlink(missing_ok=True)


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
        **{
            key: about[key]
            for key in ("frequency_ghz", "pooled", "pretrained_sha256", TRUNK_KEY)
            if about.get(key)
        },
        "start_from_sha256": about["start_from_sha256"],
        "software_version": version("blindzone"),
        "configuration": to_plain(plan.training),
        "stages": plan.to_dict()["stages"],
        "windows": plan.windows.to_dict(),
        "validation_scores": scores,
    }
