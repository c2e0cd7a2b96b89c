"""Product runs: which tasks a plan has, and what becomes of each."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from blindzone.core.errors import (
    ArchiveError,
    BlindzoneError,
    CurtainError,
    LockedError,
    PlanError,
    ProductError,
)
from blindzone.flows.running import product_run
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_run import (
    ReprocessPlan,
    fill_tasks,
    find_tasks,
    make_tasks,
    raise_error,
    set_aside,
)
from blindzone.flows.running.product_task import ProductTask, RunMark
from blindzone.flows.running.records import DayReport
from blindzone.flows.running.runners import Runner
from blindzone.pipeline.products.product_store import ProductStore

SOURCE = "short_days"
DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
MARK = RunMark(run="a run")


@pytest.fixture
def plan(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> ReprocessPlan:
    places = Places(catalog=catalog, archive=str(trained[0]), products=str(tmp_path / "products"))
    filling = Filling(passes=2, checkpoint=trained[1])
    return ReprocessPlan(sources=(SOURCE,), filling=filling, places=places)


@pytest.fixture
def tasks(plan: ReprocessPlan) -> list[ProductTask]:
    return find_tasks(plan, MARK)[0]


def days_of(tasks: list[ProductTask]) -> list[date]:
    return [task.day for task in tasks]


def test_tasks_are_the_archived_days_of_the_range(plan: ReprocessPlan) -> None:
    tasks, lacking = find_tasks(dataclasses.replace(plan, start=DAYS[1]), MARK)
    assert (days_of(tasks), lacking) == ([DAYS[1], DAYS[2]], [])
    # Another process needs no defaults of this one.
    assert all(Path(task.places.archive).is_absolute() for task in tasks)
    assert {task.mark for task in tasks} == {MARK}


def test_source_without_days_is_told_and_the_others_have_their_tasks(plan: ReprocessPlan) -> None:
    tasks, lacking = find_tasks(dataclasses.replace(plan, sources=("absent", SOURCE)), MARK)
    assert days_of(tasks) == list(DAYS)
    (reason,) = lacking
    assert reason.startswith("absent: ")


def test_plan_without_any_task_is_an_error_with_all_reasons(plan: ReprocessPlan) -> None:
    later = dataclasses.replace(plan, sources=(SOURCE, "absent"), start=date(2001, 1, 1))
    with pytest.raises(ArchiveError) as caught:
        find_tasks(later, MARK)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{SOURCE}: ")
    assert second.startswith("absent: ")


def test_plan_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(PlanError, match="start must not be after end"):
        ReprocessPlan(sources=(SOURCE,), start=DAYS[1], end=DAYS[0])
    with pytest.raises(PlanError, match="sources"):
        ReprocessPlan(sources=())


def test_choices_of_the_plan_are_those_of_each_task(plan: ReprocessPlan) -> None:
    (task,) = make_tasks(
        dataclasses.replace(plan, force=True, pictures=True), SOURCE, DAYS[:1], MARK
    )
    assert (task.source, task.day, task.force, task.picture) == (SOURCE, DAYS[0], True, True)
    assert task.filling.passes == 2
    assert task.filling.checkpoint is not None
    assert task.filling.checkpoint.is_absolute()


def caused(error: BlindzoneError, cause: Exception) -> BlindzoneError:
    error.__cause__ = cause
    return error


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (CurtainError("bad day"), "rejected", "bad day"),
        # The machine's fault, and not that of the data.
        (caused(ProductError("not written"), FULL), "failed", "not written"),
        (LockedError("taken"), "failed", "taken"),
        (RuntimeError("odd"), "failed", "RuntimeError: odd"),
    ],
)
def test_task_is_set_aside_by_what_is_at_fault(
    tasks: list[ProductTask], error: Exception, status: str, reason: str
) -> None:
    report = set_aside(tasks[0], error)
    assert (report.source, report.day) == (SOURCE, DAYS[0])
    assert (report.status, report.reason) == (status, reason)


def test_error_can_end_the_run_instead(tasks: list[ProductTask]) -> None:
    error = CurtainError("bad day")
    with pytest.raises(CurtainError) as caught:
        raise_error(tasks[0], error)
    assert caught.value is error


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """Days that are worked on, the last one first; the product of the first day is there."""
    days: list[date] = []

    def work(function: Any, todo: list[ProductTask], runner: Runner) -> Iterator[tuple[Any, Any]]:
        for task in reversed(todo):
            days.append(task.day)
            found: Any = CurtainError("bad") if task.day == DAYS[1] else report_of(task, "created")
            yield task, found

    def find(task: ProductTask) -> DayReport | None:
        return report_of(task, "unchanged") if task.day == DAYS[0] else None

    monkeypatch.setattr(product_run, "run_tasks", work)
    monkeypatch.setattr(product_run, "find_unchanged", find)
    return days


def report_of(task: ProductTask, status: Any) -> DayReport:
    return DayReport(source=task.source, day=task.day, status=status)


def test_tasks_are_reported_in_their_order_and_only_what_lacks_is_worked_on(
    tasks: list[ProductTask], worked: list[date]
) -> None:
    reports = fill_tasks(tasks, Runner())
    assert worked == [DAYS[2], DAYS[1]]
    assert [(report.day, report.status) for report in reports] == [
        (DAYS[0], "unchanged"),
        (DAYS[1], "rejected"),
        (DAYS[2], "created"),
    ]


def test_error_of_a_task_ends_the_run_if_it_is_to(
    tasks: list[ProductTask], worked: list[date]
) -> None:
    with pytest.raises(CurtainError, match="bad"):
        fill_tasks(tasks, Runner(), on_error=raise_error)


def test_room_is_checked_for_the_profiles_of_what_lacks(
    tasks: list[ProductTask], worked: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        ProductStore,
        "check_space",
        lambda self, profiles, members: asked.append((profiles, members)),
    )
    fill_tasks(tasks, Runner())
    assert asked == [(1200, 0)]  # two days of 600 profiles, no members
    asked.clear()
    fill_tasks(tasks[:1], Runner())  # nothing lacks
    assert asked == []


def test_product_whose_state_cannot_be_found_is_worked_on(
    tasks: list[ProductTask], worked: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(task: ProductTask) -> None:
        raise ProductError("no answer")

    monkeypatch.setattr(product_run, "find_unchanged", fail)
    assert len(fill_tasks(tasks, Runner())) == 3
    assert worked == [*reversed(DAYS)]
