"""Care of an archive: summary, verification, repair and export."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError, CurtainError, DamagedError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.exporting import export_days
from blindzone.pipeline.archive.ledger import (
    DayRecord,
    Verdict,
    record_name,
)
from blindzone.pipeline.archive.leftovers import find_leftovers
from blindzone.pipeline.archive.reading import guard, is_of_one_file, reading, store_name
from blindzone.pipeline.archive.recording import check_rays
from blindzone.pipeline.archive.writing import Archive, lock_name
from blindzone.pipeline.archive.zarr_layout import find_heights, hash_grid
from blindzone.pipeline.curtains.findings import add_up

__all__ = [
    "Fault",
    "Finding",
    "Repair",
    "SourceSummary",
    "describe_archive",
    "export_days",
    "repair_archive",
    "verify_archive",
]

_PORTION_S, _PAUSE_S = 5.0, 1.0
"""How long a repair keeps the lock, and how long it then leaves it to writers [s], who wait for it
for a minute and look for it every half second."""
_TRIES = 3
"""How often a granule that writers replace meanwhile is verified again."""
_CLOSE = np.timedelta64(1, "us")


class Fault(StrEnum):
    """What sort of fault a finding is."""

    RECORD = "damaged record"
    """The record cannot be read, or does not fit the store."""
    STORE = "damaged store"
    """The store is lost, damaged, or holds something else than was written."""
    LEFTOVER = "leftover"
    """No record names it: a killed writer left it."""
    LOCK = "stale lock"
    """Its holder is dead."""
    GRID = "other grid"
    """The granule's heights are not those of the source's others; not mended, since the right ones
    are not known."""
    UNREADABLE = "unreadable"
    """It cannot be read, by permission or for want of a connection; not mended, since it
    may be whole."""
    VERSION = "newer record"
    """A newer blindzone wrote it; not mended, since nothing is wrong with it."""


_MENDED = (Fault.RECORD, Fault.STORE, Fault.LEFTOVER, Fault.LOCK)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault of an archive.

    Attributes:
        source: Name of the source.
        day: The granule, if it concerns one.
        fault: What sort of fault.
        place: Path or URL of what is at fault.
        message: What is wrong, for people.
        name: Its name below the archive's root.
    """

    source: str
    day: date | None
    fault: Fault
    place: str
    message: str
    name: str

    def __str__(self) -> str:
        day = "" if self.day is None else f" {self.day}"
        return f"{self.source}{day}: {self.fault}: {self.message} [{self.place}]"


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done about a finding, or would be done.

    Attributes:
        finding: The fault.
        action: What was done, for people.
        done: Whether it was; not if only asked what would be.
    """

    finding: Finding
    action: str
    done: bool

    def __str__(self) -> str:
        return f"{self.finding}; {'done' if self.done else 'would be done'}: {self.action}"


@dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """Summary of one source in an archive.

    Attributes:
        source: Name of the source.
        granules: Number of days or granules.
        first: The first one.
        last: The last one.
        profiles: Number of profiles.
        gaps: Number of gaps inside days.
        gap_seconds: Their total length [s].
        missing: Number of granules noted as having no file.
        rejected: Number of granules of which every file was rejected.
        rejected_files: Number of rejected files, of granules that are archived or not.
        profiles_dropped: Number of profiles that were left out of files, by reason.
        damaged: Number of granules whose record cannot be read.
        grid: The heights, in words.
        bytes: Bytes of the stores.
    """

    source: str
    granules: int
    first: date | None
    last: date | None
    profiles: int
    gaps: int
    gap_seconds: float
    missing: int
    rejected: int
    rejected_files: int
    profiles_dropped: Mapping[str, int]
    damaged: int
    grid: str
    bytes: int


def describe_archive(archive: Archive, source: str | None = None) -> tuple[SourceSummary, ...]:
    """Returns a summary of each source in an archive, from its ledger alone.

    Raises:
        ArchiveError: If it cannot be read.
    """
    return tuple(_summarize(archive, name) for name in _choose(archive, source))


def verify_archive(archive: Archive, source: str | None = None) -> list[Finding]:
    """Returns all faults of an archive, or of one source in it; it changes nothing.

    Every record must be readable, every store whole and openable with xarray, its content the one
    that was written, a canonical curtain, with the profiles and times that the record states; a
    source has one grid; and there is no file that no record names, unless a writer is at work.

    Raises:
        ArchiveError: If the archive cannot be read at all.
    """
    return [
        finding for name in _choose(archive, source) for finding in _verify_source(archive, name)
    ]


def repair_archive(
    archive: Archive, source: str | None = None, *, dry_run: bool = False
) -> list[Repair]:
    """Mends what can be mended without touching anything whole, and returns what was done.

    What no record names is removed. A record that cannot be read, and one whose store is lost or
    damaged, is set aside as `KEY.damaged.json`, and the next ingest makes the granule anew. What
    is left of its store stays until then.

    Args:
        archive: The archive.
        source: Name of a source; all by default.
        dry_run: Whether only to return what would be done.

    Raises:
        ArchiveError: If the archive cannot be read or written, or another process keeps it locked.
    """
    repairs: list[Repair] = []
    for name in _choose(archive, source):
        found = _verify_source(archive, name, spares_work=dry_run)
        mended = [finding for finding in found if finding.fault in _MENDED]
        if not dry_run:
            with guard(archive.storage.locate(name), "written"):
                mended = _mend_all(archive, name, mended)
        repairs += [
            Repair(finding=finding, action=_describe_repair(finding), done=not dry_run)
            for finding in mended
        ]
    return repairs


def _mend_all(archive: Archive, source: str, findings: list[Finding]) -> list[Finding]:
    """Mends findings under the source's lock, and returns those that were still true.

    The lock is taken for a few seconds at a time, so that writers of the source get their turns.
    """
    mended: list[Finding] = []
    waiting = deque(findings)
    while waiting:
        with archive.lock(source, sweeps=False) as acquired:
            end = time.monotonic() + _PORTION_S
            left = find_leftovers(archive, source)
            while waiting:
                finding = waiting.popleft()
                if _is_still_true(archive, finding, left):
                    acquired.check()
                    _mend(archive, finding)
                    mended.append(finding)
                if time.monotonic() >= end:
                    break
        if waiting:
            time.sleep(_PAUSE_S)
    return mended


def _is_still_true(archive: Archive, finding: Finding, left: Mapping[str, Granule]) -> bool:
    """Returns whether a finding is true now that no other writer is at work."""
    if finding.fault is Fault.LEFTOVER:
        return finding.name in left
    if finding.fault is Fault.LOCK or finding.day is None:
        return True  # it was mended by being taken
    records, faults = archive.read_records(finding.source, [finding.day])
    if finding.day in faults:
        return isinstance(faults[finding.day], DamagedError)
    found = [_inspect_granule(archive, record) for record in records.values()]
    return any(one.fault in _MENDED for several in found for one in several)


def _mend(archive: Archive, finding: Finding) -> None:
    if finding.fault is Fault.LEFTOVER:
        archive.storage.remove(finding.name)
    elif finding.fault in (Fault.RECORD, Fault.STORE) and finding.day is not None:
        aside = record_name(finding.source, finding.day, "damaged")
        archive.storage.move_text(record_name(finding.source, finding.day), aside)


def _describe_repair(finding: Finding) -> str:
    if finding.fault is Fault.LEFTOVER:
        return f"remove {finding.place}"
    if finding.fault is Fault.LOCK:
        return f"give back the lock {finding.place}"
    return f"set the record of {finding.day} aside; ingest {finding.day} of {finding.source} anew"


def _choose(archive: Archive, source: str | None) -> tuple[str, ...]:
    sources = archive.sources()
    if source is None:
        return sources
    if source not in sources:
        raise ArchiveError(
            f"{archive.root}: no source '{source}'; it holds {', '.join(sources) or 'none'}"
        )
    return (source,)


def _verify_source(archive: Archive, source: str, *, spares_work: bool = True) -> list[Finding]:
    """Returns all faults of a source.

    Args:
        archive: The archive.
        source: Name of the source.
        spares_work: Whether what a writer may be writing is left out; a repair looks again once no
            writer is at work.
    """
    leftovers = _describe_leftovers(archive, source)
    if not spares_work:
        return [*_find_stale_lock(archive, source), *_verify_granules(archive, source), *leftovers]
    at_work = archive.storage.is_locked(lock_name(source))
    # A writer that has come and gone since has swept, or made a record that names what was found.
    still = set() if at_work or not leftovers else set(find_leftovers(archive, source))
    kept = [finding for finding in leftovers if finding.name in still]
    return [*_verify_granules(archive, source), *kept, *_find_stale_lock(archive, source)]


def _verify_granules(archive: Archive, source: str) -> list[Finding]:
    records, faults = archive.read_records(source)
    findings = [
        _finding(
            archive,
            source,
            day,
            _name_fault(error),
            str(error),
        )
        for day, error in faults.items()
    ]
    for record in records.values():
        findings += _verify_granule(archive, record)
    grids = {day: record.grid_hash for day, record in records.items() if record.grid_hash}
    most = max(set(grids.values()), key=list(grids.values()).count, default="")
    for day, grid in grids.items():
        if grid != most:
            right = next(record.grid for record in records.values() if record.grid_hash == most)
            message = f"its grid is {records[day].grid}, that of most other days {right}"
            findings.append(_finding(archive, source, day, Fault.GRID, message))
    return sorted(findings, key=lambda finding: Granule.of(finding.day).key if finding.day else "")


def _name_fault(error: ArchiveError) -> Fault:
    """Returns what sort of fault the error of a record is."""
    if isinstance(error, DamagedError):
        return Fault.RECORD
    return Fault.UNREADABLE if is_of_one_file(error) else Fault.VERSION


def _verify_granule(archive: Archive, record: DayRecord) -> list[Finding]:
    """Returns the faults of a granule, as it is once no writer replaces it meanwhile."""
    for _ in range(_TRIES):
        found = _inspect_granule(archive, record)
        try:
            now = archive.record(record.source, record.day)
        except ArchiveError:
            return found
        if not found or now.store == record.store:
            return found
        record = now
    return found


def _inspect_granule(archive: Archive, record: DayRecord) -> list[Finding]:
    source, day = record.source, record.day
    try:
        curtain, record = archive.read_granule(source, day)
        _check_opens_plainly(archive, record, curtain)
        check_rays(curtain, archive.storage.locate(store_name(record)))
    except (DamagedError, CurtainError) as error:
        return [_finding(archive, source, day, Fault.STORE, str(error))]
    except ArchiveError as error:
        return [_finding(archive, source, day, Fault.UNREADABLE, str(error))]
    first, last = np.datetime_as_string(curtain["time"].values[[0, -1]], unit="ms", timezone="UTC")
    found = {"profiles": curtain.sizes["time"], "first_time": str(first), "last_time": str(last)}
    if record.grid_hash:
        found["grid_hash"] = hash_grid(find_heights(curtain))
    return [
        _finding(
            archive,
            source,
            day,
            Fault.RECORD,
            f"its store has {name} {value}, the record says {recorded}",
        )
        for name, value in found.items()
        if (recorded := getattr(record, name)) != value
    ]


def _check_opens_plainly(archive: Archive, record: DayRecord, curtain: xr.Dataset) -> None:
    """Checks that xarray alone opens a store, with the same variables and times."""
    name = store_name(record)
    with (
        reading(archive.storage.locate(name)),
        xr.open_zarr(
            archive.storage.open_folder(name), consolidated=False, zarr_format=3, chunks=None
        ) as plain,
    ):
        same = set(plain.variables) == set(curtain.variables) and plain.sizes == curtain.sizes
        close = same and np.abs(plain["time"].values - curtain["time"].values).max() < _CLOSE
    if not close:
        raise DamagedError(
            f"{archive.storage.locate(name)}: xarray reads other variables or times from it"
        )


def _describe_leftovers(archive: Archive, source: str) -> list[Finding]:
    return [
        Finding(
            source=source,
            day=granule.start,
            fault=Fault.LEFTOVER,
            place=archive.storage.locate(name),
            message="no record names it: a writer was killed",
            name=name,
        )
        for name, granule in find_leftovers(archive, source).items()
    ]


def _find_stale_lock(archive: Archive, source: str) -> list[Finding]:
    name = lock_name(source)
    if not archive.storage.has_stale_lock(name):
        return []
    place, message = archive.storage.locate(name), "its holder is dead; it hinders nobody"
    return [
        Finding(source=source, day=None, fault=Fault.LOCK, place=place, message=message, name=name)
    ]


def _finding(archive: Archive, source: str, day: date, fault: Fault, message: str) -> Finding:
    name = record_name(source, day)
    return Finding(
        source=source,
        day=day,
        fault=fault,
        place=archive.storage.locate(name),
        message=message,
        name=name,
    )


def _summarize(archive: Archive, source: str) -> SourceSummary:
    records, faults = archive.read_records(source)
    absent = archive.absent(source)
    listed = [file for record in records.values() for file in record.files]
    listed += [file for note in absent for file in note.files]
    days = archive.days(source)
    return SourceSummary(
        source=source,
        granules=len(records),
        first=days[0] if days else None,
        last=days[-1] if days else None,
        profiles=sum(record.profiles for record in records.values()),
        gaps=sum(record.gaps for record in records.values()),
        gap_seconds=sum(record.gap_seconds for record in records.values()),
        missing=sum(note.verdict is Verdict.MISSING for note in absent),
        rejected=sum(note.verdict is Verdict.REJECTED for note in absent),
        rejected_files=sum(file.verdict is Verdict.REJECTED for file in listed),
        profiles_dropped=add_up(file.profiles_dropped for file in listed),
        damaged=len(faults),
        grid=next((record.grid for record in records.values() if record.grid), ""),
        bytes=sum(record.size for record in records.values()),
    )
