"""ARM radiosondes: the curtain that is read, and rejected files.

The files written here follow the layout of the two measured ones, which are read too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from raw_files import set_units, set_value, write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import STATE_FIELDS
from blindzone.pipeline.curtains.state import geometric_height, match_state
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.arm_sonde import STATE, read_arm_sonde

SAMPLES = 400
START_ALTITUDE_M = 300.0
ASCENT_M = 10.0
"""Height gained between two samples."""


def make_raw() -> xr.Dataset:
    """A balloon of 400 samples, 300 m to 4290 m: 6 K km-1, wind from the west at 12 m s-1."""
    altitude = START_ALTITUDE_M + ASCENT_M * np.arange(SAMPLES)
    fields = {
        "pres": (1000 * np.exp(-altitude / 8000), "hPa"),
        "tdry": (10 - 0.006 * altitude, "C"),
        "dp": (5 - 0.006 * altitude, "C"),
        "u_wind": (np.full(SAMPLES, 12.0), "m/s"),
        "v_wind": (np.zeros(SAMPLES), "m/s"),
        "wspd": (np.full(SAMPLES, 12.0), "m/s"),
        "deg": (np.full(SAMPLES, 270.0), "deg"),
        "alt": (altitude, "m"),
        "lat": (np.linspace(36.61, 37.0, SAMPLES), "degree_N"),
        "lon": (np.linspace(-97.49, -97.0, SAMPLES), "degree_E"),
    }
    variables: dict[str, Any] = {}
    for name, (values, units) in fields.items():
        attrs = {"units": units, "missing_value": np.float32(-9999)}
        variables[name] = ("time", values.astype(np.float32), attrs)
        if name not in ("alt", "lat", "lon"):
            variables[f"qc_{name}"] = (
                "time",
                np.zeros(SAMPLES, dtype=np.int32),
                {"units": "unitless"},
            )
    offsets = 19920.0 + 2 * np.arange(SAMPLES)
    variables["base_time"] = (
        (),
        np.int32(1546300800),
        {"units": "seconds since 1970-1-1 0:00:00 0:00"},
    )
    variables["time_offset"] = (
        "time",
        offsets,
        {"units": "seconds since 2019-01-01 00:00:00 0:00"},
    )
    bits = {f"qc_bit_{bit}_assessment": "Bad" for bit in (1, 2, 3)} | {
        "qc_bit_4_assessment": "Indeterminate"
    }
    return xr.Dataset(
        variables, attrs={"datastream": "sgpsondewnpnC1.b1", "facility_id": "C1", **bits}
    )


def read(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    return read_arm_sonde(write_raw(raw, folder / "sonde.cdf", "NETCDF3_CLASSIC"))


def test_ascent_becomes_one_profile_at_the_launch(tmp_path: Path) -> None:
    curtain = read(make_raw(), tmp_path)
    assert curtain.sizes == {"time": 1, "height": SAMPLES}
    assert set(curtain.data_vars) == {*STATE_FIELDS, "gate_height"}
    # 19920 s after midnight is 05:32.
    assert curtain["time"].values[0] == np.datetime64("2019-01-01T05:32:00")
    assert [round(float(curtain[name]), 2) for name in ("latitude", "longitude")] == [36.61, -97.49]
    # `alt` is geopotential height; geometric heights above the launch, at 4290 m 2.9 m higher.
    geometric = geometric_height(START_ALTITUDE_M + ASCENT_M * np.arange(SAMPLES))
    np.testing.assert_allclose(curtain["height"], geometric - geometric[0], atol=0.01)
    assert float(curtain["altitude"]) == pytest.approx(geometric[0])
    # 10 - 1.8 degree C at 300 m; dew point 3.2 degree C and 963.2 hPa: e = 7.68 hPa, q = 0.622 e /
    # (p - 0.378 e).
    assert float(curtain["temperature"][0, 0]) == pytest.approx(281.35, abs=1e-3)
    assert float(curtain["specific_humidity"][0, 0]) == pytest.approx(4.98e-3, rel=5e-3)
    assert float(curtain["eastward_wind"][0, 9]) == 12
    assert curtain.attrs == {"instrument": "sgpsondewnpnC1.b1", "site": "C1"}


def test_speed_and_direction_serve_where_there_are_no_components(tmp_path: Path) -> None:
    curtain = read(make_raw().drop_vars(["u_wind", "v_wind", "qc_u_wind", "qc_v_wind"]), tmp_path)
    np.testing.assert_allclose(curtain["eastward_wind"], 12, rtol=1e-6)
    np.testing.assert_allclose(curtain["northward_wind"], 0, atol=1e-5)


def test_sinking_and_falling_samples_are_left_out(tmp_path: Path) -> None:
    raw = make_raw()
    raw["alt"][50:55] = raw["alt"][48]  # 48 and 49 lie as high or higher
    raw["alt"][390:] = 100.0  # after the burst
    raw["tdry"][[*range(50, 55), *range(390, SAMPLES)]] = 40.0
    curtain = read(raw, tmp_path)
    assert curtain.sizes["height"] == SAMPLES - 5 - 10
    assert float(curtain["temperature"].max()) < 290
    # The gap of 60 m that the sinking leaves is bridged by linear interpolation, which finds the
    # same lapse rate.
    np.testing.assert_allclose(
        np.diff(curtain["temperature"][0]) / np.diff(curtain["height"]), -0.006, rtol=0.02
    )


def test_bad_values_are_bridged_over_short_gaps_only(tmp_path: Path) -> None:
    raw = make_raw()
    raw["tdry"][100:120] = 60.0
    raw["qc_tdry"][100:120] = 1 << 2  # above valid_max: bad, 210 m between its neighbours
    raw["dp"][200:240] = -9999.0  # missing, 410 m
    raw["qc_u_wind"][300:380] = 1 << 3  # indeterminate: kept
    curtain = read(raw, tmp_path).isel(time=0)
    expected = 283.15 - 0.006 * (START_ALTITUDE_M + ASCENT_M * np.arange(SAMPLES))
    np.testing.assert_allclose(curtain["temperature"], expected, atol=1e-2)
    unknown = np.isnan(curtain["specific_humidity"].values)
    np.testing.assert_array_equal(np.flatnonzero(unknown), np.arange(200, 240))
    assert np.isfinite(curtain["eastward_wind"].values).all()


def test_absent_samples_leave_a_gap_when_matched(tmp_path: Path) -> None:
    # Samples 100 to 199 are absent: nothing between 1290 m and 2300 m above sea.
    sonde = read(make_raw().isel(time=[*range(100), *range(200, SAMPLES)]), tmp_path)
    rows = np.array([500.0, 1200.0, 1800.0, 2500.0])
    coordinates = {"time": sonde["time"].values, "height": rows, "altitude": 0.0}
    found = match_state(xr.Dataset({}, coordinates), sonde)["temperature"].values[0]
    np.testing.assert_allclose(found, [280.15, 275.95, np.nan, 268.15], atol=0.02)


def test_bad_ends_stay_unknown(tmp_path: Path) -> None:
    raw = make_raw()
    raw["tdry"][[0, 1, SAMPLES - 1]] = -9999.0
    found = np.isnan(read(raw, tmp_path)["temperature"].values[0])
    np.testing.assert_array_equal(np.flatnonzero(found), [0, 1, SAMPLES - 1])


def add_kelvin(raw: xr.Dataset) -> xr.Dataset:
    raw["tdry"].values = raw["tdry"].values + 273.15
    return raw


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.drop_vars("dp"), "not an ARM radiosonde file: it lacks dp"),
        (lambda raw: raw.drop_vars(["u_wind", "wspd"]), "it lacks wspd"),
        (set_units("pres", "Pa"), "'pres' is 0.0[0-9]* times that of the standard atmosphere"),
        (set_units("tdry", "K"), "values of temperature are outside 150 to 350"),
        (set_units("alt", "km"), "'alt' holds a height of .* m; -500 to 50000 m is right"),
        (set_units("alt", "m AGL"), "'alt' has units 'm AGL'; 'm above mean sea level' is right"),
        (set_units("time_offset", "seconds since launch"), "'time_offset' has units"),
        (add_kelvin, "values of temperature are outside 150 to 350"),
        (set_value("pres", 7, 98650.0), "'pres' holds 1 values outside 0.1 to 1100 hPa"),
        (set_value("dp", 7, 275.0), "'dp' holds 1 values outside -130 to 60 C"),
        (set_value("u_wind", 7, 999.0), "1 values of eastward_wind are outside"),
        (set_value("alt", 2, 32767.0), "'alt' rises above all before at 3 of the 400 samples"),
        (set_value("alt", 7, 99999.0), "'alt' holds a height of 99999 m; -500 to 50000 m is right"),
        (
            lambda raw: raw.assign(alt=raw["alt"] * 0 + 300),
            "'alt' rises above all before at 1 of the 400 samples",
        ),
        (
            lambda raw: raw.assign(qc_tdry=raw["qc_tdry"] + np.float32(0.5)),
            "'qc_tdry' holds values of type float64 such as",
        ),
    ],
)
def test_each_wrong_file_is_rejected_by_name(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    with pytest.raises(SourceFileError, match=message) as caught:
        read(change(make_raw()), tmp_path)
    assert str(tmp_path / "sonde.cdf") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "launch", "altitude", "top_m"),
    [
        ("anxsondewnpnM1.b1.20200313.112600.cdf", "2020-03-13T11:26:00", 3.7, 29_720),
        ("sgpsondewnpnC1.b1.20190101.053200.cdf", "2019-01-01T05:32:00", 314.8, 24_350),
    ],
)
def test_measured_ascents_reach_the_stratosphere(
    measured_directory: Path, name: str, launch: str, altitude: float, top_m: float
) -> None:
    path = measured_directory / "state_profiles" / name
    if not path.is_file():
        pytest.skip(f"no measured data: {path} is no file")
    assert STATE.recognises(read_header(path))
    curtain = read_arm_sonde(path)
    assert curtain["time"].values[0] == np.datetime64(launch)
    assert float(curtain["altitude"]) == pytest.approx(altitude, abs=0.1)
    assert float(curtain["height"][-1]) == pytest.approx(top_m, abs=10)
    assert all(np.isfinite(curtain[field].values).all() for field in STATE_FIELDS)


def test_measured_altitude_is_geopotential_height(measured_directory: Path) -> None:
    path = measured_directory / "state_profiles" / "sgpsondewnpnC1.b1.20190101.053200.cdf"
    if not path.is_file():
        pytest.skip(f"no measured data: {path} is no file")
    with xr.open_dataset(path, decode_cf=False) as raw:
        pressure, altitude = raw["pres"].values.astype(float), raw["alt"].values.astype(float)
        kelvin = raw["tdry"].values + 273.15
    # Hypsometric equation, moisture left out: dH = (R T / g) ln(p1 / p2); geometric height would be
    # 56 m higher there.
    mean = (kelvin[1:] + kelvin[:-1]) / 2
    thickness = 287.05 / 9.80665 * mean * np.log(pressure[:-1] / pressure[1:])
    at_19_km = int(np.searchsorted(altitude, 18_800))
    assert abs(altitude[0] + thickness[:at_19_km].sum() - altitude[at_19_km]) < 10
