"""Serving for real: server, worker, schedule, trigger, and an end that leaves nothing."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Running
from serving import REPOSITORY, Serving, free_port, serving, write_deployments

from blindzone.flows.service.janitor import DEPLOYED_SILENCE_S, HEARTBEAT_S, Janitor
from blindzone.flows.service.serve import POOL, ServeConfig, ServeError, make_environment, serve
from blindzone.pipeline.archive import Archive

SOURCE = "short_days"

SLEEPER = """
import time
from prefect import flow

@flow
def sleeper() -> None:
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose source has no file yet."""
    folder = tmp_path_factory.mktemp("arriving")
    (folder / SOURCE).mkdir()
    return folder


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, catalog: Path, data: Path, simulated_days: Path
) -> Iterator[Serving]:
    """Deployments of `ingest`, one by a schedule of some seconds, and one that only sleeps."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "sleeping.py").write_text(SLEEPER)

    def edit(deployments: dict[str, dict[str, Any]]) -> None:
        arrival = deployments["on-arrival"]
        shared = {
            "work_pool": arrival["work_pool"],
            "concurrency_limit": arrival["concurrency_limit"],
        }
        deployments.clear()
        deployments["on-arrival"] = arrival
        scheduled = {
            "name": "scheduled",
            "entrypoint": arrival["entrypoint"],
            "schedules": [{"interval": 10}],
            "parameters": {
                "source": SOURCE,
                "archive": str(folder / "scheduled"),
                "end": "2000-01-01",
            },
        }
        deployments["scheduled"] = scheduled | shared
        deployments["asleep"] = {"name": "asleep", "entrypoint": "sleeping:sleeper"} | shared

    # The first day is there from the beginning, for the schedule; it is no news for the watcher.
    shutil.copy(simulated_days / SOURCE / "20000101_radar.nc", data / SOURCE)
    options = (
        "--deployments",
        str(write_deployments(folder / "prefect.yaml", edit)),
        "--settle",
        "2",
    )
    with serving(
        folder / "workspace",
        *options,
        "--catalog",
        str(catalog),
        BLINDZONE_DATA=str(data),
        PYTHONPATH=str(folder),
    ) as running:
        yield running


def is_over(runs: list[FlowRun]) -> list[FlowRun]:
    return [run for run in runs if run.state is not None and run.state.is_final()]


def test_schedule_creates_its_run_and_the_run_its_product(served: Serving) -> None:
    run, *_ = served.until(lambda: is_over(served.runs("scheduled")), within_s=60)
    served.pause("ingest/scheduled")  # one is enough, and each costs seconds

    assert run.auto_scheduled
    assert run.state_type is StateType.COMPLETED, served.log
    archive = Archive(served.workspace.parent / "scheduled")
    assert archive.days(SOURCE) == (date(2000, 1, 1),)


def test_files_that_arrive_in_a_burst_start_one_run_that_ingests_them(
    served: Serving, data: Path, simulated_days: Path
) -> None:
    for day in ("20000102", "20000103"):
        shutil.copy(simulated_days / SOURCE / f"{day}_radar.nc", data / SOURCE)

    (run,) = served.until(lambda: is_over(served.runs("on-arrival")), within_s=60)

    assert run.state_type is StateType.COMPLETED, served.log
    expected = {"source": SOURCE, "start": "2000-01-02", "end": "2000-01-03"}
    assert run.parameters == {"plan": expected}
    assert Archive(served.workspace / "archive").days(SOURCE) == (
        date(2000, 1, 2),
        date(2000, 1, 3),
    )
    assert len(served.runs("on-arrival")) == 1


