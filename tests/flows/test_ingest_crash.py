"""Killed and concurrent ingests: the archive holds whole days, and the next ingest carries on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import flow_calls
import numpy as np
import pytest
from flow_calls import ingest_granule

from blindzone.pipeline.archive import Archive
from blindzone.pipeline.readers.simulation import write_simulated_day

DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
SOURCE = "small_days"
VERSIONS = 2
MOST_KILLS = 30
"""It is killed on until kills have hit it at work."""
LONGEST_RUN = 3.0
"""When the last kill comes, in times of an ingest of the three days on the machine as it is."""

# Imports once and forks a ready child for every line that it reads, since each start from scratch
# takes seconds.
FORKER = """
import itertools, json, os, sys, traceback
from datetime import date
from pathlib import Path
import h5netcdf, zarr
from flow_calls import ingest_granule
from blindzone.core.errors import ArchiveError

def work(source, days, files, catalog, archive, rounds, first):
    for step in itertools.count(first) if rounds is None else range(first, first + rounds):
        for day in days:
            file = Path(files[day][step % 2])
            ingest_granule(source, date.fromisoformat(day), (file,), Path(catalog), Path(archive))

def run(order):
    try:
        work(**order)
    except ArchiveError as error:
        print(error, file=sys.stderr, flush=True)
        return 3
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

print("ready", flush=True)
for line in sys.stdin:
    children = []
    for order in json.loads(line):
        child = os.fork()
        if child == 0:
            os._exit(run(order))
        children.append(child)
    print(json.dumps(children), flush=True)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(ended), flush=True)
"""

Content = dict[str, bytes]
Start = Callable[..., list[int]]


class Forker:
    """Runs ingests in processes of their own."""

    def __init__(self, process: subprocess.Popen[str], order: dict[str, Any]) -> None:
        self.process, self.order = process, order

    def start(self, *orders: dict[str, Any]) -> list[int]:
        """Returns the ids of one process for each order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([self.order | order for order in orders]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def wait(self) -> list[int]:
        """Returns the exit codes of the processes that were started last."""
        return self._answer()

    def _answer(self) -> list[int]:
        assert self.process.stdout is not None
        answer: list[int] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[date, list[Path]]:
    """Two versions of each of three short days."""
    folder = tmp_path_factory.mktemp("files")
    found: dict[date, list[Path]] = {}
    for day in DAYS:
        for version in range(VERSIONS):
            # A newer version of a file has its name: it replaces its earlier self.
            path = folder / str(version) / f"{day:%Y%m%d}.nc"
            path.parent.mkdir(exist_ok=True)
            write_simulated_day(day, path, seed=version, hours=0.2, scenes=("front",))
            found.setdefault(day, []).append(path)
    return found


@pytest.fixture(scope="module")
def small_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(
        f"version: 1\nsources:\n  {SOURCE}:\n    title: small days\n    directory: none\n    site:"
        " none\n    instrument: none\n    reader: cloudnet_radar\n    files: '%Y%m%d.nc'\n"
    )
    return path


@pytest.fixture(scope="module")
def states(
    files: dict[date, list[Path]], small_catalog: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[date, list[Content]]:
    """What an ingest that nothing interrupts makes of each version of each day."""
    found: dict[date, list[Content]] = {}
    for version in range(VERSIONS):
        archive = Archive(tmp_path_factory.mktemp("whole"))
        for day in DAYS:
            ingest_granule(SOURCE, day, (files[day][version],), small_catalog, archive.root)
            found.setdefault(day, []).append(read_store(archive, day))
    assert all(first != second for first, second in found.values())
    return found


@pytest.fixture(scope="module")
def forker(files: dict[date, list[Path]], small_catalog: Path) -> Iterator[Forker]:
    order = {
        "source": SOURCE,
        "days": [str(day) for day in DAYS],
        "files": {str(day): [str(path) for path in paths] for day, paths in files.items()},
        "catalog": str(small_catalog),
        "rounds": None,
        "first": 0,
    }
    environment = os.environ | {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(Path(flow_calls.__file__).parent),
    }
    command = [sys.executable, "-c", FORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Forker(process, order)


def read_store(archive: Archive, day: date) -> Content:
    """Every file of a day's store."""
    store = archive.store_path(SOURCE, day)
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file()
    }


def find_leftovers(archive: Archive) -> list[str]:
    """What lies in the archive and belongs to no record."""
    days = archive.days(SOURCE)
    held = {archive.record(SOURCE, day).store for day in days} | {
        f"{day:%Y%m%d}.json" for day in days
    }
    found = [*archive.root.glob(f"{SOURCE}/*/*"), *archive.root.glob(f"{SOURCE}/.*")]
    return [path.name for path in found if path.name not in held]


@pytest.mark.parametrize("kills", [5, pytest.param(MOST_KILLS, marks=pytest.mark.soak)])
def test_killed_ingest_leaves_whole_days_and_the_next_one_carries_on(
    kills: int,
    forker: Forker,
    files: dict[date, list[Path]],
    states: dict[date, list[Content]],
    small_catalog: Path,
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(20000101)
    begun = time.monotonic()
    forker.start({"archive": str(tmp_path / "unhurried"), "rounds": 1})
    assert forker.wait() == [0]
    longest_s = LONGEST_RUN * (time.monotonic() - begun)
    untidy, empty = 0, 0
    for kill in range(MOST_KILLS):
        if kill >= kills and untidy and empty:
            break
        # One archive for three kills: in its first ingest of all and in two that replace.
        archive = Archive(tmp_path / f"archive{kill // 3}")
        (child,) = forker.start({"archive": str(archive.root), "first": kill})
        time.sleep(rng.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        assert forker.wait() == [-signal.SIGKILL]

        held = archive.days(SOURCE)
        empty += len(held) < len(DAYS)
        untidy += bool(find_leftovers(archive))
        for day in held:
            assert read_store(archive, day) in states[day], (
                f"kill {kill}: {day} is in no whole state"
            )

        for day in DAYS:
            ingest_granule(SOURCE, day, (files[day][kill % VERSIONS],), small_catalog, archive.root)
            assert read_store(archive, day) == states[day][kill % VERSIONS]
        assert find_leftovers(archive) == []
        assert archive.days(SOURCE) == DAYS
    print(
        f"{kills} kills or more: {untidy} left something behind, {empty} before the first ingest"
        " was through"
    )
    # The kills do hit writers at work.
    assert untidy >= 1
    assert empty >= 1


@pytest.mark.parametrize("rounds", [2, pytest.param(5, marks=pytest.mark.soak)])
def test_processes_that_ingest_the_same_days_at_once_all_end_well(
    rounds: int, forker: Forker, states: dict[date, list[Content]], tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "archive")
    order = {"archive": str(archive.root), "rounds": rounds}
    started = time.monotonic()
    forker.start(order, order | {"first": 1}, order)
    assert forker.wait() == [0, 0, 0]
    print(f"three processes: {time.monotonic() - started:.1f} s")
    assert archive.days(SOURCE) == DAYS
    for day in DAYS:
        assert read_store(archive, day) in states[day]
    assert find_leftovers(archive) == []
