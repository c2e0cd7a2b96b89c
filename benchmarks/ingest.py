"""Ingest of measured days against merely reading their two fields with xarray.

Run `python benchmarks/ingest.py`; it needs the measured days of `palaiseau_basta`, takes about a
minute and prints one table. Ratios are of times taken in turns in one run, since other work on the
machine changes both alike.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.plans import DataPlaces
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.catalog.catalog import read_catalog

SOURCE = "palaiseau_basta"
SAMPLED_DAYS = 9
"""Days that are read and ingested in turns: every third one of the source."""
FEW, MANY = 2, 20
WINDOW_PROFILES, WINDOWS = 128, 200


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: a quantity, its value, and its bound if it has one."""

    what: str
    value: str
    bound: str = ""


def main() -> None:
    """Measures everything and prints the table."""
    catalog = read_catalog()
    folder = catalog.data_directory(SOURCE)
    files = {
        day: [Path(path) for path in paths]
        for day, paths in catalog[SOURCE].find_days(folder).items()
    }
    days = list(files)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        lines = [
            *measure_day(files, root / "sampled"),
            *measure_scaling(days, root),
            *measure_whole_source(days, root / "whole"),
            measure_size(files, root / "whole"),
            *measure_window(days, root / "whole"),
        ]
    print(
        f"{SOURCE}, {len(days)} days, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at"
        " the end"
    )
    width = max(len(line.what) for line in lines)
    for line in lines:
        print(f"{line.what:<{width}}  {line.value:>20}  {line.bound}".rstrip())


def measure_day(files: dict[date, list[Path]], archive: Path) -> list[Line]:
    """Reads and ingests day by day, in turns, and compares wall times and processor times."""
    runs: dict[str, list[tuple[float, float]]] = {"read": [], "ingest": []}
    sampled = list(files)[:: len(files) // SAMPLED_DAYS][:SAMPLED_DAYS]
    _ingest(
        [sampled[0]], archive / "warm"
    )  # what is imported or compiled on first use is nobody's ingest
    for day in sampled:
        runs["read"].append(_clock(partial(_read, files[day])))
        runs["ingest"].append(_clock(partial(_ingest, [day], archive / "days")))
    wall, processor = (
        {name: _median(times, kind) for name, times in runs.items()} for kind in (0, 1)
    )
    return [
        Line(what="a day: merely reading Zh and v", value=f"{wall['read']:.3f} s"),
        Line(what="a day: ingest", value=f"{wall['ingest']:.3f} s"),
        Line(
            what="ingest / reading", value=f"{wall['ingest'] / wall['read']:.2f}", bound="at most 3"
        ),
        Line(
            what="ingest / reading, processor time",
            value=f"{processor['ingest'] / processor['read']:.2f}",
        ),
    ]


def measure_scaling(days: Sequence[date], root: Path) -> list[Line]:
    """Compares processor times of many days in one archive and of a few each in their own."""
    few = [
        _clock(partial(_ingest, days[start : start + FEW], root / f"few{start}"))[1]
        for start in range(0, MANY, FEW)
    ]
    _, many = _clock(partial(_ingest, days[:MANY], root / "many"))
    ratio = many / statistics.mean(few)
    return [
        Line(
            what=f"{MANY} days / {FEW} days, processor time",
            value=f"{ratio:.1f}",
            bound=f"{MANY // FEW} is linear",
        )
    ]


def measure_whole_source(days: Sequence[date], archive: Path) -> list[Line]:
    """Ingests every day twice, in a process of its own, to measure the peak of memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        seconds, again, before, peak = pool.submit(ingest_and_watch, days, archive).result()
    return [
        Line(what=f"all {len(days)} days", value=f"{seconds:.1f} s", bound="at most 30 s"),
        Line(
            what="the same unchanged again / first",
            value=f"{again / seconds:.1%}",
            bound="at most 5 %",
        ),
        Line(
            what="peak memory (before the first day)",
            value=f"{peak / 2**20:.0f} ({before / 2**20:.0f}) MiB",
            bound="at most 1024 MiB",
        ),
    ]


def ingest_and_watch(days: Sequence[date], archive: Path) -> tuple[float, float, float, float]:
    """Returns the seconds of two ingests, and the peak of memory before and after [byte]."""
    before = _peak_memory()
    first, _ = _clock(partial(_ingest, days, archive))
    again, _ = _clock(partial(_ingest, days, archive, expected=Outcome.UNCHANGED))
    return first, again, before, _peak_memory()


def measure_size(files: dict[date, list[Path]], archive: Path) -> Line:
    """Compares the archive with the files that it was made from."""
    archived = sum(path.stat().st_size for path in archive.rglob("*") if path.is_file())
    given = sum(path.stat().st_size for paths in files.values() for path in paths)
    return Line(what="archive / files", value=f"{archived / given:.2f} of {given / 2**20:.0f} MiB")


def measure_window(days: Sequence[date], archive: Path) -> list[Line]:
    """Reads windows of random days and times from cached files, of days opened before and anew."""
    chance = random.Random(0)
    opened = {day: Archive(archive).open_day(SOURCE, day)["reflectivity"] for day in days}
    times: dict[str, list[float]] = {"opened before": [], "opening included": []}
    for number in range(2 * WINDOWS):
        day = chance.choice(days)
        first = chance.randrange(opened[day].sizes["time"] - WINDOW_PROFILES)
        started = time.perf_counter()
        anew = number % 2
        reflectivity = (
            Archive(archive).open_day(SOURCE, day)["reflectivity"] if anew else opened[day]
        )
        window = reflectivity.isel(time=slice(first, first + WINDOW_PROFILES)).values
        times["opening included" if anew else "opened before"].append(
            1e3 * (time.perf_counter() - started)
        )
        assert window.shape[0] == WINDOW_PROFILES
    return [
        Line(
            what=f"a random window of {WINDOW_PROFILES} profiles, {how}",
            value=f"{statistics.median(found):.1f} ms",
            bound=(
                f"{'at most 10 ms; ' if how == 'opened before' else ''}nine of ten below {cut:.1f}"
            ),
        )
        for how, found, cut in (
            (how, found, np.quantile(found, 0.9)) for how, found in times.items()
        )
    ]


def _read(paths: Sequence[Path]) -> None:
    for path in paths:
        with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
            dataset[["Zh", "v"]].load()


def _ingest(days: Sequence[date], archive: Path, *, expected: Outcome = Outcome.INGESTED) -> None:
    places = DataPlaces(archive=str(archive))
    report = ingest_days(IngestPlan(source=SOURCE, start=days[0], end=days[-1], places=places))
    assert report.outcomes == dict.fromkeys(days, expected), report.summary()


def _clock(work: Callable[[], None]) -> tuple[float, float]:
    """Returns the wall time and the processor time of some work [s]."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def _median(times: Sequence[tuple[float, float]], kind: int) -> float:
    return statistics.median(pair[kind] for pair in times)


def _peak_memory() -> float:
    """Returns the process's peak of memory so far [byte]."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage counts the parent's memory when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # in bytes on macOS


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
