"""Pages of runs: verdicts, tables, links and the calendar."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from blindzone.flows.reports.page import CALENDAR_DAYS, render_index, render_run
from blindzone.flows.running.records import DayReport, RunReport
from blindzone.pipeline.inpainting.range_summary import RangeSummary

BEGUN = datetime(2026, 3, 2, tzinfo=UTC)


def day(number: int, **changes: Any) -> DayReport:
    values: dict[str, Any] = {"source": "station", "status": "created"}
    return DayReport(**(values | {"day": date(2021, 3, number)} | changes))


def outside(number: int, **changes: Any) -> DayReport:
    """A day of which every profile is at another site."""
    return day(number, range=RangeSummary(profiles=100, outside=100, bits=512), **changes)


def run(*days: DayReport, **changes: Any) -> RunReport:
    values: dict[str, Any] = {"run": "a", "flow": "nightly", "begun": BEGUN, "seconds": 61.0}
    return RunReport(**(values | {"days": days} | changes))


def page(*days: DayReport, folder: Path = Path("reports/a"), **changes: Any) -> str:
    return render_run(run(*days, **changes), folder, None, ["log.jsonl"])


@pytest.mark.parametrize(
    ("days", "changes", "verdict"),
    [
        ((), {}, "nothing to do"),
        ((day(1), day(2, status="unchanged")), {}, "all well"),
        ((day(1), day(2, status="failed")), {}, "1 of 2 days rejected or failed"),
        ((outside(1), outside(2, status="unchanged")), {}, ">made, not calibrated here<"),
        ((outside(1), day(2), day(3)), {}, "1 of 3 days made, not calibrated here"),
        (
            (outside(1), day(2, status="failed", product=None)),
            {},
            "1 of 2 days rejected or failed, made, not calibrated here",
        ),
        ((day(1, statistics={"out_of_range_share": 1.0}),), {}, ">made, not calibrated here<"),
        ((day(1),), {"lacking": ("b: none",)}, "1 sources without a day"),
        (
            (day(1, statistics={"drift_score": 1.2}), day(2, statistics={"drift_score": 0.9})),
            {},
            "1 of 2 days made of inputs that have drifted",
        ),
    ],
    ids=["idle", "well", "failed", "outside", "partly", "both", "earlier", "lacking", "drifted"],
)
def test_page_begins_with_how_the_run_ended(
    days: tuple[DayReport, ...], changes: dict[str, Any], verdict: str
) -> None:
    assert verdict in page(*days, **changes)


def test_page_and_index_say_that_every_profile_is_outside() -> None:
    line = "station: 200 of 200 profiles lie outside what the network was made for: site"
    assert line in page(outside(1), outside(2))
    index = render_index([run(outside(1), outside(2))], {}, None)
    assert ">made, not calibrated here<" in index
    assert "all well" not in index


def test_products_are_linked_from_where_the_page_is_and_urls_stay_text(tmp_path: Path) -> None:
    product = tmp_path / "products" / "a b.nc"
    product.parent.mkdir()
    product.with_suffix(".webp").touch()
    days = (day(1, product=str(product)), day(2, product="s3://bucket/a.nc"))
    text = page(*days, folder=tmp_path / "reports" / "a")
    assert 'href="./../../products/a%20b.nc"' in text
    assert 'href="./../../products/a%20b.webp"' in text
    assert 'href="s3:' not in text
    assert "s3://bucket/a.nc" in text


def test_quicklook_is_shown_small_and_leads_to_the_whole(tmp_path: Path) -> None:
    quicklook = tmp_path / "a.webp"
    Image.new("RGB", (1920, 1000), "red").save(quicklook)
    text = page(day(1, product=str(tmp_path / "a.nc")), folder=tmp_path)
    found = re.search(
        r'<a href="\./a\.webp"><img class="thumbnail" src="data:image/webp;base64,(.*?)"', text
    )
    assert found is not None
    with Image.open(BytesIO(base64.b64decode(found[1]))) as thumbnail:
        assert thumbnail.size == (200, 104)  # of 1920 by 1000 dots


def test_page_opens_with_the_first_hundred_thumbnails(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.webp")
    product = str(tmp_path / "a.nc")
    text = page(*(day(1, product=product) for _ in range(103)), folder=tmp_path)
    assert text.count('class="thumbnail"') == 100


def test_share_is_in_percent_and_an_unknown_drift_is_said_to_be_so() -> None:
    text = page(day(1, statistics={"filled_pixel_share": 0.985}))
    assert "98.5 %" in text
    assert "not known" in text


def test_time_of_a_long_run_is_in_hours_minutes_and_seconds() -> None:
    assert "1:01:01" in page(day(1), seconds=3661.2)
    assert "7.3 s" in page(day(1), seconds=7.26)


def test_calendar_has_the_last_run_of_each_day_and_goes_back_a_quarter() -> None:
    old = day(1, day=date(2020, 1, 1))
    first = run(old, day(13, status="rejected", reason="cut short"), run="first")
    second = run(day(13), day(14), run="second")
    text = render_index([first, second], {}, None)
    assert "cut short" not in text  # made since
    assert "all well" in text
    squares = text.count('<a class="created"')
    assert squares == 2
    assert date(2021, 3, 14).toordinal() - old.day.toordinal() > CALENDAR_DAYS


def test_run_whose_report_cannot_be_read_is_named() -> None:
    text = render_index([run(day(1))], {"broken": "no report that can be read"}, None)
    assert "broken" in text
    assert "no report that can be read" in text
