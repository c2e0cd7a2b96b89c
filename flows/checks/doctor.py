"""Checks that all that runs need is in order, with advice where it is not. It changes nothing.

It takes seconds: ledger, catalogue and the records of checkpoints are read, and the environment is
looked at. A deep look also compares every archived day bit for bit and builds each checkpoint's
network. It takes longer the larger the archive is.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

from blindzone.core.configuration import configuration
from blindzone.core.errors import BlindzoneError, PlanError
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
from blindzone.pipeline.inpainting.calibration import CalibrationByDepth
from blindzone.pipeline.inpainting.calibration_verdict import HOLES, State, describe_calibration
from blindzone.pipeline.inpainting.hole_calibration import HoleCalibration
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.product_store import BYTES_PER_PROFILE

STALE_DAYS = 3
"""How many days a source that still measures may be behind, and the archive behind its files."""
SIZED_DAYS = 30
"""Of how many of the newest days of each source the sizes of stores are compared."""
ABANDONED_S = 3600.0
"""Age at which a temporary file counts as abandoned [s]; a day takes half a minute."""
TYPICAL_DAY = {"profiles": 86_400, "bytes": 30_000_000}
"""Size of a day where nothing is archived yet: a profile a second."""

_PARTIAL = re.compile(r"\..+\.(partial|[0-9a-f]{32}(\..+)?)")
"""Temporary names of files that are being written."""
_CALIBRATION_ADVICE: Mapping[State, str] = {
    "unproven": " on two days or more",
    "fails": " on more or other days, or a network that scores better",
}
"""What goes with the command that calibrates."""
_HARMLESS = (Fault.LEFTOVER, Fault.LOCK)


@configuration(error=PlanError, what="doctor")
class DoctorConfig:
    """What is looked at, and how closely."""

    catalog: Path | None = None
    """Catalogue file; by default the one that runs take."""
    archive: Path | str | None = None
    """Folder or URL of the archive; by default that of the workspace."""
    checkpoint: Path | None = None
    """The one checkpoint to look at; by default those that runs take."""
    products: Path | str | None = None
    """Folder of the products; by default that of the workspace."""
    deep: bool = False
    """Whether to compare every bit and to build the networks."""


Days = dict[str, dict[date, DayRecord]]
"""The archived days, or granules, of each source."""


def examine(config: DoctorConfig) -> Iterator[Finding]:
    """Yields the findings, check by check; an error that a check meets is a finding too."""
    yield from check_packages()
    yield from check_threads()
    yield from check_memory()
    yield from check_folder("workspace", workspace())
    catalog, findings = _open_catalog(config.catalog)
    yield from findings
    archive, days, findings = _open_archive(config.archive or archive_folder())
    yield from findings
    yield from check_disk(workspace(), _largest_day(days))
    if catalog is not None:
        yield from check_sources(catalog, days, deep=config.deep)
    if archive is not None:
        yield from _guard("archive", check_archive(archive, days, deep=config.deep))
    yield from _guard("checkpoint", check_checkpoints(config.checkpoint, catalog, deep=config.deep))
    yield from _guard("leftovers", check_leftovers(config.products or product_folder()))
    yield from check_prefect(os.environ.get("PREFECT_API_URL"))


def _guard(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (BlindzoneError, OSError) as error:
        advice = "give this user the right to read it, and the machine a connection to it"
        yield Finding(check=check, level=Level.ERROR, found=str(error), advice=advice)


def _open_catalog(path: Path | None) -> tuple[Catalog | None, list[Finding]]:
    advice = "correct the lines named; 'blindzone catalog check' looks again"
    try:
        catalog = read_catalog(path)
    except BlindzoneError as error:
        return None, [
            Finding(check="catalogue", level=Level.ERROR, found=str(error), advice=advice)
        ]
    return catalog, [
        Finding(check="catalogue", level=Level.ERROR, found=fault, advice=advice)
        for fault in catalog.faults.values()
    ] or [
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
    advice = "'blindzone archive repair'"
    return (
        archive,
        days,
        [
            Finding(check="archive", level=Level.ERROR, found=fault, advice=advice)
            for fault in faults
        ],
    )


def _largest_day(days: Days) -> int:
    """Returns the bytes that the largest day takes, its product and its store."""
    records = [record for archived in days.values() for record in archived.values()]
    profiles = max((record.profiles for record in records), default=TYPICAL_DAY["profiles"])
    return profiles * BYTES_PER_PROFILE + max(
        (record.size for record in records), default=TYPICAL_DAY["bytes"]
    )


def check_sources(catalog: Catalog, days: Days, *, deep: bool = False) -> Iterator[Finding]:
    """Yields for each source whether its files are found, and how new the newest are."""
    for name, entry in catalog.items():
        archived = sorted(days.get(name, ()))
        newest = f", the newest {archived[-1]}" if archived else ""
        try:
            level, found, advice = _check_source(
                name, entry, catalog.data_directory(name), archived, deep=deep
            )
        except BlindzoneError as error:
            level, found = Level.ERROR, str(error)
            advice = (
                f"correct the entry or the folder; 'blindzone catalog show {name}' shows where"
                " files are looked for"
            )
        found = f"{found}; {len(archived)} archived{newest}"
        yield Finding(check=f"source {name}", level=level, found=found, advice=advice)


def _check_source(
    name: str, entry: Source, folder: Path, archived: Sequence[date], *, deep: bool
) -> tuple[Level, str, str]:
    """Returns level, finding and advice.

    Raises:
        CatalogError: If the source's files cannot be listed, or are where they must not be.
    """
    if is_url(entry.directory):
        if not deep:
            return Level.OK, f"{entry.directory} is listed with --deep", ""
    elif not (folder / entry.directory).is_dir():
        if entry.simulation:
            return Level.OK, "simulated on demand", ""
        found = f"no folder {folder / entry.directory}"
        if archived:
            return (
                Level.WARNING,
                found,
                "bring its files back, or set BLINDZONE_DATA to their folder",
            )
        return Level.OK, found, ""
    files = sorted(entry.find_days(folder))
    plural = "" if len(files) == 1 else "s"
    found = f"files of {len(files)} {entry.unit}{plural}, the newest {files[-1]}"
    if entry.period and not entry.period.end and _age(files[-1]) > STALE_DAYS:
        advice = "look at instrument and transfer, or give its period an end"
        return Level.WARNING, f"{found}: nothing new for {_age(files[-1])} days", advice
    if archived and not entry.simulation:
        behind = Granule.of(files[-1]).day - Granule.of(archived[-1]).day
        if behind.days > STALE_DAYS:
            advice = f"'blindzone ingest {name}'"
            return Level.WARNING, f"{found}: the archive is behind its files", advice
    return Level.OK, found, ""


def _age(granule: date) -> int:
    """Returns how old a day or granule is [days]."""
    return (datetime.now(UTC).date() - Granule.of(granule).day).days


def check_archive(archive: Archive, days: Days, *, deep: bool = False) -> Iterator[Finding]:
    """Yields what is wrong with an archive, or that nothing is.

    Every record's store must exist. Those of the newest days of each source must have the size that
    the record states. A deep look does what `verify_archive` does.
    """
    found = list(_verify(archive) if deep else _look(archive, days))
    yield from found
    if not found:
        count = sum(map(len, days.values()))
        how = (
            "every bit as it was written" if deep else "all stores there; --deep looks at every bit"
        )
        text = f"{count} days or granules archived, {how}" if days else "nothing archived yet"
        records = [record for archived in days.values() for record in archived.values()]
        if old := sum(not record.content_hash for record in records):
            text += (
                f"; {old} of them recorded by an older blindzone, without a hash to compare with"
            )
        yield Finding(check="archive", level=Level.OK, found=f"{archive.root}: {text}")


def _verify(archive: Archive) -> Iterator[Finding]:
    for fault in verify_archive(archive):
        level = Level.WARNING if fault.fault in _HARMLESS else Level.ERROR
        yield Finding(
            check="archive", level=level, found=str(fault), advice="'blindzone archive repair'"
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
            advice = f"'blindzone archive repair {source}', then 'blindzone ingest {source}'"
            yield Finding(check="archive", level=Level.ERROR, found=found, advice=advice)
        if storage.is_locked(lock_name(source)):
            continue  # temporary files are that writer's
        if storage.has_stale_lock(lock_name(source)):
            found = (
                f"{storage.locate(lock_name(source))}: the lock of a process that died; it hinders"
                " nobody"
            )
            advice = f"'blindzone archive repair {source}'"
            yield Finding(check="archive", level=Level.WARNING, found=found, advice=advice)
        names = [*stores, *storage.list_names(f"{source}/ledger")]
        if count := sum(_PARTIAL.fullmatch(name) is not None for name in names):
            found = f"{source}: {count} partial files of writers that died"
            advice = f"'blindzone archive repair {source}'"
            yield Finding(check="archive", level=Level.WARNING, found=found, advice=advice)


def check_checkpoints(
    chosen: Path | None, catalog: Catalog | None, *, deep: bool = False
) -> Iterator[Finding]:
    """Yields for each checkpoint whether it is whole, and calibrated for its blind zone."""
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
    """Reads a checkpoint and builds its network; the calibration must be that of its weights."""
    from blindzone.models.checkpoint import read_checkpoint  # TensorFlow takes seconds to load

    read_checkpoint(path)


def _check_calibration(path: Path, record: CheckpointRecord, catalog: Catalog | None) -> Finding:
    """Returns whether a checkpoint's intervals are calibrated for its source in the catalogue.

    Raises:
        CurtainError: If preprocessing or calibration is not understood, or the blind zone reaches
            higher than any that the network was trained to fill.
    """
    source = str(record.content.get("training", {}).get("source", ""))
    calibration = record.content.get("calibration")
    if calibration is not None:
        kind = HoleCalibration if HOLES in calibration else CalibrationByDepth
        kind.from_record(calibration)
    preprocessing = Preprocessing.from_dict(record.content.get("preprocessing", {}))
    if catalog is not None and source in catalog:
        preprocessing = preprocessing.fit_zone(catalog[source].blind_zone, where=source)
    status = describe_calibration(calibration, hidden_rows=preprocessing.hidden_rows)
    found = (
        f"{path}: SHA-256 {record.sha256[:12]}, trained on {source or 'an unknown source'},"
        f" {status.text}"
    )
    if status.is_calibrated:
        return Finding(check="checkpoint", level=Level.OK, found=found)
    more = _CALIBRATION_ADVICE.get(status.state, "")
    advice = f"'blindzone calibrate {source} --checkpoint {path}'{more}"
    return Finding(check="checkpoint", level=Level.WARNING, found=found, advice=advice)


def check_leftovers(products: Path | str) -> Iterator[Finding]:
    """Yields what runs that died have left next to products, checkpoints and reports."""
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
    """Yields temporary files that nobody can be writing any more."""
    for path in folder.glob(".*"):
        with suppress(FileNotFoundError):  # it has got its final name just now
            if _PARTIAL.fullmatch(path.name) and time.time() - path.stat().st_mtime > ABANDONED_S:
                yield path
