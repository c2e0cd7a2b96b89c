"""The zarr archive of gridded curtains: one store a source and UTC day, made visible by a ledger record.

    ROOT/SOURCE/stores/YYYYMMDD-XXXXXXXXXXXX.zarr     the day's curtain, zarr v3, named by the hash of what went in
    ROOT/SOURCE/ledger/YYYYMMDD.json                  the record that names the day's current store

A day is written to a store that nothing points to; the record is then replaced in one atomic step. A process killed
at any instant therefore leaves the last good state, and what it left without a record is swept away by the day's next
writer. Writers of one source, threads or processes, take turns by a lock. No other module writes to the archive. A day
opens with plain `xarray.open_zarr(path, consolidated=False)`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.cf import to_cf
from blindzone.pipeline.curtain import check_curtain
from blindzone.pipeline.errors import ArchiveError

LEDGER_VERSION = 1
CHUNK_PROFILES = 128
"""Profiles a chunk: one window of the network touches two chunks."""
LOCK_WAIT_S = 60.0
"""How long a writer waits for another one of the same source [s]; a day is written in about a second."""
_LOCK_POLL_S = 0.05


class Outcome(StrEnum):
    """What became of one day."""

    INGESTED = "ingested"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A source file as it was when it was read."""

    name: str
    size: int
    sha256: str
    uuid: str = ""


@dataclass(frozen=True, kw_only=True)
class DayRecord:
    """The ledger's record of one day.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day.
        store: Name of the store's folder.
        files: The source files.
        configuration: Grid, quality rules and reader that made the curtain.
        profiles: Number of profiles.
        first_time: Time of the first profile, ISO 8601, UTC.
        last_time: Time of the last profile.
        written: When the record was written, ISO 8601, UTC.
    """

    source: str
    day: date
    store: str
    files: tuple[FileRecord, ...]
    configuration: dict[str, Any]
    profiles: int
    first_time: str
    last_time: str
    written: str

    def to_json(self) -> str:
        """Returns the record as JSON."""
        content = asdict(self) | {"ledger_version": LEDGER_VERSION, "day": self.day.isoformat()}
        return json.dumps(content, indent=1)

    @classmethod
    def from_json(cls, text: str) -> DayRecord:
        """Returns the record that `to_json` wrote."""
        content = json.loads(text)
        content.pop("ledger_version")
        files = tuple(FileRecord(**entry) for entry in content.pop("files"))
        return cls(**content | {"day": date.fromisoformat(content["day"]), "files": files})


