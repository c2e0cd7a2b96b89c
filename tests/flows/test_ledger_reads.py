"""An unchanged day costs the same in a large archive as in a small one, counted in reads."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from blindzone.flows.nightly import ingest_newest
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.plans import DataPlaces, Filling, Places
from blindzone.flows.running.product_run import ReprocessPlan, find_tasks
from blindzone.flows.running.product_task import RunMark
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.archive.care import describe_archive
from blindzone.pipeline.archive.ledger import record_name
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.catalog import source_files
from tests.support.short_days import SOURCE, Station, make_station

DAYS, COPIES = 3, 60
LAST = date(2000, 1, DAYS)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    return make_station(tmp_path_factory.mktemp("growth"), DAYS, hours=0.1)


@pytest.fixture
def places(station: Station, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DataPlaces:
    """An archive of the days, each ingested."""
    monkeypatch.setenv("BLINDZONE_DATA", str(station.data))
    places = DataPlaces(catalog=station.catalog, archive=str(tmp_path / "archive"))
    ingest_days(IngestPlan(source=SOURCE, start=date(2000, 1, 1), places=places))
    return places


def grow(places: DataPlaces, data: Path) -> None:
    """Adds earlier days, whose records and files are copies of the last one's."""
    archive = Archive(places.archive_address)
    record = archive.record(SOURCE, LAST)
    for number in range(1, COPIES + 1):
        day = date(2000, 1, 1) - timedelta(days=number)
        (data / SOURCE / f"{day:%Y%m%d}_radar.nc").touch()
        Path(archive.storage.locate(f"{SOURCE}/stores/{day:%Y%m%d}-00.zarr")).mkdir(exist_ok=True)
        copy = dataclasses.replace(record, day=day, store=f"{day:%Y%m%d}-00.zarr")
        archive.storage.replace_text(record_name(SOURCE, day), copy.to_json())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many ledger records are read, and how often a folder is listed."""
    count: Counter[str] = Counter()
    read_texts, list_names = LocalStorage.read_texts, LocalStorage.list_names
    list_folder = source_files._list_folder

    def count_texts(storage: LocalStorage, names: Sequence[str]) -> dict[str, str]:
        count["records"] += len(names)
        return read_texts(storage, names)

    def count_lists(storage: LocalStorage, folder: str) -> tuple[str, ...]:
        count["lists"] += 1
        return list_names(storage, folder)

    def count_folders(folder: str) -> list[str]:
        count["lists"] += 1
        return list_folder(folder)

    monkeypatch.setattr(LocalStorage, "read_texts", count_texts)
    monkeypatch.setattr(LocalStorage, "list_names", count_lists)
    monkeypatch.setattr(source_files, "_list_folder", count_folders)
    return count


def test_ingest_of_an_unchanged_day_reads_as_much_in_any_archive(
    places: DataPlaces, station: Station, reads: Counter[str]
) -> None:
    plan = IngestPlan(source=SOURCE, start=LAST, end=LAST, places=places)
    counts = []
    for _ in range(2):
        reads.clear()
        assert ingest_days(plan).changes[LAST].outcome is Outcome.UNCHANGED
        counts.append(dict(reads))
        grow(places, station.data)
    # The day's own record, and twice those of the day and of its neighbours; nothing is listed.
    assert counts == [{"records": 7}, {"records": 7}]


def test_nightly_reads_the_records_of_its_days_and_lists_the_files_once(
    places: DataPlaces, station: Station, reads: Counter[str]
) -> None:
    counts = []
    for _ in range(2):
        reads.clear()
        start, report = ingest_newest(SOURCE, 2, places)
        assert start == LAST - timedelta(days=1)
        assert {change.outcome for change in report.changes.values()} == {Outcome.UNCHANGED}
        counts.append(dict(reads))
        grow(places, station.data)
    # Two days' own, and twice those of both and of a neighbour at each end.
    assert counts == [{"records": 10, "lists": 1}, {"records": 10, "lists": 1}]


def test_planning_a_reprocess_reads_no_record_and_lists_the_ledger_once(
    places: DataPlaces, station: Station, reads: Counter[str]
) -> None:
    plan = ReprocessPlan(
        sources=(SOURCE,),
        start=LAST,
        filling=Filling(),
        places=Places(catalog=places.catalog, archive=places.archive),
    )
    for _ in range(2):
        reads.clear()
        tasks, _ = find_tasks(plan, RunMark())
        assert [task.day for task in tasks] == [LAST]
        assert dict(reads) == {"lists": 1}
        grow(places, station.data)


def test_summary_of_an_archive_reads_each_record_once(
    places: DataPlaces, station: Station, reads: Counter[str]
) -> None:
    grow(places, station.data)
    reads.clear()
    (summary,) = describe_archive(Archive(places.archive_address))
    assert summary.granules == DAYS + COPIES
    assert reads["records"] == DAYS + COPIES
