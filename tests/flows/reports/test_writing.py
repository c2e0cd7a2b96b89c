"""Reports of runs: they come back as written, foreign text stays text, faults stay in view."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from blindzone.core.errors import ProductError
from blindzone.flows.reports import writing
from blindzone.flows.reports.writing import (
    ReportError,
    format_metrics,
    publish_artifacts,
    read_report,
    refresh_reports,
    write_run_report,
)
from blindzone.flows.running.records import DayReport, IngestReport, RunReport
from blindzone.pipeline.archive import Change, Outcome
from blindzone.pipeline.inpainting.range_summary import RangeSummary

BEGUN = datetime(2026, 3, 2, 2, 0, 5, tzinfo=UTC)
PRODUCT_STATISTICS = {
    "filled_pixel_share": 0.98,
    "interval_width_db": 17.5,
    "out_of_range_share": 0.21,
    "drift_score": 0.4,
}
HOSTILE = (
    """<script>alert("1")</script>' onmouseover='x" onload="y`|\n# <img src=x onerror=alert(2)>"""
)


def make_day(number: int = 14, **changes: Any) -> DayReport:
    values: dict[str, Any] = {
        "source": "station",
        "day": date(2021, 3, number),
        "status": "created",
        "product": f"products/{number}.nc",
        "target": "ab" * 32,
        "seconds": 20.0,
        "profiles": 8000,
        "statistics": PRODUCT_STATISTICS,
        "scores": {"CSI": 0.7},
        "range": RangeSummary(profiles=8000, outside=1680, bits=512),
    }
    return DayReport(**(values | changes))


def make_report(*days: DayReport, **changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "run": "20260302T020005-ab12cd",
        "flow": "nightly",
        "begun": BEGUN,
        "seconds": 61.5,
    }
    return RunReport(**(values | {"days": days} | changes))


class Page(HTMLParser):
    """The tags, addresses and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [value or "" for name, value in self.attributes if name == "href"]


@pytest.fixture(autouse=True)
def _quick_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second each; one test draws a real one."""

    def draw(points: Any, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")
        return bool(list(points))

    if "two_days" not in request.node.name:
        monkeypatch.setattr(writing, "draw_trends", draw)


def read_numbers(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_report_comes_back_as_it_was(tmp_path: Path) -> None:
    granule = datetime(2014, 12, 6, 3, 4, 5)
    ingested = IngestReport(
        source="station",
        changes={
            date(2021, 3, 14): Change(outcome=Outcome.UPDATED, added=3, kept=5),
            granule: Change(outcome=Outcome.REJECTED),
        },
        rejections={granule: {"file.nc": "cut short"}},
        missing=(date(2021, 3, 16),),
    )
    report = make_report(
        make_day(),
        make_day(15, status="rejected", reason="bad", product=None, statistics={}),
        make_day(day=granule),
        ingested=(ingested,),
        lacking=("elsewhere: the archive holds no day of it",),
    )
    files = write_run_report(report, tmp_path)
    assert read_report(files.record) == report
    assert files.record.parent == tmp_path / report.run


def test_every_day_is_one_line_and_nothing_is_nan(tmp_path: Path) -> None:
    report = make_report(
        make_day(statistics=PRODUCT_STATISTICS | {"drift_score": math.nan}),
        make_day(15, status="unchanged", seconds=0.0),
    )
    files = write_run_report(report, tmp_path)
    for path in (files.metrics, files.record):
        assert "NaN" not in path.read_text()
    first, second = map(json.loads, files.metrics.read_text().splitlines())
    assert (first["run"], first["flow"], first["day"], first["status"]) == (
        report.run,
        "nightly",
        "2021-03-14",
        "created",
    )
    assert first["profiles_per_second"] == 400  # 8000 in 20 s
    assert first["interval_width_db"] == 17.5
    assert first["scores"] == {"CSI": 0.7}
    assert "drift_score" not in first
    assert "profiles_per_second" not in second


def test_prometheus_gets_the_newest_day_and_the_counts() -> None:
    report = make_report(
        make_day(15, statistics={"drift_score": 0.9, "of another version": 1.0}),
        make_day(14),
        make_day(16, status="rejected", statistics={}, scores={}, seconds=5.0, profiles=0),
        ingested=(
            IngestReport(
                source="station", rejections={date(2021, 3, 16): {"a.nc": "bad", "b.nc": "bad"}}
            ),
        ),
    )
    found = read_numbers(format_metrics([report]))
    assert found["blindzone_drift_score", "nightly", "station"] == 0.9
    assert ("blindzone_interval_width_db", "nightly", "station") not in found  # of an older day
    assert found["blindzone_score", "nightly", "CSI", "station"] == 0.7
    assert (
        found["blindzone_newest_day_timestamp_seconds", "nightly", "station"] == 1615766400
    )  # 2021-03-15 00:00 UTC
    assert found["blindzone_run_days", "nightly", "created"] == 2
    assert found["blindzone_run_days", "nightly", "rejected"] == 1
    assert found["blindzone_run_days", "nightly", "failed"] == 0
    assert found["blindzone_run_profiles_per_second", "nightly"] == 400  # of what was made alone
    assert found["blindzone_run_refused_files", "nightly", "station"] == 2
    assert found["blindzone_run_begun_timestamp_seconds", "nightly"] == BEGUN.timestamp()


def test_page_shows_what_comes_from_outside_as_text(tmp_path: Path) -> None:
    ingested = IngestReport(
        source=HOSTILE,
        changes={date(2021, 3, 14): Change(outcome=Outcome.REJECTED)},
        rejections={date(2021, 3, 14): {HOSTILE: HOSTILE}},
    )
    days = (
        make_day(source=HOSTILE, product=f"products/{HOSTILE}.nc", scores={HOSTILE: 1.0}),
        make_day(15, source=HOSTILE, product="javascript:alert(1)"),
        make_day(16, source=HOSTILE, product=f"s3://{HOSTILE}"),
        make_day(17, source=HOSTILE, status="rejected", reason=HOSTILE, product=None),
    )
    files = write_run_report(
        make_report(*days, flow=HOSTILE, ingested=(ingested,), lacking=(HOSTILE,)), tmp_path
    )
    refresh_reports(tmp_path)
    for path in (files.page, tmp_path / "index.html"):
        page = Page(path)
        assert "script" not in page.tags
        assert page.tags.count("img") == 1  # the picture
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert not [link for link in page.links if ":" in link.partition("/")[0]]
        assert HOSTILE in page.text
        assert "default-src 'none'" in path.read_text()
    assert (
        read_numbers(files.prometheus.read_text())["blindzone_drift_score", HOSTILE, HOSTILE] == 0.4
    )


def test_name_that_is_no_utf8_breaks_nothing(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.nc")
    report = make_report(
        make_day(status="rejected", reason=f"{name}: cut short", product=name, statistics={})
    )
    files = write_run_report(report, tmp_path)
    refresh_reports(tmp_path)
    assert read_report(files.record) == report
    assert "caf\\udce9.nc: cut short" in Page(files.page).text


def test_links_lead_to_product_and_quicklook(tmp_path: Path) -> None:
    product = tmp_path / "products" / "a #1 100%.nc"
    product.parent.mkdir()
    product.touch()
    product.with_suffix(".webp").touch()
    days = (
        make_day(product=str(product)),
        make_day(15, product="https://host/15.nc"),
        make_day(16, product="s3://b/16.nc"),
    )
    files = write_run_report(make_report(*days), tmp_path / "reports")
    page = Page(files.page)
    beside = [files.page.parent / unquote(link) for link in page.links if link.startswith("./")]
    assert [path.resolve() for path in beside] == [product, product.with_suffix(".webp")]
    assert "https://host/15.nc" in page.links
    assert "s3://b/16.nc" in page.text


def test_page_says_how_it_went(tmp_path: Path) -> None:
    def judge(*days: DayReport, **others: Any) -> str:
        return Page(write_run_report(make_report(*days, **others), tmp_path).page).text

    assert "all well" in judge(make_day(), make_day(15, status="unchanged"))
    assert "1 of 2 days rejected or failed" in judge(
        make_day(), make_day(15, status="failed", reason="disk")
    )
    assert "nothing to do" in judge()
    refused = IngestReport(
        source="station", rejections={date(2021, 3, 16): {"a.nc": "bad", "b.nc": "bad"}}
    )
    ill = judge(make_day(), ingested=(refused,), lacking=("elsewhere: no day",))
    assert "2 files set aside, 1 sources without a day" in ill
    assert "elsewhere: no day" in ill
    assert "not known" in judge(make_day(statistics={"filled_pixel_share": 1.0}))
    assert "not known" not in judge(make_day())


def test_picture_needs_two_days(tmp_path: Path) -> None:
    one = write_run_report(
        make_report(make_day(), make_day(15, status="rejected", statistics={})), tmp_path
    )
    assert one.picture is None
    two = write_run_report(make_report(make_day(), make_day(15)), tmp_path)
    assert two.picture is not None
    assert two.picture.stat().st_size > 5000


def test_logs_are_linked_to(tmp_path: Path) -> None:
    report = make_report(make_day())
    (tmp_path / report.run).mkdir()
    (tmp_path / report.run / "log-host-0.jsonl").touch()
    assert "log-host-0.jsonl" in Page(write_run_report(report, tmp_path).page).links


def test_index_shows_what_is_still_refused_over_all_runs(tmp_path: Path) -> None:
    bad = make_day(15, status="rejected", reason="cut short", statistics={}, scores={})
    write_run_report(make_report(make_day(14), bad, run="first"), tmp_path)
    assert "1 of 2 days rejected or failed" in Page(refresh_reports(tmp_path)).text
    later = BEGUN + timedelta(days=1)
    write_run_report(make_report(make_day(15), run="second", begun=later), tmp_path)
    page = Page(refresh_reports(tmp_path))
    assert "all well" in page.text
    assert "cut short" not in page.text
    assert {"first/index.html", "second/index.html"} <= set(page.links)


def test_index_keeps_the_last_numbers_of_each_flow(tmp_path: Path) -> None:
    write_run_report(make_report(make_day(14), run="a"), tmp_path)
    write_run_report(
        make_report(
            make_day(15, statistics={"drift_score": 0.8}), run="b", begun=BEGUN + timedelta(1)
        ),
        tmp_path,
    )
    write_run_report(
        make_report(make_day(1, statistics={"drift_score": 0.1}), run="c", flow="reprocess"),
        tmp_path,
    )
    refresh_reports(tmp_path)
    found = read_numbers((tmp_path / "metrics.prom").read_text())
    assert found["blindzone_drift_score", "nightly", "station"] == 0.8
    assert found["blindzone_drift_score", "reprocess", "station"] == 0.1


def test_worst_granule_stands_for_its_day(tmp_path: Path) -> None:
    granules = [
        make_day(day=datetime(2021, 3, 14, hour), status=status, statistics={})
        for hour, status in ((1, "created"), (5, "rejected"), (9, "unchanged"))
    ]
    write_run_report(make_report(*granules), tmp_path)
    assert "1 of 1 days rejected or failed" in Page(refresh_reports(tmp_path)).text


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format_version": 99}', '{"format_version": 1}', ""]
)
def test_report_that_cannot_be_read_is_named_and_the_others_stand(
    tmp_path: Path, content: str
) -> None:
    write_run_report(make_report(make_day(), run="whole"), tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text(content)
    with pytest.raises(ReportError, match="broken"):
        read_report(tmp_path / "broken" / "report.json")
    page = Page(refresh_reports(tmp_path))
    assert "its report cannot be read" in page.text
    assert "whole/index.html" in page.links


def test_no_run_at_all_is_a_page_too(tmp_path: Path) -> None:
    assert "none yet" in Page(refresh_reports(tmp_path / "reports")).text


def test_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match="no name of a folder"):
        write_run_report(make_report(run="../elsewhere"), tmp_path / "reports")
    assert not (tmp_path / "elsewhere").exists()


def test_failed_write_leaves_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_run_report(make_report(make_day()), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fill_disk(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_disk)
    with pytest.raises(ProductError, match="No space left"):
        write_run_report(make_report(make_day(status="rejected", statistics={})), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert read_report(files.record).days[0].status == "created"


def test_outside_of_a_flow_run_no_artifact_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "prefect.artifacts.create_link_artifact", lambda *_, **__: pytest.fail("made")
    )
    report = make_report(make_day())
    publish_artifacts(report, write_run_report(report, tmp_path))


def test_flow_run_shows_its_days_refusals_and_page_in_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr("prefect.context.FlowRunContext.get", lambda: "a flow run")
    for kind in ("table", "markdown", "link"):
        monkeypatch.setattr(
            f"prefect.artifacts.create_{kind}_artifact", lambda it, key, **_: made.update({key: it})
        )
    report = make_report(make_day(), make_day(15, status="rejected", reason=HOSTILE, statistics={}))
    publish_artifacts(report, write_run_report(report, tmp_path))

    assert set(made) == {"nightly-days", "nightly-range", "nightly-refused", "nightly-report"}
    assert "station: 3360 of 16000 profiles lie outside" in made["nightly-range"]
    assert [row["status"] for row in json.loads(json.dumps(made["nightly-days"]))] == [
        "created",
        "rejected",
    ]
    shown = made["nightly-refused"].splitlines()
    assert len(shown) == 4  # a sentence, nothing, and the reason's two lines
    assert all(line.startswith("    ") for line in shown[2:])  # as code, whatever is in it
    assert made["nightly-report"] == (tmp_path / report.run / "index.html").as_uri()


def test_reports_name_no_day_twice(tmp_path: Path) -> None:
    # A nightly run looks at the same days each night; the trend shows each once, as it was last.
    seen: list[tuple[str, date]] = []

    def draw(points: Any, _: Path) -> bool:
        seen.extend((source, day) for source, day, _ in points)
        return False

    for number in range(3):
        report = make_report(
            make_day(14), make_day(15), run=f"run{number}", begun=BEGUN + timedelta(days=number)
        )
        write_run_report(replace(report), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "draw_trends", draw)
        refresh_reports(tmp_path)
    assert sorted(seen) == [("station", date(2021, 3, 14)), ("station", date(2021, 3, 15))]


def test_report_with_the_former_words_of_statuses_is_read_and_shown(tmp_path: Path) -> None:
    files = write_run_report(
        make_report(*(make_day(number) for number in range(1, 5)), run="former"), tmp_path
    )
    content = json.loads(files.record.read_text())
    for day, status in zip(content["days"], ("made", "held", "refused", "failed"), strict=True):
        day["status"] = status
    files.record.write_text(json.dumps(content))

    report = read_report(files.record)
    assert [day.status for day in report.days] == ["created", "unchanged", "rejected", "failed"]
    assert report.days[0].statistics == PRODUCT_STATISTICS
    assert "2 of 4 days rejected or failed" in Page(refresh_reports(tmp_path)).text
