"""The command line's `nightly` and `reprocess`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.fill_options import (
    Effort,
    Force,
    ProductFolder,
    Samples,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.commands.options import (
    REFUSED,
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    End,
    Recorded,
    Start,
    explained,
    quiet_start,
)

if TYPE_CHECKING:
    from blindzone.flows.running.records import RunReport


class Where(StrEnum):
    """Where days are worked on."""

    LOCAL = "local"
    DASK = "dask"


Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help="Names of sources in the data catalogue.")
]
RunnerKind = Annotated[
    Where,
    typer.Option(
        "--runner", help="local: in this process; dask: by the workers of a Dask cluster."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", help="Scheduler of a cluster (default: one on this machine)."
    ),
]
Reports = Annotated[
    Path | None,
    typer.Option("--reports", metavar="DIR", help="Reports (default: workspace/reports)."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Workers of a cluster on this machine (default: one a core)."
    ),
]


def reprocess(
    sources: Sources,
    start: Start = None,
    end: End = None,
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    tolerance: Tolerance = None,
    samples: Samples = None,
    seed: Seed = 0,
    force: Force = False,
    runner: RunnerKind = Where.LOCAL,
    address: Address = None,
    workers: Workers = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw a picture beside each product.")
    ] = False,
    reports: Reports = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Make the products of archived days that are not there already; exit status 2 if some could not be made."""
    check_tolerance(passes, tolerance)
    with explained():
        with quiet_start():
            from blindzone.flows.reprocess import ReprocessPlan
            from blindzone.flows.reprocess import reprocess as flow
            from blindzone.flows.running.prefect_steps import run_flow
            from blindzone.flows.running.product_task import Filling, Places
            from blindzone.flows.running.runners import Runner

        effort = choose_effort(passes, tolerance)
        plan = ReprocessPlan(
            sources=tuple(sources),
            start=start,
            end=end,
            filling=Filling(passes=effort, seed=seed, samples=samples, checkpoint=checkpoint),
            places=Places(catalog=catalog, archive=archive, products=output, reports=reports),
            runner=Runner(kind=runner.value, address=address, workers=workers),
            force=force,
            pictures=pictures,
        )
        _end(run_flow(flow, recorded=prefect, plan=plan))


def nightly(
    sources: Sources,
    days: Annotated[
        int, typer.Option(min=1, help="Days back from the newest of a source's files.")
    ] = 7,
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    seed: Seed = 0,
    pictures: Annotated[bool, typer.Option(help="Draw a picture beside each product.")] = True,
    reports: Reports = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Ingest what is new, fill it, verify it where there is truth, and report; exit status 2 if some was refused."""
    with explained():
        with quiet_start():
            from blindzone.flows.nightly import NightlyPlan
            from blindzone.flows.nightly import nightly as flow
            from blindzone.flows.running.prefect_steps import run_flow
            from blindzone.flows.running.product_task import Filling, Places

        plan = NightlyPlan(
            sources=tuple(sources),
            days=days,
            filling=Filling(passes=choose_effort(passes, None), seed=seed, checkpoint=checkpoint),
            places=Places(catalog=catalog, archive=archive, products=output, reports=reports),
            pictures=pictures,
        )
        _end(run_flow(flow, recorded=prefect, plan=plan))


def _end(report: RunReport) -> None:
    """Says what was done and ends with its exit status."""
    counts = ", ".join(
        f"{report.count(status)} {status}" for status in ("made", "held", "refused", "failed")
    )
    plural = "" if len(report.days) == 1 else "s"
    typer.echo(
        f"{report.flow}: {len(report.days)} day{plural} ({counts}) in {report.seconds:.0f} s"
    )
    for (status, source, reason), days in report.group_reasons().items():
        which = f"{days[0]}" if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
        typer.echo(f"{status}: {source} {which}: {reason}", err=True)
    for ingest in report.ingested:
        for unit, refused in ingest.refusals.items():
            for name, reason in refused.items():
                typer.echo(f"refused: {ingest.source} {unit} {name}: {reason}", err=True)
    for reason in report.lacking:
        typer.echo(f"nothing to do: {reason}", err=True)
    if not report.is_useful:
        raise typer.Exit(1)
    if not report.is_clean:
        raise typer.Exit(REFUSED)
