"""Ingestion of a source's files into the archive: the steps that ingest, nightly and demo share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import xarray as xr

from blindzone.core.configuration import configuration
from blindzone.core.errors import (
    ArchiveError,
    CatalogError,
    CurtainError,
    PlanError,
    UnwritableError,
)
from blindzone.core.fence import Fence, describe
from blindzone.core.granule import Granule
from blindzone.core.progress import OnProgress
from blindzone.flows.running.plans import DataPlaces, check_range
from blindzone.flows.running.prefect_steps import patiently, step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import IngestReport
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.pipeline.archive import Change, FileRecord, Outcome
from blindzone.pipeline.archive.assembly import (
    check_same_site,
    cut_granule,
    cut_outside,
    describe_address,
    describe_part,
    emulate_part,
    find_span,
    make_part,
    reaches_into,
    read_native,
)
from blindzone.pipeline.archive.collocation import (
    find_collocated_state,
    find_collocated_surface,
    open_state,
    open_surface,
)
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.catalog.source_files import Address, name_of
from blindzone.pipeline.curtains.quality import check_measured
from blindzone.pipeline.curtains.surface import pick_series
from blindzone.pipeline.readers.simulation import write_simulated_day

_SHORT_DAYS = 366
"""Longest range whose records are looked for day by day, without listing the ledger."""
_LONGEST_GAP_DAYS = 7305
"""Days without a file are noted one by one, unless there are none for so long (20 years): a year
was mistyped, or two campaigns have nothing to do with each other."""

Files = Mapping[date, tuple[Address, ...]]
"""The files of each UTC day, or of each granule."""

Rejections = dict[FileRecord, str]
"""Files that were set aside, each with its reason."""


@configuration(error=PlanError, what="ingest")
class IngestPlan:
    """What is ingested."""

    source: str
    """Name of the source in the catalogue."""
    start: date | None = None
    """First UTC day; by default the source's first."""
    end: date | None = None
    """Last UTC day, inclusive; by default the source's last."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""

    def __post_init__(self) -> None:
        check_range(self.start, self.end)

    def open(self) -> SourceData:
        """Returns the source's data."""
        return open_source(self.source, self.places)

    def includes(self, granule: date) -> bool:
        """Returns whether a day, or the day of a granule, is in the range."""
        day = Granule.of(granule).day
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)


@dataclass(frozen=True, kw_only=True)
class GranuleFiles:
    """The files of one day or granule.

    Attributes:
        granule: UTC day, or start of the granule.
        own: Files that are named by it.
        reaching: Files of the days before and after that reach into the day. They add to it before
            its own first profile and after its last one, and replace nothing of its own.
    """

    granule: date
    own: tuple[Address, ...] = ()
    reaching: tuple[Address, ...] = ()

    @property
    def all(self) -> tuple[Address, ...]:
        """All files, its own first."""
        return (*self.own, *self.reaching)


def ingest_days(plan: IngestPlan) -> IngestReport:
    """Ingests day by day, or granule by granule, and returns the outcome of each.

    A file that cannot be ingested is set aside with its reason.

    Raises:
        CatalogError: If the catalogue cannot be used, or no file is in the range.
        ArchiveError: If the archive cannot be read or written.
    """
    files, missing = find_files(plan)
    plan.open().archive.note_missing(plan.source, missing)
    reaching = find_reaching(plan)
    outcomes = _Outcomes()
    with stage("ingest") as on_progress:
        for number, (granule, own) in enumerate(files.items(), start=1):
            found = GranuleFiles(granule=granule, own=own, reaching=reaching.get(granule, ()))
            outcomes.add(granule, *_try_ingest(plan, found))
            on_progress(number / len(files), f"{granule} {outcomes.changes[granule].outcome}")
        # Files that were just read may be found to reach beyond midnight.
        for granule, others in find_reaching(plan).items():
            if granule not in files or set(others) - set(reaching.get(granule, ())):
                own = files.get(granule, ())
                found = GranuleFiles(granule=granule, own=own, reaching=others)
                outcomes.add(granule, *_try_ingest(plan, found))
    return IngestReport(
        source=plan.source,
        changes=outcomes.changes,
        rejections=outcomes.rejections,
        missing=missing,
    )


