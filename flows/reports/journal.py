"""Journal of a run over days: a log while it works, then a report and artifacts for Prefect."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blindzone.core.fence import Fence, describe
from blindzone.flows.reports.writing import publish_artifacts, refresh_reports, write_run_report
from blindzone.flows.running.logs import keep_logs, log_context, name_run
from blindzone.flows.running.product_task import RunMark
from blindzone.flows.running.records import DayReport, IngestReport, RunReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The journal of one run.

    Attributes:
        run: Name of the run: when it began, and a random id.
        flow: Name of the flow.
        folder: Folder of the reports of all runs.
        begun: When it began, UTC.
        clock: The same by the clock that only goes forward [s].
    """

    run: str
    flow: str
    folder: Path
    begun: datetime
    clock: float

    @property
    def log(self) -> Path:
        """The run's log; each Dask worker writes its own next to it."""
        return self.folder / self.run / "log.jsonl"

    @property
    def mark(self) -> RunMark:
        """The run, as its tasks name it."""
        return RunMark(run=self.run, flow=self.flow, log=self.log)

    def close(
        self,
        days: Sequence[DayReport],
        ingested: Sequence[IngestReport] = (),
        lacking: Sequence[str] = (),
    ) -> RunReport:
        """Writes the report of the run, refreshes the page over all runs, and returns the report.

        A report that cannot be written takes nothing from the products: the reason is in the
        report that is returned.
        """
        report = RunReport(
            run=self.run,
            flow=self.flow,
            begun=self.begun,
            seconds=time.monotonic() - self.clock,
            days=tuple(days),
            ingested=tuple(ingested),
            lacking=tuple(lacking),
        )
        unwritten: list[str] = []
        with _noting(unwritten, "the run's report cannot be written"):
            files = write_run_report(report, self.folder, unwritten)
            with _noting(unwritten, "the run cannot be shown in Prefect"):
                publish_artifacts(report, files)
        with _noting(unwritten, "the page over all runs cannot be written"):
            refresh_reports(self.folder, unwritten)
        return replace(report, unwritten=tuple(unwritten))


def _noting(unwritten: list[str], what: str) -> Fence:
    """Logs and notes why something of the report cannot be made in the block."""

    def note(error: BaseException) -> None:
        unwritten.append(f"{what}: {describe(error)}")
        logger.error("%s", unwritten[-1])

    return Fence(note)


@contextmanager
def keep_journal(flow: str, folder: Path) -> Iterator[Journal]:
    """Opens the journal of a run; what the block logs goes there.

    Args:
        flow: Name of the flow.
        folder: Folder of the reports of all runs.
    """
    begun = datetime.now(UTC)
    run = name_run(begun)
    journal = Journal(
        run=run, flow=flow, folder=folder.absolute(), begun=begun, clock=time.monotonic()
    )
    with keep_logs(journal.log), log_context(run=run, flow=flow):
        yield journal
