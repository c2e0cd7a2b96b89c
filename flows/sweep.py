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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_parallel_coordinate
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError, PlanError
from blindzone.flows.experiments.fitting import fit_network
from blindzone.flows.experiments.runs import RunError
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

SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "depth": optuna.distributions.IntDistribution(2, 5),
    "filters": optuna.distributions.CategoricalDistribution((8, 12, 16, 24, 32)),
    "dropout": optuna.distributions.FloatDistribution(0.02, 0.4),
    "l2": optuna.distributions.FloatDistribution(1e-7, 1e-3, log=True),
    "interpolation": optuna.distributions.CategoricalDistribution(("bilinear", "nearest")),
    "head": optuna.distributions.CategoricalDistribution(("two_part", "single")),
    "learning_rate": optuna.distributions.FloatDistribution(2e-4, 1e-2, log=True),
    "optimizer": optuna.distributions.CategoricalDistribution(
        ("adam", "adamw", "nadam", "rmsprop")
    ),
    "batch_size": optuna.distributions.CategoricalDistribution((8, 16, 32)),
}
"""What is searched, by the names of the fields of `NetworkConfig` and `TrainingConfig`."""

_OF_TRAINING = ("learning_rate", "optimizer", "batch_size")
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
        default_factory=lambda: TrainingPlan(stages=(Stage(name="trial", minutes=TRIAL_MINUTES),))
    )
    """What all trials share: the budget of one, the seed, windows, losses."""
    name: str = "sweep"
    """Name of the study; one that is there is continued."""
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
        RunError: If the plan has its column paths trained before, or the study is there and was
            begun with another plan or other data.
    """
    shared = plan.training_plan
    if len(shared.stages) > 1:
        raise RunError("a trial has one stage: a plan of one stage is right for a sweep")
    data = prepare_data(open_source(plan.source, plan.places), shared)
    begun_with = {"plan": shared.to_dict(), "data_sha256": data.sha256}
    study = open_study(folder, plan.name, begun_with, seed=shared.training.seed)
    with stage("sweep") as on_progress:
        while (done := count_trials(study)) < plan.trials:
            note = f"trial {done + 1} of {plan.trials}{_format_best(study)}"
            on_progress(done / plan.trials, note)
            run_trial(study, data, shared)
        on_progress(1.0, _format_best(study).lstrip(", "))
    return write_report(study, folder, plan.name)


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
        was_begun_with = study.user_attrs.get("begun_with", text)
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


def run_trial(study: optuna.Study, data: TrainingData, plan: TrainingPlan) -> None:
    """Runs one short training and records its score; one that diverges or is too large fails."""
    trial = study.ask(SPACE)

    def on_validation(validation: Validation) -> None:
        trial.report(validation.score, validation.number)
        if validation.number < LOOKS and trial.should_prune():
            raise optuna.TrialPruned

    try:
        _, record = fit_network(data, plan_trial(plan, trial.params), on_validation=on_validation)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except ModelError as error:
        trial.set_user_attr("reason", str(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        for name in _RECORDED:
            trial.set_user_attr(name, getattr(record, name))
        study.tell(trial, record.validation_score)


def plan_trial(plan: TrainingPlan, values: dict[str, Any]) -> TrainingPlan:
    """Returns the plan of a trial: what all share, with its values and the score to compare by."""
    of_training = {name: values[name] for name in _OF_TRAINING}
    of_network = {name: value for name, value in values.items() if name not in _OF_TRAINING}
    joint = plan.network.joint_forecast and of_network["head"] == "two_part"
    return replace(
        plan,
        network=replace(plan.network, joint_forecast=joint, **of_network),
        stages=(
            replace(
                plan.stages[0],
                validation="monte_carlo",
                validations=LOOKS,
                patience=0,
                **of_training,
            ),
        ),
    )


def write_report(study: optuna.Study, folder: Path, name: str) -> SweepReport:
    """Writes the table of a study and, of two trials or more, a picture of all parameters."""
    trials = sorted(study.trials, key=lambda trial: (trial.state.value, _score_of(trial)))
    columns = ("trial", "state", "CRPS [dB]", *SPACE, *_RECORDED)
    rows = tuple(_describe_trial(trial) for trial in trials)
    table = folder / f"{name}.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    try:
        table.write_text(text.getvalue(), encoding="utf-8")
        picture = _draw(study, folder / f"{name}.png")
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


def _describe_trial(trial: FrozenTrial) -> tuple[str, ...]:
    values = [_format(trial.params.get(name, "-")) for name in SPACE]
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


def _draw(study: optuna.Study, path: Path) -> Path | None:
    if len(study.get_trials(states=(TrialState.COMPLETE,))) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings(
            "ignore", "Attempting to set identical low and high ylims"
        )  # all trials share a value
        axes = plot_parallel_coordinate(study, params=list(SPACE), target_name="CRPS (dB)")
    axes.set_title(f"{study.study_name}: {len(study.trials)} trials")
    figure = axes.get_figure(root=True)
    if figure is None:
        return None
    figure.set_size_inches(16, 6)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path
