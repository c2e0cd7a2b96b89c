"""The doctor: what is in order passes, what is not is found with advice, nothing is changed."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

from blindzone.flows.checks import doctor as module
from blindzone.flows.checks.doctor import DoctorConfig, examine
from blindzone.flows.checks.findings import Finding, Level, worst
from blindzone.flows.commands.doctor import doctor
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, workspace
from blindzone.pipeline.archive import Archive, FileRecord

SOURCE = "short_days"
DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32)


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "1")  # right on any machine


@pytest.fixture
def archive(make_curtain: Callable[..., xr.Dataset]) -> Archive:
    """Two of the source's three days, in the workspace."""
    archive = Archive(workspace() / "archive")
    for day in DAYS[:2]:
        archive.upsert(SOURCE, day, {FILE: make_curtain(day)}, {})
    return archive


def look(catalog: Path, **choices: Any) -> list[Finding]:
    return list(examine(DoctorConfig(catalog=catalog, **choices)))


def troubles(findings: list[Finding]) -> list[tuple[str, Level]]:
    return [(finding.check, finding.level) for finding in findings if finding.level is not Level.OK]


def change_entry(catalog: Path, folder: Path, old: str, new: str) -> Path:
    text = catalog.read_text()
    assert old in text
    path = folder / "changed.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_sound_installation_has_nothing_wrong_and_is_reported_check_by_check(
    catalog: Path, archive: Archive
) -> None:
    findings = look(catalog)
    assert troubles(findings) == []
    assert [finding.check for finding in findings] == [
        "packages",
        "threads",
        "memory",
        "workspace",
        "catalogue",
        "disk",
        f"source {SOURCE}",
        "archive",
        "checkpoint",
        "leftovers",
        "prefect",
    ]
    texts = {finding.check: finding.found for finding in findings}
    assert (
        texts[f"source {SOURCE}"]
        == "files of 3 days, the newest 2000-01-03; 2 archived, the newest 2000-01-02"
    )
    assert f"{archive.root}: 2 days or granules archived, all stores there" in texts["archive"]
    assert "trained on palaiseau_basta, calibrated on " in texts["checkpoint"]


def test_empty_workspace_is_no_fault_and_stays_as_it_is(catalog: Path) -> None:
    assert troubles(look(catalog)) == []
    assert not workspace().exists()


def test_look_writes_nothing_to_the_workspace(catalog: Path, archive: Archive) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace().rglob("*")}
    look(catalog, deep=False)
    assert {path: path.stat().st_mtime_ns for path in workspace().rglob("*")} == before


def test_neither_tensorflow_nor_prefect_is_loaded(catalog: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from blindzone.flows.checks.doctor import DoctorConfig, examine\n"
        f"list(examine(DoctorConfig(catalog=Path({str(catalog)!r}))))\n"
        "sys.exit(sorted({'tensorflow', 'keras', 'prefect'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_broken_catalogue_is_an_error_and_the_rest_is_looked_at_all_the_same(
    catalog: Path, archive: Archive, tmp_path: Path
) -> None:
    broken = change_entry(catalog, tmp_path, "reader: cloudnet_radar", "reader: none_such")
    findings = look(broken)
    assert troubles(findings) == [("catalogue", Level.ERROR)]
    assert "line 6: sources.short_days.reader: unknown reader 'none_such'" in findings[4].found
    assert "archive" in [finding.check for finding in findings]


def test_file_that_leads_out_of_the_data_directory_is_an_error(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / SOURCE).mkdir(parents=True)
    (tmp_path / "secret").touch()
    (tmp_path / "data" / SOURCE / "20000101_radar.nc").symlink_to(tmp_path / "secret")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    (found,) = [finding for finding in look(catalog) if finding.level is Level.ERROR]
    assert (found.check, "leads out of the data directory" in found.found) == (
        f"source {SOURCE}",
        True,
    )


def test_folder_of_an_archived_source_that_vanished_is_a_warning(
    catalog: Path, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "nowhere"))
    assert troubles(look(catalog)) == [(f"source {SOURCE}", Level.WARNING)]
    shutil.rmtree(workspace() / "archive")
    assert troubles(look(catalog)) == []  # nor is it in use


