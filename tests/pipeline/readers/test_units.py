"""Units of raw files: every spelling of one unit gives the same numbers, others are an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import read_values
from blindzone.pipeline.readers._units import (
    ABOVE_GROUND,
    ABOVE_SEA,
    DBZ,
    EASTWARD,
    METRES,
    METRES_PER_SECOND,
    Unit,
    is_in,
    parse_unit,
    to_stated_units,
    to_units,
)

FILE = Path("a.nc")
SPELLINGS = {
    METRES: (
        "meter",
        "Meters",
        "metres",
        "METER",
        "m.",
        "[m]",
        "(m)",
        "1e3*mm",
        "km*1e-3",
        "m AGL",
        "m a.s.l.",
        "meters above Mean Sea Level",
        "m (above ground level)",
        "m MSL",
    ),
    "km": (
        "KM",
        "kilometers",
        "Kilometre",
        "1000 m",
        "km AGL",
    ),
    DBZ: (
        "dBz",
        "dbz",
        "DBZ",
        "dBZe",
        "dB(Z)",
        "dB Z",
        "dB re 1 mm^6 m^-3",
        "dB(mm^6/m^3)",
        "10*log10(mm6 m-3)",
        "10log10(mm^6/m^3)",
        "10 log10(mm6/m3)",
        "10*log10(mm**6 m**-3)",
    ),
    "mm6 m-3": (
        "mm^6/m^3",
        "mm6/m3",
        "mm^6 m^-3",
        "mm6m-3",
        "mm**6/m**3",
        "mm⁶ m⁻³",
        "mm6.m-3",
        "mm^{6} m^{-3}",
        r"$mm^6\,m^{-3}$",
        "mm^6 per m^3",
        "mm6 per cubic meter",
    ),
    "sr-1 m-1": (
        "m-1 sr-1",
        "1/(m sr)",
        "1/(sr*m)",
        "(m sr)-1",
        "(sr*m)^-1",
        "1/m/sr",
        "1/(m∙sr)",
        "1/m 1/sr",
        "m⁻¹·sr⁻¹",
        "m^(-1) sr^(-1)",
        "m-1.sr-1",
        "per meter per steradian",
        "1000 km-1 sr-1",
    ),
    "1e-7 sr-1 m-1": (
        "1/(sr*km*10000)",
        "1/(km sr 10000)",
        "(sr km 10000)-1",
        "1E-4 km-1 sr-1",
    ),
    METRES_PER_SECOND: (
        "m/s",
        "ms-1",
        "m s^-1",
        "m.s-1",
        "m s**-1",
        "m s -1",
        "meters per second",
        "m/sec",
        "m sec-1",
        "metres/second",
        "m·s⁻¹",
        "M/S",
        "m/s, positive = eastward",
    ),
    "degC": (
        "C",
        "deg C",
        "degree_C",
        "degree Celsius",
        "celsius",
        "°C",
        "℃",
        "degreesC",
    ),
    "degree": (
        "degrees",
        "deg",
        "°",
        "degrees_north",
        "degree_E",
        "Deg North",
        "degreeN",
        "°E",
    ),
    "1": (
        "unitless",
        "dimensionless",
        "none",
        "-",
        "kg kg**-1",
        "kg/kg",
        "g g-1",
        "1.0",
        "count",
    ),
    "%": (
        "percent",
        "Percent",
        "0.01",
        "pct",
    ),
    "hPa": (
        "mb",
        "mbar",
        "millibars",
        "hectopascal",
        "HPA",
        "100 Pa",
        "MB",
    ),
    "K": (
        "kelvin",
        "Kelvins",
        "degK",
        "degrees Kelvin",
    ),
    "m2 s-2": (
        "m**2 s**-2",
        "m^2/s^2",
        "m2/s2",
        "J kg-1",
        "(m/s)^2",
    ),
    "MHz": (
        "counts/us",
        "count/microsecond",
        "(counts/us)",
        "counts μs-1",
        "mhz",
        "1e6 Hz",
    ),
    "uJ": (
        "microJoules",
        "microjoule",
        "μJ",
        "mu J",
        "1e-3 mJ",
    ),
    "MHz km2 uJ-1": (
        "(counts/(microsecond*microjoule))*kilometer^2",
        "counts km2/(us uJ)",
    ),
}
PAIRS = [(ours, spelled) for ours, spellings in SPELLINGS.items() for spelled in spellings]


@pytest.mark.parametrize(("ours", "spelled"), PAIRS)
def test_spelling_is_of_the_same_unit(ours: str, spelled: str) -> None:
    expected, found = parse_unit(ours), parse_unit(spelled)
    assert expected is not None
    assert found is not None
    assert (found.powers, found.zero) == (expected.powers, expected.zero)
    assert float(found.scale / expected.scale) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "furlong",
            "m^",
            "m//s",
            "dBX",
            "10*log10(m)",
            "m^99",
            "0 m",
            "m)",
            "(m",
            "m-",
            "x" * 200,
        ),
        *("m above the moon", "counts per", "--", "1e99999", "((((10^20)^20)^20)^20)^20", "("),
    ],
)
def test_text_that_spells_no_unit_is_none(text: str) -> None:
    assert parse_unit(text) is None


@given(st.text(max_size=30))
def test_any_text_spells_a_unit_or_none(text: str) -> None:
    assert parse_unit(text) is None or isinstance(parse_unit(text), Unit)


@given(
    kind=st.sampled_from(sorted(set(SPELLINGS) - {"degree"})),
    values=st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=5),
    data=st.data(),
)
def test_every_spelling_gives_the_same_numbers(
    kind: str, values: list[float], data: st.DataObject
) -> None:
    spelled = data.draw(st.sampled_from(SPELLINGS[kind]))
    unit = parse_unit(kind)
    assert unit is not None
    kinds = {k: parse_unit(k) for k in SPELLINGS}
    target = data.draw(
        st.sampled_from([k for k, u in kinds.items() if u and u.powers == unit.powers])
    )
    by_ours, by_theirs = (
        to_units(xr.Dataset({"x": ("time", values, {"units": units})}), {"x": target}, FILE)
        for units in (kind, spelled)
    )
    np.testing.assert_allclose(by_theirs["x"], by_ours["x"], rtol=1e-12, atol=1e-12)


def make_raw(values: Any, units: Any, dims: Any = ("time",), **attrs: Any) -> xr.Dataset:
    return xr.Dataset({"x": (dims, np.asarray(values), {"units": units} | attrs)})


@pytest.mark.parametrize(
    ("value", "units", "wanted", "expected"),
    [
        (1.5, "km", METRES, 1500),
        (1000.0, "feet", METRES, 304.8),
        (36.0, "km/h", METRES_PER_SECOND, 10),
        (10.0, "knots", METRES_PER_SECOND, 18_520 / 3600),
        (300.0, "K", "C", 26.85),
        (32.0, "degF", "C", 0),
        (101_325.0, "Pa", "hPa", 1013.25),
        (8.0, "g/kg", "1", 0.008),
        (50.0, "%", "1", 0.5),
        (np.pi, "rad", "degree", 180),
        (2.0, "degrees_west", "degrees_east", -2),
        (35.0, "1/(sr*km*10000)", "sr-1 m-1", 35e-7),
        (100.0, "mm6 m-3", DBZ, 20),
        (-3.0, "dBZ", DBZ, -3),
    ],
)
def test_numbers_come_in_the_units_we_use(
    value: float, units: str, wanted: str, expected: float
) -> None:
    found = to_units(make_raw([value], units), {"x": wanted}, FILE)["x"]
    assert found.values[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert is_in(found, wanted)


def test_what_is_in_our_units_is_not_touched() -> None:
    raw = make_raw(np.float32([1, 2]), "meters")
    assert to_units(raw, {"x": METRES, "absent": METRES}, FILE) is raw


def test_missing_values_stay_missing() -> None:
    raw = make_raw(np.float32([-999, -9, np.nan, 0.1]), "km", _FillValue=-999.0, missing_value=[-9])
    converted = to_units(raw, {"x": METRES}, FILE)
    found = read_values(converted, {"x": "x"}, FILE)["x"]
    np.testing.assert_allclose(found, [np.nan, np.nan, np.nan, 100], rtol=1e-7)


def test_value_that_becomes_the_old_fill_value_is_none() -> None:
    # 1 mm6 m-3 is 0 dBZ, and zero was the fill value.
    raw = make_raw([0.0, 1.0], "mm6 m-3", _FillValue=0.0)
    found = read_values(to_units(raw, {"x": DBZ}, FILE), {"x": "x"}, FILE)["x"]
    np.testing.assert_array_equal(found, [np.nan, 0])


def test_no_linear_reflectivity_is_missing_and_dbz_by_its_name_an_error() -> None:
    raw = make_raw([0.0, -1e-5, 1.0, -999.0], "mm6 m-3")
    found = read_values(to_units(raw, {"x": DBZ}, FILE), {"x": "x"}, FILE)["x"]
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0, np.nan])
    with pytest.raises(SourceFileError, match=r"holds 3 values from -40 to -12; .* dBZ would"):
        to_units(make_raw([-40, -12, 3, -20.0], "mm6 m-3"), {"x": DBZ}, FILE)


def test_fields_stay_as_small_as_they_are_and_axes_gain_digits() -> None:
    field = make_raw(np.ones((2, 2), np.float32), "km/s", ("time", "range"))
    axis = make_raw(np.float32([0.1]), "km")
    assert to_units(field, {"x": METRES_PER_SECOND}, FILE)["x"].dtype == np.float32
    assert to_units(axis, {"x": METRES}, FILE)["x"].dtype == np.float64


@pytest.mark.parametrize("units", ["furlong", "s", np.array([1, 2]), ["m", "m"], 3])
def test_other_units_are_one_error(units: Any) -> None:
    for convert in (to_units, to_stated_units):
        with pytest.raises(SourceFileError, match=r"a\.nc: 'x' has units .*; 'm' is right"):
            convert(make_raw([5.0], units), {"x": METRES}, FILE)


def test_units_may_be_left_out_where_the_layout_has_them() -> None:
    for raw in (make_raw([5.0], "").drop_attrs(), make_raw([5.0], " "), make_raw([5.0], "\0")):
        assert to_stated_units(raw, {"x": METRES}, FILE) is raw
        with pytest.raises(SourceFileError, match="'x' has units 'none at all'; 'm' is right"):
            to_units(raw, {"x": METRES}, FILE)


def test_sense_that_the_layout_denies_is_an_error() -> None:
    to_units(make_raw([5.0], "m MSL"), {"x": ABOVE_SEA}, FILE)
    to_units(make_raw([5.0], "m"), {"x": ABOVE_SEA}, FILE)
    with pytest.raises(SourceFileError, match="units 'm MSL'; 'm above ground' is right"):
        to_units(make_raw([5.0], "m MSL"), {"x": ABOVE_GROUND}, FILE)
    with pytest.raises(SourceFileError, match="'m s-1, positive eastward' is right"):
        to_units(make_raw([5.0], "m/s, positive = northward"), {"x": EASTWARD}, FILE)


@pytest.mark.parametrize("attribute", ["unit", "Units"])
def test_unit_stands_under_the_names_that_writers_use(attribute: str) -> None:
    raw = xr.Dataset({"x": ("time", [1.0], {attribute: b"km"})})
    assert to_units(raw, {"x": METRES}, FILE)["x"].values.tolist() == [1000]
