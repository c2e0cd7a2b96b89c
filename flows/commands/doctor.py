"""The command `doctor`: what is in order, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.command import completer
from blindzone.flows.commands.console import print_json, print_table
from blindzone.flows.commands.options import ArchiveFolder, AsJson, CatalogFile
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.checks.findings import Finding


def doctor(
    context: typer.Context,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Network (default: the package's, and those of the workspace).",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Compare every archived day bit for bit and build each network; takes longer.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that all that runs need is in order.

    Looks at versions, catalogue, archive, checkpoints, disk, threads and server, and changes
    nothing. Exit status 1: errors, 2: warnings.
    """
    with quiet_start():
        from blindzone.flows.checks.doctor import DoctorConfig, examine
        from blindzone.flows.checks.findings import Level, worst

        config = DoctorConfig(catalog=catalog, archive=archive, checkpoint=checkpoint, deep=deep)
        findings = _complete(list(examine(config)), completer(context))
    level = worst(findings)
    if as_json:
        print_json({"level": level, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if level is not Level.OK:
        raise typer.Exit(1 if level is Level.ERROR else 2)


def _complete(findings: Sequence[Finding], complete: Callable[[str], str]) -> list[Finding]:
    """Returns findings whose advice names the archive and catalogue that were looked at."""
    return [replace(finding, advice=complete(finding.advice)) for finding in findings]


def _print(findings: Sequence[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from blindzone.flows.checks.findings import Level

    colours = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
    table = Table("check", "", "found, and what to do")
    for finding in findings:
        advice = f"\n[bold]-> {escape(finding.advice)}[/]" if finding.advice else ""
        level = f"[{colours[finding.level]}]{finding.level}[/]"
        table.add_row(escape(finding.check), level, f"{escape(finding.found)}{advice}")
    print_table(table)
