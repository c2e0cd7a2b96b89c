"""Missing profiles: gaps in time that become profiles without data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.curtains.missing_profiles import insert_missing


def cut(curtain: xr.Dataset, *gaps: slice) -> xr.Dataset:
    """The curtain without some profiles."""
    kept = np.ones(curtain.sizes["time"], dtype=bool)
    for gap in gaps:
        kept[gap] = False
    return curtain.isel(time=kept)


def test_gap_becomes_profiles_without_data_at_their_times(curtain: xr.Dataset) -> None:
    gap = slice(50, 54)
    whole = insert_missing(cut(curtain, gap), longest=10)
    check_curtain(whole)
    assert whole.sizes == curtain.sizes
    apart = np.abs(whole["time"].values - curtain["time"].values)
    assert apart.max() < np.timedelta64(1, "ms")
    assert (whole["detection_status"].values[gap] == DetectionStatus.NO_DATA).all()
    others = np.delete(np.arange(300), gap)
    for name in curtain.data_vars:
        assert whole[name].dtype == curtain[name].dtype
        before = curtain[name].values[others]
        assert np.array_equal(
            whole[name].values[others], before, equal_nan=before.dtype.kind == "f"
        )


def test_longer_gap_stays_a_gap(curtain: xr.Dataset) -> None:
    parted = cut(curtain, slice(50, 61), slice(100, 101))
    whole = insert_missing(parted, longest=10)
    assert whole.sizes["time"] == parted.sizes["time"] + 1


def test_curtain_without_gaps_stays_itself(curtain: xr.Dataset) -> None:
    assert insert_missing(curtain, longest=10) is curtain
    single = curtain.isel(time=slice(1))
    assert insert_missing(single, longest=10) is single
    track = cut(curtain, slice(50, 54)).assign_coords(
        along_track_distance=("time", np.arange(296.0))
    )
    assert insert_missing(track, longest=10) is track
