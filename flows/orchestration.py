"""One orchestration, with or without a Prefect server.

Flows and tasks are Prefect's own. Called inside a flow run, a step is a Prefect task; called outside one, it is a plain
function. The command line runs a flow's function directly, which needs no server, unless the run is to be recorded.
"""

from __future__ import annotations

import os

# Set before Prefect is imported: a pipeline on a radar site's machine reports to nobody.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow, Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A Prefect task that is a plain function call where no flow run is active."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the task within a flow run, its function elsewhere."""
        if FlowRunContext.get() is None:
            return self.fn(*args, **kwargs)
        return super().__call__(*args, **kwargs)


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function as a step of a flow; it takes and gives paths and small records, never arrays."""
    # Whether work is already done is decided by what lies in the archive, so Prefect need not hash the inputs.
    return cast("Callable[P, R]", Step(function, cache_policy=NO_CACHE))


def run_flow(flow: Flow[..., R], *, recorded: bool = False, **parameters: Any) -> R:
    """Runs a flow and returns its result.

    Args:
        flow: The flow.
        recorded: Whether the run is recorded by a Prefect server even if none is named by `PREFECT_API_URL`.
        parameters: The flow's parameters.
    """
    if recorded or os.environ.get("PREFECT_API_URL"):
        return cast("R", flow(**parameters))
    return flow.fn(**parameters)
