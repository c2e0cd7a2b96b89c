"""Cost of a day that is archived and filled already, in a small archive and in one of decades.

Run `python benchmarks/growth.py`; it takes about two minutes and prints one table. One simulated
day is ingested; the others are copies of its record and file under other dates, with empty stores.
A plan lists the names of the ledger once, which takes longer the more there are, and parses those
of its range. Small and large are measured in turns in one run, so that other work on the machine
changes both.
"""

from __future__ import annotations

import dataclasses
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from blindzone.flows.nightly import ingest_newest
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.plans import DataPlaces, Places
from blindzone.flows.running.product_run import ReprocessPlan, find_tasks
from blindzone.flows.running.product_task import ProductTask, RunMark, find_unchanged
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.archive.care import describe_archive
from blindzone.pipeline.archive.ledger import record_name
from blindzone.pipeline.readers.simulation import write_simulated_day

SOURCE, LAST = "station", date(2021, 3, 14)
DAYS = (20, 200, 2000, 8000)
TURNS = 15
BOUND = 1.5
ENTRY = """
version: 1
sources:
  station: {directory: station, files: "%Y%m%d_radar.nc", reader: cloudnet_radar}
"""


def main() -> None:
    """Measures archives of each size in turns and prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        places = {days: make_archive(Path(scratch) / str(days), days) for days in DAYS}
        kinds: dict[str, Callable[[int], object]] = {
            "ingest of the last day": lambda days: ingest_last(places[days]),
            "newest seven, as nightly": lambda days: ingest_newest(SOURCE, 7, places[days]),
            "product of the last day": lambda days: compare_last(places[days]),
            "plan of the last day": lambda days: plan_days(places[days], LAST),
            "plan of all, a day": lambda days: plan_days(places[days], None),
            "archive show, a day": lambda days: describe_archive(
                Archive(places[days].archive_address)
            ),
        }
        os.environ["BLINDZONE_DATA"] = ""
        for what, work in kinds.items():
            taken = measure({days: partial(work, days) for days in DAYS}, scratch)
            shares = {days: taken[days] / (days if "a day" in what else 1) for days in DAYS}
            values = "  ".join(f"{days}: {shares[days] * 1e3:.3g} ms" for days in DAYS)
            ratio = shares[DAYS[-1]] / shares[DAYS[0]]
            print(f"{what:<26} {values}  ratio {ratio:.2f} (bound {BOUND})")


def measure(works: dict[int, Callable[[], object]], scratch: str) -> dict[int, float]:
    """Returns the median processor time of each work [s], measured in turns."""
    taken: dict[int, list[float]] = {days: [] for days in works}
    for turn in range(TURNS + 1):
        for days, work in works.items():
            os.environ["BLINDZONE_DATA"] = f"{scratch}/{days}"
            begun = time.process_time()
            with redirect_stderr(io.StringIO()):
                work()
            if turn:  # the first one imports and fills caches
                taken[days].append(time.process_time() - begun)
    return {days: statistics.median(times) for days, times in taken.items()}


def ingest_last(places: DataPlaces) -> None:
    """Ingests the last day, which is there unchanged."""
    report = ingest_days(IngestPlan(source=SOURCE, start=LAST, end=LAST, places=places))
    assert report.changes[LAST].outcome is Outcome.UNCHANGED


def plan_days(places: DataPlaces, start: date | None) -> list[ProductTask]:
    """Returns the tasks of a reprocess from a day on."""
    plan = ReprocessPlan(
        sources=(SOURCE,),
        start=start,
        places=Places(
            catalog=places.catalog,
            archive=places.archive,
            products=f"{places.archive_address}/products",
        ),
    )
    return find_tasks(plan, RunMark())[0]


def compare_last(places: DataPlaces) -> None:
    """Compares the target of the last day with a product that is not there."""
    (task,) = plan_days(places, LAST)
    assert find_unchanged(task) is None


def make_archive(root: Path, days: int) -> DataPlaces:
    """Returns an archive of so many days, of which the last seven are whole."""
    data = root / SOURCE
    data.mkdir(parents=True)
    catalog = root / "catalog.yaml"
    catalog.write_text(ENTRY)
    places = DataPlaces(catalog=catalog, archive=str(root / "archive"))
    os.environ["BLINDZONE_DATA"] = str(root)
    whole = [LAST - timedelta(days=number) for number in range(min(7, days))]
    for day in whole:
        write_simulated_day(day, data / f"{day:%Y%m%d}_radar.nc", hours=0.2, scenes=("front",))
    with redirect_stderr(io.StringIO()):
        ingest_days(IngestPlan(source=SOURCE, start=whole[-1], end=LAST, places=places))
    archive = Archive(places.archive_address)
    record = archive.record(SOURCE, LAST)
    for day in (LAST - timedelta(days=number) for number in range(len(whole), days)):
        (data / f"{day:%Y%m%d}_radar.nc").touch()
        store = f"{day:%Y%m%d}-{'0' * 12}.zarr"
        (root / "archive" / SOURCE / "stores" / store).mkdir()
        file = dataclasses.replace(
            record.files[0],
            name=f"{day:%Y%m%d}_radar.nc",
            first_time=f"{day}T00:00:06.000Z",
            last_time=f"{day}T00:11:54.000Z",
        )
        copy = dataclasses.replace(record, day=day, store=store, files=(file,))
        (root / "archive" / record_name(SOURCE, day)).write_text(copy.to_json())
    return places


if __name__ == "__main__":
    main()
