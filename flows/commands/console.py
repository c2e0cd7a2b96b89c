"""How the command line talks to its user: results on standard output, the rest on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

REJECTED = 2
"""Exit status of a run that rejected some files, and of a check that found something."""

_UNLIMITED = 250
"""Width of a table that is written into a file or pipe [columns]."""


@contextmanager
def explained(complete: Callable[[str], str] = str) -> Iterator[None]:
    """Prints an error that is meant for the user and exits with status 1, without a traceback.

    Args:
        complete: Completes the message, for example with options of the user's.
    """
    from blindzone.core.errors import BlindzoneError

    try:
        yield
    except BlindzoneError as error:
        typer.echo(f"error: {complete(str(error))}", err=True)
        raise typer.Exit(1) from None


def print_table(table: Table) -> None:
    """Prints a table as wide as the terminal; into a file or pipe, as wide as the table is."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNLIMITED)
    console.print(table)


def print_json(content: Any) -> None:
    """Prints plain values as JSON: not-a-number as null, dates and paths as text."""
    typer.echo(json.dumps(_jsonable(content), indent=1, default=str, allow_nan=False))


def _jsonable(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _jsonable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_jsonable(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
