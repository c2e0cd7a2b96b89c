"""The archive: what goes in comes out, and nothing that fails or is killed harms what it holds."""

from __future__ import annotations

import fcntl
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, CurtainError, DamagedError
from blindzone.pipeline.archive import Archive, Change, FileRecord, Outcome, Verdict
from blindzone.pipeline.archive import storage as storage_module
from blindzone.pipeline.archive import writing as archive_module
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.archive.zarr_layout import hash_content, set_types
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.cf import check_cf
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.curtains.gridding import grid_curtain
from blindzone.pipeline.readers import read_curtain

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
SOURCE = "station"
FILE = FileRecord(name="20210314_station.nc", size=12, sha256="ab" * 32, uuid="1234")
NEW_FILE = FileRecord(name="20210314_station.nc", size=13, sha256="cd" * 32, uuid="5678")
LATER_FILE = FileRecord(name="20210314_station_late.nc", size=14, sha256="ef" * 32)
CONFIGURATION: dict[str, Any] = {
    "reader": "cloudnet_radar",
    "grid": {"rows": 16, "row_depth_m": 78.125},
}

MakeCurtain = Callable[..., xr.Dataset]


def put(
    archive: Archive, day: date, curtain: xr.Dataset, *files: FileRecord, source: str = SOURCE
) -> Outcome:
    """Upserts one file, or one that stands for several, and returns the outcome."""
    return archive.upsert(source, day, {files[0]: curtain}, CONFIGURATION).outcome


def change(curtain: xr.Dataset, by: float) -> xr.Dataset:
    return curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(by))


