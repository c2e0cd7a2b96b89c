"""The command `sweep`: a search over network and training in short trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import print_table
from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    PlanFile,
    Recorded,
    SourceName,
)
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.sweep import SweepReport


def sweep(
    source: SourceName,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials of the study in all, those of earlier runs too.")
    ] = 30,
    trial_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Budget of a trial in minutes (5).")
    ] = None,
    trial_steps: Annotated[
        int | None, typer.Option(min=1, help="Budget of a trial in steps.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the study; one that exists is gone on with.")
    ] = "sweep",
    config: PlanFile = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help=(
                "A key of the plan to search over, once for each, instead of the usual ones:"
                " network.family=unet,unet++ or stages.learning_rate=1e-4..1e-2:log."
            ),
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and of every trial.")] = 0,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Search for the best network and rates, or any keys of a plan.

    Each trial is a short training; the validation days decide.
    """
    check_sources([source], catalog)
    with quiet_start():
        from blindzone.flows import sweep as flows
        from blindzone.flows.experiments.search_space import parse_space
        from blindzone.flows.experiments.training_plan import read_plan
        from blindzone.flows.running.plans import DataPlaces
        from blindzone.flows.running.prefect_steps import run_flow

    budget = {"minutes": trial_minutes, "steps": trial_steps}
    if trial_minutes is None and trial_steps is None:
        budget["minutes"] = flows.TRIAL_MINUTES
    plan = flows.SweepPlan(
        source=source,
        trials=trials,
        name=name,
        space=parse_space(vary or ()),
        training_plan=read_plan(config, {"training": budget | {"seed": seed}}),
        places=DataPlaces(catalog=catalog, archive=archive),
    )
    _print_report(run_flow(flows.sweep, recorded=prefect, plan=plan))


def _print_report(report: SweepReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(*map(escape, report.columns))
    for row in report.rows:
        table.add_row(*row)
    print_table(table)
    for label, path in (("table", report.table), ("picture", report.picture)):
        if path is not None:
            typer.echo(f"{label}: {path}")
