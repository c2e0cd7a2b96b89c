"""The command `pretrain`: a trunk learns on the curtains of all radars."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.options import ArchiveFolder, CatalogFile, PlanFile, Recorded
from blindzone.flows.commands.train import Checkpoint, Minutes, Seed, Steps, print_report
from blindzone.flows.running.quiet_start import quiet_start

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help=(
            "Sources of one grid, the first with validation days (default: all archived radars on"
            " the grid of the one with most days)."
        ),
    ),
]


def pretrain(
    sources: Sources = None,
    minutes: Minutes = None,
    steps: Steps = None,
    config: PlanFile = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Pretrain a network's trunk on hidden parts of curtains.

    It learns what weather looks like from whatever is visible, of all radars, without any truth of
    the blind zone. 'blindzone train SOURCE --pretrained FILE' then begins with it.
    """
    begun = time.monotonic()
    check_sources(sources or (), catalog)
    with quiet_start():
        from blindzone.flows import pretrain as flows
        from blindzone.flows.experiments.training_plan import read_plan
        from blindzone.flows.running.plans import DataPlaces
        from blindzone.flows.running.prefect_steps import run_flow

    training = {"minutes": minutes, "steps": steps, "seed": seed}
    plan = flows.PretrainPlan(
        sources=tuple(sources or ()),
        training_plan=read_plan(config or flows.PRETRAINING, {"training": training}),
        checkpoint=checkpoint,
        places=DataPlaces(catalog=catalog, archive=archive),
        spent_s=time.monotonic() - begun,
    )
    report = run_flow(flows.pretrain, recorded=prefect, plan=plan)
    print_report(report)
    typer.echo(f"begin with it: blindzone train SOURCE --pretrained {report.checkpoint}")