class _Outcomes:
    """Outcomes of the granules of one ingest, gathered while it runs."""

    def __init__(self) -> None:
        self.changes: dict[date, Change] = {}
        self.rejections: dict[date, dict[str, str]] = {}

    def add(self, granule: date, change: Change, rejected: Mapping[str, str]) -> None:
        """Adds an outcome; a second round adds to a day only what reaches into it."""
        before = self.changes.get(granule)
        if before is None or before.outcome is Outcome.UNCHANGED:
            self.changes[granule] = change
        if rejected:
            self.rejections[granule] = self.rejections.get(granule, {}) | dict(rejected)


def _try_ingest(plan: IngestPlan, files: GranuleFiles) -> tuple[Change, dict[str, str]]:
    rejected: dict[str, str] = {}
    name = name_of(files.all[0])
    with Fence(
        lambda error: rejected.update({name: describe(error)}),
        unless=lambda error: _is_of_archive(error, plan),
    ):
        return ingest_granule(plan, files)
    return Change(outcome=Outcome.REJECTED), rejected


def _is_of_archive(error: BaseException, plan: IngestPlan) -> bool:
    """Returns whether every other file would meet the same error of the archive."""
    if isinstance(error, UnwritableError):
        return True
    return isinstance(error, ArchiveError) and not plan.open().archive.is_reachable(plan.source)


@step
def find_files(plan: IngestPlan) -> tuple[Files, tuple[date, ...]]:
    """Returns the files in the range of a plan, and its days without a file.

    Those of a simulated source are written first.

    Raises:
        CatalogError: If no file is in the range.
    """
    data = plan.open()
    entry, folder = data.entry, data.catalog.data_directory(plan.source)
    if entry.simulation is not None:
        with stage("simulate") as on_progress:
            _simulate(entry, folder, plan.includes, on_progress)
    wanted = entry.find_days(folder, plan.start, plan.end)
    if not wanted:
        found = entry.find_days(folder)
        days = sorted(Granule.of(granule).day for granule in found)
        raise CatalogError(
            f"{plan.source}: no file between {plan.start or 'the beginning'} and"
            f" {plan.end or 'the end'}; {entry.locate(folder)} holds {days[0]} to {days[-1]}"
        )
    return wanted, _find_missing(entry, wanted, plan)


def _find_missing(entry: Source, found: Files, plan: IngestPlan) -> tuple[date, ...]:
    """Returns the days without a file in the range.

    An end of the range that is not given is that of the source's period, or of its files.
    """
    if entry.unit == "granule":
        return ()
    first = plan.start or (entry.period.start if entry.period else min(found))
    last = plan.end or (entry.period.end if entry.period and entry.period.end else max(found))
    days = sorted(found)
    for edge, gap in ((first, days[0] - first), (last, last - days[-1])):
        if gap.days > _LONGEST_GAP_DAYS:
            raise CatalogError(
                f"{plan.source}: the range reaches to {edge}, and its files are those of"
                f" {days[0]} to {days[-1]}; a period or range that is closer to them is right"
            )
    inside = [day for day in days if first <= day <= last]
    one = timedelta(days=1)
    gaps = pairwise([first - one, *inside, last + one])
    return tuple(
        before + timedelta(days=number)
        for before, after in gaps
        if (after - before).days <= _LONGEST_GAP_DAYS
        for number in range(1, (after - before).days)
    )


def _simulate(
    entry: Source, folder: Path, includes: Callable[[date], bool], on_progress: OnProgress
) -> None:
    assert entry.simulation is not None
    days = [day for day in entry.simulation.list_days() if includes(day)]
    for number, day in enumerate(days, start=1):
        path = folder / entry.directory / day.strftime(entry.files)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_simulated_day(day, path, seed=entry.simulation.seed)
        on_progress(number / len(days), str(day))


