"""Ingest: source files of a range of days, or granules, into the zarr archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr
from prefect import flow

from blindzone.core.errors import (
    BlindzoneError,
    CatalogError,
    CurtainError,
    SourceFileError,
    UnwritableError,
)
from blindzone.core.granule import Granule
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.workspace import archive_folder
from blindzone.pipeline.archive import Archive, Change, FileRecord, Outcome
from blindzone.pipeline.archive.assembly import (
    check_same_site,
    cut_granule,
    cut_outside,
    describe_address,
    describe_part,
    find_span,
    make_part,
    reaches_into,
    read_native,
)
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.catalog.source_files import Address, name_of
from blindzone.pipeline.curtains.quality import check_measured
from blindzone.pipeline.readers.simulation import write_simulated_day

Files = Mapping[date, tuple[Address, ...]]
"""The files of each UTC day, or of each granule."""


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        source: Name of the source.
        changes: What became of each day or granule.
        refusals: The files that were set aside, each with its reason, by day or granule.
        missing: Days of the range that have no file.
    """

    source: str
    changes: dict[date, Change] = field(default_factory=dict)
    refusals: dict[date, dict[str, str]] = field(default_factory=dict)
    missing: tuple[date, ...] = ()

    @property
    def outcomes(self) -> dict[date, Outcome]:
        """The outcome of each day or granule."""
        return {unit: change.outcome for unit, change in self.changes.items()}

    def count(self, outcome: Outcome) -> int:
        """Returns how many days or granules came to this outcome."""
        return sum(found is outcome for found in self.outcomes.values())

    def summary(self) -> str:
        """Returns one line for people."""
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome)
        missing = f"; {len(self.missing)} days without a file" if self.missing else ""
        kind = (
            "granule" if any(Granule.of(unit).kind == "granule" for unit in self.changes) else "day"
        )
        plural = "" if len(self.changes) == 1 else "s"
        return f"{self.source}: {len(self.changes)} {kind}{plural} ({counts}){missing}"


class IngestError(BlindzoneError):
    """Some files could not be ingested; all others were.

    Attributes:
        report: What was done.
    """

    def __init__(self, report: IngestReport) -> None:
        reasons = [reason for refused in report.refusals.values() for reason in refused.values()]
        super().__init__("\n".join(reasons))
        self.report = report


@flow(name="ingest", log_prints=True)
def ingest(
    source: str,
    start: date | None = None,
    end: date | None = None,
    catalog: Path | None = None,
    archive: Path | str | None = None,
) -> IngestReport:
    """Ingests a source's files into the archive; what is held just so already is left as it is.

    Args:
        source: Name of the source in the catalogue.
        start: First UTC day; the source's first by default.
        end: Last UTC day, inclusive; the source's last by default.
        catalog: Catalogue file.
        archive: Folder or URL of the archive.

    Raises:
        IngestError: At the end, if any file was refused.
        UnwritableError: At once, if the archive cannot be written.
    """
    report = ingest_days(source, start, end, catalog, archive)
    print(report.summary())
    if report.refusals:
        raise IngestError(report)
    return report


def ingest_days(
    source: str,
    start: date | None,
    end: date | None,
    catalog: Path | None,
    archive: Path | str | None,
) -> IngestReport:
    """Ingests day by day, or granule by granule; a file that cannot be ingested is set aside with its reason."""
    files, missing = find_files(source, start, end, catalog)
    report = IngestReport(source=source, missing=missing)
    place = archive or archive_folder()
    Archive(place).note_missing(source, missing)
    reaching = find_reaching(source, start, end, catalog, place)
    with stage("ingest") as on_progress:
        for number, (unit, addresses) in enumerate(files.items(), start=1):
            _ingest_into(report, unit, addresses, catalog, place, reaching.get(unit, ()))
            on_progress(number / len(files), f"{unit} {report.changes[unit].outcome}")
        # What the files just read were found to hold beyond midnight.
        for unit, others in find_reaching(source, start, end, catalog, place).items():
            if unit not in files or set(others) - set(reaching.get(unit, ())):
                _ingest_into(report, unit, files.get(unit, ()), catalog, place, others)
    return report