def assert_same_curtain(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Fields, times and coordinates bit for bit, types included."""
    assert set(found.data_vars) == set(expected.data_vars)
    for name in (*expected.data_vars, "height", "time"):
        assert found[name].dtype == expected[name].dtype, name
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name
    for name in ("latitude", "longitude", "altitude"):
        assert found[name].item() == expected[name].item()


def read_bytes(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def filled(archive: Archive, curtain: xr.Dataset) -> Archive:
    """An archive that holds one day."""
    put(archive, DAY, curtain, FILE)
    return archive


def test_day_comes_back_bit_for_bit(filled: Archive, curtain: xr.Dataset) -> None:
    found = filled.open_day(SOURCE, DAY).load()
    check_curtain(found)
    assert_same_curtain(found, curtain)


def test_single_profile_comes_back(archive: Archive, curtain: xr.Dataset) -> None:
    single = curtain.isel(time=[7])
    put(archive, DAY, single, FILE)
    assert_same_curtain(archive.open_day(SOURCE, DAY).load(), single)


def test_curtain_without_velocity_comes_back(archive: Archive, curtain: xr.Dataset) -> None:
    put(archive, DAY, curtain.drop_vars("doppler_velocity"), FILE)
    assert set(archive.open_day(SOURCE, DAY).data_vars) == {"reflectivity", "detection_status"}


@pytest.mark.filterwarnings("error")
def test_plain_xarray_opens_the_store_with_times_and_units(
    filled: Archive, curtain: xr.Dataset
) -> None:
    with xr.open_zarr(filled.store_path(SOURCE, DAY), consolidated=False) as plain:
        assert plain["time"].dtype == np.dtype("datetime64[ns]")
        # 4.503 s after midnight, as the synthetic curtain has it.
        assert abs(
            plain["time"].values[0] - np.datetime64("2021-03-14T00:00:04.503")
        ) < np.timedelta64(1, "us")
        assert plain["reflectivity"].attrs["units"] == "dBZ"
        assert plain.attrs["Conventions"].startswith("CF-1.11")
        assert plain["detection_status"].dtype == np.int8
        # Seconds since 1970 in double precision are 2.4e-7 s apart today.
        assert np.abs(plain["time"].values - curtain["time"].values).max() < np.timedelta64(1, "us")
        assert_same_curtain(plain.load().assign_coords(time=curtain["time"]), curtain)
        assert plain["source_file"].values.tolist() == [0] * 300
        check_cf(plain)


def test_first_write_ingests_and_second_replaces(filled: Archive, curtain: xr.Dataset) -> None:
    changed = curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(1))
    assert put(filled, DAY, changed, NEW_FILE) is Outcome.REPLACED
    assert put(filled, NEXT_DAY, shift_day(curtain), FILE) is Outcome.INGESTED
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), changed)
    assert [file.identity for file in filled.record(SOURCE, DAY).files] == [NEW_FILE.identity]
    assert filled.days(SOURCE) == (DAY, NEXT_DAY)
    # One store and one record a day are left.
    assert [
        len(list((filled.root / SOURCE / folder).iterdir())) for folder in ("stores", "ledger")
    ] == [2, 2]


def shift_day(curtain: xr.Dataset, days: int = 1) -> xr.Dataset:
    return curtain.assign_coords(time=curtain["time"] + np.timedelta64(days, "D"))


def test_record_tells_what_went_in(filled: Archive, curtain: xr.Dataset) -> None:
    record = filled.record(SOURCE, DAY)
    assert (record.source, record.day, record.configuration) == (SOURCE, DAY, CONFIGURATION)
    assert record.files == (replace(FILE, profiles=300),)
    # 300 profiles: the last one 4.503 + 299 * 9.001 = 2695.802 s = 44 min 55.802 s after midnight.
    assert (record.profiles, record.first_time, record.last_time) == (
        300,
        "2021-03-14T00:00:04.503Z",
        "2021-03-14T00:44:55.802Z",
    )
    assert (record.gaps, record.gap_seconds, record.rays) == (0, 0.0, 0)
    assert record.grid == "16 rows from 39.06 to 1210.94 m, 78.125 m apart"
    store = filled.store_path(SOURCE, DAY)
    assert store.name == record.store
    assert sum(len(content) for content in read_bytes(store).values()) == record.size
    assert record.content_hash == hash_content(
        curtain.assign_coords(source_file=("time", np.zeros(300, np.int16)))
    )


def test_gaps_are_steps_longer_than_five_median_ones(archive: Archive, curtain: xr.Dataset) -> None:
    # Four profiles are lacking, which makes a step of 5 * 9.001 s and no gap; and five: 6 * 9.001 =
    # 54.006 s.
    index = [*range(100), *range(104, 200), *range(205, 300)]
    put(archive, DAY, curtain.isel(time=index), FILE)
    record = archive.record(SOURCE, DAY)
    assert (record.gaps, record.gap_seconds) == (1, 54.006)


def test_unknown_day_is_rejected_with_what_is_held_and_what_to_do(
    filled: Archive, curtain: xr.Dataset
) -> None:
    put(filled, NEXT_DAY, shift_day(curtain), FILE)
    for ask in (filled.open_day, filled.record, filled.store_path):
        with pytest.raises(ArchiveError) as caught:
            ask(SOURCE, date(2021, 4, 1))
        assert (
            str(caught.value)
            == f"{filled.root}: no station for 2021-04-01; it holds 2 days from 2021-03-14 to"
            " 2021-03-15. 'blindzone ingest station --start 2021-04-01 --end 2021-04-01' would"
            " add it"
        )


def test_empty_archive_says_that_it_holds_nothing(archive: Archive) -> None:
    assert archive.days(SOURCE) == ()
    with pytest.raises(ArchiveError, match="it holds no day of it"):
        archive.open_day(SOURCE, DAY)


def test_store_that_is_gone_is_rejected_with_its_path(filled: Archive) -> None:
    store = filled.store_path(SOURCE, DAY)
    shutil.rmtree(store)
    reason = (
        rf"{store}: the ledger names this store and it is gone, or not whole; ingest 2021-03-14 of"
        r" station anew"
    )
    with pytest.raises(DamagedError, match=reason):
        filled.open_day(SOURCE, DAY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"source": "station"}', "null", "\ufffd"])
def test_damaged_record_is_rejected_by_name_and_replaced_by_the_next_write(
    text: str, filled: Archive, curtain: xr.Dataset
) -> None:
    path = filled.root / SOURCE / "ledger" / "20210314.json"
    path.write_text(text, encoding="utf-16")
    with pytest.raises(
        ArchiveError,
        match=rf"{path}: damaged ledger record: .*ingesting 2021-03-14 anew replaces it",
    ):
        filled.open_day(SOURCE, DAY)
    assert filled.needed(SOURCE, DAY, (FILE,), CONFIGURATION) == (
        FILE,
    )  # so that ingesting does replace it
    put(filled, DAY, curtain, FILE)
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), curtain)


def test_damage_to_one_day_keeps_no_other_from_being_written(
    filled: Archive, curtain: xr.Dataset
) -> None:
    (filled.root / SOURCE / "ledger" / "20210314.json").write_text("{")
    assert put(filled, NEXT_DAY, shift_day(curtain), FILE) is Outcome.INGESTED


def test_other_grid_is_rejected_with_both_and_changes_nothing(
    filled: Archive, make_curtain: MakeCurtain
) -> None:
    before = read_bytes(filled.root)
    with pytest.raises(ArchiveError) as caught:
        put(filled, NEXT_DAY, make_curtain(NEXT_DAY, rows=20), FILE)
    # Centres: 0.5 * 78.125 = 39.06 m, 15.5 * 78.125 = 1210.94 m, 19.5 * 78.125 = 1523.44 m.
    # The hashes are of the centres in tenths of a millimetre: 390625, 1171875, ... as int64.
    hashes = [
        hashlib.sha256((np.arange(rows) * 781250 + 390625).astype("<i8")).hexdigest()[:12]
        for rows in (20, 16)
    ]
    assert (
        f"its grid is 20 rows from 39.06 to 1523.44 m, 78.125 m apart (hash {hashes[0]}), that of"
        " the archive's other days 16 rows from 39.06 to 1210.94 m, 78.125 m apart (hash"
        f" {hashes[1]})" in str(caught.value)
    )
    assert read_bytes(filled.root) == before


def test_shifted_heights_are_another_grid(filled: Archive, curtain: xr.Dataset) -> None:
    shifted = shift_day(curtain).assign_coords(height=curtain["height"].values + 1)
    with pytest.raises(ArchiveError, match="one source has one grid"):
        put(filled, NEXT_DAY, shifted, FILE)


def test_only_day_may_change_its_grid_and_so_may_another_source(
    filled: Archive, make_curtain: MakeCurtain
) -> None:
    other = make_curtain(rows=20)
    assert put(filled, DAY, other, NEW_FILE) is Outcome.REPLACED
    assert put(filled, DAY, make_curtain(rows=12), FILE, source="other") is Outcome.INGESTED
    assert filled.open_day(SOURCE, DAY).sizes["height"] == 20


def test_profiles_outside_the_day_are_rejected_and_change_nothing(
    filled: Archive, curtain: xr.Dataset
) -> None:
    before = read_bytes(filled.root)
    # 300 profiles from 23:30 on: those later than 1800 s. 4.503 + 9.001 k >= 1800 from k = 200 on:
    # 100 profiles.
    late = curtain.assign_coords(time=curtain["time"] + np.timedelta64(23 * 60 + 30, "m"))
    with pytest.raises(
        ArchiveError, match=r"100 profiles are outside the day \(first: 2021-03-15T00:00:04\.70"
    ):
        put(filled, DAY, late, NEW_FILE)
    assert read_bytes(filled.root) == before


def test_dataset_that_is_no_curtain_is_rejected_and_changes_nothing(
    filled: Archive, curtain: xr.Dataset
) -> None:
    before = read_bytes(filled.root)
    with pytest.raises(
        CurtainError,
        match=r"station 2021-03-14 \(20210314_station\.nc\): a curtain needs the coord",
    ):
        put(filled, DAY, curtain.drop_vars("height"), NEW_FILE)
    with pytest.raises(ArchiveError, match="no profile would be left; the archive stays as it was"):
        put(filled, DAY, curtain.isel(time=slice(0)), NEW_FILE)
    assert read_bytes(filled.root) == before


def refuse(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


def fail_half_way(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Makes one step of a write fail as a full disk does."""
    if step == "half a store":
        whole = storage_module.write_synced

        def write_half(path: Path, content: bytes) -> None:
            if "reflectivity" in path.parts and "c" in path.parts:
                path.write_bytes(content[: len(content) // 2])
                refuse()
            whole(path, content)

        monkeypatch.setattr(storage_module, "write_synced", write_half)
    elif step == "store in place":
        monkeypatch.setattr(Path, "rename", refuse)
    elif step == "record":
        monkeypatch.setattr(LocalStorage, "replace_text", refuse)
    elif step == "record in place":
        monkeypatch.setattr(Path, "replace", refuse)
    elif step == "on disk":
        monkeypatch.setattr("os.fsync", refuse)


STEPS = ("half a store", "store in place", "record", "record in place", "on disk")


@pytest.mark.parametrize(
    "file", [FILE, NEW_FILE, LATER_FILE], ids=["same file", "new version", "another file"]
)
@pytest.mark.parametrize("step", STEPS)
def test_write_that_fails_half_way_leaves_the_earlier_day(
    step: str,
    file: FileRecord,
    filled: Archive,
    curtain: xr.Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, store = filled.record(SOURCE, DAY), filled.store_path(SOURCE, DAY)
    before = read_bytes(store)
    changed = curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(1))
    with monkeypatch.context() as patch:
        fail_half_way(patch, step)
        with pytest.raises(
            ArchiveError, match=r"cannot be written: .*No space left.*the archive stays as it was"
        ):
            put(filled, DAY, changed, file)
    assert filled.record(SOURCE, DAY) == record
    assert read_bytes(store) == before
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), curtain)
    assert not list(filled.root.rglob("*.partial"))
    # The next write succeeds and sweeps away what the failed one may have left.
    assert put(filled, DAY, changed, file) is Outcome.REPLACED
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), changed)
    assert [path.name for path in (filled.root / SOURCE / "stores").iterdir()] == [
        filled.record(SOURCE, DAY).store
    ]


