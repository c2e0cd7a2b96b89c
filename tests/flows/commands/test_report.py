"""The command line's `report`: which products it takes, and what it sets aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_products import make_product
from typer.testing import CliRunner, Result

import blindzone
from blindzone.flows.commands.cli import app
from blindzone.pipeline.products.opening import write_product


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return write_product(make_product(), tmp_path / "day_blindzone.nc")


def test_page_bears_the_name_of_the_first_product(
    product: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run("report", tmp_path)
    assert found.exit_code == 0, found.output
    assert found.stdout.strip() == "day_blindzone.html"
    assert Path("day_blindzone.html").read_text().startswith("<!doctype html>")


def test_file_that_is_no_product_is_set_aside_and_named(product: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"nothing")
    page = tmp_path / "page.html"
    found = run("report", bad, tmp_path / "absent.nc", product, "--output", page)
    assert found.exit_code == 2
    assert "bad.nc: cannot be opened" in found.stderr
    assert "absent.nc: no such file" in found.stderr
    assert page.is_file()
    assert run("report", bad, "--output", tmp_path / "other.html").exit_code == 1
    assert not (tmp_path / "other.html").exists()


def test_product_that_lacks_something_is_set_aside_and_named(product: Path, tmp_path: Path) -> None:
    later = make_product()
    times = later["time"].values + np.timedelta64(1, "D")
    later = later.assign_coords(time=later["time"].copy(data=times)).drop_vars("blind_zone_top")
    later.to_netcdf(tmp_path / "later.nc", engine="h5netcdf")
    found = run("report", product, tmp_path / "later.nc", "--output", tmp_path / "page.html")
    assert found.exit_code == 2
    assert "later.nc: the product lacks 'blind_zone_top'" in found.stderr
    assert "1 of 2 are not on the page" in found.stderr


def test_name_of_the_page_is_checked_first(product: Path, tmp_path: Path) -> None:
    found = run("report", product, "--output", tmp_path / "page.pdf")
    assert found.exit_code == 1
    assert "a name that ends in .html is right" in found.stderr


def test_python_writes_the_same_page(product: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    assert run("report", product, "--output", page).exit_code == 0
    assert blindzone.report(product, tmp_path / "b.html").read_bytes() == page.read_bytes()
