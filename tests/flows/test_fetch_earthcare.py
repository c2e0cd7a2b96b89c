"""Frames of EarthCARE to folders and catalogue; the portal itself has tests of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from blindzone.core.errors import FetchError, PlanError
from blindzone.flows import fetch_earthcare as module
from blindzone.flows.fetch_earthcare import FetchEarthcarePlan, fetch_earthcare
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.earthcare_portal import Area
from blindzone.pipeline.catalog.portal_source import OnBytes, PortalSource

DAY = date(2026, 1, 8)
NAME = "ECA_EXBC_CPR_FMR_2A_20260108T030403Z_20260108T042349Z_09167F.h5"


@dataclass(frozen=True)
class Frame:
    size: int = 3

    def fetch(self, path: Path, on_bytes: OnBytes) -> bool:
        path.write_bytes(b"123")
        on_bytes(3)
        return True

    def describe(self) -> dict[str, Any]:
        return {"size": 3}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    questions: list[tuple[Any, ...]] = []

    def find(*question: Any) -> list[PortalSource]:
        questions.append(question)
        source = PortalSource(
            name="earthcare_cpr_fmr_2a",
            title="EarthCARE",
            files={NAME: Frame()},
            pattern="ECA_*_CPR_FMR_2A_%Y%m%dT%H%M%SZ_*.h5",
            reader="earthcare",
            terms={},
            stated={"unit": "granule"},
        )
        return [source]

    monkeypatch.setattr(module, "find_frames", find)
    monkeypatch.setattr(module, "check_token", lambda environment: None)
    return questions


def test_frames_become_granules_of_a_source(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    plan = FetchEarthcarePlan(
        start=DAY, end=DAY, latitude=48, longitude=2, catalog=tmp_path / "c.yaml"
    )
    report = fetch_earthcare.fn(plan)
    area = Area(latitude=48, longitude=2, radius_km=100)
    assert asked == [(("CPR_FMR_2A",), DAY, DAY, area)]
    assert report.added == ("earthcare_cpr_fmr_2a",)
    entry = read_catalog(report.catalog)["earthcare_cpr_fmr_2a"]
    (granule,) = entry.find_days(tmp_path / "data")
    assert str(granule) == "2026-01-08 03:04:03"


def test_nothing_is_asked_without_a_token(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(environment: object) -> None:
        raise FetchError("no token")

    monkeypatch.setattr(module, "check_token", refuse)
    with pytest.raises(FetchError, match="no token"):
        fetch_earthcare.fn(FetchEarthcarePlan(start=DAY, end=DAY, catalog=tmp_path / "c.yaml"))
    assert asked == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"latitude": 1.0}, "latitude and longitude belong together"),
        ({"latitude": 91.0, "longitude": 0.0}, "latitude"),
        ({"products": ("MSI_NOM_1B",)}, "products"),
        ({"end": date(2025, 1, 1)}, "start must not be after end"),
    ],
)
def test_plan_that_makes_no_sense_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        FetchEarthcarePlan(**{"start": DAY, "end": DAY, **values})
