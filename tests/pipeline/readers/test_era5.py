"""ERA5 profiles: the curtain and column that are read, and rejected files.

No measured file on pressure levels is at hand: those written here follow the layouts that the
Climate Data Store documents, the newer and the older. Model levels along a trajectory are tested on
a measured file too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import set_units, set_value, write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import STATE_FIELDS
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.era5 import STATE, read_era5, read_era5_at

GRAVITY = 9.80665
HOURS = 3
PRESSURES = (1000.0, 850.0, 500.0, 250.0)
HEIGHTS_M = np.array([100.0, 1500.0, 5500.0, 10400.0])
"""Geopotential heights of the levels; geometric ones are 0.002, 0.35, 4.8 and 17.0 m higher."""
GEOMETRIC_M = HEIGHTS_M + np.array([0.0016, 0.354, 4.763, 17.043])
LATITUDES, LONGITUDES = (49.0, 48.75, 48.5), (2.0, 2.25)
FIRST_S = 1615680000
"""2021-03-14 00:00 in seconds since 1970."""
DIMS = ("valid_time", "pressure_level", "latitude", "longitude")


def make_new() -> xr.Dataset:
    """Three hours x four levels x 3 x 2 points, newer layout; `u` numbers the points 0 to 5."""
    shape = (HOURS, len(PRESSURES), len(LATITUDES), len(LONGITUDES))
    height = np.broadcast_to(HEIGHTS_M[:, np.newaxis, np.newaxis], shape)
    points = np.broadcast_to(np.arange(6).reshape(3, 2), shape)
    fields = {
        "t": (288 - 0.0065 * height, "K"),
        "q": (np.full(shape, 0.004), "kg kg**-1"),
        "u": (points, "m s**-1"),
        "v": (np.full(shape, -2.0), "m s**-1"),
        "z": (GRAVITY * height, "m**2 s**-2"),
    }
    nan = {"_FillValue": np.float32(np.nan)}
    times = FIRST_S + 3600 * np.arange(HOURS)
    since = {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    return xr.Dataset(
        {
            name: (DIMS, values.astype(np.float32), {"units": u, **nan})
            for name, (values, u) in fields.items()
        },
        {
            "number": ((), 0, {"units": "1"}),
            "valid_time": ("valid_time", times, since),
            "pressure_level": (
                "pressure_level",
                np.array(PRESSURES),
                {"units": "hPa", "positive": "down"},
            ),
            "latitude": ("latitude", np.array(LATITUDES), {"units": "degrees_north"}),
            "longitude": ("longitude", np.array(LONGITUDES), {"units": "degrees_east"}),
            "expver": ("valid_time", np.array(["0001", "0001", "0005"])),
        },
        {"institution": "European Centre for Medium-Range Weather Forecasts"},
    )


def make_old() -> xr.Dataset:
    """The same of one point, older layout: shorts, hours since 1900, highest level first."""
    new = (
        make_new()
        .isel(latitude=[1], longitude=[0], pressure_level=slice(None, None, -1))
        .drop_vars(["number"])
    )
    hours = (new["valid_time"].values / 3600 + 613608).astype(
        np.int32
    )  # 70 years with 17 leap days
    old = new.drop_vars("expver").rename(valid_time="time", pressure_level="level")
    old = old.assign_coords(
        time=(
            "time",
            hours,
            {"units": "hours since 1900-01-01 00:00:00.0", "calendar": "gregorian"},
        ),
        level=("level", np.array(PRESSURES[::-1], dtype=np.int32), {"units": "millibars"}),
    )
    for name in ("t", "q", "u", "v", "z"):
        values = old[name].values.astype(np.float64)
        offset, scale = (values.max() + values.min()) / 2, max(np.ptp(values), 1e-6) / 65000
        packing = {"scale_factor": scale, "add_offset": offset, "_FillValue": np.int16(-32767)}
        attrs = {"units": old[name].attrs["units"], "missing_value": np.int16(-32767), **packing}
        old[name] = (old[name].dims, np.round((values - offset) / scale).astype(np.int16), attrs)
    return old


def make_trajectory() -> xr.Dataset:
    """Four hours back from 2020-03-13 18 UTC in the layout of the measured file."""
    dims = ("time", "pressure")
    height = np.tile(HEIGHTS_M.astype(np.float32), (4, 1))
    return xr.Dataset(
        {
            "Time": (
                "time",
                -np.arange(4, dtype=np.float32),
                {"units": "Hours since 2020-03-13-18"},
            ),
            "Pressure": ("pressure", np.array(PRESSURES, dtype=np.float32), {"units": "hPa"}),
            "Latitude": (
                "latitude",
                np.array([69.0, 70, 71, 72], dtype=np.float32),
                {"units": "Deg North"},
            ),
            "Longitude": (
                "latitude",
                np.array([15.0, 14, 13, 12], dtype=np.float32),
                {"units": "Deg"},
            ),
            "Temp": (dims, 270 - 0.006 * height, {"units": "K"}),
            "SH": (dims, np.full_like(height, 0.002), {"units": "kg/kg"}),
            "U": (
                dims,
                np.arange(4, dtype=np.float32)[:, np.newaxis] + 0 * height,
                {"units": "m/s"},
            ),
            "V": (dims, 0 * height, {"units": "m/s, positive = northward"}),
            "GEOS_HT": (dims, height, {"units": "meter"}),
        }
    )


def test_newer_files_are_read_at_a_position(tmp_path: Path) -> None:
    path = write_raw(make_new(), tmp_path / "new.nc")
    assert STATE.recognises(read_header(path))
    curtain = read_era5_at(path, 48.716, 2.212)  # the point of row 1, column 1: the fourth
    assert set(curtain.data_vars) == {*STATE_FIELDS, "gate_height"}
    assert (float(curtain["latitude"]), float(curtain["longitude"])) == (48.75, 2.25)
    assert float(curtain["eastward_wind"][0, 0]) == 3
    assert curtain["time"].values[2] == np.datetime64("2021-03-14T02:00")
    np.testing.assert_allclose(curtain["height"], GEOMETRIC_M, atol=0.02)
    np.testing.assert_allclose(curtain["temperature"][1], 288 - 0.0065 * HEIGHTS_M, atol=0.01)
    assert float(curtain["altitude"]) == 0


def test_older_files_are_unpacked_and_turned(tmp_path: Path) -> None:
    path = write_raw(make_old(), tmp_path / "old.nc", "NETCDF3_64BIT_OFFSET")
    assert STATE.recognises(read_header(path))
    curtain = read_era5(path)
    expected = read_era5_at(write_raw(make_new(), tmp_path / "new.nc"), 48.75, 2.0)
    np.testing.assert_array_equal(curtain["time"], expected["time"])
    np.testing.assert_allclose(
        curtain["height"], expected["height"], atol=0.2
    )  # shorts step by 0.16 m
    for name in STATE_FIELDS:
        np.testing.assert_allclose(curtain[name], expected[name], atol=2e-3, err_msg=name)


def test_two_experiment_versions_complete_each_other(tmp_path: Path) -> None:
    new = make_new().isel(latitude=[0], longitude=[0]).drop_vars("expver")
    versions = [new.copy(deep=True), new.copy(deep=True)]
    for name in ("t", "q", "u", "v", "z"):
        versions[0][name][2:] = np.nan  # ERA5 ends, ERA5T goes on
        versions[1][name][:2] = np.nan
    both = xr.concat(
        versions, dim=xr.Variable("expver", np.array([1, 5], dtype=np.int32)), coords="minimal"
    )
    both = both.rename(valid_time="time", pressure_level="level").transpose(
        "time", "expver", "level", ...
    )
    curtain = read_era5(write_raw(both, tmp_path / "mixed.nc"))
    xr.testing.assert_equal(curtain, read_era5(write_raw(new, tmp_path / "final.nc")))


@pytest.mark.parametrize(
    ("file", "asked"), [((358.0, 358.25), -1.8), ((-2.0, -1.75), 358.2), ((0.0, 359.75), -0.2)]
)
def test_longitudes_of_either_convention_meet(
    tmp_path: Path, file: tuple[float, float], asked: float
) -> None:
    raw = make_new()
    raw["longitude"] = ("longitude", np.array(file), {"units": "degrees_east"})
    curtain = read_era5_at(write_raw(raw, tmp_path / "new.nc"), 49.0, asked)
    assert float(curtain["eastward_wind"][0, 0]) == 1  # the second column of the first row


def test_many_points_need_a_position(tmp_path: Path) -> None:
    path = write_raw(make_new(), tmp_path / "new.nc")
    with pytest.raises(
        SourceFileError, match=r"covers 3 x 2 grid points \(latitude 48.5 to 49, .*'position'"
    ):
        read_era5(path)


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"), [(49.3, 2.1, "latitude"), (48.6, 2.6, "longitude")]
)
def test_positions_beyond_the_grid_are_rejected(
    tmp_path: Path, latitude: float, longitude: float, name: str
) -> None:
    path = write_raw(make_new(), tmp_path / "new.nc")
    with pytest.raises(
        SourceFileError, match=rf"nearest {name} .* at most one grid step \(0.25 degrees\) is right"
    ):
        read_era5_at(path, latitude, longitude)


def test_single_point_far_from_the_position_is_rejected(tmp_path: Path) -> None:
    path = write_raw(make_new().isel(latitude=0, longitude=0), tmp_path / "point.nc")
    assert float(read_era5_at(path, 49.1, 2.1)["latitude"]) == 49
    with pytest.raises(SourceFileError, match="nearest latitude to 52 is 49, 3 degrees away"):
        read_era5_at(path, 52.0, 2.0)


def test_levels_below_the_ground_are_kept_unless_the_file_tells_the_ground(tmp_path: Path) -> None:
    raw = make_new().isel(latitude=0, longitude=0)
    kept = read_era5(write_raw(raw, tmp_path / "kept.nc"))
    assert np.isfinite(kept["temperature"].values).all()
    raw["z_sfc"] = (
        "valid_time",
        np.full(HOURS, 500 * GRAVITY, dtype=np.float32),
        {"units": "m**2 s**-2"},
    )
    cut = read_era5(write_raw(raw, tmp_path / "cut.nc"))
    assert float(cut["altitude"]) == pytest.approx(500.04, abs=0.01)
    np.testing.assert_allclose(cut["height"], GEOMETRIC_M - 500.04, atol=0.02)
    np.testing.assert_array_equal(
        np.isnan(cut["temperature"].values).all(axis=0), [True, False, False, False]
    )


def test_fields_that_were_not_retrieved_are_left_out(tmp_path: Path) -> None:
    raw = make_new().isel(latitude=0, longitude=0).drop_vars(["u", "v"])
    curtain = read_era5(write_raw(raw, tmp_path / "new.nc"))
    assert set(curtain.data_vars) == {"temperature", "specific_humidity", "gate_height"}


def test_trajectory_runs_forward_with_its_positions(tmp_path: Path) -> None:
    curtain = read_era5(write_raw(make_trajectory(), tmp_path / "trajectory.nc"))
    np.testing.assert_array_equal(curtain["time"], np.datetime64("2020-03-13T15") + np.arange(4))
    np.testing.assert_array_equal(curtain["latitude"], [72, 71, 70, 69])
    np.testing.assert_array_equal(curtain["longitude"], [12, 13, 14, 15])
    np.testing.assert_array_equal(curtain["eastward_wind"][:, 0], [3, 2, 1, 0])
    np.testing.assert_allclose(curtain["height"], GEOMETRIC_M, atol=0.02)


def test_positions_that_cannot_be_are_unknown(tmp_path: Path) -> None:
    raw = make_trajectory()
    raw["Latitude"][1] = 9.96921e36
    curtain = read_era5(write_raw(raw, tmp_path / "trajectory.nc"))
    np.testing.assert_array_equal(curtain["latitude"], [72, 71, np.nan, 69])


def test_trajectory_takes_no_position(tmp_path: Path) -> None:
    path = write_raw(make_trajectory(), tmp_path / "trajectory.nc")
    with pytest.raises(SourceFileError, match="it follows a trajectory and has its own positions"):
        read_era5_at(path, 69.0, 15.0)


def add_member(raw: xr.Dataset) -> xr.Dataset:
    return raw.assign(
        {name: raw[name].expand_dims(number=10) for name in ("t", "q", "u", "v", "z")}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.drop_vars("t"), "not an ERA5 file on pressure levels: it lacks t"),
        (
            lambda raw: raw.drop_vars("z"),
            "it lacks the geopotential 'z', without which the heights",
        ),
        (set_units("z", "m"), "'z' has units 'm'; 'm2 s-2' is right"),
        (set_units("t", "degC"), "values of temperature are outside 150 to 350"),
        (set_units("pressure_level", "1"), "'pressure_level' has units '1'; 'hPa' is right"),
        (set_value("t", (2, 1), 15.0), "1 values of temperature are outside 150 to 350"),
        (set_value("q", (2, 1), 4.0), "1 values of specific_humidity are outside .* g kg-1"),
        (set_value("z", (2, 1), 0.0), "heights run both up and down in profile 2"),
        (lambda raw: raw.drop_vars("number").pipe(add_member), "'t' has dimensions .*'number': 10"),
        (lambda raw: raw.assign(z_sfc=raw["z"]), "'z_sfc' has dimensions"),
    ],
)
def test_each_wrong_file_is_rejected_by_name(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = write_raw(change(make_new().isel(latitude=0, longitude=0)), tmp_path / "wrong.nc")
    with pytest.raises(SourceFileError, match=message) as caught:
        read_era5(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda raw: raw.drop_vars("GEOS_HT"),
            "not an ERA5 file along a trajectory: it lacks GEOS_HT",
        ),
        (set_units("Time", "Hours since the end"), "'Time' has units 'Hours since the end'"),
        (set_units("GEOS_HT", "km"), "heights run both up and down"),
        (lambda raw: raw.isel(latitude=slice(3)), r"one for each of the 4 times is right"),
        (set_value("V", (2, 1), -999.0), "1 values of northward_wind are outside"),
    ],
)
def test_each_wrong_trajectory_is_rejected_by_name(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = write_raw(change(make_trajectory()), tmp_path / "wrong.nc")
    with pytest.raises(SourceFileError, match=message) as caught:
        read_era5(path)
    assert str(path) in str(caught.value)


def test_measured_trajectory_ends_at_andenes(measured_directory: Path) -> None:
    folder = measured_directory / "state_profiles"
    path = folder / "theta_temp_rh_sh_uvw_sst_along_trajectory_era5ml_28h_end_2020-03-13-18.nc"
    if not path.is_file():
        pytest.skip(f"no measured data: {path} is no file")
    assert STATE.recognises(read_header(path))
    curtain = read_era5(path)
    assert curtain.sizes == {"time": 29, "height": 137}
    assert curtain["time"].values[-1] == np.datetime64("2020-03-13T18")
    assert float(curtain["latitude"][-1]) == pytest.approx(69.141, abs=1e-3)
    assert float(curtain["gate_height"][-1, 0]) == pytest.approx(18.17, abs=0.01)
    # Cold air from the ice warms over the sea: some 20 K near the surface.
    warming = float(curtain["temperature"][-1, 0] - curtain["temperature"][0, 0])
    assert 15 < warming < 30
