"""The command `inspect`: source files and the package's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands import run


@pytest.fixture
def file(simulated_days: Path) -> Path:
    """A simulated radar file."""
    return simulated_days / "short_days" / "20000102_radar.nc"


def test_kind_and_curtain_are_printed(file: Path) -> None:
    code, out, _ = run("inspect", file)
    assert code == 0
    assert out.startswith(f"{file}: a Cloudnet Level 1b radar file\n  600 profiles")


def test_json_is_all_that_is_on_standard_output(file: Path, tmp_path: Path) -> None:
    code, out, err = run("inspect", file, "--json", "--picture", tmp_path / "a.svg")
    assert code == 0
    found = json.loads(out)
    assert (found["reader"], found["sizes"]["time"]) == ("cloudnet_radar", 600)
    assert found["first_time"].startswith("2000-01-02T00:00")
    assert 0 < found["known_share"]["reflectivity"] < 1
    assert found["lowest_m"] < found["highest_m"]
    assert f"picture: {tmp_path / 'a.svg'}" in err


def test_entry_is_all_that_is_on_standard_output(file: Path, tmp_path: Path) -> None:
    code, out, err = run("inspect", file, "--entry")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["sources"]["radar"]["files"] == "%Y%m%d_radar.nc"

    (tmp_path / "own.yaml").write_text(out)
    code, out, _ = run("ingest", "radar", "--catalog", tmp_path / "own.yaml")
    assert code == 0
    assert "3 days (3 created" in out


def test_inspect_prints_and_draws_a_product(product: Path, tmp_path: Path) -> None:
    code, out, _ = run("inspect", product, "--picture", tmp_path / "a.png")
    assert code == 0
    assert f"{product}: a product of blindzone" in out
    assert "  passes: 2\n" in out
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_inspect_makes_no_entry_from_a_product(product: Path) -> None:
    code, out, err = run("inspect", product, "--entry")
    assert (code, out) == (1, "")
    assert "a catalogue entry is made from a file of an instrument" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.nc"], 1, "nowhere.nc: no such file"),
        (["."], 1, "a folder; a file, or a zarr store of blindzone, is right"),
        ([__file__], 1, "not a netCDF file"),
        ([__file__, "--reader", "nonsense"], 1, "unknown reader 'nonsense'"),
        ([__file__, "--entry", "--json"], 2, "--entry prints YAML and --json JSON"),
    ],
    ids=["absent", "folder", "text", "reader", "both"],
)
def test_wrong_input_gives_one_clear_error(arguments: list[str], code: int, message: str) -> None:
    found, out, err = run("inspect", *arguments)
    assert (found, out) == (code, "")
    assert message in err
