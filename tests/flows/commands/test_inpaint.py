"""The command `inpaint`, wrong input included."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from commands import one_line, run

SOURCE = "short_days"


def test_inpaint_prints_the_path_of_each_product(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    code, out, _ = run(
        "inpaint",
        SOURCE,
        "--start",
        "2000-01-02",
        "--end",
        "2000-01-03",
        "--output",
        tmp_path,
        "--archive",
        archive,
        "--checkpoint",
        checkpoint,
        "--catalog",
        catalog,
        "--passes",
        2,
    )
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert [path.name for path in paths] == [
        f"{SOURCE}_{day}_blindzone.nc" for day in ("20000102", "20000103")
    ]
    for path in paths:
        with xr.open_dataset(path) as product:
            assert product["reflectivity_quantile"].dims == ("quantile", "time", "height")


def test_inpaint_writes_members_and_takes_as_many_passes_as_a_tolerance_needs(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    code, out, _ = run(
        "inpaint",
        SOURCE,
        "--start",
        "2000-01-03",
        "--end",
        "2000-01-03",
        "--output",
        tmp_path,
        "--archive",
        archive,
        "--checkpoint",
        checkpoint,
        "--catalog",
        catalog,
        "--passes",
        "auto",
        "--tolerance",
        1000,
        "--members",
        2,
    )
    assert code == 0
    with xr.open_dataset(out.strip()) as product:
        assert product.sizes["realization"] == 2
        # Good enough as soon as it is looked at.
        assert (product.attrs["realizations"], product.attrs["realizations_tolerance_db"]) == (
            16,
            1000,
        )


ONE_DAY = ["inpaint", SOURCE, "--start", "2000-01-01", "--end", "2000-01-01"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (ONE_DAY, 1, "'blindzone ingest short_days --start 2000-01-01"),
        ([*ONE_DAY, "--members", "1"], 2, "'--members': Input should be greater than or equal"),
        ([*ONE_DAY, "--passes", "1"], 2, "'--passes': '1': a number of at least 2, auto or single"),
        ([*ONE_DAY, "--tolerance", "0.25"], 2, "goes with --passes auto; found --passes 50"),
        (
            [*ONE_DAY, "--passes", "auto", "--tolerance", "inf"],
            1,
            "a positive number of dB is right; found inf",
        ),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err
