"""Storages of an archive keep the same promises: a folder, memory, and S3 on loopback."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, DamagedError, LockedError
from blindzone.pipeline.archive import Archive, FileRecord, Outcome
from blindzone.pipeline.archive import storage as storage_module
from blindzone.pipeline.archive import writing as archive_module
from blindzone.pipeline.archive.care import Fault, repair_archive, verify_archive
from blindzone.pipeline.archive.storage import LocalStorage, ObjectStorage, Storage, open_storage

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
LOCK = "station/.lock"
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32)
OTHER = FileRecord(name="b.nc", size=12, sha256="cd" * 32)

Place = tuple[Path | str, dict[str, Any]]


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where an archive may lie, and what opens it."""
    if request.param == "folder":
        return tmp_path / "archive", {}
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/archive", {}
    return f"s3://bucket/{uuid.uuid4().hex}/archive/", request.getfixturevalue("s3")


@pytest.fixture
def storage(place: Place) -> Storage:
    return open_storage(*place)


@pytest.fixture
def objects() -> ObjectStorage:
    """Storage in memory, with the locks of an object store."""
    return ObjectStorage(f"memory://{uuid.uuid4().hex}", {})


def test_text_is_replaced_renamed_and_removed(storage: Storage) -> None:
    assert storage.read_texts(["station/ledger/a.json"]) == {}
    storage.replace_text("station/ledger/a.json", "first")
    storage.replace_text("station/ledger/a.json", "second: \N{DEGREE SIGN}")
    storage.replace_text("station/ledger/b.json", "b")
    asked = ["station/ledger/b.json", "station/ledger/a.json", "station/ledger/c.json"]
    assert storage.read_texts(asked) == {
        "station/ledger/b.json": "b",
        "station/ledger/a.json": "second: \N{DEGREE SIGN}",
    }
    assert storage.list_names("station/ledger") == ("a.json", "b.json")
    storage.move_text("station/ledger/a.json", "station/ledger/b.json")
    assert storage.list_names("station/ledger") == ("b.json",)
    assert storage.read_texts(["station/ledger/b.json"]) == {
        "station/ledger/b.json": "second: \N{DEGREE SIGN}"
    }
    storage.remove("station/ledger/b.json")
    storage.remove("station/ledger/b.json")
    assert storage.list_names("station/ledger") == ()


