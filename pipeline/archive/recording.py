"""Records of granules and their files, and checks of files before they are merged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError, CurtainError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import (
    DayRecord,
    FileRecord,
    Verdict,
    describe_configuration,
    now_text,
)
from blindzone.pipeline.archive.merging import ORIGIN, Merged
from blindzone.pipeline.archive.zarr_layout import (
    count_microseconds,
    describe_grid,
    find_heights,
    hash_content,
    hash_grid,
    measure_gaps,
    set_types,
)
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.surface import check_surface, is_surface

_LONGEST_GRANULE = np.timedelta64(31, "D")
"""Longest time between a granule's start and its profiles: an orbit takes hours, a trajectory some
days; longer ones are times since another epoch."""


def check_part(part: xr.Dataset, day: date, where: str) -> xr.Dataset:
    """Returns a file's share `(time, height)` of a granule in the canonical types.

    Raises:
        CurtainError: If it, or a ray of it, is no canonical curtain.
        ArchiveError: If profiles are outside the day, or far from the granule's start.
    """
    part = part.drop_vars(ORIGIN, errors="ignore")
    if "time" in part.coords and part.sizes["time"] == 0:
        return set_types(part)
    check_rays(part, where)
    typed = set_types(part)
    close = int((np.diff(count_microseconds(typed)) <= 0).sum())
    if close:
        raise CurtainError(
            f"{where}: {close} profiles are less than a microsecond after the one before"
        )
    _check_inside(typed["time"].values, day, where)
    return typed


def check_rays(data: xr.Dataset, where: str) -> None:
    """Checks that a dataset is a canonical curtain `(time, height)`, or a swath of such.

    A surface series `(time,)` is checked as what it is.

    Raises:
        CurtainError: If not.
    """
    if is_surface(data):
        check_surface(data, where=where)
        return
    for ray in range(data.sizes.get("ray", 1)):
        check_curtain(data.isel(ray=ray) if "ray" in data.dims else data, where=where)


def _check_inside(times: np.ndarray, day: date, where: str) -> None:
    if Granule.of(day).kind == "granule":
        strays, span = (
            np.abs(times - np.datetime64(day)) > _LONGEST_GRANULE,
            "more than 31 days from the granule's start",
        )
    else:
        strays, span = times.astype("datetime64[D]") != np.datetime64(day), "outside the day"
    if strays.any():
        raise ArchiveError(
            f"{where}: {int(strays.sum())} profiles are {span} (first: {times[strays][0]})"
        )


def check_nothing_lost(
    archived: DayRecord, given: set[str], why: str, rejected: Mapping[FileRecord, str]
) -> None:
    """Checks that all files that a granule holds profiles of are given, where all must be read.

    Args:
        archived: The granule's record.
        given: Names of the files.
        why: Why all must be read.
        rejected: Files that were rejected, with their reasons.

    Raises:
        ArchiveError: If not; it says what to do.
    """
    reasons = {file.name: reason for file, reason in rejected.items()}
    lost = [file for file in archived.contributing if file.name not in given]
    if lost:
        names = ", ".join(
            f"{file.name} ({file.profiles or 'its'} profiles"
            + (f"; rejected: {reasons[file.name]})" if file.name in reasons else ")")
            for file in lost
        )
        raise ArchiveError(
            f"{archived.source} {archived.day}: {why}; all of its files must be read again, and"
            f" the archived profiles of these would be lost: {names}; the archive stays as it was:"
            " put the files back where they were, or ingest into another archive folder"
        )


def describe_difference(archived: DayRecord, configuration: Mapping[str, Any]) -> str:
    """Returns how a configuration differs from the one that a granule was made with, in words."""
    old = json.loads(describe_configuration(archived.configuration))
    new = json.loads(describe_configuration(configuration))
    differences = [
        f"{key}: {json.dumps(new.get(key))} instead of {json.dumps(old.get(key))}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if old.get("grid") != new.get("grid"):
        differences += _describe_grids(archived, new.get("grid"))
    return "; ".join(differences)


def _describe_grids(archived: DayRecord, grid: object) -> list[str]:
    found = (
        [f"archived are {archived.grid} (hash {archived.grid_hash[:12]})"] if archived.grid else []
    )
    try:
        heights = Grid(**grid).centres_m if isinstance(grid, dict) else np.empty(0)
    except (TypeError, CurtainError):
        return found
    return found + (
        [f"asked for are {describe_grid(heights)} (hash {hash_grid(heights)[:12]})"]
        if heights.size
        else []
    )


def list_files(
    archived: DayRecord | None,
    parts: Mapping[str, FileRecord],
    rejected: Mapping[FileRecord, str],
    merged: Merged,
) -> tuple[FileRecord, ...]:
    """Returns the files of a granule's new record.

    First those that it holds profiles of, in the order of `source_file`; then those that others
    have superseded; then the rejected ones.
    """
    before = archived.files if archived is not None else ()
    read = {file.name: file for file in before if file.verdict is not Verdict.REJECTED} | dict(
        parts
    )
    counts = np.bincount(merged.curtain[ORIGIN].values, minlength=len(merged.files))
    contributing = [
        replace(read[name], profiles=int(count), verdict=Verdict.INGESTED, reason="")
        for name, count in zip(merged.files, counts, strict=True)
    ]
    superseded = [
        replace(
            read[name],
            profiles=0,
            verdict=Verdict.SUPERSEDED,
            reason=_why_superseded(read[name], parts),
        )
        for name in sorted(read.keys() - set(merged.files))
    ]
    earlier = tuple(
        file for file in before if file.verdict is Verdict.REJECTED and file.name not in parts
    )
    return add_rejected((*contributing, *superseded, *earlier), rejected)


def _why_superseded(file: FileRecord, parts: Mapping[str, FileRecord]) -> str:
    if file.verdict is Verdict.SUPERSEDED:
        return file.reason
    others = sorted(parts.keys() - {file.name})
    return f"covered by {', '.join(others)}" if others else "it holds no profile of the day"


def add_rejected(
    files: tuple[FileRecord, ...], rejected: Mapping[FileRecord, str]
) -> tuple[FileRecord, ...]:
    """Returns a granule's files with rejected ones added, each replacing its earlier entry."""
    new = {
        file.name: replace(file, profiles=0, verdict=Verdict.REJECTED, reason=reason)
        for file, reason in rejected.items()
    }
    read = [file for file in files if file.verdict is not Verdict.REJECTED]
    all_rejected = {file.name: file for file in files if file.verdict is Verdict.REJECTED} | new
    return (*read, *(all_rejected[name] for name in sorted(all_rejected)))


def describe_granule(
    source: str,
    day: date,
    store: str,
    curtain: xr.Dataset,
    files: tuple[FileRecord, ...],
    configuration: Mapping[str, Any],
) -> DayRecord:
    """Returns the record of a granule, whose curtain `(time, height)` is to be written."""
    first, last = np.datetime_as_string(curtain["time"].values[[0, -1]], unit="ms", timezone="UTC")
    heights = find_heights(curtain)
    gaps, gap_seconds = measure_gaps(curtain)
    return DayRecord(
        source=source,
        day=Granule.of(day).start,
        store=store,
        files=files,
        configuration=dict(configuration),
        profiles=curtain.sizes["time"],
        first_time=str(first),
        last_time=str(last),
        written=now_text(),
        version=version("blindzone"),
        grid=describe_grid(heights),
        grid_hash=hash_grid(heights),
        content_hash=hash_content(curtain),
        gaps=gaps,
        gap_seconds=gap_seconds,
        rays=curtain.sizes.get("ray", 0),
    )
