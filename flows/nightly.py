"""Nightly: what is new of a source is ingested, filled, verified where there is truth, and reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from prefect import flow

from blindzone.core.errors import BlindzoneError, PlanError
from blindzone.core.granule import Granule
from blindzone.flows.ingest import IngestReport, find_files, ingest_days
from blindzone.flows.reports.journal import keep_journal
from blindzone.flows.reprocess import fill_tasks
from blindzone.flows.running.product_task import PLAN, Filling, Places, ProductTask, SettledPlaces
from blindzone.flows.running.records import RunReport
from blindzone.flows.running.runners import Runner
from blindzone.pipeline.archive import Archive


@dataclass(frozen=True, kw_only=True)
class NightlyPlan:
    """What is done every night."""

    __pydantic_config__ = PLAN

    sources: tuple[str, ...]
    """Names of sources in the catalogue."""
    days: int = 7
    """How many days back from the newest of a source's files are looked at: files come late, or
    anew."""
    filling: Filling = field(default_factory=Filling)
    """How blind zones are filled."""
    places: Places = field(default_factory=Places)
    """Where everything lies."""
    runner: Runner = field(default_factory=Runner)
    """Where days are worked on."""
    pictures: bool = True
    """Whether a picture is drawn beside each product that is made."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise PlanError("sources: at least one source is right; found none")
        if self.days < 1:
            raise PlanError(f"days: at least 1 is right; found {self.days}")


@flow(name="nightly", log_prints=True)
def nightly(plan: NightlyPlan) -> RunReport:
    """Ingests what is new, fills it, and scores it where the radar sees what was hidden.

    Args:
        plan: What is done.

    Raises:
        BlindzoneError: If nothing of any source can be ingested or filled.
    """
    places, ingested, lacking = plan.places.settle(), [], []
    units: list[ProductTask] = []
    with keep_journal("nightly", places.reports) as journal:
        for source in plan.sources:
            try:
                start, report = ingest_newest(source, plan.days, places)
                held = Archive(places.archive).days_between(source, start)
            except (
                BlindzoneError
            ) as error:  # one source whose files are gone must not keep the others from being done
                lacking.append(f"{source}: {error}")
                continue
            ingested.append(report)
            filling = plan.filling.settle(source)
            to_fill = partial(
                ProductTask, source=source, filling=filling, places=places, picture=plan.pictures
            )
            units += [to_fill(day=day) for day in held]
        if not units:
            raise PlanError("\n".join(lacking))
        return journal.close(fill_tasks(units, plan.runner, journal), ingested, lacking)


def ingest_newest(source: str, days: int, places: SettledPlaces) -> tuple[date, IngestReport]:
    """Ingests the newest days of a source, and returns the first of them and what became of each.

    What is newest is told by the files, not by the clock, which may be wrong.

    Raises:
        BlindzoneError: If the source has no file.
    """
    files, _ = find_files(source, None, None, places.catalog)
    newest = max(Granule.of(unit).day for unit in files)
    start = newest - timedelta(days=days - 1)
    return start, ingest_days(source, start, None, places.catalog, places.archive)
