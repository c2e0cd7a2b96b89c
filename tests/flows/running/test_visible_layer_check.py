"""The lowest visible kilometre, hidden and filled, as a score of a granule."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.flows.running import visible_layer_check
from blindzone.flows.running.trained_network import TrainedNetwork, open_network
from blindzone.flows.running.visible_layer_check import NAMES, PREFIX, check_visible_layer
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.curtain import DetectionStatus

SOURCE, DAY = "short_days", date(2000, 1, 3)
TOP_ROWS = 8
LAYER = slice(TOP_ROWS, TOP_ROWS + 16)
"""A network of one depth fills all of that: 1250 m are 16 rows of 78.125 m."""


@pytest.fixture(scope="module")
def network(trained: tuple[Path, Path]) -> TrainedNetwork:
    return open_network(trained[1])


@pytest.fixture(scope="module")
def granule(trained: tuple[Path, Path]) -> xr.Dataset:
    """A day as a radar from above would see it: nothing in the lowest eight rows."""
    curtain = Archive(trained[0]).read_day(SOURCE, DAY)
    status, dbz = (curtain[name].values.copy() for name in ("detection_status", "reflectivity"))
    status[:, :TOP_ROWS], dbz[:, :TOP_ROWS] = DetectionStatus.NO_DATA, np.nan
    dims = ("time", "height")
    tops = np.full(len(dbz), TOP_ROWS * 78.125)
    return curtain.assign(detection_status=(dims, status), reflectivity=(dims, dbz)).assign_coords(
        blind_zone_top=("time", tops)
    )


def test_layer_above_the_blind_zone_is_scored(granule: xr.Dataset, network: TrainedNetwork) -> None:
    found = check_visible_layer(granule, network)
    assert set(found) == {*(f"{PREFIX}{name}" for name in NAMES), f"{PREFIX}CSI of persistence"}
    echo = granule["reflectivity"].values > network.preprocessing.floor_dbz
    truth = echo[:, LAYER]
    repeated = np.broadcast_to(echo[:, LAYER.stop, None], truth.shape)
    expected = (truth & repeated).sum() / (truth | repeated).sum()
    assert found[f"{PREFIX}CSI of persistence"] == pytest.approx(expected, abs=1e-12)
    assert 0 < found[f"{PREFIX}CSI"] <= 1


def test_long_granule_is_scored_in_stretches(
    granule: xr.Dataset, network: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visible_layer_check, "MOST_PROFILES", granule.sizes["time"] // 2)
    assert check_visible_layer(granule, network)


def test_clear_sky_gives_no_score(granule: xr.Dataset, network: TrainedNetwork) -> None:
    clear = granule.copy(deep=True)
    clear["reflectivity"].values[:] = np.nan
    status = clear["detection_status"].values
    status[status == DetectionStatus.ECHO] = DetectionStatus.NO_ECHO
    assert check_visible_layer(clear, network) == {}
