"""What killed writers left is told from what records name and from last copies of data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import xarray as xr

from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.leftovers import find_leftovers

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32)
NEW_FILE = FileRecord(name="a.nc", size=12, sha256="cd" * 32)


@pytest.fixture
def archive(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> Archive:
    archive = Archive(tmp_path)
    for day in (DAY, NEXT_DAY):
        archive.upsert("station", day, {FILE: make_curtain(day)}, {})
    return archive


def add(archive: Archive, *names: str) -> None:
    """Adds stores that no record names."""
    for name in names:
        archive.storage.write_folder(f"station/stores/{name}", {"zarr.json": b"{}"})


def test_second_store_of_a_day_and_one_without_a_record_are_found(archive: Archive) -> None:
    assert find_leftovers(archive, "station") == {}
    add(archive, "20210314-00.zarr", "20210401-00.zarr")
    found = find_leftovers(archive, "station")
    assert {name: granule.start for name, granule in found.items()} == {
        "station/stores/20210314-00.zarr": DAY,
        "station/stores/20210401-00.zarr": date(2021, 4, 1),
    }


@pytest.mark.parametrize("fault", ["record", "store", "set aside"])
def test_stores_next_to_a_damaged_record_or_a_lost_store_are_kept(
    fault: str, archive: Archive
) -> None:
    add(archive, "20210314-00.zarr")
    record = Path(archive.root) / "station" / "ledger" / "20210314.json"
    if fault == "record":
        record.write_text("{")
    elif fault == "store":
        shutil.rmtree(archive.store_path("station", DAY))
    else:
        record.rename(record.with_name("20210314.damaged.json"))
    assert find_leftovers(archive, "station") == {}


def test_no_record_is_read_where_each_day_has_one_store(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    texts = archive.storage.read_texts
    monkeypatch.setattr(
        archive.storage, "read_texts", lambda names: read.extend(names) or texts(names)
    )
    add(archive, "20210314-00.zarr")
    assert len(find_leftovers(archive, "station")) == 1
    assert read == ["station/ledger/20210314.json"]


def test_writer_that_takes_over_a_dead_ones_lock_removes_what_is_left_of_all_days(
    archive: Archive, make_curtain: Callable[..., xr.Dataset]
) -> None:
    root = Path(archive.root) / "station"
    add(archive, "20210315-00.zarr")
    (root / "stores" / ".20210401-00.00ff.partial").mkdir()
    (root / "ledger" / ".20210402.absent.json.00ff.partial").write_text("{")
    archive.upsert("station", DAY, {NEW_FILE: make_curtain(DAY)}, {})
    assert len(find_leftovers(archive, "station")) == 3  # that writer gave its lock back
    (root / ".lock").touch()
    archive.note_missing("station", [date(2021, 4, 2)])
    assert find_leftovers(archive, "station") == {}
    assert sorted(path.name for path in (root / "ledger").iterdir()) == [
        "20210314.json",
        "20210315.json",
        "20210402.absent.json",
    ]