def test_everything_listens_on_the_loopback_interface_only(served: Serving) -> None:
    listening = {
        connection.laddr.ip
        for process in served.family()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_silent_run_is_closed_and_gives_its_place_back_and_one_that_has_ended_is_not_touched(
    served: Serving,
) -> None:
    """No process stands behind either run: one has said so, the other never will."""

    async def look(client: PrefectClient) -> tuple[FlowRun, tuple[FlowRun, ...], FlowRun]:
        deployment = await client.read_deployment_by_name("sleeper/asleep")
        silent = await client.create_flow_run_from_deployment(deployment.id, state=Running())
        now = 0.0
        janitor = Janitor(client, lambda: now)
        await janitor.sweep()
        now = DEPLOYED_SILENCE_S
        closed = await janitor.sweep()
        return silent, closed, await client.read_flow_run(silent.id)

    silent, closed, found = served.ask(look)

    assert silent.id in [run.id for run in closed]
    assert found.state_type is StateType.CRASHED
    assert found.state is not None
    assert "No sign of life" in str(found.state.message)
    assert all(run.state_type is StateType.COMPLETED for run in is_over(served.runs("on-arrival")))


def test_run_sends_heartbeats_often_enough_for_the_janitor(served: Serving) -> None:
    variables = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["definitions"]["pool"][
        "job_variables"
    ]
    assert variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_S)
    assert DEPLOYED_SILENCE_S >= 3 * HEARTBEAT_S


def test_nothing_survives_the_killed_supervisor(served: Serving) -> None:
    """The last test of the server: killed with -9, it takes server, worker and a run with it."""
    served.run("sleeper/asleep")
    served.until(
        lambda: any("prefect.engine" in member.cmdline() for member in served.family()), within_s=60
    )
    family = served.family()

    served.kill()

    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_shipped_deployments_have_flows_that_take_their_parameters() -> None:
    content = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    assert {deployment["name"] for deployment in content["deployments"]} == {
        "every-night",
        "every-week",
        "on-demand",
        "on-arrival",
    }
    for deployment in content["deployments"]:
        module, name = deployment["entrypoint"].split(":")
        flow = getattr(import_module(module), name)
        flow.validate_parameters(deployment["parameters"])
        assert deployment["work_pool"]["name"] == POOL


def test_port_that_is_taken_is_one_clear_error(tmp_path: Path, catalog: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            ServeError,
            match=rf"^port {port} of 127.0.0.1: Address already in use; --port names another$",
        ):
            serve(ServeConfig(port=port, catalog=catalog, watched=()))


def test_workspace_that_is_served_already_is_one_clear_error(
    served_home: Path, catalog: Path
) -> None:
    with pytest.raises(ServeError, match="served by another process already"):
        serve(ServeConfig(port=free_port(), catalog=catalog, watched=()))


@pytest.fixture
def served_home(tmp_path: Path) -> Iterator[Path]:
    from blindzone.pipeline.archive.storage import LocalStorage

    home = tmp_path / "workspace" / "prefect"
    with LocalStorage(home).lock("serve.lock", wait_s=0):
        yield home


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"database": "mysql://somewhere"},
            "found a URL with the scheme 'mysql'; postgresql://USER@HOST/NAME is right",
        ),
        ({"deployments": Path("nowhere.yaml")}, "nowhere.yaml: no such file"),
        ({"runs": 0}, r"runs: should be greater than or equal to 1 \(found 0\)"),
        ({"settle_s": 0.0}, r"settle_s: should be greater than 0 \(found 0.0\)"),
    ],
)
def test_what_cannot_be_served_is_rejected(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ServeError, match=message):
        ServeConfig(**choices)


def test_source_that_cannot_be_watched_is_rejected(catalog_file: Path) -> None:
    with pytest.raises(ServeError, match="simulated: cannot be watched"):
        serve(ServeConfig(catalog=catalog_file, watched=("simulated",)))


def test_settings_of_the_user_lead_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch, catalog: Path
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://api.prefect.cloud/api")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("PREFECT_PROFILE", "cloud")
    environment = make_environment(ServeConfig(port=4999, catalog=catalog))
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4999/api"
    assert not {"PREFECT_API_KEY", "PREFECT_PROFILE"} & environment.keys()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_common_form_of_a_database_url_is_understood(scheme: str, catalog: Path) -> None:
    environment = make_environment(
        ServeConfig(database=f"{scheme}://me@host/prefect", catalog=catalog)
    )
    assert (
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
        == "postgresql+asyncpg://me@host/prefect"
    )
