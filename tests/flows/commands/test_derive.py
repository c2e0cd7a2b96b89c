"""The command line's `derive`, and `--derive` of the commands that fill."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from tiny_products import make_product
from typer.testing import CliRunner, Result

from blindzone.flows.commands.cli import app
from blindzone.pipeline.products.opening import write_product


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return write_product(make_product(), tmp_path / "day_blindzone.nc")


def test_derived_product_is_beside_its_product(product: Path) -> None:
    found = run("derive", product)
    assert found.exit_code == 0, found.output
    path = product.with_name("day_blindzone_derived.nc")
    assert str(path) in found.output
    with xr.open_dataset(path) as derived:
        assert "echo_to_ground_probability" in derived


def test_derived_product_of_the_same_product_is_left_alone(product: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert run("derive", product, "--output", folder).exit_code == 0
    (path,) = folder.iterdir()
    content = path.read_bytes()
    before = path.stat().st_mtime_ns
    assert run("derive", product, "--output", folder).exit_code == 0
    assert (path.stat().st_mtime_ns, path.read_bytes()) == (before, content)
    assert run("derive", product, "--output", folder, "--force").exit_code == 0
    assert path.stat().st_mtime_ns > before
    other = write_product(make_product(target="ef" * 32), product)
    assert run("derive", other, "--output", folder).exit_code == 0
    with xr.open_dataset(path) as derived:
        assert derived.attrs["derived_from_target_sha256"] == "ef" * 32


def test_derived_product_of_other_members_is_made_anew(product: Path) -> None:
    path = product.with_name("day_blindzone_derived.nc")
    for options, members in (((), 20), (("--members", 3), 3), ((), 3)):
        assert run("derive", product, *options).exit_code == 0
        with xr.open_dataset(path) as derived:
            assert derived.attrs["members"] == members
    assert run("derive", product, "--members", 1).exit_code == 2


def test_derived_product_is_drawn_by_plot(product: Path, tmp_path: Path) -> None:
    assert run("derive", product).exit_code == 0
    derived = product.with_name("day_blindzone_derived.nc")
    picture = tmp_path / "derived.png"
    found = run("plot", derived, "--output", picture)
    assert found.exit_code == 0, found.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("plot", derived, "--height", 2000, "--output", picture).exit_code == 2
    several = run("plot", derived, derived, "--output", picture)
    assert "2021-03-14 is in another file too" in several.output
    fake = tmp_path / "fake_derived.nc"
    fake.write_bytes(product.read_bytes())
    assert "no derived product" in run("plot", fake, "--output", picture).output


def test_bad_product_does_not_stop_the_others(product: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no product")
    found = run("derive", bad, tmp_path / "absent.nc", product)
    assert found.exit_code == 2
    assert "2 of 3 could not be derived" in found.output
    assert product.with_name("day_blindzone_derived.nc").exists()
    assert run("derive", bad).exit_code == 1


def test_fill_derives_what_it_filled(
    simulated_days: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    file = simulated_days / "short_days" / "20000103_radar.nc"
    options = ("--checkpoint", trained[1], "--passes", 2, "--output", tmp_path, "--derive")
    found = run("fill", file, *options)
    assert found.exit_code == 0, found.output
    with xr.open_dataset(tmp_path / "20000103_radar_blindzone_derived.nc") as derived:
        assert derived["echo_to_ground_probability"].notnull().any()
