"""Values outside a variable's own valid range are missing, counted and flagged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import read_counts
from blindzone.pipeline.readers._numbers import is_missing, read_numbers
from blindzone.pipeline.readers._valid_range import find_dropped

FLOAT, SHORT = np.float32, np.int16


def write(path: Path, values: list[float], kind: type, **attrs: object) -> Path:
    """Writes a file with one variable `Zh`."""
    return write_raw(
        xr.Dataset({"Zh": ("range", np.array(values, kind), attrs)}, attrs={"site": "here"}), path
    )


@pytest.mark.parametrize(
    ("kind", "values", "attrs"),
    [
        (FLOAT, [-50, 0, 30, 31], {"valid_range": np.array([-40, 30], FLOAT)}),
        (FLOAT, [-50, 0, 30, 99], {"valid_min": FLOAT(-40), "valid_max": FLOAT(30)}),
        (
            SHORT,
            [-500, 0, 300, 301],
            {"valid_range": np.array([-400, 300], SHORT), "scale_factor": 0.1},
        ),
        (
            SHORT,
            [-500, 0, 300, 301],
            {"valid_range": np.array([-40.0, 30.0]), "scale_factor": 0.1},
        ),
        (
            SHORT,
            [500, 0, -300, -301],
            {"valid_min": -40.0, "valid_max": 30.0, "scale_factor": -0.1},
        ),
        (SHORT, [-50, 0, 30, 31], {"valid_range": np.array([-40, 30], SHORT)}),
        (
            SHORT,
            [-50, 0, 30, 31],
            {"valid_range": np.array([-40, 30], SHORT), "_FillValue": SHORT(-999)},
        ),
    ],
)
def test_values_outside_are_missing_and_counted(
    kind: type, values: list[float], attrs: dict[str, object], tmp_path: Path
) -> None:
    raw = read_numbers(write(tmp_path / "a.nc", values, kind, **attrs), ("Zh",))

    assert is_missing(raw["Zh"]).tolist() == [True, False, False, True]
    assert find_dropped(raw["Zh"]).tolist() == [True, False, False, True]
    (count,) = read_counts(raw.attrs).values()
    assert count == 2


@pytest.mark.parametrize(
    "attrs",
    [
        {"valid_range": np.array([-60, 30], FLOAT)},
        {"valid_range": np.array([30, -60], FLOAT)},
        {"valid_range": "-40.f,20.f"},
        {"valid_min": FLOAT(np.nan)},
        {"valid_range": np.array([-40, 20], FLOAT), "_FillValue": FLOAT(-50)},
    ],
)
def test_what_states_nothing_else_changes_nothing(attrs: dict[str, object], tmp_path: Path) -> None:
    raw = read_numbers(write(tmp_path / "a.nc", [-50, 0, 20], FLOAT, **attrs), ("Zh",))

    assert raw["Zh"].values.tolist() == [-50, 0, 20]
    assert not find_dropped(raw["Zh"]).any()
    assert raw.attrs == {"site": "here"}


def test_range_without_any_value_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nc", [1, 2, 3], FLOAT, valid_min=FLOAT(10))

    with pytest.raises(
        SourceFileError, match="'Zh' holds 1 to 3, all outside its valid range from 10"
    ):
        read_numbers(path, ("Zh",))
