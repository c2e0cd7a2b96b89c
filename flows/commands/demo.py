"""The command `demo`: the main job from end to end."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import print_table
from blindzone.flows.commands.fill_options import Passes, Seed
from blindzone.flows.commands.options import CatalogFile, Recorded
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.demo import DemoReport


def demo(
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Source (default: palaiseau_basta, or simulated if none of its data can be had).",
        ),
    ] = None,
    train: Annotated[
        bool,
        typer.Option("--train", help="Train anew instead of using the weights of the package."),
    ] = False,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Wall-clock budget of that training.")
    ] = 4.0,
    passes: Passes = 50,
    seed: Seed = 0,
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            envvar="BLINDZONE_WORKSPACE",
            show_envvar=True,
            help="Folder of everything that the run makes.",
        ),
    ] = Path("workspace"),
    catalog: CatalogFile = None,
    portal: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Portal (default: https://cloudnet.fmi.fi/api/)."),
    ] = None,
    prefect: Recorded = False,
) -> None:
    """Run the whole job on data that are here.

    It ingests a source, fills a withheld test day, scores it and draws it.

    Without measured data here, one day is fetched from the Cloudnet portal. If the portal does not
    answer within 10 s, curtains are simulated.
    """
    with quiet_start():
        from blindzone.flows.demo import DemoPlan, choose_source
        from blindzone.flows.demo import demo as flow
        from blindzone.flows.running.prefect_steps import run_flow
        from blindzone.pipeline.catalog.fetching import PORTAL

    chosen, reason = choose_source(source, catalog, portal or PORTAL)
    typer.echo(reason)
    plan = DemoPlan(
        source=chosen,
        minutes=minutes if train else None,
        passes=passes,
        seed=seed,
        output=output,
        catalog=catalog,
    )
    report = run_flow(flow, recorded=prefect, plan=plan)
    _print_scores(report)
    _print_places(report)
    _print_costs(report)


def _print_scores(report: DemoReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    from blindzone.flows.demo import SHOWN_SCORES

    title = f"{report.source} {report.day}: the filled blind zone against what was hidden"
    table = Table("score", title=title)
    table.add_column("blindzone", justify="right")
    table.add_column("persistence of the lowest visible row", justify="right")
    fill, persistence = report.scores["fill"], report.scores["repeat"]
    for score in SHOWN_SCORES:
        # A deterministic scheme has no interval.
        is_interval = score.startswith(("coverage", "width"))
        simple = "-" if is_interval else f"{persistence[score]:.3f}"
        table.add_row(escape(score), f"{fill[score]:.3f}", simple)
    print_table(table)


def _print_places(report: DemoReport) -> None:
    places = {
        "product": report.product,
        "picture": report.picture,
        "checkpoint": report.checkpoint,
    }
    for label, path in places.items():
        typer.echo(f"{label + ':':<12}{path}")


def _print_costs(report: DemoReport) -> None:
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    typer.echo(f"{'time:':<12}{stages}; {sum(report.seconds.values()):.0f} s in all")
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    typer.echo(f"{'memory:':<12}{peak_gib:.1f} GiB at the peak")
