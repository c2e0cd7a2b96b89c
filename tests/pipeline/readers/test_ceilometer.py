"""Ceilometer files: the curtain that is read of both layouts, and rejected files.

Both layouts are tested on measured files too (CL31 at SGP, CL51 at Norunda).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    OFF_BEAM,
    UNTIMED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    with_units,
    with_value,
    write_raw,
)

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.readers._netcdf import read_header, read_netcdf
from blindzone.pipeline.readers.ceilometer import LIDAR, read_ceilometer
from blindzone.pipeline.readers.mpl import LIDAR as MICROPULSE_LIDAR

NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
DIMS = ("time", "range")
PROFILES, GATES = 20, 100
RANGE_M = (15 + 30 * np.arange(GATES)).astype(np.float32)
CLOUD = (slice(None), slice(30, 34))
FILL = np.float32(9.96921e36)
ARM_UNITS = "1/(sr*km*10000)"


def make_arm() -> xr.Dataset:
    """Twenty profiles 16 s apart: a cloud of 1e-4 sr-1 m-1 at gates 30 to 33, noise elsewhere."""
    noise = (
        np.random.default_rng(0).normal(0, 1e-6, (PROFILES, GATES)) * RANGE_M**2
    )  # 1e-13 sr-1 m-3, as at SGP
    noise[CLOUD] = 1000
    return xr.Dataset(
        {
            "backscatter": (DIMS, noise.astype(np.float32), {"units": ARM_UNITS}),
            "status_flag": (
                "time",
                np.full(PROFILES, 1, dtype=np.int16),
                {"missing_value": np.int16(-9999)},
            ),
            "tilt_angle": ("time", np.ones(PROFILES, dtype=np.float32), {"units": "degree"}),
            "first_cbh": ("time", np.full(PROFILES, 900, dtype=np.float32), {"units": "m"}),
            "time_offset": (
                "time",
                11 + 16.0 * np.arange(PROFILES),
                {"units": "seconds since 2019-01-03 00:00:00 0:00"},
            ),
            "lat": ((), np.float32(36.605), {"units": "degree_N"}),
            "lon": ((), np.float32(-97.485), {"units": "degree_E"}),
            "alt": ((), np.float32(318), {"units": "m"}),
        },
        {"range": ("range", RANGE_M, {"units": "m"})},
        {"datastream": "sgpceilC1.b1", "facility_id": "C1"},
    )


def make_cloudnet() -> xr.Dataset:
    """Twenty profiles 36 s apart, tilted 12 degrees: a screened cloud at gates 30 to 33."""
    raw = make_arm()["backscatter"].values * np.float32(1e-7)
    beta = np.full(raw.shape, FILL)
    beta[CLOUD] = raw[CLOUD]
    return xr.Dataset(
        {
            "beta": (DIMS, beta, {"units": "sr-1 m-1", "_FillValue": FILL}),
            "beta_raw": (DIMS, raw, {"units": "sr-1 m-1"}),
            "zenith_angle": ((), np.float32(12), {"units": "degree"}),
            "latitude": ((), np.float32(60.086), {"units": "degree_north"}),
            "longitude": ((), np.float32(17.479), {"units": "degree_east"}),
            "altitude": ((), np.float32(46), {"units": "m"}),
        },
        {
            "time": (
                "time",
                0.01 * np.arange(PROFILES),
                {"units": "hours since 2022-07-29 00:00:00 +00:00"},
            ),
            "range": ("range", RANGE_M, {"units": "m"}),
        },
        {
            "source": "Vaisala CL51",
            "location": "Norunda",
            "file_uuid": "1234",
            "history": "left out",
        },
    )


def read_raw(raw: xr.Dataset, folder: Path, form: str = "NETCDF4") -> xr.Dataset:
    return read_ceilometer(write_raw(raw, folder / "ceilometer.nc", form))


def is_cloud() -> np.ndarray:
    cloud = np.zeros((PROFILES, GATES), dtype=bool)
    cloud[CLOUD] = True
    return cloud


def test_beta_that_holds_its_noise_is_screened_here(tmp_path: Path) -> None:
    # As the Met Office writes it: `beta` calibrated, with a value in every gate.
    raw = make_cloudnet()
    raw["beta"] = raw["beta_raw"]
    noisy = read_ceilometer(write_raw(raw, tmp_path / "noisy.nc"))
    status = noisy["backscatter_status"].values
    assert (status[CLOUD] == ECHO).all()
    assert (status == ECHO).mean() == pytest.approx(0.04, abs=0.002)  # 4 of 100 gates


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_arm_file_is_read(form: str, tmp_path: Path) -> None:
    curtain = read_raw(make_arm(), tmp_path, form)
    check_curtain(curtain)
    status = curtain["backscatter_status"].values
    assert (status[is_cloud()] == ECHO).all()
    # A gate that is next to the cloud and strong by chance, one of 31600, would have a neighbour;
    # the seed has none.
    assert (status[~is_cloud()] == NO_ECHO).all()
    # 1000 of 1e-4 km-1 sr-1 are 0.1 km-1 sr-1 = 1e-4 sr-1 m-1.
    assert curtain["attenuated_backscatter"].values[CLOUD] == pytest.approx(1e-4)
    assert not curtain["quality_flags"].values.any()
    assert curtain["time"].values[1] == np.datetime64("2019-01-03T00:00:27")
    assert np.array_equal(curtain["height"].values, RANGE_M)  # a tilt of one degree is left out
    assert curtain["altitude"] == 318
    assert curtain.attrs == {"instrument": "sgpceilC1.b1", "site": "C1"}


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        (ARM_UNITS, 1.0),
        ("1/(sr km 10000)", 1.0),
        ("km-1 sr-1", 1e-4),
        ("1/(sr*m)", 1e-7),
        ("sr-1 m-1", 1e-7),
    ],
)
def test_backscatter_is_scaled_by_its_units(units: str, factor: float, tmp_path: Path) -> None:
    raw = make_arm()
    raw["backscatter"] = (
        DIMS,
        (raw["backscatter"].values * factor).astype(np.float32),
        {"units": units},
    )
    assert read_raw(raw, tmp_path)["attenuated_backscatter"].values[CLOUD] == pytest.approx(1e-4)


def test_missing_value_of_arm_is_no_data_even_if_undeclared(tmp_path: Path) -> None:
    raw = with_value(
        with_value(make_arm(), "backscatter", (3, 31), -9999), "backscatter", (4, 90), np.nan
    )
    status = read_raw(raw, tmp_path)["backscatter_status"].values
    assert np.argwhere(status == NO_DATA).tolist() == [[3, 31], [4, 90]]


def test_profiles_of_an_alarm_and_bad_values_are_rejected_and_no_data(tmp_path: Path) -> None:
    qc = np.zeros((PROFILES, GATES), dtype=np.int32)
    qc[5, 31] = 2
    raw = with_value(make_arm(), "status_flag", 3, 2).assign(qc_backscatter=(DIMS, qc))
    raw.attrs["qc_bit_2_assessment"] = "Bad"
    curtain = read_raw(raw, tmp_path)
    rejected = curtain["quality_flags"].values == QualityFlag.REJECTED
    assert np.array_equal(rejected, curtain["backscatter_status"].values == NO_DATA)
    assert rejected[3].all()
    assert rejected[5, 31]
    assert rejected.sum() == GATES + 1


def test_cloudnet_screening_is_kept_and_noise_told_from_outage(tmp_path: Path) -> None:
    raw = with_value(with_value(make_cloudnet(), "beta", (2, 50), np.nan), "beta_raw", 7, np.nan)
    raw = with_value(raw, "beta", 7, float(FILL))
    curtain = read_raw(raw, tmp_path)
    check_curtain(curtain)
    expected = np.where(is_cloud(), ECHO, NO_ECHO)
    expected[2, 50] = expected[7] = NO_DATA
    assert np.array_equal(curtain["backscatter_status"].values, expected)
    assert curtain["attenuated_backscatter"].values[0, 30] == pytest.approx(1e-4)
    assert curtain["height"].values == pytest.approx(RANGE_M * 0.9781476)  # cos(12 degrees)
    assert curtain["time"].values[1] == np.datetime64("2022-07-29T00:00:36")
    assert curtain.attrs == {"instrument": "Vaisala CL51", "site": "Norunda", "file_uuid": "1234"}


def test_unscreened_cloudnet_backscatter_is_screened_where_it_is_alone(tmp_path: Path) -> None:
    expected = read_raw(make_cloudnet(), tmp_path)
    found = read_raw(make_cloudnet().drop_vars("beta"), tmp_path)
    assert found["backscatter_status"].equals(expected["backscatter_status"])


def test_last_profile_of_a_day_stays_in_it(tmp_path: Path) -> None:
    curtain = read_raw(with_value(make_cloudnet(), "time", -1, 24.0), tmp_path)
    assert curtain["time"].values[-1] == np.datetime64("2022-07-29T23:59:59.999")


BAD_FILES = (
    BadFile(
        "no backscatter",
        lambda: make_arm().drop_vars("backscatter"),
        r"not a ceilometer file: it has none of backscatter, beta, beta_raw \(has \[",
    ),
    BadFile(
        "no range",
        lambda: make_arm().drop_vars("range"),
        "not an ARM ceilometer file: it lacks range",
    ),
    BadFile(
        "no time",
        lambda: make_cloudnet().drop_vars("time"),
        "not a Cloudnet lidar file: it lacks time",
    ),
    BadFile(
        "range in km",
        lambda: with_units(make_arm(), "range", "km"),
        "its heights end at .* heights in km",
    ),
    BadFile(
        "range without units",
        lambda: with_units(make_cloudnet(), "range", None),
        "'range' has units 'none at all'",
    ),
    BadFile(
        "unknown units",
        lambda: with_units(make_arm(), "backscatter", "dB"),
        r"'backscatter' has units 'dB'; 'sr-1 m-1'",
    ),
    BadFile(
        "no units",
        lambda: with_units(make_cloudnet(), "beta", None),
        "'beta' has units 'none at all'",
    ),
    BadFile(
        "mistaken units",
        lambda: with_units(make_arm(), "backscatter", "sr-1 m-1"),
        r"'backscatter' holds \d+ values outside -0.1 to 1 sr-1 m-1 \(first",
    ),
    BadFile(
        "undeclared fill",
        lambda: with_value(make_cloudnet(), "beta", (0, 0), -999.0),
        r"'beta' holds 1 values outside -0.1 to 1 sr-1 m-1 \(first: -999\)",
    ),
    BadFile(
        "tilted far",
        lambda: with_value(make_cloudnet(), "zenith_angle", (), 45.0),
        "points 45.0 degrees off zenith; at most 30 make a curtain",
    ),
    BadFile(
        "altitude in seconds",
        lambda: with_units(make_arm(), "alt", "s"),
        "'alt' has units 's'; 'm' is right",
    ),
    BadFile(
        "screened",
        lambda: with_value(make_arm(), "backscatter", slice(None), 3.0),
        "none of 20 profiles holds noise in its upper gates",
    ),
    BadFile(
        "qc that is no bits",
        lambda: make_arm().assign(qc_backscatter=(DIMS, np.full((PROFILES, GATES), 0.5))),
        "'qc_backscatter' holds values of type float64 such as",
    ),
    BadFile(
        "swapped",
        lambda: make_cloudnet().transpose("range", "time"),
        r"has dimensions \('range', 'time'\)",
    ),
    BadFile(
        "local time",
        lambda: with_units(make_cloudnet(), "time", "hours since 2022-07-29 00:00:00 CEST"),
        "'2022-07-29 00:00:00 CEST' is no instant in UTC",
    ),
    BadFile(
        "no date",
        lambda: with_units(make_cloudnet(), "time", "hours since 2022-13-29 00:00:00"),
        "'2022-13-29 00:00:00' is no date",
    ),
    BadFile("no profile", lambda: make_arm().isel(time=slice(0)), "'time' is empty", CurtainError),
    BadFile(
        "gates downwards",
        lambda: make_cloudnet().isel(range=slice(None, None, -1)),
        "height runs backwards",
        CurtainError,
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(), tmp_path / "ceilometer.nc")
    check_rejected(read_ceilometer, path, bad.says, bad.error)


def test_categorize_file_with_its_own_beta_is_not_claimed(tmp_path: Path) -> None:
    bits = make_cloudnet().assign(category_bits=("time", np.zeros(PROFILES, dtype=np.int32)))
    assert LIDAR.recognises(read_header(write_raw(make_cloudnet(), tmp_path / "lidar.nc")))
    assert not LIDAR.recognises(read_header(write_raw(bits, tmp_path / "categorize.nc")))


def test_of_the_measured_files_the_two_of_ceilometers_are_claimed(measured_directory: Path) -> None:
    paths = [
        path
        for path in sorted(measured_directory.rglob("*"))
        if path.suffix.lower() in (".nc", ".cdf", ".hdf5")
    ]
    claimed = {path.parent.name for path in paths if LIDAR.recognises(read_header(path))}
    assert claimed == {"arm_ceilometer", "norunda_ceilometer"}
    assert not any(
        MICROPULSE_LIDAR.recognises(read_header(path))
        for path in paths
        if path.parent.name in claimed
    )


@pytest.fixture(scope="module")
def measured_arm(measured_directory: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """The day of the CL31 at SGP: the file's content, and its curtain."""
    path = next((measured_directory / "arm_ceilometer").glob("*.nc"))
    return read_netcdf(path), read_ceilometer(path)


