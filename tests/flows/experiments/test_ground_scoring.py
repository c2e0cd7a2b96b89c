"""Products of a tiny radar against a tiny disdrometer, from archive to tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw
from surface_files import make_disdrometer_raw
from tiny_products import HIDDEN, SOURCE, make_curtain, make_product

from blindzone.core.errors import ArchiveError, PlanError, ProductError
from blindzone.core.progress import ignore_progress
from blindzone.flows.experiments.ground_scoring import (
    FILLED,
    SCHEMES,
    GroundPlan,
    GroundReport,
    fit_climatology,
    score_at_ground,
)
from blindzone.flows.experiments.ground_tables import describe_ground, write_ground_tables
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.verification.curtain_scores import Regime

DAYS = date(2021, 3, 13), date(2021, 3, 14)
CATALOG = f"""
version: 1
sources:
  {SOURCE}:
    {{title: Radar, instrument: radar, site: a, directory: radar, files: "%Y%m%d.nc",
     grid: {{rows: 8, row_depth_m: 78.125}}, blind_zone: {{top_m: {HIDDEN * 78.125}}},
     quality: {{sensitivity_floor_dbz: -30}}, partners: {{surface: [drops]}},
     split: {{training: [2021-03-13], validation: [2021-03-14]}}}}
  drops: {{title: Rain, instrument: a, site: a, directory: drops, files: "%Y%m%d.nc"}}
"""


def lengthen(short: xr.Dataset, day: date) -> xr.Dataset:
    """Two hours of the first five profiles again and again, every 20 s: echo in three of five."""
    at = np.arange(360) % 5
    times = np.datetime64(day, "ns") + np.arange(at.size) * np.timedelta64(20, "s")
    return short.isel(time=at).assign_coords(time=("time", times, short["time"].attrs))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> GroundPlan:
    tmp_path = tmp_path_factory.mktemp("ground")
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    archive = Archive(tmp_path / "archive")
    file = FileRecord(name="a.nc", size=1, sha256="ab" * 32)
    for day in DAYS:
        archive.upsert(SOURCE, day, {file: lengthen(make_curtain(), day)}, {})
        raw = write_raw(make_disdrometer_raw(str(day)), tmp_path / f"{day}.nc")
        archive.upsert("drops", day, {file: read_curtain(raw)}, {})
    product = lengthen(make_product(), DAYS[1]).assign_attrs(make_product().attrs)
    ProductStore(tmp_path / "products").write(product, SOURCE, DAYS[1])
    places = DataPlaces(catalog=tmp_path / "catalog.yaml", archive=str(tmp_path / "archive"))
    return GroundPlan(
        source=SOURCE,
        members=4,
        products=str(tmp_path / "products"),
        output=tmp_path / "out",
        places=places,
    )


@pytest.fixture(scope="module")
def report(plan: GroundPlan) -> GroundReport:
    return score_at_ground(plan, ignore_progress)


def test_all_schemes_are_scored_on_the_same_minutes(report: GroundReport, tmp_path: Path) -> None:
    (of_day,) = report.days.values()
    assert tuple(of_day) == SCHEMES
    scores = {name: sums.scores() for name, sums in of_day.items()}
    assert len({each["minutes"] for each in scores.values()}) == 1
    # The disdrometer counts drops in every other minute; its first stamp is midnight, at which
    # nothing has arrived yet.
    assert scores[FILLED]["echo: happened"] == pytest.approx(0.5, abs=0.01)
    assert scores[FILLED]["minutes"] == pytest.approx(118, abs=1)
    # Three of five profiles have echo, here as in the row that goes on to the ground.
    assert scores["persistence"]["echo: stated"] == pytest.approx(0.6, abs=0.01)
    assert scores["lowest row"]["echo: stated"] == pytest.approx(0.6, abs=0.01)
    assert scores[FILLED]["echo: stated"] == pytest.approx(0.6 * 0.99 + 0.4 * 0.01, abs=0.02)
    # 2 mm h-1 in every other minute: 1 mm in each of two hours. The last minute is not there.
    assert scores["lowest row"]["hour: truth [mm]"] == pytest.approx(2.0, abs=0.04)


def test_climatology_is_that_of_the_training_days_by_what_is_seen(plan: GroundPlan) -> None:
    data = open_source(SOURCE, plan.places)
    found = fit_climatology(data, [DAYS[0]], lambda share: None)
    # Drops fall in every other minute, whatever is seen: that is not in step with the profiles.
    seen = [Regime.TOUCHING, Regime.CLEAR]
    np.testing.assert_allclose(found.echo[seen], 0.5, atol=0.02)
    np.testing.assert_allclose(found.rain[seen], 0.5, atol=0.02)
    np.testing.assert_allclose(found.rate_mm_h[seen], 1.0, atol=0.04)


def test_tables_have_all_scores_and_what_people_read(report: GroundReport, tmp_path: Path) -> None:
    table, page = write_ground_tables(report, tmp_path / "out")
    lines = table.read_text().splitlines()
    assert lines[0] == "scheme,group,member,score,value,low,high"
    for start in ("filled,pooled,,echo: Brier,", "persistence,day,2021-03-14,rain: CSI,"):
        assert any(line.startswith(start) for line in lines)
    assert any(line.startswith("filled,less persistence,,hour: bias,") for line in lines)
    text = page.read_text()
    assert text == describe_ground(report)
    header, rule, *rows = text.splitlines()
    assert header.startswith("| validation block, 1 days | filled | lowest row | persistence |")
    assert header.count("|") == rule.count("|") == rows[0].count("|")


def test_day_without_a_product_or_a_disdrometer_is_one_clear_error(
    plan: GroundPlan, tmp_path: Path
) -> None:
    with pytest.raises(ProductError, match="'blindzone inpaint station --start 2021-03-14"):
        score_at_ground(replace(plan, products=str(tmp_path / "none")), ignore_progress)
    catalog = tmp_path / "dry.yaml"
    catalog.write_text(CATALOG.replace("partners: {surface: [drops]},", ""))
    dry = replace(plan, places=replace(plan.places, catalog=catalog))
    with pytest.raises(ArchiveError, match=r"no minute of a disdrometer .*partners: none"):
        score_at_ground(dry, ignore_progress)
    with pytest.raises(PlanError, match="block"):
        GroundPlan(source=SOURCE, block="training")  # type: ignore[arg-type]
