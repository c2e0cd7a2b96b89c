"""Ten granules on Dask: a run that is killed leaves whole products, the next makes the others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest
import xarray as xr
from cloudsat_files import write_cloudsat_granule
from crashing import find_partial, find_products
from tiny_networks import write_network

pytestmark = pytest.mark.soak

SOURCE, GRANULES, THERE = "short_days_from_above", 10, 3
FIRST, ORBIT = datetime(2008, 10, 17, 4), timedelta(minutes=98, seconds=53)
COMMAND = (sys.executable, "-c", "from blindzone.flows.commands.cli import main; main()")
PATIENCE_S = 300.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Written granules of half a minute each, in the archive, and a network of two filters."""
    (tmp_path / SOURCE).mkdir()
    for number in range(GRANULES):
        start = FIRST + number * ORBIT
        name = f"{start:%Y%m%d_%H%M%S}_{12_000 + number}_2B-GEOPROF.hdf"
        write_cloudsat_granule(tmp_path / SOURCE / name, profiles=150, seed=number, start=start)
    (tmp_path / "catalog.yaml").write_text(
        dedent(f"""
            version: 1
            sources:
              {SOURCE}:
                reader: cloudsat
                directory: {SOURCE}
                files: "%Y%m%d_%H%M%S_*_2B-GEOPROF.hdf"
                unit: granule
                grid: {{rows: 64, row_depth_m: 240}}
                profile_spacing_m: 1090
            """)
    )
    write_network(tmp_path / "tiny.keras")
    settings = {
        "BLINDZONE_DATA": str(tmp_path),
        "BLINDZONE_CATALOG": str(tmp_path / "catalog.yaml"),
        "BLINDZONE_WORKSPACE": str(tmp_path),
    }
    environment = os.environ | settings
    subprocess.run([*COMMAND, "ingest", SOURCE], env=environment, check=True)
    return environment


def start(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a run on two workers in a process group of its own."""
    network = Path(environment["BLINDZONE_WORKSPACE"]) / "tiny.keras"
    options = ("--passes", "2", "--checkpoint", str(network), "--runner", "dask", "--workers", "2")
    with log.open("wb") as output:
        return subprocess.Popen(
            [*COMMAND, "reprocess", SOURCE, *options],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def test_killed_run_of_ten_granules_goes_on_where_it_was(
    environment: dict[str, str], tmp_path: Path
) -> None:
    products = tmp_path / "products"
    run = start(environment, tmp_path / "killed.log")
    end = time.monotonic() + PATIENCE_S
    while len(find_products(products)) < THERE:
        assert run.poll() is None, (tmp_path / "killed.log").read_text()
        assert time.monotonic() < end, (tmp_path / "killed.log").read_text()
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)  # its workers too
    assert run.wait() == -signal.SIGKILL
    before = find_products(products)
    assert THERE <= len(before) < GRANULES
    for name in before:
        with xr.open_dataset(products / name) as product:
            assert product.sizes["time"] == 150

    again = start(environment, tmp_path / "again.log")
    assert again.wait(PATIENCE_S) == 0, (tmp_path / "again.log").read_text()
    counts = re.search(
        r"10 days \((\d+) created, (\d+) unchanged, 0 rejected, 0 failed\)",
        (tmp_path / "again.log").read_text(),
    )
    assert counts is not None
    assert [int(count) for count in counts.groups()] == [GRANULES - len(before), len(before)]
    after = find_products(products)
    assert len(after) == GRANULES
    assert after.items() >= before.items()  # nothing was made twice
    assert find_partial(products) == []
