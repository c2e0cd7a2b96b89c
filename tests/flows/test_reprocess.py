"""Reprocess: every day once, what cannot be filled set aside, and the rest done."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from prefect.exceptions import ParameterTypeError

from blindzone.core.errors import (
    ArchiveError,
    CheckpointError,
    LockedError,
    PlanError,
    ProductError,
)
from blindzone.flows.reports import writing
from blindzone.flows.reprocess import reprocess
from blindzone.flows.running import product_run as module
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_run import ReprocessPlan
from blindzone.flows.running.product_task import ProductTask
from blindzone.flows.running.records import DayReport, RunReport
from blindzone.flows.running.runners import Runner
from blindzone.pipeline.products.product_store import ProductStore

SOURCE = "short_days"
FIRST, SECOND, THIRD = DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))

MakePlan = Callable[..., ReprocessPlan]


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of trends take longer than all that is asked of a run here."""
    monkeypatch.setattr(writing, "draw_trends", lambda points, path: False)


@pytest.fixture
def make_plan(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> MakePlan:
    """Makes plans over the three short days, two passes each; products are the test's own."""
    archive, checkpoint = trained

    def make(*, places: dict[str, Any] | None = None, **changes: Any) -> ReprocessPlan:
        where = {
            "catalog": catalog,
            "archive": str(archive),
            "products": str(tmp_path / "products"),
        }
        values: dict[str, Any] = {
            "sources": (SOURCE,),
            "filling": Filling(passes=2, checkpoint=checkpoint),
            "places": Places(**(where | (places or {}))),
        }
        return ReprocessPlan(**(values | changes))

    return make


def path_of(plan: ReprocessPlan, day: date, source: str = SOURCE) -> Path:
    return Path(str(plan.places.products)) / f"{source}_{day:%Y%m%d}_blindzone.nc"


def identify(plan: ReprocessPlan) -> dict[str, tuple[int, int]]:
    """The identity of a product's file: one that is made anew has another inode."""
    products = Path(str(plan.places.products)).glob("*.nc")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in products}


def statuses(report: RunReport) -> list[str]:
    return [day.status for day in report.days]


def test_days_are_made_once_and_again_only_by_force(make_plan: MakePlan) -> None:
    plan = make_plan()
    first = reprocess.fn(plan)
    assert first.flow == "reprocess"
    assert [(day.source, day.day, day.status) for day in first.days] == [
        (SOURCE, day, "created") for day in DAYS
    ]
    for day in first.days:
        with xr.open_dataset(str(day.product)) as product:
            assert product.attrs["target_sha256"] == day.target
    made = identify(plan)

    again = reprocess.fn(plan)
    assert [(day.status, day.product, day.target) for day in again.days] == [
        ("unchanged", day.product, day.target) for day in first.days
    ]
    assert identify(plan) == made
    assert (again.is_useful, again.is_clean) == (True, True)
    assert again.run != first.run

    forced = reprocess.fn(dataclasses.replace(plan, force=True, start=THIRD))
    assert statuses(forced) == ["created"]
    changed = {name for name, identity in identify(plan).items() if identity != made[name]}
    assert changed == {path_of(plan, THIRD).name}


