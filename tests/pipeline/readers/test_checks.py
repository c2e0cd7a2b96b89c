"""Checks of raw files: units, dimensions, pointing and credible values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._checks import (
    METRES,
    check_credible,
    check_dims,
    check_stated_units,
    check_top,
    check_units,
    check_variables,
    check_zenith,
)

FILE = Path("a.nc")


@pytest.mark.parametrize("units", ["km", 3, np.array([1, 2]), ["m", "m"]])
def test_units_of_any_kind_but_the_right_ones_are_rejected(units: Any) -> None:
    raw = xr.Dataset({"altitude": ((), 5.0, {"units": units})})
    for check in (check_units, check_stated_units):
        with pytest.raises(SourceFileError, match=r"a\.nc: 'altitude' has units .*; 'm' is right"):
            check(raw, {"altitude": METRES}, Path("a.nc"))


def test_units_that_may_be_left_out_are_not_asked_for() -> None:
    check_stated_units(
        xr.Dataset({"altitude": 5.0}), {"altitude": METRES, "lat": METRES}, Path("a.nc")
    )


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


@pytest.mark.parametrize("angles", [[0, -5.0], [np.nan, -999.0, 9.9e36], []])
def test_beam_that_points_up_or_is_not_stated_passes(angles: list[float]) -> None:
    check_zenith(np.asarray(angles, dtype=np.float64), FILE)


def test_tilted_beam_is_rejected_with_its_angle() -> None:
    with pytest.raises(SourceFileError, match=r"points 7\.5 degrees off zenith; at most 5"):
        check_zenith(np.array([0.0, -7.5]), FILE)


def test_incredible_reflectivity_is_counted() -> None:
    check_credible(np.array([np.nan, -120, 80.0]), "Ze", FILE)
    with pytest.raises(SourceFileError, match=r"'Ze' holds 2 values outside .*\(first: 81\)"):
        check_credible(np.array([81.0, 5, -999]), "Ze", FILE)


@pytest.mark.parametrize("top", [99.0, 200_001.0])
def test_heights_in_another_unit_are_rejected(top: float) -> None:
    check_top(np.array([np.nan, 12_000.0]), FILE)
    with pytest.raises(SourceFileError, match=r"its heights end at .*in km or mm would look like"):
        check_top(np.array([1.0, top]), FILE)
