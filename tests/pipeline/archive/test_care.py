"""Care of an archive: every fault is found, and repair touches nothing that is whole."""

from __future__ import annotations

import fcntl
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive import Archive, DayRecord, FileRecord, Outcome, care
from blindzone.pipeline.archive.care import (
    Fault,
    SourceSummary,
    describe_archive,
    repair_archive,
    verify_archive,
)
from blindzone.pipeline.archive.leftovers import find_leftovers

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32)
NEW_FILE = FileRecord(name="a.nc", size=12, sha256="cd" * 32)

MakeCurtain = Callable[..., xr.Dataset]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, make_curtain: MakeCurtain) -> Path:
    """Three days of a station, and a granule of another source."""
    archive = Archive(tmp_path_factory.mktemp("written"))
    for shift in range(3):
        day = DAY + timedelta(days=shift)
        archive.upsert("station", day, {FILE: make_curtain(day, seed=shift)}, {})
    archive.upsert("gpm", datetime(2021, 3, 14, 9, 50), {FILE: make_curtain(DAY)}, {})
    return Path(archive.root)


@pytest.fixture
def archive(written: Path, tmp_path: Path) -> Archive:
    """A copy of what was written, as the test's own."""
    return Archive(shutil.copytree(written, tmp_path / "archive"))


@pytest.fixture
def store(archive: Archive) -> Path:
    return archive.store_path("station", DAY)


@pytest.fixture
def ledger(archive: Archive) -> Path:
    return Path(archive.root) / "station" / "ledger"


