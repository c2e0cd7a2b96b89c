"""Nightly: new files are ingested and filled, scored where there is truth, and reported."""

from __future__ import annotations

from dataclasses import field
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.flows.reports.journal import keep_journal
from blindzone.flows.running.ingestion import IngestPlan, find_newest, ingest_days
from blindzone.flows.running.plans import DataPlaces, Filling, Places, Sources
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.product_run import (
    ReprocessPlan,
    fill_tasks,
    lacking_source,
    make_tasks,
)
from blindzone.flows.running.product_task import ProductTask
from blindzone.flows.running.records import IngestReport, RunReport
from blindzone.flows.running.runners import Runner
from blindzone.pipeline.archive import Archive


@configuration(error=PlanError, what="nightly")
class NightlyPlan:
    """What is done every night."""

    sources: Sources
    """Names of sources in the catalogue."""
    days: Annotated[int, Field(ge=1)] = 7
    """Number of days up to the newest of a source's files that are ingested: files come late, or
    anew."""
    filling: Filling = field(default_factory=Filling)
    """How blind zones are filled."""
    places: Places = field(default_factory=Places)
    """Where everything is."""
    runner: Runner = field(default_factory=Runner)
    """Where days are worked on."""
    pictures: bool = True
    """Whether a picture is drawn next to each product that is made."""
    derive: bool = False
    """Whether what each product implies for its columns is written next to it."""

    @property
    def products(self) -> ReprocessPlan:
        """The same as a plan of `reprocess`."""
        return ReprocessPlan(
            sources=self.sources,
            filling=self.filling,
            places=self.places,
            runner=self.runner,
            pictures=self.pictures,
            derive=self.derive,
        )


@late_flow("nightly")
def nightly(plan: NightlyPlan) -> RunReport:
    """Ingests new files, fills their days, and scores them where the radar sees the truth.

    Args:
        plan: What is done.

    Raises:
        BlindzoneError: If nothing of any source can be ingested or filled.
    """
    places, ingested, lacking = plan.places.settle(), [], list[str]()
    tasks: list[ProductTask] = []
    with keep_journal("nightly", places.reports) as journal:
        for source in plan.sources:
            with lacking_source(source, lacking):  # the other sources are done all the same
                start, report = ingest_newest(source, plan.days, places.data)
                ingested.append(report)
                days = Archive(places.archive).days_between(source, start)
                tasks += make_tasks(plan.products, source, days, journal.mark)
        if not tasks:
            raise PlanError("\n".join(lacking))
        return journal.close(fill_tasks(tasks, plan.runner), ingested, lacking)


def ingest_newest(source: str, days: int, places: DataPlaces) -> tuple[date, IngestReport]:
    """Ingests the newest days of a source, and returns the first of them and the outcome.

    Newest are the days of the last files; the clock may be wrong.

    Args:
        source: Name of the source.
        days: Number of days.
        places: Where catalogue and archive are.

    Raises:
        BlindzoneError: If the source has no file.
    """
    plan = IngestPlan(source=source, places=places)
    newest, period = find_newest(plan), plan.open().entry.period
    start = newest - timedelta(days=days - 1)
    end = max(newest, period.end) if period and period.end else newest
    return start, ingest_days(IngestPlan(source=source, start=start, end=end, places=places))
