"""Numbers of raw files: packed, missing, and neighbours of a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import (
    are_within,
    find_missing,
    has_neighbour,
    read_numbers,
    read_values,
)


def write_variable(path: Path, values: Any, **attrs: Any) -> Path:
    raw = xr.Dataset({"z": ("time", np.asarray(values), attrs)})
    raw.to_netcdf(
        path,
        engine="netcdf4",
        encoding={} if "_FillValue" in attrs else {"z": {"_FillValue": None}},
    )
    return path


def test_packed_integers_come_unpacked_with_the_fill_value_as_nan(tmp_path: Path) -> None:
    values = np.array([-4000, 0, 250, -32768], dtype=np.int16)
    path = write_variable(
        tmp_path / "packed.nc",
        values,
        scale_factor=0.01,
        add_offset=-10.0,
        _FillValue=np.int16(-32768),
        units="dBZ",
    )
    z = read_numbers(path, ("z",))["z"]
    # -4000 / 100 - 10, 0 - 10, 250 / 100 - 10.
    assert z.values[:3].tolist() == pytest.approx([-50, -10, -7.5])
    not_a_number, fill = find_missing(z)
    assert fill.tolist() == [False, False, False, True]
    assert not not_a_number.any()
    assert z.attrs["units"] == "dBZ"


def test_scale_of_one_leaves_floats_as_they_are(tmp_path: Path) -> None:
    path = write_variable(
        tmp_path / "one.nc", np.float32([1.5, np.nan]), scale_factor=1.0, add_offset=0.0
    )
    z = read_numbers(path, ("z",))["z"]
    assert z.dtype == np.float32
    assert find_missing(z)[0].tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "attrs", "says"),
    [
        (
            np.float32([1]),
            {"scale_factor": 0.1},
            "'z' is packed as float32; packed integers are right",
        ),
        (np.int16([1]), {"scale_factor": "a tenth"}, "'z' is packed with .*'a tenth'"),
        (np.int16([1]), {"scale_factor": 0.0}, "'z' is packed with .*scale_factor not zero"),
        (np.int16([1]), {"add_offset": np.nan}, "'z' is packed with .*finite numbers"),
        (np.int16([1]), {"scale_factor": np.array([0.1, 0.2])}, "'z' is packed with"),
        (np.int8([1]), {"_Unsigned": "true"}, "'z' is packed with {'_Unsigned': 'true'}"),
        (np.array(["a"], dtype=object), {}, "'z' holds values of type .*; numbers are right"),
        (
            np.float32([1]),
            {"missing_value": "none"},
            "'z' has missing_value 'none'; a number is right",
        ),
    ],
)
def test_what_cannot_be_read_as_numbers_is_rejected(
    values: np.ndarray, attrs: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = write_variable(tmp_path / "odd.nc", values, **attrs)
    with pytest.raises(SourceFileError, match=rf"^{path}: {says}"):
        read_numbers(path, ("z",))


def test_both_attributes_of_missing_values_count() -> None:
    z = xr.DataArray(
        np.float32([-999, -99, -98, 5]), attrs={"_FillValue": -999.0, "missing_value": [-99, -98]}
    )
    assert find_missing(z)[1].tolist() == [True, True, True, False]


def test_fill_value_that_an_integer_cannot_hold_matches_none() -> None:
    z = xr.DataArray(np.uint8([0, 25, 255]), attrs={"_FillValue": np.nan, "missing_value": 256.5})
    assert not np.any(find_missing(z))


def test_values_come_under_our_names_with_nan_for_what_is_missing() -> None:
    raw = xr.Dataset({"T": ("n", np.float32([280, -9, np.nan]), {"_FillValue": np.float32(-9)})})
    found = read_values(raw, {"temperature": "T", "humidity": "q"}, Path("a.nc"))
    assert list(found) == ["temperature"]
    np.testing.assert_array_equal(found["temperature"], [280, np.nan, np.nan])


def test_infinite_values_are_rejected() -> None:
    raw = xr.Dataset({"T": ("n", np.float32([1, np.inf]))})
    with pytest.raises(SourceFileError, match=r"a\.nc: 'T' holds infinite values"):
        read_values(raw, {"temperature": "T"}, Path("a.nc"))


@pytest.mark.parametrize(
    ("values", "within"),
    [([1, 2], True), ([np.nan, 2], True), ([], True), ([0.9, 1.5], False), ([1, 2.1], False)],
)
def test_limits_belong_to_the_range_and_nan_does_not_count(
    values: list[float], within: bool
) -> None:
    assert are_within(np.asarray(values, dtype=np.float64), 1, 2) == within


def test_limits_hold_of_integers_too() -> None:
    values = np.array([-3, 4], np.int16)
    assert are_within(values, -3, 4)
    assert not are_within(values, -3, 3.5)


def test_neighbours_are_the_eight_around_a_pixel_and_not_itself() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[1, 2] = True
    expected = np.zeros_like(mask)
    expected[0:3, 1:4] = True
    expected[1, 2] = False
    assert np.array_equal(has_neighbour(mask), expected)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("missing_value", "-999."),
        ("missing_value", np.float32([-99, -999])),
        ("fill_value", -999),
        ("missing-data", "-999"),
        ("CodeMissingValue", "-999.0"),
    ],
)
def test_missing_values_stand_under_the_names_that_writers_use(attribute: str, value: Any) -> None:
    z = xr.DataArray(np.float32([-999, 5]), attrs={attribute: value, "_FillValue": np.nan})
    assert find_missing(z)[1].tolist() == [True, False]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "i8"])
def test_what_netcdf_writes_where_nothing_was_written_is_missing(dtype: str) -> None:
    fill = np.dtype(dtype).type(netCDF4.default_fillvals[dtype])
    z = xr.DataArray(np.array([fill, 5], dtype))
    assert find_missing(z)[1].tolist() == [True, False]
    z.attrs["_FillValue"] = np.dtype(dtype).type(7)
    assert not find_missing(z)[1].any()
