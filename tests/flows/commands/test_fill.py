"""The command line's `fill`: files in, filled files out, one bad file beside good ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from blindzone.flows.commands.cli import app


@pytest.fixture
def hours(simulated_days: Path, tmp_path: Path) -> list[Path]:
    """Two files of half an hour each."""
    paths = []
    with xr.open_dataset(
        simulated_days / "short_days" / "20000103_radar.nc", engine="h5netcdf", decode_cf=False
    ) as day:
        for number in range(2):
            path = tmp_path / f"hour{number}.nc"
            day.isel(time=slice(150 * number, 150 * (number + 1))).to_netcdf(path)
            paths.append(path)
    return paths


def run(checkpoint: Path, output: Path, *words: object) -> Result:
    options = ("--checkpoint", checkpoint, "--passes", 2, "--output", output)
    return CliRunner().invoke(app, ["fill", *map(str, (*words, *options))])


def test_each_file_becomes_a_product_of_its_name(
    hours: list[Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(trained[1], tmp_path / "out", *hours)
    assert result.exit_code == 0, result.output
    written = [tmp_path / "out" / f"hour{number}_blindzone.nc" for number in range(2)]
    assert result.stdout.split() == [str(path) for path in written]
    lines = result.stderr.splitlines()
    assert sum(line.startswith(f"network: {trained[1]}, SHA-256") for line in lines) == 1
    ranges = [line for line in lines if "of 150 profiles are filled by a network without" in line]
    assert [line.partition(":")[0] for line in ranges] == ["hour0.nc", "hour1.nc"]
    for path in written:
        with xr.open_dataset(path, engine="h5netcdf") as product:
            assert product.sizes["time"] == 150
            assert "target_sha256" in product.attrs


def test_files_together_become_one_product_and_its_picture(
    hours: list[Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    picture = tmp_path / "all.png"
    result = run(trained[1], tmp_path, *reversed(hours), "--together", "--picture", picture)
    assert result.exit_code == 0, result.output
    with xr.open_dataset(tmp_path / "hour1_blindzone.nc", engine="h5netcdf") as product:
        assert product.sizes["time"] == 300
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_file_is_named_and_the_others_are_filled(
    hours: list[Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no file of a radar")
    result = run(trained[1], tmp_path, bad, hours[0], tmp_path / "absent.nc")
    assert result.exit_code == 2
    assert "bad.nc: not a netCDF file" in result.stderr
    assert "absent.nc: no such file" in result.stderr
    assert "2 of 3 could not be filled" in result.stderr
    assert result.stdout.split() == [str(tmp_path / "hour0_blindzone.nc")]
    assert run(trained[1], tmp_path, bad).exit_code == 1


def test_one_picture_of_several_products_is_refused(
    hours: list[Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(trained[1], tmp_path, *hours, "--picture", tmp_path / "a.png")
    assert result.exit_code == 1
    assert "one picture for 2 products; one file, or --together, is right" in result.stderr
    assert not list(tmp_path.glob("*_blindzone.nc"))


def test_product_of_the_same_inputs_is_left_as_it_is(
    hours: list[Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    def fill(*options: object) -> tuple[str, int]:
        result = run(trained[1], tmp_path, hours[0], *options)
        assert result.exit_code == 0, result.output
        path = tmp_path / "hour0_blindzone.nc"
        assert result.stdout.split()[0] == str(path)
        # Not the inode: that of a replaced file may be given to the next one.
        return result.stderr.splitlines()[-1], path.stat().st_mtime_ns

    _, first = fill()
    said, again = fill("--picture", tmp_path / "a.png")
    assert (again, "hour0.nc: unchanged; " in said) == (first, True)
    assert (tmp_path / "a.png").exists()
    forced = fill("--force")
    assert (forced[1] != first, "unchanged" in forced[0]) == (True, False)
    # Another seed, and another file of the same name, are other inputs.
    seeded = fill("--seed", 1)
    hours[1].replace(hours[0])
    replaced = fill("--seed", 1)
    assert len({forced[1], seeded[1], replaced[1]}) == 3
    (tmp_path / "hour0_blindzone.nc").write_bytes(b"cut short")
    assert "unchanged" not in fill("--seed", 1)[0]