def test_measured_backscatter_sums_to_what_the_ceilometer_says(
    measured_arm: tuple[xr.Dataset, xr.Dataset],
) -> None:
    raw, curtain = measured_arm
    # `sum_backscatter` [1e-4 sr-1] is the instrument's own integral over its 10 m gates up to 7.7
    # km, and ends at 999; ours is over 30 m gates of signal. A wrong power of ten would be far off.
    own = raw["sum_backscatter"].values * 1e-4
    ours = np.nansum(curtain["attenuated_backscatter"].values, axis=1) * 30.0
    cloudy = (raw["detection_status"].values == 1) & (own < 0.0998) & (own > 0.005)
    assert cloudy.sum() > 3000
    assert np.median(ours[cloudy] / own[cloudy]) == pytest.approx(1.0, abs=0.1)


def test_measured_cloud_bases_hold_signal(measured_arm: tuple[xr.Dataset, xr.Dataset]) -> None:
    raw, curtain = measured_arm
    base = raw["first_cbh"].values
    profiles = np.flatnonzero((base > 0) & (base < 4000))
    near = np.abs(curtain["height"].values - base[profiles, np.newaxis]) < 60
    signal = curtain["backscatter_status"].values[profiles] == ECHO
    assert profiles.size > 3500
    assert (signal & near).any(axis=1).mean() > 0.95
    # Liquid cloud has some 1e-5 to 1e-3 sr-1 m-1.
    strongest = np.nanmax(
        np.where(near, curtain["attenuated_backscatter"].values[profiles], 0), axis=1
    )
    assert 5e-5 < np.median(strongest) < 1e-3


