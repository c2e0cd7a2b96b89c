"""What all fetches share: files of a portal into folders, and sources into the catalogue."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blindzone.core.errors import CatalogError, FetchError, FileUnavailableError
from blindzone.core.fence import Fence, describe
from blindzone.core.progress import OnProgress
from blindzone.flows.running.progress import stage
from blindzone.pipeline.catalog.catalog_writing import CatalogText, add_entries
from blindzone.pipeline.catalog.data_use import read_data_use, write_data_use
from blindzone.pipeline.catalog.fetching import remove_leftovers
from blindzone.pipeline.catalog.places import find_data_directory
from blindzone.pipeline.catalog.portal_source import OnBytes, PortalSource
from blindzone.pipeline.catalog.source_files import Address

_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class FetchedSource:
    """Outcome of one source.

    Attributes:
        name: Name of the source.
        title: What it is.
        folder: Where its files are.
        fetched: Number of files that were fetched.
        unchanged: Number of files that were there already.
        failed: Files that could not be had, with the reason.
        is_readable: Whether a reader reads its files.
    """

    name: str
    title: str
    folder: Path
    fetched: int
    unchanged: int
    failed: Mapping[str, str]
    is_readable: bool

    @property
    def is_usable(self) -> bool:
        """Whether there are files of it that can be ingested."""
        return self.is_readable and self.fetched + self.unchanged > 0


@dataclass(frozen=True, kw_only=True)
class FetchReport:
    """Outcome of a fetch.

    Attributes:
        sources: The sources, in order.
        catalog: The catalogue file.
        added: Names of the entries that were added to it; the others were there.
        left_out: What else the portal has of these days.
    """

    sources: tuple[FetchedSource, ...]
    catalog: Path
    added: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def fetch_sources(
    sources: Sequence[PortalSource],
    catalog: CatalogText,
    output: Path | None = None,
    left_out: Sequence[str] = (),
) -> FetchReport:
    """Fetches sources' files, and adds entries for them to the catalogue.

    Args:
        sources: The sources.
        catalog: The catalogue file.
        output: Folder below which each source has one; by default the data directory.
        left_out: What else the portal has.

    Raises:
        FetchError: If the portal does not answer any more, or nothing can be written.
        CatalogError: If the catalogue has a source of one's name elsewhere, or cannot be written.
    """
    data = find_data_directory()
    folders = {source.name: (output or data) / source.name for source in sources}
    _check_names(catalog, folders, data)
    _check_space(sources, folders)
    with stage("fetch") as on_progress:
        counter = _Counter(on_progress, sum(source.size for source in sources))
        outcomes = [_fetch_source(source, folders[source.name], counter) for source in sources]
    usable = {outcome.name for outcome in outcomes if outcome.is_usable}
    known = {*catalog.sources, *usable}
    entries = {
        source.name: source.make_entry(folders[source.name], data, known)
        for source in sources
        if source.name in usable
    }
    return FetchReport(
        sources=tuple(outcomes),
        catalog=catalog.path,
        added=add_entries(catalog, entries),
        left_out=tuple(left_out),
    )


def _fetch_source(source: PortalSource, folder: Path, counter: _Counter) -> FetchedSource:
    # The terms first, so that no file is ever without them.
    files = {name: file.describe() for name, file in source.files.items()}
    write_data_use(folder, source.terms, files)
    remove_leftovers(folder)
    fetched, failed = 0, dict[str, str]()
    for name, file in source.files.items():
        with _noting(failed, name):
            fetched += file.fetch(folder / name, counter.note(name))
        counter.add(file.size)
    return FetchedSource(
        name=source.name,
        title=source.title,
        folder=folder,
        fetched=fetched,
        unchanged=len(source.files) - len(failed) - fetched,
        failed=failed,
        is_readable=source.reader is not None,
    )


def _noting(failed: dict[str, str], name: str) -> Fence:
    """Notes why a file cannot be had; what no other file could be had for either is raised."""
    return Fence(
        lambda error: failed.update({name: describe(error)}),
        unless=lambda error: (
            isinstance(error, FetchError) and not isinstance(error, FileUnavailableError)
        ),
    )


class _Counter:
    """Counts bytes of many files for one bar.

    Args:
        on_progress: Takes the share that is done, and a note.
        size: Size of all files [bytes].
    """

    def __init__(self, on_progress: OnProgress, size: int) -> None:
        self._on_progress = on_progress
        self._size = max(size, 1)
        self._done = 0

    def note(self, name: str) -> OnBytes:
        """Returns what is called with the number of bytes that are here of a file."""

        def report(received: int) -> None:
            done = self._done + received
            self._on_progress(
                min(done / self._size, 1.0), f"{done / _MB:.1f} of {self._size / _MB:.1f} MB"
            )

        return report

    def add(self, size: int) -> None:
        """Adds a file that is done with."""
        self._done += size


def _check_names(catalog: CatalogText, folders: Mapping[str, Path], data: Path) -> None:
    """Checks that sources of the catalogue with these names are in these folders."""
    known = catalog.sources
    for name, folder in folders.items():
        read_data_use(folder)  # damaged terms are refused before any work
        if name in known and not _is_same(known[name].locate(data), folder):
            raise CatalogError(
                f"{catalog.path}: it has a source '{name}' already, whose files are in"
                f" {known[name].locate(data)} and not in {folder}; another catalogue, or the folder"
                " above that one as output, is right"
            )


def _is_same(place: Address, folder: Path) -> bool:
    return isinstance(place, Path) and place.resolve() == folder.resolve()


def _check_space(sources: Sequence[PortalSource], folders: Mapping[str, Path]) -> None:
    """Checks that there is room for the files that are not there."""
    needed = sum(
        file.size
        for source in sources
        for name, file in source.files.items()
        if not (folders[source.name] / name).exists()
    )
    place = next(iter(folders.values())).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FetchError(
            f"{place}: {needed / _MB:.0f} MB are to be fetched, {free / _MB:.0f} MB are free; a"
            " shorter range or another folder is right"
        )