def _ingest_into(
    report: IngestReport,
    unit: date,
    addresses: tuple[Address, ...],
    catalog: Path | None,
    archive: Path | str,
    reaching: tuple[Address, ...],
) -> None:
    """Ingests one unit and adds what became of it to the report."""
    try:
        change, refused = ingest_granule(report.source, unit, addresses, catalog, archive, reaching)
    except UnwritableError:  # every other file would meet the same error
        raise
    except BlindzoneError as error:
        change, refused = (
            Change(outcome=Outcome.REFUSED),
            {name_of((*addresses, *reaching)[0]): str(error)},
        )
    before = report.changes.get(unit)
    # A second round only adds to the day what reaches into it from its neighbours.
    if before is None or before.outcome is Outcome.UNCHANGED:
        report.changes[unit] = change
    if refused:
        report.refusals[unit] = report.refusals.get(unit, {}) | refused


@step
def find_files(
    source: str, start: date | None, end: date | None, catalog: Path | None
) -> tuple[Files, tuple[date, ...]]:
    """Returns the files in a range, those of a simulated source written first, and the range's days without a file.

    Raises:
        CatalogError: If no file lies in the range.
    """
    sources = read_catalog(catalog)
    entry, folder = sources[source], sources.data_directory(source)
    if start is not None and end is not None and start > end:
        raise CatalogError(
            f"{source}: the range starts on {start} and ends on {end}; start must not be after end"
        )

    def in_range(unit: date) -> bool:
        day = Granule.of(unit).day
        return (start is None or day >= start) and (end is None or day <= end)

    if entry.simulation is not None:
        with stage("simulate") as on_progress:
            _simulate(entry, folder, in_range, on_progress)
    found = entry.find_days(folder)
    wanted = {unit: addresses for unit, addresses in found.items() if in_range(unit)}
    if not wanted:
        held = sorted(found)
        raise CatalogError(
            f"{source}: no file between {start or 'the beginning'} and {end or 'the end'}; "
            f"{entry.locate(folder)} holds {Granule.of(held[0]).day} to {Granule.of(held[-1]).day}"
        )
    return wanted, _find_missing(entry, wanted, start, end)


def _find_missing(
    entry: Source, found: Files, start: date | None, end: date | None
) -> tuple[date, ...]:
    """Returns the days without a file between the ends of the range, or of the source's period where it is open."""
    if entry.unit == "granule":
        return ()
    first = start or (entry.period.start if entry.period else min(found))
    last = end or (entry.period.end if entry.period and entry.period.end else max(found))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(day for day in days if day not in found)


def _simulate(
    entry: Source, folder: Path, in_range: Callable[[date], bool], on_progress: Any
) -> None:
    assert entry.simulation is not None
    days = [day for day in entry.simulation.list_days() if in_range(day)]
    for number, day in enumerate(days, start=1):
        path = folder / entry.directory / day.strftime(entry.files)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_simulated_day(day, path, seed=entry.simulation.seed)
        on_progress(number / len(days), str(day))


@step
def find_reaching(
    source: str, start: date | None, end: date | None, catalog: Path | None, archive: Path | str
) -> dict[date, tuple[Address, ...]]:
    """Returns the files that reach over midnight into each day of a range from the day that they are named by.

    What reaches where is read from the ledger, so that a killed ingest is carried on.
    """
    sources = read_catalog(catalog)
    entry = sources[source]
    if entry.unit == "granule":
        return {}
    files = entry.find_days(sources.data_directory(source))
    records, _ = Archive(archive).read_records(source)
    found: dict[date, tuple[Address, ...]] = {}
    for day, record in records.items():
        own = {name_of(address): address for address in files.get(day, ())}
        for file in record.files:
            for neighbour in (day - timedelta(days=1), day + timedelta(days=1)):
                inside = (start is None or neighbour >= start) and (end is None or neighbour <= end)
                if inside and file.name in own and reaches_into(file, neighbour):
                    found[neighbour] = (*found.get(neighbour, ()), own[file.name])
    return found


