"""What a flow run shows in Prefect, with a real server; slow, since that has to start."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.logging.handlers import APILogHandler
from prefect.testing.utilities import prefect_test_harness

from blindzone.flows.reports.writing import publish_artifacts, write_run_report
from blindzone.flows.running.logs import keep_logs
from blindzone.flows.running.records import DayReport, RunReport

pytestmark = pytest.mark.soak

DAY = DayReport(
    source="station", day=date(2021, 3, 14), status="created", statistics={"drift_score": 0.4}
)
REFUSED = DayReport(
    source="station", day=date(2021, 3, 15), status="rejected", reason="cut short\n# feigned"
)
REPORT = RunReport(
    run="20260302T020005-ab12cd",
    flow="nightly",
    begun=datetime(2026, 3, 2, 2, tzinfo=UTC),
    seconds=61.5,
    days=(DAY, REFUSED),
)


def test_flow_run_shows_its_days_refusals_page_and_log(tmp_path: Path) -> None:
    @flow(name="nightly")
    def run() -> None:
        files = write_run_report(REPORT, tmp_path)
        with keep_logs(tmp_path / "log.jsonl", terminal=False):
            logging.getLogger("blindzone.flows").info("a line of the flow")
        publish_artifacts(REPORT, files)

    async def read() -> tuple[dict[str, Any], list[str]]:
        await APILogHandler.aflush()
        async with get_client() as client:
            kept = await client.read_artifacts()
            lines = await client.read_logs()
        return {artifact.key or "": artifact.data for artifact in kept}, [
            line.message for line in lines
        ]

    with prefect_test_harness(server_startup_timeout=60):
        run()
        artifacts, lines = asyncio.run(read())

    assert set(artifacts) == {"nightly-days", "nightly-refused", "nightly-report"}
    assert [row["status"] for row in json.loads(artifacts["nightly-days"])] == [
        "created",
        "rejected",
    ]
    assert artifacts["nightly-refused"].endswith(
        "    station 2021-03-15 rejected: cut short\n    # feigned"
    )
    assert (tmp_path / REPORT.run / "index.html").as_uri() in artifacts["nightly-report"]
    assert "a line of the flow" in lines
