"""Micropulse lidar files: the curtain that is read of both layouts, and rejected files.

MiniMPL files are tested on measured ones too (Lille). No ARM file is at hand: those written here
follow the header of `sgpminimplC1.b1` (ingest-mplpolfs-1.24), and count what a lidar would that
sees a known backscatter.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    OFF_BEAM,
    REPEATED,
    UNTIMED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    with_attrs,
    with_value,
    write_raw,
)

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.readers._netcdf import read_header, read_netcdf
from blindzone.pipeline.readers.ceilometer import LIDAR as CEILOMETER
from blindzone.pipeline.readers.mpl import LIDAR, read_mpl

NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
UNTRUSTED = DetectionStatus.UNTRUSTED
FIELD = "normalized_relative_backscatter"
PROFILES, GATES, LOWEST = 4, 400, 3
RAW_KM = (0.03 * np.arange(1, GATES + 1)).astype(np.float32)
KM = RAW_KM[LOWEST : GATES // 2]
CLOUD = slice(40, 44)
CO, CROSS = 2.0, 0.25
ENERGY = 3.0
NRB_UNIT = "(counts/(microsecond*microjoule))*kilometer^2"


def make_sigma() -> xr.Dataset:
    """Four profiles 5 min apart: cloud of 2 and 0.25 MHz km2 uJ-1 at gates 40 to 43, noise."""
    rng = np.random.default_rng(0)
    shape = (PROFILES, GATES)
    rates = {
        name: rng.normal(1e-4, 5e-5, shape) for name in ("copol", "crosspol")
    }  # counts/us, as in the files of Lille
    variables: dict[str, Any] = {}
    for name, value in (("copol", CO), ("crosspol", CROSS)):
        nrb = (rates[name] - 1e-4)[:, LOWEST : GATES // 2] / ENERGY * KM**2
        nrb[:, CLOUD] = value
        variables[f"{name}_raw"] = (
            ("time", "range_raw"),
            rates[name].astype(np.float32),
            {"unit": "(counts/us)"},
        )
        variables[f"{name}_nrb"] = (
            ("time", "range_nrb"),
            nrb.astype(np.float32),
            {"unit": NRB_UNIT},
        )
    calendar: dict[str, Any] = {
        "year": 2016,
        "month": 6,
        "day": 1,
        "hour": 0,
        "minute": 5 * np.arange(PROFILES),
        "second": 0,
    }
    for name, number in calendar.items():
        variables[name] = ("time", np.broadcast_to(number, PROFILES).astype(np.float32))
    for name, number, unit in (
        ("laser_energy", ENERGY, "microjoules"),
        ("elevation_angle", 0.0, "degrees"),
        ("azimuth_angle", 0.0, "degrees"),
        ("latitude", 50.609, "degrees"),
        ("longitude", 3.1327, "degrees"),
        ("altitude", 44.0, "meters"),
    ):
        variables[name] = ("time", np.full(PROFILES, number, dtype=np.float32), {"unit": unit})
    coordinates = {
        "range_raw": ("range_raw", RAW_KM, {"unit": "kilometers"}),
        "range_nrb": ("range_nrb", KM, {"description": "range_nrb"}),
    }
    return xr.Dataset(variables, coordinates, {"card_type": "MiniMPL", "lidar_site": "Lille"})


BINS = 1000
HEIGHT_KM = (0.03 * (np.arange(BINS) - 9)).astype(np.float32)  # ten gates before the laser fires
ARM_CLOUD = slice(100, 104)
ARM_ENERGY = 5.0
BACKGROUND = {"co_pol": 0.2, "cross_pol": 0.1}
DARK_COUNTS = 0.01
DEAD_TIME = (np.array([0.0, 10.0]), np.array([1.0, 2.0]))
"""Count rate [us-1] and factor: a measured rate of m is 1 + m / 10 times as high."""
OVERLAP = (np.array([0.15, 0.6, 3.0]), np.array([10.0, 1.5, 1.0]))
"""Height [km] and factor, which comes to 2 at 0.5735 km."""


def undo_dead_time(rate: np.ndarray | float) -> np.ndarray:
    """Returns the measured rate m that m * (1 + m / 10) = rate belongs to."""
    return np.asarray(-5 + np.sqrt(25 + 10 * np.asarray(rate)))


def make_arm() -> xr.Dataset:
    """Four profiles 10 s apart: cloud of 2 and 0.25 MHz km2 uJ-1, an afterpulse, noise."""
    rng = np.random.default_rng(0)
    afterpulse = DARK_COUNTS + 0.5 * np.exp(-np.maximum(HEIGHT_KM, 0) / 0.1)
    overlap = np.interp(HEIGHT_KM, *OVERLAP)
    variables: dict[str, Any] = {}
    for name, value in (("co_pol", CO), ("cross_pol", CROSS)):
        true = BACKGROUND[name] + afterpulse - DARK_COUNTS + rng.normal(0, 1e-3, (PROFILES, BINS))
        true[:, ARM_CLOUD] += value * ARM_ENERGY / (overlap * HEIGHT_KM**2)[ARM_CLOUD]
        measured = undo_dead_time(true).astype(np.float32)
        rate = {"units": "count/us", "missing_value": np.float32(-9999)}
        variables[f"signal_return_{name}"] = (("time", "range_bins"), measured, rate)
        variables[f"qc_signal_return_{name}"] = (
            ("time", "range_bins"),
            np.zeros(measured.shape, dtype=np.int32),
        )
        background = np.full(PROFILES, undo_dead_time(BACKGROUND[name]), dtype=np.float32)
        variables[f"background_signal_{name}"] = ("time", background, rate)
        variables[f"afterpulse_correction_{name}"] = (
            "range_bins",
            afterpulse.astype(np.float32),
            rate,
        )
    variables["height"] = ("range_bins", HEIGHT_KM, {"units": "km"})
    variables["energy_monitor"] = (
        "time",
        np.full(PROFILES, ARM_ENERGY, dtype=np.float32),
        {"units": "uJ"},
    )
    variables["dead_time_corrected"] = ("time", np.zeros(PROFILES, dtype=np.int32))
    variables["deadtime_correction_counts"] = (
        "num_deadtime_corr",
        DEAD_TIME[0],
        {"units": "count/us"},
    )
    variables["deadtime_correction"] = ("num_deadtime_corr", DEAD_TIME[1], {"units": "1"})
    variables["overlap_correction_heights"] = ("num_overlap_corr", OVERLAP[0], {"units": "km"})
    variables["overlap_correction"] = ("num_overlap_corr", OVERLAP[1], {"units": "1"})
    offset = 3.5 + 10.0 * np.arange(PROFILES)
    variables["time_offset"] = ("time", offset, {"units": "seconds since 2026-07-24 00:00:00 0:00"})
    for name, number in (("lat", 36.605), ("lon", -97.485), ("alt", 318.0)):
        variables[name] = ((), np.float32(number))
    return xr.Dataset(variables, attrs={"datastream": "sgpminimplC1.b1", "facility_id": "C1"})


def read_raw(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    return read_mpl(write_raw(raw, folder / "mpl.nc"))


def test_minimpl_file_is_read(tmp_path: Path) -> None:
    curtain = read_raw(make_sigma(), tmp_path)
    check_curtain(curtain)
    signal = np.zeros((PROFILES, KM.size), dtype=bool)
    signal[:, CLOUD] = True
    assert np.array_equal(curtain["backscatter_status"].values, np.where(signal, ECHO, NO_ECHO))
    # co-polar + 2 * cross-polar = 2 + 2 * 0.25; a count a microsecond is one MHz.
    assert curtain[FIELD].values[:, CLOUD] == pytest.approx(2.5)
    assert curtain["height"].values == pytest.approx(
        1000 * KM.astype(np.float64)
    )  # km, as `range_raw` says
    assert curtain["time"].values.tolist() == [
        np.datetime64(f"2016-06-01T00:{minute:02d}", "ns").astype(int) for minute in (0, 5, 10, 15)
    ]
    assert curtain["altitude"] == 44
    assert curtain.attrs == {"instrument": "MiniMPL", "site": "Lille"}


def test_range_is_read_by_its_own_unit_where_it_states_one(tmp_path: Path) -> None:
    raw = with_attrs(make_sigma(), "range_nrb", unit="km")
    assert read_raw(raw, tmp_path).identical(read_raw(make_sigma(), tmp_path))
    raw = with_attrs(make_sigma().assign_coords(range_nrb=KM * 1000), "range_nrb", units="m")
    assert read_raw(raw, tmp_path)["height"].values == pytest.approx(1000 * KM.astype(np.float64))


def test_scanner_near_the_zenith_lowers_the_gates(tmp_path: Path) -> None:
    raw = with_value(make_sigma(), "elevation_angle", slice(None), 80.0)
    assert read_raw(raw, tmp_path)["height"].values[0] == pytest.approx(
        120 * 0.9848078
    )  # sin(80 degrees)


def test_missing_polarization_is_no_data(tmp_path: Path) -> None:
    status = read_raw(with_value(make_sigma(), "crosspol_nrb", (1, 41), np.nan), tmp_path)[
        "backscatter_status"
    ].values
    assert np.argwhere(status == NO_DATA).tolist() == [[1, 41]]


def test_seconds_keep_their_fraction(tmp_path: Path) -> None:
    raw = with_value(make_sigma(), "second", slice(None), 59.5)
    assert read_raw(raw, tmp_path)["time"].values[0] == np.datetime64("2016-06-01T00:00:59.500")


def test_arm_counts_come_out_as_the_backscatter_that_made_them(tmp_path: Path) -> None:
    curtain = read_raw(make_arm(), tmp_path)
    check_curtain(curtain)
    height = curtain["height"].values
    assert height[0] == pytest.approx(30)  # gates before the laser fires are left out
    assert height.size == BINS - 10
    cloud = slice(ARM_CLOUD.start - 10, ARM_CLOUD.stop - 10)
    # Noise of 1e-3 * sqrt(1 + 2**2) counts/us is 3.3e-3 MHz km2 uJ-1 at 2.75 km, and 2.5 is
    # expected: 4 of these.
    assert curtain[FIELD].values[:, cloud] == pytest.approx(2.5, abs=0.014)
    status = curtain["backscatter_status"].values
    assert (status[:, cloud] == ECHO).all()
    above = status[:, height > 600]
    assert (above == ECHO).sum() == PROFILES * 4
    assert (above == NO_ECHO).sum() == above.size - PROFILES * 4
    assert curtain["time"].values[1] == np.datetime64("2026-07-24T00:00:13.500")
    assert curtain.attrs == {"instrument": "sgpminimplC1.b1", "site": "C1"}


def test_gates_of_little_overlap_are_untrusted(tmp_path: Path) -> None:
    curtain = read_raw(make_arm(), tmp_path)
    near = curtain["height"].values < 573.5
    assert np.array_equal(
        curtain["backscatter_status"].values == UNTRUSTED,
        np.broadcast_to(near, (PROFILES, near.size)),
    )
    flags = np.where(near, QualityFlag.BELOW_LOWEST_TRUSTED_GATE, 0)
    assert np.array_equal(
        curtain["quality_flags"].values, np.broadcast_to(flags, (PROFILES, near.size))
    )


def test_value_near_the_lidar_is_kept_and_corrected(tmp_path: Path) -> None:
    raw = make_arm()
    gates = slice(20, 22)  # 0.33 and 0.36 km: overlap factors of 6.6 and 6.033
    for name, value in (("co_pol", CO), ("cross_pol", CROSS)):
        overlap = np.interp(HEIGHT_KM[gates], *OVERLAP)
        true = BACKGROUND[name] + value * ARM_ENERGY / (overlap * HEIGHT_KM[gates] ** 2)
        afterpulse = raw[f"afterpulse_correction_{name}"].values[gates] - DARK_COUNTS
        raw = with_value(
            raw, f"signal_return_{name}", (slice(None), gates), undo_dead_time(true + afterpulse)
        )
    assert read_raw(raw, tmp_path)[FIELD].values[:, 10:12] == pytest.approx(2.5, rel=1e-4)


def test_dead_time_is_corrected_once(tmp_path: Path) -> None:
    raw = make_arm()
    for name in ("co_pol", "cross_pol"):
        for variable in (f"signal_return_{name}", f"background_signal_{name}"):
            rate = raw[variable].values
            raw[variable].values[:] = rate * (1 + rate / 10)
    raw = with_value(raw, "dead_time_corrected", slice(None), 1)
    expected = read_raw(make_arm(), tmp_path)
    assert np.allclose(
        read_raw(raw, tmp_path)[FIELD].values, expected[FIELD].values, rtol=1e-3, equal_nan=True
    )


def test_rate_beyond_the_dead_time_table_is_untrusted(tmp_path: Path) -> None:
    raw = with_value(make_arm(), "signal_return_co_pol", (2, 102), 15.0)
    curtain = read_raw(raw, tmp_path)
    assert curtain["backscatter_status"].values[2, 92] == UNTRUSTED
    assert curtain["quality_flags"].values[2, 92] == QualityFlag.REJECTED
    assert np.isfinite(curtain[FIELD].values[2, 92])


def test_missing_and_rejected_rates_are_no_data(tmp_path: Path) -> None:
    raw = with_value(make_arm(), "signal_return_cross_pol", (1, 102), -9999)
    raw = with_value(raw, "qc_signal_return_co_pol", (2, 101), 2)
    raw = with_value(raw, "energy_monitor", 3, 0.0)
    curtain = read_raw(raw, tmp_path)
    missing = curtain["backscatter_status"].values == NO_DATA
    assert missing[3].all()
    assert np.argwhere(missing[:3]).tolist() == [[1, 92], [2, 91]]
    assert curtain["quality_flags"].values[2, 91] == QualityFlag.REJECTED


BAD_FILES = (
    BadFile(
        "no nrb",
        lambda: make_sigma().drop_vars("copol_nrb"),
        "not a MiniMPL file: it lacks copol_nrb",
    ),
    BadFile(
        "no table",
        lambda: make_arm().drop_vars("deadtime_correction"),
        "not an ARM micropulse lidar file: it lacks deadtime_correction",
    ),
    BadFile("no time", lambda: make_arm().drop_vars("time_offset"), "it lacks time"),
    BadFile(
        "nrb without energy",
        lambda: with_attrs(make_sigma(), "copol_nrb", unit="counts km2/us"),
        "'copol_nrb' has units 'counts km2/us'; 'MHz km2 uJ-1' is right",
    ),
    BadFile(
        "nrb without unit",
        lambda: with_attrs(make_sigma(), "crosspol_nrb", unit=None),
        "has units 'none at all'",
    ),
    BadFile(
        "range in seconds",
        lambda: with_attrs(make_sigma(), "range_raw", unit="s"),
        "'range_nrb' has units 's'; 'm' is right",
    ),
    BadFile(
        "range of its own without unit",
        lambda: make_sigma().assign_coords(range_nrb=KM * 1000),
        "'range_nrb' states no units and is no part of 'range_raw', which does",
    ),
    BadFile(
        "height without units",
        lambda: with_attrs(make_arm(), "height", units=None),
        "'height' has units 'none",
    ),
    BadFile(
        "counts a metre",
        lambda: with_attrs(make_arm(), "signal_return_co_pol", units="count/m"),
        "'signal_return_co_pol' has units 'count/m'; 'MHz' is right",
    ),
    BadFile(
        "energy in millijoules",
        lambda: with_attrs(make_arm(), "energy_monitor", units="mJ"),
        "'energy_monitor' holds .* values outside 0.05 to 500 uJ",
    ),
    BadFile(
        "undeclared fill",
        lambda: with_value(make_sigma(), "copol_nrb", (0, 3), -9999.0),
        r"'copol_nrb \+ 2 crosspol_nrb' holds 1 values outside -900 to 1e\+06 MHz km2 uJ-1",
    ),
    BadFile(
        "negative counts",
        lambda: with_value(make_arm(), "signal_return_co_pol", (0, 3), -1.0),
        r"'signal_return_co_pol' holds 1 values outside 0 to 1000 counts/us \(first: -1\)",
    ),
    BadFile(
        "overlap itself",
        lambda: make_arm().assign(overlap_correction=("num_overlap_corr", 1 / OVERLAP[1])),
        "'overlap_correction' holds 0.1; factors of 1 and more, which multiply the signal, are"
        " right",
    ),
    BadFile(
        "holes in the afterpulse",
        lambda: with_value(make_arm(), "afterpulse_correction_co_pol", 5, -9999),
        "'afterpulse_correction_co_pol' holds 1 missing values; a whole table is right",
    ),
    BadFile(
        "afterpulse on gates of its own",
        lambda: make_arm().assign(
            afterpulse_correction_co_pol=("other", np.zeros(5), {"units": "count/us"})
        ),
        r"'afterpulse_correction_co_pol' has dimensions \('other',\); \('range_bins',\) is right",
    ),
    BadFile(
        "height of each profile",
        lambda: make_arm().assign(
            height=(
                ("time", "range_bins"),
                HEIGHT_KM * np.linspace(1, 2, PROFILES)[:, np.newaxis],
                {"units": "km"},
            )
        ),
        "'height' changes within the file",
    ),
    BadFile(
        "no noise",
        lambda: with_value(make_sigma(), "laser_energy", slice(None), 0.0),
        "none of 4 profiles holds noise in its upper gates",
    ),
    BadFile(
        "horizontal beam",
        lambda: with_value(make_sigma(), "elevation_angle", slice(None), 10.0),
        "points 80.0 degrees off zenith; at most 30 make a curtain",
    ),
    BadFile(
        "no profile", lambda: make_sigma().isel(time=slice(0)), "'time' is empty", CurtainError
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(), tmp_path / "mpl.nc")
    check_rejected(read_mpl, path, bad.says, bad.error)


@pytest.mark.parametrize("make", [make_sigma, make_arm])
def test_each_layout_is_recognised(make: Callable[[], xr.Dataset], tmp_path: Path) -> None:
    header = read_header(write_raw(make(), tmp_path / "mpl.nc"))
    assert LIDAR.recognises(header)
    assert not CEILOMETER.recognises(header)


def test_of_the_measured_files_those_of_the_minimpl_are_claimed(measured_directory: Path) -> None:
    paths = [
        path
        for path in sorted(measured_directory.rglob("*"))
        if path.suffix.lower() in (".nc", ".cdf", ".hdf5")
    ]
    claimed = [path.parent.name for path in paths if LIDAR.recognises(read_header(path))]
    assert claimed == ["minimpl_lille"] * 12


def test_measured_files_give_profiles_that_join(measured_directory: Path) -> None:
    paths = sorted((measured_directory / "minimpl_lille").glob("*.nc"))
    curtains = [read_mpl(path) for path in paths]
    heights = curtains[0]["height"].values
    assert all(np.array_equal(curtain["height"].values, heights) for curtain in curtains)
    assert heights[[0, -1]] == pytest.approx([119.9, 19996.2], abs=0.1)
    times = np.concatenate([curtain["time"].values for curtain in curtains])
    assert (np.diff(times) == np.timedelta64(5, "m")).all()
    status = np.concatenate([curtain["backscatter_status"].values for curtain in curtains])
    # Fog or cloud at the lidar lets nothing through: signal in the lowest three or four gates,
    # below 240 m, and noise in the 660 above.
    assert set((status == ECHO).sum(axis=1).tolist()) <= {3, 4}
    assert (status[:, :3] == ECHO).all()
    assert curtains[0][FIELD].values[0, 0] == pytest.approx(
        2.14057 + 2 * 0.25750, abs=1e-4
    )  # as the file holds them


def test_measured_depolarization_is_that_of_switched_polarization(measured_directory: Path) -> None:
    # Where the signal is strong the files' own ratio is cross / (co + cross) of the raw rates, to a
    # few per cent of afterpulse: so cross is half of what a lidar without polarization misses in
    # co, and the weight is two.
    polarizations = ("copol", "crosspol")
    names = (
        "depolarization_ratio",
        *(f"{name}_{part}" for name in polarizations for part in ("raw", "background")),
    )
    for path in sorted((measured_directory / "minimpl_lille").glob("*.nc"))[:3]:
        raw = read_netcdf(path, names)
        rates = [
            raw[f"{name}_raw"].values[0, 3:5] - raw[f"{name}_background"].values
            for name in polarizations
        ]
        own = raw["depolarization_ratio"].values[0, :2]
        assert rates[1] / (rates[0] + rates[1]) == pytest.approx(own, rel=0.06)
        assert rates[1] / rates[0] != pytest.approx(own, rel=0.06)


FAULTY = (
    FaultyProfiles("no month", lambda: with_value(make_sigma(), "month", 2, 13), {UNTIMED: 1}),
    FaultyProfiles(
        "missing year", lambda: with_value(make_sigma(), "year", 1, np.nan), {UNTIMED: 1}
    ),
    FaultyProfiles("early year", lambda: with_value(make_sigma(), "year", 0, 16), {UNTIMED: 1}),
    FaultyProfiles(
        "repeated time", lambda: with_value(make_sigma(), "minute", 1, 0), {REPEATED: 1}
    ),
    FaultyProfiles(
        "other angle", lambda: with_value(make_sigma(), "elevation_angle", 1, 60.0), {OFF_BEAM: 1}
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(), tmp_path / "mpl.nc")
    check_left_out(read_mpl(path), faulty, make_sigma().sizes["time"])
