"""The command line as a whole; each command has a file of its own."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn, TextIO

import typer

from blindzone.flows.commands.archive import archive_app
from blindzone.flows.commands.calibrate import calibrate
from blindzone.flows.commands.catalog import catalog_app
from blindzone.flows.commands.command import Command
from blindzone.flows.commands.demo import demo
from blindzone.flows.commands.derive import derive
from blindzone.flows.commands.doctor import doctor
from blindzone.flows.commands.evaluate import evaluate
from blindzone.flows.commands.fetch import fetch_app
from blindzone.flows.commands.fill import fill
from blindzone.flows.commands.ingest import ingest
from blindzone.flows.commands.inpaint import inpaint
from blindzone.flows.commands.inspect import inspect
from blindzone.flows.commands.lighten import lighten
from blindzone.flows.commands.nightly import nightly
from blindzone.flows.commands.plot import plot
from blindzone.flows.commands.pretrain import pretrain
from blindzone.flows.commands.repair import repair
from blindzone.flows.commands.report import report
from blindzone.flows.commands.reprocess import reprocess
from blindzone.flows.commands.runs import runs_app
from blindzone.flows.commands.serve import serve
from blindzone.flows.commands.sweep import sweep
from blindzone.flows.commands.train import train

# A paragraph after \b keeps its lines.
_ENVIRONMENT = """\b
Environment:
BLINDZONE_DATA       folder of the source files that the catalogue names
BLINDZONE_CATALOG    data catalogue, unless --catalog names one
BLINDZONE_WORKSPACE  folder of archive, checkpoints, products, runs, reports
                     (default: workspace in the current folder)"""

app = typer.Typer(
    help="Fills the near-surface blind zone of radar profiles, with intervals for every pixel.",
    epilog=_ENVIRONMENT,
    no_args_is_help=True,
    # Plain help: the tables of rich cut off names and texts in a narrow terminal.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"blindzone {version('blindzone')}")
        raise typer.Exit


@app.callback()
def set_up(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Takes the options that belong to no command."""


app.command("fill", cls=Command)(fill)
app.command("repair", cls=Command)(repair)
app.command("inspect", cls=Command)(inspect)
app.command("derive", cls=Command)(derive)
app.command("plot", cls=Command)(plot)
app.command("report", cls=Command)(report)
app.command("ingest", cls=Command)(ingest)
app.command("inpaint", cls=Command)(inpaint)
app.command("train", cls=Command)(train)
app.command("pretrain", cls=Command)(pretrain)
app.command("calibrate", cls=Command)(calibrate)
app.command("lighten", cls=Command)(lighten)
app.command("evaluate", cls=Command)(evaluate)
app.command("sweep", cls=Command)(sweep)
app.command("nightly", cls=Command)(nightly)
app.command("reprocess", cls=Command)(reprocess)
app.command("doctor", cls=Command)(doctor)
app.command("serve", cls=Command)(serve)
app.command("demo", cls=Command)(demo)
app.add_typer(archive_app, name="archive")
app.add_typer(catalog_app, name="catalog")
app.add_typer(fetch_app, name="fetch")
app.add_typer(runs_app, name="runs")


def main() -> None:
    """Runs the command line; it fails if its output is lost, to a full disk or a closed pipe."""
    output = sys.stdout
    try:
        app()
    except OSError as error:
        if error.filename is not None:  # no matter of the output
            raise
        _end_without_output(error)
    finally:
        _check_output(output)


def _check_output(output: TextIO | None) -> None:
    """Ends with an error if standard output has not taken all that was printed."""
    if output is None or output.closed:
        return
    if sys.stdout is not output:  # typer has silenced a pipe that was closed
        _end_without_output(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
    try:
        output.flush()
    except OSError as error:
        _end_without_output(error)


def _end_without_output(error: OSError) -> NoReturn:
    with suppress(OSError):
        print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        # What is still in its buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = sys.__stdout__
    raise SystemExit(1) from None
