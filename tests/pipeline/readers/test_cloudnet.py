"""Cloudnet Level 1b files: the curtain that is read, and rejected files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    INFINITE,
    OFF_ZENITH,
    REPEATED,
    UNTIMED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    with_units,
    write_raw,
)

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers.cloudnet import read_cloudnet_radar

FILL = np.float32(9.96921e36)
PROFILES, GATES = 10, 8
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
MIDNIGHT = np.datetime64("2021-03-14", "ns")


def make_raw() -> xr.Dataset:
    """Ten profiles from 06:00 on, 36 s apart, eight gates; no echo at gate 2, NaN at (3, 4)."""
    zh = np.linspace(-40, 10, PROFILES * GATES, dtype=np.float32).reshape(PROFILES, GATES)
    zh[:, 2] = FILL
    zh[3, 4] = np.nan
    v = np.where(zh == FILL, FILL, np.float32(-1.5))
    v[5, 5] = FILL  # echo of unknown velocity
    fill = {"_FillValue": FILL}
    return xr.Dataset(
        {
            "Zh": (("time", "range"), zh, {"units": "dBZ", **fill}),
            "v": (("time", "range"), v.astype(np.float32), {"units": "m s-1", **fill}),
            "latitude": ((), np.float32(48.716), {"units": "degree_north"}),
            "longitude": ((), np.float32(2.212), {"units": "degree_east"}),
            "altitude": ((), np.float32(156), {"units": "m"}),
            "zenith_angle": ((), np.float32(0), {"units": "degree"}),
        },
        {
            "time": (
                "time",
                6 + 0.01 * np.arange(PROFILES),
                {"units": "hours since 2021-03-14 00:00:00 +00:00"},
            ),
            "range": ("range", (12.5 + 25 * np.arange(GATES)).astype(np.float32), {"units": "m"}),
        },
        {"source": "BASTA", "location": "Palaiseau", "file_uuid": "1234", "history": "left out"},
    )


def read_raw(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    return read_cloudnet_radar(write_raw(raw, folder / "20210314_station.nc"))


def with_values(raw: xr.Dataset, name: str, values: Any) -> xr.Dataset:
    """Returns the file's content with other values of a variable, its attributes kept."""
    dims = raw[name].dims if np.ndim(values) else ()
    return raw.assign({name: (dims, np.asarray(values, dtype=raw[name].dtype), raw[name].attrs)})


def with_hours(raw: xr.Dataset, hours: dict[int, float]) -> xr.Dataset:
    values = raw["time"].values.copy()
    for index, value in hours.items():
        values[index] = value
    return with_values(raw, "time", values)


def with_pixel(raw: xr.Dataset, value: float) -> xr.Dataset:
    values = raw["Zh"].values.copy()
    values[7, 7] = value
    return with_values(raw, "Zh", values)


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC"])
def test_each_netcdf_form_is_read_alike(form: str, tmp_path: Path) -> None:
    curtain = read_cloudnet_radar(write_raw(make_raw(), tmp_path / "20210314_station.nc", form))
    check_curtain(curtain)
    assert curtain.identical(read_raw(make_raw(), tmp_path))
    assert curtain["reflectivity"].values[0, 0] == -40
    assert curtain["height"].values.tolist() == [12.5 + 25 * i for i in range(GATES)]
    # 6 h, then 0.01 h = 36 s more a profile.
    assert np.array_equal(
        curtain["time"].values - MIDNIGHT,
        (21600 + 36 * np.arange(PROFILES)) * np.timedelta64(1, "s"),
    )
    assert (curtain["latitude"].item(), curtain["altitude"].item()) == (
        pytest.approx(48.716, abs=1e-5),
        156,
    )


def test_fill_value_is_no_echo_and_literal_nan_no_data(tmp_path: Path) -> None:
    curtain = read_raw(make_raw(), tmp_path)
    status = curtain["detection_status"].values
    assert (status[:, 2] == NO_ECHO).all()
    assert status[3, 4] == NO_DATA
    assert (status == ECHO).sum() == PROFILES * GATES - PROFILES - 1
    assert np.isnan(curtain["reflectivity"].values).sum() == PROFILES + 1


def test_nan_is_no_echo_where_the_file_declares_it_as_its_fill_value(tmp_path: Path) -> None:
    raw = make_raw()
    values = np.where(raw["Zh"].values == FILL, np.nan, raw["Zh"].values)
    raw = with_values(raw, "Zh", values)
    raw["Zh"].attrs["_FillValue"] = np.float32(np.nan)
    status = read_raw(raw, tmp_path)["detection_status"].values
    assert (status[:, 2] == NO_ECHO).all()
    assert not (status == NO_DATA).any()


def test_nan_without_any_fill_value_is_no_data(tmp_path: Path) -> None:
    raw = with_values(make_raw(), "Zh", np.full((PROFILES, GATES), np.nan))
    raw["Zh"].attrs.pop("_FillValue")
    assert (read_raw(raw, tmp_path)["detection_status"].values == NO_DATA).all()


