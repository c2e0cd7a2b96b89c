"""Numbers of runs in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from blindzone.flows.running.records import STATUSES, DayReport, RunReport, find_rate
from blindzone.pipeline.products.product_statistics import PRODUCT_STATISTICS

_GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "run_days": ("days of the flow's last run, by status", ("flow", "status")),
    "run_seconds": ("duration of the flow's last run [s]", ("flow",)),
    "run_begun_timestamp_seconds": ("begin of the flow's last run [s since 1970]", ("flow",)),
    "run_profiles_per_second": (
        "profiles a second over the products that the run made",
        ("flow",),
    ),
    "run_refused_files": (
        "files that the flow's last run could not ingest",
        ("flow", "source"),
    ),
    "run_lacking_sources": (
        "sources of which the flow's last run found no day",
        ("flow",),
    ),
    "newest_day_timestamp_seconds": (
        "newest day with a product [s since 1970]",
        ("flow", "source"),
    ),
    "score": (
        "scores of the newest day against the hidden truth",
        ("flow", "source", "score"),
    ),
}
"""Explanation and labels of each gauge but the product statistics; dashboards know the names."""


def format_metrics(reports: Iterable[RunReport]) -> str:
    """Returns the numbers of runs; of each source those of the newest day that has any.

    Days are no label: each would be a time series of its own for ever.
    """
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(f"blindzone_{name}", what, labels, registry=registry)
        for name, (what, labels) in _GAUGES.items()
    } | {
        name: Gauge(
            f"blindzone_{name}",
            f"{statistic.what} [{statistic.unit}]",
            ("flow", "source"),
            registry=registry,
        )
        for name, statistic in PRODUCT_STATISTICS.items()
    }
    for report in reports:
        _set_run(gauges, report)
        for source, day in _find_newest(report).items():
            _set_day(gauges, report.flow, source, day)
    return generate_latest(registry).decode()


def _set_run(gauges: Mapping[str, Gauge], report: RunReport) -> None:
    for status in STATUSES:
        gauges["run_days"].labels(report.flow, status).set(report.count(status))
    rate = find_rate([day for day in report.days if day.status == "created"])
    for name, value in (
        ("run_seconds", report.seconds),
        ("run_begun_timestamp_seconds", report.begun.timestamp()),
        ("run_profiles_per_second", rate),
        ("run_lacking_sources", len(report.lacking)),
    ):
        gauges[name].labels(report.flow).set(value)
    for ingested in report.ingested:
        files = gauges["run_refused_files"].labels(report.flow, ingested.source)
        files.set(ingested.rejected_files)


def _set_day(gauges: Mapping[str, Gauge], flow: str, source: str, day: DayReport) -> None:
    midnight = datetime.fromisoformat(f"{day.day.isoformat()[:10]}T00:00:00+00:00")
    gauges["newest_day_timestamp_seconds"].labels(flow, source).set(midnight.timestamp())
    for name, value in day.scores.items():
        gauges["score"].labels(flow, source, name).set(value)
    for name in PRODUCT_STATISTICS.keys() & day.statistics.keys():
        gauges[name].labels(flow, source).set(day.statistics[name])


def _find_newest(report: RunReport) -> dict[str, DayReport]:
    """Returns, of each source, the newest day or granule that has numbers."""
    measured = (day for day in report.days if day.statistics)
    return {day.source: day for day in sorted(measured, key=lambda day: day.day.isoformat())}
