"""The command `reprocess`: products of any range of archived days."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.fill_options import (
    Derive,
    Effort,
    Force,
    Members,
    ProductFolder,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    End,
    Recorded,
    Reports,
    SourceNames,
    Start,
)
from blindzone.flows.commands.run_end import end_run


class Where(StrEnum):
    """Where days are worked on."""

    LOCAL = "local"
    DASK = "dask"


Runner = Annotated[
    Where,
    typer.Option(
        "--runner", help="local: in this process; dask: by the workers of a Dask cluster."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="Scheduler of a cluster (default: one on this machine).",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Workers of a cluster on this machine (default: one a core)."
    ),
]
OnlyPlan = Annotated[
    bool,
    typer.Option("--plan", help="Print what would be made, and its cost both ways; make nothing."),
]
Pictures = Annotated[bool, typer.Option("--pictures", help="Draw a picture with each product.")]


def reprocess(
    sources: SourceNames,
    start: Start = None,
    end: End = None,
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    tolerance: Tolerance = None,
    members: Members = None,
    seed: Seed = 0,
    force: Force = False,
    runner: Runner = Where.LOCAL,
    address: Address = None,
    workers: Workers = None,
    pictures: Pictures = False,
    derive: Derive = False,
    only_plan: OnlyPlan = False,
    reports: Reports = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Make all missing products of archived days.

    A product that exists already and would be the same is left as it is. Exit status 2 if some
    could not be made.
    """
    check_tolerance(passes, tolerance)
    check_sources(sources, catalog, any_will_do=True)
    from blindzone.flows.reprocess import reprocess as flow
    from blindzone.flows.running.plans import Filling, Places
    from blindzone.flows.running.prefect_steps import run_flow
    from blindzone.flows.running.product_run import ReprocessPlan, find_cost
    from blindzone.flows.running.runners import Runner

    effort = choose_effort(passes, tolerance)
    plan = ReprocessPlan(
        sources=tuple(sources),
        start=start,
        end=end,
        filling=Filling(passes=effort, seed=seed, members=members, checkpoint=checkpoint),
        places=Places(catalog=catalog, archive=archive, products=output, reports=reports),
        runner=Runner(kind=runner.value, address=address, workers=workers),
        force=force,
        pictures=pictures,
        derive=derive,
    )
    if only_plan:
        typer.echo("\n".join(find_cost(plan).describe(effort)))
        return
    end_run(run_flow(flow, recorded=prefect, plan=plan))
