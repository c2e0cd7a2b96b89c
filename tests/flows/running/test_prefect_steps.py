"""One orchestration: a flow runs with and without a Prefect server, and retries what can pass."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flow_calls import plan_ingest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blindzone.core.errors import (
    ArchiveError,
    CheckpointError,
    CurtainError,
    LockedError,
    ProductError,
)
from blindzone.core.fence import can_pass
from blindzone.flows.ingest import ingest
from blindzone.flows.running import prefect_steps
from blindzone.flows.running.prefect_steps import BACKOFF_S, LateFlow, run_flow, step
from blindzone.flows.running.product_task import fill_task

SOURCE = "short_days"

Try = Callable[[], str]


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A Prefect server for the whole module: its start takes longer than all it serves."""
    with prefect_test_harness(server_startup_timeout=60):
        yield


def caused(error: Exception, cause: Exception) -> Exception:
    """The error as it is raised from another."""
    error.__cause__ = cause
    return error


PASSING = (
    LockedError("another run is at it"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ESTALE, "Stale file handle"),
    ConnectionResetError("by peer"),
    TimeoutError("no answer"),
    caused(ProductError("cannot be read"), OSError(errno.EBUSY, "busy")),
    caused(
        ArchiveError("cannot be read"),
        caused(RuntimeError("of a library"), ConnectionError("refused")),
    ),
)
LASTING = (
    CurtainError("infinite values"),
    ArchiveError("damaged"),
    CheckpointError("no checkpoint"),
    FileNotFoundError(errno.ENOENT, "No such file"),
    PermissionError(errno.EACCES, "Permission denied"),
    caused(ProductError("cannot be written"), OSError(errno.ENOSPC, "No space left on device")),
    ValueError("nonsense"),
)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_locks_and_disks_and_networks_that_err_can_pass(error: Exception) -> None:
    assert can_pass(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_bad_data_full_disks_and_missing_files_stay(error: Exception) -> None:
    assert not can_pass(error)


def fail_first(error: Exception, times: int) -> tuple[Try, list[int]]:
    """Returns a step that fails so many times, and the list that counts its calls."""
    calls: list[int] = []

    @step
    def work() -> str:
        calls.append(len(calls) + 1)
        if len(calls) <= times:
            raise error
        return "done"

    return work, calls


def test_step_tries_again_with_longer_and_longer_waits_what_can_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    work, calls = fail_first(PASSING[0], times=3)
    assert work() == "done"
    assert len(calls) == 4
    assert waits == [BACKOFF_S, 2 * BACKOFF_S, 4 * BACKOFF_S]
    # Within a flow Prefect waits just as long.
    assert fill_task.task.retry_delay_seconds == waits  # type: ignore[attr-defined]


def test_step_gives_up_with_the_error_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    work, calls = fail_first(PASSING[5], times=100)
    with pytest.raises(ProductError, match="cannot be read"):
        work()
    assert len(calls) == 4


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_step_never_tries_bad_data_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: pytest.fail("it waits"))
    work, calls = fail_first(error, times=1)
    with pytest.raises(type(error)):
        work()
    assert len(calls) == 1


def test_prefect_tries_again_what_can_pass_and_never_bad_data(
    server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_steps, "BACKOFF_S", 0.0)
    locked, lock_calls = fail_first(PASSING[0], times=2)
    damaged, damage_calls = fail_first(LASTING[1], times=1)
    broken, broken_calls = fail_first(PASSING[1], times=100)

    @flow
    def work() -> tuple[str, list[str]]:
        reasons = []
        for bad in (damaged, broken):
            try:
                bad()
            except (ArchiveError, OSError) as error:
                reasons.append(str(error))
        return locked(), reasons

    done, reasons = run_flow(work, recorded=True)
    assert done == "done"
    assert reasons == ["damaged", "[Errno 5] Input/output error"]
    # Four tries, not four times four: the step leaves it to Prefect.
    assert (len(lock_calls), len(damage_calls), len(broken_calls)) == (3, 1, 4)


def test_run_without_a_server_starts_none(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(
        "prefect.Flow.__call__", lambda *_, **__: pytest.fail("the flow was given to Prefect")
    )

    report = run_flow(
        ingest, plan=plan_ingest(SOURCE, catalog=catalog, archive=tmp_path / "archive")
    )

    assert len(report.outcomes) == 3


def test_recorded_run_leaves_its_flow_and_tasks_with_the_server(
    server: None, catalog: Path, tmp_path: Path
) -> None:
    async def read_names() -> tuple[list[str], set[str]]:
        async with get_client() as client:
            runs = await client.read_flow_runs()
            tasks = await client.read_task_runs()
            ours = [run for run in runs if run.id == max(runs, key=lambda run: run.created).id]
            names = {task.name for task in tasks if task.flow_run_id == ours[0].id}
            return [run.state_name or "" for run in ours], names

    report = run_flow(
        ingest,
        recorded=True,
        plan=plan_ingest(SOURCE, catalog=catalog, archive=tmp_path / "archive"),
    )
    states, tasks = asyncio.run(read_names())

    assert len(report.outcomes) == 3
    assert states == ["Completed"]
    # A temporary server may drop a part of what it was told; what it keeps is named by what was
    # done.
    assert tasks
    assert all(
        name.startswith(("find_files-", "find_reaching-", "ingest short_days 2000-01-0"))
        for name in tasks
    )


def test_flow_that_is_made_late_has_all_that_a_flow_has() -> None:
    def double(number: int) -> int:
        return 2 * number

    late = LateFlow(double, "double")
    assert late.fn(2) == 4
    assert (late.name, late.with_options(name="other").name) == ("double", "other")
    with pytest.raises(AttributeError):
        late.nonsense  # noqa: B018
