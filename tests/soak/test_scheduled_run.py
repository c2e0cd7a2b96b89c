"""The nightly run by its schedule, as shipped but for the hour; once killed it delivers again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
import xarray as xr
from prefect.client.schemas.objects import FlowRun, StateType
from serving import REPOSITORY, Serving, serving, write_deployments

from blindzone.flows.service.janitor import DEPLOYED_SILENCE_S, SWEEP_S

pytestmark = pytest.mark.soak


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    """The shipped deployments; the nightly one every minute, for two days with two passes."""

    def edit(deployments: dict[str, dict[str, Any]]) -> None:
        nightly = deployments["every-night"]
        nightly["schedules"] = [{"cron": "* * * * *", "timezone": "UTC"}]
        nightly["parameters"]["plan"] |= {"days": 2, "filling": {"passes": 2}}

    deployments = write_deployments(tmp_path / "prefect.yaml", edit)
    return (
        "--deployments",
        str(deployments),
        "--catalog",
        str(REPOSITORY / "data_catalog.yaml"),
        "--no-watching",
    )


def of_state(served: Serving, state: StateType) -> list[FlowRun]:
    return [run for run in served.runs("every-night") if run.state_type is state]


def test_nightly_run_delivers_by_its_schedule_also_after_it_was_killed(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    workspace, cache = tmp_path / "workspace", {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(workspace, *options, **cache) as served:
        killed, *_ = served.until(lambda: of_state(served, StateType.RUNNING), within_s=180)
        family = served.family()
        served.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []

    assert killed.auto_scheduled
    with serving(workspace, *options, **cache) as served:
        # Until the janitor has closed the killed run, the next ones wait for its place.
        crashed, *_ = served.until(
            lambda: of_state(served, StateType.CRASHED),
            within_s=DEPLOYED_SILENCE_S + 3 * SWEEP_S + 60,
        )
        served.until(lambda: of_state(served, StateType.COMPLETED), within_s=600)

    assert crashed.id == killed.id
    products = sorted((workspace / "products").glob("*.nc"))
    assert [product.name for product in products] == [
        "simulated_20000107_blindzone.nc",
        "simulated_20000108_blindzone.nc",
    ]
    for product in products:
        with xr.open_dataset(product) as opened:
            assert opened.reflectivity.sizes["time"] > 0
