from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.errors import ArchiveError
from blindzone.pipeline.partners import match_lidar


def make_lidar(radar: xr.Dataset, *, step_s: int, gates: int, altitude: float) -> xr.Dataset:
    """A lidar with gates of 10 m whose value is a thousandth of the number of its profile, in 1 sr-1 m-1."""
    start = radar["time"].values[0]
    count = int((radar["time"].values[-1] - start) / np.timedelta64(step_s, "s")) + 1
    values = np.repeat(1e-3 * np.arange(count, dtype=np.float32)[:, np.newaxis], gates, axis=1)
    return xr.Dataset(
        {
            "attenuated_backscatter": (("time", "height"), values),
            "backscatter_status": (("time", "height"), np.full(values.shape, DetectionStatus.ECHO, dtype=np.int8)),
        },
        {
            "time": start + np.arange(count) * np.timedelta64(step_s, "s"),
            "height": 5.0 + 10.0 * np.arange(gates),
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": altitude,
        },
    )


def test_each_profile_gets_the_nearest_lidar_profile(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    matched = match_lidar(curtain, lidar)
    check_curtain(matched)
    # Radar profiles are 9.001 s apart: number n lies nearest to lidar profile round(n * 9.001 / 16).
    numbers = np.round(np.arange(curtain.sizes["time"]) * 9.001 / 16)
    last = lidar.sizes["time"] - 1
    np.testing.assert_allclose(matched["attenuated_backscatter"].values[:, 5], 1e-3 * np.minimum(numbers, last))
    xr.testing.assert_identical(matched["reflectivity"], curtain["reflectivity"])


def test_heights_are_compared_above_mean_sea_level(curtain: xr.Dataset) -> None:
    # 200 gates of 10 m reach 2 km above the lidar, which stands 500 m lower: 1.5 km above the radar, whose 16 rows end
    # at 1.25 km; from 700 m higher nothing below 700 m is seen.
    lower = match_lidar(curtain, make_lidar(curtain, step_s=16, gates=200, altitude=-344.0))
    assert (lower["backscatter_status"] == DetectionStatus.ECHO).all()
    higher = match_lidar(curtain, make_lidar(curtain, step_s=16, gates=200, altitude=856.0))
    seen = (higher["backscatter_status"] == DetectionStatus.ECHO).all(dim="time")
    assert not seen.sel(height=slice(0, 650)).any()
    assert seen.sel(height=slice(750, None)).all()


def test_profiles_far_from_any_lidar_profile_have_no_data(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    stop = lidar["time"].values[10]
    matched = match_lidar(curtain, lidar.isel(time=slice(11)))
    late = curtain["time"].values - stop > np.timedelta64(60, "s")
    assert (matched["backscatter_status"].values[late] == DetectionStatus.NO_DATA).all()
    assert np.isnan(matched["attenuated_backscatter"].values[late]).all()
    assert np.isfinite(matched["attenuated_backscatter"].values[~late]).all()


def test_curtain_with_a_lidar_of_its_own_takes_no_other(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    with pytest.raises(ArchiveError, match="holds attenuated_backscatter of its own"):
        match_lidar(match_lidar(curtain, lidar), lidar)
