"""Checks of raw files: dimensions, pointing and credible values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_top,
    check_variables,
    find_off_zenith,
)

FILE = Path("a.nc")


def test_absent_variables_are_named_with_those_that_are_there() -> None:
    raw = xr.Dataset({"z": ("time", [1.0])})
    check_variables(raw, ("z",), "a radar file", FILE)
    with pytest.raises(SourceFileError, match=r"not a radar file: it lacks v, w \(has \['z'\]\)"):
        check_variables(raw, ("z", "v", "w"), "a radar file", FILE)


def test_dimensions_are_checked_where_a_variable_is_there() -> None:
    raw = xr.Dataset({"z": (("range", "time"), np.zeros((2, 3)))})
    check_dims(raw, ("v",), ("time", "range"), FILE)
    with pytest.raises(SourceFileError, match=r"'z' has dimensions \('range', 'time'\)"):
        check_dims(raw, ("v", "z"), ("time", "range"), FILE)


def find_tilted(angles: Any, units: str = "degree", *, from_horizon: bool = False) -> list[bool]:
    dims = ("time",)[: np.ndim(angles)]
    raw = xr.Dataset({"z": ("time", np.zeros(3)), "angle": (dims, angles, {"units": units})})
    fault = find_off_zenith(raw, "angle", from_horizon=from_horizon)
    assert fault is not None
    return [bool(tilted) for tilted in fault.has]


@pytest.mark.parametrize("angles", [[0, -5.0, 5.0], [np.nan, -999.0, 9.9e36], 0.0])
def test_beam_that_points_up_or_is_not_stated_passes(angles: Any) -> None:
    assert find_tilted(angles) == [False] * 3


def test_each_profile_whose_beam_is_tilted_is_found_with_its_angle() -> None:
    assert find_tilted([0.0, -7.5, 80.0]) == [False, True, True]
    assert find_tilted([90.0, 97.5, 30.0], from_horizon=True) == [False, True, True]
    assert find_tilted([0.0, 0.08, 0.1], "rad") == [False, False, True]  # 4.6 and 5.7 degrees
    assert find_tilted(30.0) == [True] * 3
    assert find_off_zenith(xr.Dataset({"z": ("time", [0.0])}), "angle") is None


def test_incredible_reflectivity_is_counted() -> None:
    check_credible(np.array([np.nan, -120, 80.0]), "Ze", FILE)
    with pytest.raises(SourceFileError, match=r"'Ze' holds 2 values outside .*\(first: 81\)"):
        check_credible(np.array([81.0, 5, -999]), "Ze", FILE)


def test_heights_stored_as_integers_are_as_good() -> None:
    check_top(np.array([100, 12_000], np.int16), FILE)
    check_top(np.array([], np.int16), FILE)


@pytest.mark.parametrize("top", [99.0, 200_001.0])
def test_heights_in_another_unit_are_rejected(top: float) -> None:
    check_top(np.array([np.nan, 12_000.0]), FILE)
    with pytest.raises(SourceFileError, match=r"its heights end at .*in km or mm would look like"):
        check_top(np.array([1.0, top]), FILE)
