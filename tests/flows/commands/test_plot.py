"""The command `plot`: which part of which products becomes which picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from commands import run

from blindzone.pipeline.products.swath import join_rays


def test_plot_draws_a_part_of_a_product(product: Path, tmp_path: Path) -> None:
    span = ["--from", "2000-01-02T00:30", "--to", "2000-01-02T01:00", "--height", 2000]
    names = ["--variables", "reflectivity, hydrometeor_probability"]
    code, out, _ = run("plot", product, *span, *names, "--output", tmp_path / "a.pdf")
    assert (code, out) == (0, f"{tmp_path / 'a.pdf'}\n")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_plot_names_the_picture_after_the_product(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, out, _ = run("plot", product, "--variables", "reflectivity")
    assert out == f"{product.stem}.png\n"
    assert (tmp_path / f"{product.stem}.png").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variables", "nonsense"], "no 'nonsense' can be drawn of this product"),
        (["--from", "2001-01-01"], "no profile is between 2001-01-01 and None"),
        (["--output", "a.doc"], "unknown picture format '.doc'"),
    ],
    ids=["variable", "time", "format"],
)
def test_plot_names_what_is_wrong(product: Path, options: list[str], message: str) -> None:
    code, out, err = run("plot", product, *options)
    assert (code, out) == (1, "")
    assert message in err


def test_plot_draws_an_emulated_day_below_its_ground_radar(
    catalog: Path, simulated_days: Path, tmp_path: Path
) -> None:
    emulate = "emulate: {of: short_days, sensor: cloudsat, wind: 10}"
    text = catalog.read_text().replace("reader:", "frequency_ghz: 95\n    reader:")
    (tmp_path / "catalog.yaml").write_text(f"{text}  from_space:\n    {emulate}\n")
    places = ("--catalog", tmp_path / "catalog.yaml", "--archive", tmp_path / "archive")
    assert run("ingest", "from_space", *places, "--end", "2000-01-01")[0] == 0
    (day,) = (tmp_path / "archive" / "from_space" / "stores").iterdir()
    ground = simulated_days / "short_days" / "20000101_radar.nc"
    picture = tmp_path / "both.webp"
    code, out, _ = run("plot", day, "--ground", ground, "--height", 8000, "--output", picture)
    assert (code, out) == (0, f"{picture}\n")
    assert picture.is_file()
    code, _, err = run("plot", ground, "--ground", ground)
    assert code == 2
    assert "one day of the archive" in err


def test_plot_draws_the_ray_of_a_swath_that_is_named(product: Path, tmp_path: Path) -> None:
    with xr.open_dataset(product, engine="h5netcdf") as one:
        ray = one.isel(time=slice(0, 50)).load()
    swath = tmp_path / "swath.nc"
    join_rays([ray] * 3, xr.Dataset(coords={"ray": range(3)})).to_netcdf(swath, engine="h5netcdf")
    picture = tmp_path / "ray.png"
    options = ("--variables", "reflectivity", "--output", picture)
    assert run("plot", swath, "--ray", 2, *options) == (0, f"{picture}\n", "")
    for path, number, message in (
        (swath, 3, "the swath has no ray 3; 0 to 2 are right"),
        (product, 0, "only a swath has rays"),
    ):
        code, _, err = run("plot", path, "--ray", number, *options)
        assert code == 1
        assert message in err
