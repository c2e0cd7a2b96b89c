"""The page of products: whole in itself, safe from what files say, right to the printed digit."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from browsing import open_browser, open_page, read
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.flows.reports import product_page
from blindzone.flows.reports.product_page import write_report
from blindzone.pipeline.derivation.derived_product import derive_product, write_derived
from blindzone.pipeline.products.opening import write_product

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"


def write_day(folder: Path, day: int = 0, **attributes: str) -> Path:
    product = make_product().assign_attrs(attributes)
    times = product["time"].values + day * np.timedelta64(1, "D")
    shifted = product.assign_coords(time=product["time"].copy(data=times))
    return write_product(shifted, folder / f"{day:04d}_blindzone.nc")


def read_json(page: str, name: str) -> Any:
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page)
    assert match is not None
    return json.loads(match[1])


def test_page_is_one_file_that_names_no_other(tmp_path: Path) -> None:
    (path,) = write_report(write_day(tmp_path), tmp_path / "day.html")
    page = path.read_text()
    assert not re.search(r"<(link|img|iframe|object|embed)\b|\ssrc=|@import|url\(", page)
    day = read_json(page, "day-0")
    assert day["file"] == "0000_blindzone.nc"
    assert "blindzone derive 0000_blindzone.nc" in day["lacks_derived"]


def test_policy_allows_the_page_its_own_script_and_style_alone(tmp_path: Path) -> None:
    (path,) = write_report(write_day(tmp_path), tmp_path / "day.html")
    page = path.read_text()
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy is not None
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;".replace("+", "&#43;") in policy[1].replace(
            "+", "&#43;"
        )
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]


def test_what_files_say_is_text(tmp_path: Path) -> None:
    product = write_day(tmp_path, title=HOSTILE, site=HOSTILE, license=HOSTILE)
    (path,) = write_report(product, tmp_path / "day.html")
    page = path.read_text()
    assert "<script>alert" not in page
    assert "<img" not in page
    day = read_json(page, "day-0")
    assert day["title"] == day["place"] == HOSTILE
    assert ["Licence", HOSTILE] in day["facts"]


def test_derived_product_is_shown_if_it_is_of_this_product(
    tmp_path: Path, derived: xr.Dataset
) -> None:
    path = write_day(tmp_path)
    write_derived(derived, tmp_path / "0000_blindzone_derived.nc")
    (page,) = write_report(path, tmp_path / "day.html")
    assert read_json(page.read_text(), "day-0")["derived"]["members"] == 2
    write_day(tmp_path, target_sha256="ef" * 32)
    (page,) = write_report(path, tmp_path / "day.html")
    day = read_json(page.read_text(), "day-0")
    assert day["derived"] is None
    assert "of another version of this product" in day["lacks_derived"]


def test_product_that_cannot_be_shown_stops_no_other(tmp_path: Path) -> None:
    good, bad = write_day(tmp_path), write_day(tmp_path, 1)
    with xr.open_dataset(bad) as opened:
        lacking = opened.load().drop_vars("blind_zone_top")
    lacking.to_netcdf(bad, engine="h5netcdf")
    reasons: list[ProductError] = []
    (page,) = write_report([good, bad], tmp_path / "a.html", on_reject=reasons.append)
    assert len(read_json(page.read_text(), "common")["labels"]) == 1
    assert "lacks 'blind_zone_top'" in str(reasons[0])
    with pytest.raises(ProductError, match="no product can be shown"):
        write_report(bad, tmp_path / "b.html", on_reject=reasons.append)
    with pytest.raises(ProductError, match="lacks 'blind_zone_top'"):
        write_report([good, bad], tmp_path / "b.html")


def test_products_that_were_not_made_alike_are_refused(tmp_path: Path) -> None:
    good = write_day(tmp_path)
    for name in ("checkpoint_sha256", "interval_calibration", "product_version"):
        other = write_day(tmp_path, 1, **{name: "another"})
        wrong = rf"0001_blindzone.nc: its .* \({name}\) is 'another'"
        with pytest.raises(ProductError, match=wrong):
            write_report([good, other], tmp_path / "days.html")
    assert not (tmp_path / "days.html").exists()


def test_other_names_than_those_of_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"day.nc: no page; a name that ends in .html is right"):
        write_report(write_day(tmp_path), tmp_path / "day.nc")


def test_many_products_become_a_page_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_page, "MOST_PRODUCTS", 2)
    days = tmp_path / "days"
    for day in (16, 17, 18):  # after 14 March
        write_day(days, day)
    index, march, april = write_report(days, tmp_path / "all.html")
    assert [path.name for path in (march, april)] == ["2021-03.html", "2021-04.html"]
    assert 'href="./all_pages/2021-03.html">2021-03-30 to 2021-03-31<' in index.read_text()
    assert 'href="../all.html"' in april.read_text()
    assert read_json(march.read_text(), "common")["labels"] == [
        "2021-03-30 00:00:04",  # of less than half a day also where it begins
        "2021-03-31 00:00:04",
    ]


def test_days_of_a_product_in_memory_are_told_apart(tmp_path: Path) -> None:
    product = make_product()
    later = product.assign_coords(time=product["time"] + np.timedelta64(2, "D"))
    joined = xr.concat([product, later], "time", data_vars="minimal", combine_attrs="override")
    (path,) = write_report(joined, tmp_path / "days.html")
    assert len(read_json(path.read_text(), "common")["labels"]) == 2


@pytest.fixture(scope="module")
def derived() -> xr.Dataset:
    return derive_product(make_product(), members=2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


def test_cursor_shows_the_numbers_of_the_product(
    browser: Any, derived: xr.Dataset, tmp_path: Path
) -> None:
    paths = [write_day(tmp_path, title=HOSTILE), write_day(tmp_path, 1, title=HOSTILE)]
    with xr.open_dataset(paths[0]) as opened:
        product = opened.load()
    write_derived(derived, tmp_path / "0000_blindzone_derived.nc")
    (path,) = write_report(paths, tmp_path / "days.html")
    troubles: list[str] = []
    page = open_page(browser, path, troubles)
    assert page.locator("#title").inner_text() == HOSTILE
    box = page.locator("#field .u-over").bounding_box()
    for across, up in [(0.1, 0.05), (0.2, 0.4), (0.45, 0.1), (0.7, 0.35), (0.55, 0.8)]:
        page.mouse.move(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])
        _check_readout(page, product)
    page.keyboard.press("Tab")
    page.locator("#field").focus()
    before = read(page, "time")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert read(page, "time") < before
    _check_readout(page, product)
    _check_layers(page)
    page.locator("#day-after").click()
    page.wait_for_selector("html[data-ready='1']", state="attached")
    assert "2021-03-15" in page.locator("#place").inner_text()
    page.set_viewport_size({"width": 390, "height": 844})  # a phone
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    assert troubles == []


def _check_readout(page: Any, product: xr.Dataset) -> None:
    """Checks the value and the interval under the cursor against xarray's own."""
    at = {
        "time": np.datetime64(f"2021-03-14T{read(page, 'time').removesuffix(' UTC')}"),
        "height": float(read(page, "height").removesuffix(" m")),
    }
    pixel = product.sel(at, method="nearest")
    value = float(pixel["reflectivity"])
    shown = "no data" if int(pixel["inpainting_flag"]) == 3 else "no echo"
    assert read(page, "value") == (shown if np.isnan(value) else f"{value:.1f} dBZ")
    if int(pixel["inpainting_flag"]) not in (1, 2):
        return
    assert read(page, "probability") == f"{float(pixel['hydrometeor_probability']):.2f}"
    low, high = pixel["reflectivity_quantile_given_echo"].sel(quantile=[0.05, 0.95]).values
    assert read(page, "given-echo") == f"{low:.1f} to {high:.1f} dBZ"


def _check_layers(page: Any) -> None:
    """Checks that a layer is switched by its button and its key, and drawn."""
    button = page.locator("#layers button[data-layer='probability']")
    canvas = "document.querySelector('#field canvas').toDataURL()"
    page.wait_for_timeout(50)
    before = page.evaluate(canvas)
    button.click()
    page.wait_for_selector("#layer-title:has-text('Probability of echo')")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.evaluate(canvas) != before
    page.locator("#field").focus()
    page.keyboard.press("2")
    page.wait_for_selector("#layer-title:has-text('Blind zone filled')")
    assert button.get_attribute("aria-pressed") == "false"
