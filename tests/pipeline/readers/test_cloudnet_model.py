"""Cloudnet single-site model files: the curtain that is read, and rejected files.

The files written here follow the layout of the two measured ones, which are read too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import set_units, set_value, write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import STATE_FIELDS, check_curtain
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.cloudnet_model import STATE, read_cloudnet_model

TIMES, LEVELS = 25, 6
DIMS = ("time", "level")


def make_raw() -> xr.Dataset:
    """Hourly profiles 10 m to 8 km above a ground of 154 m, in the layout of the ICON file."""
    heights = np.tile(
        np.array([10.0, 100.0, 500.0, 2000.0, 5000.0, 8000.0], dtype=np.float32), (TIMES, 1)
    )
    missing = {"missing_value": np.float32(-999.9)}
    fields = {
        "temperature": (np.float32(280) - np.float32(0.006) * heights, "K"),
        "q": (np.full_like(heights, 0.003), "1"),
        "uwind": (np.full_like(heights, 7), "m s-1"),
        "vwind": (np.full_like(heights, -3), "m s-1"),
        "height": (heights, "m"),
    }
    ground = np.full(TIMES, 154.0, dtype=np.float32)
    return xr.Dataset(
        {
            name: (DIMS, values, {"units": units, **missing})
            for name, (values, units) in fields.items()
        }
        | {
            "latitude": ((), np.float32(78.923), {"units": "degrees_N"}),
            "longitude": ((), np.float32(11.921), {"units": "degrees_E"}),
            "altitude": ((), np.float32(11), {"units": "m"}),
            "sfc_height_amsl": ("time", ground, {"units": "m", **missing}),
        },
        {
            "time": (
                "time",
                np.arange(TIMES, dtype=np.float32),
                {"units": "hours since 2021-01-04 00:00:00 +00:00"},
            ),
            "level": ("level", np.arange(LEVELS, 0, -1, dtype=np.float32), {"units": "1"}),
        },
        {"location": "ny-alesund", "source": "ICON"},
    )


def test_profiles_are_read_with_their_heights_above_the_models_ground(tmp_path: Path) -> None:
    curtain = read_cloudnet_model(write_raw(make_raw(), tmp_path / "model.nc"))
    assert set(curtain.data_vars) == {*STATE_FIELDS, "gate_height"}
    assert curtain["time"].values[-1] == np.datetime64("2021-01-05")
    np.testing.assert_allclose(curtain["height"], [10, 100, 500, 2000, 5000, 8000])
    np.testing.assert_allclose(curtain["temperature"][0, 3], 280 - 12)
    assert float(curtain["eastward_wind"][4, 2]) == 7
    assert float(curtain["northward_wind"][4, 2]) == -3
    assert float(curtain["altitude"]) == pytest.approx(154)
    assert curtain.attrs == {"instrument": "ICON", "site": "ny-alesund"}


def test_levels_that_run_downwards_are_turned(tmp_path: Path) -> None:
    upward = read_cloudnet_model(write_raw(make_raw(), tmp_path / "up.nc"))
    downward = read_cloudnet_model(
        write_raw(make_raw().isel(level=slice(None, None, -1)), tmp_path / "down.nc")
    )
    xr.testing.assert_identical(upward, downward)


def test_nominal_height_is_the_median_of_each_level(tmp_path: Path) -> None:
    raw = make_raw()
    raw["height"][:, 5] += np.arange(TIMES, dtype=np.float32)  # 8000 to 8024 m, the median 8012 m
    curtain = read_cloudnet_model(write_raw(raw, tmp_path / "model.nc"))
    assert float(curtain["height"][5]) == 8012
    assert float(curtain["gate_height"][24, 5]) == 8024


def test_geopotential_of_the_ground_counts_where_its_height_is_absent(tmp_path: Path) -> None:
    raw = make_raw().drop_vars("sfc_height_amsl")
    raw["sfc_geopotential"] = (
        "time",
        np.full(TIMES, 980.665, dtype=np.float32),
        {"units": "m2 s-2"},
    )
    curtain = read_cloudnet_model(write_raw(raw, tmp_path / "model.nc"))
    assert float(curtain["altitude"]) == pytest.approx(100, abs=0.01)


def test_station_counts_where_the_ground_is_not_stated(tmp_path: Path) -> None:
    raw = make_raw().drop_vars("sfc_height_amsl")
    assert float(read_cloudnet_model(write_raw(raw, tmp_path / "a.nc"))["altitude"]) == 11
    with pytest.raises(
        SourceFileError, match="height of the model's ground is not known; one of sfc_height_amsl"
    ):
        read_cloudnet_model(write_raw(raw.drop_vars("altitude"), tmp_path / "b.nc"))


def test_moving_site_keeps_its_positions(tmp_path: Path) -> None:
    raw = make_raw()
    raw["latitude"] = ("time", np.linspace(70, 72, TIMES), {"units": "degrees_north"})
    curtain = read_cloudnet_model(write_raw(raw, tmp_path / "model.nc"))
    np.testing.assert_allclose(curtain["latitude"], np.linspace(70, 72, TIMES))
    assert curtain["longitude"].dims == ("time",)


def test_missing_values_and_tiny_negative_humidity(tmp_path: Path) -> None:
    raw = make_raw()
    raw["temperature"][24] = -999.9
    raw["q"][0, 5] = -2e-7
    curtain = read_cloudnet_model(write_raw(raw, tmp_path / "model.nc"))
    assert np.isnan(curtain["temperature"].values[24]).all()
    assert float(curtain["specific_humidity"][0, 5]) == 0
    check_curtain(curtain)


def in_celsius(raw: xr.Dataset) -> xr.Dataset:
    raw["temperature"] = raw["temperature"] - np.float32(273.15)
    raw["temperature"].attrs["units"] = "K"
    return raw


def swap_levels(raw: xr.Dataset) -> xr.Dataset:
    raw["height"][3, 2] = 50
    return raw


def forget_values(raw: xr.Dataset) -> xr.Dataset:
    for name in ("temperature", "q", "uwind", "vwind"):
        raw[name][:] = -999.9
    return raw


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.drop_vars("q"), "not a Cloudnet model file: it lacks q"),
        (in_celsius, "values of temperature are outside 150 to 350 .* degrees Celsius for K"),
        (set_value("q", (2, 1), 3.0), "1 values of specific_humidity are outside"),
        (set_value("vwind", (2, 1), -999.0), "1 values of northward_wind are outside -150 to 150"),
        (swap_levels, r"up and down in profile 3 \(100 m is next to 50 m\)"),
        (set_units("height", "km"), "its heights end at"),
        (set_units("temperature", "degC"), "values of temperature are outside 150 to 350"),
        (set_units("time", "hours since 2021-01-04 00:00:00 CEST"), "'time' has units"),
        (
            set_units("time", "fortnights since 2021-01-04"),
            "'time' has units 'fortnights since 2021-01-04'",
        ),
        (lambda raw: raw.transpose("level", "time"), "'height' has dimensions"),
        (lambda raw: raw.isel(time=slice(0)), "it holds no value of temperature"),
        (
            lambda raw: raw.drop_vars("altitude").assign(
                sfc_height_amsl=raw["sfc_height_amsl"] * 1e6
            ),
            "a value from -500",
        ),
        (
            forget_values,
            "it holds no value of temperature, specific_humidity, eastward_wind, northward_wind",
        ),
    ],
)
def test_each_wrong_file_is_rejected_by_name(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = write_raw(change(make_raw()), tmp_path / "wrong.nc")
    with pytest.raises(SourceFileError, match=message) as caught:
        read_cloudnet_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "levels", "ground", "lowest"),
    [
        ("20190517_mace-head_ecmwf.nc", 137, -0.373, 9.9),
        ("20210104_ny-alesund_icon-iglo-12-23.nc", 90, 154.18, 10.0),
    ],
)
def test_measured_files_hold_a_credible_atmosphere(
    measured_directory: Path, name: str, levels: int, ground: float, lowest: float
) -> None:
    path = measured_directory / "state_profiles" / name
    if not path.is_file():
        pytest.skip(f"no measured data: {path} is no file")
    assert STATE.recognises(read_header(path))
    curtain = read_cloudnet_model(path)
    assert curtain.sizes == {"time": 25, "height": levels}
    assert float(curtain["altitude"]) == pytest.approx(ground, abs=0.01)
    assert float(curtain["height"][0]) == pytest.approx(lowest, abs=0.1)
    assert np.isfinite(curtain["temperature"].values).all()
    # Between 1 and 7 km it gets colder by 4 to 9 K km-1.
    at_1, at_7 = (
        curtain["temperature"].isel(height=int(np.abs(curtain["height"].values - z).argmin()))
        for z in (1e3, 7e3)
    )
    assert 24 < float((at_1 - at_7).mean()) < 54
