"""Runners: every task is worked on once, here or on a cluster, whatever fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import distributed
import pytest
from distributed import LocalCluster

from blindzone.core.errors import ArchiveError, PlanError
from blindzone.flows.running import prefect_steps, runners
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.runners import AHEAD, Runner, run_tasks


class Work(NamedTuple):
    """A number, and a file that is written to when it is worked on."""

    number: int
    log: Path


@step
def square(task: Work) -> int:
    """Returns the square of a number; 3 is bad data, and 5 meets a disk that errs once."""
    tries = task.log.read_text().split().count(str(task.number)) if task.log.exists() else 0
    with task.log.open("a") as log:
        log.write(f"{task.number}\n")
    if task.number == 3:
        raise ArchiveError("3 is damaged")
    if task.number == 5 and not tries:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return task.number**2


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_steps, "BACKOFF_S", 0.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A Dask cluster of two threads of this process: no worker has to import anything."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_every_task_is_worked_on_once_and_a_failure_keeps_none_from_it(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # More tasks than are given to the two threads of the cluster at a time.
    tasks = [Work(number, tmp_path / f"{number}.log") for number in range(2 * AHEAD + 5)]
    runner = Runner()
    if kind == "dask":
        runner = Runner(kind="dask", address=request.getfixturevalue("cluster").scheduler_address)
    found = dict(run_tasks(square, tasks, runner))
    assert found.keys() == set(tasks)
    refusal = found.pop(tasks[3])
    assert isinstance(refusal, ArchiveError)
    assert str(refusal) == "3 is damaged"
    assert found == {task: task.number**2 for task in tasks if task.number != 3}
    # What can pass was tried again, bad data were not.
    counts = [len(task.log.read_text().split()) for task in tasks]
    assert counts == [2 if task.number == 5 else 1 for task in tasks]


def test_tasks_are_reported_as_they_are_done(tmp_path: Path) -> None:
    running = run_tasks(
        square, [Work(number, tmp_path / f"{number}.log") for number in range(3)], Runner()
    )
    assert next(running)[1] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["0.log"]  # the others wait for their turn
    running.close()  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["0.log"]


def test_cluster_of_which_no_scheduler_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str, **options: object) -> None:
        raise OSError(f"Timed out trying to connect to {address} after 10 s")

    monkeypatch.setattr(distributed, "Client", fail)
    runner = Runner(kind="dask", address="tcp://127.0.0.1:9")
    with pytest.raises(
        PlanError,
        match=r"^tcp://127.0.0.1:9: no Dask scheduler answers: Timed out.*'dask scheduler'",
    ):
        list(run_tasks(square, [1], runner))  # type: ignore[arg-type,list-item]


def test_recorded_run_on_dask_needs_a_server_that_all_workers_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(runners, "is_in_flow_run", lambda: True)
    with pytest.raises(PlanError, match="set PREFECT_API_URL"):
        list(run_tasks(square, [1], Runner(kind="dask")))  # type: ignore[arg-type,list-item]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"address": "tcp://127.0.0.1:1"}, "with them the runner dask is right"),
        ({"workers": 2}, "with them the runner dask is right"),
        (
            {"kind": "dask", "workers": 0},
            r"workers: should be greater than or equal to 1 \(found 0\)",
        ),
        (
            {"kind": "dask", "workers": 2, "address": "tcp://127.0.0.1:1"},
            "give its address, or how many to start",
        ),
    ],
    ids=["address", "workers", "no worker", "both"],
)
def test_runner_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Runner(**wrong)  # type: ignore[arg-type]
