"""Sweep: a search over networks and rates by short trainings, all compared by one score on windows.

Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes trials. One whose score at
a quarter, half or three quarters of its budget is worse than the median of the others there is
ended. The study lies in an SQLite file of the workspace: a sweep that is killed loses the trial
that it was at, and no other.
"""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_parallel_coordinate
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import ModelError, PlanError, WindowError
from blindzone.flows.experiments.fitting import fit_plan
from blindzone.flows.experiments.former_plan import WHOLE
from blindzone.flows.experiments.runs import RunError
from blindzone.flows.experiments.search_space import (
    Space,
    check_space,
    choose_space,
    distribute,
    vary_plan,
)
from blindzone.flows.experiments.stage_checks import check_stages
from blindzone.flows.experiments.training_data import TrainingData, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import late_flow, step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.workspace import workspace
from blindzone.models.training_record import Validation

TRIAL_MINUTES = 5.0
LOOKS = 4
"""How often a trial is scored, evenly over its budget; at all but the last it may be ended."""
STARTUP_TRIALS = 5
"""Trials before the first is ended."""

_RECORDED = ("steps", "best_step", "seconds")


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """Trials of a sweep, the best first, as texts; and the files that they are written to."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    table: Path
    picture: Path | None


@configuration(error=PlanError, what="sweep")
class SweepPlan:
    """What is searched, and on what."""

    source: str
    """Name of the source in the catalogue."""
    trials: Annotated[int, Field(ge=1)] = 30
    """Trials of the study in all, those of earlier runs too."""
    training_plan: TrainingPlan = field(
        default_factory=lambda: TrainingPlan(stages=(Stage(name=WHOLE, minutes=TRIAL_MINUTES),))
    )
    """What all trials share: the budget of one, the seed, windows, losses."""
    name: str = "sweep"
    """Name of the study; one that is there is continued."""
    space: Space = field(default_factory=dict)
    """Choices or range of each key of the training plan that is searched over, such as
    `{network.family: [unet, unet++], stages.whole.learning_rate: {low: 1e-4, high: 1e-2, log:
    true}}`; a key `stages.seed` is one of all stages. By default network and rates."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""


@late_flow("sweep")
@also_takes(
    SweepPlan,
    nested=(TrainingPlan, "training_plan"),
    source="source",
    trials="trials",
    name="name",
    catalog="places.catalog",
    archive="places.archive",
)
def sweep(plan: SweepPlan) -> SweepReport:
    """Searches for the network and the rates that do best on a source's validation days.

    Args:
        plan: What is searched, and on what.

    Raises:
        RunError: If the study cannot be used, or was begun with another plan or other data.
    """
    return run_sweep(plan, workspace() / "sweeps" / plan.source)


@step
def run_sweep(plan: SweepPlan, folder: Path) -> SweepReport:
    """Runs a study until it has so many trials, and writes its table and picture.

    Args:
        plan: What is searched, and on what.
        folder: Folder of the study.

    Raises:
        PlanError: If the plan has no such key as is to be searched over.
        RunError: If the study was begun with another plan, other keys or other data.
    """
    shared = plan.training_plan
    search = _Search(plan, plan.space or choose_space(shared))
    begun_with = {"plan": shared.to_dict(), "data_sha256": search.data_for(shared).sha256}
    if plan.space:
        begun_with["space"] = to_plain(plan)["space"]
    study = open_study(folder, plan.name, begun_with, seed=shared.training.seed)
    with stage("sweep") as on_progress:
        while (done := count_trials(study)) < plan.trials:
            note = f"trial {done + 1} of {plan.trials}{_format_best(study)}"
            on_progress(done / plan.trials, note)
            search.run_trial(study)
        on_progress(1.0, _format_best(study).lstrip(", "))
    return write_report(study, folder, plan.name, tuple(search.space))


