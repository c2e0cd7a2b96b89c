"""Records of runs: what they count, and that they cannot be changed."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from typing import Any

import pytest

from blindzone.flows.running.records import (
    STATUSES,
    DayReport,
    IngestReport,
    RunReport,
    Status,
    find_rate,
)
from blindzone.pipeline.archive import Change, Outcome

FIRST, SECOND = date(2021, 3, 14), date(2021, 3, 15)
GRANULE = datetime(2014, 12, 6, 3, 4, 5)


def make_ingest(**changes: Any) -> IngestReport:
    values: dict[str, Any] = {
        "source": "station",
        "changes": {FIRST: Change(outcome=Outcome.INGESTED, added=3)},
    }
    return IngestReport(**(values | changes))


def day(status: Status, number: int = 14, **changes: Any) -> DayReport:
    return DayReport(source="station", day=date(2021, 3, number), status=status, **changes)


def run(*days: DayReport, **changes: Any) -> RunReport:
    begun = datetime(2026, 3, 2, tzinfo=UTC)
    return RunReport(run="a", flow="nightly", begun=begun, seconds=1.0, days=days, **changes)


def test_report_of_an_ingest_cannot_be_changed_from_outside() -> None:
    changes = {FIRST: Change(outcome=Outcome.INGESTED)}
    files = {"a.nc": "cut short"}
    report = make_ingest(changes=changes, rejections={FIRST: files})
    changes.clear()
    files["b.nc"] = "added later"
    assert list(report.changes) == [FIRST]
    assert report.list_rejections() == [(FIRST, "a.nc", "cut short")]
    for change in (
        lambda: report.changes.update({}),  # type: ignore[attr-defined]
        lambda: report.rejections.update({}),  # type: ignore[attr-defined]
        lambda: report.rejections[FIRST].update({}),  # type: ignore[attr-defined]
    ):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(FrozenInstanceError):
        report.source = "another"  # type: ignore[misc]


def test_report_of_an_ingest_is_the_same_in_another_process() -> None:
    report = make_ingest(rejections={FIRST: {"a.nc": "cut short"}}, missing=(SECOND,))
    assert pickle.loads(pickle.dumps(report)) == report


def test_ingest_in_one_line() -> None:
    assert make_ingest().summary().startswith("station: 1 day (1 created, 0 updated, ")
    both = {GRANULE: Change(outcome=Outcome.INGESTED), FIRST: Change(outcome=Outcome.UNCHANGED)}
    report = make_ingest(changes=both, missing=(FIRST, SECOND))
    assert report.summary().startswith("station: 2 granules (1 created, ")
    assert report.summary().endswith("; 2 days without a file")
    assert (report.count(Outcome.INGESTED), report.rejected_files) == (1, 0)


@pytest.mark.parametrize("status", STATUSES)
def test_run_is_useful_with_a_product_and_clean_without_a_fault(status: Status) -> None:
    report = run(day(status))
    is_good = status in ("created", "unchanged")
    assert (report.is_useful, report.is_clean) == (is_good, is_good)
    assert report.count(status) == 1


@pytest.mark.parametrize("outcome", Outcome)
def test_run_without_a_product_is_useful_if_it_added_to_the_archive(outcome: Outcome) -> None:
    report = run(day("failed"), ingested=(make_ingest(changes={FIRST: Change(outcome=outcome)}),))
    added = outcome not in (Outcome.UNCHANGED, Outcome.REJECTED)
    assert (report.is_useful, report.is_clean) == (added, False)


def test_run_is_not_clean_with_a_source_that_lacks_or_a_rejected_file() -> None:
    good = day("created")
    rejected = make_ingest(rejections={FIRST: {"a.nc": "cut short"}})
    assert not run(good, lacking=("elsewhere: no day",)).is_clean
    assert not run(good, ingested=(rejected,)).is_clean
    assert run(good, ingested=(make_ingest(),)).is_clean


def test_days_with_one_reason_are_grouped() -> None:
    days = [day("rejected", number, reason="no echo") for number in (1, 2)]
    report = run(*days, day("failed", 3, reason="disk full"), day("created", 4))
    assert report.group_reasons() == {
        ("rejected", "station", "no echo"): [date(2021, 3, 1), date(2021, 3, 2)],
        ("failed", "station", "disk full"): [date(2021, 3, 3)],
    }


def test_rate_is_over_all_days_together() -> None:
    # 900 profiles in 3 s, not the mean of 100 and 400 a second.
    first, second = (
        day("created", profiles=100, seconds=1.0),
        day("created", profiles=800, seconds=2.0),
    )
    assert find_rate([first, second]) == pytest.approx(300)
    assert find_rate([day("unchanged")]) != find_rate([day("unchanged")])  # NaN
