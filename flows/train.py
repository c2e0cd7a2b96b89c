"""Train: archived days of a source to a checkpoint, in a run directory of its own."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.flows.experiments.rate_search import RateReport, search_rate
from blindzone.flows.experiments.runs import RunError, find_run, runs_folder
from blindzone.flows.experiments.training_plan import RECIPE, TrainingPlan, read_plan
from blindzone.flows.experiments.training_run import (
    TrainingTask,
    TrainReport,
    continue_training,
    run_training,
)
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.workspace import checkpoint_file


@configuration(error=PlanError, what="train")
class TrainPlan:
    """What is trained, and on what."""

    source: str
    """Name of the source in the catalogue."""
    others: tuple[str, ...] = ()
    """Further sources of the same grid, whose days are pooled with its days."""
    training_plan: TrainingPlan | None = None
    """Every choice but the data; by default the recipe of the package."""
    checkpoint: Path | None = None
    """File to write; by default that of the source in the workspace."""
    start_from: tuple[Path, ...] = ()
    """Checkpoint of a network of the same shape to begin with, or one for each of its column paths,
    which are then not trained before."""
    pretrained: Path | None = None
    """Checkpoint whose trunk the network begins with, of the same or another family."""
    tensorboard: bool = False
    """Whether the events for TensorBoard are written."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""
    spent_s: float = 0.0
    """What of a budget in minutes was spent before the flow began [s]."""


@late_flow("train")
@also_takes(
    TrainPlan,
    nested=(TrainingPlan, "training_plan"),
    source="source",
    catalog="places.catalog",
    archive="places.archive",
    checkpoint="checkpoint",
    start_from="start_from",
    tensorboard="tensorboard",
)
def train(plan: TrainPlan) -> TrainReport:
    """Trains a network on a source's training days.

    The weights that do best on its validation days are kept.

    Args:
        plan: What is trained, and on what.

    Raises:
        WindowError: If too few days are archived to train and to validate.
        TrainingError: If the training diverges.
    """
    return run_training(_make_task(plan), plan.training_plan or read_plan(RECIPE))


@late_flow("find-rate")
def find_rate(plan: TrainPlan) -> RateReport:
    """Suggests a learning rate for the first stage of a training, and trains nothing.

    Args:
        plan: What would be trained, and on what.

    Raises:
        WindowError: If too few days are archived to train and to validate.
        TrainingError: If the loss is not finite.
    """
    return search_rate(_make_task(plan), plan.training_plan or read_plan(RECIPE))


def _make_task(plan: TrainPlan) -> TrainingTask:
    return TrainingTask(
        source=plan.source,
        places=plan.places,
        checkpoint=plan.checkpoint or checkpoint_file(plan.source),
        start_from=plan.start_from,
        tensorboard=plan.tensorboard,
        spent_s=plan.spent_s,
        others=plan.others,
        pretrained=plan.pretrained,
    )


@late_flow("resume")
def resume(run: str) -> TrainReport:
    """Continues a training that was killed, as if it had not been.

    Args:
        run: Its name, a part of it, or its directory.

    Raises:
        RunError: If there is no such run, it is finished, or the data have changed since.
    """
    found = find_run(runs_folder(), run)
    if found.status == "finished":
        raise RunError(
            f"{found.name} is finished; 'blindzone train --start-from {found.checkpoint}' goes on"
            " from it"
        )
    return continue_training(found)
