"""Doctor: is all that runs need in order, and if not, what is to be done. It changes nothing.

Within seconds: what the ledger, the catalogue and the checkpoints say of themselves, and what the
machine offers. Deep: every archived day bit for bit, and each checkpoint's network, which takes as
long as the archive is large.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from blindzone.core.errors import BlindzoneError
from blindzone.core.granule import Granule
from blindzone.flows.checks.environment import (
    check_disk,
    check_folder,
    check_memory,
    check_packages,
    check_prefect,
    check_threads,
)
from blindzone.flows.checks.findings import Finding, Level
from blindzone.flows.running.workspace import (
    SHIPPED_WEIGHTS,
    archive_folder,
    checkpoint_file,
    product_folder,
    workspace,
)
from blindzone.models.checkpoint_record import CheckpointRecord, read_record
from blindzone.pipeline.archive import Archive, DayRecord
from blindzone.pipeline.archive.care import Fault, verify_archive
from blindzone.pipeline.archive.storage import open_storage
from blindzone.pipeline.archive.writing import lock_name
from blindzone.pipeline.catalog.catalog import Catalog, Source, read_catalog
from blindzone.pipeline.catalog.source_files import is_url
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.product_store import BYTES_PER_PROFILE

STALE_DAYS = 3
"""How many days a source that still measures may be behind, and the archive behind its files."""
SIZED_DAYS = 30
"""Of how many days of each source, the newest, the stores are measured unless the look is deep."""
ABANDONED_S = 3600.0
"""How old a file under a passing name is before nobody can be writing it any more [s]; a day takes
half a minute."""
TYPICAL_DAY = {"profiles": 86_400, "bytes": 30_000_000}
"""What a day may be like where nothing is archived yet: a profile a second."""

_PARTIAL = re.compile(r"\..+\.(partial|[0-9a-f]{32}(\..+)?)")
"""Names under which files are written before they get to their place."""
_HARMLESS = (Fault.LEFTOVER, Fault.LOCK)


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """What is looked at.

    Attributes:
        catalog: Catalogue file; by default the one that runs would take.
        archive: Folder or URL of the archive; by default that of the workspace.
        checkpoint: The one checkpoint to look at; by default those that runs would take.
        products: Folder of the products; by default that of the workspace.
        deep: Whether to look at every bit.
    """

    catalog: Path | None = None
    archive: Path | str | None = None
    checkpoint: Path | None = None
    products: Path | str | None = None
    deep: bool = False


Days = dict[str, dict[date, DayRecord]]
"""The archived days, or granules, of each source."""


def examine(patient: DoctorConfig) -> Iterator[Finding]:
    """Yields what is found, check by check; a check that meets an error of its own has found that."""
    yield from check_packages()
    yield from check_threads()
    yield from check_memory()
    yield from check_folder("workspace", workspace())
    catalog, findings = _open_catalog(patient.catalog)
    yield from findings
    archive, days, findings = _open_archive(patient.archive or archive_folder())
    yield from findings
    yield from check_disk(workspace(), _largest_day(days))
    if catalog is not None:
        yield from check_sources(catalog, days, deep=patient.deep)
    if archive is not None:
        yield from _guard("archive", check_archive(archive, days, deep=patient.deep))
    yield from _guard(
        "checkpoint", check_checkpoints(patient.checkpoint, catalog, deep=patient.deep)
    )
    yield from _guard("leftovers", check_leftovers(patient.products or product_folder()))
    yield from check_prefect(os.environ.get("PREFECT_API_URL"))


def _guard(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (BlindzoneError, OSError) as error:
        advice = (
            "give this user the right to read it, and the machine a connection to where it lies"
        )
        yield Finding(check=check, level=Level.ERROR, found=str(error), advice=advice)


def _open_catalog(path: Path | None) -> tuple[Catalog | None, list[Finding]]:
    try:
        catalog = read_catalog(path)
    except BlindzoneError as error:
        advice = "correct the lines named; 'blindzone catalog check' looks again"
        return None, [
            Finding(check="catalogue", level=Level.ERROR, found=str(error), advice=advice)
        ]
    return catalog, [
        Finding(check="catalogue", level=Level.OK, found=f"{catalog.path}: {len(catalog)} sources")
    ]


def _open_archive(place: Path | str) -> tuple[Archive | None, Days, list[Finding]]:
    """Returns the archive, its days, and what is wrong with its ledger."""
    days: Days = {}
    faults: list[str] = []
    try:
        archive = Archive(place)
        for source in archive.sources():
            days[source], wrong = archive.read_records(source)
            faults += map(str, wrong.values())
    except BlindzoneError as error:
        advice = "give this user the right to read it, or name another by --archive"
        return (
            None,
            {},
            [Finding(check="archive", level=Level.ERROR, found=str(error), advice=advice)],
        )
    advice = "blindzone archive repair"
    return (
        archive,
        days,
        [Finding(check="archive", level=Level.ERROR, found=told, advice=advice) for told in faults],
    )


def _largest_day(days: Days) -> int:
    """Returns the bytes that a day takes at most, its product and its store."""
    records = [record for held in days.values() for record in held.values()]
    profiles = max((record.profiles for record in records), default=TYPICAL_DAY["profiles"])
    return profiles * BYTES_PER_PROFILE + max(
        (record.size for record in records), default=TYPICAL_DAY["bytes"]
    )


def check_sources(catalog: Catalog, days: Days, *, deep: bool = False) -> Iterator[Finding]:
    """Yields of each source whether its files are found, and how new the newest are."""
    for name, entry in catalog.items():
        held = sorted(days.get(name, ()))
        archived = f"{len(held)} archived" + (f", the newest {held[-1]}" if held else "")
        try:
            level, found, advice = _check_source(
                name, entry, catalog.data_directory(name), held, deep=deep
            )
        except BlindzoneError as error:
            level, found = Level.ERROR, str(error)
            advice = (
                f"correct the entry or the folder; 'blindzone catalog show {name}' tells where"
                " files are looked for"
            )
        yield Finding(
            check=f"source {name}", level=level, found=f"{found}; {archived}", advice=advice
        )


def _check_source(
    name: str, entry: Source, folder: Path, held: Sequence[date], *, deep: bool
) -> tuple[Level, str, str]:
    """Returns level, finding and advice.

    Raises:
        CatalogError: If the source's files cannot be listed, or lie where they must not.
    """
    if is_url(entry.directory):
        if not deep:
            return Level.OK, f"{entry.directory} is listed with --deep", ""
    elif not (folder / entry.directory).is_dir():
        if entry.simulation:
            return Level.OK, "simulated on demand", ""
        told = f"no folder {folder / entry.directory}"
        return (
            (Level.WARNING, told, "bring its files back, or BLINDZONE_DATA to where they are")
            if held
            else (Level.OK, told, "")
        )
    files = sorted(entry.find_days(folder))
    plural = "" if len(files) == 1 else "s"
    told = f"files of {len(files)} {entry.unit}{plural}, the newest {files[-1]}"
    if entry.period and not entry.period.end and _age(files[-1]) > STALE_DAYS:
        advice = "look at instrument and transfer, or give its period an end"
        return Level.WARNING, f"{told}: nothing new for {_age(files[-1])} days", advice
    if (
        held
        and not entry.simulation
        and (Granule.of(files[-1]).day - Granule.of(held[-1]).day).days > STALE_DAYS
    ):
        return Level.WARNING, f"{told}: the archive is behind its files", f"blindzone ingest {name}"
    return Level.OK, told, ""


def _age(unit: date) -> int:
    return (datetime.now(UTC).date() - Granule.of(unit).day).days


def check_archive(archive: Archive, days: Days, *, deep: bool = False) -> Iterator[Finding]:
    """Yields what is wrong with an archive, or that nothing is.

    Every record's store must be there, and those of the newest days of each source of the size that
    it states; deep, all is as `verify_archive` asks.
    """
    found = list(_verify(archive) if deep else _look(archive, days))
    yield from found
    if not found:
        count = sum(map(len, days.values()))
        how = (
            "every bit as it was written" if deep else "all stores there; --deep looks at every bit"
        )
        shown = f"{count} days or granules held, {how}" if days else "nothing archived yet"
        if old := sum(
            not record.content_hash for held in days.values() for record in held.values()
        ):
            shown += (
                f"; {old} of them recorded by an older blindzone, without a hash to compare with"
            )
        yield Finding(check="archive", level=Level.OK, found=f"{archive.root}: {shown}")


def _verify(archive: Archive) -> Iterator[Finding]:
    for fault in verify_archive(archive):
        level = Level.WARNING if fault.fault in _HARMLESS else Level.ERROR
        yield Finding(
            check="archive", level=level, found=str(fault), advice="blindzone archive repair"
        )


def _look(archive: Archive, days: Days) -> Iterator[Finding]:
    storage = archive.storage
    for source, records in days.items():
        stores = storage.list_names(f"{source}/stores")
        lost = [day for day, record in records.items() if record.store not in stores]
        newest = [records[day] for day in sorted(records)[-SIZED_DAYS:] if day not in lost]
        lost += [record.day for record in newest if not archive.is_whole(record)]
        for day in lost:
            found = f"{source} {day}: its store is gone or cut short"
            advice = f"blindzone archive repair {source}, then blindzone ingest {source}"
            yield Finding(check="archive", level=Level.ERROR, found=found, advice=advice)
        if storage.is_locked(lock_name(source)):
            continue  # what lies about is that writer's
        if storage.has_stale_lock(lock_name(source)):
            found = (
                f"{storage.locate(lock_name(source))}: the lock of a process that died; it hinders"
                " nobody"
            )
            advice = f"blindzone archive repair {source}"
            yield Finding(check="archive", level=Level.WARNING, found=found, advice=advice)
        names = [*stores, *storage.list_names(f"{source}/ledger")]
        if count := sum(_PARTIAL.fullmatch(name) is not None for name in names):
            found = f"{source}: {count} partial files of writers that died"
            advice = f"blindzone archive repair {source}"
            yield Finding(check="archive", level=Level.WARNING, found=found, advice=advice)


def check_checkpoints(
    chosen: Path | None, catalog: Catalog | None, *, deep: bool = False
) -> Iterator[Finding]:
    """Yields of each checkpoint whether it is whole, and calibrated for the blind zone that the catalogue states."""
    own = [path for name in catalog or () if (path := checkpoint_file(name)).is_file()]
    for path in [chosen] if chosen else [SHIPPED_WEIGHTS, *own]:
        try:
            record = read_record(path)
            if deep:
                _build(path)
            yield _check_calibration(path, record, catalog)
        except (BlindzoneError, OSError) as error:
            advice = "restore it from a copy, or train again"
            yield Finding(check="checkpoint", level=Level.ERROR, found=str(error), advice=advice)


def _build(path: Path) -> None:
    """Reads a checkpoint with its network, whose weights its calibration must have been made for."""
    from blindzone.models.checkpoint import read_checkpoint  # TensorFlow takes seconds to load

    read_checkpoint(path)


def _check_calibration(path: Path, record: CheckpointRecord, catalog: Catalog | None) -> Finding:
    """Returns whether a checkpoint's intervals are calibrated for its source as the catalogue states it.

    Raises:
        CurtainError: If preprocessing or calibration is not understood, or the blind zone reaches
            higher than any that the network was trained to fill.
    """
    source = str(record.content.get("training", {}).get("source", ""))
    told = f"{path}: SHA-256 {record.sha256[:12]}, trained on {source or 'an unknown source'}"
    advice = f"blindzone calibrate {source} --checkpoint {path}"
    if record.content.get("calibration") is None:
        found = f"{told}, not calibrated: its intervals do not hold as stated"
        return Finding(check="checkpoint", level=Level.WARNING, found=found, advice=advice)
    calibrated = Calibration.from_dict(record.content["calibration"].get("fit", {})).hidden_rows
    preprocessing = Preprocessing.from_dict(record.content.get("preprocessing", {}))
    if catalog is not None and source in catalog:
        preprocessing = preprocessing.fit_zone(catalog[source].blind_zone, where=source)
    if preprocessing.hidden_rows != calibrated:
        found = (
            f"{told}; the catalogue's blind zone hides {preprocessing.hidden_rows} rows and it is"
            f" calibrated for {calibrated}: its intervals are not calibrated there"
        )
        return Finding(check="checkpoint", level=Level.WARNING, found=found, advice=advice)
    found = f"{told}, calibrated for {calibrated} rows"
    return Finding(check="checkpoint", level=Level.OK, found=found)


def check_leftovers(products: Path | str) -> Iterator[Finding]:
    """Yields what runs that died have left beside products, checkpoints and reports."""
    storage = open_storage(products)
    stale = [
        name for name in storage.list_names(".locks") if storage.has_stale_lock(f".locks/{name}")
    ]
    if stale:
        found = (
            f"{storage.locate('.locks')}: {len(stale)} locks of runs that died; they hinder nobody"
        )
        advice = "run the same days again, or remove them while no run is at work"
        yield Finding(check="leftovers", level=Level.WARNING, found=found, advice=advice)
    partial = [path for folder in _work_folders(products) for path in _find_partial(folder)]
    if partial:
        found = f"{len(partial)} partial files of runs that died, such as {partial[0]}"
        advice = "remove them: none is under a final name"
        yield Finding(check="leftovers", level=Level.WARNING, found=found, advice=advice)
    if not stale and not partial:
        yield Finding(check="leftovers", level=Level.OK, found="no stale locks, no partial files")


def _work_folders(products: Path | str) -> list[Path]:
    folders = [workspace() / name for name in ("checkpoints", "reports")]
    return folders if is_url(str(products)) else [Path(products), *folders]


def _find_partial(folder: Path) -> Iterator[Path]:
    """Yields files under passing names that nobody can be writing any more."""
    for path in folder.glob(".*"):
        with suppress(FileNotFoundError):  # it has got to its place just now
            if _PARTIAL.fullmatch(path.name) and time.time() - path.stat().st_mtime > ABANDONED_S:
                yield path
