"""What a run over days did: one record a day, and the run's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from blindzone.flows.ingest import IngestReport
from blindzone.pipeline.verification.statistics import ratio

Status = Literal["made", "held", "refused", "failed"]
"""made: its product was written; held: it was there already; refused: its data are bad; failed: the
machine's fault."""


@dataclass(frozen=True, kw_only=True)
class DayReport:
    """What became of one day, or granule, of a source.

    Attributes:
        source: Name of the source.
        day: UTC day.
        status: How it ended.
        product: Path or URL of the product, if there is one.
        target: SHA-256 of all that the product is made from.
        reason: Why it was refused or failed.
        seconds: How long it took [s].
        profiles: Number of profiles of the product.
        metrics: What the product is like, by name.
        scores: Scores against what was hidden, by name; empty where there is no truth.
    """

    source: str
    day: date
    status: Status
    product: str | None = None
    target: str | None = None
    reason: str = ""
    seconds: float = 0.0
    profiles: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


def find_rate(days: Sequence[DayReport]) -> float:
    """Returns profiles a second; NaN where nothing took any time."""
    return ratio(sum(day.profiles for day in days), sum(day.seconds for day in days))


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a run did.

    Attributes:
        run: Name of the run: its time and an id.
        flow: Name of the flow.
        begun: When it began, UTC.
        seconds: How long it took [s].
        days: What became of each day.
        ingested: What was ingested before.
        lacking: Sources of which nothing could be done, each with the reason.
    """

    run: str
    flow: str
    begun: datetime
    seconds: float
    days: tuple[DayReport, ...]
    ingested: tuple[IngestReport, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def is_useful(self) -> bool:
        """Whether any product is there now as asked for."""
        return any(day.status in ("made", "held") for day in self.days)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused, failed or lacked."""
        refused = any(report.refusals for report in self.ingested)
        return not (refused or self.lacking or self.count("refused") or self.count("failed"))

    def count(self, status: Status) -> int:
        """Returns how many days ended so."""
        return sum(day.status == status for day in self.days)

    def group_reasons(self) -> dict[tuple[Status, str, str], list[date]]:
        """Returns the days that were refused or failed, by status, source and reason."""
        groups: dict[tuple[Status, str, str], list[date]] = {}
        for day in self.days:
            if day.reason:
                groups.setdefault((day.status, day.source, day.reason), []).append(day.day)
        return groups
