"""Writing to the archive: whole granules, committed by their ledger record."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError, DamagedError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import (
    AbsentRecord,
    DayRecord,
    FileRecord,
    Verdict,
    is_same_configuration,
    iterate_granules,
    now_text,
    record_name,
)
from blindzone.pipeline.archive.leftovers import find_leftovers
from blindzone.pipeline.archive.merging import ORIGIN, Merged, merge_files
from blindzone.pipeline.archive.reading import (
    ArchiveReader,
    guard,
    is_of_one_file,
    store_name,
)
from blindzone.pipeline.archive.recording import (
    add_rejected,
    check_nothing_lost,
    check_part,
    describe_difference,
    describe_granule,
    list_files,
)
from blindzone.pipeline.archive.storage import AcquiredLock
from blindzone.pipeline.archive.zarr_layout import (
    check_same_grid,
    encode_curtain,
    find_heights,
    hash_grid,
)

LOCK_WAIT_S = 60.0
"""How long a writer waits for another one of the same source [s]; a day is written in about a
second."""
_NONE: Mapping[FileRecord, str] = MappingProxyType({})


class Outcome(StrEnum):
    """The outcome of one granule."""

    INGESTED = "created"
    UPDATED = "updated"
    """Some of its profiles are new, others kept."""
    REPLACED = "replaced"
    """All of its profiles are new."""
    UNCHANGED = "unchanged"
    REJECTED = "rejected"

    @classmethod
    def _missing_(cls, value: object) -> Outcome | None:
        """Returns the outcome of a word that earlier versions wrote into reports."""
        return {"ingested": cls.INGESTED, "refused": cls.REJECTED}.get(str(value))


@dataclass(frozen=True, kw_only=True)
class Change:
    """Changes of a granule by an upsert, in profiles; `added + replaced + kept` are archived now.

    Attributes:
        outcome: What became of the granule.
        added: Profiles at new times.
        replaced: Profiles at archived times, now from another file or another version of it.
        kept: Unchanged profiles, bit for bit.
        dropped: Profiles at archived times that are no longer in the granule.
        findings: What was masked or is doubtful in the files just read, in lines, by file name.
        profiles_dropped: Number of profiles of these files that were left out because of a fault.
    """

    outcome: Outcome
    added: int = 0
    replaced: int = 0
    kept: int = 0
    dropped: int = 0
    findings: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    profiles_dropped: int = 0


class Archive(ArchiveReader):
    """An archive below one folder or URL, to read from and to write to."""

    def needed(
        self,
        source: str,
        day: date,
        files: tuple[FileRecord, ...],
        configuration: Mapping[str, Any],
    ) -> tuple[FileRecord, ...]:
        """Returns those of a granule's files that must be read to bring it up to date.

        These are the new and the changed ones; all of them if the granule was made with another
        configuration or its store is damaged. What it holds of files that are not given is kept:
        they may have been moved away.

        Raises:
            ArchiveError: If all files must be read and some that it holds profiles of are not
                given.
        """
        archived = self.find_record(source, day)
        if archived is None:
            return files
        known = {file.identity for file in archived.files if file.verdict is not Verdict.REJECTED}
        new = tuple(file for file in files if file.identity not in known)
        renewal = self._why_all(archived, configuration, bool(new))
        if renewal:
            check_nothing_lost(archived, {file.name for file in files}, renewal, {})
            return files
        return new

    def upsert(
        self,
        source: str,
        day: date,
        parts: Mapping[FileRecord, xr.Dataset],
        configuration: Mapping[str, Any],
        rejected: Mapping[FileRecord, str] = _NONE,
    ) -> Change:
        """Merges files into a granule: profiles that a new file covers are replaced, others kept.

        A file covers a profile if it is one of the file's, or is between two of them without a gap
        (no more than five of the file's median steps). A newer version of a file
        replaces its earlier self whole. Files are merged in the order of their names. A granule is
        replaced as a whole.

        Args:
            source: Name of the source.
            day: The UTC day, or the granule's start.
            parts: The gridded curtain, or swath, of each file that `needed` named, cut to the day;
                one may be empty.
            configuration: Grid, quality rules and reader that made them.
            rejected: Rejected files of the granule, with their reasons; noted in its record.

        Raises:
            CurtainError: If a dataset is no canonical curtain.
            ArchiveError: If profiles are outside the day, the grid is not that of the source's
                other days, variables or places differ, or archived profiles would be lost. The
                archive stays as it was.
            UnwritableError: If the archive cannot be written.
        """
        where = f"{source} {day}"
        if not parts:
            self.note_rejected(source, day, rejected)
            return Change(outcome=Outcome.REJECTED)
        named = {file.name: file for file in parts}
        if len(named) < len(parts):
            raise ArchiveError(
                f"{where}: two of the files have one name: {', '.join(file.name for file in parts)}"
            )
        curtains = {
            file.name: check_part(part, day, f"{where} ({file.name})")
            for file, part in parts.items()
        }
        with self.lock(source) as acquired:
            self._check_sort(source, day, where)
            archived = self.find_record(source, day)
            renewal = "" if archived is None else self._why_all(archived, configuration, True)
            if archived is not None and renewal:
                check_nothing_lost(archived, set(named), renewal, rejected)
            merged = self._merge(
                archived,
                curtains,
                where,
                replace_all=bool(renewal) or Granule.of(day).kind == "granule",
            )
            self._check_grid(source, day, find_heights(merged.curtain), where)
            files = list_files(archived, named, rejected, merged)
            return self._commit(source, day, merged, files, configuration, acquired)

    def note_missing(self, source: str, days: Iterable[date]) -> None:
        """Notes of granules that without archived profiles that there was no file for them.

        Raises:
            ArchiveError: If the archive cannot be written.
        """
        days = tuple(days)
        noted = {
            record.day
            for record in self.find_absent(source, days)
            if record.verdict is Verdict.MISSING
        }
        new = set(days) - noted - set(self.find_archived(source, days))
        if not new:
            return
        with self.lock(source), guard(self.storage.locate(source), "written"):
            for day in sorted(new - set(self.find_archived(source, new))):
                record = AbsentRecord(
                    source=source, day=day, verdict=Verdict.MISSING, written=now_text()
                )
                with suppress(IsADirectoryError):  # what is in the way costs its own note alone
                    self.storage.replace_text(record_name(source, day, "absent"), record.to_json())

    def note_rejected(self, source: str, day: date, rejected: Mapping[FileRecord, str]) -> None:
        """Notes files of a granule that were rejected, and why: in its record if it is archived.

        Raises:
            ArchiveError: If the archive cannot be written.
        """
        if self._renew_rejected(source, day, rejected) is None:
            return
        with self.lock(source), guard(self.storage.locate(source), "written"):
            renewed = self._renew_rejected(source, day, rejected)
            if renewed is not None:
                kind = "absent" if isinstance(renewed, AbsentRecord) else ""
                self.storage.replace_text(record_name(source, day, kind), renewed.to_json())

    def tidy(self, source: str) -> None:
        """Removes what a killed writer of a source left, unless a writer is at work.

        It leaves its lock, too, so that nothing is searched for where there is none.
        """
        with guard(self.storage.locate(source), "read"):
            if not self.storage.has_stale_lock(lock_name(source)):
                return
        # If a writer is at work, it has swept, or the next one does.
        with suppress(ArchiveError), self.lock(source, wait_s=0):
            pass

    def _list_leftovers(self, record: DayRecord) -> tuple[str, ...]:
        """Returns the names of a granule's files other than its record and its store."""
        key, source = Granule.of(record.day).key, record.source
        with guard(self.storage.locate(source), "read"):
            stores = [
                name for name in self.storage.list_names(f"{source}/stores") if name != record.store
            ]
        ledger = [name for name in self._ledger(source) if name != f"{key}.json"]
        return tuple(
            [
                f"{source}/stores/{name}"
                for name in stores
                if name.startswith((f"{key}-", f".{key}-"))
            ]
            + [
                f"{source}/ledger/{name}"
                for name in ledger
                if name.startswith((f"{key}.", f".{key}."))
            ]
        )

    def _merge(
        self,
        archived: DayRecord | None,
        curtains: Mapping[str, xr.Dataset],
        where: str,
        *,
        replace_all: bool,
    ) -> Merged:
        """Returns the files merged into the archived profiles, read only as far as needed."""
        if archived is None:
            return merge_files(None, (), curtains, where=where)
        names = tuple(file.name for file in archived.contributing)
        replace_all = replace_all or set(names) <= curtains.keys()
        read = self.open_day if replace_all else self.read_day
        try:
            found: xr.Dataset | None = read(archived.source, archived.day)
        except DamagedError:
            if not replace_all:
                raise
            found = None
        if found is not None and ORIGIN not in found:  # of version 1 of the ledger
            found = found.assign_coords(
                {ORIGIN: ("time", np.zeros(found.sizes["time"], dtype=np.int16))}
            )
        return merge_files(found, names, curtains, replace_all=replace_all, where=where)

    def _commit(
        self,
        source: str,
        day: date,
        merged: Merged,
        files: tuple[FileRecord, ...],
        configuration: Mapping[str, Any],
        acquired: AcquiredLock,
    ) -> Change:
        """Writes a granule's new store, and then its record, which makes it count."""
        name = record_name(source, day)
        existed = bool(self.find_archived(source, [day]))
        store = f"{Granule.of(day).key}-{uuid.uuid4().hex[:12]}.zarr"
        contents = encode_curtain(merged.curtain)
        record = describe_granule(source, day, store, merged.curtain, files, configuration)
        record = replace(record, size=sum(map(len, contents.values())))
        with guard(self.storage.locate(store_name(record)), "written"):
            self.storage.write_folder(store_name(record), contents)
        with guard(self.storage.locate(name), "written"):
            acquired.check()
            self.storage.replace_text(name, record.to_json())
        with suppress(OSError, ArchiveError):  # the granule's next writer sweeps
            for left in self._list_leftovers(record):
                acquired.check()
                self.storage.remove(left)
        renewed = Outcome.UPDATED if merged.kept else Outcome.REPLACED
        return Change(
            outcome=renewed if existed else Outcome.INGESTED,
            added=merged.added,
            replaced=merged.replaced,
            kept=merged.kept,
            dropped=merged.dropped,
        )

    @contextmanager
    def lock(
        self, source: str, wait_s: float | None = None, *, sweeps: bool = True
    ) -> Iterator[AcquiredLock]:
        """Holds the lock of a source's one writer.

        It covers all granules, since a writer compares its heights with the others'.

        Args:
            source: Name of the source.
            wait_s: How long to wait for another writer [s]; `LOCK_WAIT_S` by default.
            sweeps: Whether what a killed writer left is removed first, if its lock is taken over.

        Yields:
            The lock, to be checked before a record is replaced or anything removed.

        Raises:
            ArchiveError: If another writer keeps it for so long.
        """
        name = lock_name(source)
        with ExitStack() as stack:
            with guard(self.storage.locate(name), "locked"):
                acquired = stack.enter_context(
                    self.storage.lock(name, LOCK_WAIT_S if wait_s is None else wait_s)
                )
            if acquired.is_inherited and sweeps:
                self._sweep_after_kill(source, acquired)
            yield acquired

    def _sweep_after_kill(self, source: str, acquired: AcquiredLock) -> None:
        """Removes what a killed writer left; what cannot be removed waits for a repair."""
        with suppress(OSError, ArchiveError):
            for name in find_leftovers(self, source):
                acquired.check()
                self.storage.remove(name)

    def _check_sort(self, source: str, day: date, where: str) -> None:
        first, new = next(iterate_granules(self._ledger(source)), None), Granule.of(day).kind
        if first is not None and first.kind != new:
            raise ArchiveError(
                f"{where}: the archive holds {source} by {first.kind}s, not by {new}s; one kind is"
                " right"
            )

    def _check_grid(self, source: str, day: date, heights: np.ndarray, where: str) -> None:
        """Checks heights against those of any other granule of a source that can be read."""
        for granule in iterate_granules(self._ledger(source)):
            other = granule.start
            if other == day:
                continue
            try:
                if self.record(source, other).grid_hash == hash_grid(heights):
                    return
                archived = find_heights(self.open_day(source, other))
            except ArchiveError as error:
                if is_of_one_file(error):
                    continue
                raise
            check_same_grid(heights, archived, where=where, whose="the archive's other days")
            return

    def _why_all(
        self, archived: DayRecord, configuration: Mapping[str, Any], is_changed: bool
    ) -> str:
        """Returns why all files of a granule must be read; nothing if there is no reason to."""
        if not self.is_whole(archived):
            return "its store is gone or damaged"
        if not is_same_configuration(archived.configuration, configuration):
            return (
                "it was made with another configuration"
                f" ({describe_difference(archived, configuration)})"
            )
        if is_changed and not archived.content_hash and len(archived.files) > 1:
            return (
                "an earlier version of blindzone wrote it, which did not note what comes from which"
                " file"
            )
        return ""

    def _renew_rejected(
        self, source: str, day: date, rejected: Mapping[FileRecord, str]
    ) -> DayRecord | AbsentRecord | None:
        """Returns a granule's record with rejected files added; `None` if that changes nothing."""
        archived = self.find_record(source, day)
        if archived is not None:
            renewed = replace(archived, files=add_rejected(archived.files, rejected))
            return (
                None
                if renewed == archived
                else replace(renewed, written=now_text(), version=version("blindzone"))
            )
        old = next(iter(self.find_absent(source, [day])), None)
        files = add_rejected(old.files if old else (), rejected)
        if not files or (old is not None and old.files == files):
            return None
        return AbsentRecord(
            source=source, day=day, verdict=Verdict.REJECTED, files=files, written=now_text()
        )


def lock_name(source: str) -> str:
    """Returns the name of a source's lock below the archive's root."""
    return f"{source}/.lock"
