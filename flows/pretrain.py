"""Pretrain: the trunk of a network learns on the curtains of all radars, whatever they lack.

No truth of the blind zone is needed: visible pixels are hidden, and predicted. `train` with
`pretrained` then begins with the trunk.
"""

from __future__ import annotations

from dataclasses import field
from importlib.resources import files
from pathlib import Path

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.flows.experiments.curtain_pool import find_pool
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.training_run import TrainingTask, TrainReport, run_training
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.workspace import checkpoint_file

PRETRAINING = Path(str(files("blindzone.models") / "weights" / "pretrained.yaml"))
"""The default plan of a pretraining."""
NAME = "pretrained"
"""Name of its checkpoint in the workspace."""


@configuration(error=PlanError, what="pretrain")
class PretrainPlan:
    """What a trunk is pretrained on, and how."""

    sources: tuple[str, ...] = ()
    """Names of sources of one grid; the first has validation days. By default all measured radars
    that are archived on the grid of the one with most days."""
    training_plan: TrainingPlan | None = None
    """Every choice but the data; by default that of the package. Its windows have holes."""
    checkpoint: Path | None = None
    """File to write; by default `pretrained.keras` among the checkpoints of the workspace."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""
    spent_s: float = 0.0
    """What of a budget in minutes was spent before the flow began [s]."""


@late_flow("pretrain")
def pretrain(plan: PretrainPlan) -> TrainReport:
    """Pretrains the trunk of a network on hidden parts of curtains.

    Args:
        plan: What it is trained on, and how.

    Raises:
        PlanError: If the windows of the plan have no holes.
        WindowError: If no radar is archived, or too few days are.
        TrainingError: If the training diverges.
    """
    training_plan = plan.training_plan or read_plan(PRETRAINING)
    if not training_plan.windows.holes.kinds:
        raise PlanError(
            "pretraining hides parts of curtains, but the plan's windows have none; shares of kinds"
            " under windows.holes are right, such as {outages: 0.3, zone: 0.5}"
        )
    names = plan.sources or find_pool(plan.places, training_plan.window_profiles)
    task = TrainingTask(
        source=names[0],
        others=tuple(names[1:]),
        places=plan.places,
        checkpoint=plan.checkpoint or checkpoint_file(NAME),
        spent_s=plan.spent_s,
        is_trunk=True,
    )
    return run_training(task, training_plan)
