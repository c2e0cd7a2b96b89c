"""`reprocess` killed with `kill -9`: the process, a Dask worker, a Prefect server under it.

What is there under a final name is whole at every instant; the next run makes what lacks, each day
once, and all is as if nothing had happened, bit for bit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from crashing import Stage, find_products, staging, tell_phase, wait_until, watching
from distributed import Client
from forked import die_with_parent
from serving import free_port

pytestmark = pytest.mark.soak

KILLS = 20
WORKER_KILLS = 8
SERVER_KILLS = 5
GIVES_UP_S = 20.0
"""How long a run whose server is gone is waited for [s]: Prefect tries to reach it for minutes."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staging(tmp_path_factory.mktemp("crash"), days=6) as stage:
        yield stage


def spread(kills: int, seconds: float, seed: int) -> list[float]:
    """Returns random instants of a run of so many seconds, one in each of as many equal parts."""
    return list(
        (np.arange(kills) + np.random.default_rng(seed).uniform(size=kills)) / kills * seconds
    )


def test_process_killed_at_any_instant(stage: Stage, tmp_path: Path) -> None:
    phases: Counter[str] = Counter()
    there: Counter[int] = Counter()
    for number, instant in enumerate(spread(KILLS, stage.seconds, seed=1)):
        products = tmp_path / f"{number}"
        with watching(products) as seen:
            run = stage.start(products)
            if (
                number % 2
            ):  # start-up takes half of the time, so that half of the kills wait for the first day
                wait_until(lambda products=products: [*products.glob(".locks/*")], within_s=60)
                instant /= 2
            time.sleep(instant)
            run.kill()
            phases[tell_phase(products, stage.days)] += 1
            before = find_products(products)
            there[len(before)] += 1
            stage.check(products)
            stage.finish(products, before)
        assert {name: len(made) for name, made in seen.items()} == dict.fromkeys(stage.days, 1)
    print(
        f"\nprocess: {KILLS} kills within {stage.seconds:.1f} s: {dict(phases)}; with so many"
        f" products: {dict(there)}"
    )
    # They do hit runs at work, on many of the days.
    assert phases["filling"] >= KILLS // 4
    assert len(there) >= 3


@pytest.mark.parametrize("point", ["filled", "half written", "not yet moved", "moved"])
def test_process_killed_on_the_way_of_a_product_to_its_name(
    stage: Stage, tmp_path: Path, point: str
) -> None:
    with watching(tmp_path) as seen:
        run = stage.start(tmp_path, dies=point, on=stage.days[0])
        assert run.wait() == -signal.SIGKILL, run.log
        before = find_products(tmp_path)
        assert set(before) == ({stage.days[0]} if point == "moved" else set())
        assert tell_phase(tmp_path, stage.days) == {
            "filled": "filling",
            "moved": "done with a day",
        }.get(point, "writing")
        stage.finish(tmp_path, before)
    assert {name: len(made) for name, made in seen.items()} == dict.fromkeys(stage.days, 1)


def test_worker_of_a_cluster_killed_at_any_instant(stage: Stage, tmp_path: Path) -> None:
    cluster = stage.forker.start("cluster", folder=str(tmp_path / "dask"))
    address = wait_until(cluster.read, within_s=180)
    runner = {"kind": "dask", "address": address}
    killed = 0
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=180)
        seconds = run_undisturbed(stage, tmp_path / "undisturbed", runner)
        for number, instant in enumerate(spread(WORKER_KILLS, seconds, seed=2)):
            products = tmp_path / f"{number}"
            with watching(products) as seen:
                run = stage.start(products, plan=stage.plan(products, runner=runner))
                time.sleep(instant)
                killed += len(find_products(products)) < len(stage.days)
                kill_worker(client, number)
                # The cluster starts another, and the run goes on with it by itself.
                assert run.wait() == 0, run.log
                assert set(run.days) == set(stage.days)
                assert set(run.days.values()) <= {"created", "unchanged"}, run.days
                stage.finish(products, find_products(products))
            assert {name: len(made) for name, made in seen.items()} == dict.fromkeys(stage.days, 1)
    cluster.kill()
    print(
        f"\nworker: {WORKER_KILLS} kills within {seconds:.1f} s, {killed} of them while days were"
        " left to do"
    )
    assert killed >= WORKER_KILLS // 2


def run_undisturbed(stage: Stage, products: Path, runner: dict[str, str]) -> float:
    """Returns how long a run takes on a cluster that has loaded all that it needs."""
    for number in range(2):
        begun = time.monotonic()
        run = stage.start(
            products / f"{number}", plan=stage.plan(products / f"{number}", runner=runner)
        )
        assert run.wait() == 0, run.log
        assert run.days == dict.fromkeys(stage.days, "created")
        stage.check(products / f"{number}")
    return time.monotonic() - begun


def kill_worker(client: Client, number: int) -> None:
    """Kills one of the two workers, and waits for none: its nanny starts another."""
    workers = sorted(client.run(os.getpid, on_error="ignore").values())
    if workers:
        with suppress(ProcessLookupError):
            os.kill(workers[number % len(workers)], signal.SIGKILL)


@contextmanager
def prefect_server(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect server on loopback, with its database in a folder."""
    home.mkdir(exist_ok=True)
    settings = {"PREFECT_HOME": str(home), "PREFECT_LOGGING_SERVER_LEVEL": "ERROR"}
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | settings,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def is_healthy() -> bool:
        with suppress(urllib.error.URLError, OSError):
            return bool(
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).status
                == 200
            )
        return False

    try:
        wait_until(is_healthy, within_s=180)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_server_killed_under_a_recorded_run(stage: Stage, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with prefect_server(tmp_path / "prefect", port):
        begun = time.monotonic()
        run = stage.start(tmp_path / "undisturbed", server=url)
        assert run.wait() == 0, run.log
        seconds = time.monotonic() - begun
    stage.check(tmp_path / "undisturbed")
    ended: Counter[str] = Counter()
    for number, instant in enumerate(spread(SERVER_KILLS, seconds, seed=3)):
        products = tmp_path / f"{number}"
        with watching(products) as seen:
            with prefect_server(tmp_path / "prefect", port) as server:
                run = stage.start(products, server=url)
                time.sleep(instant)
                os.killpg(server.pid, signal.SIGKILL)
                ended[
                    {0: "done", None: "still trying"}.get(run.end_within(GIVES_UP_S), "given up")
                ] += 1
            before = find_products(products)
            stage.check(products)
            stage.finish(products, before)
        assert {name: len(made) for name, made in seen.items()} == dict.fromkeys(stage.days, 1)
    print(
        f"\nserver: {SERVER_KILLS} kills within {seconds:.1f} s; the runs under it: {dict(ended)}"
    )