def test_range_and_what_lacks_or_is_not_whole_decide_what_is_made(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert [day.day for day in reprocess.fn(make_plan(end=SECOND)).days] == [FIRST, SECOND]
    path_of(plan, FIRST).write_bytes(path_of(plan, FIRST).read_bytes()[:50_000])
    report = reprocess.fn(plan)
    assert statuses(report) == ["created", "unchanged", "created"]
    assert statuses(reprocess.fn(plan)) == ["unchanged"] * 3


def test_another_filling_makes_all_anew(make_plan: MakePlan) -> None:
    plan = make_plan(start=THIRD)
    reprocess.fn(plan)
    other = dataclasses.replace(plan, filling=dataclasses.replace(plan.filling, seed=1))
    assert statuses(reprocess.fn(other)) == ["created"]
    assert statuses(reprocess.fn(plan)) == [
        "created"
    ]  # one product a day: that of the last run that was asked for it


def test_bad_day_is_refused_with_its_reason_its_product_stays_and_the_others_are_made(
    make_plan: MakePlan, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    own = Path(shutil.copytree(trained[0], tmp_path / "archive"))
    plan = make_plan(places={"archive": str(own)}, start=SECOND)
    reprocess.fn(dataclasses.replace(plan, end=SECOND))
    before = path_of(plan, SECOND).read_bytes()
    (own / SOURCE / "ledger" / f"{SECOND:%Y%m%d}.json").write_text("{}")

    report = reprocess.fn(plan)

    assert statuses(report) == ["rejected", "created"]
    assert f"{SECOND:%Y%m%d}" in report.days[0].reason
    assert (report.is_useful, report.is_clean) == (True, False)
    assert path_of(plan, SECOND).read_bytes() == before


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ArchiveError("it is damaged"), "rejected", "it is damaged"),
        (CheckpointError("it is no checkpoint"), "rejected", "it is no checkpoint"),
        (LockedError("another run is at it"), "failed", "another run is at it"),
        (
            OSError(28, "No space left on device"),
            "failed",
            "[Errno 28] No space left on device",
        ),
        (ZeroDivisionError("by zero"), "failed", "ZeroDivisionError: by zero"),
        (MemoryError(), "failed", "it needs more memory than there is"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_whatever_goes_wrong_with_a_day_is_told_and_the_others_are_done(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, reason: str
) -> None:
    def fill(task: ProductTask) -> DayReport:
        if task.day == SECOND:
            raise error
        return DayReport(source=task.source, day=task.day, status="created")

    monkeypatch.setattr(module, "fill_task", fill)
    report = reprocess.fn(make_plan())
    assert statuses(report) == ["created", status, "created"]
    assert report.days[1].reason == reason


def test_product_that_the_machine_cannot_write_is_no_fault_of_the_data(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(task: ProductTask) -> DayReport:
        raise ProductError("cannot be written") from OSError(28, "No space left on device")

    monkeypatch.setattr(module, "fill_task", fill)
    report = reprocess.fn(make_plan())
    assert statuses(report) == ["failed"] * 3
    assert not report.is_useful


def test_run_that_is_interrupted_ends_at_once(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(task: ProductTask) -> DayReport:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fill_task", fill)
    with pytest.raises(KeyboardInterrupt):
        reprocess.fn(make_plan())


def test_source_that_cannot_be_filled_keeps_none_from_it(
    make_plan: MakePlan, catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    # The same days under a second name, with a blind zone that is deeper than what the network was
    # trained to fill.
    own = Path(shutil.copytree(trained[0], tmp_path / "archive"))
    shutil.copytree(own / SOURCE, own / "deep")
    text = catalog.read_text()
    entry = text[text.index(f"  {SOURCE}:") :].rstrip().replace(f"  {SOURCE}:", "  deep:")
    (tmp_path / "two.yaml").write_text(
        f"{text.rstrip()}\n{entry}\n    blind_zone: {{top_m: 2000}}\n"
    )
    places = {"archive": str(own), "catalog": tmp_path / "two.yaml"}
    report = reprocess.fn(make_plan(sources=("deep", SOURCE, "nowhere"), places=places, end=FIRST))
    assert [(day.source, day.status) for day in report.days] == [
        ("deep", "rejected"),
        (SOURCE, "created"),
    ]
    assert (
        "reaches up to 2000 m; the network was trained to fill at most 1250 m"
        in report.days[0].reason
    )
    assert not report.is_clean


def test_nothing_to_fill_is_an_error_that_says_what_is_there(make_plan: MakePlan) -> None:
    with pytest.raises(
        ArchiveError, match=r"no short_days for 2001-01-01 to the end; it holds 3 days"
    ):
        reprocess.fn(make_plan(start=date(2001, 1, 1)))
    with pytest.raises(ArchiveError, match="nowhere"):
        reprocess.fn(make_plan(sources=("nowhere",)))


def test_checkpoint_that_is_not_there_makes_nothing(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(filling=Filling(passes=2, checkpoint=tmp_path / "none.keras"))
    report = reprocess.fn(plan)
    assert statuses(report) == ["rejected"] * 3
    assert all("none.keras" in day.reason for day in report.days)
    assert not report.is_useful
    assert not list(tmp_path.glob("products/*.nc"))


def test_run_waits_for_another_that_makes_the_same_day_and_finds_it_made(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(start=SECOND)
    store, waiting, found = ProductStore(tmp_path / "products"), threading.Event(), []

    def run() -> None:
        waiting.set()
        found.append(reprocess.fn(plan))

    with store.lock(SOURCE, SECOND):
        thread = threading.Thread(target=run)
        thread.start()
        waiting.wait()
        elsewhere = make_plan(
            start=SECOND, end=SECOND, places={"products": str(tmp_path / "elsewhere")}
        )
        reprocess.fn(elsewhere)
        assert not found  # it waits
        path_of(elsewhere, SECOND).rename(path_of(plan, SECOND))
    thread.join(timeout=60)
    assert statuses(found[0]) == ["unchanged", "created"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sources": ()}, "sources: Tuple should have at least 1 item"),
        (
            {"start": SECOND, "end": FIRST},
            "the range starts on 2000-01-02 and ends on 2000-01-01; start must not be",
        ),
    ],
    ids=["no source", "range"],
)
def test_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        ReprocessPlan(**({"sources": (SOURCE,)} | wrong))


def test_deployment_gives_the_plan_as_json() -> None:
    given = {
        "sources": ["a", "b"],
        "start": "2000-01-01",
        "filling": {"passes": {"tolerance_db": 0.5}, "seed": 3, "checkpoint": "a.keras"},
        "places": {"archive": "s3://bucket/archive"},
        "runner": {"kind": "dask", "address": "tcp://127.0.0.1:8786"},
    }
    plan = reprocess.validate_parameters({"plan": given})["plan"]
    assert isinstance(plan, ReprocessPlan)
    assert (plan.sources, plan.start, plan.end, plan.force) == (("a", "b"), FIRST, None, False)
    assert (plan.filling.seed, plan.filling.checkpoint, plan.places.archive) == (
        3,
        Path("a.keras"),
        given["places"]["archive"],
    )
    assert plan.runner == Runner(kind="dask", address="tcp://127.0.0.1:8786")


@pytest.mark.parametrize(
    ("wrong", "key", "message"),
    [
        ({"sources": []}, "plan.sources", "Tuple should have at least 1 item"),
        ({"sources": "a"}, "plan.sources", "Input should be a valid tuple"),
        ({"start": "tomorrow"}, "plan.start", "Input should be a valid date"),
        ({"start": "2000-01-02", "end": "2000-01-01"}, "plan", "start must not be after end"),
        ({"days": 3}, "plan.days", "Unexpected keyword argument"),
        (
            {"filling": {"passes": 1}},
            "plan.filling.passes",
            "a distribution needs at least 2; found 1",
        ),
        ({"filling": {"cycles": 3}}, "plan.filling.cycles", "Unexpected keyword argument"),
        ({"places": {"archives": "a"}}, "plan.places.archives", "Unexpected keyword argument"),
        ({"runner": {"kind": "slurm"}}, "plan.runner.kind", "Input should be 'local' or 'dask'"),
        ({"runner": {"workers": 2}}, "plan.runner", "with them the runner dask is right"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_plan_of_a_deployment_that_makes_no_sense_is_refused_with_its_key(
    wrong: dict[str, Any], key: str, message: str
) -> None:
    with pytest.raises(ParameterTypeError) as refusal:
        reprocess.validate_parameters({"plan": {"sources": ["a"]} | wrong})
    _, line = str(refusal.value).splitlines()
    assert line.startswith(f" - {key}: ")
    assert message in line


def test_keys_of_a_plan_are_shown_with_their_help() -> None:
    schema = (
        reprocess.parameters.model_dump()
        if hasattr(reprocess.parameters, "model_dump")
        else reprocess.parameters
    )
    definitions = schema["definitions"]
    assert definitions["ReprocessPlan"]["properties"]["force"]["description"].startswith(
        "Whether products"
    )
    assert definitions["Places"]["properties"]["archive"]["description"].startswith("Folder or URL")
    assert definitions["Filling"]["properties"]["seed"]["description"].startswith(
        "Seed of the passes"
    )
