"""The command line's `repair`: files, products and archived days, by a tiny network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_networks import write_repairing
from typer.testing import CliRunner, Result

from blindzone.flows.commands.cli import app
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.curtains.hidden import HiddenKind

PROFILES = 150
OUTAGE, LINE = slice(20, 30), slice(60, 62)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that repairs all kinds of holes, of random weights."""
    return write_repairing(tmp_path_factory.mktemp("network") / "repair.keras")


@pytest.fixture
def hour(simulated_days: Path, tmp_path: Path) -> Path:
    """A file of an hour, of which profiles 100 to 104 are missing in time."""
    path = tmp_path / "hour.nc"
    with xr.open_dataset(
        simulated_days / "short_days" / "20000103_radar.nc", engine="h5netcdf", decode_cf=False
    ) as day:
        kept = np.delete(np.arange(PROFILES + 5), slice(100, 105))
        day.isel(time=kept).to_netcdf(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A mask with an outage and a line."""
    hidden = np.zeros((PROFILES, 128), dtype=bool)
    hidden[OUTAGE] = True
    hidden[:, LINE] = True
    return write_mask(tmp_path / "mask.nc", hidden)


def write_mask(path: Path, hidden: np.ndarray) -> Path:
    xr.Dataset({"mask": (("time", "height"), hidden)}).to_netcdf(path, engine="h5netcdf")
    return path


def run(checkpoint: Path, output: Path, *words: object) -> Result:
    options = ("--checkpoint", checkpoint, "--passes", 2, "--output", output)
    return CliRunner().invoke(app, ["repair", *map(str, (*words, *options))])


def test_holes_of_a_file_are_filled_and_flagged_by_kind(
    hour: Path, mask: Path, network: Path, tmp_path: Path
) -> None:
    result = run(network, tmp_path / "out", hour, "--mask", mask)
    assert result.exit_code == 0, result.output
    with xr.open_dataset(tmp_path / "out" / "hour_repaired.nc", engine="h5netcdf") as product:
        # The profiles that the file lacks are there.
        assert product.sizes["time"] == PROFILES + 5
        kinds, flag = product["hidden_kind"].values, product["inpainting_flag"].values
        assert (kinds[OUTAGE] == HiddenKind.OUTAGE).all()
        assert (kinds[100:105] == HiddenKind.OUTAGE).all()
        assert (kinds[40:60, LINE] == HiddenKind.INTERFERENCE).all()
        filled = kinds != HiddenKind.VISIBLE
        assert np.array_equal(flag != InpaintingFlag.OBSERVED, filled)
        # Rows below the lowest trusted one have no truth.
        assert (flag[OUTAGE, :3] == InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH).all()
        assert (flag[OUTAGE, 3:] == InpaintingFlag.FILLED).all()
        probability = product["hydrometeor_probability"].values
        assert np.array_equal(np.isfinite(probability), filled)
        assert "holes filled" in product.attrs["title"]


def test_file_that_was_repaired_the_same_way_is_left_as_it_is(
    hour: Path, mask: Path, network: Path, tmp_path: Path
) -> None:
    assert run(network, tmp_path, hour, "--mask", mask).exit_code == 0
    again = run(network, tmp_path, hour, "--mask", mask)
    assert "unchanged" in again.stderr
    other = np.zeros((PROFILES, 128), dtype=bool)
    other[5:8] = True
    assert "unchanged" not in run(network, tmp_path, hour, "--mask", write_mask(mask, other)).stderr


def test_product_is_repaired_where_it_lacks_data(
    hour: Path, mask: Path, network: Path, tmp_path: Path
) -> None:
    # Without lines they stay missing in the product.
    first = run(network, tmp_path, hour, "--mask", mask, "--repair", "outages")
    assert first.exit_code == 0, first.output
    product = tmp_path / "hour_repaired.nc"
    result = run(network, tmp_path / "twice", product, "--repair", "lines,outages,other")
    assert result.exit_code == 0, result.output
    with (
        xr.open_dataset(product, engine="h5netcdf") as before,
        xr.open_dataset(tmp_path / "twice" / "hour_repaired_repaired.nc", engine="h5netcdf") as now,
    ):
        was, flag = before["inpainting_flag"].values, now["inpainting_flag"].values
        assert (was == InpaintingFlag.NO_DATA).any()
        assert not (flag == InpaintingFlag.NO_DATA).any()
        visible = was == InpaintingFlag.OBSERVED
        assert np.array_equal(flag == InpaintingFlag.OBSERVED, visible)
        for name in ("reflectivity", "time", "height"):
            assert np.array_equal(
                *(
                    one[name].values[visible] if name == "reflectivity" else one[name].values
                    for one in (before, now)
                ),
                equal_nan=name == "reflectivity",
            )


def test_archived_days_are_repaired_beside_their_products(
    trained: tuple[Path, Path], network: Path, catalog: Path, tmp_path: Path
) -> None:
    words = ("repair", "short_days", "--start", "2000-01-03", "--end", "2000-01-03")
    places = ("--catalog", catalog, "--archive", trained[0], "--checkpoint", network)
    options = (*places, "--passes", 2, "--repair", "zone,outages")
    result = CliRunner().invoke(app, [*words, *map(str, options)])
    assert result.exit_code == 0, result.output
    path = tmp_path / "workspace" / "repaired" / "short_days_20000103_blindzone.nc"
    with xr.open_dataset(path, engine="h5netcdf") as product:
        assert (product["hidden_kind"].values[:, :16] == HiddenKind.BLIND_ZONE).all()
        assert not (product["inpainting_flag"].values[:, 16:] != InpaintingFlag.OBSERVED).any()


def test_wrong_masks_kinds_and_networks_are_one_clear_error(
    hour: Path, mask: Path, network: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    small = write_mask(tmp_path / "small.nc", np.zeros((3, 128), dtype=bool))
    numbers = write_mask(tmp_path / "numbers.nc", np.full((PROFILES, 128), 7))
    empty = tmp_path / "empty.nc"
    xr.Dataset({"mask": ("x", [1])}).to_netcdf(empty, engine="h5netcdf")
    for words, expected in (
        (("--mask", small), "(3, 128) profiles and rows"),
        (("--mask", numbers), "neither 0 nor 1"),
        (("--mask", empty), "no variable of dimensions"),
        (("--mask", tmp_path / "none.nc"), "no such file"),
    ):
        result = run(network, tmp_path, hour, *words)
        assert result.exit_code == 1
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
    assert "any of outages, lines" in run(network, tmp_path, hour, "--repair", "holes").stderr
    assert "not trained to repair" in run(trained[1], tmp_path, hour).stderr


def test_curtain_that_is_all_hole_stays_missing(hour: Path, network: Path, tmp_path: Path) -> None:
    everything = write_mask(tmp_path / "all.nc", np.ones((PROFILES, 128), dtype=bool))
    result = run(network, tmp_path, hour, "--mask", everything)
    assert result.exit_code == 0, result.output
    with xr.open_dataset(tmp_path / "hour_repaired.nc", engine="h5netcdf") as product:
        assert (product["inpainting_flag"].values == InpaintingFlag.NO_DATA).all()
        assert (product["hidden_kind"].values == HiddenKind.LONG_OUTAGE).all()
