"""How `nightly` and `reprocess` end: what was done, and the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import typer

from blindzone.core.printable import to_line
from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.ingest import print_rejections

if TYPE_CHECKING:
    from blindzone.flows.running.records import RunReport


def end_run(report: RunReport) -> None:
    """Prints what a run did and raises `Exit` unless all went well: 1 if nothing did, else 2."""
    _print_counts(report)
    _print_reasons(report)
    if not report.is_useful:
        raise typer.Exit(1)
    if not report.is_clean:
        raise typer.Exit(REJECTED)


def _print_counts(report: RunReport) -> None:
    from blindzone.flows.running.records import Status

    counts = ", ".join(f"{report.count(status)} {status}" for status in get_args(Status))
    plural = "" if len(report.days) == 1 else "s"
    typer.echo(
        f"{report.flow}: {len(report.days)} day{plural} ({counts}) in {report.seconds:.0f} s"
    )


def _print_reasons(report: RunReport) -> None:
    for (status, source, reason), days in report.group_reasons().items():
        which = f"{days[0]}" if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
        typer.echo(to_line(f"{status}: {source} {which}: {reason}"), err=True)
    for ingested in report.ingested:
        print_rejections(ingested, with_source=True)
    for reason in report.lacking:
        typer.echo(to_line(f"nothing to do: {reason}"), err=True)
    for reason in report.unwritten:
        typer.echo(to_line(f"failed: {reason}"), err=True)
