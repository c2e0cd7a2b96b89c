"""What the readers share: packed numbers, missing values and stated units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._checks import METRES, check_stated_units, check_units
from blindzone.pipeline.readers._numbers import find_missing, read_numbers
from blindzone.pipeline.readers._origin import find_site_value, pick_frequency, pick_provenance


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


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("latitude", [91.0, -9999.0, 48.5], 48.5),
        ("Lon", [-999.0, 350.0], 350.0),
        ("MSL", [9.9e36, 120.0, np.inf], 120.0),
        ("alt", [99999.0], np.nan),
    ],
)
def test_site_is_taken_from_credible_values_alone(
    name: str, values: list[float], expected: float
) -> None:
    assert find_site_value(xr.Dataset({name: ("n", values)}), name) == pytest.approx(
        expected, nan_ok=True
    )


def test_provenance_is_what_the_file_states_and_what_acdd_names() -> None:
    stated = {
        "source": " BASTA ",
        "location": "",
        "title": "A radar",
        "institution": "SIRTA",
        "creator_name": "A person",
        "publisher": "A centre",
        "licence": "CC BY 4.0",
        "history": "left out",
    }
    names = {"instrument": "source", "site": "location", "references": "doi"}
    assert pick_provenance(xr.Dataset(attrs=stated), names) == {
        "instrument": "BASTA",
        "title": "A radar",
        "institution": "SIRTA",
        "creator": "A person",
        "publisher": "A centre",
        "license": "CC BY 4.0",
    }


@pytest.mark.parametrize(
    ("values", "units", "ghz"),
    [
        (94.0, "GHz", 94.0),
        (34.83e9, "Hz", 34.83),
        ([1290.0, 1290.0], "MHz", 1.29),
        ([35.0, 94.0], "GHz", None),  # one radar has one
        (94.0, "1", None),
        (np.nan, "GHz", None),
        (-999.0, "GHz", None),
        (5.0, "Hz", None),
    ],
)
def test_frequency_of_a_variable_is_one_credible_number(
    values: Any, units: str, ghz: float | None
) -> None:
    values = np.asarray(values)
    raw = xr.Dataset({"frequency": (("n",)[: values.ndim], values, {"units": units})})
    assert pick_frequency(raw, "frequency") == ({} if ghz is None else {"frequency_ghz": ghz})


def test_frequency_of_an_attribute_is_taken_where_no_variable_states_it() -> None:
    raw = xr.Dataset(
        {"frequency": ((), np.nan, {"units": "GHz"})},
        attrs={"radar_operating_frequency": "34.830000 GHz", "pulse": "2771 per second"},
    )
    assert pick_frequency(raw, "frequency", "pulse") == {}
    assert pick_frequency(raw, "frequency", "radar_operating_frequency") == {"frequency_ghz": 34.83}
