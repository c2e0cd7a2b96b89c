"""Reports of runs: everything for programs, a page for people, numbers for Prometheus, artifacts for Prefect.

    reports/
        index.html       over all runs that are kept: what became of each day, and how its numbers
        go metrics.prom     of the last run of each flow, for the textfile collector of Prometheus'
        node_exporter TIME-ID/         a run: report.json, metrics.jsonl, metrics.prom, trends.webp,
        index.html

Each file is replaced whole. A run is forgotten by removing its folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from blindzone.core.errors import BlindzoneError, ProductError
from blindzone.core.files import write_atomically
from blindzone.flows.ingest import IngestReport
from blindzone.flows.reports.page import ILL, STATUSES, render_index, render_run
from blindzone.flows.running.records import DayReport, RunReport, find_rate
from blindzone.pipeline.archive import Change, Outcome
from blindzone.pipeline.plots.trends import Point, draw_trends
from blindzone.pipeline.products.product_statistics import PRODUCT_STATISTICS

RECORD_NAME = "report.json"
FORMAT_VERSION = 1


class ReportError(BlindzoneError):
    """A report cannot be read."""


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Where the report of a run lies.

    Attributes:
        record: Everything, as JSON.
        metrics: The numbers, one line a day, as JSON.
        prometheus: The numbers, in Prometheus' text format.
        page: The page for people.
        picture: How the numbers go from day to day; None of a single day.
    """

    record: Path
    metrics: Path
    prometheus: Path
    page: Path
    picture: Path | None


def write_run_report(report: RunReport, folder: Path) -> RunFiles:
    """Writes the report of a run into a folder of its own, `folder/RUN`, and returns its files.

    Logs that lie there already (`log*.jsonl`) are linked to.

    Raises:
        ProductError: If the folder or a file cannot be written; files that were there stay as they
            were.
    """
    if Path(report.run).name != report.run:
        raise ProductError(
            f"the run's name {report.run!r} is no name of a folder; a time and an id are right"
        )
    own = folder / report.run
    picture = own / "trends.webp"
    has_picture = len({day.day for day in report.days if day.metrics}) > 1 and draw_trends(
        _list_points(report), picture
    )
    files = RunFiles(
        record=own / RECORD_NAME,
        metrics=own / "metrics.jsonl",
        prometheus=own / "metrics.prom",
        page=own / "index.html",
        picture=picture if has_picture else None,
    )
    _write(files.metrics, "".join(f"{json.dumps(line)}\n" for line in _list_lines(report)))
    _write(files.prometheus, format_metrics([report]))
    logs = sorted(path.name for path in own.glob("log*.jsonl"))
    _write(files.page, render_run(report, own, files.picture, logs))
    # Last: what has a record is whole.
    _write(files.record, json.dumps(_describe(report), indent=1))
    return files


def refresh_reports(folder: Path) -> Path:
    """Writes the page over all runs that a folder keeps, and the last numbers of each flow; returns the page's path.

    A report that cannot be read is named on the page; the others stand.

    Raises:
        ProductError: If a file cannot be written.
    """
    reports, unreadable = _read_all(folder)
    picture = folder / "trends.webp"
    newest = {
        (day.source, day.day): (day, report)
        for report in reports
        for day in report.days
        if day.metrics
    }
    points = chain.from_iterable(
        _list_points(replace(report, days=(day,))) for day, report in newest.values()
    )
    has_picture = draw_trends(points, picture)
    last = {report.flow: report for report in reports}
    _write(folder / "metrics.prom", format_metrics(last.values()))
    page = folder / "index.html"
    _write(page, render_index(reports, unreadable, picture if has_picture else None))
    return page


