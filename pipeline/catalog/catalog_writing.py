"""New entries in a catalogue file of the user's, whose other lines stay as they are.

The entries are put into the text behind the last source: comments, order and spelling of all else
are kept. What comes of it is read before it is written, so that no catalogue is ever spoilt.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from blindzone.core.errors import CatalogError
from blindzone.core.files import write_atomically
from blindzone.pipeline.catalog.catalog import Catalog, parse_catalog, read_text
from blindzone.pipeline.catalog.places import find_own_catalog, find_shipped_catalog

_EMPTY = "version: 1\nsources: {}\n"


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An entry that is to be added to a catalogue.

    Attributes:
        values: Its keys with plain values.
        comment: A line about it; empty for none.
    """

    values: Mapping[str, Any]
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class CatalogText:
    """A catalogue file as it is now, or as it begins.

    Attributes:
        path: The file; it need not exist.
        text: Its content.
    """

    path: Path
    text: str

    @property
    def sources(self) -> Catalog:
        """The sources that it has."""
        return parse_catalog(self.path, self.text)


def open_catalog_text(path: Path | None = None) -> CatalogText:
    """Returns the user's catalogue file.

    One that is named and does not exist begins without sources. `data_catalog.yaml` in the working
    directory begins as the package's catalogue, which it will stand in for.

    Args:
        path: The file; by default what `$BLINDZONE_CATALOG` names, else `data_catalog.yaml` in the
            working directory.

    Raises:
        CatalogError: If it cannot be read or used.
    """
    file = path or find_own_catalog()
    if file.exists():
        text = read_text(file)
    elif path is None and file == Path("data_catalog.yaml"):
        text = read_text(find_shipped_catalog())
    else:
        text = _EMPTY
    catalog = CatalogText(path=file, text=text)
    _find_place(catalog)  # refused before any work, and not after
    return catalog


def add_entries(catalog: CatalogText, entries: Mapping[str, NewEntry]) -> tuple[str, ...]:
    """Writes entries into a catalogue file and returns the names of those that it did not have.

    An entry that is there already stays as it is. The file is read again: hours of downloads may
    have passed, in which it was edited.

    Raises:
        CatalogError: If the file cannot be written, or would not be a catalogue afterwards.
    """
    if catalog.path.exists():
        catalog = CatalogText(path=catalog.path, text=read_text(catalog.path))
    before = catalog.sources
    new = {name: entry for name, entry in entries.items() if name not in before}
    if not new:
        return ()
    text = _insert(catalog, new)
    after = parse_catalog(catalog.path, text)
    after.check_entries()
    if {name: after[name] for name in before} != dict(before) or not new.keys() <= set(after):
        raise CatalogError(
            f"{catalog.path}: entries cannot be added without changing others; one source a block"
            " under 'sources:', with the same indentation, is right"
        )
    file = catalog.path.resolve()  # a link stays one
    with write_atomically(file, error=CatalogError, what="the catalogue") as partial:
        partial.write_bytes(text.encode())
        if file.exists():
            shutil.copymode(file, partial)
    return tuple(new)


def _insert(catalog: CatalogText, new: Mapping[str, NewEntry]) -> str:
    text = catalog.text
    start, end, indent = _find_place(catalog)
    block = "".join(_render(name, entry, indent) for name, entry in new.items())
    before, after = text[:start], text[end:]
    if start != end:  # braces without anything in them
        before, after = before.rstrip(" "), after.lstrip(" ")
    if before and not before.endswith("\n"):
        before += "\n"
    added = before + block + after
    return added.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in text else added


def _render(name: str, entry: NewEntry, indent: int) -> str:
    text = yaml.safe_dump(
        {name: dict(entry.values)},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    # On one line, whatever a portal calls its sites.
    words = "".join(char if char.isprintable() else " " for char in entry.comment).split()
    comment = f"# {' '.join(words)}\n" if words else ""
    return "".join(f"{' ' * indent}{line}\n" for line in f"{comment}{text}".splitlines())


def _find_place(catalog: CatalogText) -> tuple[int, int, int]:
    """Returns which characters of a catalogue new entries replace, and their indentation.

    Raises:
        CatalogError: If its sources are not one block each.
    """
    text = catalog.text
    catalog.sources.check_entries()  # what is wrong with it is named by its key and line
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    node = next(value for key, value in root.value if key.value == "sources")
    if not node.value:  # {}
        return node.start_mark.index, node.end_mark.index, 2
    if node.flow_style:
        raise CatalogError(
            f"{catalog.path}, line {node.start_mark.line + 1}: sources: entries can be added to a"
            " block of sources only, one under the other, without braces"
        )
    end = _skip_back(text, node.end_mark.index)
    return end, end, node.start_mark.column


def _skip_back(text: str, index: int) -> int:
    """Returns where the blank lines and comments begin that belong to what comes after them."""
    if not text[index:].strip():
        return len(text)
    index = text.rfind("\n", 0, index) + 1
    lines = text[:index].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        index -= len(lines.pop())
    return index
