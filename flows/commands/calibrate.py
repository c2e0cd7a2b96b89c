"""The command `calibrate`: make a network's intervals hold on days it was not trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import REJECTED, print_table
from blindzone.flows.commands.early_checks import check_checkpoints, check_sources
from blindzone.flows.commands.fill_options import Passes, Seed
from blindzone.flows.commands.options import (
    ArchiveFolder,
    Block,
    CatalogFile,
    CheckpointFile,
    Recorded,
    SourceName,
)
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.experiments.calibration_report import CalibrationReport

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
            help="Days of the catalogue's split; after the test block nothing is left to test on."
        ),
    ] = Block.VALIDATION,
    passes: Passes = 50,
    seed: Seed = 0,
    pooled: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="SOURCE", help="A further source of the same grid; once for each."
        ),
    ] = None,
    occurrence_days: Annotated[
        float,
        typer.Option(min=0, help="Days after which a group's own frequency of echo counts half."),
    ] = 256.0,
    depth: Annotated[
        list[float] | None,
        typer.Option(
            metavar="METRES",
            help="Depth of the blind zone to calibrate for (default: the source's); once for each.",
        ),
    ] = None,
    layer_bottom: Annotated[
        float,
        typer.Option(
            metavar="METRES",
            min=0,
            help="Bottom of the hidden layer above the lowest row that was measured.",
        ),
    ] = 0.0,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Make a network's intervals hold.

    Calibrates it on whole days that it was not trained on. Its checkpoint then carries the
    calibration. Exit status 2 if intervals still miss what they state on days withheld.
    """
    check_sources([source, *(pooled or ())], catalog)
    check_checkpoints([checkpoint])
    with quiet_start():
        from blindzone.flows.calibrate import CalibrationPlan
        from blindzone.flows.calibrate import calibrate as flow
        from blindzone.flows.running.plans import DataPlaces
        from blindzone.flows.running.prefect_steps import run_flow
        from blindzone.pipeline.inpainting.calibration_fit import CalibrationConfig

    plan = CalibrationPlan(
        source=source,
        others=tuple(pooled or ()),
        fit=CalibrationConfig(occurrence_days=occurrence_days),
        checkpoint=checkpoint,
        block=block.value,
        passes=passes,
        seed=seed,
        output=output,
        depths_m=tuple(depth or ()),
        bottom_m=layer_bottom,
        places=DataPlaces(catalog=catalog, archive=archive),
    )
    report = run_flow(flow, recorded=prefect, plan=plan)
    _print_scores(report)
    _print_groups(report)
    kind = "checkpoint" if report.written.suffix == ".keras" else "calibration"
    typer.echo(f"{kind}: {report.written}, SHA-256 {report.sha256}")
    typer.echo(report.status.text)
    if report.status.state == "fails":
        typer.echo(
            "fills do not use this calibration; more or other days of calibration, or a network"
            " that scores better, is right",
            err=True,
        )
        raise typer.Exit(REJECTED)


def _print_scores(report: CalibrationReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    title = f"{report.source}: {len(report.days)} days of the {report.block} block"
    for depth in report.depths:
        hidden = f", {depth.hidden_rows} rows hidden" if len(report.depths) > 1 else ""
        table = Table("score", title=f"{title}{hidden}")
        table.add_column("before", justify="right")
        table.add_column("after, by the other days", justify="right")
        for name, before in depth.before.items():
            if name.endswith(_DETAILS) and " 90 %" not in name:
                continue
            after = depth.after.get(name, math.nan)
            table.add_row(escape(name), *(format_score(name, value) for value in (before, after)))
        print_table(table)


def _print_groups(report: CalibrationReport) -> None:
    from rich.table import Table

    columns = ("regime", "band", "days", "blocks", "days with echo", "blocks with echo")
    table = Table(*columns, title="calibrated on")
    for group in report.groups:
        table.add_row(*map(str, group))
    print_table(table)


def format_score(name: str, value: float | None) -> str:
    """Returns a score as text: `-` if there is none, four decimals where they matter."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{4 if name in ('Brier', 'reliability') else 3}f}"
