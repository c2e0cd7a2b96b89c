"""What each command does besides its own work: old spellings, errors, remedies with options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from blindzone.flows.commands.console import explained

if TYPE_CHECKING:
    from typing import Protocol

    class HasOptions(Protocol):
        """A command, as far as its options go."""

        params: Any


OLD_SPELLINGS = {"--realizations": "--passes", "--samples": "--members"}
"""Options by their earlier names, which go on working."""

PLACES = ("catalog", "archive")
"""Options that say where a command works; the commands that an error names get them too."""

_REMEDY = re.compile(r"'(blindzone [^']+)'")


class Command(TyperCommand):
    """A command that accepts old spellings of its options and explains its errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments once the old spellings among them are replaced."""
        return super().parse_args(ctx, list(respell(args, _options_of(self))))

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; an error that is meant for the user ends it with status 1."""
        with explained(completer(ctx)):
            return super().invoke(ctx)


def respell(args: Sequence[str], known: set[str]) -> Iterator[str]:
    """Yields arguments with the old spellings of known options replaced, and says so on stderr."""
    is_option = True
    for argument in args:
        is_option = is_option and argument != "--"
        name, equals, value = argument.partition("=")
        new = OLD_SPELLINGS.get(name)
        if is_option and new in known:
            typer.echo(f"note: {name} is now called {new}", err=True)
            argument = f"{new}{equals}{value}"
        yield argument


def completer(ctx: Any) -> Callable[[str], str]:
    """Returns a function that gives the commands in a text the options with which this one runs.

    A command in a text is `'blindzone ingest SOURCE'`, in single quotes. It gets the catalogue and
    the archive that the user has named, if it takes them and does not name its own.
    """
    given = {
        name: str(ctx.params[name])
        for name in PLACES
        if name in ctx.params and ctx.get_parameter_source(name).name == "COMMANDLINE"
    }
    root = ctx.find_root().command

    def complete(text: str) -> str:
        return _REMEDY.sub(lambda found: f"'{_add_options(found[1], given, root)}'", text)

    return complete


def _add_options(remedy: str, given: dict[str, str], root: Any) -> str:
    """Returns a command line with those of the given options that its command takes."""
    words = remedy.split()
    command = root
    for word in words[1:]:
        if not isinstance(command, TyperGroup) or word not in command.commands:
            break
        command = command.commands[word]
    known = _options_of(command)
    options = [
        f"--{name} {_quote(value)}"
        for name, value in given.items()
        if f"--{name}" in known and f"--{name}" not in words
    ]
    return " ".join([remedy, *options])


def _quote(value: str) -> str:
    """Returns a shell word, in double quotes where need be: the remedy is in single ones."""
    plain = shlex.quote(value) == value
    return value if plain else f'"{value}"'


def _options_of(command: HasOptions) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}