def test_measured_sky_above_thick_cloud_holds_no_signal(
    measured_arm: tuple[xr.Dataset, xr.Dataset],
) -> None:
    _, curtain = measured_arm
    evening = curtain.sel(
        time=slice("2019-01-03T17:45", "2019-01-03T22:00"), height=slice(4000, None)
    )
    # Stratus of 0.8 km over rain, in daylight and dusk: nothing passes it, and 110000 gates hold
    # noise.
    assert evening["backscatter_status"].size > 100_000
    assert int((evening["backscatter_status"] == ECHO).sum()) <= 2


def test_measured_cloudnet_file_agrees_with_its_own_screening(
    measured_directory: Path, tmp_path: Path
) -> None:
    path = next((measured_directory / "norunda_ceilometer").glob("*.nc"))
    curtain = read_ceilometer(path)
    check_curtain(curtain)
    raw = read_netcdf(path)
    assert int((curtain["backscatter_status"] == ECHO).sum()) == int((raw["beta"].values < 1).sum())
    # The beam is tilted by 4 degrees; the file's own heights are above sea level, at 46 m.
    assert curtain["height"].values == pytest.approx(raw["height"].values - 46, abs=0.01)
    # The noise of this file grows to 2400 m only: taken for fully corrected, most gates above would
    # be signal.
    alone = read_raw(raw.drop_vars(["beta", "beta_smooth"]), tmp_path)
    ours, theirs = (
        alone["backscatter_status"].values == ECHO,
        curtain["backscatter_status"].values == ECHO,
    )
    assert not ours[:, curtain["height"].values > 3000].any()
    assert (ours & theirs).sum() > 0.99 * theirs.sum()
    assert (
        ours.sum() < 1.15 * theirs.sum()
    )  # four standard deviations against the five of the network


FAULTY = (
    FaultyProfiles("next day", lambda: with_value(make_cloudnet(), "time", -1, 24.5), {UNTIMED: 1}),
    FaultyProfiles(
        "missing time", lambda: with_value(make_cloudnet(), "time", 3, np.nan), {UNTIMED: 1}
    ),
    FaultyProfiles("earlier time", lambda: with_value(make_arm(), "time_offset", 7, 0.0), {}),
    FaultyProfiles(
        "other tilt", lambda: with_value(make_arm(), "tilt_angle", slice(2, 4), 20.0), {OFF_BEAM: 2}
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(), tmp_path / "ceilometer.nc")
    check_left_out(read_ceilometer(path), faulty, PROFILES)
