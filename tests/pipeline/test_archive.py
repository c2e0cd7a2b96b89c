"""The archive: what goes in comes out, and nothing that fails or is killed harms what it holds."""

from __future__ import annotations

import fcntl
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from blindzone.pipeline import archive as archive_module
from blindzone.pipeline.archive import Archive, DayRecord, FileRecord, Outcome, describe_file
from blindzone.pipeline.cf import check_cf
from blindzone.pipeline.curtain import check_curtain
from blindzone.pipeline.errors import ArchiveError, CurtainError

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
SOURCE = "station"
FILES = (FileRecord(name="20210314_station.nc", size=12, sha256="ab" * 32, uuid="1234"),)
NEW_FILES = (FileRecord(name="20210314_station.nc", size=13, sha256="cd" * 32, uuid="5678"),)
CONFIGURATION: dict[str, Any] = {"reader": "cloudnet_radar", "grid": {"rows": 16, "row_depth_m": 78.125}}

MakeCurtain = Callable[..., xr.Dataset]


def assert_same_curtain(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Fields and coordinates bit for bit, types included; times as good as double-precision seconds hold them."""
    assert set(found.data_vars) == set(expected.data_vars)
    for name in ("reflectivity", "doppler_velocity", "detection_status", "height"):
        assert found[name].dtype == expected[name].dtype, name
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name
    for name in ("latitude", "longitude", "altitude"):
        assert found[name].item() == expected[name].item()
    # Seconds since 1970 in double precision are 2.4e-7 s apart today.
    assert np.abs(found["time"].values - expected["time"].values).max() < np.timedelta64(1, "us")


def read_bytes(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def filled(archive: Archive, curtain: xr.Dataset) -> Archive:
    """An archive that holds one day."""
    archive.write_day(SOURCE, DAY, curtain, FILES, CONFIGURATION)
    return archive


def test_day_comes_back_bit_for_bit(filled: Archive, curtain: xr.Dataset) -> None:
    found = filled.open_day(SOURCE, DAY).load()
    check_curtain(found)
    assert_same_curtain(found, curtain)


def test_single_profile_comes_back(archive: Archive, curtain: xr.Dataset) -> None:
    single = curtain.isel(time=[7])
    archive.write_day(SOURCE, DAY, single, FILES, CONFIGURATION)
    assert_same_curtain(archive.open_day(SOURCE, DAY).load(), single)


def test_curtain_without_velocity_comes_back(archive: Archive, curtain: xr.Dataset) -> None:
    archive.write_day(SOURCE, DAY, curtain.drop_vars("doppler_velocity"), FILES, CONFIGURATION)
    assert set(archive.open_day(SOURCE, DAY).data_vars) == {"reflectivity", "detection_status"}


@pytest.mark.filterwarnings("error")
def test_plain_xarray_opens_the_store_with_times_and_units(filled: Archive, curtain: xr.Dataset) -> None:
    with xr.open_zarr(filled.store_path(SOURCE, DAY), consolidated=False) as plain:
        assert plain["time"].dtype == np.dtype("datetime64[ns]")
        # 4.503 s after midnight, as the synthetic curtain has it.
        assert abs(plain["time"].values[0] - np.datetime64("2021-03-14T00:00:04.503")) < np.timedelta64(1, "us")
        assert plain["reflectivity"].attrs["units"] == "dBZ"
        assert plain.attrs["Conventions"].startswith("CF-1.11")
        assert plain["detection_status"].dtype == np.int8
        assert_same_curtain(plain.load(), curtain)
        check_cf(plain)


def test_first_write_ingests_and_second_replaces(filled: Archive, curtain: xr.Dataset) -> None:
    changed = curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(1))
    assert filled.write_day(SOURCE, DAY, changed, NEW_FILES, CONFIGURATION) is Outcome.REPLACED
    assert filled.write_day(SOURCE, NEXT_DAY, shift_day(curtain), FILES, CONFIGURATION) is Outcome.INGESTED
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), changed)
    assert filled.record(SOURCE, DAY).files == NEW_FILES
    assert filled.days(SOURCE) == (DAY, NEXT_DAY)
    # One store and one record a day are left.
    assert [len(list((filled.root / SOURCE / folder).iterdir())) for folder in ("stores", "ledger")] == [2, 2]


def shift_day(curtain: xr.Dataset, days: int = 1) -> xr.Dataset:
    return curtain.assign_coords(time=curtain["time"] + np.timedelta64(days, "D"))


def test_same_input_written_again_replaces_the_content(filled: Archive, curtain: xr.Dataset) -> None:
    # Files and configuration name the store: the same name must not keep new content out.
    for step in (1, 2, 3):
        changed = curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(step))
        assert filled.write_day(SOURCE, DAY, changed, FILES, CONFIGURATION) is Outcome.REPLACED
        assert_same_curtain(filled.open_day(SOURCE, DAY).load(), changed)
        assert filled.is_current(SOURCE, DAY, FILES, CONFIGURATION)
        assert len(list((filled.root / SOURCE / "stores").iterdir())) == 1


def test_record_tells_what_went_in(filled: Archive, curtain: xr.Dataset) -> None:
    record = filled.record(SOURCE, DAY)
    assert (record.source, record.day, record.files, record.configuration) == (SOURCE, DAY, FILES, CONFIGURATION)
    # 300 profiles: the last one 4.503 + 299 * 9.001 = 2695.802 s = 44 min 55.802 s after midnight.
    assert (record.profiles, record.first_time, record.last_time) == (
        300,
        "2021-03-14T00:00:04.503Z",
        "2021-03-14T00:44:55.802Z",
    )
    assert filled.store_path(SOURCE, DAY).name == record.store


@pytest.mark.parametrize(
    ("files", "configuration", "current"),
    [
        (FILES, CONFIGURATION, True),
        (NEW_FILES, CONFIGURATION, False),
        (FILES + NEW_FILES, CONFIGURATION, False),
        ((), CONFIGURATION, False),
        (FILES, CONFIGURATION | {"reader": "other"}, False),
        (FILES, dict(reversed(CONFIGURATION.items())), True),  # the order of keys says nothing
    ],
)
def test_day_is_current_for_the_same_files_and_configuration_alone(
    files: tuple[FileRecord, ...], configuration: dict[str, Any], current: bool, filled: Archive
) -> None:
    assert filled.is_current(SOURCE, DAY, files, configuration) is current


def test_day_that_is_not_held_or_whose_store_is_gone_is_not_current(filled: Archive) -> None:
    assert not filled.is_current(SOURCE, NEXT_DAY, FILES, CONFIGURATION)
    shutil.rmtree(filled.store_path(SOURCE, DAY))
    assert not filled.is_current(SOURCE, DAY, FILES, CONFIGURATION)


def test_unknown_day_is_refused_with_what_is_held_and_what_to_do(filled: Archive, curtain: xr.Dataset) -> None:
    filled.write_day(SOURCE, NEXT_DAY, shift_day(curtain), FILES, CONFIGURATION)
    for ask in (filled.open_day, filled.record, filled.store_path):
        with pytest.raises(ArchiveError) as caught:
            ask(SOURCE, date(2021, 4, 1))
        assert str(caught.value) == (
            f"{filled.root}: no station for 2021-04-01; it holds 2 days from 2021-03-14 to 2021-03-15. "
            "'blindzone ingest station --start 2021-04-01 --end 2021-04-01' would add it"
        )


def test_empty_archive_says_that_it_holds_nothing(archive: Archive) -> None:
    assert archive.days(SOURCE) == ()
    with pytest.raises(ArchiveError, match="it holds no day of it"):
        archive.open_day(SOURCE, DAY)


def test_store_that_is_gone_is_refused_with_its_path(filled: Archive) -> None:
    store = filled.store_path(SOURCE, DAY)
    shutil.rmtree(store)
    with pytest.raises(ArchiveError, match=rf"{store}: the ledger names this store and it is gone; ingest 2021-03-14"):
        filled.open_day(SOURCE, DAY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"source": "station"}', "null", "\ufffd"])
def test_damaged_record_is_refused_by_name_and_replaced_by_the_next_write(
    text: str, filled: Archive, curtain: xr.Dataset
) -> None:
    path = filled.root / SOURCE / "ledger" / "20210314.json"
    path.write_text(text, encoding="utf-16")
    with pytest.raises(ArchiveError, match=rf"{path}: damaged ledger record: .*ingesting 2021-03-14 anew replaces it"):
        filled.open_day(SOURCE, DAY)
    assert not filled.is_current(SOURCE, DAY, FILES, CONFIGURATION)  # so that ingesting does replace it
    filled.write_day(SOURCE, DAY, curtain, FILES, CONFIGURATION)
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), curtain)


def test_damage_to_one_day_keeps_no_other_from_being_written(filled: Archive, curtain: xr.Dataset) -> None:
    (filled.root / SOURCE / "ledger" / "20210314.json").write_text("{")
    assert filled.write_day(SOURCE, NEXT_DAY, shift_day(curtain), FILES, CONFIGURATION) is Outcome.INGESTED


def test_other_grid_is_refused_with_both_and_changes_nothing(filled: Archive, make_curtain: MakeCurtain) -> None:
    before = read_bytes(filled.root)
    with pytest.raises(ArchiveError) as caught:
        filled.write_day(SOURCE, NEXT_DAY, make_curtain(NEXT_DAY, rows=20), FILES, CONFIGURATION)
    # Centres: 0.5 * 78.125 = 39.06 m, 15.5 * 78.125 = 1210.94 m, 19.5 * 78.125 = 1523.44 m.
    assert (
        "its grid is 20 rows from 39.06 to 1523.44 m, that of the archive's other days 16 rows from 39.06 to 1210.94 m"
        in str(caught.value)
    )
    assert read_bytes(filled.root) == before


def test_shifted_heights_are_another_grid(filled: Archive, curtain: xr.Dataset) -> None:
    shifted = shift_day(curtain).assign_coords(height=curtain["height"].values + 1)
    with pytest.raises(ArchiveError, match="one source has one grid"):
        filled.write_day(SOURCE, NEXT_DAY, shifted, FILES, CONFIGURATION)


def test_only_day_may_change_its_grid_and_so_may_another_source(filled: Archive, make_curtain: MakeCurtain) -> None:
    other = make_curtain(rows=20)
    assert filled.write_day(SOURCE, DAY, other, NEW_FILES, CONFIGURATION) is Outcome.REPLACED
    assert filled.write_day("other", DAY, make_curtain(rows=12), FILES, CONFIGURATION) is Outcome.INGESTED
    assert filled.open_day(SOURCE, DAY).sizes["height"] == 20


def test_profiles_outside_the_day_are_refused_and_change_nothing(filled: Archive, curtain: xr.Dataset) -> None:
    before = read_bytes(filled.root)
    # 300 profiles from 23:30 on: those later than 1800 s. 4.503 + 9.001 k >= 1800 from k = 200 on: 100 profiles.
    late = curtain.assign_coords(time=curtain["time"] + np.timedelta64(23 * 60 + 30, "m"))
    with pytest.raises(ArchiveError, match=r"100 profiles lie outside the day \(first: 2021-03-15T00:00:04\.70"):
        filled.write_day(SOURCE, DAY, late, NEW_FILES, CONFIGURATION)
    assert read_bytes(filled.root) == before


def test_dataset_that_is_no_curtain_is_refused_and_changes_nothing(filled: Archive, curtain: xr.Dataset) -> None:
    before = read_bytes(filled.root)
    with pytest.raises(CurtainError, match=r"station 2021-03-14 \(20210314_station\.nc\): 'time' is empty"):
        filled.write_day(SOURCE, DAY, curtain.isel(time=slice(0)), NEW_FILES, CONFIGURATION)
    assert read_bytes(filled.root) == before


def refuse(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


def fail_half_way(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Makes one step of a write fail as a full disk does."""
    if step == "half a store":
        whole = xr.Dataset.to_zarr

        def write_half(self: xr.Dataset, store: Path, **settings: Any) -> None:
            whole(self[["detection_status"]], store, **settings | {"encoding": {}})
            refuse()

        monkeypatch.setattr(xr.Dataset, "to_zarr", write_half)
    elif step == "store in place":
        monkeypatch.setattr(Path, "rename", refuse)
    elif step == "record":
        monkeypatch.setattr(archive_module, "_replace_text", refuse)
    elif step == "record on disk":
        monkeypatch.setattr("os.fsync", refuse)


STEPS = ("half a store", "store in place", "record", "record on disk")


@pytest.mark.parametrize("files", [FILES, NEW_FILES], ids=["same input", "new input"])
@pytest.mark.parametrize("step", STEPS)
def test_write_that_fails_half_way_leaves_the_earlier_day(
    step: str,
    files: tuple[FileRecord, ...],
    filled: Archive,
    curtain: xr.Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, store = filled.record(SOURCE, DAY), filled.store_path(SOURCE, DAY)
    before = read_bytes(store)
    changed = curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(1))
    with monkeypatch.context() as patch:
        fail_half_way(patch, step)
        with pytest.raises(ArchiveError, match=r"cannot be written: .*No space left.*the archive stays as it was"):
            filled.write_day(SOURCE, DAY, changed, files, CONFIGURATION)
    assert filled.record(SOURCE, DAY) == record
    assert read_bytes(store) == before
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), curtain)
    assert not list(filled.root.rglob("*.partial"))
    # The next write succeeds and sweeps away what the failed one may have left.
    assert filled.write_day(SOURCE, DAY, changed, files, CONFIGURATION) is Outcome.REPLACED
    assert_same_curtain(filled.open_day(SOURCE, DAY).load(), changed)
    assert [path.name for path in (filled.root / SOURCE / "stores").iterdir()] == [filled.record(SOURCE, DAY).store]


