"""Inpaint: products of a range of days of one source; as reprocess, without a report."""

from __future__ import annotations

from dataclasses import field
from datetime import date

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import Filling, Places, check_range
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.product_run import ReprocessPlan, fill_tasks, find_tasks, raise_error
from blindzone.flows.running.product_task import RunMark


@configuration(error=PlanError, what="inpaint")
class InpaintPlan:
    """Which days are filled, how and where."""

    source: str
    """Name of the source in the catalogue."""
    start: date
    """First UTC day."""
    end: date
    """Last UTC day, inclusive."""
    filling: Filling = field(default_factory=Filling)
    """How blind zones are filled."""
    places: Places = field(default_factory=Places)
    """Where everything is."""
    force: bool = False
    """Whether products that are there already are made anew."""
    derive: bool = False
    """Whether what each product implies for its columns is written next to it."""

    def __post_init__(self) -> None:
        check_range(self.start, self.end)

    @property
    def reprocess(self) -> ReprocessPlan:
        """The same as a plan of `reprocess`."""
        return ReprocessPlan(
            sources=(self.source,),
            start=self.start,
            end=self.end,
            filling=self.filling,
            places=self.places,
            force=self.force,
            derive=self.derive,
        )


@late_flow("inpaint")
@also_takes(
    InpaintPlan,
    source="source",
    start="start",
    end="end",
    output="places.products",
    checkpoint="filling.checkpoint",
    passes="filling.passes",
    realizations="filling.passes",
    seed="filling.seed",
    catalog="places.catalog",
    archive="places.archive",
    samples="filling.members",
    force="force",
)
def inpaint(plan: InpaintPlan) -> list[str]:
    """Fills the blind zone of every archived day in a range and writes one product a day.

    It ends at the first day that cannot be filled.

    Args:
        plan: Which days are filled, how and where.

    Returns:
        Paths or URLs of the products.

    Raises:
        ArchiveError: If no day of the range is archived.
        BlindzoneError: If a day cannot be filled.
    """
    products = plan.reprocess
    tasks, _ = find_tasks(products, RunMark(flow="inpaint"))
    reports = fill_tasks(tasks, products.runner, on_error=raise_error)
    return [str(report.product) for report in reports]
