"""What the commands share: their options, and how errors reach the user."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

REFUSED = 2
"""Exit status of a run that did its work but for some files, or of a check that found something."""


_UNLIMITED = 250


def parse_date(text: str) -> date:
    """Returns the date of `YYYY-MM-DD`."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date; YYYY-MM-DD is right") from error


Start = Annotated[
    date | None, typer.Option(parser=parse_date, metavar="DATE", help="First UTC day, YYYY-MM-DD.")
]
End = Annotated[
    date | None, typer.Option(parser=parse_date, metavar="DATE", help="Last UTC day, inclusive.")
]
CatalogFile = Annotated[
    Path | None,
    typer.Option("--catalog", metavar="FILE", help="Data catalogue (default: data_catalog.yaml)."),
]
ArchiveFolder = Annotated[
    str | None,
    typer.Option(
        "--archive", metavar="DIR", help="Zarr archive, a folder or URL (workspace/archive)."
    ),
]


SourceName = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Name of a source in the data catalogue.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Network (default: workspace/checkpoints/SOURCE.keras).",
    ),
]
Recorded = Annotated[
    bool,
    typer.Option("--prefect", help="Record the run with Prefect, also without PREFECT_API_URL."),
]


@contextmanager
def explained() -> Iterator[None]:
    """Turns the errors that are meant for the user into their message and an exit status, without a traceback."""
    from blindzone.core.errors import BlindzoneError

    try:
        yield
    except BlindzoneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keeps TensorFlow's start-up chatter, written past Python's own stderr, from the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def print_table(table: Table) -> None:
    """Prints a table as wide as the terminal, or, into a file or pipe, as wide as it is."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNLIMITED)
    console.print(table)
