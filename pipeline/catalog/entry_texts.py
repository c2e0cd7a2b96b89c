"""Texts of a catalogue's entries, for a file that is no YAML because of some of them.

Only block style is understood: `sources:` in a line of its own, and below it each source's name at
the same indentation. Anchors of one entry that another repeats are of that file as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from blindzone.core.configuration import parse_yaml
from blindzone.core.errors import CatalogError

_SOURCES = re.compile(r"sources:\s*(#.*)?")
_HEAD = re.compile(r"""( +)([\w.-]+|"[^"]*"|'[^']*')\s*:(\s.*)?""")


class _EntryText(NamedTuple):
    """An entry's name, and its lines in the file: the first, counted from 0, and that after it."""

    name: str
    first: int
    end: int


def drop_broken_entries(text: str, where: str) -> tuple[str, dict[str, str]]:
    """Returns a catalogue's text with empty lines for the entries that are no YAML, and why not.

    Args:
        text: Text of the file.
        where: Name of the file, for the messages.
    """
    lines = text.split("\n")
    faults: dict[str, str] = {}
    for entry in _split(lines):
        own = "\n".join(lines[entry.first : entry.end])
        what = f"{where}, line {entry.first + 1}: sources.{entry.name}"
        try:
            parse_yaml(own, where=what, error=CatalogError, keep_odd=True, line=entry.first)
        except CatalogError as error:
            faults[entry.name] = str(error)
            lines[entry.first : entry.end] = [""] * (entry.end - entry.first)
    return "\n".join(lines), faults


def _split(lines: list[str]) -> Iterator[_EntryText]:
    """Yields the entries of a catalogue's lines, in order."""
    start = next((n for n, line in enumerate(lines, 1) if _SOURCES.fullmatch(line)), len(lines))
    end = next((n for n in range(start, len(lines)) if re.match(r"[^\s#]", lines[n])), len(lines))
    found = ((n, _HEAD.fullmatch(lines[n])) for n in range(start, end))
    heads = [(n, head) for n, head in found if head is not None]
    indentation = len(heads[0][1][1]) if heads else 0
    heads = [(n, head) for n, head in heads if len(head[1]) == indentation]
    ends = [*(n for n, _ in heads), end][1:]
    for (first, head), after in zip(heads, ends, strict=True):
        yield _EntryText(head[2].strip("\"'"), first, after)
