"""A measured layer in the place of the blind zone."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.verification.visible_layer import (
    LayerView,
    find_lowest_measured,
    lower_curtain,
)

GRID = Grid(rows=5, row_depth_m=100)
NO_DATA, ECHO = DetectionStatus.NO_DATA, DetectionStatus.ECHO


def make_curtain(lowest: list[int] | None = None) -> xr.Dataset:
    """Echo whose dBZ is the row's number, from each profile's lowest measured row on."""
    rows = np.array([0, 0] if lowest is None else lowest)
    dbz = np.tile(np.arange(5, dtype=np.float32), (rows.size, 1))
    blind = np.arange(5) < rows[:, None]
    status = np.where(blind, NO_DATA, ECHO).astype(np.int8)
    fields = {
        "reflectivity": (DIMS, np.where(blind, np.float32(np.nan), dbz)),
        "detection_status": (DIMS, status),
    }
    curtain = xr.Dataset(fields, {"height": GRID.centres_m})
    if lowest is None:
        return curtain
    return curtain.assign_coords(blind_zone_top=("time", 100.0 * rows))


def test_curtain_of_a_radar_on_the_ground_stays_as_it_is() -> None:
    curtain = make_curtain()
    assert LayerView().apply(curtain, GRID) is curtain


def test_layer_begins_at_the_lowest_row_that_each_profile_measured() -> None:
    curtain = make_curtain([1, 3])
    assert find_lowest_measured(curtain).tolist() == [1, 3]
    found = LayerView().apply(curtain, GRID)
    assert "blind_zone_top" not in found.coords
    nan = np.nan
    expected = [[1, 2, 3, 4, nan], [3, 4, nan, nan, nan]]
    np.testing.assert_array_equal(found["reflectivity"].values, expected)
    assert found["detection_status"].values[0].tolist() == [ECHO] * 4 + [NO_DATA]


def test_layer_may_begin_higher() -> None:
    found = LayerView(bottom_m=150.0).apply(make_curtain([1, 0]), GRID)  # two rows
    np.testing.assert_array_equal(found["reflectivity"].values[:, 0], [3, 2])
    ground = LayerView(bottom_m=100.0).apply(make_curtain(), GRID)
    np.testing.assert_array_equal(ground["reflectivity"].values[0, :4], [1, 2, 3, 4])


def test_profile_without_data_stays_without() -> None:
    found = LayerView().apply(make_curtain([5, 0]), GRID)
    assert (found["detection_status"].values[0] == NO_DATA).all()


def test_nothing_moved_is_the_curtain_itself() -> None:
    curtain = make_curtain()
    assert lower_curtain(curtain, np.zeros(2, dtype=int)) is curtain


def test_layer_without_depth_is_rejected() -> None:
    with pytest.raises(CurtainError, match="layer: depth_m"):
        LayerView(depth_m=0.0)