@step
def find_reaching(plan: IngestPlan) -> dict[date, tuple[Address, ...]]:
    """Returns the files of neighbouring days that reach over midnight into each day of the range.

    The ledger has what reaches where, so that a killed ingest is carried on.
    """
    data = plan.open()
    if data.entry.unit == "granule" or data.entry.shares_files:
        return {}
    records, _ = data.archive.read_records(plan.source, _list_around(plan, data))
    reaching = [
        (day, file.name, neighbour)
        for day, record in records.items()
        for file in record.files
        for neighbour in (day - timedelta(days=1), day + timedelta(days=1))
        if plan.includes(neighbour) and reaches_into(file, neighbour)
    ]
    if not reaching:
        return {}
    days, folder = [day for day, _, _ in reaching], data.catalog.data_directory(plan.source)
    files = data.entry.find_days(folder, min(days), max(days))
    found: dict[date, tuple[Address, ...]] = {}
    for day, name, neighbour in reaching:
        own = {name_of(address): address for address in files.get(day, ())}
        if name in own:
            found[neighbour] = (*found.get(neighbour, ()), own[name])
    return found


def _list_around(plan: IngestPlan, data: SourceData) -> list[date]:
    """Returns the days of a plan's range and one more at each end, archived or not.

    Of a long or open range, those that are archived.
    """
    first, last = (
        None if limit is None else limit + timedelta(days=one)
        for limit, one in ((plan.start, -1), (plan.end, 1))
    )
    if first is not None and last is not None and (last - first).days < _SHORT_DAYS:
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [
        day
        for day in data.days
        if (first is None or day >= first) and (last is None or day <= last)
    ]


@step
def find_newest(plan: IngestPlan) -> date:
    """Returns the newest UTC day of a source: that of its last file, whatever the clock says.

    Raises:
        CatalogError: If it has no file.
    """
    data = plan.open()
    if data.entry.simulation is not None:
        return data.entry.simulation.list_days()[-1]
    return Granule.of(data.entry.find_newest(data.catalog.data_directory(plan.source))).day


@partial(step, runs="ingest {plan.source} {files.granule}")
def ingest_granule(plan: IngestPlan, files: GranuleFiles) -> tuple[Change, dict[str, str]]:
    """Reads, cleans, grids and archives the files of one day or granule that are not archived yet.

    Args:
        plan: Source, catalogue and archive.
        files: The files.

    Returns:
        The change, and the files that were set aside with their reasons.

    Raises:
        BlindzoneError: If the granule as a whole is rejected; the archive stays as it was.
    """
    data, granule = plan.open(), files.granule
    rules = _describe_rules(data, granule)
    found, unreadable = _describe_all(files.all, data.entry)
    needed = data.archive.needed(plan.source, granule, tuple(found), rules)
    ours = {record: found[record] for record in needed if found[record] not in files.reaching}
    others = {record: found[record] for record in needed if found[record] in files.reaching}
    parts, rejected = _make_parts(data, granule, ours)
    if (
        parts
        and parts.keys() <= rejected.keys()
        and not data.archive.find_archived(plan.source, [granule])
    ):
        parts = {}  # nothing was measured on the whole day
    if others:
        names = {record.name for record in found if found[record] in files.reaching}
        added, unfit = _make_parts(data, granule, others, own=False)
        span = find_span(data.archive, plan.source, granule, parts, names)
        parts |= {record: cut_outside(part, span) for record, part in added.items()}
        rejected |= unfit
    rejected = unreadable | rejected
    rejected = {record: reason for record, reason in rejected.items() if record not in parts}
    reasons = {record.name: reason for record, reason in rejected.items()}
    if parts:
        change = data.archive.upsert(plan.source, granule, parts, rules, rejected)
        dropped = sum(sum(file.profiles_dropped.values()) for file in parts)
        findings = _list_findings(parts)
        return replace(change, findings=findings, profiles_dropped=dropped), reasons
    if rejected:
        data.archive.note_rejected(plan.source, granule, rejected)
        return Change(outcome=Outcome.REJECTED), reasons
    data.archive.tidy(plan.source)
    return Change(outcome=Outcome.UNCHANGED), {}


