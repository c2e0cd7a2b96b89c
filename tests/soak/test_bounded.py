"""Ten times the days take no more memory, and hardly any time but that of their tasks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from short_days import Station, list_days, make_station

from blindzone.flows.reports.writing import read_report

pytestmark = pytest.mark.soak

FEW, MANY = 3, 30
MOST_OVERHEAD_S = 2.0


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """Thirty whole simulated days, ingested; products go elsewhere."""
    station = make_station(tmp_path_factory.mktemp("bounded"), MANY, hours=24.0)
    code, prediction = station.run("ingest")
    assert code == 0, prediction
    return station


@pytest.mark.parametrize(
    "options", [(), ("--runner", "dask", "--workers", 2)], ids=["local", "dask"]
)
def test_peak_memory_does_not_grow_with_the_days(
    station: Station, tmp_path: Path, options: tuple[object, ...]
) -> None:
    peaks = []
    for days in (FEW, MANY):
        products = station.with_places(products=tmp_path / f"products{days}")
        with products.start(
            "reprocess", "--end", list_days(days)[-1], *options, output=tmp_path / "log"
        ) as process:
            peaks.append(watch_memory(process))
        prediction = (tmp_path / "log").read_text()
        assert process.returncode == 0, prediction
        assert f"{days} days ({days} created" in prediction
    few, many = peaks
    print(
        f"peak of the process tree: {few / 2**20:.0f} MiB of {FEW} days, {many / 2**20:.0f} MiB of"
        f" {MANY}"
    )
    assert many < 1.1 * few


@pytest.mark.parametrize("is_recorded", [False, True], ids=["plain", "recorded"])
def test_a_day_takes_little_beside_its_task(tmp_path: Path, is_recorded: bool) -> None:
    days = 20
    station = make_station(tmp_path, days, hours=0.5)
    assert station.run("ingest")[0] == 0
    if is_recorded:
        with serve_prefect(tmp_path / "prefect") as address:
            code, prediction = replace(station, environment=(("PREFECT_API_URL", address),)).run(
                "reprocess"
            )
    else:
        code, prediction = station.run("reprocess")
    assert code == 0, prediction
    (path,) = (tmp_path / "workspace" / "reports").glob("*/report.json")
    report = read_report(path)
    assert report.count("created") == days
    overhead_s = (report.seconds - sum(day.seconds for day in report.days)) / days
    print(f"beside its task, a day takes {overhead_s:.2f} s")
    assert overhead_s < MOST_OVERHEAD_S


def watch_memory(process: subprocess.Popen[str]) -> int:
    """Returns the peak of memory of a process and all that it starts, when it has ended [byte]."""
    peak = 0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [
                psutil.Process(process.pid),
                *psutil.Process(process.pid).children(recursive=True),
            ]
            peak = max(peak, sum(member.memory_info().rss for member in family))
        time.sleep(0.05)
    return peak


@contextmanager
def serve_prefect(home: Path) -> Iterator[str]:
    """Yields the address of a Prefect server on loopback, and ends it whatever happens."""
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        env=os.environ | {"PREFECT_HOME": str(home)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        deadline = time.monotonic() + 120
        while not answers(f"{address}/health"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
