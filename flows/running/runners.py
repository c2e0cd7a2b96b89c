"""Where the tasks of a run are worked on: in this process, or by the workers of a Dask cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.core.fence import Fence, log_traceback
from blindzone.flows.running.prefect_steps import Step, is_in_flow_run
from blindzone.flows.running.workspace import workspace

if TYPE_CHECKING:
    from distributed import Client
    from prefect.futures import PrefectFuture

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Tasks that each thread of a cluster is given at a time: none waits for work, and the scheduler
stays small."""
BATCH = 64
"""The same of a recorded run, whose tasks can only be added all at once: threads wait at the end of
each batch."""

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@configuration(error=PlanError, what="runner")
class Runner:
    """Where the tasks of a run are worked on."""

    kind: Literal["local", "dask"] = "local"
    """local: in this process, one after the other; dask: by the workers of a Dask cluster."""
    address: str | None = None
    """Address of the cluster's scheduler, such as tcp://10.0.0.5:8786; by default a cluster on this
    machine."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Workers of a cluster on this machine, one thread each; by default one a core."""

    def __post_init__(self) -> None:
        if self.kind == "local" and (self.address is not None or self.workers is not None):
            raise PlanError(
                "address and workers are those of a Dask cluster; with them the runner dask is"
                " right"
            )
        if self.address is not None and self.workers is not None:
            raise PlanError(
                "a cluster that is there has its workers: give its address, or how many to start"
                " here"
            )


def run_tasks(
    work: Callable[[T], R], tasks: Sequence[T], runner: Runner
) -> Iterator[tuple[T, R | BaseException]]:
    """Yields each task, as it is done, with the result or the error of its step.

    Args:
        work: A step of one argument, `task`.
        tasks: Its arguments.
        runner: Where they are worked on.

    Raises:
        PlanError: If the cluster cannot be reached, or its workers could not reach a Prefect
            server.
    """
    task_step = cast("Step[[T], R]", work)
    if runner.kind == "dask":
        if recorded := is_in_flow_run():
            _check_server()
        with _open_cluster(runner) as (address, threads):
            if recorded:
                yield from _run_recorded(task_step, tasks, address, BATCH * threads)
            else:
                yield from _run_plainly(task_step, tasks, address, AHEAD * threads)
        return
    for task in tasks:
        yield task, _try(task_step, task)


def _check_server() -> None:
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value() is None:
        raise PlanError(
            "a run on Dask is recorded by a Prefect server that all workers reach: set"
            " PREFECT_API_URL"
        )


def _try(work: Callable[[T], R], task: T) -> R | BaseException:
    """Returns the result or the error of a task; whatever it is, the others are done."""
    errors: list[BaseException] = []
    with Fence(errors.append):
        return work(task)
    return errors[0]


def _run_plainly(
    task_step: Step[[T], R], tasks: Sequence[T], address: str, ahead: int
) -> Iterator[tuple[T, R | BaseException]]:
    """Has Dask call the step, without Prefect."""
    from distributed import Client
    from distributed import as_completed as as_done

    with Client(address, set_as_default=False) as client:
        waiting = iter(tasks)
        task_of = {
            client.submit(task_step.call, task, pure=False): task for task in islice(waiting, ahead)
        }
        running = as_done(list(task_of), loop=client.loop)
        for future in running:
            if (error := future.exception()) is not None:
                log_traceback(error)
            yield task_of.pop(future), (future.result() if error is None else error)
            for task in islice(waiting, 1):
                following = client.submit(task_step.call, task, pure=False)
                task_of[following] = task
                running.add(following)


def _run_recorded(
    task_step: Step[[T], R], tasks: Sequence[T], address: str, ahead: int
) -> Iterator[tuple[T, R | BaseException]]:
    """Has Prefect run the step as tasks on Dask."""
    from prefect.futures import as_completed
    from prefect_dask.task_runners import DaskTaskRunner

    with DaskTaskRunner(address=address) as dask:
        waiting = iter(tasks)
        while batch := list(islice(waiting, ahead)):
            task_of: dict[PrefectFuture[Any], T] = {
                dask.submit(task_step.task, parameters={"task": task}): task for task in batch
            }
            for future in as_completed(list(task_of)):
                yield task_of[future], _try(_result_of, future)


def _result_of(future: PrefectFuture[Any]) -> Any:
    return future.result()


@contextmanager
def _open_cluster(runner: Runner) -> Iterator[tuple[str, int]]:
    """Yields the address of the scheduler, and how many threads its workers have in all."""
    from distributed import Client, LocalCluster

    if runner.address is not None:
        try:
            client = Client(runner.address, timeout="10s", set_as_default=False)
        except OSError as error:
            raise PlanError(
                f"{runner.address}: no Dask scheduler answers: {error}; 'dask scheduler' prints its"
                " address"
            ) from error
        with client:
            yield runner.address, _count_threads(client)
        return
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # One thread a worker: the checkpoint is loaded once a process, and TensorFlow's threads are not
    # more than cores.
    with (
        LocalCluster(
            n_workers=runner.workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(workspace() / "dask"),
            env=_ONE_THREAD,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield cluster.scheduler_address, _count_threads(client)


def _count_threads(client: Client) -> int:
    threads: dict[str, int] = client.nthreads()
    return max(1, sum(threads.values()))