def test_source_that_should_measure_and_is_silent_is_a_warning(
    catalog: Path, tmp_path: Path
) -> None:
    open_ended = change_entry(
        catalog, tmp_path, "site: simulated site", "site: x\n    period: {start: 2000-01-01}"
    )
    (found,) = [finding for finding in look(open_ended) if finding.level is Level.WARNING]
    silent = (datetime.now(UTC).date() - DAYS[-1]).days
    assert f"nothing new for {silent} days" in found.found
    ended = change_entry(
        catalog,
        tmp_path,
        "site: simulated site",
        "site: x\n    period: {start: 2000-01-01, end: 2000-01-03}",
    )
    assert troubles(look(ended)) == []


def test_archive_far_behind_its_files_is_a_warning(
    catalog: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    late = DAYS[-1] - timedelta(days=module.STALE_DAYS)
    archive = Archive(workspace() / "archive")
    archive.upsert(SOURCE, late, {FILE: make_curtain(late)}, {})
    assert troubles(look(catalog)) == []  # three days, as is right
    shutil.rmtree(workspace() / "archive")
    late -= timedelta(days=1)
    archive.upsert(SOURCE, late, {FILE: make_curtain(late)}, {})
    (found,) = [finding for finding in look(catalog) if finding.level is Level.WARNING]
    assert found.advice == f"'blindzone ingest {SOURCE}'"


def test_lost_store_cut_store_and_damaged_record_are_errors(
    catalog: Path, archive: Archive
) -> None:
    store = archive.store_path(SOURCE, DAYS[0])
    shard = store / "reflectivity" / "c" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-9])
    cut = [finding.found for finding in look(catalog) if finding.level is Level.ERROR]
    assert cut == [f"{SOURCE} 2000-01-01: its store is gone or cut short"]
    shutil.rmtree(store)
    assert [finding.found for finding in look(catalog) if finding.level is Level.ERROR] == cut
    record = Path(archive.root) / SOURCE / "ledger" / "20000102.json"
    record.write_text(record.read_text()[:99])
    findings = [finding for finding in look(catalog) if finding.level is Level.ERROR]
    assert ["damaged ledger record" in finding.found for finding in findings] == [True, False]
    assert all("blindzone archive repair" in finding.advice for finding in findings)


