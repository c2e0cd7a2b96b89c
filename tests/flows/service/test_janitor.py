"""The janitor: a run is closed once it has been silent for too long by the janitor's clock."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Pending, Running, State

from blindzone.flows.service.janitor import DEPLOYED_SILENCE_S, OTHER_SILENCE_S, SWEEP_S, Janitor


class Server:
    """What the janitor asks of a server, and a clock that the test moves."""

    def __init__(self, *runs: FlowRun) -> None:
        self.now = 0.0
        self.runs = list(runs)
        self.heartbeats: dict[UUID, UUID] = {}
        self.closed: dict[UUID, State[Any]] = {}
        self.is_away = False
        self.refuses = False
        self.janitor = Janitor(self, lambda: self.now)  # type: ignore[arg-type]

    async def read_flow_runs(
        self, *, flow_run_filter: Any, limit: int, offset: int
    ) -> list[FlowRun]:
        if self.is_away:
            raise httpx.ConnectError("away")
        assert set(flow_run_filter.state.type.any_) == {
            StateType.PENDING,
            StateType.RUNNING,
            StateType.CANCELLING,
        }
        return [run for run in self.runs if run.id not in self.closed][offset : offset + limit]

    async def read_events(self, wanted: Any, limit: int) -> Any:
        (resource,) = wanted.resource.id
        found = [
            SimpleNamespace(id=event)
            for run, event in self.heartbeats.items()
            if resource == f"prefect.flow-run.{run}"
        ]
        return SimpleNamespace(events=found[:limit])

    async def set_flow_run_state(self, run: UUID, state: State[Any]) -> Any:
        if self.refuses:
            return SimpleNamespace(status=SetStateStatus.ABORT)
        self.closed[run] = state
        return SimpleNamespace(status=SetStateStatus.ACCEPT)

    def sweep(self, now: float) -> tuple[FlowRun, ...]:
        self.now = now
        return asyncio.run(self.janitor.sweep())


def make_run(state: State[Any], *, is_deployed: bool = True) -> FlowRun:
    deployment = uuid4() if is_deployed else None
    return FlowRun(
        flow_id=uuid4(),
        deployment_id=deployment,
        name="nightly",
        state=state,
        state_id=state.id,
        state_type=state.type,
    )


def test_silent_run_is_closed_as_crashed_with_the_reason() -> None:
    server = Server(run := make_run(Running()))
    assert server.sweep(0.0) == ()
    assert server.sweep(DEPLOYED_SILENCE_S - 1) == ()
    assert server.sweep(DEPLOYED_SILENCE_S) == (run,)
    state = server.closed[run.id]
    assert state.type is StateType.CRASHED
    assert (
        state.message
        == "No sign of life for 150 s: its process, or the machine that it ran on, has died."
    )


def test_run_that_beats_is_left_alone() -> None:
    server = Server(run := make_run(Running()))
    for number in range(20):
        server.heartbeats[run.id] = uuid4()
        assert server.sweep(number * (DEPLOYED_SILENCE_S - 1)) == ()


def test_silence_begins_with_the_last_heartbeat() -> None:
    server = Server(run := make_run(Running()))
    server.sweep(0.0)
    server.heartbeats[run.id] = uuid4()
    server.sweep(100.0)
    assert server.sweep(100.0 + DEPLOYED_SILENCE_S - 1) == ()
    assert server.sweep(100.0 + DEPLOYED_SILENCE_S) == (run,)


def test_change_of_state_is_a_sign_of_life() -> None:
    server = Server(run := make_run(Pending()))
    server.sweep(0.0)
    running = Running()
    server.runs = [
        run.model_copy(
            update={"state": running, "state_id": running.id, "state_type": running.type}
        )
    ]
    assert server.sweep(OTHER_SILENCE_S) == ()


@pytest.mark.parametrize(
    "run",
    [make_run(Running(), is_deployed=False), make_run(Pending())],
    ids=["begun by hand", "about to start"],
)
def test_run_without_frequent_heartbeats_may_be_silent_for_longer(run: FlowRun) -> None:
    server = Server(run)
    server.sweep(0.0)
    assert server.sweep(OTHER_SILENCE_S - 1) == ()
    assert server.sweep(OTHER_SILENCE_S) == (run,)


def test_time_in_which_the_server_was_away_is_no_silence() -> None:
    server = Server(run := make_run(Running()))
    server.sweep(0.0)
    server.is_away = True
    with pytest.raises(httpx.ConnectError):
        server.sweep(DEPLOYED_SILENCE_S - SWEEP_S)
    server.is_away = False
    assert server.sweep(10_000.0) == ()
    assert server.sweep(10_000.0 + DEPLOYED_SILENCE_S - 1) == ()
    assert server.sweep(10_000.0 + DEPLOYED_SILENCE_S) == (run,)


def test_run_that_has_ended_meanwhile_is_not_reported_as_closed() -> None:
    server = Server(make_run(Running()))
    server.sweep(0.0)
    server.refuses = True
    assert server.sweep(DEPLOYED_SILENCE_S) == ()


def test_more_runs_than_a_page_holds_are_all_looked_at() -> None:
    server = Server(*(make_run(Running()) for _ in range(201)))
    server.sweep(0.0)
    assert len(server.sweep(DEPLOYED_SILENCE_S)) == 201
