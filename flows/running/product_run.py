"""Product runs: the tasks of a plan, worked on wherever its runner says, each with its outcome.

What is to be done follows from what is there: a task whose product states its target is passed
over. A run that was killed is therefore continued by starting it again, and two runs over the same
days share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import date

from blindzone.core.configuration import configuration
from blindzone.core.errors import ArchiveError, BlindzoneError, LockedError, PlanError
from blindzone.core.fence import Fence, describe, follow_causes, ignore
from blindzone.flows.running.cost import Cost
from blindzone.flows.running.logs import announce, log_day
from blindzone.flows.running.network_choice import find_source_kind
from blindzone.flows.running.network_in_use import read_network_in_use
from blindzone.flows.running.plans import Filling, Places, Sources, check_range
from blindzone.flows.running.product_task import ProductTask, RunMark, fill_task, find_unchanged
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import DayReport, Status, list_ranges
from blindzone.flows.running.runners import Runner, run_tasks
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.source_files import is_url
from blindzone.pipeline.products.product_store import ProductStore


@configuration(error=PlanError, what="reprocess")
class ReprocessPlan:
    """Which products are made, how and where."""

    sources: Sources
    """Names of sources in the catalogue."""
    start: date | None = None
    """First UTC day; by default the first that is archived."""
    end: date | None = None
    """Last UTC day, inclusive; by default the last that is archived."""
    filling: Filling = field(default_factory=Filling)
    """How blind zones are filled."""
    places: Places = field(default_factory=Places)
    """Where everything is."""
    runner: Runner = field(default_factory=Runner)
    """Where days are worked on."""
    force: bool = False
    """Whether products that are there already are made anew."""
    pictures: bool = False
    """Whether a picture is drawn next to each product that is made."""
    derive: bool = False
    """Whether what each product implies for its columns is written next to it."""

    def __post_init__(self) -> None:
        check_range(self.start, self.end)


def find_tasks(plan: ReprocessPlan, mark: RunMark) -> tuple[list[ProductTask], list[str]]:
    """Returns the archived tasks of a plan in order, and the sources without any, with the reason.

    Args:
        plan: The plan.
        mark: The run that the tasks belong to.

    Raises:
        CatalogError: If the catalogue cannot be used.
        ArchiveError: If none of the sources' days in the range is archived.
    """
    places = plan.places.settle()
    sources, archive = read_catalog(places.catalog), Archive(places.archive)
    tasks: list[ProductTask] = []
    lacking: list[str] = []
    for source in plan.sources:
        with lacking_source(source, lacking):
            sources.check_known(source)
            days = archive.days_between(source, plan.start, plan.end)
            tasks += make_tasks(plan, source, days, mark)
    if not tasks:
        raise ArchiveError("\n".join(lacking))
    return tasks, lacking


def lacking_source(source: str, lacking: list[str]) -> Fence:
    """Notes in a list why nothing can be done of a source in the block, whatever it is."""
    return Fence(lambda error: lacking.append(f"{source}: {describe(error)}"))


def make_tasks(
    plan: ReprocessPlan, source: str, days: Sequence[date], mark: RunMark
) -> list[ProductTask]:
    """Returns the tasks of days of a source, filled as a plan says."""
    places = plan.places.settle()
    entry = read_catalog(places.catalog)[source]
    kind = find_source_kind(Archive(places.archive), entry, days)
    filling = plan.filling.settle(source, kind)
    return [
        ProductTask(
            source=source,
            day=day,
            filling=filling,
            places=places,
            force=plan.force,
            picture=plan.pictures,
            derive=plan.derive,
            mark=mark,
        )
        for day in days
    ]


def find_cost(plan: ReprocessPlan) -> Cost:
    """Returns what a plan would make, and nothing is made.

    Raises:
        CatalogError: If the catalogue cannot be used.
        ArchiveError: If none of the sources' days in the range is archived.
    """
    tasks, _ = find_tasks(plan, RunMark(flow="reprocess"))
    _, todo = _part(tasks)
    return Cost(products=len(todo), tasks=len(tasks), profiles=_count_profiles(todo))


def set_aside(task: ProductTask, error: BaseException) -> DayReport:
    """Returns the report of a task without a product.

    It is rejected if its data are at fault, and has failed if the machine is.
    """
    is_rejected = isinstance(error, BlindzoneError) and not any(
        isinstance(link, OSError | LockedError | MemoryError) for link in follow_causes(error)
    )
    status: Status = "rejected" if is_rejected else "failed"
    return DayReport(source=task.source, day=task.day, status=status, reason=describe(error))


def raise_error(task: ProductTask, error: BaseException) -> DayReport:
    """Raises the error of a task, which ends the run."""
    raise error


def fill_tasks(
    tasks: Sequence[ProductTask],
    runner: Runner,
    *,
    on_error: Callable[[ProductTask, BaseException], DayReport] = set_aside,
) -> tuple[DayReport, ...]:
    """Fills tasks and returns the outcome of each, in their order.

    Args:
        tasks: The tasks.
        runner: Where they are worked on.
        on_error: Returns the report of a task that cannot be filled, or ends the run.

    Raises:
        BlindzoneError: If there is no room for what is to be made, or no worker.
    """
    reports, todo = _part(tasks)
    if todo:
        _announce_networks(todo)
        _work(todo, reports, runner, on_error)
    found = tuple(reports[task.source, task.day] for task in tasks)
    for line in list_ranges(found):
        announce(line)
    return found


def _announce_networks(tasks: Sequence[ProductTask]) -> None:
    """Says which networks fill; one that cannot be used is reported with its tasks."""
    first = {(task.source, task.checkpoint): task for task in reversed(tasks)}
    lines = []
    for task in reversed(first.values()):
        with Fence(ignore):
            entry = read_catalog(task.places.catalog)[task.source]
            found = read_network_in_use(
                task.checkpoint, entry.blind_zone, where=task.source, passes=task.filling.passes
            )
            lines.append(str(found))
    for line in dict.fromkeys(lines):
        announce(line)


def _work(
    todo: Sequence[ProductTask],
    reports: dict[tuple[str, date], DayReport],
    runner: Runner,
    on_error: Callable[[ProductTask, BaseException], DayReport],
) -> None:
    """Fills tasks and adds the outcome of each to the reports."""
    _check_space(todo)
    with stage("products") as on_progress:
        for number, (task, found) in enumerate(run_tasks(fill_task, todo, runner), start=1):
            report = found if isinstance(found, DayReport) else on_error(task, found)
            reports[task.source, task.day] = report
            log_day(report)
            note = f"{number} of {len(todo)}, {task.source} {task.day} {report.status}"
            on_progress(number / len(todo), note)


def _part(
    tasks: Sequence[ProductTask],
) -> tuple[dict[tuple[str, date], DayReport], list[ProductTask]]:
    """Returns the reports of tasks whose products are there, and the tasks to be worked on."""
    unchanged: dict[tuple[str, date], DayReport] = {}
    todo = []
    for task in tasks:
        report = None
        with Fence(ignore):  # reported when its turn comes
            report = find_unchanged(task)
        if report is None:
            todo.append(task)
        else:
            unchanged[task.source, task.day] = report
    return unchanged, todo


def _check_space(tasks: Sequence[ProductTask]) -> None:
    """Checks that there is room for the products; an object store has no end."""
    places = tasks[0].places
    if is_url(places.products):
        return
    profiles = _count_profiles(tasks)
    ProductStore(places.products).check_space(profiles, tasks[0].filling.members or 0)


def _count_profiles(tasks: Sequence[ProductTask]) -> int:
    """Returns the number of profiles of tasks, by the archive's records."""
    profiles = 0
    for task in tasks:
        with Fence(ignore):  # reported when its turn comes
            archive = Archive(task.places.archive)
            profiles += archive.record(task.source, task.day).profiles
    return profiles
