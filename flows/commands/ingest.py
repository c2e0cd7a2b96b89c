"""The command `ingest`: source files into the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from blindzone.core.printable import to_line
from blindzone.flows.commands.console import REJECTED, print_table
from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    End,
    Recorded,
    SourceName,
    Start,
)

if TYPE_CHECKING:
    from blindzone.flows.running.records import IngestReport


def ingest(
    source: SourceName,
    start: Start = None,
    end: End = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Read a source's files into the archive.

    A file that comes twice changes nothing. A file that cannot be read is rejected with its reason,
    the others go on, and the exit status is 2.
    """
    check_sources([source], catalog)
    from blindzone.flows.ingest import IngestError
    from blindzone.flows.ingest import ingest as flow
    from blindzone.flows.running.ingestion import IngestPlan
    from blindzone.flows.running.plans import DataPlaces
    from blindzone.flows.running.prefect_steps import run_flow

    places = DataPlaces(catalog=catalog, archive=archive)
    plan = IngestPlan(source=source, start=start, end=end, places=places)
    try:
        report = run_flow(flow, recorded=prefect, plan=plan)
    except IngestError as error:
        _print_ingest(error.report)
        if error.log is not None:
            typer.echo(to_line(f"the log, with what was not foreseen: {error.log}"), err=True)
        raise typer.Exit(REJECTED) from None
    _print_ingest(report)


def _print_ingest(report: IngestReport) -> None:
    from rich.table import Table

    from blindzone.pipeline.archive import Outcome

    table = Table("outcome", "days or granules", "profiles added", "replaced", title=report.source)
    for outcome in Outcome:
        changes = [change for change in report.changes.values() if change.outcome is outcome]
        added = sum(change.added for change in changes)
        replaced = sum(change.replaced for change in changes)
        table.add_row(outcome, str(len(changes)), str(added), str(replaced))
    print_table(table)
    if report.missing:
        typer.echo(f"{len(report.missing)} days without a file, noted in the ledger")
    print_rejections(report)


def print_rejections(report: IngestReport, *, with_source: bool = False) -> None:
    """Prints on standard error which files were rejected, why, and what was found in others."""
    source = f"{report.source} " if with_source else ""
    for granule, name, reason in report.list_rejections():
        typer.echo(to_line(f"rejected: {source}{granule} {name}: {reason}"), err=True)
    for granule, name, line in report.list_findings():
        typer.echo(to_line(f"noted: {source}{granule} {name}: {line}"), err=True)