def test_bit_that_turned_over_is_found_by_the_deep_look_alone(
    catalog: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []
    monkeypatch.setattr(
        module, "_build", built.append
    )  # the network itself: tested with checkpoints
    assert troubles(look(catalog, deep=True)) == []
    assert built == [SHIPPED_WEIGHTS]
    shard = archive.store_path(SOURCE, DAYS[0]) / "reflectivity" / "c" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    assert troubles(look(catalog)) == []
    (found,) = [finding for finding in look(catalog, deep=True) if finding.level is Level.ERROR]
    assert "damaged store" in found.found


def test_locks_and_partial_files_of_dead_runs_are_warnings(catalog: Path, archive: Archive) -> None:
    ledger = Path(archive.root) / SOURCE / "ledger"
    (ledger / f".20000101.json.{'a' * 32}.partial").touch()
    lock = Path(archive.root) / SOURCE / ".lock"
    lock.touch()
    assert troubles(look(catalog)) == [("archive", Level.WARNING)] * 2
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert troubles(look(catalog)) == []  # a writer is at work: both are its own


def test_leftovers_beside_products_are_warnings_once_nobody_can_be_writing_them(
    catalog: Path,
) -> None:
    products, checkpoints = workspace() / "products", workspace() / "checkpoints"
    (products / ".locks").mkdir(parents=True)
    checkpoints.mkdir()
    (products / ".locks" / "a.nc").touch()
    assert troubles(look(catalog)) == [("leftovers", Level.WARNING)]
    with (products / ".locks" / "a.nc").open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert troubles(look(catalog)) == []
    (products / ".locks" / "a.nc").unlink()
    # The names that the product store, checkpoints and runs write under.
    partial = [
        products / f".a.nc.{'0' * 32}.partial",
        products / f".a.{'1' * 32}.png",
        checkpoints / f".a.{'2' * 32}.keras",
        checkpoints / f".plan.json.{'3' * 32}",
    ]
    for path in [*partial, products / ".hidden", products / "a.nc"]:
        path.touch()
    assert troubles(look(catalog)) == []
    for path in products.parent.glob("*/*"):
        os.utime(path, times=(0, time.time() - module.ABANDONED_S - 1))
    (found,) = [finding for finding in look(catalog) if finding.level is Level.WARNING]
    assert found.found.startswith("4 partial files of runs that died")


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The weights of the package, with another record, as a checkpoint of the workspace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(SHIPPED_WEIGHTS) as source, zipfile.ZipFile(path, "w") as target:
        record = json.loads(source.read("blindzone.json"))
        change(record)
        for name in record["members"]:
            target.writestr(name, source.read(name))
        target.writestr("blindzone.json", json.dumps(record))
    return path


def test_checkpoint_that_is_not_calibrated_is_a_warning(catalog: Path) -> None:
    path = rewrite(
        workspace() / "checkpoints" / f"{SOURCE}.keras", lambda record: record.pop("calibration")
    )
    (found,) = [finding for finding in look(catalog) if finding.level is not Level.OK]
    assert (found.check, found.level) == ("checkpoint", Level.WARNING)
    assert found.advice == f"'blindzone calibrate palaiseau_basta --checkpoint {path}'"


def test_checkpoint_calibrated_for_another_blind_zone_is_a_warning(
    catalog: Path, tmp_path: Path
) -> None:
    def claim(record: dict[str, Any]) -> None:
        record["training"]["source"] = SOURCE
        record["preprocessing"]["deepest_m"] = (
            2000.0  # trained to fill zones of any depth up to that
        )

    checkpoint = rewrite(tmp_path / "other.keras", claim)
    assert troubles(look(catalog, checkpoint=checkpoint)) == []
    # Rows of 78.125 m: 1250 m are 16 of them, 900 m reach into the twelfth.
    lower = change_entry(
        catalog, tmp_path, "site: simulated site", "site: x\n    blind_zone: {top_m: 900}"
    )
    (found,) = [
        finding for finding in look(lower, checkpoint=checkpoint) if finding.level is Level.WARNING
    ]
    assert "calibrated for 16 hidden rows, while the blind zone hides 12" in found.found
    higher = change_entry(
        catalog, tmp_path, "site: simulated site", "site: x\n    blind_zone: {top_m: 3000}"
    )
    (found,) = [
        finding for finding in look(higher, checkpoint=checkpoint) if finding.level is Level.ERROR
    ]
    assert "the network was trained to fill at most 2000 m" in found.found


@pytest.mark.parametrize("damage", ["absent", "cut short", "other sum", "changed member"])
def test_damaged_checkpoint_is_an_error(damage: str, catalog: Path, tmp_path: Path) -> None:
    path = rewrite(tmp_path / "mine.keras", lambda record: None)
    assert troubles(look(catalog, checkpoint=path)) == []
    if damage == "absent":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "other sum":
        (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  mine.keras\n")
    else:
        rewrite(path, lambda record: record["members"].update({"config.json": "0" * 64}))
    (found,) = [
        finding for finding in look(catalog, checkpoint=path) if finding.level is not Level.OK
    ]
    assert (found.check, found.level, str(path) in found.found) == ("checkpoint", Level.ERROR, True)


def test_disk_is_judged_by_the_largest_archived_day(
    catalog: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [archive.record(SOURCE, day) for day in DAYS[:2]]
    day = records[0].profiles * module.BYTES_PER_PROFILE + max(
        record.size for record in records
    )  # as many profiles each
    for free, level in ((2 * day - 1, Level.ERROR), (2 * day, Level.WARNING), (30 * day, Level.OK)):
        monkeypatch.setattr(
            "shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free)
        )
        assert [finding.level for finding in look(catalog) if finding.check == "disk"] == [level]


def test_place_that_cannot_be_read_is_an_error_and_no_crash(catalog: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = look(
        catalog,
        archive="nowhere://x",
        checkpoint=tmp_path / "file" / "a.keras",
        products="nowhere://x",
    )
    assert troubles(findings) == [
        (name, Level.ERROR) for name in ("archive", "checkpoint", "leftovers")
    ]


def run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(doctor)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_exit_status_is_0_then_2_for_warnings_and_1_for_errors(
    catalog: Path, archive: Archive, tmp_path: Path
) -> None:
    code, out = run("--catalog", catalog)
    assert code == 0
    assert "2 archived, the newest 2000-01-02" in out
    (Path(archive.root) / SOURCE / ".lock").touch()
    assert run("--catalog", catalog)[0] == 2
    code, out = run("--catalog", tmp_path / "none.yaml", "--json")
    report = json.loads(out)
    assert (code, report["level"]) == (1, "error")
    found = {finding["check"]: finding for finding in report["findings"]}
    assert found["catalogue"].keys() == {field.name for field in dataclasses.fields(Finding)}
    assert "the catalogue cannot be read" in found["catalogue"]["found"]


def test_text_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    code, out = run("--catalog", tmp_path / "[red]x[/].yaml")
    assert code == 1
    assert "[red]x[/].yaml" in out


def test_worst_of_nothing_is_well() -> None:
    assert worst([]) is Level.OK
