"""Nightly: new files come in and are filled, whatever the clock and whichever source is gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import IO, Any

import pytest
from prefect.exceptions import ParameterTypeError

from blindzone.core.errors import PlanError
from blindzone.core.fence import describe
from blindzone.flows.nightly import NightlyPlan, nightly
from blindzone.flows.reports import journal, writing
from blindzone.flows.running import ingestion, product_run
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_task import ProductTask
from blindzone.flows.running.records import DayReport, RunReport
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.plots import quicklooks
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


@pytest.mark.parametrize("fault", ["no_key: 1", "period: {start: 0202-01-01}"])
def test_source_whose_entry_has_a_fault_keeps_none_from_being_done(
    make_plan: MakePlan, data: Path, catalog: Path, tmp_path: Path, fault: str
) -> None:
    text = catalog.read_text().rstrip()
    entry = text[text.index(f"  {SOURCE}:") :]
    odd = entry.replace(f"  {SOURCE}:", f"  odd:\n    {fault}")
    path = tmp_path / "three.yaml"
    path.write_text("\n".join([text, odd, entry.replace(f"  {SOURCE}:", "  last:")]))
    report = nightly.fn(make_plan(sources=(SOURCE, "odd", "last"), days=1, catalog=path))
    assert [(day.source, day.status) for day in report.days] == [
        (SOURCE, "created"),
        ("last", "created"),
    ]
    (reason,) = report.lacking
    line = path.read_text().split(fault)[0].count("\n") + 1
    assert reason.startswith(f"odd: {path}, line {line}: sources.odd.")
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


def raise_once_for(day: date, function: Callable[..., Any], error: BaseException) -> Any:
    """Returns a function that raises an error for the file of one day, each time."""

    def call(address: Any, *arguments: Any, **options: Any) -> Any:
        if f"{day:%Y%m%d}" in str(address):
            raise error
        return function(address, *arguments, **options)

    return call


class OddError(BaseException):
    """No Exception, as a library in another language raises it."""


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), OddError("panic")], ids=repr)
@pytest.mark.parametrize("place", ["describe_address", "read_native"])
def test_file_that_a_library_cannot_stand_is_set_aside_alone(
    make_plan: MakePlan,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
    error: BaseException,
) -> None:
    fails = raise_once_for(SECOND, getattr(ingestion, place), error)
    monkeypatch.setattr(ingestion, place, fails)
    monkeypatch.setattr(product_run, "fill_task", make_nothing)
    report = nightly.fn(make_plan())
    assert statuses(report) == [(FIRST, "created"), (THIRD, "created")]
    assert report.ingested[0].rejections[SECOND] == {"20000102_radar.nc": describe(error)}
    assert not report.is_clean
    (log,) = (tmp_path / "workspace/reports").glob("*/log.jsonl")
    assert "Traceback (most recent call last)" in log.read_text()


def make_nothing(task: ProductTask) -> DayReport:
    return DayReport(source=task.source, day=task.day, status="created")


def lock(path: Path) -> IO[bytes]:
    """Locks a file as HDF5 does for a program that writes to it."""
    writer = path.open("r+b")
    fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return writer


def test_file_in_use_by_a_writer_is_waited_for(
    make_plan: MakePlan, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = lock(file_of(data, SECOND))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            writer.close()

    monkeypatch.setattr("tenacity.nap.time.sleep", wait)
    monkeypatch.setattr(product_run, "fill_task", make_nothing)
    with writer:
        report = nightly.fn(make_plan())
    assert waits == [2, 4, 8]
    assert (outcomes(report), report.is_clean) == ([Outcome.INGESTED] * 3, True)


def test_file_that_stays_in_use_is_set_aside_as_such(
    make_plan: MakePlan, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setattr(product_run, "fill_task", make_nothing)
    with lock(file_of(data, SECOND)):
        report = nightly.fn(make_plan())
    assert outcomes(report) == [Outcome.INGESTED, Outcome.REJECTED, Outcome.INGESTED]
    (reason,) = report.ingested[0].rejections[SECOND].values()
    assert "another program has it open for writing" in reason


def test_day_whose_picture_fails_is_made_and_drawn_by_the_next_run(
    make_plan: MakePlan, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("mathtext")

    with monkeypatch.context() as patch:
        patch.setattr(quicklooks, "draw_product", fail)
        report = nightly.fn(make_plan(days=1, pictures=True))
    assert statuses(report) == [(THIRD, "created")]
    assert report.days[0].flaws == ("no picture: mathtext",)
    assert report.days[0].scores
    assert (report.is_useful, report.is_clean) == (True, False)

    monkeypatch.setattr(quicklooks, "draw_product", lambda product, path: path.touch())
    report = nightly.fn(make_plan(days=1, pictures=True))
    assert (statuses(report), report.is_clean) == ([(THIRD, "unchanged")], True)
    assert (tmp_path / f"products/{SOURCE}_20000103_blindzone.webp").exists()


QUIET_NIGHT = """
import resource, sys
from blindzone.flows.commands.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    used = resource.getrusage(resource.RUSAGE_SELF)
    slow = ("tensorflow", "keras", "prefect")
    loaded = [name for name in slow if name in sys.modules]
    print(end.code, used.ru_utime + used.ru_stime, *loaded)
"""


def test_night_with_nothing_to_do_loads_no_network_and_no_server(
    make_plan: MakePlan, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    assert nightly.fn(plan).is_clean
    for name in ("PREFECT_API_URL", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    options = {
        "catalog": plan.places.catalog,
        "archive": plan.places.archive,
        "output": plan.places.products,
        "checkpoint": plan.filling.checkpoint,
        "passes": plan.filling.passes,
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    run = subprocess.run(
        [sys.executable, "-c", QUIET_NIGHT, "nightly", SOURCE, "--no-pictures", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, *loaded = run.stdout.splitlines()[-1].split()
    assert (code, loaded) == ("0", []), run.stdout + run.stderr
    # About 2 s were measured under load; beside other tests it may be more.
    assert float(seconds) < 6


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