def test_older_missing_value_serves_as_the_fill_value(tmp_path: Path) -> None:
    raw = make_raw()
    raw["Zh"].attrs["missing_value"] = raw["Zh"].attrs.pop("_FillValue")
    assert (read_raw(raw, tmp_path)["detection_status"].values[:, 2] == NO_ECHO).all()


def test_velocity_is_kept_where_there_is_echo(tmp_path: Path) -> None:
    curtain = read_raw(make_raw(), tmp_path)
    has_velocity = np.isfinite(curtain["doppler_velocity"].values)
    expected = curtain["detection_status"].values == ECHO
    expected[5, 5] = False  # its velocity is a fill value
    assert np.array_equal(has_velocity, expected)
    assert np.unique(curtain["doppler_velocity"].values[has_velocity]).tolist() == [-1.5]


def test_velocity_and_tilt_may_be_absent(tmp_path: Path) -> None:
    curtain = read_raw(make_raw().drop_vars(["v", "zenith_angle"]), tmp_path)
    assert set(curtain.data_vars) == {"reflectivity", "detection_status"}


def test_origin_of_the_file_is_kept_under_our_names(tmp_path: Path) -> None:
    assert read_raw(make_raw(), tmp_path).attrs == {
        "instrument": "BASTA",
        "site": "Palaiseau",
        "file_uuid": "1234",
    }


@pytest.mark.parametrize("name", ["radar_frequency", "frequency"])
def test_frequency_that_the_file_states_is_kept(name: str, tmp_path: Path) -> None:
    raw = make_raw().assign({name: ((), np.float32(95), {"units": "GHz"})})
    assert read_raw(raw, tmp_path).attrs["frequency_ghz"] == 95


@pytest.mark.parametrize(
    "units",
    [
        "hours since 2021-03-14",
        "hours since 2021-03-14 00:00:00",
        "hours since 2021-03-14T00:00:00Z",
    ],
)
def test_time_units_may_leave_the_midnight_out(units: str, tmp_path: Path) -> None:
    curtain = read_raw(with_units(make_raw(), "time", units), tmp_path)
    assert curtain["time"].values[0] == MIDNIGHT + np.timedelta64(6, "h")


def test_hours_in_single_precision_are_rounded_to_even_steps(tmp_path: Path) -> None:
    # 36 s steps: single precision near 6 h is good to 2^-22 h = 0.9 ms, so that steps differ by at
    # most 1.8 + 0.5 ms.
    raw = make_raw()
    raw = raw.assign_coords(time=("time", raw["time"].values.astype(np.float32), raw["time"].attrs))
    steps = np.diff(read_raw(raw, tmp_path)["time"].values) / np.timedelta64(1, "ms")
    assert np.abs(steps - 36_000).max() <= 3


def test_last_instant_of_the_day_stays_in_it(tmp_path: Path) -> None:
    curtain = read_raw(with_hours(make_raw(), {PROFILES - 1: 24.0}), tmp_path)
    assert curtain["time"].values[-1] == np.datetime64("2021-03-14T23:59:59.999")


def test_site_whose_fixes_are_noisy_is_their_median_without_fill_values(tmp_path: Path) -> None:
    latitudes = np.full(PROFILES, 48.5, dtype=np.float32)
    latitudes[:4] = [float(FILL), np.nan, 48.4999, 48.5001]  # 11 m off
    raw = make_raw().assign(latitude=("time", latitudes))
    assert read_raw(raw, tmp_path)["latitude"].item() == 48.5


@pytest.mark.parametrize("tilt", [5.0, -5.0, np.nan, FILL], ids=["most", "least", "nan", "fill"])
def test_beam_within_five_degrees_or_of_unknown_tilt_is_read(tilt: float, tmp_path: Path) -> None:
    check_curtain(read_raw(with_values(make_raw(), "zenith_angle", tilt), tmp_path))


