"""Reprocess: the products of any range of days of any sources, each made once, wherever and however often it is begun.

What is to be done follows from what is there: a unit whose product states its target is passed
over. A run that was killed is therefore gone on with by starting it again, and two runs over the
same days share the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

from prefect import flow

from blindzone.core.errors import ArchiveError, BlindzoneError, LockedError, PlanError
from blindzone.flows.reports.journal import Journal, keep_journal
from blindzone.flows.running.logs import log_day
from blindzone.flows.running.prefect_steps import follow_causes
from blindzone.flows.running.product_task import (
    PLAN,
    Filling,
    Places,
    ProductTask,
    fill_task,
    find_unchanged,
)
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import DayReport, RunReport
from blindzone.flows.running.runners import Runner, run_tasks
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.source_files import is_url
from blindzone.pipeline.products.product_store import ProductStore


@dataclass(frozen=True, kw_only=True)
class ReprocessPlan:
    """What is reprocessed."""

    __pydantic_config__ = PLAN

    sources: tuple[str, ...]
    """Names of sources in the catalogue."""
    start: date | None = None
    """First UTC day; by default the first that the archive holds."""
    end: date | None = None
    """Last UTC day, inclusive; by default the last that the archive holds."""
    filling: Filling = field(default_factory=Filling)
    """How blind zones are filled."""
    places: Places = field(default_factory=Places)
    """Where everything lies."""
    runner: Runner = field(default_factory=Runner)
    """Where days are worked on."""
    force: bool = False
    """Whether products that are there already are made anew."""
    pictures: bool = False
    """Whether a picture is drawn beside each product that is made."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise PlanError("sources: at least one source is right; found none")
        if self.start is not None and self.end is not None and self.start > self.end:
            raise PlanError(
                f"the range starts on {self.start} and ends on {self.end}; start must not be"
                " after end"
            )


@flow(name="reprocess", log_prints=True)
def reprocess(plan: ReprocessPlan) -> RunReport:
    """Makes the products of archived days, whichever are not there already just so.

    Args:
        plan: What is reprocessed, how and where.

    Raises:
        BlindzoneError: If nothing can be done: no day, no checkpoint, no place for products.
    """
    with keep_journal("reprocess", plan.places.settle().reports) as journal:
        units, lacking = find_tasks(plan)
        return journal.close(fill_tasks(units, plan.runner, journal), lacking=lacking)


def find_tasks(plan: ReprocessPlan) -> tuple[list[ProductTask], list[str]]:
    """Returns the units of a plan that the archive holds, in order, and of which sources it holds none, and why.

    Raises:
        CatalogError: If the catalogue cannot be used.
        ArchiveError: If it holds none of the sources' days in the range.
    """
    places = plan.places.settle()
    sources = read_catalog(places.catalog)
    archive, units, lacking = Archive(places.archive), [], []
    for source in plan.sources:
        try:
            sources.check_known(source)
            days = archive.days_between(source, plan.start, plan.end)
        except BlindzoneError as error:
            lacking.append(f"{source}: {error}")
            continue
        filling = plan.filling.settle(source)
        to_fill = partial(
            ProductTask,
            source=source,
            filling=filling,
            places=places,
            force=plan.force,
            picture=plan.pictures,
        )
        units += [to_fill(day=day) for day in days]
    if not units:
        raise ArchiveError("\n".join(lacking))
    return units, lacking


def fill_tasks(
    units: Sequence[ProductTask], runner: Runner, journal: Journal
) -> tuple[DayReport, ...]:
    """Fills units and returns what became of each, in their order; one that cannot be filled keeps none from it.

    Args:
        units: The units.
        runner: Where they are worked on.
        journal: That of the run.

    Raises:
        BlindzoneError: If there is no room for what is to be made, or no worker.
    """
    reports, todo = _part(units)
    if not todo:
        return tuple(reports.values())
    _check_space(todo)
    todo = [replace(unit, run=journal.run, flow=journal.flow, log=journal.log) for unit in todo]
    with stage("reprocess") as on_progress:
        for number, (unit, found) in enumerate(run_tasks(fill_task, todo, runner), start=1):
            report = found if isinstance(found, DayReport) else _set_aside(unit, found)
            reports[unit.source, unit.day] = report
            log_day(report)
            on_progress(
                number / len(todo),
                f"{number} of {len(todo)}, {unit.source} {unit.day} {report.status}",
            )
    return tuple(reports[unit.source, unit.day] for unit in units)


def _part(
    units: Sequence[ProductTask],
) -> tuple[dict[tuple[str, date], DayReport], list[ProductTask]]:
    """Returns what there is to say of units whose products are there, and the units that are to be worked on."""
    held: dict[tuple[str, date], DayReport] = {}
    todo = []
    for unit in units:
        report = None
        with suppress(BlindzoneError):  # to be told when its turn comes
            report = find_unchanged(unit)
        if report is None:
            todo.append(unit)
        else:
            held[unit.source, unit.day] = report
    return held, todo


def _check_space(units: Sequence[ProductTask]) -> None:
    """Checks that what is to be made finds room; an object store has no end."""
    places = units[0].places
    if is_url(places.products):
        return
    archive, profiles = Archive(places.archive), 0
    for unit in units:
        with suppress(ArchiveError):
            profiles += archive.record(unit.source, unit.day).profiles
    ProductStore(places.products).check_space(profiles, units[0].filling.samples or 0)


def _set_aside(unit: ProductTask, error: Exception) -> DayReport:
    """Returns the report of a unit that could not be filled: refused for its data, failed for the machine's fault."""
    is_refused = isinstance(error, BlindzoneError) and not any(
        isinstance(link, OSError | LockedError) for link in follow_causes(error)
    )
    reason = str(error) if isinstance(error, BlindzoneError) else f"{type(error).__name__}: {error}"
    return DayReport(
        source=unit.source,
        day=unit.day,
        status="refused" if is_refused else "failed",
        reason=reason,
    )