def describe_file(path: Path, *, file_uuid: str = "") -> FileRecord:
    """Returns the size and hash of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(name=path.name, size=path.stat().st_size, sha256=digest, uuid=file_uuid)


class Archive:
    """An archive below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def days(self, source: str) -> tuple[date, ...]:
        """Returns the days that hold a source's curtains, in order."""
        records = (self.root / source / "ledger").glob("[0-9]*.json")
        return tuple(sorted(datetime.strptime(path.stem, "%Y%m%d").date() for path in records))

    def record(self, source: str, day: date) -> DayRecord:
        """Returns the ledger's record of a day.

        Raises:
            ArchiveError: If the archive does not hold that day, or its record is damaged.
        """
        path = self._record_path(source, day)
        try:
            return DayRecord.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ArchiveError(
                f"{self.root}: no {source} for {day}; it holds {_span(self.days(source))}. "
                f"'blindzone ingest {source} --start {day} --end {day}' would add it"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError(f"{path}: damaged ledger record: {error}; ingesting {day} anew replaces it") from error

    def is_current(self, source: str, day: date, files: Iterable[FileRecord], configuration: dict[str, Any]) -> bool:
        """Returns whether a day is held just as these files and this configuration would make it."""
        held = self._held_store(source, day)
        return held is not None and held.is_dir() and held.name in _store_names(day, files, configuration)

    def store_path(self, source: str, day: date) -> Path:
        """Returns the path of a day's zarr store.

        Raises:
            ArchiveError: If the archive does not hold that day.
        """
        path = self._store_path(source, self.record(source, day).store)
        if not path.is_dir():
            raise ArchiveError(f"{path}: the ledger names this store and it is gone; ingest {day} of {source} anew")
        return path

    def open_day(self, source: str, day: date) -> xr.Dataset:
        """Returns a day's curtain `(time, height)`, lazily.

        Raises:
            ArchiveError: If the archive does not hold that day.
        """
        curtain: xr.Dataset = xr.open_zarr(self.store_path(source, day), consolidated=False, chunks=None)
        return curtain

    def write_day(
        self, source: str, day: date, curtain: xr.Dataset, files: tuple[FileRecord, ...], configuration: dict[str, Any]
    ) -> Outcome:
        """Writes one day's gridded curtain, in place of what the archive held of that day.

        Returns:
            Whether the day is new or replaced an earlier state.

        Raises:
            CurtainError: If the dataset is no canonical curtain.
            ArchiveError: If its profiles do not belong to the day, its heights differ from those of the source's other
                days, or it cannot be written; the archive stays as it was.
        """
        where = f"{source} {day} ({', '.join(entry.name for entry in files)})"
        check_curtain(curtain, where=where)
        with self._lock(source, LOCK_WAIT_S):
            self._check_fits(source, day, curtain, where)
            return self._write_locked(source, day, curtain, files, configuration)

    def tidy_day(self, source: str, day: date) -> None:
        """Removes what killed writers left of a day that the archive holds, unless a writer is at work on it."""
        held = self._held_store(source, day)
        if held is None or not (self._leftovers(source, day, held) or self._lock_path(source).exists()):
            return
        try:
            with self._lock(source, wait_s=0):
                self._sweep(source, day, keep=self.store_path(source, day))
        except ArchiveError:
            return  # the writer at work sweeps, and so does the next one

    def _write_locked(
        self, source: str, day: date, curtain: xr.Dataset, files: tuple[FileRecord, ...], configuration: dict[str, Any]
    ) -> Outcome:
        existed = self._record_path(source, day).exists()
        held = self._held_store(source, day)
        # The same input written anew must not touch the store that the record names: it takes the other name.
        name = next(name for name in _store_names(day, files, configuration) if held is None or name != held.name)
        store = self._store_path(source, name)
        self._write_store(store, curtain)
        times = np.datetime_as_string(curtain["time"].values[[0, -1]], unit="ms", timezone="UTC")
        record = DayRecord(
            source=source, day=day, store=store.name, files=files, configuration=configuration,
            profiles=curtain.sizes["time"], first_time=str(times[0]), last_time=str(times[1]),
            written=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        try:
            _replace_text(self._record_path(source, day), record.to_json())
        except OSError as error:
            raise ArchiveError(
                f"{self._record_path(source, day)}: cannot be written: {error}; the archive stays as it was"
            ) from error
        self._sweep(source, day, keep=store)
        return Outcome.REPLACED if existed else Outcome.INGESTED

    @contextmanager
    def _lock(self, source: str, wait_s: float) -> Iterator[None]:
        """Holds the lock of a source's one writer, which the system releases if its holder dies.

        One for all days, since a writer looks at the heights of the other days. The lock file is removed at the end, so
        that a lock may be won on a file that is gone by then; it counts only if the file is still the one under its
        name.
        """
        path = self._lock_path(source)
        deadline = time.monotonic() + wait_s
        try:
            while (lock := _try_lock(path)) is None:
                if time.monotonic() >= deadline:
                    raise ArchiveError(
                        f"{path}: another process has kept {source} locked for {wait_s:.0f} s; the archive stays as it "
                        "was: ingest again once that process has ended"
                    )
                time.sleep(_LOCK_POLL_S)
        except OSError as error:
            raise ArchiveError(f"{path}: cannot be locked: {error}; the archive stays as it was") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)

    def _check_fits(self, source: str, day: date, curtain: xr.Dataset, where: str) -> None:
        strays = curtain["time"].values.astype("datetime64[D]") != np.datetime64(day)
        if strays.any():
            raise ArchiveError(
                f"{where}: {int(strays.sum())} profiles lie outside the day "
                f"(first: {curtain['time'].values[strays][0]})"
            )
        held = self._held_heights(source, day)
        if held is None:
            return
        new = curtain["height"].values
        if held.shape != new.shape or not np.allclose(held, new, rtol=0, atol=1e-3):
            raise ArchiveError(
                f"{where}: its grid is {_describe_heights(new)}, that of the archive's other days "
                f"{_describe_heights(held)}; one source has one grid: use another archive folder or another source name"
            )

    def _held_heights(self, source: str, day: date) -> np.ndarray | None:
        """Returns the heights of any other day of a source that can be opened."""
        for other in self.days(source):
            try:
                if other != day:
                    return np.asarray(self.open_day(source, other)["height"].values)
            except ArchiveError:
                continue
        return None

    def _held_store(self, source: str, day: date) -> Path | None:
        """Returns the store that a day's record names, if there is a record and it is whole."""
        try:
            return self._store_path(source, self.record(source, day).store)
        except ArchiveError:
            return None

    def _write_store(self, store: Path, curtain: xr.Dataset) -> None:
        partial = store.with_name(f".{store.stem}.{uuid.uuid4().hex}.partial")
        try:
            store.parent.mkdir(parents=True, exist_ok=True)
            to_cf(curtain).to_zarr(partial, mode="w-", consolidated=False, zarr_format=3, encoding=_encoding(curtain))
            if store.exists():  # left by a writer that was killed before its record; no record names it
                shutil.rmtree(store)
            partial.rename(store)
        except OSError as error:
            raise ArchiveError(f"{store}: cannot be written: {error}; the archive stays as it was") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _sweep(self, source: str, day: date, *, keep: Path) -> None:
        """Removes the day's stores that no record names any more, and what killed writers left half done."""
        for path in self._leftovers(source, day, keep):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _leftovers(self, source: str, day: date, keep: Path) -> list[Path]:
        stores, ledger = keep.parent, self._record_path(source, day).parent
        found = [*stores.glob(f"{day:%Y%m%d}-*.zarr"), *stores.glob(f".{day:%Y%m%d}-*.partial")]
        return [path for path in found if path != keep] + list(ledger.glob(f".{day:%Y%m%d}.json.*.partial"))

    def _lock_path(self, source: str) -> Path:
        return self.root / source / ".lock"

    def _record_path(self, source: str, day: date) -> Path:
        return self.root / source / "ledger" / f"{day:%Y%m%d}.json"

    def _store_path(self, source: str, name: str) -> Path:
        return self.root / source / "stores" / name


def _store_names(day: date, files: Iterable[FileRecord], configuration: dict[str, Any]) -> tuple[str, str]:
    """Returns the two names that a store of these files and this configuration may have, in turns."""
    content = json.dumps([[entry.name, entry.sha256] for entry in files] + [configuration], sort_keys=True)
    stem = f"{day:%Y%m%d}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return f"{stem}.zarr", f"{stem}-2.zarr"


def _encoding(curtain: xr.Dataset) -> dict[str, dict[str, Any]]:
    profiles, rows = curtain.sizes["time"], curtain.sizes["height"]
    whole_day = -(-profiles // CHUNK_PROFILES) * CHUNK_PROFILES
    layout = {"chunks": (CHUNK_PROFILES, rows), "shards": (whole_day, rows)}  # a shard a variable and day
    encoding: dict[str, dict[str, Any]] = {
        name: dict(layout) for name in ("reflectivity", "doppler_velocity") if name in curtain
    }
    # Without a fill value, integers that were never written would read as 0, a valid code.
    encoding["detection_status"] = layout | {"fill_value": -1}
    encoding["time"] = {"units": "seconds since 1970-01-01 00:00:00", "dtype": "float64", "calendar": "standard"}
    return encoding


def _try_lock(path: Path) -> int | None:
    """Returns the open, locked lock file, or `None` if another holds it or has just removed it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _replace_text(path: Path, text: str) -> None:
    """Writes a small file whole or not at all, and on disk before it is visible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _span(days: tuple[date, ...]) -> str:
    return f"{len(days)} days from {days[0]} to {days[-1]}" if days else "no day of it"


def _describe_heights(heights: np.ndarray) -> str:
    return f"{heights.size} rows from {heights[0]:.2f} to {heights[-1]:.2f} m"