@pytest.mark.parametrize("step", STEPS)
def test_first_write_that_fails_leaves_no_day_visible(
    step: str, archive: Archive, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_half_way(patch, step)
        with pytest.raises(ArchiveError, match="cannot be written"):
            put(archive, DAY, curtain, FILE)
    assert archive.days(SOURCE) == ()
    assert put(archive, DAY, curtain, FILE) is Outcome.INGESTED


@contextmanager
def hold_lock(archive: Archive) -> Iterator[Path]:
    """Holds a source's lock as a writer of another process does."""
    path = archive.root / SOURCE / ".lock"
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield path


def test_writer_waits_for_another_one_and_then_gives_up_with_a_reason(
    filled: Archive, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "LOCK_WAIT_S", 0.2)
    with hold_lock(filled) as lock:
        before = read_bytes(filled.root)
        with pytest.raises(
            ArchiveError, match=rf"^{lock}: another process has kept the source locked for 0 s;"
        ):
            put(filled, DAY, curtain, NEW_FILE)
        assert read_bytes(filled.root) == before
    # The lock of a dead process is none, though its file is still there.
    assert put(filled, DAY, curtain, NEW_FILE) is Outcome.REPLACED
    assert not lock.exists()


def test_threads_that_write_the_same_day_take_turns(archive: Archive, curtain: xr.Dataset) -> None:
    with ThreadPoolExecutor(4) as pool:
        tasks = [
            pool.submit(put, archive, DAY, curtain, (FILE, NEW_FILE)[number % 2])
            for number in range(8)
        ]
        outcomes = [task.result() for task in tasks]
    assert sorted(outcomes) == [Outcome.INGESTED, *[Outcome.REPLACED] * 7]
    assert_same_curtain(archive.open_day(SOURCE, DAY).load(), curtain)
    assert [
        len(list((archive.root / SOURCE / folder).iterdir())) for folder in ("stores", "ledger")
    ] == [1, 1]


def test_tidying_removes_what_killed_writers_left_unless_one_is_at_work(filled: Archive) -> None:
    stores = filled.root / SOURCE / "stores"
    before = read_bytes(filled.root)
    left = stores / "20210314-0123456789ab.zarr"
    left.mkdir()
    (left / "zarr.json").write_text("{}")
    partial = filled.root / SOURCE / "ledger" / ".20210315.absent.json.00ff.partial"
    partial.write_text("{")
    (filled.root / SOURCE / ".lock").touch()  # a killed writer leaves its lock, too
    with hold_lock(filled):
        filled.tidy(SOURCE)
    assert left.exists()
    filled.tidy(SOURCE)
    filled.tidy("another")  # of which nothing is archived
    assert read_bytes(filled.root) == before


def test_next_write_sweeps_away_what_killed_writers_of_the_day_left(
    filled: Archive, curtain: xr.Dataset
) -> None:
    stores, ledger = filled.root / SOURCE / "stores", filled.root / SOURCE / "ledger"
    for name in (
        ".20210314-0123456789ab.00ff.partial",
        "20210314-0123456789ab.zarr",
        ".20210315-0123456789ab.00ff.partial",
    ):
        (stores / name).mkdir()
    for name in (".20210314.json.00ff.partial", "20210314.absent.json", "20210314.damaged.json"):
        (ledger / name).write_text("{")
    assert filled.days(SOURCE) == (DAY,)
    put(filled, DAY, curtain, NEW_FILE)
    # What belongs to another day may be at work.
    held = filled.record(SOURCE, DAY).store
    assert {path.name for path in stores.iterdir()} == {held, ".20210315-0123456789ab.00ff.partial"}
    assert [path.name for path in ledger.iterdir()] == ["20210314.json"]


WRITER = """
import os, pickle, random, signal, sys, time
from datetime import date
from pathlib import Path
from blindzone.pipeline.archive import Archive, FileRecord
root, rounds = Path(sys.argv[1]), int(sys.argv[3])
versions = pickle.loads(Path(sys.argv[2]).read_bytes())
random.seed(0)
for _ in range(rounds):
    delay = random.uniform(0.02, 0.6)
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(started, b"x")
        while True:
            for parts in versions:
                Archive(root).upsert("station", date(2021, 3, 14), parts, {})
    os.read(ready, 1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
    sys.stdin.readline()
"""
"""Kills a writer at random instants; a line from its parent starts the next round."""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_writer_killed_at_any_instant_leaves_a_whole_day(
    archive: Archive, curtain: xr.Dataset, tmp_path: Path
) -> None:
    # The day as a whole, then its second half from another file, then a newer version of the first
    # one; and again.
    late, newer = (
        change(curtain.isel(time=slice(150, None)), 1),
        change(curtain.isel(time=slice(0, 250)), 2),
    )
    versions = [{FILE: curtain}, {LATER_FILE: late}, {NEW_FILE: newer}]
    states = []
    for parts in versions * 2:
        archive.upsert(SOURCE, DAY, parts, {})
        states.append(archive.record(SOURCE, DAY).content_hash)
    assert len(set(states)) >= 3
    pickled, rounds = tmp_path / "versions", 6
    pickled.write_bytes(pickle.dumps(versions))
    command = [sys.executable, "-c", WRITER, str(archive.root), str(pickled), str(rounds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(rounds):
            assert nursery.stdout.readline() == "killed\n"
            # Reading compares the content with what the record says that was written.
            assert hash_content(archive.read_day(SOURCE, DAY)) in states
            nursery.stdin.write("next\n")
            nursery.stdin.flush()
        assert nursery.wait(timeout=60) == 0
    # One more write sweeps away whatever the killed ones left behind.
    archive.upsert(SOURCE, DAY, {FILE: curtain}, {})
    left = [
        path
        for folder in ("stores", "ledger")
        for path in (archive.root / SOURCE / folder).iterdir()
    ]
    assert sorted(path.name for path in left) == sorted(
        [archive.record(SOURCE, DAY).store, "20210314.json"]
    )


def test_days_are_listed_in_order_whatever_order_they_came_in(
    archive: Archive, curtain: xr.Dataset
) -> None:
    for shift in (3, 0, 1):
        put(archive, DAY + timedelta(days=shift), shift_day(curtain, shift), FILE)
    assert archive.days(SOURCE) == (DAY, NEXT_DAY, date(2021, 3, 17))
    assert archive.days("other") == ()


def test_profiles_of_a_second_file_are_added_and_those_of_the_first_kept(
    archive: Archive, curtain: xr.Dataset
) -> None:
    put(archive, DAY, curtain.isel(time=slice(0, 200)), FILE)
    changed = archive.upsert(
        SOURCE, DAY, {LATER_FILE: curtain.isel(time=slice(200, None))}, CONFIGURATION
    )
    assert changed == Change(outcome=Outcome.UPDATED, added=100, kept=200)
    assert_same_curtain(archive.read_day(SOURCE, DAY), curtain)
    record = archive.record(SOURCE, DAY)
    assert record.files == (replace(FILE, profiles=200), replace(LATER_FILE, profiles=100))
    assert archive.read_day(SOURCE, DAY)["source_file"].values.tolist() == [0] * 200 + [1] * 100


def test_file_that_covers_another_supersedes_it(archive: Archive, curtain: xr.Dataset) -> None:
    put(archive, DAY, curtain.isel(time=slice(100, 200)), FILE)
    changed = archive.upsert(SOURCE, DAY, {LATER_FILE: change(curtain, 1)}, CONFIGURATION)
    assert changed == Change(outcome=Outcome.REPLACED, added=200, replaced=100)
    files = archive.record(SOURCE, DAY).files
    assert files == (
        replace(LATER_FILE, profiles=300),
        replace(FILE, verdict=Verdict.SUPERSEDED, reason="covered by 20210314_station_late.nc"),
    )
    assert archive.needed(SOURCE, DAY, (FILE, LATER_FILE), CONFIGURATION) == ()


def test_order_of_ingestion_does_not_show_where_files_do_not_overlap(
    tmp_path: Path, curtain: xr.Dataset
) -> None:
    parts = {
        FILE: curtain.isel(time=slice(0, 120)),
        LATER_FILE: curtain.isel(time=slice(120, None)),
    }
    hashes = set()
    for number, order in enumerate(([FILE, LATER_FILE], [LATER_FILE, FILE])):
        archive = Archive(tmp_path / str(number))
        for file in order:
            put(archive, DAY, parts[file], file)
        hashes.add(archive.record(SOURCE, DAY).content_hash)
    whole = Archive(tmp_path / "whole")
    whole.upsert(SOURCE, DAY, parts, CONFIGURATION)
    assert hashes == {whole.record(SOURCE, DAY).content_hash}


def test_kept_profiles_keep_their_bits_through_many_upserts(
    archive: Archive, curtain: xr.Dataset
) -> None:
    # Times that no double of seconds holds exactly must not creep.
    odd = curtain.assign_coords(time=curtain["time"] + np.timedelta64(123_457, "ns"))
    put(archive, DAY, odd.isel(time=slice(0, 100)), FILE)
    first = archive.read_day(SOURCE, DAY).drop_vars("source_file")
    for number in range(5):
        file = replace(LATER_FILE, sha256=str(number))
        put(archive, DAY, change(odd.isel(time=slice(100, 110 + number)), number), file)
    kept = archive.read_day(SOURCE, DAY).isel(time=slice(0, 100)).drop_vars("source_file")
    assert_same_curtain(kept, first)


def test_types_become_canonical_and_origins_of_an_earlier_archive_are_forgotten(
    archive: Archive, curtain: xr.Dataset
) -> None:
    loose = curtain.assign(
        {name: curtain[name].astype(float) for name in ("reflectivity", "detection_status")}
    )
    loose = loose.assign_coords(source_file=("time", np.full(300, 7, dtype=np.int16)))
    put(archive, DAY, loose, FILE)
    assert_same_curtain(archive.read_day(SOURCE, DAY), curtain)
    assert archive.read_day(SOURCE, DAY)["source_file"].values.max() == 0


def test_quality_flags_and_lidar_come_back(archive: Archive, curtain: xr.Dataset) -> None:
    shape, dims = curtain["reflectivity"].shape, ("time", "height")
    status = curtain["detection_status"].values
    full = curtain.assign(
        quality_flags=(dims, np.arange(300 * 16, dtype=np.int64).reshape(shape).astype(np.uint8)),
        attenuated_backscatter=(dims, np.where(status == 2, 1e-6, np.nan).astype(np.float32)),
        backscatter_status=(dims, np.where(status == 2, 2, 1).astype(np.int8)),
        temperature=(dims, np.full(shape, 273.15, dtype=np.float32)),
    )
    put(archive, DAY, full, FILE)
    assert_same_curtain(archive.read_day(SOURCE, DAY), full)


def test_chunk_that_plain_xarray_finds_gone_reads_as_no_valid_code(
    filled: Archive, curtain: xr.Dataset
) -> None:
    flags = curtain.assign(quality_flags=(("time", "height"), np.zeros((300, 16), dtype=np.uint8)))
    put(filled, DAY, flags, FILE)
    store = filled.store_path(SOURCE, DAY)
    for name in ("detection_status", "quality_flags", "reflectivity", "source_file"):
        shutil.rmtree(store / name / "c")
    with xr.open_zarr(store, consolidated=False, chunks=None) as plain:
        assert set(plain["detection_status"].values.ravel()) == {-1}
        assert set(plain["quality_flags"].values.ravel()) == {255}
        assert set(plain["source_file"].values) == {-1}
        assert np.isnan(plain["reflectivity"].values).all()


def test_bit_rot_is_an_error_when_it_is_read(filled: Archive, curtain: xr.Dataset) -> None:
    shard = filled.store_path(SOURCE, DAY) / "reflectivity" / "c" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        DamagedError, match=r"damaged, it cannot be read: .*'blindzone archive repair' sets such"
    ):
        filled.read_day(SOURCE, DAY)
    # What would have to be kept of it cannot be: nothing is written.
    before = read_bytes(filled.root)
    with pytest.raises(DamagedError):
        put(filled, DAY, curtain.isel(time=slice(0, 100)), LATER_FILE)
    assert read_bytes(filled.root) == before


def test_content_that_was_not_written_is_an_error_when_it_is_read(
    filled: Archive, curtain: xr.Dataset
) -> None:
    other = put(filled, NEXT_DAY, shift_day(change(curtain, 1)), FILE)
    assert other is Outcome.INGESTED
    shard = Path("reflectivity/c/0/0")
    shutil.copy(filled.store_path(SOURCE, NEXT_DAY) / shard, filled.store_path(SOURCE, DAY) / shard)
    with pytest.raises(DamagedError, match="its content is not what was written"):
        filled.read_day(SOURCE, DAY)


@pytest.mark.parametrize(
    ("files", "configuration", "needed"),
    [
        ((FILE,), CONFIGURATION, ()),
        ((), CONFIGURATION, ()),
        ((NEW_FILE,), CONFIGURATION, (NEW_FILE,)),
        ((FILE, LATER_FILE), CONFIGURATION, (LATER_FILE,)),
        ((LATER_FILE,), CONFIGURATION, (LATER_FILE,)),  # the other may have been moved away
        ((FILE, LATER_FILE), CONFIGURATION | {"reader": "other"}, (FILE, LATER_FILE)),
        ((FILE,), dict(reversed(CONFIGURATION.items())), ()),  # the order of keys says nothing
    ],
)
def test_needed_are_new_and_changed_files_and_all_of_another_configuration(
    files: tuple[FileRecord, ...],
    configuration: dict[str, Any],
    needed: tuple[FileRecord, ...],
    filled: Archive,
) -> None:
    assert filled.needed(SOURCE, DAY, files, configuration) == needed


def test_all_files_of_a_day_that_is_not_held_or_lost_are_needed(filled: Archive) -> None:
    assert filled.needed(SOURCE, NEXT_DAY, (FILE,), CONFIGURATION) == (FILE,)
    shutil.rmtree(filled.store_path(SOURCE, DAY))
    assert filled.needed(SOURCE, DAY, (FILE,), CONFIGURATION) == (FILE,)
    with pytest.raises(
        ArchiveError, match=r"its store is gone or damaged; all.*_station\.nc \(300 profiles\)"
    ):
        filled.needed(SOURCE, DAY, (LATER_FILE,), CONFIGURATION)


def test_other_configuration_without_a_held_file_is_rejected_with_what_to_do(
    filled: Archive, curtain: xr.Dataset
) -> None:
    before = read_bytes(filled.root)
    other = CONFIGURATION | {"reader": "other"}
    reason = (
        r"station 2021-03-14: it was made with another configuration \(reader: \"other\""
        r" instead of "
        r"\"cloudnet_radar\"\); all of its files must be read again, and the archived profiles of"
        r" these would be lost: "
        r"20210314_station\.nc \(300 profiles\); the archive stays as it was: put the files back"
        r" where they were, or "
        "ingest into another archive folder"
    )
    with pytest.raises(ArchiveError, match=reason):
        filled.needed(SOURCE, DAY, (LATER_FILE,), other)
    with pytest.raises(ArchiveError, match=reason):
        filled.upsert(SOURCE, DAY, {LATER_FILE: curtain}, other)
    with pytest.raises(
        ArchiveError, match=r"20210314_station\.nc \(300 profiles; rejected: too short\)"
    ):
        filled.upsert(SOURCE, DAY, {LATER_FILE: curtain}, other, {NEW_FILE: "too short"})
    assert read_bytes(filled.root) == before


def test_other_grid_without_a_held_file_is_rejected_with_both_grids(filled: Archive) -> None:
    finer = CONFIGURATION | {"grid": {"rows": 32, "row_depth_m": 39.0625}}
    with pytest.raises(ArchiveError) as caught:
        filled.needed(SOURCE, DAY, (LATER_FILE,), finer)
    held = filled.record(SOURCE, DAY)
    message = str(caught.value)
    assert (
        f"archived are 16 rows from 39.06 to 1210.94 m, 78.125 m apart (hash {held.grid_hash[:12]})"
        in message
    )
    assert "asked for are 32 rows from 19.53 to 1230.47 m, 39.0625 m apart (hash " in message


def test_other_configuration_with_all_files_replaces_all(
    filled: Archive, curtain: xr.Dataset
) -> None:
    early, late = slice(0, 200), slice(200, None)
    put(filled, DAY, change(curtain.isel(time=late), 1), LATER_FILE)
    parts = {
        FILE: change(curtain.isel(time=early), 2),
        LATER_FILE: change(curtain.isel(time=late), 2),
    }
    changed = filled.upsert(SOURCE, DAY, parts, CONFIGURATION | {"reader": "other"})
    assert changed == Change(outcome=Outcome.REPLACED, replaced=300)
    assert_same_curtain(filled.read_day(SOURCE, DAY), change(curtain, 2))
    assert filled.record(SOURCE, DAY).configuration["reader"] == "other"


def test_files_with_one_name_are_rejected(archive: Archive, curtain: xr.Dataset) -> None:
    with pytest.raises(
        ArchiveError, match=r"two of the files have one name: 20210314_station\.nc, 20210314_st"
    ):
        archive.upsert(SOURCE, DAY, {FILE: curtain, NEW_FILE: curtain}, CONFIGURATION)


def test_profiles_less_than_a_microsecond_apart_are_rejected(
    archive: Archive, curtain: xr.Dataset
) -> None:
    times = curtain["time"].values.copy()
    times[8] = times[7] + np.timedelta64(300, "ns")
    with pytest.raises(
        CurtainError, match="1 profiles are less than a microsecond after the one before"
    ):
        put(archive, DAY, curtain.assign_coords(time=times), FILE)


def write_version_1(archive: Archive, *files: FileRecord) -> None:
    """Makes the record of a day, and its store, what the first version of the ledger had."""
    record = asdict(archive.record(SOURCE, DAY))
    old = {
        name: record[name]
        for name in ("source", "store", "configuration", "profiles", "first_time", "last_time")
    }
    names = ("name", "size", "sha256", "uuid")
    entries = [
        {name: value for name, value in asdict(file).items() if name in names} for file in files
    ]
    old |= {
        "day": DAY.isoformat(),
        "files": entries,
        "written": record["written"],
        "ledger_version": 1,
    }
    (archive.root / SOURCE / "ledger" / "20210314.json").write_text(json.dumps(old))
    shutil.rmtree(archive.store_path(SOURCE, DAY) / "source_file")


def test_day_of_an_earlier_version_is_read_kept_and_added_to(
    filled: Archive, curtain: xr.Dataset
) -> None:
    write_version_1(filled, FILE)
    assert_same_curtain(filled.read_day(SOURCE, DAY), curtain)
    assert filled.needed(SOURCE, DAY, (FILE,), CONFIGURATION) == ()
    late = change(curtain.isel(time=slice(250, None)), 1)
    changed = filled.upsert(SOURCE, DAY, {LATER_FILE: late}, CONFIGURATION)
    assert changed == Change(outcome=Outcome.UPDATED, replaced=50, kept=250)
    assert [file.profiles for file in filled.record(SOURCE, DAY).files] == [250, 50]


def test_day_of_an_earlier_version_from_several_files_needs_all_of_them(
    filled: Archive, curtain: xr.Dataset
) -> None:
    write_version_1(filled, FILE, LATER_FILE)
    assert filled.needed(SOURCE, DAY, (FILE, LATER_FILE), CONFIGURATION) == ()
    third = replace(FILE, name="third.nc")
    assert filled.needed(SOURCE, DAY, (FILE, LATER_FILE, third), CONFIGURATION) == (
        FILE,
        LATER_FILE,
        third,
    )
    with pytest.raises(
        ArchiveError,
        match="which did not note what comes from which file; all of its files",
    ):
        filled.needed(SOURCE, DAY, (FILE, third), CONFIGURATION)
    parts = {FILE: curtain.isel(time=slice(0, 9)), LATER_FILE: curtain.isel(time=slice(9, None))}
    assert filled.upsert(SOURCE, DAY, parts, CONFIGURATION) == Change(
        outcome=Outcome.REPLACED, replaced=300
    )
    assert_same_curtain(filled.read_day(SOURCE, DAY), curtain)


def test_record_of_a_newer_version_is_neither_read_nor_replaced(
    filled: Archive, curtain: xr.Dataset
) -> None:
    path = filled.root / SOURCE / "ledger" / "20210314.json"
    path.write_text(path.read_text().replace('"ledger_version": 2', '"ledger_version": 4'))
    before = read_bytes(filled.root)
    for act in (lambda: filled.open_day(SOURCE, DAY), lambda: put(filled, DAY, curtain, NEW_FILE)):
        with pytest.raises(ArchiveError, match=rf"^{path}: a newer blindzone wrote this record"):
            act()
    assert read_bytes(filled.root) == before


def test_missing_days_are_noted_until_they_are_held(archive: Archive, curtain: xr.Dataset) -> None:
    archive.note_missing(SOURCE, [NEXT_DAY, DAY])
    assert [(record.day, record.verdict) for record in archive.absent(SOURCE)] == [
        (DAY, Verdict.MISSING),
        (NEXT_DAY, Verdict.MISSING),
    ]
    assert archive.days(SOURCE) == ()
    with pytest.raises(
        ArchiveError,
        match=r"no station for 2021-03-14 \(2021-03-14: missing\); it holds no day of it",
    ):
        archive.open_day(SOURCE, DAY)
    put(archive, DAY, curtain, FILE)
    archive.note_missing(SOURCE, [DAY])
    assert [record.day for record in archive.absent(SOURCE)] == [NEXT_DAY]


def test_refused_files_are_noted_of_a_day_that_is_not_held(
    archive: Archive, curtain: xr.Dataset
) -> None:
    archive.note_missing(SOURCE, [DAY])
    archive.note_rejected(SOURCE, DAY, {FILE: "cut short"})
    archive.note_rejected(SOURCE, DAY, {LATER_FILE: "no netCDF"})
    (record,) = archive.absent(SOURCE)
    assert (record.day, record.verdict) == (DAY, Verdict.REJECTED)
    assert record.files == (
        replace(FILE, verdict=Verdict.REJECTED, reason="cut short"),
        replace(LATER_FILE, verdict=Verdict.REJECTED, reason="no netCDF"),
    )
    assert archive.needed(SOURCE, DAY, (FILE,), CONFIGURATION) == (FILE,)
    with pytest.raises(
        ArchiveError, match=r"\(2021-03-14: rejected: 20210314_station\.nc: cut short"
    ):
        archive.open_day(SOURCE, DAY)


def test_refused_files_of_a_held_day_go_into_its_record(
    filled: Archive, curtain: xr.Dataset
) -> None:
    filled.note_rejected(SOURCE, DAY, {NEW_FILE: "cut short"})
    refused = replace(NEW_FILE, verdict=Verdict.REJECTED, reason="cut short")
    assert filled.record(SOURCE, DAY).files == (replace(FILE, profiles=300), refused)
    assert_same_curtain(filled.read_day(SOURCE, DAY), curtain)
    # It is to be read again, since what refused it may have been mended.
    assert filled.needed(SOURCE, DAY, (FILE, NEW_FILE), CONFIGURATION) == (NEW_FILE,)
    put(filled, DAY, curtain, NEW_FILE)
    assert filled.record(SOURCE, DAY).files == (replace(NEW_FILE, profiles=300),)


def test_upsert_notes_refused_files_and_keeps_what_is_held_of_their_earlier_version(
    filled: Archive, curtain: xr.Dataset
) -> None:
    late = change(curtain.isel(time=slice(200, None)), 1)
    filled.upsert(SOURCE, DAY, {LATER_FILE: late}, CONFIGURATION, {NEW_FILE: "cut short"})
    files = filled.record(SOURCE, DAY).files
    assert [(file.sha256[:2], file.verdict, file.profiles) for file in files] == [
        ("ab", Verdict.INGESTED, 200),
        ("ef", Verdict.INGESTED, 100),
        ("cd", Verdict.REJECTED, 0),
    ]
    assert (
        filled.upsert(SOURCE, DAY, {}, CONFIGURATION, {NEW_FILE: "cut short"}).outcome
        is Outcome.REJECTED
    )


def test_what_is_noted_already_is_not_written_again(filled: Archive) -> None:
    notes = ({NEW_FILE: "cut short"}, {})
    for note in notes:
        filled.note_rejected(SOURCE, DAY, note)
        filled.note_rejected(SOURCE, NEXT_DAY, note)
    filled.note_missing(SOURCE, [date(2021, 3, 16), DAY])
    before = {path: path.stat().st_ino for path in filled.root.rglob("*")}
    for note in notes:
        filled.note_rejected(SOURCE, DAY, note)
        filled.note_rejected(SOURCE, NEXT_DAY, note)
    filled.note_missing(SOURCE, [date(2021, 3, 16), DAY])
    assert {path: path.stat().st_ino for path in filled.root.rglob("*")} == before


def test_absent_record_that_is_damaged_is_left_out_and_written_anew(archive: Archive) -> None:
    archive.note_missing(SOURCE, [DAY])
    (archive.root / SOURCE / "ledger" / "20210314.absent.json").write_text("{")
    assert archive.absent(SOURCE) == ()
    archive.note_missing(SOURCE, [DAY])
    assert [record.day for record in archive.absent(SOURCE)] == [DAY]


def make_swath(make_curtain: MakeCurtain, day: date = DAY) -> xr.Dataset:
    """Three rays over midnight, each with a track of its own."""
    rays = [
        make_curtain(day, seed=seed, profiles=200).assign_coords(
            latitude=("time", np.linspace(-30, -20, 200) + seed),
            longitude=("time", np.linspace(150, 155, 200)),
        )
        for seed in range(3)
    ]
    swath: xr.Dataset = xr.concat(
        rays, dim="ray", data_vars="all", coords="different", compat="equals", join="exact"
    )
    return swath.assign_coords(time=swath["time"] + np.timedelta64(23 * 60 + 50, "m"))


GRANULE = datetime(2021, 3, 14, 23, 50, 4)


def test_granule_may_be_a_swath_over_midnight(archive: Archive, make_curtain: MakeCurtain) -> None:
    swath = make_swath(make_curtain)
    assert archive.upsert("gpm", GRANULE, {FILE: swath}, CONFIGURATION) == Change(
        outcome=Outcome.INGESTED, added=200
    )
    assert archive.days("gpm") == (GRANULE,)
    assert archive.record("gpm", GRANULE).rays == 3
    assert archive.store_path("gpm", GRANULE).name.startswith("20210314T235004-")
    found = archive.read_day("gpm", GRANULE)
    assert found["reflectivity"].dims == ("ray", "time", "height")
    for name in ("reflectivity", "detection_status", "time", "latitude"):
        assert found[name].values.tobytes() == swath[name].values.tobytes()
    chunks = json.loads(
        (archive.store_path("gpm", GRANULE) / "reflectivity" / "zarr.json").read_text()
    )
    assert chunks["codecs"][0]["configuration"]["chunk_shape"] == [1, 128, 16]


def test_granule_is_replaced_as_a_whole(archive: Archive, make_curtain: MakeCurtain) -> None:
    swath = make_swath(make_curtain)
    archive.upsert("gpm", GRANULE, {FILE: swath}, CONFIGURATION)
    changed = archive.upsert(
        "gpm", GRANULE, {LATER_FILE: swath.isel(time=slice(0, 50))}, CONFIGURATION
    )
    assert changed == Change(outcome=Outcome.REPLACED, replaced=50, dropped=150)
    assert [file.verdict for file in archive.record("gpm", GRANULE).files] == [
        Verdict.INGESTED,
        Verdict.SUPERSEDED,
    ]


def test_ray_that_is_no_curtain_is_rejected(archive: Archive, make_curtain: MakeCurtain) -> None:
    swath = make_swath(make_curtain)
    swath["detection_status"][1, 5, 5] = 9
    with pytest.raises(
        CurtainError, match=r"gpm 2021-03-14 23:50:04 .*'detection_status' holds \[9\]"
    ):
        archive.upsert("gpm", GRANULE, {FILE: swath}, CONFIGURATION)


def test_granule_far_from_its_profiles_is_rejected(
    archive: Archive, make_curtain: MakeCurtain
) -> None:
    with pytest.raises(
        ArchiveError, match="200 profiles are more than 31 days from the granule's start"
    ):
        archive.upsert(
            "gpm", datetime(2012, 3, 14), {FILE: make_swath(make_curtain)}, CONFIGURATION
        )


def test_one_source_has_one_kind_of_granule(filled: Archive, make_curtain: MakeCurtain) -> None:
    with pytest.raises(
        ArchiveError, match="the archive holds station by days, not by granules; one kind is right"
    ):
        put(filled, GRANULE, make_swath(make_curtain), FILE)


def test_range_is_one_lazy_dataset(archive: Archive, curtain: xr.Dataset) -> None:
    for shift in (0, 1, 3):
        put(archive, DAY + timedelta(days=shift), shift_day(change(curtain, shift), shift), FILE)
    found = archive.open_range(SOURCE, DAY, date(2021, 3, 17))
    assert found["reflectivity"].chunks == ((300, 300, 300), (16,))
    assert "source_file" not in found.variables
    assert found["latitude"].ndim == 0
    assert found["detection_status"].dtype == np.int8
    expected = np.concatenate(
        [change(curtain, shift)["reflectivity"].values for shift in (0, 1, 3)]
    )
    assert found["reflectivity"].values.tobytes() == expected.tobytes()
    xr.testing.assert_identical(archive.open_range(SOURCE), found)
    assert archive.open_range(SOURCE, end=NEXT_DAY).sizes["time"] == 600
    part = archive.open_range(SOURCE, NEXT_DAY, NEXT_DAY, variables=("reflectivity",))
    assert set(part.data_vars) == {"reflectivity"}
    assert_same_curtain(part.compute(), shift_day(change(curtain, 1))[["reflectivity"]])


def test_range_says_what_it_cannot_open(filled: Archive, curtain: xr.Dataset) -> None:
    put(filled, NEXT_DAY, shift_day(curtain).drop_vars("doppler_velocity"), FILE)
    with pytest.raises(
        ArchiveError,
        match="no station for 2021-04-01 to 2021-04-09; it holds 2 days from 2021-03-14",
    ):
        filled.open_range(SOURCE, date(2021, 4, 1), date(2021, 4, 9))
    with pytest.raises(
        ArchiveError, match=r"the days hold other variables: 2021-03-14 holds .*doppler_velocity"
    ):
        filled.open_range(SOURCE, DAY, NEXT_DAY)
    with pytest.raises(
        ArchiveError, match="station 2021-03-15 has no doppler_velocity; it has altitude"
    ):
        filled.open_range(SOURCE, DAY, NEXT_DAY, variables=("doppler_velocity",))
    assert (
        filled.open_range(SOURCE, DAY, NEXT_DAY, variables=("reflectivity",)).sizes["time"] == 600
    )


def test_range_of_dates_takes_in_the_granules_that_start_on_them(
    archive: Archive, make_curtain: MakeCurtain
) -> None:
    for hour in (1, 23):
        swath = make_swath(make_curtain)
        swath = swath.assign_coords(time=swath["time"] - np.timedelta64(23 - hour, "h"))
        archive.upsert("gpm", GRANULE.replace(hour=hour), {FILE: swath}, CONFIGURATION)
    assert archive.open_range("gpm", DAY, DAY).sizes["time"] == 400
    assert archive.open_range("gpm", datetime(2021, 3, 14, 12), NEXT_DAY).sizes["time"] == 200
    assert archive.days_between("gpm", datetime(2021, 3, 14), datetime(2021, 3, 14, 2)) == (
        GRANULE.replace(hour=1),
    )


def test_measured_day_takes_less_room_than_its_file(
    archive: Archive, measured_directory: Path, catalog_file: Path
) -> None:
    day, entry = date(2021, 3, 12), read_catalog(catalog_file)["palaiseau_basta"]
    path = measured_directory / "palaiseau_basta" / "20210312_palaiseau_basta.nc"
    curtain = grid_curtain(read_curtain(path, entry.reader), entry.grid)
    put(archive, day, curtain, FILE)
    assert archive.record(SOURCE, day).size < path.stat().st_size
    assert_same_curtain(archive.read_day(SOURCE, day), set_types(curtain))


def test_outcomes_are_known_by_the_words_of_earlier_reports() -> None:
    assert [Outcome(word) for word in ("ingested", "refused")] == [
        Outcome.INGESTED,
        Outcome.REJECTED,
    ]
    assert [str(outcome) for outcome in Outcome] == [
        *("created", "updated", "replaced", "unchanged", "rejected")
    ]
    with pytest.raises(ValueError, match="'lost' is not a valid Outcome"):
        Outcome("lost")