def open_study(folder: Path, name: str, begun_with: dict[str, Any], *, seed: int) -> optuna.Study:
    """Returns a study, begun or continued; a trial that was cut off when it was killed has failed.

    Raises:
        RunError: If it was begun with something else, or cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder.resolve() / name}.db")
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
        )
        text = json.dumps(begun_with, sort_keys=True)
        was_begun_with = _update(study.user_attrs.get("begun_with", text))
    except (OSError, ValueError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"{folder / name}.db: the study cannot be opened: {reason}; another --name begins one"
        ) from error
    if was_begun_with != text:
        raise RunError(
            f"{folder / name}.db: this study was begun with another plan or other data, so that its"
            " trials cannot be compared with new ones; another --name begins a new one"
        )
    study.set_user_attr("begun_with", text)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    # The same seed again would propose the same trials again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def count_trials(study: optuna.Study) -> int:
    """Returns the number of trials that ended, early or failed ones included, killed ones not."""
    return sum(
        trial.state != TrialState.FAIL or "reason" in trial.user_attrs for trial in study.trials
    )


def _update(begun_with: str) -> str:
    """Returns what a study was begun with as this version writes it, if it can be read."""
    content = json.loads(begun_with)
    if not isinstance(content, dict) or "plan" not in content:
        return begun_with
    try:
        plan = read_plain(TrainingPlan, content["plan"], where="the study's plan", error=PlanError)
    except PlanError:
        return begun_with
    return json.dumps(content | {"plan": plan.to_dict()}, sort_keys=True)


class _Search:
    """Trials of a sweep; windows are drawn anew only for a trial that has others."""

    def __init__(self, plan: SweepPlan, space: Space) -> None:
        check_space(plan.training_plan, space)
        self.plan, self.space = plan, space
        self._data: tuple[Any, TrainingData] | None = None

    def data_for(self, plan: TrainingPlan) -> TrainingData:
        """Returns the days of the source as a training of a plan takes them."""
        drawn = (plan.windows, plan.channels, plan.window_profiles, plan.scaling)
        if self._data is None or self._data[0] != drawn:
            source = open_source(self.plan.source, self.plan.places)
            self._data = drawn, prepare_data(source, plan)
        return self._data[1]

    def run_trial(self, study: optuna.Study) -> None:
        """Runs one short training and records its score; one that cannot be trained fails."""
        trial = study.ask(distribute(self.space))

        def on_validation(validation: Validation) -> None:
            trial.report(validation.score, validation.number)
            if validation.number < LOOKS and trial.should_prune():
                raise optuna.TrialPruned

        try:
            plan = plan_trial(self.plan.training_plan, self.space, trial.params)
            _, record = fit_plan(self.data_for(plan), plan, on_validation=on_validation)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except (ModelError, PlanError, WindowError) as error:
            trial.set_user_attr("reason", str(error))
            study.tell(trial, state=TrialState.FAIL)
        else:
            for name in _RECORDED:
                trial.set_user_attr(name, getattr(record, name))
            study.tell(trial, record.validation_score)


def plan_trial(plan: TrainingPlan, space: Space, values: dict[str, Any]) -> TrainingPlan:
    """Returns the plan of a trial: what all share, with its values and the score to compare by.

    Raises:
        PlanError: If the values do not go together.
    """
    varied = vary_plan(plan, space, values)
    *before, last = varied.stages
    compared = replace(last, validation="monte_carlo", validations=LOOKS, patience=0)
    trial = replace(varied, stages=(*before, compared))
    check_stages(trial)
    return trial


def write_report(
    study: optuna.Study, folder: Path, name: str, keys: tuple[str, ...]
) -> SweepReport:
    """Writes the table of a study and, of two trials or more, a picture of all parameters.

    Args:
        study: The study.
        folder: Where they are written.
        name: Name of the study.
        keys: What was searched over.
    """
    trials = sorted(study.trials, key=lambda trial: (trial.state.value, _score_of(trial)))
    columns = ("trial", "state", "CRPS [dB]", *keys, *_RECORDED)
    rows = tuple(_describe_trial(trial, keys) for trial in trials)
    table = folder / f"{name}.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    try:
        table.write_text(text.getvalue(), encoding="utf-8")
        picture = _draw(study, folder / f"{name}.png", keys)
    except OSError as error:
        raise RunError(
            f"{folder}: the table and picture of the study cannot be written: {error}"
        ) from error
    return SweepReport(columns=columns, rows=rows, table=table, picture=picture)


def _score_of(trial: FrozenTrial) -> float:
    """Returns the score of a trial; of one that was ended early, that of its last look."""
    if trial.value is not None:
        return trial.value
    return (
        trial.intermediate_values[max(trial.intermediate_values)]
        if trial.intermediate_values
        else float("inf")
    )


def _describe_trial(trial: FrozenTrial, keys: Sequence[str]) -> tuple[str, ...]:
    values = [_format(trial.params.get(name, "-")) for name in keys]
    recorded = [_format(trial.user_attrs.get(name, "-")) for name in _RECORDED]
    return (
        str(trial.number),
        trial.state.name.lower(),
        _format(_score_of(trial)),
        *values,
        *recorded,
    )


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _format_best(study: optuna.Study) -> str:
    done = [_score_of(trial) for trial in study.get_trials(states=(TrialState.COMPLETE,))]
    return f", best score {min(done):.3f}" if done else ""


def _draw(study: optuna.Study, path: Path, keys: Sequence[str]) -> Path | None:
    if len(study.get_trials(states=(TrialState.COMPLETE,))) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings(
            "ignore", "Attempting to set identical low and high ylims"
        )  # all trials share a value
        axes = plot_parallel_coordinate(study, params=list(keys), target_name="CRPS (dB)")
    axes.set_title(f"{study.study_name}: {len(study.trials)} trials")
    figure = axes.get_figure(root=True)
    if figure is None:
        return None
    figure.set_size_inches(16, 6)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path
