"""Watching folders: a file is announced once it is whole, files that come together as one."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from blindzone.core.errors import SourceFileError
from blindzone.flows.service import watching
from blindzone.flows.service.watching import (
    Arrival,
    Settling,
    find_folders,
    is_shared,
    sort_by_source,
    watch_folders,
)
from blindzone.pipeline.catalog.catalog import Source, read_catalog

SOURCE = "short_days"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settling(clock: Clock) -> Settling:
    return Settling(10.0, clock)


def test_file_is_given_once_when_it_has_not_changed_for_long_enough(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "a.nc"
    file.write_bytes(b"whole")
    settling.note([file])
    assert settling.take() == frozenset()  # first seen at 100 s
    clock.now = 109.9
    assert settling.take() == frozenset()
    clock.now = 110.0
    assert settling.take() == {file}
    clock.now = 500.0
    assert settling.take() == frozenset()


def test_file_that_grows_is_not_given(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "a.nc"
    file.write_bytes(b"")
    settling.note([file])
    for second in range(60):
        clock.now = 100.0 + second
        with file.open("ab") as stream:
            stream.write(b"more")
        assert settling.take() == frozenset()
    clock.now = 159.0 + 10.0  # the last change was seen at 159 s
    assert settling.take() == {file}


def test_files_of_a_burst_are_given_together(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.nc" for number in range(5)]
    for second, file in enumerate(
        files
    ):  # one every 3 s: each settles while the next ones are on their way
        clock.now = 100.0 + 3 * second
        file.write_bytes(b"whole")
        settling.note([file])
        assert settling.take() == frozenset()
    clock.now = 121.9
    assert settling.take() == frozenset()
    clock.now = 122.0  # the last was seen at 112 s
    assert settling.take() == set(files)


def test_file_that_never_rests_does_not_hold_up_the_others_for_good(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    restless, whole = tmp_path / "log", tmp_path / "a.nc"
    whole.write_bytes(b"whole")
    restless.write_bytes(b"")
    settling.note([restless, whole])
    given = {}
    for second in range(400):
        clock.now = 100.0 + second
        with restless.open("ab") as stream:
            stream.write(b"more")
        if taken := settling.take():
            given[clock.now] = taken
    # Settled at 110 s, it waits for 20 times 10 s.
    assert given == {310.0: {whole}}


def test_file_that_is_gone_again_is_forgotten(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / ".a.nc.part"
    file.write_bytes(b"part")
    settling.note([file])
    settling.take()
    file.unlink()
    clock.now = 200.0
    assert settling.take() == frozenset()


def test_folder_that_is_moved_in_brings_its_files(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "2000" / "a.nc"
    file.parent.mkdir()
    file.write_bytes(b"whole")
    settling.note([file.parent])
    settling.take()
    clock.now = 110.0
    assert file in settling.take()


def test_arrivals_name_the_source_and_the_range_of_its_days(
    catalog: Path, simulated_days: Path
) -> None:
    sources = read_catalog(catalog)
    folder = simulated_days / SOURCE
    files = frozenset(folder / f"{day}_radar.nc" for day in ("20000101", "20000103")) | {
        folder / "README"
    }
    expected = Arrival(source=SOURCE, files=2, start=date(2000, 1, 1), end=date(2000, 1, 3))
    assert sort_by_source(sources, [SOURCE], files) == [expected]


def test_files_of_no_source_are_left_out(catalog: Path, simulated_days: Path) -> None:
    assert (
        sort_by_source(
            read_catalog(catalog), [SOURCE], frozenset({simulated_days / SOURCE / "notes.txt"})
        )
        == []
    )


def test_only_folders_that_are_there_are_watched(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_folders(read_catalog(catalog), [SOURCE]) == {SOURCE: simulated_days / SOURCE}
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    assert find_folders(read_catalog(catalog), [SOURCE]) == {}


def test_simulated_sources_are_not_watched(catalog_file: Path) -> None:
    assert "simulated" not in find_folders(read_catalog(catalog_file), ["simulated"])


@pytest.mark.parametrize(
    ("kind", "shared"),
    [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("overlay", False)],
)
def test_file_systems_of_other_machines_are_known_by_their_kind(
    kind: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = {"/": "ext4", "/radar": kind, "/radar2": "nfs"}
    partitions = [SimpleNamespace(mountpoint=place, fstype=name) for place, name in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: partitions)
    assert is_shared(Path("/radar/2021")) is shared


@pytest.fixture(params=["inotify", "polling"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "is_shared", lambda folder: request.param == "polling")
    monkeypatch.setattr(watching, "_POLL_MS", 200)
    monkeypatch.setattr(watching, "_TICK_MS", 100)


@pytest.mark.usefixtures("_way")
def test_burst_of_real_files_with_one_that_grows_is_one_arrival(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    (tmp_path / SOURCE).mkdir()
    sources = read_catalog(catalog)
    folders = find_folders(sources, [SOURCE])
    arrivals: list[Arrival] = []

    async def watch() -> None:
        async for arrival in watch_folders(sources, folders, settle_s=0.6):
            arrivals.append(arrival)  # noqa: PERF401 (it is looked at while it grows)

    async def copy() -> None:
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0.6)  # until the folder is watched
        for day in ("20000101", "20000102"):
            shutil.copy(simulated_days / SOURCE / f"{day}_radar.nc", tmp_path / SOURCE)
        content = (simulated_days / SOURCE / "20000103_radar.nc").read_bytes()
        part = len(content) // 8
        with (tmp_path / SOURCE / "20000103_radar.nc").open("wb") as stream:
            for start in range(0, len(content), part):
                assert arrivals == []
                stream.write(content[start : start + part])
                stream.flush()
                await asyncio.sleep(0.15)
        await asyncio.sleep(3.0)  # a second arrival would show
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)

    asyncio.run(copy())

    assert arrivals == [
        Arrival(source=SOURCE, files=3, start=date(2000, 1, 1), end=date(2000, 1, 3))
    ]


def test_folder_that_cannot_be_watched_is_one_clear_error(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> AsyncIterator[set[object]]:
        raise OSError(errno.ENOSPC, "OS file watch limit reached")
        yield set()

    async def watch() -> None:
        await anext(watch_folders(read_catalog(catalog), {SOURCE: tmp_path}, settle_s=1.0))

    monkeypatch.setattr(watching, "awatch", refuse)
    with pytest.raises(
        SourceFileError,
        match=r"watch limit reached; WATCHFILES_FORCE_POLLING=true looks through them",
    ):
        asyncio.run(watch())


def test_share_that_errs_holds_up_no_other_source(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def err(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Source, "find_days", err)
    assert sort_by_source(read_catalog(catalog), [SOURCE], frozenset({Path("a.nc")})) == []
    assert f"{SOURCE}: its files cannot be listed" in caplog.text
