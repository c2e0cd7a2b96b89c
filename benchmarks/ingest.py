"""Ingest of measured days against merely reading their two fields with xarray.

Run `python benchmarks/ingest.py`; it needs the measured days of `palaiseau_basta` and prints one table.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import xarray as xr

from blindzone.flows.ingest import find_files, ingest_day
from blindzone.pipeline.archive import Outcome

SOURCE = "palaiseau_basta"
DAYS = 6


def main() -> None:
    """Times reading, ingesting and ingesting again, day by day in turn, and prints medians and ratios."""
    files = dict(list(find_files(SOURCE, None, None, None).items())[:DAYS])
    seconds: dict[str, list[float]] = {"read": [], "ingest": [], "ingest again": []}
    with tempfile.TemporaryDirectory() as folder:
        for day, paths in files.items():
            started = time.perf_counter()
            for path in paths:
                with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
                    dataset[["Zh", "v"]].load()
            seconds["read"].append(time.perf_counter() - started)
            for name, expected in (("ingest", Outcome.INGESTED), ("ingest again", Outcome.UNCHANGED)):
                started = time.perf_counter()
                outcome = ingest_day(SOURCE, day, paths, None, Path(folder))
                seconds[name].append(time.perf_counter() - started)
                assert outcome is expected, outcome
    print(f"{SOURCE}, medians over {len(files)} days")
    read = statistics.median(seconds["read"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<14}{median:8.3f} s {median / read:8.2f} x reading")


if __name__ == "__main__":
    main()
