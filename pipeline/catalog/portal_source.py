"""A source whose files a data portal has: what is fetched, and what the catalogue states of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.catalog.catalog_writing import NewEntry
from blindzone.pipeline.catalog.entry import find_directory, make_entry
from blindzone.pipeline.readers import read_curtain

_MEASURED = ("unit", "grid", "quality", "frequency_ghz")
"""Keys of an entry that its files decide."""

OnBytes = Callable[[int], None]
"""Receives how many bytes of a file are here."""
Partner = str | list[str]
"""Name of a collocated source, or names of several in the same role."""


class PortalFile(Protocol):
    """A file of a portal."""

    @property
    def size(self) -> int:
        """Its size [bytes]; 0 if the portal does not state it."""

    def fetch(self, path: Path, on_bytes: OnBytes) -> bool:
        """Fetches the file unless it is there whole, and returns whether it was fetched.

        Raises:
            FileUnavailableError: If it cannot be had; others may be.
            FetchError: If no file can be had any more.
        """

    def describe(self) -> dict[str, Any]:
        """Returns what the portal states of it."""


def _keep(named: Partner, known: Collection[str]) -> Partner | None:
    """Returns what is known of a partner's name, or of a list of names."""
    if isinstance(named, str):
        return named if named in known else None
    return [name for name in named if name in known]


@dataclass(frozen=True, kw_only=True)
class PortalSource:
    """A source and its files at a portal.

    Attributes:
        name: Name of the source, and of the folder of its files.
        title: What it is.
        files: Its files by the names that they get.
        pattern: Pattern of these names, as a catalogue entry has it.
        reader: Reader of the files; none if no reader reads them.
        terms: Terms of use as they are kept next to the files.
        stated: Further keys of its catalogue entry.
        partners: Names of its collocated sources by their role, of a role with several a list.
        comment: A line above the entry.
    """

    name: str
    title: str
    files: Mapping[str, PortalFile]
    pattern: str
    reader: str | None
    terms: Mapping[str, Any]
    stated: Mapping[str, Any] = field(default_factory=dict)
    partners: Mapping[str, Partner] = field(default_factory=dict)
    comment: str = ""

    @property
    def size(self) -> int:
        """Size of its files [bytes]."""
        return sum(file.size for file in self.files.values())

    def make_entry(self, folder: Path, data_directory: Path, known: Collection[str]) -> NewEntry:
        """Returns its catalogue entry.

        Grid and lowest gate are those of the first file in the folder that can be read.

        Args:
            folder: The folder of its files.
            data_directory: Folder that a relative `directory` of the catalogue is below.
            known: Names of sources that the catalogue will have; no other is a partner.
        """
        kept = {role: _keep(named, known) for role, named in self.partners.items()}
        partners = {role: named for role, named in kept.items() if named}
        values = {
            "title": self.title,
            "reader": self.reader,
            **find_directory(folder, data_directory),
            "files": self.pattern,
            **self.stated,
            **({"partners": partners} if partners else {}),
            **self._measure(folder, data_directory),
        }
        return NewEntry(values=values, comment=self.comment)

    def _measure(self, folder: Path, data_directory: Path) -> dict[str, Any]:
        """Returns what an entry takes from a file; nothing if none can be read."""
        for path in (folder / name for name in self.files):
            with suppress(SourceFileError, CurtainError):  # an ingest tells what is wrong with it
                curtain = read_curtain(path, self.reader or "auto")
                made = make_entry(path, curtain, data_directory)
                return {key: made[key] for key in _MEASURED if key in made}
        return {}
