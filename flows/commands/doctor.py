"""The command line's `doctor`: what is in order, what is not, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    explained,
    print_table,
    quiet_start,
)

if TYPE_CHECKING:
    from blindzone.flows.checks.findings import Finding


def doctor(
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Network (default: the package's, and the workspace's).",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Compare every archived day bit for bit, build each network; takes longer.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check versions, catalogue, archive, checkpoints, disk, threads, server; exit status 1: errors, 2: warnings."""
    with explained(), quiet_start():
        from blindzone.flows.checks.doctor import DoctorConfig, examine
        from blindzone.flows.checks.findings import Level, worst

        findings = list(
            examine(
                DoctorConfig(catalog=catalog, archive=archive, checkpoint=checkpoint, deep=deep)
            )
        )
    level = worst(findings)
    if as_json:
        typer.echo(
            json.dumps(
                {"level": level, "findings": [asdict(finding) for finding in findings]}, indent=1
            )
        )
    else:
        _print(findings)
    if level is not Level.OK:
        raise typer.Exit(1 if level is Level.ERROR else 2)


def _print(findings: list[Finding]) -> None:
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
