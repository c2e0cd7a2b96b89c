"""Pages for people: one of a run, and one over all runs; each a file that loads nothing else."""

from __future__ import annotations

import base64
import math
import os.path
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from blindzone.flows.reports.templating import render
from blindzone.flows.running.records import (
    FAULTY,
    STATUSES,
    DayReport,
    RunReport,
    Status,
    find_rate,
)
from blindzone.pipeline.products.product_statistics import PRODUCT_STATISTICS

CALENDAR_DAYS = 92
"""How many days back, from the newest, the calendar goes."""

NOT_KNOWN = "not known"

_COLUMNS: Mapping[str, str] = {
    "filled_pixel_share": "filled",
    "visible_echo_share": "echo above",
    "filled_echo_share": "echo filled",
    "interval_width_db": "width dB",
    "out_of_range_share": "out of range",
    "drift_score": "drift",
}
_SCORES = ("CSI", "POD", "FAR", "MAE [dB]", "coverage 90 %", "coverage 90 % echo")
_LAYER_SCORES = tuple(
    f"visible layer: {name}"
    for name in ("CSI", "CSI of persistence", "CRPS [dB]", "coverage 90 % echo")
)
"""Of granules: their lowest visible kilometre, hidden and filled."""
_HIGH = {"out_of_range_share": 0.5, "drift_score": 1.0}
"""Numbers above these are marked: worth a look."""

_THUMBNAIL_DOTS = (200, 200)
_MOST_THUMBNAILS = 100
"""Of a page, so that it opens at once."""
_BEST_FIRST: tuple[Status, ...] = ("unchanged", "created", "rejected", "failed")
_QUICKLOOK_SUFFIXES = (".webp", ".png")


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the table of days."""

    name: str
    title: str
    what: str


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A number in the table, and how it is marked."""

    text: str
    is_high: bool = False
    is_none: bool = False


@dataclass(frozen=True, kw_only=True)
class _Link:
    """A link to a file of a day."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A day in the table: its numbers, and links to its files, or their place as text."""

    day: DayReport
    cells: Sequence[_Cell]
    links: Sequence[_Link]
    place: str
    thumbnail: str


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """How a run ended, in a word and a sentence."""

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class _Square:
    """A day in the calendar, with the run that looked at it last."""

    day: date
    status: Status
    run: str
    report: DayReport


@dataclass(frozen=True, kw_only=True)
class _CalendarRow:
    """A source in the calendar, a cell a day."""

    source: str
    cells: Sequence[_Square | None]


@dataclass(frozen=True, kw_only=True)
class _Month:
    """A month above the calendar."""

    name: str
    days: int


@dataclass(frozen=True, kw_only=True)
class _Calendar:
    """The calendar of all runs: sources by days."""

    months: Sequence[_Month]
    rows: Sequence[_CalendarRow]


@dataclass(frozen=True, kw_only=True)
class _RunLine:
    """A run in the index of all runs."""

    report: RunReport
    took: str
    sources: str


def render_run(report: RunReport, folder: Path, picture: Path | None, logs: Sequence[str]) -> str:
    """Returns the page of a run.

    Args:
        report: Its outcome.
        folder: Folder of the page: links are relative to it.
        picture: Trends of its numbers from day to day.
        logs: Names of its logs in that folder.
    """
    columns = _find_columns(report.days)
    return render(
        "run.html",
        title=f"{report.flow} {report.run}",
        report=report,
        verdict=_judge_run(report),
        took=_format_time(report.seconds),
        tiles=_list_tiles(report),
        troubles=[day for day in report.days if day.status in FAULTY or day.flaws],
        picture=_embed(picture),
        columns=columns,
        rows=[
            _make_row(day, columns, folder, has_thumbnail=number < _MOST_THUMBNAILS)
            for number, day in enumerate(report.days)
        ],
        definitions=PRODUCT_STATISTICS.items(),
        logs=logs,
    )


def render_index(
    reports: Sequence[RunReport], unreadable: Mapping[str, str], picture: Path | None
) -> str:
    """Returns the page over runs.

    Args:
        reports: The runs, in order of time.
        unreadable: Runs whose report cannot be read, and why.
        picture: Trends of the numbers of all their days.
    """
    newest = list(reversed(reports))
    calendar = _make_calendar(reports)
    squares = [square for row in calendar.rows for square in row.cells if square is not None]
    runs = [
        _RunLine(
            report=report,
            took=_format_time(report.seconds),
            sources=", ".join(sorted({day.source for day in report.days})),
        )
        for report in newest
    ]
    return render(
        "index.html",
        title="blindzone: runs",
        verdict=_judge([square.report for square in squares]),
        troubles=sorted(
            (square for square in squares if square.status in FAULTY), key=lambda square: square.day
        ),
        runs=runs,
        unreadable=unreadable,
        calendar=calendar,
        picture=_embed(picture),
    )


def _judge_run(report: RunReport) -> _Verdict:
    files = sum(ingested.rejected_files for ingested in report.ingested)
    others = {"files set aside": files, "sources without a day": len(report.lacking)}
    return _judge(report.days, *(f"{count} {what}" for what, count in others.items() if count))


def _judge(days: Sequence[DayReport], *troubles: str) -> _Verdict:
    """Returns in a few words how days ended, and other troubles."""
    faulty = sum(day.status in FAULTY for day in days)
    flawed = sum(bool(day.flaws) for day in days)
    counts = {"rejected or failed": faulty, "without all that was asked for": flawed}
    found = [f"{count} of {len(days)} days {what}" for what, count in counts.items() if count]
    doubts = _describe_doubts(days)
    if found or troubles:
        return _Verdict(kind="ill", text=", ".join([*found, *troubles, *doubts]))
    if doubts:
        return _Verdict(kind="warn", text=", ".join(doubts))
    return (
        _Verdict(kind="well", text="all well")
        if days
        else _Verdict(kind="idle", text="nothing to do")
    )


