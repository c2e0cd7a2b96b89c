"""Files of this package are recognised: products, exported days, stores of the archive."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from commands import run

from blindzone.core.errors import SourceFileError
from blindzone.flows.commands.own_files import describe_own_file, open_own_file

SOURCE = "short_days"
DAY = date(2000, 1, 2)


def test_product_says_how_it_was_made(product: Path) -> None:
    own = open_own_file(product)
    assert own is not None
    assert own.is_product
    facts = describe_own_file(own)
    assert (facts["kind"], facts["source"]) == ("product", SOURCE)
    assert (facts["profiles"], facts["rows"]) == (600, 128)
    assert (facts["passes"], facts["seed"], facts["members"]) == (2, 5, 2)
    assert facts["first_time"].startswith("2000-01-02T00:00")
    assert facts["blind_zone_top_m"] == 1250.0
    assert len(facts["checkpoint_sha256"]) == 64
    assert "20000102_radar.nc" in facts["source_files"]


@pytest.mark.parametrize("form", ["netcdf", "zarr"])
def test_exported_day_names_its_source(
    form: str, trained: tuple[Path, Path], catalog: Path, tmp_path: Path
) -> None:
    span = ["--start", DAY, "--end", DAY, "--format", form, "--output", tmp_path]
    _, out, _ = run(
        "archive", "export", SOURCE, *span, "--archive", trained[0], "--catalog", catalog
    )
    own = open_own_file(Path(out.strip()))
    assert own is not None
    assert not own.is_product
    facts = describe_own_file(own)
    assert (facts["kind"], facts["source"]) == ("day exported from an archive", SOURCE)
    assert (facts["reader"], facts["profiles"]) == ("cloudnet_radar", 600)


def test_store_of_the_archive_is_of_the_source_of_its_folder(trained: tuple[Path, Path]) -> None:
    (store,) = (trained[0] / SOURCE / "stores").glob("20000102-*.zarr")
    own = open_own_file(store)
    assert own is not None
    facts = describe_own_file(own)
    assert (facts["kind"], facts["source"]) == ("store of an archive", SOURCE)


def test_other_files_are_not_ours(simulated_days: Path, tmp_path: Path) -> None:
    assert open_own_file(simulated_days / SOURCE / "20000102_radar.nc") is None
    assert open_own_file(tmp_path) is None
    assert open_own_file(tmp_path / "absent.nc") is None
    (tmp_path / "text.nc").write_text("nothing of use")
    assert open_own_file(tmp_path / "text.nc") is None


def test_damaged_zarr_store_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(SourceFileError, match="cannot be opened"):
        open_own_file(tmp_path)
