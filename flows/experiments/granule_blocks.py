"""Blocks of granules and days: parts along the track to train, validate or test a network on.

One granule, or one flight, can be all that there is. A split that names starts within it parts it:
each block ends where the next one that is named begins. Neighbouring blocks may share a rain area,
so that such a split says less than one of whole granules.

Rays of a swath become one curtain, one after the other, farther apart than anything that belongs
together. What looks for gaps then finds them. Times and distances of all rays but the first are
made up for that. `ray (time)` keeps their numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.ledger import DayRecord
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.products.swath import split_rays
from blindzone.pipeline.verification.visible_layer import LayerView

_APART_S, _APART_M = 900.0, 1e6
"""Between two rays: beyond the longest gap within a stretch of profiles, in time and distance; a
calibration's block of half an hour has two rays."""


def open_blocks(name: str, places: DataPlaces, view: LayerView | None = None) -> SourceData:
    """Returns the data of a source, its granules parted where the catalogue's split names starts.

    Args:
        name: Its name in the catalogue.
        places: Where catalogue and archive are.
        view: The layer that is hidden and scored, if curtains are read for that.

    Raises:
        CatalogError: If the catalogue cannot be used, or lacks the source.
    """
    data = open_source(name, places, view)
    split = data.entry.split
    named = (*split.training, *split.validation, *split.test)
    starts = sorted(day for day in named if isinstance(day, datetime))
    if not starts:
        return data
    return replace(data, archive=GranuleBlocks(places.archive_address, starts))


class GranuleBlocks(Archive):
    """An archive whose granules are parted along the track, and whose swaths are curtains.

    Args:
        root: Folder or URL of the archive.
        starts: Starts of blocks, in order; one before the first profile of a granule is its first
            profile.
    """

    def __init__(self, root: Any, starts: Sequence[datetime]) -> None:
        super().__init__(root)
        self._starts = tuple(starts)

    def days(self, source: str) -> tuple[date, ...]:
        """Returns the starts of the blocks, and the granules that no block is of, in order."""
        granules = super().days(source)
        parted = {start: _find_granule(start, granules) for start in self._starts}
        whole = set(granules) - set(parted.values())
        blocks = {start for start, granule in parted.items() if granule is not None}
        return tuple(sorted(whole | blocks))

    def record(self, source: str, day: date) -> DayRecord:
        """Returns the record of the granule that a block is of."""
        return super().record(source, self._locate(source, day))

    def open_day(self, source: str, day: date) -> xr.Dataset:
        """Returns the curtain `(time, height)` of a block."""
        return self._cut(source, day, super().open_day(source, self._locate(source, day)).load())

    def read_granule(self, source: str, day: date) -> tuple[xr.Dataset, DayRecord]:
        """Returns the curtain `(time, height)` of a block, and the record of its granule."""
        curtain, record = super().read_granule(source, self._locate(source, day))
        return self._cut(source, day, curtain), record

    def _locate(self, source: str, day: date) -> date:
        found = _find_granule(day, super().days(source)) if day in self._starts else day
        if found is None:
            raise ArchiveError(
                f"{source}: the archive holds no granule that begins before the block of {day};"
                f" 'blindzone ingest {source}' fetches it"
            )
        return found

    def _cut(self, source: str, day: date, curtain: xr.Dataset) -> xr.Dataset:
        if not isinstance(day, datetime) or day not in self._starts:
            return lay_rays_in_turn(curtain)
        times = curtain["time"].values
        first, *after = self._starts[self._starts.index(day) :]
        inside = times >= np.datetime64(first, "ns")
        if first <= _begin(self._locate(source, day)):  # keys are whole seconds
            inside[:] = True
        if after:
            inside &= times < np.datetime64(after[0], "ns")
        if not inside.any():
            raise ArchiveError(
                f"{source}: no profile of the granule that begins at {times[0]} is in the block of"
                f" {day}; starts within it are right"
            )
        return lay_rays_in_turn(curtain.isel(time=np.flatnonzero(inside)))


def _find_granule(start: date, granules: Sequence[date]) -> date | None:
    """Returns the last granule that begins no later than a start; None if there is none."""
    number = bisect_right([_begin(granule) for granule in granules], _begin(start))
    return granules[number - 1] if number else None


def _begin(granule: date) -> datetime:
    """Returns when a granule begins, a day at midnight."""
    return granule if isinstance(granule, datetime) else datetime.combine(granule, time())


def lay_rays_in_turn(swath: xr.Dataset) -> xr.Dataset:
    """Returns the rays of a swath as one curtain `(time, height)`, far apart; a curtain as it is.

    Args:
        swath: Curtain `(time, height)` or swath `(ray, time, height)`.
    """
    rays = split_rays(swath)
    if len(rays) == 1:
        return rays[0]
    times, along = swath["time"].values, swath["along_track_distance"].values
    later = (times[-1] - times[0]) + np.timedelta64(round(_APART_S * 1e9), "ns")
    farther = float(np.nanmax(along) - np.nanmin(along)) + _APART_M
    moved = [
        ray.assign_coords(
            time=times + number * later,
            along_track_distance=("time", ray["along_track_distance"].values + number * farther),
            ray=("time", np.full(times.size, number)),
        )
        for number, ray in enumerate(rays)
    ]
    joined = xr.concat(
        moved,
        dim=DIMS[0],
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    return joined.transpose(*DIMS, ...)
