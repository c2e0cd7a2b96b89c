"""The blind zone: which rows it hides, and how the mask fades out above it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.blind_zone import BlindZone, mask_blind_zone, soft_mask
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid


@pytest.mark.parametrize(
    ("top_m", "rows"),
    [
        (1250, 16),  # 16 rows of 78.125 m end at 1250 m
        (1250.1, 17),  # the row from 1250 m on begins below the top
        (1200, 16),  # the row from 1171.875 m on begins below the top
        (1, 1),
        (9921, 127),  # the highest row begins at 9921.875 m and is the one left
    ],
)
def test_rows_that_begin_below_the_top_are_hidden(top_m: float, rows: int) -> None:
    assert BlindZone(top_m=top_m).rows(Grid()) == rows


def test_zone_that_leaves_nothing_visible_is_refused_with_both_heights() -> None:
    with pytest.raises(CurtainError, match=r"its top at 9999 m leaves nothing visible of a grid up to 10000\.0 m"):
        BlindZone(top_m=9999).rows(Grid())


@pytest.mark.parametrize("settings", [{"top_m": 0.0}, {"top_m": -5.0}, {"soft_rows": -1}])
def test_impossible_zone_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(CurtainError, match="top_m must be positive and soft_rows not negative; found"):
        BlindZone(**settings)  # type: ignore[arg-type]


def test_mask_takes_every_field_in_the_blind_zone_and_nothing_above(curtain: xr.Dataset) -> None:
    before = curtain.copy(deep=True)
    masked = mask_blind_zone(curtain, 4)
    for name in ("reflectivity", "doppler_velocity"):
        assert np.isfinite(curtain[name].values[:, :4]).any()
        assert np.isnan(masked[name].values[:, :4]).all()
        assert masked[name].isel(height=slice(4, None)).identical(curtain[name].isel(height=slice(4, None)))
        assert masked[name].dims == ("time", "height")
        assert masked[name].dtype == np.float32
    assert masked["detection_status"].identical(curtain["detection_status"])
    xr.testing.assert_identical(curtain, before)


def test_mask_needs_no_velocity(curtain: xr.Dataset) -> None:
    assert set(mask_blind_zone(curtain.drop_vars("doppler_velocity"), 4).data_vars) == {
        "reflectivity",
        "detection_status",
    }


def test_soft_mask_falls_linearly_above_the_blind_zone() -> None:
    # Three hidden rows at 1, then 1 - k / (3 + 1) for k = 1, 2, 3, and 0 from k = 4 on.
    assert soft_mask(8, hidden_rows=3, soft_rows=3).tolist() == [1, 1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_soft_mask_without_soft_rows_is_sharp() -> None:
    assert soft_mask(5, hidden_rows=2, soft_rows=0).tolist() == [1, 1, 0, 0, 0]


def test_soft_mask_is_cut_off_at_the_grids_top() -> None:
    # 1 - k / 5 for k = 1, 2 and no row more.
    assert soft_mask(4, hidden_rows=2, soft_rows=4) == pytest.approx([1, 1, 0.8, 0.6])


@given(st.integers(2, 60), st.data())
def test_soft_mask_is_one_where_hidden_and_below_one_above_and_never_rises(rows: int, data: st.DataObject) -> None:
    hidden = data.draw(st.integers(1, rows - 1))
    mask = soft_mask(rows, hidden, data.draw(st.integers(0, 20)))
    assert (mask[:hidden] == 1).all()
    assert (mask[hidden:] < 1).all()
    assert (mask >= 0).all()
    assert (np.diff(mask) <= 0).all()
    assert mask.dtype == np.float32
