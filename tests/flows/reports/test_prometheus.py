"""Numbers for Prometheus: those of each flow's last run and of the newest day of each source."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from blindzone.flows.reports.prometheus import format_metrics
from blindzone.flows.running.records import DayReport, IngestReport, RunReport

BEGUN = datetime(2026, 3, 2, tzinfo=UTC)


def day(number: int, **changes: Any) -> DayReport:
    values: dict[str, Any] = {"source": "station", "status": "created"}
    return DayReport(**(values | {"day": date(2021, 3, number)} | changes))


def numbers(*days: DayReport, **changes: Any) -> dict[tuple[str, ...], float]:
    report = RunReport(run="a", flow="nightly", begun=BEGUN, seconds=8.0, days=days, **changes)
    return {
        (sample.name.removeprefix("blindzone_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(format_metrics([report]))
        for sample in family.samples
    }


def test_days_are_counted_by_status_also_by_those_that_none_has() -> None:
    found = numbers(day(1), day(2), day(3, status="rejected"))
    counts = {key[2]: value for key, value in found.items() if key[0] == "run_days"}
    assert counts == {"created": 2, "unchanged": 0, "rejected": 1, "failed": 0}
    assert found["run_seconds", "nightly"] == 8


def test_rate_is_that_of_created_products_alone() -> None:
    found = numbers(day(1, profiles=900, seconds=3.0), day(2, status="rejected", seconds=100.0))
    assert found["run_profiles_per_second", "nightly"] == 300


def test_product_statistics_are_those_of_the_newest_day_that_has_any() -> None:
    found = numbers(
        day(3, statistics={"drift_score": 0.5}, scores={"CSI": 0.7}),
        day(1, statistics={"drift_score": 0.1}),
        day(4, status="rejected"),
    )
    assert found["drift_score", "nightly", "station"] == 0.5
    assert found["score", "nightly", "CSI", "station"] == 0.7
    midnight = datetime(2021, 3, 3, tzinfo=UTC).timestamp()
    assert found["newest_day_timestamp_seconds", "nightly", "station"] == midnight


def test_rejected_files_and_lacking_sources_are_counted() -> None:
    ingested = IngestReport(
        source="station", rejections={date(2021, 3, 1): {"a.nc": "bad", "b.nc": "bad"}}
    )
    found = numbers(day(1), ingested=(ingested,), lacking=("elsewhere: none",))
    assert found["run_refused_files", "nightly", "station"] == 2
    assert found["run_lacking_sources", "nightly"] == 1
