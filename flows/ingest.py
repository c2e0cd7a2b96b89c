"""Ingest: source files of a range of days, or granules, into the zarr archive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from blindzone.core.errors import BlindzoneError
from blindzone.core.printable import to_line
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.logs import keep_logs, log_context, name_run
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.flows.running.records import IngestReport
from blindzone.flows.running.workspace import log_folder


class IngestError(BlindzoneError):
    """Some files could not be ingested; all others were.

    Attributes:
        report: Outcome of the ingest.
        log: File with the tracebacks of what was not foreseen; none if all of it was.
    """

    def __init__(self, report: IngestReport, log: Path | None = None) -> None:
        super().__init__("\n".join(to_line(reason) for _, _, reason in report.list_rejections()))
        self.report = report
        self.log = log


@late_flow("ingest")
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
        ArchiveError: At once, if the archive cannot be read or written.
    """
    run = name_run(datetime.now(UTC))
    with (
        keep_logs(log_folder() / f"ingest-{run}.jsonl") as log,
        log_context(run=run, flow="ingest", source=plan.source),
    ):
        report = ingest_days(plan)
    print(report.summary())
    if report.rejections:
        raise IngestError(report, log if log.exists() else None)
    return report
