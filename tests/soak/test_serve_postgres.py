"""The team's server: the same schedules on a real PostgreSQL of the system's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from serving import Serving, free_port, serving, write_deployments

from blindzone.pipeline.archive import Archive
from blindzone.pipeline.readers.simulation import write_simulated_day

pytestmark = pytest.mark.soak

SOURCE = "two_hours"
DAY = date(2000, 1, 1)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty database whose server lives as long as the test."""
    binaries = find_binaries()
    with TemporaryDirectory(
        prefix="blindzone-postgres-", dir="/tmp"
    ) as folder:  # a socket's path must be short
        as_owner = own(Path(folder))
        data, port = Path(folder) / "data", free_port()
        initialise = [
            str(binaries / "initdb"),
            "--pgdata",
            str(data),
            "--username",
            "blindzone",
            "--auth",
            "trust",
        ]
        subprocess.run(
            [*as_owner, *initialise, "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=folder
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        with started(
            [*as_owner, str(binaries / "pg_ctl"), "--pgdata", str(data), "--wait"], options, folder
        ):
            yield f"postgresql://blindzone@127.0.0.1:{port}/postgres"


def find_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip(
            "PostgreSQL is not installed; on Debian and Ubuntu 'apt-get install postgresql' adds it"
        )
    return found[-1].parent


def own(folder: Path) -> list[str]:
    """Gives a folder to a user that PostgreSQL accepts; returns how that user's commands begin."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres", "postgres")
    return ["runuser", "--user", "postgres", "--"]


@contextmanager
def started(control: list[str], options: str, folder: str) -> Iterator[None]:
    log = f"{folder}/log"
    subprocess.run(
        [*control, "--log", log, "--options", options, "start"],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        subprocess.run(
            [*control, "--mode", "immediate", "stop"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / SOURCE
    folder.mkdir(parents=True)
    write_simulated_day(
        DAY, folder / f"{DAY:%Y%m%d}_radar.nc", hours=2.0, scenes=("front", "stratocumulus")
    )
    path = tmp_path / "catalog.yaml"
    path.write_text(
        f"version: 1\nsources: {{{SOURCE}: {{title: Two hours, directory: {SOURCE}, files:"
        " '%Y%m%d_radar.nc', instrument: simulated radar, site: simulated site}}\n"
    )
    return path


def test_scheduled_run_delivers_and_is_remembered_after_a_kill(
    postgres: str, tmp_path: Path, catalog: Path
) -> None:
    def edit(deployments: dict[str, dict[str, Any]]) -> None:
        arrival = deployments["on-arrival"]
        deployments.clear()
        deployments["scheduled"] = arrival | {
            "name": "scheduled",
            "triggers": [],
            "schedules": [{"interval": 15}],
            "parameters": {"source": SOURCE},
        }

    def finished(served: Serving) -> list[FlowRun]:
        return [run for run in served.runs("scheduled") if run.state_type is StateType.COMPLETED]

    workspace = tmp_path / "workspace"
    options = (
        "--deployments",
        str(write_deployments(tmp_path / "prefect.yaml", edit)),
        "--catalog",
        str(catalog),
    )
    options += ("--database", postgres, "--no-watching")
    with serving(workspace, *options, BLINDZONE_DATA=str(tmp_path / "data")) as served:
        first, *_ = served.until(lambda: finished(served), within_s=120)
        served.kill()

    assert first.auto_scheduled
    assert Archive(workspace / "archive").days(SOURCE) == (DAY,)
    assert list((workspace / "prefect").glob("*.db")) == []  # nothing was written to SQLite

    with serving(workspace, *options, BLINDZONE_DATA=str(tmp_path / "data")) as served:
        served.until(lambda: len(finished(served)) >= 2, within_s=120)
        assert first.id in [run.id for run in finished(served)]
