"""Ingest: source files of a range of days, or granules, into the zarr archive."""

from __future__ import annotations

from prefect import flow

from blindzone.core.errors import BlindzoneError
from blindzone.core.printable import to_line
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.records import IngestReport


class IngestError(BlindzoneError):
    """Some files could not be ingested; all others were.

    Attributes:
        report: Outcome of the ingest.
    """

    def __init__(self, report: IngestReport) -> None:
        super().__init__("\n".join(to_line(reason) for _, _, reason in report.list_rejections()))
        self.report = report


@flow(name="ingest", log_prints=True)
@also_takes(
    IngestPlan,
    source="source",
    start="start",
    end="end",
    catalog="places.catalog",
    archive="places.archive",
)
def ingest(plan: IngestPlan) -> IngestReport:
    """Ingests a source's files into the archive; days that are there unchanged are left alone.

    Args:
        plan: What is ingested, and where to.

    Raises:
        IngestError: At the end, if any file was rejected.
        UnwritableError: At once, if the archive cannot be written.
    """
    report = ingest_days(plan)
    print(report.summary())
    if report.rejections:
        raise IngestError(report)
    return report
