"""Reports of runs: a record, a page, numbers for Prometheus, artifacts for Prefect.

    reports/
        index.html       over all runs: the outcome of each day, and trends of its numbers
        metrics.prom     the last run of each flow, for the textfile collector of node_exporter
        TIME-ID/         a run: report.json, metrics.jsonl, metrics.prom, trends.svg, index.html

Each file is replaced whole. A run is forgotten by removing its folder.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindzone.core.errors import BlindzoneError, ProductError
from blindzone.core.fence import Fence, describe, refusing_as
from blindzone.core.files import write_atomically
from blindzone.flows.reports.page import render_index, render_run
from blindzone.flows.reports.prometheus import format_metrics
from blindzone.flows.running.prefect_steps import is_in_flow_run
from blindzone.flows.running.records import (
    FAULTY,
    STATUSES,
    DayReport,
    IngestReport,
    RunReport,
    Status,
    find_rate,
)
from blindzone.pipeline.archive import Change, Outcome
from blindzone.pipeline.inpainting.range_summary import RangeSummary

if TYPE_CHECKING:
    from blindzone.pipeline.plots.trends import Point

RECORD_NAME = "report.json"
FORMAT_VERSION = 1

_FORMER_STATUSES: Mapping[str, Status] = {
    "made": "created",
    "held": "unchanged",
    "refused": "rejected",
}
"""Statuses by the words of earlier reports."""

_TABLE_COLUMNS = ("filled_pixel_share", "interval_width_db", "out_of_range_share", "drift_score")
"""Numbers of a day in the table that Prefect shows."""


class ReportError(BlindzoneError):
    """A report of a run cannot be read."""


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Files of the report of a run.

    Attributes:
        record: Everything, as JSON.
        metrics: The numbers, one line a day, as JSON.
        prometheus: The numbers, in Prometheus' text format.
        page: The page for people.
        picture: Trends of the numbers from day to day; None of a single day.
    """

    record: Path
    metrics: Path
    prometheus: Path
    page: Path
    picture: Path | None


def write_run_report(report: RunReport, folder: Path, undrawn: list[str] | None = None) -> RunFiles:
    """Writes the report of a run into a folder of its own, `folder/RUN`, and returns its files.

    Logs that are there already (`log*.jsonl`) are linked to.

    Args:
        report: The report.
        folder: Folder of the reports of all runs.
        undrawn: Gets the reason why the picture of trends, if any, could not be drawn.

    Raises:
        ProductError: If the folder or a file cannot be written; files that were there stay as they
            were.
    """
    if Path(report.run).name != report.run:
        raise ProductError(
            f"the run's name {report.run!r} is no name of a folder; a time and an id are right"
        )
    own = folder / report.run
    picture = own / "trends.svg"
    has_picture = len({day.day for day in report.days if day.statistics}) > 1 and _draw(
        _list_points(report), picture, undrawn
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


def draw_trends(points: Iterable[Point], picture: Path) -> bool:
    """Draws trends, as `plots.trends` does, which is imported where there is something to draw."""
    found = list(points)
    if not found:
        return False
    from blindzone.pipeline.plots import trends

    return trends.draw_trends(found, picture)


def _draw(points: Iterable[Point], picture: Path, undrawn: list[str] | None) -> bool:
    """Returns whether there is a picture of trends now; a report does without it."""
    reasons: list[str] = [] if undrawn is None else undrawn
    with Fence(lambda error: reasons.append(f"no picture of trends: {describe(error)}")):
        return draw_trends(points, picture)
    return False


def _draw_new(points: list[Point], picture: Path, undrawn: list[str] | None) -> bool:
    """Returns whether there is a picture of trends now; one of the same points stays as it is."""
    note = picture.with_name(f".{picture.stem}.sha256")
    drawn = hashlib.sha256(json.dumps(points, default=str).encode()).hexdigest()
    with suppress(OSError, ValueError):
        if picture.exists() and note.read_text(encoding="ascii") == drawn:
            return True
    has_picture = _draw(points, picture, undrawn)
    if has_picture:
        _write(note, drawn)
    return has_picture


def refresh_reports(folder: Path, undrawn: list[str] | None = None) -> Path:
    """Writes the page over all runs in a folder, and the last numbers of each flow.

    Returns the page's path.

    A report that cannot be read is named on the page; the others stand.

    Args:
        folder: Folder of the reports of all runs.
        undrawn: Gets the reason why the picture of trends, if any, could not be drawn.

    Raises:
        ProductError: If a file cannot be written.
    """
    reports, unreadable = _read_all(folder)
    picture = folder / "trends.svg"
    newest = {
        (day.source, day.day): (day, report)
        for report in reports
        for day in report.days
        if day.statistics
    }
    points = chain.from_iterable(
        _list_points(replace(report, days=(day,))) for day, report in newest.values()
    )
    has_picture = _draw_new(list(points), picture, undrawn)
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
    with refusing_as(ReportError, f"{path}: no report that can be read"):
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
            days=tuple(map(_parse_report, content["days"])),
            ingested=tuple(map(_parse_ingested, content["ingested"])),
            lacking=tuple(content["lacking"]),
        )


