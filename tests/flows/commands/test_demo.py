"""The command `demo`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

from blindzone.flows.demo import SHOWN_SCORES, choose_source

SOURCE = "short_days"


def test_demo_without_measured_data_says_so_and_takes_simulated_curtains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    source, reason = choose_source(None, Path(__file__).parents[3] / "data_catalog.yaml")

    assert source == "simulated"
    assert str(tmp_path) in reason
    assert "simulated" in reason
    assert "\n" not in reason


REPORT = SimpleNamespace(
    source="station",
    day=date(2021, 3, 14),
    scores={"fill": dict.fromkeys(SHOWN_SCORES, 0.75), "repeat": dict.fromkeys(SHOWN_SCORES, 0.5)},
    product=Path("a.nc"),
    picture=Path("a.png"),
    checkpoint=Path("a.keras"),
    seconds={"ingest": 12.0, "fill": 24.4},
)


def test_demo_prints_scores_places_and_costs(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    code, out, _ = run("demo", "--source", SOURCE, "--catalog", catalog, "--passes", 3)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")] for line in out.splitlines()]
    assert ["", "CSI", "0.750", "0.500", ""] in rows
    # Persistence states no interval.
    assert ["", "coverage 90 %", "0.750", "-", ""] in rows
    assert "product:    a.nc\n" in out
    assert "time:       ingest 12 s, fill 24 s; 36 s in all\n" in out
    assert (sent()["passes"], sent()["minutes"]) == (3, None)
    assert sent()["output"] == tmp_path / "workspace"  # of BLINDZONE_WORKSPACE


def test_demo_trains_for_some_minutes_if_asked(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    run("demo", "--source", SOURCE, "--catalog", catalog, "--train", "--minutes", 2)
    assert sent()["minutes"] == 2.0
