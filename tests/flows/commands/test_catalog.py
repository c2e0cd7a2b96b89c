"""The commands of `catalog`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands import run

SOURCE = "short_days"


def test_catalog_commands_list_show_and_check(catalog: Path) -> None:
    code, out, _ = run("catalog", "list", "--catalog", catalog)
    assert code == 0
    assert SOURCE in out
    assert " 3 " in out  # three days of files

    code, out, _ = run("catalog", "show", SOURCE, "--catalog", catalog)
    assert code == 0
    assert yaml.safe_load(out)["blind_zone"] == {
        "top_m": 1250.0,
        "soft_rows": 5,
    }  # a default, filled in

    code, out, _ = run("catalog", "check", "--catalog", catalog)
    assert code == 0
    assert "1 sources, nothing wrong" in out


def test_catalog_list_as_json_counts_the_days_that_are_here(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, out, err = run("catalog", "list", "--catalog", catalog, "--json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert (found["source"], found["days"], found["simulated"]) == (SOURCE, 3, False)
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    assert json.loads(run("catalog", "list", "--catalog", catalog, "--json")[1])[0]["days"] == 0


def test_catalog_show_ends_with_the_place_of_the_files(catalog: Path, simulated_days: Path) -> None:
    _, out, _ = run("catalog", "show", SOURCE, "--catalog", catalog)
    assert out.splitlines()[-1] == f"# files: {simulated_days / SOURCE}/%Y%m%d_radar.nc"


def test_catalog_of_the_environment_is_taken(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_CATALOG", str(catalog))
    code, out, _ = run("catalog", "check")
    assert (code, out) == (0, f"{catalog}: 1 sources, nothing wrong\n")


def test_catalog_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    code, out, err = run("catalog", "list", "--catalog", tmp_path / "absent.yaml")
    assert (code, out) == (1, "")
    assert "absent.yaml: the catalogue cannot be read: No such file" in err


def test_entry_with_a_fault_is_listed_as_faulty_and_fails_the_check(
    catalog: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(f"{catalog.read_text().rstrip()}\n  odd: {{directory: a, fils: b}}\n")
    code, out, _ = run("catalog", "list", "--catalog", path)
    assert code == 0
    assert SOURCE in out
    assert "faulty" in out
    assert "sources.odd.fils: unknown key" in out
    found = json.loads(run("catalog", "list", "--catalog", path, "--json")[1])
    assert [entry["source"] for entry in found if "fault" in entry] == ["odd"]

    code, _, err = run("catalog", "check", "--catalog", path)
    assert code == 1
    assert "sources.odd.fils: unknown key" in err
    assert "sources.odd.files: this key is missing" in err
