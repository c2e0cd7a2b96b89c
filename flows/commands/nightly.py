"""The command `nightly`: what a station runs every night."""

from __future__ import annotations

from typing import Annotated

import typer

from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.fill_options import Derive, Effort, ProductFolder, Seed, choose_effort
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    Recorded,
    Reports,
    SourceNames,
)
from blindzone.flows.commands.run_end import end_run


def nightly(
    sources: SourceNames,
    days: Annotated[
        int, typer.Option(min=1, help="Days back from the newest of a source's files.")
    ] = 7,
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    seed: Seed = 0,
    pictures: Annotated[bool, typer.Option(help="Draw a picture with each product.")] = True,
    derive: Derive = False,
    reports: Reports = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Ingest, fill, verify and report what is new.

    Products are verified where there is truth. Exit status 2 if something was rejected.
    """
    check_sources(sources, catalog, any_will_do=True)
    from blindzone.flows.nightly import NightlyPlan
    from blindzone.flows.nightly import nightly as flow
    from blindzone.flows.running.plans import Filling, Places
    from blindzone.flows.running.prefect_steps import run_flow

    plan = NightlyPlan(
        sources=tuple(sources),
        days=days,
        filling=Filling(passes=choose_effort(passes, None), seed=seed, checkpoint=checkpoint),
        places=Places(catalog=catalog, archive=archive, products=output, reports=reports),
        pictures=pictures,
        derive=derive,
    )
    end_run(run_flow(flow, recorded=prefect, plan=plan))
