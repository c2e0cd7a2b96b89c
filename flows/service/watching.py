"""Watches the folders of sources and announces new files; a trigger then starts `ingest`.

A file counts as arrived once neither its size nor its time of change has moved for a while, so that
one that is still being copied is not read early; files that come together are announced together.
What arrives while nobody watches is found by the next nightly run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NoReturn

import httpx
import psutil
from prefect.client.orchestration import PrefectClient
from prefect.events import Event, Resource
from watchfiles import Change, awatch

from blindzone.core.errors import CatalogError, SourceFileError
from blindzone.core.granule import Granule
from blindzone.pipeline.catalog.catalog import Catalog

ARRIVED = "blindzone.files.arrived"
"""Name of the event; `prefect.yaml` has the trigger."""

_PATIENCE = 20
"""Files that have settled wait for others on their way at most this many times as long as a file
must have settled."""
_TICK_MS = 1000
_POLL_MS = 5000
# inotify reports no change that another machine makes.
_SHARED = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "fuse.",
    "glusterfs",
    "gpfs",
    "lustre",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Files of a source that have arrived together, and the range of their UTC days."""

    source: str
    files: int
    start: date
    end: date


class Settling:
    """Files on their way.

    Args:
        settle_s: A file has settled once it has not changed for so long [s].
        clock: A clock that never goes back [s].
    """

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._moving: dict[Path, tuple[tuple[int, int], float]] = {}
        self._settled: set[Path] = set()
        self._first_settled = 0.0

    def note(self, paths: Iterable[Path]) -> None:
        """Takes in files that are new or have changed, or folders of such."""
        for path in paths:
            for file in path.rglob("*") if path.is_dir() else (path,):
                self._settled.discard(file)
                self._moving.setdefault(file, ((-1, -1), self._clock()))

    def take(self) -> frozenset[Path]:
        """Returns the files that have settled, each once.

        They are returned together once no other is on its way, or that has taken long.
        """
        now = self._clock()
        for path, (before, since) in list(self._moving.items()):
            try:
                status = path.stat()
            except OSError:  # gone again, or moved to its final name
                del self._moving[path]
                continue
            found = (status.st_size, status.st_mtime_ns)
            if found != before:
                self._moving[path] = (found, now)
            elif now - since >= self._settle_s:
                del self._moving[path]
                self._first_settled = self._first_settled if self._settled else now
                self._settled.add(path)
        if not self._settled or (
            self._moving and now - self._first_settled < _PATIENCE * self._settle_s
        ):
            return frozenset()
        settled, self._settled = frozenset(self._settled), set()
        return settled


def find_folders(catalog: Catalog, sources: Iterable[str]) -> dict[str, Path]:
    """Returns the folders of those sources whose measured files are in a folder that exists."""
    folders = {}
    for name in sources:
        place = catalog[name].locate(catalog.data_directory(name))
        if catalog[name].simulation is None and isinstance(place, Path) and place.is_dir():
            folders[name] = place.resolve()
    return folders


def sort_by_source(
    catalog: Catalog, sources: Iterable[str], files: frozenset[Path]
) -> list[Arrival]:
    """Returns what has arrived of each source, without files named like no source's."""
    arrivals = []
    for name in sources:
        try:
            units = catalog[name].find_days(catalog.data_directory(name))
        except CatalogError:  # no file of this source, or its folder is gone
            continue
        except OSError as error:  # a share that errs is looked at again by the nightly run
            _log.warning("%s: its files cannot be listed: %s", name, error)
            continue
        found = {
            Granule.of(unit).day: len(new)
            for unit, addresses in units.items()
            if (new := {Path(address).resolve() for address in addresses} & files)
        }
        if found:
            arrivals.append(
                Arrival(source=name, files=sum(found.values()), start=min(found), end=max(found))
            )
    return arrivals


async def watch_folders(
    catalog: Catalog, folders: Mapping[str, Path], settle_s: float
) -> AsyncIterator[Arrival]:
    """Yields what arrives in the folders of sources.

    Raises:
        SourceFileError: If the folders cannot be watched.
    """
    settling = Settling(settle_s)
    polling = True if any(is_shared(folder) for folder in folders.values()) else None
    changes = awatch(
        *set(folders.values()),
        force_polling=polling,
        poll_delay_ms=_POLL_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    while True:
        try:
            batch = await anext(changes)
        except OSError as error:
            raise SourceFileError(
                f"the folders cannot be watched: {error}; WATCHFILES_FORCE_POLLING=true looks"
                " through them instead"
            ) from error
        settling.note(Path(path) for change, path in batch if change is not Change.deleted)
        if settled := settling.take():
            for arrival in await asyncio.to_thread(sort_by_source, catalog, folders, settled):
                yield arrival


def is_shared(folder: Path) -> bool:
    """Returns whether a folder is on a file system that other machines write to."""
    mounts = [
        part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)
    ]
    kind = max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else ""
    return kind.startswith(_SHARED)


async def announce(client: PrefectClient, arrival: Arrival) -> None:
    """Announces to the server what has arrived.

    Raises:
        httpx.HTTPError: If the server has not taken it.
    """
    event = Event(
        event=ARRIVED,
        resource=Resource(
            {
                "prefect.resource.id": f"blindzone.source.{arrival.source}",
                "prefect.resource.name": arrival.source,
            }
        ),
        payload={
            "source": arrival.source,
            "start": str(arrival.start),
            "end": str(arrival.end),
            "files": arrival.files,
        },
    )
    await client.request("POST", "/events", json=[event.model_dump(mode="json")])


async def announce_forever(
    client: PrefectClient, catalog: Catalog, folders: Mapping[str, Path], settle_s: float
) -> NoReturn:
    """Announces all that arrives, again and again while the server is away."""
    async for arrival in watch_folders(catalog, folders, settle_s):
        _log.info(
            "%s: %d new files, %s to %s", arrival.source, arrival.files, arrival.start, arrival.end
        )
        while True:
            try:
                await announce(client, arrival)
                break
            except httpx.HTTPError as error:
                _log.warning("the server has not taken the news: %s", error)
                await asyncio.sleep(settle_s)
    raise AssertionError("watchfiles ended by itself")
