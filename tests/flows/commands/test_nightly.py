"""The command `nightly`, wrong input included."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from commands import one_line, run

from blindzone.flows.running.product_task import ProductTask
from blindzone.flows.running.records import DayReport
from blindzone.pipeline.archive import Archive

SOURCE = "short_days"


def test_nightly_says_what_it_did_and_by_its_status_how_it_ended(
    catalog: Path,
    trained: tuple[Path, Path],
    simulated_days: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blindzone.flows.reports.writing.draw_trends", lambda points, path: False)
    data = Path(shutil.copytree(simulated_days, tmp_path / "data"))
    monkeypatch.setenv("BLINDZONE_DATA", str(data))
    options = [
        "--catalog",
        catalog,
        "--archive",
        tmp_path / "archive",
        "--output",
        tmp_path / "products",
        "--checkpoint",
        trained[1],
        "--passes",
        2,
        "--no-pictures",
    ]
    code, out, _ = run("nightly", SOURCE, "--days", 1, *options)
    assert code == 0
    assert "nightly: 1 day (1 created, 0 unchanged, 0 rejected, 0 failed)" in out

    (data / SOURCE / "20000102_radar.nc").write_bytes(b"nothing of use")
    code, out, err = run("nightly", SOURCE, "--days", 2, *options)
    assert code == 2
    assert "nightly: 1 day (0 created, 1 unchanged, 0 rejected, 0 failed)" in out
    assert f"rejected: {SOURCE} 2000-01-02 20000102_radar.nc: " in err

    shutil.rmtree(data / SOURCE)
    code, out, err = run("nightly", SOURCE, *options)
    assert (code, out) == (1, "")
    assert f"error: {SOURCE}: " in err


@pytest.fixture
def three_sources(catalog: Path, tmp_path: Path) -> Path:
    """A catalogue of `first`, `odd` and `last`, each with the same files."""
    text = catalog.read_text().rstrip()
    entry = text[text.index(f"  {SOURCE}:") :]
    entries = [entry.replace(f"  {SOURCE}:", f"  {name}:") for name in ("first", "odd", "last")]
    path = tmp_path / "three.yaml"
    path.write_text("\n".join(["version: 1", "sources:", *entries]))
    return path


def run_night(catalog: Path, tmp_path: Path) -> tuple[int, str, str]:
    """Runs a night of the newest day of three sources."""
    places = ["--archive", tmp_path / "archive", "--output", tmp_path / "products"]
    options = ["--days", 1, "--no-pictures", "--catalog", catalog, *places]
    return run("nightly", "first", "odd", "last", *options)


def make_nothing(task: ProductTask) -> DayReport:
    return DayReport(source=task.source, day=task.day, status="created")


@pytest.mark.parametrize(
    "fault",
    [
        "reader: !!python/object/apply:os.system ['touch struck']",
        "files: '../../%Y%m%d_radar.nc'",
        "directory: /etc",
        "title: [" * 60 + "]" * 60,
        "grid: {row_depth_m: .nan}",
        "no_key: 1",
    ],
    ids=["object", "climbs", "elsewhere", "deep", "no number", "unknown"],
)
def test_hostile_entry_of_the_catalogue_costs_its_source_alone(
    three_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("blindzone.flows.running.product_run.fill_task", make_nothing)
    monkeypatch.chdir(tmp_path)
    text = three_sources.read_text()
    key = fault.partition(":")[0]
    before, odd, after = text.partition("  odd:\n")
    rest = re.sub(rf"    {key}: .*\n", "", after, count=1)
    three_sources.write_text(f"{before}{odd}    {fault}\n{rest}")
    code, out, err = run_night(three_sources, tmp_path)
    assert code == 2, err
    assert "nightly: 2 days (2 created, " in out
    assert "nothing to do: odd: " in err
    assert "Traceback" not in err
    assert not (tmp_path / "struck").exists()


def test_night_that_ingests_and_cannot_fill_names_each_day_and_ends_with_2(
    three_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack_memory(task: ProductTask) -> DayReport:
        raise ImportError("libtensorflow_cc.so.2: failed to map segment from shared object")

    monkeypatch.setattr("blindzone.flows.running.product_run.fill_task", lack_memory)
    for status in (2, 1):  # the second night adds nothing to the archive
        code, out, err = run_night(three_sources, tmp_path)
        assert code == status
        assert "nightly: 3 days (0 created, 0 unchanged, 0 rejected, 3 failed)" in out
        for source in ("first", "odd", "last"):
            assert f"failed: {source} 2000-01-03: it needs more memory than there is" in err
            assert Archive(tmp_path / "archive").days(source) == (date(2000, 1, 3),)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nightly"], 2, "Missing argument 'SOURCE'"),
        (["nightly", SOURCE, "--days", "0"], 2, "'--days'"),
        (
            ["nightly", SOURCE, "--passes", "1"],
            2,
            "'1': a number of at least 2, auto or single",
        ),
        (["nightly", "nowhere"], 1, "no source 'nowhere'"),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err
