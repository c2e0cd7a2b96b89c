"""The command `ingest`, wrong input included."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from commands import one_line, run

from blindzone.flows.running import ingestion
from blindzone.flows.running.workspace import workspace

SOURCE = "short_days"


def test_ingest_prints_what_it_did(catalog: Path, tmp_path: Path) -> None:
    code, out, _ = run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")
    assert code == 0
    assert "3 days (3 created, 0 updated, 0 replaced, 0 unchanged, 0 rejected)" in out


def test_ingest_with_a_refused_file_ends_with_status_2_and_its_reason(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(simulated_days, tmp_path / "data")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / SOURCE / "20000102_radar.nc").write_bytes(b"nothing of use")
    code, out, err = run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")
    assert code == 2
    assert "2 created" in out
    assert "1 rejected" in out
    assert "rejected: 2000-01-02 20000102_radar.nc: " in err
    assert "not a netCDF file" in err

    code, out, _ = run("archive", "show", SOURCE, "--archive", tmp_path / "archive")
    assert code == 0
    assert "2000-01-02" in out
    assert "not a netCDF file" in out


def test_masked_values_are_told_once_and_kept_in_the_ledger(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(simulated_days, tmp_path / "data")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    with netCDF4.Dataset(tmp_path / "data" / SOURCE / "20000102_radar.nc", "a") as file:
        file["Zh"].valid_max = np.float32(0)
    arguments = ("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")

    code, _, err = run(*arguments)

    reason = "'Zh' outside its valid range up to 0"
    assert code == 0
    assert err.count("noted: ") == 1
    assert f"values masked: {reason}" in one_line(err)
    record = json.loads((tmp_path / "archive" / SOURCE / "ledger" / "20000102.json").read_text())
    assert record["files"][0]["values_masked"][reason] > 0
    code, _, err = run(*arguments)
    assert (code, err.count("noted: ")) == (0, 0)


def test_newline_in_a_files_name_forges_no_line(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / SOURCE
    folder.mkdir(parents=True)
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    (folder / "20000102_\nrejected: 2000-01-01 forged.nc: \x1b[2J_radar.nc").write_bytes(b"no")
    wild = tmp_path / "catalog.yaml"
    wild.write_text(catalog.read_text().replace("%Y%m%d_radar.nc", "%Y%m%d_*_radar.nc"))
    archive = tmp_path / "archive"
    code, _, err = run("ingest", SOURCE, "--catalog", wild, "--archive", archive)
    assert code == 2
    (line,) = [line for line in err.splitlines() if "forged.nc" in line]
    assert line.startswith(r"rejected: 2000-01-02 20000102_\nrejected: 2000-01-01 forged.nc: \x1b[")
    _, out, _ = run("archive", "show", SOURCE, "--archive", archive)
    (line,) = [line for line in out.splitlines() if "forged.nc" in line]
    assert line.startswith(r"2000-01-02: rejected: 20000102_\nrejected: ")
    assert "\x1b" not in err + out


def test_unknown_key_in_the_catalogue_is_quoted_with_its_line(
    catalog: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(catalog.read_text().replace("site:", "sight: x\n    site:"))
    line = 1 + wrong.read_text().splitlines().index("    sight: x")

    code, _, err = run("ingest", SOURCE, "--catalog", wrong)

    assert code == 1
    assert f"line {line}: sources.{SOURCE}.sight: unknown key" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest", "nowhere"], 1, "no source 'nowhere'; it has short_days"),
        (["ingest", SOURCE, "--start", "2001-01-01"], 1, "no file between 2001-01-01"),
        (["ingest", SOURCE, "--start", "01.02.2021"], 2, "YYYY-MM-DD is right"),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err


def test_traceback_of_what_was_set_aside_is_in_a_log_that_is_named(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")

    def overflow(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    with monkeypatch.context() as patch:
        patch.setattr(ingestion, "read_native", overflow)
        code, _, err = run(*arguments)
    assert code == 2
    (log,) = (workspace() / "logs").iterdir()
    assert err.rstrip().endswith(str(log.absolute()))
    assert "Traceback" not in err
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(records) == 3  # one a day
    assert all("RecursionError: too deep" in record["exc_info"] for record in records)
    assert {record["source"] for record in records} == {SOURCE}

    code, _, err = run(*arguments)
    assert (code, "log" in err) == (0, False)
    assert list((workspace() / "logs").iterdir()) == [log]
