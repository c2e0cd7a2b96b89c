"""Ingest: source files of a range of days into the zarr archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from prefect import flow

from blindzone.flows.orchestration import step
from blindzone.flows.progress import stage
from blindzone.flows.workspace import archive_folder
from blindzone.pipeline.archive import Archive, FileRecord, Outcome, describe_file
from blindzone.pipeline.catalog import Source, read_catalog
from blindzone.pipeline.errors import BlindzoneError, CatalogError, SourceFileError
from blindzone.pipeline.gridding import grid_curtain
from blindzone.pipeline.quality import apply_quality, check_measured
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.simulation import write_simulated_day

_SAME_SITE = {"latitude": 0.01, "longitude": 0.01, "altitude": 50.0}
"""By how much the files of one day may differ in the site [degree, degree, m]."""


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What an ingest did: the outcome of each day, and the reason of each refusal."""

    source: str
    outcomes: dict[date, Outcome] = field(default_factory=dict)
    refusals: dict[date, str] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> int:
        """Returns how many days came to this outcome."""
        return sum(found is outcome for found in self.outcomes.values())

    def summary(self) -> str:
        """Returns one line for people."""
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome)
        return f"{self.source}: {len(self.outcomes)} days ({counts})"


class IngestError(BlindzoneError):
    """Some days could not be ingested; all others were."""


@flow(name="ingest", log_prints=True)
def ingest(
    source: str,
    start: date | None = None,
    end: date | None = None,
    catalog: Path | None = None,
    archive: Path | None = None,
) -> IngestReport:
    """Ingests a source's files into the archive; days held just so already are left as they are.

    Args:
        source: Name of the source in the catalogue.
        start: First UTC day; the source's first by default.
        end: Last UTC day, inclusive; the source's last by default.
        catalog: Catalogue file.
        archive: Folder of the archive.

    Raises:
        IngestError: At the end, if any day was refused.
    """
    report = ingest_days(source, start, end, catalog, archive)
    print(report.summary())
    if report.refusals:
        raise IngestError("\n".join(report.refusals.values()))
    return report


def ingest_days(
    source: str, start: date | None, end: date | None, catalog: Path | None, archive: Path | None
) -> IngestReport:
    """Ingests day by day; a day that cannot be ingested is set aside with its reason."""
    days = find_files(source, start, end, catalog)
    report = IngestReport(source=source)
    with stage("ingest") as tell:
        for number, (day, paths) in enumerate(days.items(), start=1):
            try:
                report.outcomes[day] = ingest_day(source, day, paths, catalog, archive)
            except BlindzoneError as error:
                report.outcomes[day] = Outcome.REFUSED
                report.refusals[day] = str(error)
            tell(number / len(days), f"{day} {report.outcomes[day]}")
    return report


@step
def find_files(source: str, start: date | None, end: date | None, catalog: Path | None) -> dict[date, tuple[Path, ...]]:
    """Returns the files of each day in a range; those of a simulated source are written first, where they lack.

    Raises:
        CatalogError: If no file lies in the range.
    """
    sources = read_catalog(catalog)
    entry, folder = sources[source], sources.data_directory(source)
    if start is not None and end is not None and start > end:
        raise CatalogError(f"{source}: the range starts on {start} and ends on {end}; start must not be after end")

    def in_range(day: date) -> bool:
        return (start is None or day >= start) and (end is None or day <= end)

    if entry.simulation is not None:
        with stage("simulate") as tell:
            _simulate(entry, folder, in_range, tell)
    found = entry.find_days(folder)
    wanted = {day: paths for day, paths in found.items() if in_range(day)}
    if not wanted:
        held = sorted(found)
        raise CatalogError(
            f"{source}: no file between {start or 'the beginning'} and {end or 'the end'}; "
            f"{folder / entry.directory} holds {held[0]} to {held[-1]}"
        )
    return wanted


def _simulate(entry: Source, folder: Path, in_range: Callable[[date], bool], tell: Any) -> None:
    assert entry.simulation is not None
    days = [day for day in entry.simulation.list_days() if in_range(day)]
    for number, day in enumerate(days, start=1):
        path = folder / entry.directory / day.strftime(entry.files)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_simulated_day(day, path, seed=entry.simulation.seed)
        tell(number / len(days), str(day))


@step
def ingest_day(source: str, day: date, paths: tuple[Path, ...], catalog: Path | None, archive: Path | None) -> Outcome:
    """Reads, cleans, grids and archives one day.

    Raises:
        BlindzoneError: If a file or the day is refused; the archive stays as it was.
    """
    entry = read_catalog(catalog)[source]
    store = Archive(archive or archive_folder())
    configuration = {"reader": entry.reader, "grid": asdict(entry.grid), "quality": asdict(entry.quality)}
    files = tuple(_describe(path) for path in paths)
    if store.is_current(source, day, files, configuration):
        store.tidy_day(source, day)
        return Outcome.UNCHANGED
    curtain = _read_day(entry, paths)
    where = f"{source} {day} ({', '.join(path.name for path in paths)})"
    check_measured(curtain, entry.quality, where=where)
    gridded = grid_curtain(apply_quality(curtain, entry.quality), entry.grid, where=where)
    known = tuple(
        FileRecord(name=record.name, size=record.size, sha256=record.sha256, uuid=uuid)
        for record, uuid in zip(files, curtain.attrs["file_uuids"], strict=True)
    )
    described = gridded.assign_attrs(title=entry.full_title, source=entry.instrument)
    return store.write_day(source, day, described, known, configuration)


def _describe(path: Path) -> FileRecord:
    try:
        return describe_file(path)
    except OSError as error:
        raise SourceFileError(f"{path}: cannot be read: {error.strerror}") from error


def _read_day(entry: Source, paths: tuple[Path, ...]) -> xr.Dataset:
    """Returns the native curtain of a day's files, in order of time."""
    parts = {path: read_curtain(path, entry.reader) for path in paths}
    for path, part in parts.items():
        _check_joins(part, parts[paths[0]], path, paths[0])
    in_order = sorted(parts.values(), key=_first_time)
    # One site for all: the receivers of some instruments state a position that moves by metres.
    curtain = xr.concat(
        in_order, dim="time", join="exact", coords="minimal", compat="override", combine_attrs="override"
    )
    return curtain.assign_attrs(file_uuids=tuple(part.attrs.get("file_uuid", "") for part in parts.values()))


def _check_joins(part: xr.Dataset, first: xr.Dataset, path: Path, first_path: Path) -> None:
    """Checks that a file has the gates, the fields and the site of the day's first one."""
    if not np.array_equal(part["height"].values, first["height"].values):
        raise SourceFileError(
            f"{path}: its {part.sizes['height']} gates are not the {first.sizes['height']} of {first_path.name}; the "
            "files of one day must have the same gates"
        )
    if set(part.data_vars) != set(first.data_vars):
        raise SourceFileError(
            f"{path}: it holds {', '.join(map(str, part.data_vars))}, {first_path.name} "
            f"{', '.join(map(str, first.data_vars))}; the files of one day must hold the same"
        )
    for name, largest in _SAME_SITE.items():
        here, there = part[name].item(), first[name].item()
        if np.isnan(here) != np.isnan(there) or abs(here - there) > largest:
            raise SourceFileError(
                f"{path}: its {name} is {here:g}, that of {first_path.name} {there:g}; a fixed site is right"
            )


def _first_time(curtain: xr.Dataset) -> Any:
    return curtain["time"].values[0]
