"""Nightly: new files come in and are filled, whatever the clock and whichever source is gone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError

from blindzone.core.errors import PlanError
from blindzone.flows.nightly import NightlyPlan, nightly
from blindzone.flows.reports import journal, writing
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.records import RunReport
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.readers.simulation import write_simulated_day

SOURCE = "short_days"
FIRST, SECOND, THIRD = DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))

MakePlan = Callable[..., NightlyPlan]


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of trends take longer than all that is asked of a run here."""
    monkeypatch.setattr(writing, "draw_trends", lambda points, path: False)


@pytest.fixture
def data(simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the three days that a test may change."""
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    return Path(shutil.copytree(simulated_days, tmp_path / "data"))


@pytest.fixture
def make_plan(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> MakePlan:
    """Makes plans with two passes of the tiny network; archive and products are the test's own."""

    def make(*, catalog: Path = catalog, **changes: Any) -> NightlyPlan:
        values: dict[str, Any] = {
            "sources": (SOURCE,),
            "pictures": False,
            "filling": Filling(passes=2, checkpoint=trained[1]),
            "places": Places(
                catalog=catalog,
                archive=str(tmp_path / "archive"),
                products=str(tmp_path / "products"),
            ),
        }
        return NightlyPlan(**(values | changes))

    return make


def file_of(data: Path, day: date) -> Path:
    return data / SOURCE / f"{day:%Y%m%d}_radar.nc"


def outcomes(report: RunReport) -> list[Outcome]:
    (ingested,) = report.ingested
    return [ingested.changes[day].outcome for day in sorted(ingested.changes)]


def statuses(report: RunReport) -> list[tuple[date, str]]:
    return [(day.day, day.status) for day in report.days]


def test_what_is_new_is_ingested_and_filled_and_the_rest_left_alone(
    make_plan: MakePlan, data: Path, tmp_path: Path
) -> None:
    late = file_of(data, THIRD).rename(tmp_path / "late.nc")
    first = nightly.fn(make_plan())
    assert first.flow == "nightly"
    assert outcomes(first) == [Outcome.INGESTED] * 2
    assert statuses(first) == [(FIRST, "created"), (SECOND, "created")]
    assert all(day.scores for day in first.days)  # the radar sees what was hidden

    late.rename(file_of(data, THIRD))
    # The second day's file comes anew, with other weather.
    write_simulated_day(
        SECOND, file_of(data, SECOND), hours=2.0, seed=7, scenes=("front", "stratocumulus")
    )
    second = nightly.fn(make_plan())
    assert outcomes(second) == [Outcome.UNCHANGED, Outcome.REPLACED, Outcome.INGESTED]
    assert statuses(second) == [(FIRST, "unchanged"), (SECOND, "created"), (THIRD, "created")]
    assert second.is_clean

    assert statuses(nightly.fn(make_plan())) == [(day, "unchanged") for day in DAYS]


def test_only_the_newest_days_are_looked_at(
    make_plan: MakePlan, data: Path, tmp_path: Path
) -> None:
    report = nightly.fn(make_plan(days=2))
    assert statuses(report) == [(SECOND, "created"), (THIRD, "created")]
    assert Archive(tmp_path / "archive").days(SOURCE) == (SECOND, THIRD)


def test_clock_decides_nothing(
    make_plan: MakePlan, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime(1971, 5, 6, tzinfo=tz)

    monkeypatch.setattr(journal, "datetime", Wrong)
    monkeypatch.setattr(time, "time", lambda: datetime(2099, 1, 1, tzinfo=UTC).timestamp())
    for day in DAYS:
        os.utime(file_of(data, day), (0, 0))
    report = nightly.fn(make_plan(days=1))
    assert statuses(report) == [(THIRD, "created")]
    assert report.run.startswith("19710506T000000-")
    assert 0 < report.seconds < 300


def test_file_that_is_refused_is_named_and_the_other_days_are_filled(
    make_plan: MakePlan, data: Path
) -> None:
    file_of(data, SECOND).write_bytes(b"no netCDF")
    report = nightly.fn(make_plan())
    assert statuses(report) == [(FIRST, "created"), (THIRD, "created")]
    assert outcomes(report)[1] is Outcome.REJECTED
    assert "not a netCDF file" in report.ingested[0].rejections[SECOND]["20000102_radar.nc"]
    assert (report.is_useful, report.is_clean) == (True, False)


def with_second_source(catalog: Path, folder: Path) -> Path:
    """A catalogue with another source, of which nothing is there."""
    text = catalog.read_text().rstrip()
    entry = text[text.index(f"  {SOURCE}:") :].replace(SOURCE, "gone")
    (folder / "two.yaml").write_text(f"{text}\n{entry}\n")
    return folder / "two.yaml"


@pytest.mark.parametrize("order", [("gone", SOURCE), (SOURCE, "gone")])
def test_source_whose_files_are_gone_keeps_none_from_being_done(
    make_plan: MakePlan, data: Path, catalog: Path, tmp_path: Path, order: tuple[str, str]
) -> None:
    report = nightly.fn(
        make_plan(sources=order, days=1, catalog=with_second_source(catalog, tmp_path))
    )
    assert statuses(report) == [(THIRD, "created")]
    (reason,) = report.lacking
    assert reason.startswith("gone: ")
    assert str(data / "gone") in reason
    assert (report.is_useful, report.is_clean) == (True, False)


def test_nothing_of_any_source_is_an_error(
    make_plan: MakePlan, data: Path, catalog: Path, tmp_path: Path
) -> None:
    shutil.rmtree(data / SOURCE)
    with pytest.raises(PlanError) as error:
        nightly.fn(
            make_plan(sources=(SOURCE, "gone"), catalog=with_second_source(catalog, tmp_path))
        )
    first, second = str(error.value).splitlines()
    assert first.startswith(f"{SOURCE}: ")
    assert second.startswith("gone: ")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sources": ()}, "sources: Tuple should have at least 1 item"),
        ({"days": 0}, "days: .*should be greater than or equal to 1"),
    ],
    ids=["no source", "no day"],
)
def test_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=f"^nightly: {message}"):
        NightlyPlan(**({"sources": (SOURCE,)} | wrong))
    given = {"sources": ["a"]} | {
        key: list(value) if key == "sources" else value for key, value in wrong.items()
    }
    with pytest.raises(ParameterTypeError, match=message):
        nightly.validate_parameters({"plan": given})


def test_deployment_gives_the_plan_as_json() -> None:
    plan = nightly.validate_parameters({"plan": {"sources": ["simulated"], "days": 3}})["plan"]
    assert plan == NightlyPlan(sources=("simulated",), days=3)
    with pytest.raises(ParameterTypeError, match="Unexpected keyword argument"):
        nightly.validate_parameters({"plan": {"sources": ["simulated"], "nights": 3}})
