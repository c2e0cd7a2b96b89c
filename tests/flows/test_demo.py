"""Demo: the source it chooses, and all that it makes in one folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cloudnet_portal import Portal, serving_portal

from blindzone.core.errors import CatalogError, PlanError
from blindzone.flows import demo as module
from blindzone.flows.demo import DemoPlan, choose_source, demo
from blindzone.pipeline.catalog.catalog import read_catalog

SOURCE = "short_days"
DAY = date(2021, 3, 14)


def test_demo_fills_scores_and_draws_the_test_day(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, checkpoint = trained
    shutil.copytree(archive, tmp_path / "archive")
    monkeypatch.setattr(module, "SHIPPED_WEIGHTS", checkpoint)
    report = demo.fn(DemoPlan(source=SOURCE, passes=2, output=tmp_path, catalog=catalog))
    assert (report.source, report.day, report.checkpoint) == (SOURCE, date(2000, 1, 3), checkpoint)
    assert report.product.parent == tmp_path / "products"
    assert report.picture.stat().st_size > 5_000
    assert set(report.scores) == {"fill", "repeat"}
    assert set(module.SHOWN_SCORES) <= report.scores["fill"].keys()
    assert list(report.seconds) == ["ingest", "fill", "score", "draw"]


def test_source_without_a_test_day_is_rejected_before_any_work(
    catalog: Path, tmp_path: Path
) -> None:
    text = catalog.read_text().replace(", test: [2000-01-03]", "")
    (tmp_path / "none.yaml").write_text(text)
    with pytest.raises(CatalogError, match="names no test day"):
        demo.fn(DemoPlan(source=SOURCE, output=tmp_path / "o", catalog=tmp_path / "none.yaml"))
    assert not (tmp_path / "o").exists()


def test_plan_that_makes_no_sense_is_rejected() -> None:
    with pytest.raises(PlanError, match="demo: passes: a distribution needs at least 2; found 1"):
        DemoPlan(passes=1)


def test_named_source_is_taken_and_the_simulated_one_only_without_measured_data(
    catalog: Path, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reason = choose_source(SOURCE, catalog)
    assert (source, reason) == (SOURCE, f"source: {SOURCE} (Two simulated hours a day)")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    source, reason = choose_source(None, catalog_file)
    assert source == "simulated"
    assert "set BLINDZONE_DATA to the folder that holds them" in reason


@pytest.fixture
def portal(simulated_file: Path) -> Iterator[Portal]:
    with serving_portal() as served:
        content = simulated_file.read_bytes()
        served.add("radar", DAY, content, filename="20210314_palaiseau_basta_643b7b5b.nc")
        served.add("radar", DAY, b"another", instrument="mira-35")
        yield served


def test_day_is_fetched_where_no_measured_data_are(
    portal: Portal, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    source, reason = choose_source(None, catalog_file, portal.address)
    path = tmp_path / "palaiseau_basta" / "20210314_palaiseau_basta.nc"
    assert source == "palaiseau_basta"
    assert f"was fetched to {path}" in reason
    assert "CC BY 4.0" in reason
    entry = read_catalog(catalog_file)[source]
    assert entry.find_days(tmp_path) == {DAY: (path,)}
    assert entry.split.test[0] == DAY
    # The next run has data.
    _, reason = choose_source(None, catalog_file, "http://127.0.0.1:9")
    assert reason.endswith(f"1 days in {tmp_path}")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hang", r"no answer within 0\.2 s|does not answer in time"),
        (403, "403 Forbidden"),
        ("text", "no JSON"),
    ],
)
def test_curtains_are_simulated_where_the_portal_does_not_answer_in_time(
    portal: Portal,
    catalog_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: int | str,
    says: str,
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    monkeypatch.setattr(module, "PATIENCE_S", 0.2 if fault == "hang" else 10)
    portal.faults["files"] = [fault]
    started = time.monotonic()
    source, reason = choose_source(None, catalog_file, portal.address)
    assert time.monotonic() - started < 9
    assert source == "simulated"
    assert re.search(says, reason)
    assert "everything below is made from simulated curtains" in reason
    assert not list(tmp_path.iterdir())


def test_day_that_comes_damaged_is_not_taken(
    portal: Portal, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    portal.faults[next(iter(portal.contents))] = ["wrong"]
    assert choose_source(None, catalog_file, portal.address)[0] == "simulated"
    assert not list((tmp_path / "palaiseau_basta").iterdir())
