"""What is hidden, why, and what the network gets in its place."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import (
    HiddenKind,
    fill_from_neighbours,
    find_common_depth,
    find_depth,
    find_kinds,
    find_zone_depth,
    hide_below,
    repeat_downwards,
    soft_mask,
)

NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
GRID = Grid(rows=5, row_depth_m=100)


def below(rows: int, *depth: int) -> np.ndarray:
    """The mask of profiles whose lowest rows are hidden."""
    return hide_below(np.array(depth), rows)


def make_curtain(status: list[list[int]], **variables: object) -> xr.Dataset:
    """Profiles of five rows by their status, with further variables or coordinates."""
    curtain = xr.Dataset({"detection_status": (DIMS, np.array(status, dtype=np.int8))})
    for name, values in variables.items():
        if name == "blind_zone_top":
            curtain = curtain.assign_coords({name: ("time", np.array(values, dtype=float))})
        else:
            curtain[name] = (DIMS, np.array(values, dtype=np.uint8))
    return curtain


def test_soft_mask_falls_linearly_above_the_blind_zone() -> None:
    # Three hidden rows at 1, then 1 - k / (3 + 1) for k = 1, 2, 3, and 0 from k = 4 on.
    assert soft_mask(below(8, 3), soft_rows=3).tolist() == [[1, 1, 1, 0.75, 0.5, 0.25, 0, 0]]


def test_soft_mask_without_soft_rows_is_sharp() -> None:
    assert soft_mask(below(5, 2), soft_rows=0).tolist() == [[1, 1, 0, 0, 0]]


def test_soft_mask_is_cut_off_at_the_grids_top() -> None:
    # 1 - k / 5 for k = 1, 2 and no row more.
    assert soft_mask(below(4, 2), soft_rows=4)[0] == pytest.approx([1, 1, 0.8, 0.6])


@given(st.integers(2, 60), st.data())
def test_soft_mask_is_one_where_hidden_and_below_one_above_and_never_rises(
    rows: int, data: st.DataObject
) -> None:
    hidden = data.draw(st.integers(1, rows - 1))
    mask = soft_mask(below(rows, hidden), data.draw(st.integers(0, 20)))[0]
    assert (mask[:hidden] == 1).all()
    assert (mask[hidden:] < 1).all()
    assert (mask >= 0).all()
    assert (np.diff(mask) <= 0).all()
    assert mask.dtype == np.float32


def test_soft_mask_follows_the_top_of_each_profile() -> None:
    # One row of transition, half-way: 1 - 1 / 2. The last profile is missing: hidden up to the
    # grid's top.
    mask = soft_mask(below(4, 1, 2, 4), soft_rows=1)
    assert mask.tolist() == [[1, 0.5, 0, 0], [1, 1, 0.5, 0], [1, 1, 1, 1]]


def test_lowest_visible_row_of_each_profile_is_repeated_downwards() -> None:
    values = np.arange(12.0).reshape(3, 4)  # 0-3, 4-7, 8-11
    before = values.copy()
    filled = repeat_downwards(values, below(4, 0, 2, 4), absent=-1.0)
    assert filled.tolist() == [[0, 1, 2, 3], [6, 6, 6, 7], [-1, -1, -1, -1]]
    assert np.array_equal(values, before)


@given(hnp.arrays(np.float32, (5, 6), elements=st.floats(-1, 1, width=32)), st.integers(0, 6))
def test_one_depth_for_all_is_the_same_depth_for_each(values: np.ndarray, depth: int) -> None:
    together = repeat_downwards(values, below(6, *[depth] * 5), absent=-1.0)
    alone = [
        repeat_downwards(values[[n, n]], below(6, depth, max(depth - 1, 0)), -1.0)[0]
        for n in range(5)
    ]
    assert np.array_equal(together, np.stack(alone))


def test_hidden_pixel_amid_a_profile_is_as_the_next_visible_one_above() -> None:
    values = np.arange(10.0).reshape(2, 5)
    hidden = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 1, 1]], dtype=bool)
    filled = repeat_downwards(values, hidden, absent=-1.0)
    assert filled.tolist() == [[1, 1, 4, 4, 4], [5, 6, 7, -1, -1]]
    # 1 where hidden; half-way above, with one row of transition.
    assert soft_mask(hidden, 1).tolist() == [[1, 0.5, 1, 1, 0.5], [0.5, 0, 0, 1, 1]]


@given(hnp.arrays(np.bool_, (4, 6)))
def test_depth_is_the_number_of_hidden_rows_up_to_the_first_visible_one(hidden: np.ndarray) -> None:
    for profile, depth in zip(hidden, find_depth(hidden), strict=True):
        assert profile[:depth].all()
        assert depth == 6 or not profile[depth]
    common = find_common_depth(hidden)
    rows = [depth for depth in range(7) if np.array_equal(hidden, below(6, *[depth] * 4))]
    assert ([] if common is None else [common]) == rows


def test_mask_without_profiles_has_no_depth() -> None:
    assert find_common_depth(np.zeros((0, 4), dtype=bool)) is None


def test_each_profile_is_hidden_below_its_own_top_and_wholly_without_one() -> None:
    # Rows begin at 0, 100, ... m: two of them below 200 m, three below 201 m.
    curtain = make_curtain([[NO_ECHO] * 5] * 4, blind_zone_top=[0, 200, 201, np.nan])
    assert find_zone_depth(curtain, GRID, 1).tolist() == [0, 2, 3, 5]
    assert find_zone_depth(make_curtain([[NO_ECHO] * 5] * 2), GRID, 1).tolist() == [1, 1]


def test_kinds_follow_from_zone_status_and_flags() -> None:
    flags = np.zeros((5, 5), dtype=int)
    flags[0, :2] = QualityFlag.SURFACE_CLUTTER
    flags[1, 2] = QualityFlag.SURFACE_CLUTTER
    flags[1, 4] = QualityFlag.REJECTED
    flags[2, 0] = QualityFlag.BELOW_SURFACE
    curtain = make_curtain(
        [
            [NO_DATA, NO_DATA, ECHO, NO_ECHO, CLUTTER_REMOVED],
            [NO_DATA, NO_DATA, NO_DATA, ECHO, NO_DATA],
            [NO_DATA, NO_DATA, ECHO, NO_DATA, ECHO],
            [NO_DATA] * 5,
            [ECHO, NO_ECHO, ECHO, ECHO, ECHO],
        ],
        quality_flags=flags,
        blind_zone_top=[200, 200, 200, 200, 100],
    )
    visible, zone, outage, _, _, clutter, rejected, no_data, surface = list(HiddenKind)[:9]
    assert find_kinds(curtain, GRID, 3).tolist() == [
        [zone, zone, visible, visible, visible],
        [zone, zone, clutter, visible, rejected],
        [surface, zone, visible, no_data, visible],
        [outage] * 5,
        [zone, visible, visible, visible, visible],  # what an emulated radar would miss
    ]


def test_zone_of_one_depth_hides_the_same_rows_everywhere() -> None:
    kinds = find_kinds(make_curtain([[NO_ECHO] * 5] * 2), GRID, 2)
    assert kinds.tolist() == [[1, 1, 0, 0, 0]] * 2


def test_missing_profile_is_as_the_nearest_one_that_is_there() -> None:
    values = np.array([[1.0], [0.0], [0.0], [0.0], [2.0], [0.0]])
    missing = np.array([False, True, True, True, False, True])
    # The third profile is as far from both: the earlier counts.
    assert fill_from_neighbours(values, missing).ravel().tolist() == [1, 1, 1, 2, 2, 2]
    nothing = np.ones(6, dtype=bool)
    assert np.array_equal(fill_from_neighbours(values, nothing), values)