def read_report(path: Path) -> RunReport:
    """Returns the report that a `report.json` holds.

    Raises:
        ReportError: If it cannot be read, or is not understood.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise ReportError(
                f"{path}: format {content['format_version']!r}; {FORMAT_VERSION} is right"
            )
        return RunReport(
            run=content["run"],
            flow=content["flow"],
            begun=datetime.fromisoformat(content["begun"]),
            seconds=content["seconds"],
            days=tuple(
                DayReport(**day | {"day": _parse_day(day["day"])}) for day in content["days"]
            ),
            ingested=tuple(map(_parse_ingested, content["ingested"])),
            lacking=tuple(content["lacking"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{path}: no report that can be read: {error!r}") from error


def format_metrics(reports: Iterable[RunReport]) -> str:
    """Returns the numbers of runs in Prometheus' text format; of each source those of the newest day that has any.

    Days are no label: each would be a time series of its own for ever.
    """
    registry = CollectorRegistry()

    def gauge(name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"blindzone_{name}", what, labels, registry=registry)

    days = gauge(
        "run_days", "days of the flow's last run, by what became of them", "flow", "status"
    )
    seconds = gauge("run_seconds", "how long the flow's last run took [s]", "flow")
    begun = gauge(
        "run_begun_timestamp_seconds", "when the flow's last run began [s since 1970]", "flow"
    )
    rate = gauge(
        "run_profiles_per_second", "profiles a second over the products that the run made", "flow"
    )
    refused = gauge(
        "run_refused_files", "files that the flow's last run could not ingest", "flow", "source"
    )
    lacking = gauge(
        "run_lacking_sources", "sources of which the flow's last run found no day", "flow"
    )
    newest = gauge(
        "newest_day_timestamp_seconds", "newest day with a product [s since 1970]", "flow", "source"
    )
    scores = gauge(
        "score", "scores of the newest day against what was hidden", "flow", "source", "score"
    )
    gauges = {
        name: gauge(name, f"{m.what} [{m.unit}]", "flow", "source")
        for name, m in PRODUCT_STATISTICS.items()
    }
    for report in reports:
        for status in STATUSES:
            days.labels(report.flow, status).set(report.count(status))
        seconds.labels(report.flow).set(report.seconds)
        begun.labels(report.flow).set(report.begun.timestamp())
        rate.labels(report.flow).set(
            find_rate([day for day in report.days if day.status == "made"])
        )
        lacking.labels(report.flow).set(len(report.lacking))
        for ingested in report.ingested:
            refused.labels(report.flow, ingested.source).set(
                sum(map(len, ingested.refusals.values()))
            )
        for source, day in _find_newest(report).items():
            midnight = datetime.fromisoformat(f"{day.day.isoformat()[:10]}T00:00:00+00:00")
            newest.labels(report.flow, source).set(midnight.timestamp())
            for name, value in day.scores.items():
                scores.labels(report.flow, source, name).set(value)
            for name in gauges.keys() & day.metrics.keys():
                gauges[name].labels(report.flow, source).set(day.metrics[name])
    return generate_latest(registry).decode()


def publish_artifacts(report: RunReport, files: RunFiles) -> None:
    """Shows in Prefect's UI what a run did: a table of its days, what was refused and why, and a link to the page.

    Outside a Prefect flow run it does nothing.
    """
    from prefect.artifacts import (
        create_link_artifact,
        create_markdown_artifact,
        create_table_artifact,
    )
    from prefect.context import FlowRunContext

    if FlowRunContext.get() is None:
        return
    table = [_make_table_row(day) for day in report.days]
    if table:
        create_table_artifact(table, key=f"{report.flow}-days", description=f"Days of {report.run}")
    troubles = [day for day in report.days if day.status in ILL]
    if troubles:
        create_markdown_artifact(_list_troubles(troubles), key=f"{report.flow}-refused")
    create_link_artifact(
        files.page.absolute().as_uri(),
        link_text=f"Page and pictures of {report.run}",
        key=f"{report.flow}-report",
        description=f"{files.page.absolute()} on the machine that ran it",
    )


def _make_table_row(day: DayReport) -> dict[str, Any]:
    shown = ("filled_pixel_share", "interval_width_db", "out_of_range_share", "drift_score")
    numbers = {name: round(day.metrics[name], 3) if name in day.metrics else "" for name in shown}
    told = {
        "source": day.source,
        "day": day.day.isoformat(),
        "status": day.status,
        "seconds": round(day.seconds, 1),
    }
    return told | numbers | {"product": day.product or ""}


def _list_troubles(days: Sequence[DayReport]) -> str:
    """Returns days with their reasons as Markdown; what an indented line holds is shown as it is, whatever it is."""
    lines = [f"{len(days)} days were refused or failed.", ""]
    for day in days:
        told = f"{day.source} {day.day} {day.status}: {day.reason or 'no reason stated'}"
        lines += [f"    {line}" for line in told.splitlines()]
    return "\n".join(lines)


def _find_newest(report: RunReport) -> dict[str, DayReport]:
    """Returns, of each source, the newest day or granule that has numbers."""
    measured = (day for day in report.days if day.metrics)
    return {day.source: day for day in sorted(measured, key=lambda day: day.day.isoformat())}


def _list_points(report: RunReport) -> Iterator[Point]:
    for day in report.days:
        if day.metrics:
            rate = find_rate([day]) if day.status == "made" else math.nan
            yield (
                day.source,
                day.day,
                _drop_nan({**day.metrics, **day.scores, "profiles_per_second": rate}),
            )


def _list_lines(report: RunReport) -> Iterator[dict[str, Any]]:
    """Yields what `metrics.jsonl` says of each day."""
    for day in report.days:
        plain = _describe_day(day)
        metrics, scores = plain.pop("metrics"), plain.pop("scores")
        rate = _drop_nan({"profiles_per_second": find_rate([day])})
        yield {"run": report.run, "flow": report.flow, **plain, **rate, **metrics, "scores": scores}


def _describe(report: RunReport) -> dict[str, Any]:
    """Returns a report as plain values, for JSON."""
    return {
        "format_version": FORMAT_VERSION,
        "software_version": version("blindzone"),
        "run": report.run,
        "flow": report.flow,
        "begun": report.begun.isoformat(),
        "seconds": report.seconds,
        "counts": {status: report.count(status) for status in STATUSES},
        "days": [_describe_day(day) for day in report.days],
        "ingested": [
            {
                "source": ingested.source,
                "changes": {
                    unit.isoformat(): asdict(change) for unit, change in ingested.changes.items()
                },
                "refusals": {
                    unit.isoformat(): dict(files) for unit, files in ingested.refusals.items()
                },
                "missing": [day.isoformat() for day in ingested.missing],
            }
            for ingested in report.ingested
        ],
        "lacking": list(report.lacking),
    }


def _describe_day(day: DayReport) -> dict[str, Any]:
    numbers = {"metrics": _drop_nan(day.metrics), "scores": _drop_nan(day.scores)}
    return asdict(replace(day, metrics={}, scores={})) | {"day": day.day.isoformat()} | numbers


def _drop_nan(numbers: Mapping[str, float]) -> dict[str, float]:
    """Returns numbers without those that nothing stands behind: JSON knows no NaN."""
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _parse_day(text: str) -> date:
    """Returns a day, or the start of a granule."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _parse_ingested(content: Mapping[str, Any]) -> IngestReport:
    return IngestReport(
        source=content["source"],
        changes={
            _parse_day(unit): Change(**change | {"outcome": Outcome(change["outcome"])})
            for unit, change in content["changes"].items()
        },
        refusals={_parse_day(unit): files for unit, files in content["refusals"].items()},
        missing=tuple(map(_parse_day, content["missing"])),
    )


def _read_all(folder: Path) -> tuple[list[RunReport], dict[str, str]]:
    """Returns the runs that a folder keeps in order of time, and those that cannot be read with the reason."""
    reports, unreadable = [], {}
    for path in sorted(folder.glob(f"*/{RECORD_NAME}")):
        try:
            reports.append(read_report(path))
        except ReportError as error:
            unreadable[path.parent.name] = str(error)
    return sorted(reports, key=lambda report: report.begun), unreadable


def _write(path: Path, text: str) -> None:
    with write_atomically(path, error=ProductError) as temporary:
        # Names of files need not be UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
