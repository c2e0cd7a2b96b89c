"""Granules parted along the track, and rays of a swath one after the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.flows.experiments.day_blocks import find_days, split_days
from blindzone.flows.experiments.granule_blocks import (
    GranuleBlocks,
    lay_rays_in_turn,
    open_blocks,
)
from blindzone.flows.running.plans import DataPlaces
from blindzone.pipeline.archive import Archive, FileRecord

SOURCE, RAYS, SCANS = "gpm_dpr_ku", 3, 60
GRANULE = datetime(2014, 12, 6, 9, 50, 2)
STARTS = [GRANULE, datetime(2014, 12, 6, 9, 50, 22), datetime(2014, 12, 6, 9, 50, 32)]
MakeCurtain = Callable[..., xr.Dataset]


@pytest.fixture
def swath(make_curtain: MakeCurtain) -> xr.Dataset:
    """Three rays of sixty scans, 0.7 s and 5 km apart, the first half a second after the key."""
    milliseconds = np.arange(500, 500 + 700 * SCANS, 700).astype("timedelta64[ms]")
    rays = [
        make_curtain(seed=seed, profiles=SCANS).assign_coords(
            time=np.datetime64(GRANULE, "ns") + milliseconds,
            latitude=("time", np.linspace(-30, -28, SCANS) + seed),
            longitude=("time", np.full(SCANS, 150.0)),
            along_track_distance=("time", 5000.0 * np.arange(SCANS)),
        )
        for seed in range(RAYS)
    ]
    joined: xr.Dataset = xr.concat(
        rays, dim="ray", data_vars="all", coords="different", compat="equals", join="exact"
    )
    along = joined["along_track_distance"]
    if "ray" not in along.dims:  # equal in all rays
        joined = joined.assign_coords(along_track_distance=along.expand_dims(ray=RAYS))
    return joined


@pytest.fixture
def blocks(swath: xr.Dataset, tmp_path: Path) -> GranuleBlocks:
    file = FileRecord(name="a.HDF5", size=1, sha256="")
    Archive(tmp_path).upsert(SOURCE, GRANULE, {file: swath}, {})
    return GranuleBlocks(tmp_path, STARTS)


def test_each_block_ends_where_the_next_one_begins(
    blocks: GranuleBlocks, swath: xr.Dataset
) -> None:
    assert blocks.days(SOURCE) == tuple(STARTS)
    found = [blocks.read_granule(SOURCE, start)[0] for start in STARTS]
    # 20 s from the key are 19.5 s from the first scan: scans at 0, 0.7 ... 18.9 s, then ... 29.4 s.
    assert [part.sizes["time"] for part in found] == [28 * RAYS, 15 * RAYS, 17 * RAYS]
    first = found[1]["reflectivity"].values[:15]
    np.testing.assert_array_equal(first, swath["reflectivity"].values[0, 28:43])
    for start, part in zip(STARTS, found, strict=True):
        assert blocks.open_day(SOURCE, start).equals(part)
        assert blocks.record(SOURCE, start) == blocks.record(SOURCE, GRANULE)


def test_rays_are_one_after_the_other_and_far_apart(swath: xr.Dataset) -> None:
    laid = lay_rays_in_turn(swath)
    assert laid["reflectivity"].dims == ("time", "height")
    np.testing.assert_array_equal(
        laid["reflectivity"].values, np.concatenate(list(swath["reflectivity"].values))
    )
    seconds = np.diff(laid["time"].values) / np.timedelta64(1, "s")
    metres = np.diff(laid["along_track_distance"].values)
    between = np.arange(1, RAYS) * SCANS - 1
    np.testing.assert_allclose(seconds[between], 900)
    np.testing.assert_allclose(metres[between], 1e6)
    np.testing.assert_allclose(np.delete(seconds, between), 0.7)
    assert lay_rays_in_turn(swath.isel(ray=0)).equals(swath.isel(ray=0))


def test_granules_without_a_named_start_are_whole(blocks: GranuleBlocks, tmp_path: Path) -> None:
    later = GranuleBlocks(tmp_path, [datetime(2015, 1, 1)])
    with pytest.raises(ArchiveError, match="no profile of the granule"):
        later.open_day(SOURCE, datetime(2015, 1, 1))
    earlier = GranuleBlocks(tmp_path, [datetime(2014, 1, 1)])
    assert earlier.days(SOURCE) == (GRANULE,)
    assert earlier.open_day(SOURCE, GRANULE).sizes["time"] == RAYS * SCANS
    with pytest.raises(ArchiveError, match="no granule that begins before the block"):
        earlier.record(SOURCE, datetime(2014, 1, 1))


def test_split_of_the_shipped_catalogue_parts_the_measured_granule(
    blocks: GranuleBlocks, tmp_path: Path
) -> None:
    data = open_blocks(SOURCE, DataPlaces(archive=str(tmp_path)))
    training, validation = split_days(data)
    assert training == (GRANULE,)
    assert len(validation) == 2
    assert not {*training, *validation} & {*find_days(data, "test")}
    # A source without named starts is opened as ever.
    plain = open_blocks("palaiseau_basta", DataPlaces(archive=str(tmp_path)))
    assert type(plain.archive) is Archive