@partial(step, runs="ingest {source} {unit}")
def ingest_granule(
    source: str,
    unit: date,
    addresses: tuple[Address, ...],
    catalog: Path | None,
    archive: Path | str | None,
    reaching: tuple[Address, ...] = (),
) -> tuple[Change, dict[str, str]]:
    """Reads, cleans, grids and archives the files of one day or granule that the archive does not hold yet.

    Args:
        source: Name of the source in the catalogue.
        unit: UTC day, or start of the granule.
        addresses: Its files.
        catalog: Catalogue file.
        archive: Folder or URL of the archive.
        reaching: Files of the days before and after that reach into the day. They add to it before
            its own first profile and after its last one, and replace nothing of its own.

    Returns:
        What changed, and the files that were set aside with their reasons.

    Raises:
        BlindzoneError: If the unit as a whole is refused; the archive stays as it was.
    """
    entry = read_catalog(catalog)[source]
    store = Archive(archive or archive_folder())
    configuration = {
        "reader": entry.reader,
        "grid": asdict(entry.grid),
        "quality": asdict(entry.quality),
        "position": asdict(entry.position) if entry.position else None,
    }
    files, unreadable = _describe_all((*addresses, *reaching))
    needed = store.needed(source, unit, tuple(files), configuration)
    own = {record: files[record] for record in needed if files[record] not in reaching}
    parts, refused = _make_parts(entry, source, unit, own)
    if parts and parts.keys() <= refused.keys() and unit not in store.days(source):
        parts = {}  # nothing was measured on the whole day
    others = {record: files[record] for record in needed if files[record] in reaching}
    if others:
        neighbour_files, unfit = _make_parts(entry, source, unit, others, own=False)
        span = find_span(
            store,
            source,
            unit,
            parts,
            {record.name for record in files if files[record] in reaching},
        )
        parts |= {record: cut_outside(part, span) for record, part in neighbour_files.items()}
        refused |= unfit
    refused = {
        record: reason for record, reason in (unreadable | refused).items() if record not in parts
    }
    reasons = {record.name: reason for record, reason in refused.items()}
    if parts:
        return store.upsert(source, unit, parts, configuration, refused), reasons
    if refused:
        store.note_rejected(source, unit, refused)
        return Change(outcome=Outcome.REFUSED), reasons
    store.tidy_day(source, unit)
    return Change(outcome=Outcome.UNCHANGED), {}


def _describe_all(
    addresses: Iterable[Address],
) -> tuple[dict[FileRecord, Address], dict[FileRecord, str]]:
    """Returns the files by their records, and those that cannot even be hashed with their reasons."""
    files, refused = {}, {}
    for address in addresses:
        try:
            files[describe_address(address)] = address
        except SourceFileError as error:
            refused[FileRecord(name=name_of(address), size=0, sha256="")] = str(error)
    return files, refused


def _make_parts(
    entry: Source, source: str, unit: date, files: Mapping[FileRecord, Address], *, own: bool = True
) -> tuple[dict[FileRecord, xr.Dataset], dict[FileRecord, str]]:
    """Returns the gridded curtains of files, and the reasons against files.

    A file without any measured value is in both: whether that is a refusal depends on the rest of
        the day.
    """
    parts: dict[FileRecord, xr.Dataset] = {}
    refused: dict[FileRecord, str] = {}
    for record, address in files.items():
        where = f"{source} {unit} ({record.name})"
        try:
            native = read_native(address, entry)
            known, native = (
                describe_part(record, native),
                cut_granule(native, unit, address, own=own),
            )
            if parts:
                first = next(iter(parts))
                check_same_site(native, parts[first], address, first.name)
            parts[known] = make_part(native, entry, where)
        except BlindzoneError as error:
            refused[record] = str(error)
            continue
        try:
            check_measured(native, entry.quality, where=where)
        except CurtainError as error:
            refused[known] = str(error)
    return parts, refused
