"""The learning-rate finder on a source: which rate suits the first stage of a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blindzone.flows.experiments.granule_blocks import open_blocks
from blindzone.flows.experiments.stage_checks import check_stages
from blindzone.flows.experiments.training_data import (
    TrainingData,
    fit_config,
    fit_training,
    prepare_data,
)
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_run import TrainingTask
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage as show_stage
from blindzone.flows.running.workspace import workspace
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.families import build_network
from blindzone.models.network_weights import load_trunk, warm_start
from blindzone.models.rate_finder import STEPS, RateSweep, find_rate, rate_of
from blindzone.models.training_step import training_scope
from blindzone.pipeline.plots.rate_sweep import draw_rate_sweep


@dataclass(frozen=True, kw_only=True)
class RateReport:
    """A sweep over learning rates.

    Attributes:
        stage: Name of the stage that was swept.
        planned: Learning rate that the plan has there.
        suggested: Rate at which the loss falls most steeply; None if it never falls.
        picture: Losses over rates.
    """

    stage: str
    planned: float
    suggested: float | None
    picture: Path


@step
def search_rate(task: TrainingTask, plan: TrainingPlan) -> RateReport:
    """Sweeps over learning rates with the network of a plan's first stage; nothing is kept of it.

    With checkpoints to start from that is the first stage of the whole network. Else it may be that
    of the column paths: then the first path.

    Raises:
        WindowError: If too few days are archived to train and to validate.
        TrainingError: If the loss is not finite.
    """
    plan = plan.without_paths() if task.start_from else plan
    check_stages(plan)
    begun = (plan.of_paths() or [plan])[0]
    first = begun.only(begun.stages[0])
    few = replace(plan, validation=replace(plan.validation, windows=1))
    others = [open_blocks(name, task.places) for name in task.others]
    data = prepare_data(open_blocks(task.source, task.places), few, others)
    sweep = _sweep(data.narrow(first.window_profiles), first, task)
    picture = workspace() / "rates" / f"{task.source}.png"
    (stage,) = first.stages
    title = f"{data.entry.full_title}: stage '{stage.name}'"
    draw_rate_sweep(
        sweep.rates, sweep.losses, sweep.smoothed, sweep.suggested, picture, title=title
    )
    return RateReport(
        stage=stage.name, planned=stage.learning_rate, suggested=sweep.suggested, picture=picture
    )


def _sweep(data: TrainingData, plan: TrainingPlan, task: TrainingTask) -> RateSweep:
    config = fit_config(plan.network, data.preprocessing)
    training = fit_training(plan.training, data.preprocessing)
    start = [read_checkpoint(path).network for path in task.start_from]
    trunk = task.pretrained if plan.network.has_trunk else None
    with show_stage("find rate") as on_progress, training_scope(training):
        network = build_network(config)
        if start:
            warm_start(network, *start)
        if trunk is not None:
            load_trunk(network, read_checkpoint(trunk).network)
        return find_rate(
            network,
            config,
            lambda number: data.windows.draw(training.seed, number),
            training,
            lambda done, loss: on_progress(
                done / STEPS, f"rate {rate_of(done - 1):.1e}, loss {loss:.3f}"
            ),
        )
