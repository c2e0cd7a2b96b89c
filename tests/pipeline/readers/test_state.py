"""Shared by the readers of atmospheric state: order of levels, and values that cannot be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._state import assemble_state

HEIGHTS = np.array([[10.0, 1000, 60_000], [20.0, 1010, 60_100]])
TEMPERATURE = np.array([[280.0, 275, 140], [281.0, 276, 140]])


def assemble(heights: np.ndarray = HEIGHTS, **fields: np.ndarray) -> xr.Dataset:
    place: dict[str, Any] = {"site": (50.0, 6.0, 90.0), "attrs": {}, "path": Path("a.nc")}
    return assemble_state(
        {"temperature": TEMPERATURE} | fields,
        time=np.array(["2021-03-14T00", "2021-03-14T01"], dtype="datetime64[ns]"),
        gate_height=heights,
        **place,
    )


def test_height_is_the_median_of_each_level_and_the_mesosphere_may_be_cold() -> None:
    state = assemble()
    assert state["height"].values.tolist() == [15, 1005, 60_050]
    np.testing.assert_array_equal(state["temperature"], TEMPERATURE.astype(np.float32))


def test_levels_that_run_down_are_turned_and_unknown_ones_dropped() -> None:
    downward = np.concatenate([HEIGHTS[:, ::-1], np.full((2, 1), np.nan)], axis=1)
    turned = np.concatenate([TEMPERATURE[:, ::-1], np.full((2, 1), 250.0)], axis=1)
    xr.testing.assert_identical(assemble(downward, temperature=turned), assemble())


def test_slightly_negative_humidity_is_zero() -> None:
    humidity = np.array([[1e-3, -5e-5, 0], [1e-3, np.nan, 0]])
    found = assemble(specific_humidity=humidity)["specific_humidity"].values
    np.testing.assert_array_equal(found, np.float32([[1e-3, 0, 0], [1e-3, np.nan, 0]]))


def test_levels_that_run_both_ways_are_rejected() -> None:
    heights = HEIGHTS.copy()
    heights[1, 1] = 5
    with pytest.raises(SourceFileError, match=r"up and down in profile 1 \(20 m is next to 5 m\)"):
        assemble(heights)


def test_state_without_any_value_is_rejected() -> None:
    with pytest.raises(SourceFileError, match="holds no value of temperature at a known height"):
        assemble(temperature=np.full((2, 3), np.nan))


def test_degrees_celsius_are_rejected() -> None:
    celsius = TEMPERATURE - 273.15
    with pytest.raises(SourceFileError, match=r"4 values of temperature are outside 150 to 350"):
        assemble(temperature=celsius)
