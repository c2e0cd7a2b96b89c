"""Records of runs over days: one of an ingest, one a day that is filled, one of the whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal

from blindzone.core.granule import Granule
from blindzone.pipeline.archive import Change, Outcome
from blindzone.pipeline.inpainting.range_summary import RangeSummary
from blindzone.pipeline.verification.statistics import ratio

Status = Literal["created", "unchanged", "rejected", "failed"]
"""created: its product was written; unchanged: the product was there already; rejected: its data
are bad; failed: the machine is at fault."""

STATUSES: tuple[Status, ...] = ("created", "unchanged", "rejected", "failed")
FAULTY: tuple[Status, ...] = ("rejected", "failed")
"""Statuses of days without a product as asked for."""
_ADDED = (Outcome.INGESTED, Outcome.UPDATED, Outcome.REPLACED)


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """The outcome of an ingest.

    Attributes:
        source: Name of the source.
        changes: Change of each day or granule.
        rejections: The files that were set aside, each with its reason, by day or granule.
        missing: Days of the range that have no file.
    """

    source: str
    changes: Mapping[date, Change] = field(default_factory=dict)
    rejections: Mapping[date, Mapping[str, str]] = field(default_factory=dict)
    missing: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        rejections = {day: MappingProxyType(dict(of)) for day, of in self.rejections.items()}
        object.__setattr__(self, "changes", MappingProxyType(dict(self.changes)))
        object.__setattr__(self, "rejections", MappingProxyType(rejections))

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets the report be pickled, which its views of mappings cannot be."""
        rejections = {day: dict(of) for day, of in self.rejections.items()}
        return _make_ingest_report, (self.source, dict(self.changes), rejections, self.missing)

    @property
    def outcomes(self) -> dict[date, Outcome]:
        """The outcome of each day or granule."""
        return {granule: change.outcome for granule, change in self.changes.items()}

    @property
    def rejected_files(self) -> int:
        """Number of files that were set aside."""
        return sum(map(len, self.rejections.values()))

    def list_rejections(self) -> list[tuple[date, str, str]]:
        """Returns day or granule, name and reason of each file that was set aside."""
        return [
            (granule, name, reason)
            for granule, files in self.rejections.items()
            for name, reason in files.items()
        ]

    def list_findings(self) -> list[tuple[date, str, str]]:
        """Returns day or granule, name and line of what was masked or is doubtful in a file."""
        return [
            (granule, name, line)
            for granule, change in self.changes.items()
            for name, lines in change.findings.items()
            for line in lines
        ]

    def count(self, outcome: Outcome) -> int:
        """Returns the number of days or granules with this outcome."""
        return sum(found is outcome for found in self.outcomes.values())

    def summary(self) -> str:
        """Returns one line for people."""
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in Outcome)
        missing = f"; {len(self.missing)} days without a file" if self.missing else ""
        dropped = sum(change.profiles_dropped for change in self.changes.values())
        left_out = f"; {dropped} profiles left out of files" if dropped else ""
        kind = (
            "granule" if any(Granule.of(day).kind == "granule" for day in self.changes) else "day"
        )
        plural = "" if len(self.changes) == 1 else "s"
        return f"{self.source}: {len(self.changes)} {kind}{plural} ({counts}){missing}{left_out}"


def _make_ingest_report(
    source: str,
    changes: Mapping[date, Change],
    rejections: Mapping[date, Mapping[str, str]],
    missing: tuple[date, ...],
) -> IngestReport:
    return IngestReport(source=source, changes=changes, rejections=rejections, missing=missing)


@dataclass(frozen=True, kw_only=True)
class DayReport:
    """The outcome of one day, or granule, of a source.

    Attributes:
        source: Name of the source.
        day: UTC day.
        status: How it ended.
        product: Path or URL of the product, if there is one.
        target: SHA-256 of all that the product is made from.
        reason: Why it was rejected or failed.
        seconds: How long it took [s].
        profiles: Number of profiles of the product.
        statistics: Statistics of the product, by name.
        scores: Scores against the hidden truth, by name; empty where there is no truth.
        flaws: What besides the product could not be made, its picture for one, each with the
            reason.
        range: How many of the product's profiles are outside what the network was made for; None
            if there is no product, or an earlier version wrote the report.
    """

    source: str
    day: date
    status: Status
    product: str | None = None
    target: str | None = None
    reason: str = ""
    seconds: float = 0.0
    profiles: int = 0
    statistics: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    flaws: tuple[str, ...] = ()
    range: RangeSummary | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a product as asked for."""
        return self.status not in FAULTY

    @property
    def is_outside(self) -> bool:
        """Whether more than half of the profiles are outside what the network was made for."""
        if self.range is None:  # an earlier version wrote the report
            return self.statistics.get("out_of_range_share", 0.0) > 0.5
        return self.range.is_mostly_outside


def sum_ranges(days: Iterable[DayReport]) -> RangeSummary:
    """Returns how many profiles of all products are outside what the network was made for."""
    return sum((day.range for day in days if day.range is not None), RangeSummary())


def list_ranges(days: Sequence[DayReport]) -> list[str]:
    """Returns of each source, in words, how many profiles are outside its network's range."""
    known = [day for day in days if day.range is not None]
    return [
        f"{source}: {sum_ranges(day for day in known if day.source == source)}"
        for source in dict.fromkeys(day.source for day in known)
    ]


def find_rate(days: Sequence[DayReport]) -> float:
    """Returns profiles a second; NaN where nothing took any time."""
    return ratio(sum(day.profiles for day in days), sum(day.seconds for day in days))


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """The outcome of a run.

    Attributes:
        run: Name of the run: its time and an id.
        flow: Name of the flow.
        begun: When it began, UTC.
        seconds: How long it took [s].
        days: Outcome of each day.
        ingested: Outcomes of the ingests before.
        lacking: Sources of which nothing could be done, each with the reason.
        unwritten: Pages and pictures of the run that could not be made, each with the reason.
    """

    run: str
    flow: str
    begun: datetime
    seconds: float
    days: tuple[DayReport, ...]
    ingested: tuple[IngestReport, ...] = ()
    lacking: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()

    @property
    def is_useful(self) -> bool:
        """Whether any product is there now as asked for, or the run added to the archive."""
        return any(day.is_there for day in self.days) or any(
            outcome in _ADDED for report in self.ingested for outcome in report.outcomes.values()
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was rejected, failed or lacked, and every picture and page was made."""
        rejected = any(report.rejections for report in self.ingested)
        faulty = any(day.status in FAULTY or day.flaws for day in self.days)
        return not (rejected or faulty or self.lacking or self.unwritten)

    def count(self, status: Status) -> int:
        """Returns the number of days that ended so."""
        return sum(day.status == status for day in self.days)

    def list_ranges(self) -> list[str]:
        """Returns of each source, in words, how many profiles are outside its network's range."""
        return list_ranges(self.days)

    def group_reasons(self) -> dict[tuple[Status, str, str], list[date]]:
        """Returns the days that were rejected, failed or have flaws, by status, source, reason."""
        groups: dict[tuple[Status, str, str], list[date]] = {}
        for day in self.days:
            for reason in (*filter(None, [day.reason]), *day.flaws):
                groups.setdefault((day.status, day.source, reason), []).append(day.day)
        return groups
