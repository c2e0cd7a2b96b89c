"""Archived curtains as files for other programs: CF netCDF, or one zarr store per granule."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError, LockedError, ProductError
from blindzone.core.files import write_atomically
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import DayRecord
from blindzone.pipeline.archive.reading import ArchiveReader
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.archive.zarr_layout import encode_curtain
from blindzone.pipeline.curtains.acdd import describe_people
from blindzone.pipeline.curtains.cf import TIME_UNITS, to_cf
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS, is_surface

Format = Literal["netcdf", "zarr"]
_SUFFIXES: dict[Format, str] = {"netcdf": ".nc", "zarr": ".zarr"}
LOCK_WAIT_S = 60.0
"""How long an export waits for another one of the same file [s]; it takes about a second."""
_CHUNK_PROFILES = 1024
"""Profiles per chunk of a netCDF file: with 128 rows of four bytes, half a megabyte."""


@dataclass(frozen=True)
class _Kind:
    """What the attributes of an export say of its kind of content."""

    what: str
    summary: str
    comment: str
    level: str


_GRIDDED = _Kind(
    what="gridded profiles",
    summary="Gridded profiles of {} on rows above the ground",
    comment=(
        "Nothing is filled in; quality rules have removed what they take for clutter or insects."
    ),
    level="Level 1: gridded, quality rules applied",
)
_AT_SURFACE = _Kind(
    what="measurements at the surface",
    summary="Measurements of {} at the surface",
    comment="Nothing is filled in: what was not measured is missing.",
    level="Level 1: at the surface, as measured",
)


def export_days(
    archive: ArchiveReader,
    source: str,
    start: date | None,
    end: date | None,
    output: Path,
    format: Format = "netcdf",  # noqa: A002
    *,
    simulated: bool = False,
) -> tuple[Path, ...]:
    """Writes the archived curtains of a range, one file per granule, each whole or not at all.

    Args:
        archive: The archive.
        source: Name of the source.
        start: First day, or granule; the first that is archived if `None`.
        end: Last one, inclusive; the last that is archived if `None`.
        output: Folder for `SOURCE_KEY.nc` or `SOURCE_KEY.zarr`; what is there of these names is
            replaced.
        format: `netcdf` (netCDF-4, CF-1.11) or `zarr` (zarr v3).
        simulated: Whether the source is simulated, which the metadata then say.

    Returns:
        The files, in order of time.

    Raises:
        ArchiveError: If nothing in the range is archived, or a store is damaged.
        ProductError: If the files cannot be written.
    """
    if format not in _SUFFIXES:
        raise ArchiveError(f"unknown format '{format}'; {' or '.join(_SUFFIXES)} is right")
    paths = []
    for day in archive.days_between(source, start, end):
        curtain, record = archive.read_granule(source, day)
        described = curtain.assign_attrs(_describe(curtain, record))
        path = output / f"{source}_{Granule.of(day).key}{_SUFFIXES[format]}"
        if format == "zarr":
            _write_zarr(encode_curtain(described, simulated=simulated), path)
        else:
            _write_netcdf(to_cf(described, simulated=simulated), path)
        paths.append(path)
    return tuple(paths)


def _describe(curtain: xr.Dataset, record: DayRecord) -> dict[str, Any]:
    """Returns the global attributes: those of the archive, its sources, and those of ACDD 1.3."""
    kept = {
        str(name): value if isinstance(value, str | int | float) else json.dumps(value, default=str)
        for name, value in curtain.attrs.items()
    }
    files = "; ".join(
        f"{number}: {file.name} sha256:{file.sha256}"
        for number, file in enumerate(record.contributing)
    )
    fields = ", ".join(str(name).replace("_", " ") for name in curtain.data_vars)
    kind = _AT_SURFACE if is_surface(curtain) else _GRIDDED
    links = [
        part for part in str(kept.get("references", "")).split() if part.startswith("https://")
    ]
    instrument, site = kept.get("instrument", "not stated"), kept.get("site", "not stated")
    return {
        "title": f"{record.source}: {kind.what}",
        "license": "not stated",
        "acknowledgement": kept.get("references", "not stated"),
        "instrument": instrument,
        "platform": site,
        "comment": kind.comment,
        "references": "not stated",
        **describe_people(
            **{role: str(kept.get(role, "")) for role in ("institution", "creator", "publisher")}
        ),
        **kept,
        "summary": f"{kind.summary.format(record.source)}: {fields}.",
        "id": f"{record.source}_{Granule.of(record.day).key}",
        "processing_level": kind.level,
        "product_version": record.version or "not stated",
        "software_version": version("blindzone"),
        # In the order in which the variable source_file counts them.
        "source_files": files or "not stated",
        "source_file_uuids": (
            "; ".join(file.uuid for file in record.contributing if file.uuid) or "not stated"
        ),
        "configuration": json.dumps(record.configuration, sort_keys=True),
        **({"metadata_link": links[0].rstrip(";,.")} if links else {}),
        **_describe_making(record),
    }


def _describe_making(record: DayRecord) -> dict[str, str]:
    """Returns the attributes of how the file was made and when."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "keywords": "radar, lidar, profiles, clouds, precipitation",
        "keywords_vocabulary": "none: free keywords",
        "instrument_vocabulary": "none: free text",
        "platform_vocabulary": "none: free text",
        "history": f"{record.written} blindzone {record.version}: archived; {now} exported",
        **{f"date_{what}": now for what in ("created", "modified", "issued", "metadata_modified")},
    }


