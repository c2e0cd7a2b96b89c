"""Demo: the source it chooses, and all that it makes in one folder."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from blindzone.core.errors import CatalogError, PlanError
from blindzone.flows import demo as module
from blindzone.flows.demo import DemoPlan, choose_source, demo

SOURCE = "short_days"


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
    with pytest.raises(PlanError, match=r"demo: passes: .*greater than or equal to 2"):
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
