"""The command line's `evaluate`: networks and simple schemes side by side."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    Recorded,
    explained,
    print_table,
    quiet_start,
)

if TYPE_CHECKING:
    from blindzone.flows.evaluate import EvaluationReport


class Block(StrEnum):
    """The days that are scored."""

    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="Name of a source in the data catalogue.")
    ] = "palaiseau_basta",
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="A network; give the option once for each."
        ),
    ] = None,
    block: Annotated[
        Block, typer.Option(help="Days of the catalogue's split; tune nothing on the test block.")
    ] = Block.VALIDATION,
    schemes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Simple schemes, separated by commas, or 'none' (default: all).",
        ),
    ] = None,
    passes: Annotated[
        int,
        typer.Option(
            "--passes",
            "--realizations",
            min=2,
            help="Number of stochastic forward passes of a network.",
        ),
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the passes.")] = 0,
    uncalibrated: Annotated[
        bool,
        typer.Option(
            "--uncalibrated", help="Score calibrated networks without their calibration too."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Tables and page (default: workspace/evaluations/SOURCE_BLOCK)."
        ),
    ] = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Score networks and simple schemes on the same pixels of the validation or test days."""
    with explained():
        with quiet_start():
            from blindzone.flows.evaluate import SCHEMES
            from blindzone.flows.evaluate import evaluate as flow
            from blindzone.flows.running.prefect_steps import run_flow

        named = (
            SCHEMES if schemes is None else tuple(filter(None, map(str.strip, schemes.split(","))))
        )
        report = run_flow(
            flow,
            recorded=prefect,
            source=source,
            block=block.value,
            schemes=() if named == ("none",) else named,
            checkpoints=tuple(checkpoint or ()),
            passes=passes,
            seed=seed,
            output=output,
            catalog=catalog,
            archive=archive,
            uncalibrated=uncalibrated,
        )
        _print_scores(report)


def _print_scores(report: EvaluationReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    from blindzone.pipeline.verification.tables import IDEAL_SCORES, find_best

    table = Table(
        title=f"{report.source}: {len(report.days)} days of the {report.block} block; * is best"
    )
    table.add_column("score")
    for scheme in report.scores:
        table.add_column(scheme, justify="right")
    for score in IDEAL_SCORES:
        best = find_best(report.scores, score)
        cells = []
        for scheme, values in report.scores.items():
            value = values.get(score)
            decimals = 4 if score in ("Brier", "reliability") else 3
            text = (
                "-" if value is None or value != value else f"{value:.{decimals}f}"
            )  # NaN: nothing stands behind it
            cells.append(f"[bold]{text}*[/bold]" if scheme in best else f"{text} ")
        table.add_row(escape(score), *cells)
    print_table(table)
    for label, path in (
        ("table", report.table),
        ("record", report.record),
        ("page", report.picture),
    ):
        typer.echo(f"{label + ':':<8}{path}")
    for note in report.notes:
        typer.echo(f"note: {note}")