def _write_netcdf(described: xr.Dataset, path: Path) -> None:
    content = encode_netcdf(described, _encoding(described))
    with _replacing(path), write_atomically(path, error=ProductError) as temporary:
        temporary.write_bytes(content)


def _encoding(described: xr.Dataset) -> dict[str, dict[str, Any]]:
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in described.variables.items():
        gridded = variable.dims[-2:] == DIMS
        has_gaps = gridded or name in SURFACE_FIELDS
        entry: dict[str, Any] = {
            "_FillValue": np.float32(np.nan) if has_gaps and variable.dtype.kind == "f" else None
        }
        if gridded:
            *rays, profiles, rows = variable.shape
            chunks = (*[1] * len(rays), min(_CHUNK_PROFILES, profiles), rows)
            entry |= {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": chunks}
        encoding[str(name)] = entry
    encoding["time"] |= {"units": TIME_UNITS, "calendar": "standard", "dtype": "float64"}
    return encoding


def _write_zarr(contents: Mapping[str, bytes], path: Path) -> None:
    """Writes a zarr store under another name, and swaps it with an earlier store."""
    old = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.old")
    new = old.with_suffix(".zarr")
    with _replacing(path):
        LocalStorage(path.parent).write_folder(new.name, contents)
        try:
            if path.exists():
                path.rename(old)
            new.rename(path)
        finally:
            if not path.exists() and old.exists():
                old.rename(path)
            for left in (new, old):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _replacing(path: Path) -> Iterator[None]:
    """Keeps other exports of a file or store away, and removes what killed ones left.

    Raises:
        LockedError: If another one is still at it after `LOCK_WAIT_S`.
        ProductError: If nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with LocalStorage(path.parent).lock(f".{path.name}.lock", LOCK_WAIT_S):
            _sweep_after_kill(path)
            yield
    except LockedError as error:
        raise LockedError(
            f"{path}: another export has been writing it for {LOCK_WAIT_S:.0f} s; export again"
            " later"
        ) from error
    except OSError as error:
        raise ProductError(
            f"{path}: cannot be written: {error}; a folder with free space is right"
        ) from error


def _sweep_after_kill(path: Path) -> None:
    """Removes what killed exports of a file or store left, while no other one is at work.

    One that was killed between its two renames has left the earlier store under another name.
    """
    form = re.compile(rf"\.{{1,2}}{re.escape(path.stem)}\.[0-9a-f.]+\.(nc|old|partial|zarr)")
    for left in sorted(path.parent.iterdir()):
        if form.fullmatch(left.name):
            if left.suffix == ".old" and not path.exists():
                left.rename(path)
            LocalStorage(path.parent).remove(left.name)