def _describe_doubts(days: Sequence[DayReport]) -> list[str]:
    """Returns in words how many products are to be doubted, and why."""
    made = [day for day in days if day.is_there]
    limit = _HIGH["drift_score"]
    doubts = {
        "made, not calibrated here": sum(day.is_outside for day in days),
        "made of inputs that have drifted": sum(
            day.statistics.get("drift_score", 0.0) > limit for day in made
        ),
    }
    return [
        ("" if count == len(made) else f"{count} of {len(made)} days ") + what
        for what, count in doubts.items()
        if count
    ]


def _list_tiles(report: RunReport) -> list[tuple[str, str]]:
    created = [day for day in report.days if day.status == "created"]
    rate = find_rate(created)
    counts: list[tuple[str, str]] = [(status, str(report.count(status))) for status in STATUSES]
    return [
        *counts,
        ("profiles made", f"{sum(day.profiles for day in created):,}"),
        ("profiles a second", "-" if math.isnan(rate) else f"{rate:.0f}"),
    ]


def _find_columns(days: Iterable[DayReport]) -> list[_Column]:
    """Returns the columns of the table: the numbers that a day of the run has, and drift."""
    statistics, scores = set[str](), set[str]()
    for day in days:
        statistics |= set(day.statistics)
        scores |= set(day.scores)
    if not statistics:
        return []
    return (
        [
            _Column(name=name, title=title, what=PRODUCT_STATISTICS[name].what)
            for name, title in _COLUMNS.items()
            if name in statistics or name == "drift_score"
        ]
        + [
            _Column(name=name, title=name, what=f"{name} against the hidden truth")
            for name in _SCORES
            if name in scores
        ]
        + [
            _Column(
                name=name, title=name, what=f"{name}: the lowest kilometre that is seen, filled"
            )
            for name in _LAYER_SCORES
            if name in scores
        ]
    )


def _make_row(
    day: DayReport, columns: Sequence[_Column], folder: Path, *, has_thumbnail: bool
) -> _Row:
    product, thumbnail = day.product or "", ""
    links = []
    if address := _find_address(product, folder):
        links.append(_Link(name="product", address=address))
        for suffix in _QUICKLOOK_SUFFIXES:
            quicklook = Path(product).with_suffix(suffix)
            if "://" not in product and quicklook.is_file():
                links.append(_Link(name="quicklook", address=_find_address(str(quicklook), folder)))
                thumbnail = _make_thumbnail(quicklook) if has_thumbnail else ""
                break
    place = "" if links else product
    return _Row(
        day=day,
        cells=[_make_cell(day, column.name) for column in columns],
        links=links,
        place=place,
        thumbnail=thumbnail,
    )


def _find_address(place: str, folder: Path) -> str:
    """Returns a link to a file or web address; nothing if no browser opens it, as `s3://`."""
    if place.startswith(("https://", "http://")):
        return place
    if not place or "://" in place:
        return ""
    relative = os.path.relpath(Path(place).absolute(), folder.absolute())
    return f"./{quote(relative, errors='surrogateescape')}"


def _make_cell(day: DayReport, name: str) -> _Cell:
    is_score = name in (*_SCORES, *_LAYER_SCORES)
    value = day.scores.get(name) if is_score else day.statistics.get(name)
    if value is None or math.isnan(value):
        is_unknown = name == "drift_score" and bool(day.statistics)
        return _Cell(text=NOT_KNOWN if is_unknown else "-", is_none=True)
    text = f"{value:.1%}".replace("%", " %") if name.endswith("_share") else f"{value:.2f}"
    return _Cell(text=text, is_high=value > _HIGH.get(name, math.inf))


def _make_calendar(reports: Sequence[RunReport]) -> _Calendar:
    """Returns the outcome of each day of each source in the last run that looked at it."""
    last: dict[tuple[str, date], _Square] = {}
    for report in reports:
        # Of a day's granules the worst is shown.
        for day in sorted(report.days, key=lambda day: _BEST_FIRST.index(day.status)):
            whole = date(day.day.year, day.day.month, day.day.day)
            last[day.source, whole] = _Square(
                day=whole, status=day.status, run=report.run, report=day
            )
    if not last:
        return _Calendar(months=(), rows=())
    newest = max(day for _, day in last)
    first = max(min(day for _, day in last), newest - timedelta(days=CALENDAR_DAYS - 1))
    dates = [first + timedelta(days=number) for number in range((newest - first).days + 1)]
    return _Calendar(
        months=[
            _Month(name=name, days=len(list(days)))
            for name, days in groupby(dates, "{:%b %Y}".format)
        ],
        rows=[
            _CalendarRow(source=source, cells=[last.get((source, day)) for day in dates])
            for source in sorted({source for source, _ in last})
        ],
    )


def _format_time(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    return f"{seconds:.1f} s" if seconds < 60 else str(whole)


def _embed(picture: Path | None) -> str:
    """Returns a picture as a data URL."""
    return "" if picture is None else _make_url(picture.read_bytes(), picture.suffix[1:])


def _make_url(content: bytes, kind: str) -> str:
    kind = "svg+xml" if kind == "svg" else kind
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _make_thumbnail(quicklook: Path) -> str:
    """Returns a small picture of a quicklook as a data URL; nothing if it is no picture."""
    stream = BytesIO()
    with suppress(OSError, Image.DecompressionBombError), Image.open(quicklook) as picture:
        picture.thumbnail(_THUMBNAIL_DOTS)
        picture.convert("RGB").save(stream, "WEBP", quality=60)
    return _make_url(stream.getvalue(), "webp") if stream.tell() else ""