def test_file_is_replaced_whole_and_read_back(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open_file("a.nc")
    storage.replace_bytes("a.nc", b"first, and longer")
    with storage.open_file("a.nc") as before:
        storage.replace_bytes("a.nc", b"second")
        with storage.open_file("a.nc") as after:
            assert after.read() == b"second"
            assert after.seek(-3, os.SEEK_END) == 3  # HDF5 reads from anywhere
            assert after.read() == b"ond"
        if isinstance(storage, LocalStorage):
            assert before.read() == b"first, and longer"  # who has it open keeps what it opened
    assert storage.list_names("") == ("a.nc",)


def test_file_that_cannot_be_written_leaves_the_earlier_one_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    storage.replace_bytes("a.nc", b"first")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage_module.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        storage.replace_bytes("a.nc", b"second")
    assert storage.list_names("") == ("a.nc",)
    assert (tmp_path / "a.nc").read_bytes() == b"first"


def test_file_under_construction_has_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, seen = LocalStorage(tmp_path), []
    monkeypatch.setattr(
        storage_module.os, "fsync", lambda descriptor: seen.append(storage.list_names(""))
    )
    storage.replace_bytes("a.nc", b"content")
    (partial,), after = seen  # of the file, then of its folder
    assert partial.startswith(".a.nc.")
    assert partial.endswith(".partial")
    assert after == ("a.nc",)


def test_folder_is_written_measured_listed_and_removed(storage: Storage) -> None:
    assert storage.measure("station/stores/x.zarr") == 0
    storage.write_folder("station/stores/x.zarr", {"zarr.json": b"{}", "a/c/0/0": b"12345"})
    storage.write_folder("station/stores/y.zarr", {"zarr.json": b"{}"})
    assert storage.list_names("station/stores") == ("x.zarr", "y.zarr")
    assert storage.list_names("") == ("station",)
    assert storage.measure("station/stores/x.zarr") == 7
    storage.remove("station/stores/x.zarr")
    storage.remove("station/stores/x.zarr")
    assert storage.list_names("station/stores") == ("y.zarr",)


def test_lock_is_held_by_one_and_given_back(storage: Storage) -> None:
    assert not storage.is_locked(LOCK)
    for _ in range(2):
        with storage.lock(LOCK, wait_s=0) as check:
            check()
            assert storage.is_locked(LOCK)
            assert not storage.has_stale_lock(LOCK)
            reason = (
                "another process has kept the source locked for 0 s; the archive stays as it was"
            )
            with pytest.raises(LockedError, match=reason), storage.lock(LOCK, wait_s=0):
                pass
        assert not storage.is_locked(LOCK)
        assert not storage.has_stale_lock(LOCK)


def test_lock_is_given_back_after_a_failure(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.lock(LOCK, wait_s=0):
        raise ZeroDivisionError
    assert not storage.is_locked(LOCK)


def test_lock_is_given_back_where_its_file_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)

    def fail(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Read-only"):  # noqa: PT012
        patch.setattr(Path, "unlink", fail)
        with storage.lock(LOCK, wait_s=0):
            pass
    assert not storage.is_locked(LOCK)


def test_threads_take_turns(tmp_path: Path) -> None:
    storage, at_work, most = LocalStorage(tmp_path), [0], [0]

    def work() -> None:
        with storage.lock(LOCK, wait_s=30):
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            time.sleep(0.01)
            at_work[0] -= 1

    with ThreadPoolExecutor(4) as pool:
        for task in [pool.submit(work) for _ in range(12)]:
            task.result()
    assert most == [1]


def test_lock_file_of_a_dead_process_is_stale_and_hinders_nobody(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with storage.lock(LOCK, wait_s=0):
        descriptor = os.open(tmp_path / LOCK, os.O_RDONLY)
    os.close(descriptor)
    (tmp_path / LOCK).touch()
    assert storage.has_stale_lock(LOCK)
    with storage.lock(LOCK, wait_s=0):
        assert not storage.has_stale_lock(LOCK)


def test_lock_of_another_process_is_seen(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    (tmp_path / "station").mkdir()
    with (tmp_path / LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert storage.is_locked(LOCK)
        assert not storage.has_stale_lock(LOCK)


def test_lease_of_a_dead_holder_ends(
    objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "LEASE_S", 0.3)
    monkeypatch.setattr(storage_module, "_LEASE_MARGIN_S", 0.0)
    monkeypatch.setattr(storage_module, "_LEASE_POLL_S", 0.05)
    dead = objects.lock(LOCK, wait_s=0)
    dead.__enter__()
    with pytest.raises(
        ArchiveError,
        match=r"ingest again once it has ended, or after 20\d\d-.*its holder: process \d+ on",
    ):
        objects.lock(LOCK, wait_s=0).__enter__()
    with objects.lock(LOCK, wait_s=5) as check:  # waits for the lease to end
        check()
    assert not objects.is_locked(LOCK)


def test_lease_that_is_over_is_stale(
    objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "LEASE_S", 0.0)
    held = objects.lock(LOCK, wait_s=0)
    held.__enter__()
    assert objects.has_stale_lock(LOCK)
    assert not objects.is_locked(LOCK)


def test_writer_whose_lease_is_over_must_not_commit(
    objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        storage_module, "LEASE_S", 1.0
    )  # less than the margin: over for its holder at once
    with (
        objects.lock(LOCK, wait_s=0) as check,
        pytest.raises(ArchiveError, match="took longer than the lock holds, 1 s"),
    ):
        check()


def test_writer_that_was_followed_by_another_must_not_commit_nor_give_the_lock_back(
    objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "LEASE_S", -1.0)
    slow = objects.lock(LOCK, wait_s=0)
    check = slow.__enter__()
    monkeypatch.setattr(storage_module, "LEASE_S", 300.0)
    with objects.lock(LOCK, wait_s=0):
        with pytest.raises(ArchiveError, match="writing took longer"):
            check()
        slow.__exit__(None, None, None)
        assert objects.is_locked(LOCK)


def test_late_rival_for_a_dead_lock_loses(
    objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rival reads that number 0 is the last, and acts on it after others have come, one of which
    # is at work.
    stale = objects._read_lock(LOCK)
    with objects.lock(LOCK, wait_s=0):
        pass
    with objects.lock(LOCK, wait_s=0):
        read = objects._read_lock
        answers = iter([stale])
        monkeypatch.setattr(objects, "_read_lock", lambda name: next(answers, None) or read(name))
        assert objects._try_lock(LOCK, "late rival") is None
        assert objects.is_locked(LOCK)
        assert objects.list_names(LOCK) == ("000000000002",)


def test_lock_object_that_cannot_be_read_counts_as_none(objects: ObjectStorage) -> None:
    objects.replace_text(f"{LOCK}/000000000007", "{")
    with objects.lock(LOCK, wait_s=0):
        assert objects.list_names(LOCK) == ("000000000008",)


def test_rivals_on_s3_take_turns(s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "_LEASE_POLL_S", 0.02)
    storage, at_work, most = open_storage(f"s3://bucket/{uuid.uuid4().hex}", s3), [0], [0]

    def work() -> None:
        with storage.lock(LOCK, wait_s=60):
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            time.sleep(0.02)
            at_work[0] -= 1

    with ThreadPoolExecutor(3) as pool:
        for task in [pool.submit(work) for _ in range(6)]:
            task.result()
    assert most == [1]


@pytest.mark.parametrize("url", ["nowhere://bucket/prefix", "gs://bucket/prefix"])
def test_url_that_cannot_be_opened_is_rejected(url: str) -> None:
    with pytest.raises(
        ArchiveError,
        match=rf"^{url}: cannot be opened as an archive: .*s3://bucket/prefix is right",
    ):
        Archive(url)


def test_file_url_is_a_folder(tmp_path: Path) -> None:
    assert Archive(f"file://{tmp_path}").root == tmp_path
    assert Archive(str(tmp_path)).root == tmp_path


def test_server_that_does_not_answer_is_one_clear_error(curtain: xr.Dataset) -> None:
    pytest.importorskip("s3fs", reason="needs s3fs")
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": "http://127.0.0.1:9",  # nothing listens to the port of the discard protocol
        "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
    }
    archive = Archive("s3://bucket/archive", options)
    for ask in (
        lambda: archive.days("station"),
        lambda: archive.open_day("station", DAY),
        lambda: archive.upsert("station", DAY, {FILE: curtain}, {}),
        lambda: archive.note_missing("station", [DAY]),
        archive.sources,
    ):
        with pytest.raises(
            ArchiveError, match=r"s3://bucket/archive.*cannot be (read|locked): Could not connect"
        ):
            ask()


@pytest.fixture
def archive(place: Place) -> Archive:
    return Archive(*place)


def change(curtain: xr.Dataset, by: float) -> xr.Dataset:
    return curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(by))


def shift_day(curtain: xr.Dataset) -> xr.Dataset:
    return curtain.assign_coords(time=curtain["time"] + np.timedelta64(1, "D"))


def test_archive_serves_the_same_wherever_it_lies(archive: Archive, curtain: xr.Dataset) -> None:
    assert (archive.sources(), archive.days("station")) == ((), ())
    archive.note_missing("station", [DAY, NEXT_DAY])
    first = archive.upsert("station", DAY, {FILE: curtain.isel(time=slice(0, 200))}, {})
    second = archive.upsert(
        "station", DAY, {OTHER: curtain.isel(time=slice(200, None))}, {}, {FILE: "why"}
    )
    archive.upsert("station", NEXT_DAY, {FILE: shift_day(curtain)}, {})
    assert (first.outcome, second.outcome) == (Outcome.INGESTED, Outcome.UPDATED)
    assert (second.added, second.kept) == (100, 200)
    assert archive.days("station") == (DAY, NEXT_DAY)
    assert archive.absent("station") == ()
    assert archive.needed("station", DAY, (FILE, OTHER), {}) == ()
    found = archive.read_day("station", DAY)
    for name in ("reflectivity", "doppler_velocity", "detection_status"):
        assert found[name].values.tobytes() == curtain[name].values.tobytes()
    assert archive.open_day("station", DAY)["reflectivity"].isel(time=7).values.tobytes() == (
        curtain["reflectivity"].values[7].tobytes()
    )
    both = archive.open_range("station", DAY, NEXT_DAY)
    assert both["reflectivity"].sel(time="2021-03-15").compute().values.tobytes() == (
        curtain["reflectivity"].values.tobytes()
    )
    assert verify_archive(archive) == []
    # One store a day is left.
    assert len(archive.storage.list_names("station/stores")) == 2


def test_plain_xarray_opens_a_store_by_its_url(
    archive: Archive, place: Place, curtain: xr.Dataset
) -> None:
    archive.upsert("station", DAY, {FILE: curtain}, {})
    url = archive.store_url("station", DAY)
    with xr.open_zarr(
        url, consolidated=False, chunks=None, storage_options=place[1] or None
    ) as plain:
        assert plain["reflectivity"].values.tobytes() == curtain["reflectivity"].values.tobytes()
    if isinstance(place[0], str):
        with pytest.raises(
            ArchiveError, match="no local folder; 'store_url' gives the address of a store"
        ):
            archive.store_path("station", DAY)


@pytest.mark.parametrize("failing", ["store", "record"])
def test_write_that_fails_leaves_the_earlier_state(
    failing: str, archive: Archive, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.upsert("station", DAY, {FILE: curtain}, {})
    storage = archive.storage
    step = "write_folder" if failing == "store" else "replace_text"
    whole = getattr(storage, step)

    def fail(name: str, content: Any) -> None:
        if "/.lock/" in name:
            return whole(name, content)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, step, fail)
        with pytest.raises(
            ArchiveError, match=r"cannot be written: .*No space left.*the archive stays as it was"
        ):
            archive.upsert("station", DAY, {OTHER: change(curtain, 1)}, {})
    held = archive.read_day("station", DAY)
    assert held["reflectivity"].values.tobytes() == curtain["reflectivity"].values.tobytes()
    # What it left is no fault of the data, and the next writer sweeps it away.
    assert {finding.fault for finding in verify_archive(archive)} <= {Fault.LEFTOVER, Fault.LOCK}
    archive.upsert("station", DAY, {OTHER: change(curtain, 1)}, {})
    assert len(storage.list_names("station/stores")) == 1


def test_folder_that_goes_while_it_is_measured_has_no_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    storage.write_folder("store", {"a/1": b"123", "b/2": b"4567"})
    assert storage.measure("store") == 7
    walk = Path.rglob

    def go_meanwhile(self: Path, pattern: str) -> Iterator[Path]:
        for found in walk(self, pattern):
            yield found
            shutil.rmtree(self, ignore_errors=True)

    monkeypatch.setattr(Path, "rglob", go_meanwhile)
    assert storage.measure("store") == 0


def test_reader_follows_the_record_while_a_writer_replaces(
    archive: Archive, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_LEASE_POLL_S", 0.02)
    versions = [change(curtain, step) for step in range(3)]
    allowed = [version["reflectivity"].values.tobytes() for version in versions]
    archive.upsert("station", DAY, {FILE: curtain}, {})
    done = threading.Event()

    def write() -> None:
        for number, version in enumerate(versions):
            archive.upsert(
                "station", DAY, {FileRecord(name="a.nc", size=1, sha256=str(number)): version}, {}
            )
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reads = 0
        while not done.is_set() or reads == 0:
            assert archive.read_day("station", DAY)["reflectivity"].values.tobytes() in allowed
            reads += 1
    finally:
        writer.join()


def test_lazy_reader_of_a_replaced_store_gets_an_error_and_no_fill_value(
    archive: Archive, curtain: xr.Dataset
) -> None:
    archive.upsert("station", DAY, {FILE: curtain}, {})
    opened, lazy = archive.open_day("station", DAY), archive.open_range("station", DAY, DAY)
    archive.upsert("station", DAY, {OTHER: change(curtain, 1)}, {})
    for late in (opened, lazy):
        with pytest.raises(
            DamagedError,
            match=r"'reflectivity/c/0/0' is gone; .*was replaced while it was open: open it",
        ):
            late["reflectivity"].isel(time=3).values.tolist()


def test_lost_chunk_is_found_and_set_aside(archive: Archive, curtain: xr.Dataset) -> None:
    archive.upsert("station", DAY, {FILE: curtain}, {})
    archive.storage.remove(
        f"station/stores/{archive.record('station', DAY).store}/doppler_velocity/c/0/0"
    )
    with pytest.raises(
        DamagedError, match="the ledger names this store and it is gone, or not whole; ingest"
    ):
        archive.open_day("station", DAY)
    assert archive.needed("station", DAY, (FILE,), {}) == (FILE,)
    assert [repair.finding.fault for repair in repair_archive(archive)] == [Fault.STORE]
    assert archive.days("station") == ()
    assert archive.upsert("station", DAY, {FILE: curtain}, {}).outcome is Outcome.INGESTED
    assert verify_archive(archive) == []


def test_second_writer_on_an_object_store_waits_and_then_gives_up(
    objects: ObjectStorage, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "LOCK_WAIT_S", 0.1)
    archive = Archive(objects.url)
    with (
        objects.lock(LOCK, wait_s=0),
        pytest.raises(ArchiveError, match="another process has kept the source locked"),
    ):
        archive.upsert("station", DAY, {FILE: curtain}, {})
    archive.upsert("station", DAY, {FILE: curtain}, {})
    holder = json.loads(objects.read_texts([f"{LOCK}/000000000002"])[f"{LOCK}/000000000002"])
    assert holder == {"owner": "", "until": 0}


S3_WRITER = """
import json, os, pickle, signal, sys, threading, time
from datetime import date
from pathlib import Path
from blindzone.pipeline.archive import Archive, FileRecord
url, options = sys.argv[1], json.loads(sys.argv[2])
parts = pickle.loads(Path(sys.argv[3]).read_bytes())
archive = Archive(url, options)
print("ready", flush=True)
for number in range(1000):
    file = FileRecord(name="a.nc", size=1, sha256=str(number))
    archive.upsert("station", date(2021, 3, 14), {file: parts[number % 2]}, {})
"""


def test_writer_killed_on_s3_leaves_a_whole_day(
    s3: dict[str, Any], curtain: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    versions = [curtain, change(curtain, 1)]
    pickled = tmp_path / "versions"
    pickled.write_bytes(pickle.dumps(versions))
    url = f"s3://bucket/{uuid.uuid4().hex}"
    archive = Archive(url, s3)
    archive.upsert("station", DAY, {FILE: curtain}, {})
    command = [sys.executable, "-c", S3_WRITER, url, json.dumps(s3), str(pickled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.8)
        writer.kill()
        writer.wait()
    found = archive.read_day("station", DAY)["reflectivity"].values.tobytes()
    assert found in [version["reflectivity"].values.tobytes() for version in versions]
    # Once its lease is over, the next writer sweeps up behind it.
    now = time.time
    monkeypatch.setattr(storage_module.time, "time", lambda: now() + 301)
    archive.upsert("station", DAY, {OTHER: curtain}, {})
    assert verify_archive(archive) == []
    assert len(archive.storage.list_names("station/stores")) == 1


def test_memory_of_many_places_is_not_shared() -> None:
    one: Callable[[], Archive] = lambda: Archive(f"memory://{uuid.uuid4().hex}")  # noqa: E731
    first, second = one(), one()
    first.note_missing("station", [DAY])
    assert (len(first.absent("station")), len(second.absent("station"))) == (1, 0)
