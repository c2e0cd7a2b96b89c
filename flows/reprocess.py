"""Reprocess: the products of any range of days of any sources, each made once, with a report."""

from __future__ import annotations

from blindzone.flows.reports.journal import keep_journal
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.product_run import ReprocessPlan, fill_tasks, find_tasks
from blindzone.flows.running.records import RunReport


@late_flow("reprocess")
def reprocess(plan: ReprocessPlan) -> RunReport:
    """Makes the products of archived days that are not there unchanged already.

    Args:
        plan: What is reprocessed, how and where.

    Raises:
        BlindzoneError: If nothing can be done: no day, no checkpoint, no place for products.
    """
    with keep_journal("reprocess", plan.places.settle().reports) as journal:
        tasks, lacking = find_tasks(plan, journal.mark)
        return journal.close(fill_tasks(tasks, plan.runner), lacking=lacking)
