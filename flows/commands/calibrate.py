"""The command line's `calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.evaluate import Block
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    Recorded,
    SourceName,
    explained,
    print_table,
    quiet_start,
)

if TYPE_CHECKING:
    from blindzone.flows.calibrate import CalibrationReport

_DETAILS = ("lowest of rows", "touching", "aloft", "clear")


def calibrate(
    source: SourceName,
    checkpoint: CheckpointFile = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Checkpoint to write (default: the network's own file)."),
    ] = None,
    block: Annotated[
        Block,
        typer.Option(
            help="Days of the catalogue's split; the test block then tests nothing any more."
        ),
    ] = Block.VALIDATION,
    passes: Annotated[
        int,
        typer.Option(
            "--passes", "--realizations", min=2, help="Number of stochastic forward passes."
        ),
    ] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the passes.")] = 0,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Calibrate a network on whole days that it was not trained on; its checkpoint then carries the calibration."""
    with explained():
        with quiet_start():
            from blindzone.flows.calibrate import calibrate as flow
            from blindzone.flows.running.prefect_steps import run_flow

        report = run_flow(
            flow,
            recorded=prefect,
            source=source,
            checkpoint=checkpoint,
            block=block.value,
            passes=passes,
            seed=seed,
            output=output,
            catalog=catalog,
            archive=archive,
        )
        _print_calibration(report)


def _print_calibration(report: CalibrationReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    count = len(report.days)
    table = Table("score", title=f"{report.source}: {count} days of the {report.block} block")
    table.add_column("before", justify="right")
    table.add_column("after, by the other days", justify="right")
    for name, value in report.before.items():
        if name.endswith(_DETAILS) and " 90 %" not in name:
            continue
        cells = (value, report.after.get(name, float("nan")))
        decimals = 4 if name in ("Brier", "reliability") else 3
        table.add_row(
            escape(name), *("-" if cell != cell else f"{cell:.{decimals}f}" for cell in cells)
        )
    print_table(table)
    groups = Table(
        "regime", "band", "days", "blocks", "days with echo", "blocks with echo", title="stands on"
    )
    for group in report.groups:
        groups.add_row(*map(str, group))
    print_table(groups)
    typer.echo(f"checkpoint: {report.checkpoint}, SHA-256 {report.sha256}")
