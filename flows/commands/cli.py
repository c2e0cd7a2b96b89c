"""The command line: each flow is a command; TensorFlow and Prefect load only when a command needs them."""

from __future__ import annotations

import resource
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.archive import archive_app, inspect_file
from blindzone.flows.commands.calibrate import calibrate
from blindzone.flows.commands.doctor import doctor
from blindzone.flows.commands.evaluate import evaluate
from blindzone.flows.commands.fill_options import (
    Effort,
    Force,
    Passes,
    ProductFolder,
    Samples,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.commands.operations import nightly, reprocess
from blindzone.flows.commands.options import (
    REFUSED,
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    End,
    Recorded,
    SourceName,
    Start,
    explained,
    parse_date,
    print_table,
    quiet_start,
)
from blindzone.flows.commands.serve import serve
from blindzone.flows.commands.training import runs_app, sweep, train

if TYPE_CHECKING:
    from blindzone.flows.demo import DemoReport
    from blindzone.flows.ingest import IngestReport

app = typer.Typer(
    help="Fills the near-surface blind zone of radar profiles and says, per pixel, how sure it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

catalog_app = typer.Typer(help="Look at the data catalogue.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")
app.add_typer(archive_app, name="archive")
app.command("inspect")(inspect_file)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("calibrate")(calibrate)
app.command("sweep")(sweep)
app.command("reprocess")(reprocess)
app.command("nightly")(nightly)
app.command("doctor")(doctor)
app.command("serve")(serve)
app.add_typer(runs_app, name="runs")


@app.command()
def ingest(
    source: SourceName,
    start: Start = None,
    end: End = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Ingest a source's files into the zarr archive; exit status 2 if some were refused."""
    with explained():
        from blindzone.flows.ingest import IngestError
        from blindzone.flows.ingest import ingest as flow
        from blindzone.flows.running.prefect_steps import run_flow

        try:
            report = run_flow(
                flow,
                recorded=prefect,
                source=source,
                start=start,
                end=end,
                catalog=catalog,
                archive=archive,
            )
        except IngestError as error:
            _print_ingest(error.report)
            raise typer.Exit(REFUSED) from None
        _print_ingest(report)


@app.command()
def inpaint(
    source: SourceName,
    start: Annotated[
        date, typer.Option(parser=parse_date, metavar="DATE", help="First UTC day, YYYY-MM-DD.")
    ],
    end: Annotated[
        date, typer.Option(parser=parse_date, metavar="DATE", help="Last UTC day, inclusive.")
    ],
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    tolerance: Tolerance = None,
    samples: Samples = None,
    seed: Seed = 0,
    force: Force = False,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Fill the blind zone of archived days and write CF netCDF products; one that is there just so is left alone."""
    check_tolerance(passes, tolerance)
    with explained():
        with quiet_start():
            from blindzone.flows.inpaint import inpaint as flow
            from blindzone.flows.running.prefect_steps import run_flow

        products = run_flow(
            flow,
            recorded=prefect,
            source=source,
            start=start,
            end=end,
            output=output,
            checkpoint=checkpoint,
            passes=choose_effort(passes, tolerance),
            samples=samples,
            seed=seed,
            force=force,
            catalog=catalog,
            archive=archive,
        )
        for product in products:
            typer.echo(product)


@app.command()
def demo(
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Source (default: palaiseau_basta if its data are here, else simulated).",
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
        Path, typer.Option(metavar="DIR", help="Folder of everything that the run makes.")
    ] = Path("workspace"),
    catalog: CatalogFile = None,
    prefect: Recorded = False,
) -> None:
    """Run the whole job: ingest, fill a held-out day, score it and draw it."""
    with explained():
        with quiet_start():
            from blindzone.flows.demo import choose_source
            from blindzone.flows.demo import demo as flow
            from blindzone.flows.running.prefect_steps import run_flow

        chosen, reason = choose_source(source, catalog)
        typer.echo(reason)
        report = run_flow(
            flow,
            recorded=prefect,
            source=chosen,
            minutes=minutes if train else None,
            passes=passes,
            seed=seed,
            output=output,
            catalog=catalog,
        )
        _print_report(report)


@catalog_app.command("list")
def list_sources(catalog: CatalogFile = None) -> None:
    """List the sources, and how many days of files each has here."""
    with explained():
        from rich.table import Table

        from blindzone.core.errors import CatalogError
        from blindzone.pipeline.catalog.catalog import read_catalog

        sources = read_catalog(catalog)
        table = Table("source", "reader", "days here", "title")
        for name, source in sources.items():
            try:
                days = str(len(source.find_days(sources.data_directory(name))))
            except CatalogError:
                days = "on demand" if source.simulation else "none"
            table.add_row(name, source.reader, days, source.title)
        print_table(table)


@catalog_app.command("show")
def show_source(source: SourceName, catalog: CatalogFile = None) -> None:
    """Show a source's whole entry, defaults included, and where its files are looked for."""
    with explained():
        from blindzone.pipeline.catalog.catalog import describe_source, read_catalog

        sources = read_catalog(catalog)
        typer.echo(describe_source(sources[source]), nl=False)
        typer.echo(
            "# files:"
            f" {sources.data_directory(source) / sources[source].directory / sources[source].files}"
        )


@catalog_app.command("check")
def check_catalog(catalog: CatalogFile = None) -> None:
    """Check a catalogue: unknown keys, readers and values are named with their line."""
    with explained():
        from blindzone.pipeline.catalog.catalog import read_catalog

        sources = read_catalog(catalog)
        typer.echo(f"{sources.path}: {len(sources)} sources, nothing wrong")


def _print_ingest(report: IngestReport) -> None:
    from rich.table import Table

    from blindzone.pipeline.archive import Outcome

    table = Table("outcome", "days or granules", "profiles added", "replaced", title=report.source)
    for outcome in Outcome:
        changes = [change for change in report.changes.values() if change.outcome is outcome]
        profiles = (
            str(sum(change.added for change in changes)),
            str(sum(change.replaced for change in changes)),
        )
        table.add_row(outcome, str(len(changes)), *profiles)
    print_table(table)
    if report.missing:
        typer.echo(f"{len(report.missing)} days without a file, noted in the ledger")
    for unit, refused in report.refusals.items():
        for name, reason in refused.items():
            typer.echo(f"refused: {unit} {name}: {reason}", err=True)


def _print_report(report: DemoReport) -> None:
    from rich.table import Table

    from blindzone.flows.demo import SHOWN_SCORES

    table = Table(
        title=f"{report.source} {report.day}: the filled blind zone against what was hidden"
    )
    table.add_column("score")
    table.add_column("blindzone", justify="right")
    table.add_column("repeat lowest visible row", justify="right")
    fill, repeat = report.scores["fill"], report.scores["repeat"]
    for score in SHOWN_SCORES:
        # A deterministic scheme states no interval.
        stated = "-" if score.startswith(("coverage", "width")) else f"{repeat[score]:.3f}"
        table.add_row(score.replace("[", r"\["), f"{fill[score]:.3f}", stated)
    print_table(table)
    for label, path in (
        ("product", report.product),
        ("picture", report.picture),
        ("checkpoint", report.checkpoint),
    ):
        typer.echo(f"{label + ':':<12}{path}")
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    typer.echo(f"{'time:':<12}{stages}; {sum(report.seconds.values()):.0f} s in all")
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    typer.echo(f"{'memory:':<12}{peak_gib:.1f} GiB at the peak")


def main() -> None:
    """Runs the command line."""
    app()
