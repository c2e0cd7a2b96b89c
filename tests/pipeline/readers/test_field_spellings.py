"""Measured files in the spellings of their writers, against plain netCDF4's numbers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import cftime
import netCDF4
import numpy as np
import pytest
from field_cases import field_case

from blindzone.pipeline.curtains.curtain import STATE_FIELDS, DetectionStatus
from blindzone.pipeline.curtains.state import geometric_height
from blindzone.pipeline.readers import read_curtain


def find_file(case: str, pattern: str) -> Path:
    return next(iter(sorted(field_case(case).glob(pattern))))


def read_plain(path: Path, *names: str) -> list[np.ndarray]:
    """Returns numbers as stored, NaN where netCDF4 masks them."""
    with netCDF4.Dataset(path) as file:
        return [np.ma.filled(file[name][:].astype(np.float64), np.nan) for name in names]


def test_mpl_tables_of_every_profile_correct_the_signal() -> None:
    path = find_file("03", "*.cdf")
    curtain = read_curtain(path)
    height, heights, table = read_plain(
        path, "height", "overlap_correction_heights", "overlap_correction"
    )
    kept = (height[0] > 0) & (height[0] <= 30)
    np.testing.assert_allclose(curtain["height"], height[0][kept] * 1000, rtol=1e-6)
    co, cross, co_background, cross_background, energy = read_plain(
        path,
        *("signal_return_co_pol", "signal_return_cross_pol"),
        *("background_signal_co_pol", "background_signal_cross_pol", "energy_monitor"),
    )
    co_after, cross_after, counts, dead = read_plain(
        path,
        *("afterpulse_correction_co_pol", "afterpulse_correction_cross_pol"),
        *("deadtime_correction_counts", "deadtime_correction"),
    )
    (is_corrected,) = read_plain(path, "dead_time_corrected")

    def corrected(rate: np.ndarray) -> np.ndarray:
        return rate * np.where(
            is_corrected.reshape(-1, *[1] * (rate.ndim - 1)) == 1,
            1.0,
            np.interp(rate, counts[0], dead[0]),
        )

    rate = np.zeros(co.shape)
    for signal, background, after, weight in (
        (co, co_background, co_after, 1),
        (cross, cross_background, cross_after, 2),
    ):
        dark = after[0, after.shape[1] * 3 // 4 :].mean()
        rate += weight * (corrected(signal) - corrected(background)[:, np.newaxis] - after + dark)
    factor = np.interp(height[0], heights[0, 1:], table[0, 1:], right=1.0)
    expected = (rate / energy[:, np.newaxis] * factor * height[0] ** 2)[:, kept]
    found = curtain["normalized_relative_backscatter"].values
    signal = np.isfinite(found)
    assert signal.sum() > 50
    np.testing.assert_allclose(found[signal], expected[signal], rtol=1e-3)


def test_sonde_heights_above_mean_sea_level_are_metres() -> None:
    path = find_file("04", "*.cdf")
    curtain = read_curtain(path)
    alt, tdry, u_wind = read_plain(path, "alt", "tdry", "u_wind")
    height = geometric_height(alt)
    np.testing.assert_allclose(
        curtain["gate_height"].values[0, [0, -1]] + curtain["altitude"].item(),
        [height[0], height.max()],
        rtol=1e-5,
    )
    assert curtain["temperature"].values[0, 0] == pytest.approx(tdry[0] + 273.15, abs=1e-3)
    assert curtain["eastward_wind"].values[0, 0] == pytest.approx(u_wind[0], abs=1e-3)
    assert str(curtain["time"].values[0])[:19] == "2006-01-19T05:03:00"


@pytest.mark.parametrize(
    ("case", "pattern"), [("06", "palaiseau*.nc"), ("07", "*plus_0_00.nc"), ("07", "*categorize*")]
)
def test_cloudnet_times_count_as_cftime_counts_them(case: str, pattern: str) -> None:
    path = find_file(case, pattern)
    curtain = read_curtain(path)
    name = "Z" if "categorize" in pattern else "Zh"
    time, reflectivity = read_plain(path, "time", name)
    with netCDF4.Dataset(path) as file:
        units = file["time"].units.replace("+0:00", "").strip()
    dates = cftime.num2date(time, units, only_use_cftime_datetimes=False)
    expected = np.array([datetime.isoformat(date) for date in dates], "datetime64[ms]")
    difference = curtain["time"].values - expected
    assert np.abs(difference).max() <= np.timedelta64(1, "ms")
    echo = np.isfinite(curtain["reflectivity"].values)
    np.testing.assert_array_equal(
        curtain["reflectivity"].values[echo], reflectivity.astype(np.float32)[echo]
    )
    assert echo.any() or "categorize" in pattern


def test_old_categorize_file_is_read_without_state() -> None:
    path = find_file("07", "*categorize*")
    curtain = read_curtain(path)
    assert not set(STATE_FIELDS) & set(curtain.data_vars)
    assert "lacks model_time, q" in curtain.attrs["comment"]
    height, altitude, beta, bits = read_plain(path, "height", "altitude", "beta", "quality_bits")
    clutter = (bits.astype(int) & 0b101) == 0b101  # an echo of the radar, and no atmospheric one
    removed = curtain["detection_status"].values == DetectionStatus.CLUTTER_REMOVED
    np.testing.assert_array_equal(removed, clutter)
    np.testing.assert_allclose(curtain["height"], height - altitude, atol=1e-3)
    found = curtain["attenuated_backscatter"].values
    np.testing.assert_allclose(
        found[np.isfinite(found)], beta[np.isfinite(found)].astype(np.float32)
    )