def read_bytes(root: Path | str) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(Path(root).rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_whole_archive_has_no_fault_and_stays_as_it_is(archive: Archive) -> None:
    before = read_bytes(archive.root)
    assert verify_archive(archive) == []
    assert repair_archive(archive) == []
    assert read_bytes(archive.root) == before


def damage(store: Path, ledger: Path, how: str) -> None:
    record = ledger / "20210314.json"
    shard = store / "doppler_velocity" / "c" / "0" / "0"
    if how == "store gone":
        shutil.rmtree(store)
    elif how == "chunk gone":
        shard.unlink()
    elif how == "chunk cut short":
        shard.write_bytes(shard.read_bytes()[:-9])
    elif how == "bit rot":
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 4
        shard.write_bytes(content)
    elif how == "metadata gone":
        (store / "reflectivity" / "zarr.json").unlink()
    elif how == "record cut short":
        record.write_text(record.read_text()[:200])
    elif how == "record of another day":
        shutil.copy(ledger / "20210315.json", record)
    else:
        field, value = how.split("=")
        record.write_text(json.dumps(json.loads(record.read_text()) | {field: json.loads(value)}))


@pytest.mark.parametrize(
    ("how", "fault", "message"),
    [
        ("store gone", Fault.STORE, "the ledger names this store and it is gone, or not whole"),
        ("chunk gone", Fault.STORE, "the ledger names this store and it is gone, or not whole"),
        (
            "chunk cut short",
            Fault.STORE,
            "the ledger names this store and it is gone, or not whole",
        ),
        ("bit rot", Fault.STORE, "damaged, it cannot be read"),
        ("metadata gone", Fault.STORE, "the ledger names this store and it is gone, or not whole"),
        ("record cut short", Fault.RECORD, "damaged ledger record"),
        (
            "record of another day",
            Fault.RECORD,
            "damaged ledger record: it is that of station 2021-03-15",
        ),
        ("profiles=299", Fault.RECORD, "its store has profiles 300, the record says 299"),
        (
            'last_time="2021-03-14T01:00:00.000Z"',
            Fault.RECORD,
            "last_time 2021-03-14T00:44:55.802Z, the record says",
        ),
        (
            'store="20210314-0.zarr"',
            Fault.STORE,
            "the ledger names this store and it is gone, or not whole",
        ),
        ('content_hash="ab"', Fault.STORE, "its content is not what was written"),
    ],
)
def test_damaged_day_is_found_and_set_aside_and_the_next_ingest_makes_it_anew(
    how: str,
    fault: Fault,
    message: str,
    archive: Archive,
    store: Path,
    ledger: Path,
    make_curtain: MakeCurtain,
) -> None:
    damage(store, ledger, how)
    (finding,) = verify_archive(archive)
    assert (finding.source, finding.day, finding.fault) == ("station", DAY, fault)
    assert message in finding.message
    others = {
        name: content
        for name, content in read_bytes(archive.root).items()
        if "20210314-" not in name
    }

    before = read_bytes(archive.root)
    (asked,) = repair_archive(archive, dry_run=True)
    assert not asked.done
    assert read_bytes(archive.root) == before
    (repair,) = repair_archive(archive)
    assert (repair.finding, repair.done) == (finding, True)
    assert str(finding).startswith(f"station 2021-03-14: {fault}: ")
    assert str(repair) == f"{finding}; done: {repair.action}"
    assert repair.action == "set the record of 2021-03-14 aside; ingest 2021-03-14 of station anew"

    assert archive.days("station") == (NEXT_DAY, date(2021, 3, 16))
    assert (ledger / "20210314.damaged.json").exists()
    # Nothing else has changed, and what is left of the store stays until the day is made anew.
    others["station/ledger/20210314.damaged.json"] = others.pop("station/ledger/20210314.json")
    left = read_bytes(archive.root)
    assert {name: content for name, content in left.items() if "20210314-" not in name} == others
    assert {name for name in left if "20210314-" in name} == {
        name for name in before if "20210314-" in name
    }
    assert repair_archive(archive) == []
    assert archive.upsert("station", DAY, {FILE: make_curtain()}, {}).outcome is Outcome.INGESTED
    assert verify_archive(archive) == []
    assert not (ledger / "20210314.damaged.json").exists()


def test_every_flipped_byte_is_found_or_changes_nothing(archive: Archive, store: Path) -> None:
    expected = archive.read_day("station", DAY)
    rng = np.random.default_rng(0)
    found = 0
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    for path in files:
        content = path.read_bytes()
        for place in rng.integers(len(content), size=2):
            damaged = bytearray(content)
            damaged[place] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            faults = verify_archive(archive, "station")
            if faults:
                assert [finding.fault for finding in faults] == [Fault.STORE]
                found += 1
            else:
                xr.testing.assert_equal(archive.read_day("station", DAY), expected)
        path.write_bytes(content)
    # Some hit nothing but the text of an attribute.
    assert found > len(files) // 2


def test_what_killed_writers_left_is_found_and_removed(archive: Archive) -> None:
    before = read_bytes(archive.root)
    root = Path(archive.root) / "station"
    for name in (
        "20210314-0123456789ab.zarr",
        "20210401-0123456789ab.zarr",
        ".20210314-0123456789ab.00ff.partial",
    ):
        (root / "stores" / name).mkdir()
        (root / "stores" / name / "zarr.json").write_text("{}")
    for name in (
        ".20210314.json.00ff.partial",
        ".20210401.absent.json.00ff.partial",
        "20210314.absent.json",
    ):
        (root / "ledger" / name).write_text("{")
    (root / ".lock").touch()
    faults = [finding.fault for finding in verify_archive(archive)]
    assert sorted(faults) == [*[Fault.LEFTOVER] * 6, Fault.LOCK]
    repairs = repair_archive(archive)
    assert len(repairs) == 7
    assert all(repair.done for repair in repairs)
    assert read_bytes(archive.root) == before


def test_what_is_not_the_archives_own_is_left_alone(archive: Archive) -> None:
    root = Path(archive.root)
    (root / "README").write_text("mine")
    (root / "station" / "stores" / "notes.txt").write_text("mine")
    (root / "station" / "ledger" / "99999999.json").write_text("mine")
    before = read_bytes(root)
    assert verify_archive(archive) == []
    assert repair_archive(archive) == []
    assert read_bytes(root) == before


def test_writer_at_work_leaves_nothing_to_find(archive: Archive, store: Path) -> None:
    (store.parent / ".20210314-0123456789ab.00ff.partial").mkdir()
    lock = Path(archive.root) / "station" / ".lock"
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert verify_archive(archive) == []
    assert [finding.fault for finding in verify_archive(archive)] == [Fault.LEFTOVER, Fault.LOCK]


def test_repair_gives_up_while_a_writer_is_at_work(
    archive: Archive, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindzone.pipeline.archive.writing.LOCK_WAIT_S", 0.1)
    (store.parent / ".20210314-0123456789ab.00ff.partial").mkdir()
    with (Path(archive.root) / "station" / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(ArchiveError, match="another process has kept the source locked"):
            repair_archive(archive)


def test_day_with_another_grid_is_found_and_left_alone(
    archive: Archive, make_curtain: MakeCurtain
) -> None:
    other = Archive(Path(archive.root).parent / "other")
    other.upsert("station", DAY, {FILE: make_curtain(rows=20)}, {})
    for folder in ("stores", "ledger"):
        for path in (Path(other.root) / "station" / folder).iterdir():
            target = Path(archive.root) / "station" / folder / path.name
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)
    shutil.rmtree(
        next((Path(archive.root) / "station" / "stores").glob("20210314-*")), ignore_errors=True
    )
    store = other.store_path("station", DAY)
    shutil.copytree(
        store, Path(archive.root) / "station" / "stores" / store.name, dirs_exist_ok=True
    )
    findings = [
        finding for finding in verify_archive(archive) if finding.fault is not Fault.LEFTOVER
    ]
    assert [(finding.day, finding.fault) for finding in findings] == [(DAY, Fault.GRID)]
    assert (
        findings[0].message
        == "its grid is 20 rows from 39.06 to 1523.44 m, 78.125 m apart, that of most other days 16"
        " rows from 39.06 to 1210.94 m, 78.125 m apart"
    )
    assert all(repair.finding.fault is Fault.LEFTOVER for repair in repair_archive(archive))
    assert archive.days("station")[0] == DAY


def test_record_of_a_newer_version_is_found_and_left_alone(archive: Archive, ledger: Path) -> None:
    path = ledger / "20210314.json"
    path.write_text(path.read_text().replace('"ledger_version": 2', '"ledger_version": 4'))
    assert [finding.fault for finding in verify_archive(archive)] == [Fault.VERSION]
    assert repair_archive(archive) == []
    assert path.exists()


def test_place_that_cannot_be_read_is_no_damage(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archive.storage, "open_folder", refuse)
    findings = verify_archive(archive, "station")
    assert [finding.fault for finding in findings] == [Fault.UNREADABLE] * 3
    assert "cannot be read: [Errno 13] Permission denied" in findings[0].message
    assert repair_archive(archive, "station") == []


def test_record_that_cannot_be_read_is_found_and_left_alone(archive: Archive, ledger: Path) -> None:
    (ledger / "20210401.json").mkdir()
    faults = [(finding.day, finding.fault) for finding in verify_archive(archive)]
    assert faults == [(date(2021, 4, 1), Fault.UNREADABLE)]
    assert repair_archive(archive) == []
    assert (ledger / "20210401.json").exists()


def test_unknown_source_is_rejected_with_those_that_are_there(archive: Archive) -> None:
    for ask in (verify_archive, repair_archive, describe_archive):
        with pytest.raises(ArchiveError, match="no source 'nowhere'; it holds gpm, station"):
            ask(archive, "nowhere")


def test_day_of_an_earlier_version_is_no_fault(archive: Archive, ledger: Path) -> None:
    path = ledger / "20210314.json"
    record = json.loads(path.read_text())
    kept = (
        "source",
        "day",
        "store",
        "configuration",
        "profiles",
        "first_time",
        "last_time",
        "written",
    )
    files = [
        {name: entry[name] for name in ("name", "size", "sha256", "uuid")}
        for entry in record["files"]
    ]
    path.write_text(
        json.dumps({name: record[name] for name in kept} | {"files": files, "ledger_version": 1})
    )
    assert verify_archive(archive) == []


def test_description_sums_up_the_ledger(
    archive: Archive, ledger: Path, make_curtain: MakeCurtain
) -> None:
    archive.note_missing("station", [date(2021, 3, 20), date(2021, 3, 21)])
    archive.note_rejected("station", date(2021, 3, 22), {FILE: "cut short"})
    archive.note_rejected("station", DAY, {FileRecord(name="b.nc", size=1, sha256=""): "no netCDF"})
    # Ten profiles lack: a step of 11 * 9.001 s = 99.011 s.
    gappy = make_curtain(NEXT_DAY).isel(time=[*range(100), *range(110, 300)])
    archive.upsert("station", NEXT_DAY, {FILE: gappy}, {})
    (ledger / "20210316.json").write_text("{")
    size = sum(archive.record("station", day).size for day in (DAY, NEXT_DAY))
    granules, station = describe_archive(archive)
    assert (granules.source, granules.granules, granules.first) == (
        "gpm",
        1,
        datetime(2021, 3, 14, 9, 50),
    )
    assert station == SourceSummary(
        source="station",
        granules=2,
        first=DAY,
        last=date(2021, 3, 16),
        profiles=590,
        gaps=1,
        gap_seconds=99.011,
        missing=2,
        rejected=1,
        rejected_files=2,
        profiles_dropped={},
        damaged=1,
        grid="16 rows from 39.06 to 1210.94 m, 78.125 m apart",
        bytes=size,
    )
    assert describe_archive(archive, "station") == (station,)


def test_repair_whose_lease_is_over_leaves_the_next_writers_store_alone(
    make_curtain: MakeCurtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that would harm: the lease ends, another writer writes its store, repair lists."""
    archive = Archive(f"memory://repair-{uuid.uuid4().hex}")
    archive.upsert("station", DAY, {FILE: make_curtain(DAY)}, {})
    archive.storage.write_folder("station/stores/20210401-000000000000.zarr", {"zarr.json": b"{}"})
    live = "station/stores/20210402-000000000000.zarr"
    calls = []

    def list_late(reader: Archive, source: str) -> dict[str, Granule]:
        calls.append(source)
        if archive.storage.is_locked("station/.lock"):
            taken_over = json.dumps({"owner": "another", "until": time.time() + 300})
            archive.storage.replace_text("station/.lock/000000999999", taken_over)
            archive.storage.write_folder(live, {"zarr.json": b"{}"})
        return find_leftovers(reader, source)

    monkeypatch.setattr(care, "find_leftovers", list_late)
    with pytest.raises(ArchiveError, match="took longer than the lock holds"):
        repair_archive(archive)
    assert len(calls) == 2
    assert archive.storage.measure(live) == 2
    assert archive.storage.measure("station/stores/20210401-000000000000.zarr") == 2


def test_writers_write_while_a_repair_verifies(
    archive: Archive, make_curtain: MakeCurtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read a large archive takes longer than a writer waits, so that repair holds no lock."""
    monkeypatch.setattr("blindzone.pipeline.archive.writing.LOCK_WAIT_S", 0.0)
    inspect = care._inspect_granule
    new = iter(range(10, 20))

    def write_meanwhile(archive: Archive, record: DayRecord) -> list[care.Finding]:
        day = DAY + timedelta(days=next(new))
        outcome = archive.upsert("station", day, {FILE: make_curtain(day)}, {}).outcome
        assert outcome is Outcome.INGESTED
        return inspect(archive, record)

    monkeypatch.setattr(care, "_inspect_granule", write_meanwhile)
    assert repair_archive(archive, "station") == []
    assert len(archive.days("station")) == 6


def test_writer_gets_its_turn_while_a_repair_removes_much(
    archive: Archive, make_curtain: MakeCurtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each portion holds one removal here, and the writer comes in one of the four pauses."""
    monkeypatch.setattr(care, "_PORTION_S", 0.0)
    monkeypatch.setattr(care, "_PAUSE_S", 0.3)
    for number in range(5):
        archive.storage.write_folder(f"station/stores/2021040{number + 1}-00.zarr", {"a": b"{}"})
    remove, events = archive.storage.remove, []
    ready = threading.Event()

    def note_removal(name: str) -> None:
        remove(name)
        events.append("removed")
        ready.set()

    def write() -> Outcome:
        ready.wait(10)
        outcome = Archive(archive.root).upsert(
            "station", NEXT_DAY, {NEW_FILE: make_curtain(NEXT_DAY, seed=9)}, {}
        )
        events.append("written")
        return outcome.outcome

    monkeypatch.setattr(archive.storage, "remove", note_removal)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        assert len(repair_archive(archive, "station")) == 5
        assert writer.result() is Outcome.REPLACED
    assert events.index("written") < len(events) - 1
    assert verify_archive(archive) == []


def test_day_that_a_writer_made_anew_meanwhile_is_not_set_aside(
    archive: Archive, store: Path, make_curtain: MakeCurtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(store / "reflectivity")
    mend_all = care._mend_all

    def mend_late(*arguments: Any) -> list[care.Finding]:
        archive.upsert("station", DAY, {FILE: make_curtain(DAY)}, {})
        return mend_all(*arguments)

    monkeypatch.setattr(care, "_mend_all", mend_late)
    assert repair_archive(archive, "station") == []
    assert verify_archive(archive) == []
    assert DAY in archive.days("station")