BAD_FILES = (
    BadFile(
        "no Zh",
        lambda r: r.drop_vars("Zh"),
        r"it lacks Zh \(has \['altitude', 'latitude', 'longitude', 'range'",
    ),
    BadFile(
        "no range",
        lambda r: r.drop_vars("range"),
        r"not a Cloudnet Level 1b radar file: it lacks range \(has \[",
    ),
    BadFile("no latitude", lambda r: r.drop_vars("latitude"), r"it lacks latitude \(has \["),
    BadFile(
        "Zh in dBm",
        lambda r: with_units(r, "Zh", "dBm"),
        "'Zh' has units 'dBm'; 'dBZ' is right",
    ),
    BadFile(
        "range in km",
        lambda r: with_units(r, "range", "km"),
        "its heights end at .* heights in km",
    ),
    BadFile("v in Hz", lambda r: with_units(r, "v", "Hz"), "'v' has units 'Hz'; 'm s-1' is right"),
    BadFile(
        "Zh without units",
        lambda r: with_units(r, "Zh", None),
        "'Zh' has units 'none at all'; 'dBZ' is right",
    ),
    BadFile(
        "range without units",
        lambda r: with_units(r, "range", None),
        "'range' has units 'none at all'; 'm'",
    ),
    BadFile(
        "time without units",
        lambda r: with_units(r, "time", None),
        "'time' has units none at all; 'seconds since",
    ),
    BadFile(
        "time from no date",
        lambda r: with_units(r, "time", "hours since 2021-02-30"),
        "'2021-02-30' is no date",
    ),
    BadFile("no profile", lambda r: r.isel(time=slice(0)), "'time' is empty", CurtainError),
    BadFile(
        "swapped",
        lambda r: r.transpose("range", "time"),
        r"'Zh' has dimensions \('range', 'time'\); \('time', 'range'\) is right",
    ),
    BadFile(
        "gates downwards",
        lambda r: r.isel(range=slice(None, None, -1)),
        "height runs backwards",
        CurtainError,
    ),
    BadFile(
        "absurd value",
        lambda r: with_pixel(r, 1e20),
        r"'Zh' holds 1 values outside -120 to 80 dBZ \(first: 1e\+20\); an undeclared fill value or"
        r" linear units",
    ),
    BadFile(
        "tilted beam",
        lambda r: with_values(r, "zenith_angle", 30),
        "the beam points 30.0 degrees off zenith; at most 5 make a curtain",
    ),
    BadFile(
        "NaN latitude",
        lambda r: with_values(r, "latitude", np.nan),
        "'latitude' holds no value; the radar's place is needed",
    ),
    BadFile(
        "fill value longitude",
        lambda r: with_values(r, "longitude", FILL),
        "'longitude' holds no value",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(make_raw()), tmp_path / "20210314_station.nc")
    check_rejected(read_cloudnet_radar, path, bad.says, bad.error)


def test_fill_value_of_netcdf_need_not_be_declared(tmp_path: Path) -> None:
    raw = make_raw()
    assert raw["Zh"].attrs.pop("_FillValue") == np.float32(9.96921e36)
    xr.testing.assert_identical(read_raw(raw, tmp_path), read_raw(make_raw(), tmp_path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", r"not a netCDF file \(an empty file\)"),
        (b"time,Zh\n0,1\n", r"not a netCDF file \(first bytes b'time,Zh.n'\)"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_file_of_the_format_is_rejected(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "20210314_station.nc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFileError, match=rf"^{path}: {says}"):
        read_cloudnet_radar(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_truncated_file_is_rejected(share: float, tmp_path: Path, simulated_file: Path) -> None:
    whole = simulated_file.read_bytes()
    path = tmp_path / "20000101_simulated.nc"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        SourceFileError, match=rf"^{path}: cannot be read as netCDF, it may be cut short"
    ):
        read_cloudnet_radar(path)


def test_simulated_file_is_read(simulated_file: Path) -> None:
    curtain = read_cloudnet_radar(simulated_file)
    check_curtain(curtain)
    # Two hours of profiles 30 s apart; a front, then clear sky.
    assert curtain.sizes["time"] == 240
    echo = (curtain["detection_status"] == ECHO).mean("height").values
    assert echo[:100].mean() > 0.1 > echo[140:].mean()


def test_threads_read_the_same_files_at_once(simulated_file: Path, tmp_path: Path) -> None:
    paths = [
        simulated_file,
        write_raw(make_raw(), tmp_path / "4.nc"),
        write_raw(make_raw(), tmp_path / "3.nc", "NETCDF3_CLASSIC"),
    ]
    expected = [read_cloudnet_radar(path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read_cloudnet_radar, paths * 8))
    assert len(results) == 24
    assert all(found.identical(expected[number % 3]) for number, found in enumerate(results))


@pytest.mark.parametrize("source", ["palaiseau_basta", "granada_rpg94", "schneefernerhaus_mira"])
def test_measured_file_is_read(source: str, measured_directory: Path, catalog_file: Path) -> None:
    entry = read_catalog(catalog_file)[source]
    paths = next(iter(entry.find_days(measured_directory).values()))
    curtain = read_curtain(paths[0], entry.reader)
    check_curtain(curtain)
    assert curtain.attrs["file_uuid"]
    assert curtain["height"].values[-1] > 10_000


FAULTY = (
    FaultyProfiles("repeated time", lambda r: with_hours(r, {4: 6.03}), {REPEATED: 1}),
    FaultyProfiles(
        "times of the next day", lambda r: with_hours(r, {8: 24.5, 9: 25}), {UNTIMED: 2}
    ),
    FaultyProfiles("missing time", lambda r: with_hours(r, {0: np.nan}), {UNTIMED: 1}),
    FaultyProfiles("infinite value", lambda r: with_pixel(r, np.inf), {INFINITE: 1}),
    FaultyProfiles("infinitely weak", lambda r: with_pixel(r, -np.inf), {INFINITE: 1}),
    FaultyProfiles(
        "scan",
        lambda r: r.assign(zenith_angle=("time", np.array([np.nan, *[0.0] * 8, -20.0]))),
        {OFF_ZENITH: 1},
    ),
    FaultyProfiles(
        "scan in radians",
        lambda r: r.assign(zenith_angle=("time", np.array([0.35, *[0.0] * 9]), {"units": "rad"})),
        {OFF_ZENITH: 1},
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(make_raw()), tmp_path / "20210314_station.nc")
    check_left_out(read_cloudnet_radar(path), faulty, make_raw().sizes["time"])