def _list_findings(files: Iterable[FileRecord]) -> dict[str, tuple[str, ...]]:
    return {file.name: tuple(file.findings) for file in files if file.findings}


def _describe_rules(data: SourceData, granule: date) -> dict[str, Any]:
    """Returns what decides the archived curtain of a granule's files, but for these."""
    entry, ground = data.entry, data.ground
    rules = _describe_reading(entry)
    if entry.emulate is None:
        return rules
    state = find_collocated_state(data.archive, data.catalog, entry.name, granule)
    # Its files are read by the rules of the ground radar, on native gates.
    own = {"quality": asdict(ground.quality), "frequency_ghz": ground.find_frequency()}
    described = {
        "emulate": asdict(entry.emulate),
        "ground": own,
        "state": [data.archive.record(*found).content_hash for found in state],
    }
    if entry.emulate.wind == "station":
        stations = find_collocated_surface(data.archive, data.catalog, entry.name, granule)
        described["surface"] = [data.archive.record(*found).content_hash for found in stations]
    return rules | described


def _describe_reading(entry: Source) -> dict[str, Any]:
    """Returns what of a catalogue entry decides the curtains of its files."""
    rules = {
        "reader": entry.reader,
        "grid": asdict(entry.grid),
        "quality": asdict(entry.quality),
        "position": asdict(entry.position) if entry.position else None,
    }
    # Records of archives that are older than the key do not have it.
    stated = {} if entry.first_gate_m is None else {"first_gate_m": entry.first_gate_m}
    return rules | stated


def _describe_all(
    addresses: Iterable[Address], entry: Source
) -> tuple[dict[FileRecord, Address], Rejections]:
    """Returns the files by their records, and those that cannot be hashed with their reasons."""
    files: dict[FileRecord, Address] = {}
    rejected: Rejections = {}
    for address in addresses:
        with _noting(rejected, FileRecord(name=name_of(address), size=0, sha256="")):
            files[patiently(describe_address, address, outside=entry.outside)] = address
    return files, rejected


def _make_parts(
    data: SourceData, granule: date, files: Mapping[FileRecord, Address], *, own: bool = True
) -> tuple[dict[FileRecord, xr.Dataset], Rejections]:
    """Returns the gridded curtains of files, and the reasons against files.

    A file without any measured value is in both: whether it is rejected depends on the rest of the
    day.
    """
    parts: dict[FileRecord, xr.Dataset] = {}
    rejected: Rejections = {}
    entry = data.entry
    for record, address in files.items():
        where = f"{data.where(granule)} ({record.name})"
        with _noting(rejected, record):
            native = patiently(read_native, address, data.ground)
            known = describe_part(record, native, granule, own=own)
            native = cut_granule(native, granule, address, own=own, shared=entry.shares_files)
            check_same_site(native, parts, address)
            seen = native if entry.emulate is None else _emulate(native, data, granule, where)
            parts[known] = make_part(seen, entry, where)
            try:
                check_measured(native, data.ground.quality, where=where)
            except CurtainError as error:
                rejected[known] = describe(error)
    return parts, rejected


def _emulate(native: xr.Dataset, data: SourceData, granule: date, where: str) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an emulated source, from the ground's."""
    state = open_state(data.archive, data.catalog, data.name, granule)
    station = None
    if data.entry.emulate is not None and data.entry.emulate.wind == "station":
        surface = open_surface(data.archive, data.catalog, data.name, granule)
        station = pick_series(surface.values(), "wind_speed")
    return emulate_part(native, data.ground, data.entry, where, state, station)


def _noting(rejected: Rejections, record: FileRecord) -> Fence:
    """Notes the reason why a file is rejected in the block, whatever it is."""
    return Fence(lambda error: rejected.update({record: describe(error)}))