@pytest.mark.parametrize("step", STEPS)
def test_first_write_that_fails_leaves_no_day_visible(
    step: str, archive: Archive, curtain: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_half_way(patch, step)
        with pytest.raises(ArchiveError, match="cannot be written"):
            archive.write_day(SOURCE, DAY, curtain, FILES, CONFIGURATION)
    assert archive.days(SOURCE) == ()
    assert archive.write_day(SOURCE, DAY, curtain, FILES, CONFIGURATION) is Outcome.INGESTED


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
        with pytest.raises(ArchiveError, match=rf"^{lock}: another process has kept station locked for 0 s; the arch"):
            filled.write_day(SOURCE, DAY, curtain, NEW_FILES, CONFIGURATION)
        assert read_bytes(filled.root) == before
    # The lock of a dead process is none, though its file is still there.
    assert filled.write_day(SOURCE, DAY, curtain, NEW_FILES, CONFIGURATION) is Outcome.REPLACED
    assert not lock.exists()


def test_threads_that_write_the_same_day_take_turns(archive: Archive, curtain: xr.Dataset) -> None:
    with ThreadPoolExecutor(4) as pool:
        tasks = [
            pool.submit(archive.write_day, SOURCE, DAY, curtain, (FILES, NEW_FILES)[number % 2], {})
            for number in range(8)
        ]
        outcomes = [task.result() for task in tasks]
    assert sorted(outcomes) == [Outcome.INGESTED, *[Outcome.REPLACED] * 7]
    assert_same_curtain(archive.open_day(SOURCE, DAY).load(), curtain)
    assert [len(list((archive.root / SOURCE / folder).iterdir())) for folder in ("stores", "ledger")] == [1, 1]


def test_tidying_removes_what_killed_writers_left_unless_one_is_at_work(filled: Archive) -> None:
    stores = filled.root / SOURCE / "stores"
    before = read_bytes(filled.root)
    left = stores / "20210314-0123456789ab.zarr"
    left.mkdir()
    (left / "zarr.json").write_text("{}")
    with hold_lock(filled):
        filled.tidy_day(SOURCE, DAY)
    assert left.exists()
    filled.tidy_day(SOURCE, DAY)
    filled.tidy_day(SOURCE, NEXT_DAY)  # of which nothing is held
    assert read_bytes(filled.root) == before


def test_next_write_sweeps_away_what_killed_writers_of_the_day_left(filled: Archive, curtain: xr.Dataset) -> None:
    stores, ledger = filled.root / SOURCE / "stores", filled.root / SOURCE / "ledger"
    for name in (
        ".20210314-0123456789ab.00ff.partial",
        "20210314-0123456789ab.zarr",
        ".20210315-0123456789ab.00ff.partial",
    ):
        (stores / name).mkdir()
    (ledger / ".20210314.json.00ff.partial").write_text("{")
    assert filled.days(SOURCE) == (DAY,)
    filled.write_day(SOURCE, DAY, curtain, NEW_FILES, CONFIGURATION)
    # What belongs to another day may be at work.
    held = filled.record(SOURCE, DAY).store
    assert {path.name for path in stores.iterdir()} == {held, ".20210315-0123456789ab.00ff.partial"}
    assert [path.name for path in ledger.iterdir()] == ["20210314.json"]


WRITER = """
import os, pickle, random, signal, sys, time
from datetime import date
from pathlib import Path
from blindzone.pipeline.archive import Archive, FileRecord
root, versions, rounds = Path(sys.argv[1]), pickle.loads(Path(sys.argv[2]).read_bytes()), int(sys.argv[3])
random.seed(0)
for _ in range(rounds):
    delay = random.uniform(0.02, 0.6)
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(started, b"x")
        while True:
            for curtain, files, configuration in versions:
                Archive(root).write_day("station", date(2021, 3, 14), curtain, files, configuration)
    os.read(ready, 1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
    sys.stdin.readline()
"""
"""Kills a writer at random instants; a line from its parent starts the next round."""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_writer_killed_at_any_instant_leaves_a_whole_day(filled: Archive, curtain: xr.Dataset, tmp_path: Path) -> None:
    # Two versions from other files, and one that replaces the second from the same files.
    changed = [curtain.assign(reflectivity=curtain["reflectivity"] + np.float32(step)) for step in (0, 1, 2)]
    versions = list(zip(changed, (FILES, NEW_FILES, NEW_FILES), [CONFIGURATION] * 3, strict=True))
    pickled, rounds = tmp_path / "versions", 6
    pickled.write_bytes(pickle.dumps(versions))
    command = [sys.executable, "-c", WRITER, str(filled.root), str(pickled), str(rounds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(rounds):
            assert nursery.stdout.readline() == "killed\n"
            files = filled.record(SOURCE, DAY).files
            found = filled.open_day(SOURCE, DAY).load()
            allowed = [version for version, its_files, _ in versions if its_files == files]
            bits = found["reflectivity"].values.tobytes()
            assert bits in [version["reflectivity"].values.tobytes() for version in allowed]
            assert_same_curtain(found, next(v for v in allowed if v["reflectivity"].values.tobytes() == bits))
            nursery.stdin.write("next\n")
            nursery.stdin.flush()
        assert nursery.wait(timeout=60) == 0
    # One more write sweeps away whatever the killed ones left behind.
    filled.write_day(SOURCE, DAY, curtain, FILES, CONFIGURATION)
    left = [path for folder in ("stores", "ledger") for path in (filled.root / SOURCE / folder).iterdir()]
    assert sorted(path.name for path in left) == sorted([filled.record(SOURCE, DAY).store, "20210314.json"])


texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
file_records = st.builds(FileRecord, name=texts, size=st.integers(0, 2**60), sha256=texts, uuid=texts)


@settings(max_examples=25)
@given(
    st.builds(
        DayRecord,
        source=texts,
        day=st.dates(),
        store=texts,
        files=st.lists(file_records, max_size=3).map(tuple),
        configuration=st.dictionaries(texts, json_values, max_size=3),
        profiles=st.integers(0),
        first_time=texts,
        last_time=texts,
        written=texts,
    )
)
def test_record_comes_back_through_json(record: DayRecord) -> None:
    text = record.to_json()
    assert DayRecord.from_json(text) == record
    assert json.loads(text)["ledger_version"] == 1


def test_file_is_described_by_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    path.write_bytes(b"abc")
    # SHA-256 of "abc", from FIPS 180-2, appendix B.1.
    assert describe_file(path, file_uuid="1234") == FileRecord(
        name="file.nc",
        size=3,
        sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        uuid="1234",
    )


def test_days_are_listed_in_order_whatever_order_they_came_in(archive: Archive, curtain: xr.Dataset) -> None:
    for shift in (3, 0, 1):
        archive.write_day(SOURCE, DAY + timedelta(days=shift), shift_day(curtain, shift), FILES, CONFIGURATION)
    assert archive.days(SOURCE) == (DAY, NEXT_DAY, date(2021, 3, 17))
    assert archive.days("other") == ()
