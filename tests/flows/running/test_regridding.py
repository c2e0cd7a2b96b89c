"""Curtains on the grid of a network: what is made coarser, what stays, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from episodes import NETWORK, make_curtain

from blindzone.core.errors import CurtainError
from blindzone.flows.running.regridding import list_changes, regrid
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import QualityRules

COARSE = replace(NETWORK, grid=Grid(rows=12, row_depth_m=2 * 78.125), profile_spacing_m=1000.0)


@pytest.fixture
def track() -> xr.Dataset:
    """Twelve profiles of 24 rows, 250 m apart; echo of 0 dBZ in every other row."""
    dbz = np.tile(np.where(np.arange(24) % 2, 0.0, np.nan), (12, 1))
    along = 250.0 * np.arange(12)
    return make_curtain(dbz).assign_coords(along_track_distance=("time", along))


def test_finer_rows_and_profiles_are_averaged_in_linear_units(track: xr.Dataset) -> None:
    assert list_changes(track, COARSE) == [
        "regridded from 78.12 m to 156.2 m in height",
        "regridded from 250 m to 1000 m along the track",
    ]
    made = regrid(track, COARSE, where="here")
    check_curtain(made)
    assert dict(made.sizes) == {"time": 3, "height": 12}
    # Half of each row has echo of 1 mm6 m-3.
    np.testing.assert_allclose(made["reflectivity"].values, 10 * np.log10(0.5), atol=1e-5)


def test_what_is_on_the_grid_stays_as_it_is(track: xr.Dataset) -> None:
    same = replace(NETWORK, profile_spacing_m=260.0)
    assert list_changes(track, same) == []
    assert regrid(track, same, QualityRules(sensitivity_floor_dbz=10.0), where="here") is track
    ground = track.drop_vars("along_track_distance")
    assert list_changes(ground, NETWORK) == []
    assert regrid(ground, NETWORK, where="here") is ground


def test_nothing_is_made_finer(track: xr.Dataset) -> None:
    fine = replace(NETWORK, grid=Grid(rows=24, row_depth_m=50.0))
    with pytest.raises(CurtainError, match=r"^here: 24 gates every 78.125 m .* cannot become"):
        regrid(track, fine, where="here")
    close = replace(NETWORK, profile_spacing_m=100.0)
    with pytest.raises(CurtainError, match=r"^here: its profiles are 250 m apart"):
        regrid(track, close, where="here")


def test_a_gate_within_the_highest_row_is_enough_for_it(track: xr.Dataset) -> None:
    lower = track.assign_coords(height=track["height"] - 0.4 * 78.125)
    made = regrid(lower, replace(COARSE, profile_spacing_m=None), where="here")
    assert made.sizes["height"] == 12
    too_low = track.isel(height=slice(22))
    with pytest.raises(CurtainError, match="cannot become the grid"):
        regrid(too_low, COARSE, where="here")
