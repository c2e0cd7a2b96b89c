"""The janitor: closes the runs whose process died without reporting it.

A run that is alive changes its state or sends a heartbeat to the server again and again. Of one
that was killed, or whose machine lost power, neither ever comes, and it would hold its place in the
pool for good. How long a run has been silent is measured on this process' own monotonic clock from
when it was first seen so, and begins anew whenever the server could not be asked: neither a clock
that jumps nor a server that was away closes a run that is alive.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder, EventResourceFilter
from prefect.states import Crashed

HEARTBEAT_S = 30
"""How often the run of a deployment sends a heartbeat [s]; `prefect.yaml` sets it."""
DEPLOYED_SILENCE_S = 5.0 * HEARTBEAT_S
"""How long the run of a deployment may be silent [s]."""
OTHER_SILENCE_S = 600.0
"""How long another run, or one about to start, may be silent [s]: three of Prefect's usual
heartbeats, and more."""
SWEEP_S = 15.0
"""How often the janitor looks [s]."""

_OPEN = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
_PAGE = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """What was last heard of a run, and when on the monotonic clock [s] that was first seen."""

    heard: tuple[UUID | None, UUID | None]
    since: float


class Janitor:
    """Closes silent runs.

    Args:
        client: Client of the server.
        clock: A clock that never goes back [s].
    """

    def __init__(self, client: PrefectClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._silences: dict[UUID, Silence] = {}

    async def sweep(self) -> tuple[FlowRun, ...]:
        """Looks at all open runs once and returns those that it closed as crashed, with the reason.

        Raises:
            httpx.HTTPError: If the server cannot be asked.
        """
        try:
            runs = await self._read_open()
            before, now = self._silences, self._clock()
            self._silences = {
                run.id: await self._listen(run, before.get(run.id), now) for run in runs
            }
            return tuple(
                [
                    run
                    for run in runs
                    if await self._close_if_dead(run, now - self._silences[run.id].since)
                ]
            )
        except httpx.HTTPError:
            self._silences = {}
            raise

    async def _read_open(self) -> list[FlowRun]:
        wanted = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_OPEN)))
        )
        runs: list[FlowRun] = []
        while page := await self._client.read_flow_runs(
            flow_run_filter=wanted, limit=_PAGE, offset=len(runs)
        ):
            runs += page
        return runs

    async def _listen(self, run: FlowRun, before: Silence | None, now: float) -> Silence:
        heartbeats = EventFilter(
            event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
            order=EventOrder.DESC,
        )
        events = (await self._client.read_events(heartbeats, limit=1)).events
        heard = (run.state_id, events[0].id if events else None)
        return (
            before
            if before is not None and before.heard == heard
            else Silence(heard=heard, since=now)
        )

    async def _close_if_dead(self, run: FlowRun, silent_s: float) -> bool:
        is_deployed = run.deployment_id is not None and run.state_type is StateType.RUNNING
        if silent_s < (DEPLOYED_SILENCE_S if is_deployed else OTHER_SILENCE_S):
            return False
        reason = (
            f"No sign of life for {silent_s:.0f} s: its process, or the machine that it ran on, has"
            " died."
        )
        # The server rejects this if the run has ended meanwhile.
        result: OrchestrationResult[None] = await self._client.set_flow_run_state(
            run.id, Crashed(message=reason)
        )
        return result.status is SetStateStatus.ACCEPT


async def sweep_forever(client: PrefectClient) -> NoReturn:
    """Closes silent runs for as long as it is let."""
    janitor = Janitor(client)
    while True:
        try:
            for run in await janitor.sweep():
                _log.warning("run %s was silent and is closed as crashed", run.name)
        except httpx.HTTPError as error:
            _log.warning("the server cannot be asked for its runs: %s", error)
        await asyncio.sleep(SWEEP_S)
