"""One orchestration, with or without a Prefect server.

Flows and tasks are Prefect's own. Called inside a flow run, a step is a Prefect task; called
outside one, it is a plain function. The command line runs a flow's function directly, which needs
no server, unless the run is to be recorded. Either way a step that meets what can pass is tried
again, and one that meets bad data is not.

Prefect is imported when a run is recorded, and not before: its import takes longer than a night
with nothing to do.
"""

from __future__ import annotations

import functools
import logging
import os
import sys

# Set before Prefect is imported: a pipeline on a radar site's machine reports to nobody.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
)

from blindzone.core.fence import can_pass

if TYPE_CHECKING:
    from prefect import Flow, Task

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3
"""How often a step is tried again."""
BACKOFF_S = 2.0
"""How long it waits before it is tried again [s]; twice as long each time."""


class Step(Generic[P, R]):
    """A function that is a Prefect task within a flow run, and itself elsewhere.

    Args:
        function: The function.
        runs: What its runs are called, in terms of its parameters.
    """

    def __init__(self, function: Callable[P, R], runs: str | None) -> None:
        functools.update_wrapper(self, function)
        self.fn = function
        self._runs = runs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the task within a flow run, its function elsewhere."""
        if is_in_flow_run():
            return self.task(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> R:
        """Calls the function, without Prefect, as often as Prefect would."""
        return patiently(self.fn, *args, **kwargs)

    @functools.cached_property
    def task(self) -> Task[P, R]:
        """The Prefect task."""
        from prefect import Task
        from prefect.cache_policies import NO_CACHE
        from prefect.tasks import exponential_backoff

        # Whether work is already done is decided by what lies in the archive, so Prefect need not
        # hash the inputs.
        return Task(
            self.fn,
            cache_policy=NO_CACHE,
            task_run_name=self._runs,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(BACKOFF_S),
            retry_condition_fn=_failed_in_passing,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets a process of a cluster find the step by its name; the task is made there anew."""
        module, name = self.fn.__module__, self.fn.__qualname__
        if getattr(sys.modules.get(module), name, None) is self:
            return _find_step, (module, name)
        return Step, (self.fn, self._runs)


def _find_step(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def is_in_flow_run() -> bool:
    """Returns whether Prefect records what runs here."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


class LateFlow(Generic[P, R]):
    """A function that becomes a Prefect flow when it is used as one.

    Args:
        function: The function.
        name: Name of the flow.
    """

    def __init__(self, function: Callable[P, R], name: str) -> None:
        functools.update_wrapper(self, function)
        self.fn = function
        self._flow_name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the flow."""
        return self._flow(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Returns what else Prefect's flow has."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._flow, name)

    @functools.cached_property
    def _flow(self) -> Flow[P, R]:
        return _make_flow(self.fn, self._flow_name)


def late_flow(name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Returns a decorator that makes a function a flow without importing Prefect for it.

    Where Prefect is imported already, as in its own processes, it is Prefect's flow at once.

    Args:
        name: Name of the flow.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        if "prefect" in sys.modules:
            return _make_flow(function, name)
        return cast("Flow[P, R]", LateFlow(function, name))

    return decorate


def _make_flow(function: Callable[P, R], name: str) -> Flow[P, R]:
    from prefect import flow

    return flow(name=name, log_prints=True)(function)


def step(function: Callable[P, R], *, runs: str | None = None) -> Callable[P, R]:
    """Returns the function as a step of a flow; it takes and returns paths and small records.

    Args:
        function: The function.
        runs: What its runs are called, in terms of its parameters: "{task.source} {task.day}", say.
    """
    return cast("Callable[P, R]", Step(function, runs))


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


async def _failed_in_passing(task: Any, run: Any, state: Any) -> bool:
    from prefect.states import aget_state_exception

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
