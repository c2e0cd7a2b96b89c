"""One orchestration: the same flow runs with and without a Prefect server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from blindzone.flows.ingest import ingest
from blindzone.flows.orchestration import run_flow

SOURCE = "short_days"


def test_run_without_a_server_starts_none(catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("prefect.Flow.__call__", lambda *_, **__: pytest.fail("the flow was given to Prefect"))

    report = run_flow(ingest, source=SOURCE, catalog=catalog, archive=tmp_path / "archive")

    assert len(report.outcomes) == 3


def test_recorded_run_leaves_its_flow_and_tasks_with_the_server(catalog: Path, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    async def read_names() -> tuple[list[str], set[str]]:
        async with get_client() as client:
            runs = await client.read_flow_runs()
            tasks = await client.read_task_runs()
            return [run.state_name or "" for run in runs], {task.name.rsplit("-", 1)[0] for task in tasks}

    with prefect_test_harness(server_startup_timeout=60):
        report = run_flow(ingest, recorded=True, source=SOURCE, catalog=catalog, archive=tmp_path / "archive")
        states, tasks = asyncio.run(read_names())

    assert len(report.outcomes) == 3
    assert states == ["Completed"]
    assert tasks <= {"find_files", "ingest_unit", "find_reaching"}
    assert tasks
