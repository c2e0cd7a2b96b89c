"""One orchestration, with or without a Prefect server.

Flows and tasks are Prefect's own. Called inside a flow run, a step is a Prefect task; called
outside one, it is a plain function. The command line runs a flow's function directly, which needs
no server, unless the run is to be recorded. Either way a step that meets what can pass is tried
again, and one that meets bad data is not.
"""

from __future__ import annotations

import logging
import os

# Set before Prefect is imported: a pipeline on a radar site's machine reports to nobody.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow, Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import aget_state_exception
from prefect.tasks import exponential_backoff
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
)

from blindzone.core.fence import can_pass

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3
"""How often a step is tried again."""
BACKOFF_S = 2.0
"""How long it waits before it is tried again [s]; twice as long each time."""


class Step(Task[P, R]):
    """A Prefect task that is a plain function call where no flow run is active."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the task within a flow run, its function elsewhere."""
        if FlowRunContext.get() is None:
            return self.call(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> R:
        """Calls the task's function, without Prefect, as often as Prefect would."""
        return patiently(self.fn, *args, **kwargs)


def step(function: Callable[P, R], *, runs: str | None = None) -> Callable[P, R]:
    """Returns the function as a step of a flow; it takes and returns paths and small records.

    Args:
        function: The function.
        runs: What its runs are called, in terms of its parameters: "{task.source} {task.day}", say.
    """
    # Whether work is already done is decided by what lies in the archive, so Prefect need not hash
    # the inputs.
    return cast(
        "Callable[P, R]",
        Step(
            function,
            cache_policy=NO_CACHE,
            task_run_name=runs,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(BACKOFF_S),
            retry_condition_fn=_failed_in_passing,
        ),
    )


def patiently(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Returns the result of a function that is called again, after longer and longer waits.

    It is called again if what it met can pass. Within a step this is for one file of many: the step
    as a whole is tried again only for what is not set aside in it.
    """
    trying = Retrying(
        retry=retry_if_exception(can_pass),
        wait=wait_exponential(multiplier=BACKOFF_S),
        stop=stop_after_attempt(RETRIES + 1),
        before_sleep=_report_retry,
        reraise=True,
    )
    return trying(work, *args, **kwargs)


def _report_retry(state: RetryCallState) -> None:
    if state.outcome is not None and state.next_action is not None:
        logger.warning(
            "tried again in %.0f s: %s", state.next_action.sleep, state.outcome.exception()
        )


async def _failed_in_passing(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    return can_pass(await aget_state_exception(state))


def run_flow(flow: Flow[..., R], *, recorded: bool = False, **parameters: Any) -> R:
    """Runs a flow and returns its result.

    Args:
        flow: The flow.
        recorded: Whether the run is recorded by a Prefect server even if none is named by
            `PREFECT_API_URL`.
        parameters: The flow's parameters.
    """
    if recorded or os.environ.get("PREFECT_API_URL"):
        return cast("R", flow(**parameters))
    return flow.fn(**parameters)