def publish_artifacts(report: RunReport, files: RunFiles) -> None:
    """Shows a run in Prefect's UI: a table of its days, what was rejected, and a link to the page.

    Outside a Prefect flow run it does nothing.
    """
    if not is_in_flow_run():
        return
    from prefect.artifacts import (
        create_link_artifact,
        create_markdown_artifact,
        create_table_artifact,
    )

    rows = [_make_table_row(day) for day in report.days]
    if rows:
        create_table_artifact(rows, key=f"{report.flow}-days", description=f"Days of {report.run}")
    if ranges := report.list_ranges():
        text = "\n".join(f"    {line}" for line in ranges)
        create_markdown_artifact(text, key=f"{report.flow}-range")
    troubles = [day for day in report.days if day.status in FAULTY]
    if troubles:
        create_markdown_artifact(_list_troubles(troubles), key=f"{report.flow}-refused")
    create_link_artifact(
        files.page.absolute().as_uri(),
        link_text=f"Page and pictures of {report.run}",
        key=f"{report.flow}-report",
        description=f"{files.page.absolute()} on the machine that ran it",
    )


def _make_table_row(day: DayReport) -> dict[str, Any]:
    numbers = {
        name: round(day.statistics[name], 3) if name in day.statistics else ""
        for name in _TABLE_COLUMNS
    }
    about = {
        "source": day.source,
        "day": day.day.isoformat(),
        "status": day.status,
        "seconds": round(day.seconds, 1),
    }
    found = "" if day.range is None else str(day.range)
    return about | numbers | {"range": found, "product": day.product or ""}


def _list_troubles(days: Sequence[DayReport]) -> str:
    """Returns days with their reasons as Markdown; indented lines are shown as they are."""
    lines = [f"{len(days)} days were rejected or failed.", ""]
    for day in days:
        text = f"{day.source} {day.day} {day.status}: {day.reason or 'no reason stated'}"
        lines += [f"    {line}" for line in text.splitlines()]
    return "\n".join(lines)


def _list_points(report: RunReport) -> Iterator[Point]:
    for day in report.days:
        if day.statistics:
            rate = find_rate([day]) if day.status == "created" else math.nan
            yield (
                day.source,
                day.day,
                _drop_nan({**day.statistics, **day.scores, "profiles_per_second": rate}),
            )


def _list_lines(report: RunReport) -> Iterator[dict[str, Any]]:
    """Yields the lines of `metrics.jsonl`, one a day."""
    for day in report.days:
        plain = _describe_day(day)
        numbers, scores = plain.pop("metrics"), plain.pop("scores")
        rate = _drop_nan({"profiles_per_second": find_rate([day])})
        yield {"run": report.run, "flow": report.flow, **plain, **rate, **numbers, "scores": scores}


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
        "ingested": [_describe_ingest(ingested) for ingested in report.ingested],
        "lacking": list(report.lacking),
    }


def _describe_ingest(report: IngestReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "changes": {day.isoformat(): asdict(change) for day, change in report.changes.items()},
        "refusals": {day.isoformat(): dict(files) for day, files in report.rejections.items()},
        "missing": [day.isoformat() for day in report.missing],
    }


def _describe_day(day: DayReport) -> dict[str, Any]:
    plain = asdict(replace(day, statistics={}, scores={})) | {"day": day.day.isoformat()}
    plain["range"] = None if day.range is None else asdict(day.range)
    plain["metrics"] = _drop_nan(day.statistics)
    plain["scores"] = _drop_nan(day.scores)
    del plain["statistics"]
    return plain


def _drop_nan(numbers: Mapping[str, float]) -> dict[str, float]:
    """Returns numbers without those that are not known: JSON has no NaN."""
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _parse_day(text: str) -> date:
    """Returns a day, or the start of a granule."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _parse_report(content: Mapping[str, Any]) -> DayReport:
    values = dict(content)
    found = values.pop("range", None)  # earlier reports lack it
    statistics, status = values.pop("metrics"), values["status"]
    return DayReport(
        **values
        | {
            "day": _parse_day(values["day"]),
            "status": _FORMER_STATUSES.get(status, status),
            "statistics": statistics,
            "flaws": tuple(values.get("flaws", ())),
            "range": None if found is None else RangeSummary(**found),
        }
    )


def _parse_change(content: Mapping[str, Any]) -> Change:
    findings = {name: tuple(lines) for name, lines in content.get("findings", {}).items()}
    return Change(**{**content, "outcome": Outcome(content["outcome"]), "findings": findings})


def _parse_ingested(content: Mapping[str, Any]) -> IngestReport:
    return IngestReport(
        source=content["source"],
        changes={
            _parse_day(day): _parse_change(change) for day, change in content["changes"].items()
        },
        rejections={_parse_day(day): files for day, files in content["refusals"].items()},
        missing=tuple(map(_parse_day, content["missing"])),
    )


def _read_all(folder: Path) -> tuple[list[RunReport], dict[str, str]]:
    """Returns the runs in a folder in order of time, and the unreadable ones with the reason."""
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
