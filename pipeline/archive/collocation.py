"""Collocated lidar and state on a curtain's grid and profiles, and series at the surface below it.

Each source is archived by itself, on its own times. Collocated fields are joined when a day is
opened: a model file that arrives a day late changes nothing in the radar's archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Catalog
from blindzone.pipeline.curtains.curtain import (
    LIDAR_FIELDS,
    STATUS_OF,
    DetectionStatus,
    map_rays,
)
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.curtains.position import find_middle
from blindzone.pipeline.curtains.state import match_state

LARGEST_OFFSET = np.timedelta64(60, "s")
"""Longest time between a radar profile and its lidar profile: twice the averaging time of Cloudnet,
and longer than the step of any ceilometer at hand (16 to 36 s)."""

TEMPERATURE_REACH = np.timedelta64(10, "m")
"""Longest time to a measured temperature that counts for a profile: the air changes slowly, and a
profile without one has rain and snow in full. The last minute of a day is stamped with the next."""

LIDAR_DAYS = 0
STATE_DAYS = 1
"""Days before and after a day whose state is used: model profiles around midnight bound the day.
Of a surface series too: a mean over a minute is stamped with its end."""


def open_collocated(archive: Archive, catalog: Catalog, source: str, day: date) -> xr.Dataset:
    """Returns a source's day `(time, height)`, or swath, with the fields of collocated sources.

    A source that has no data in the archive around that day adds nothing. Each ray of a swath gets
    what is at its own place and altitude.

    Raises:
        ArchiveError: If the archive does not hold the day.
    """
    curtain = archive.open_day(source, day).load()
    partners = catalog[source].partners
    if partners.lidar is not None:
        lidar = _open_around(archive, partners.lidar, day, days=LIDAR_DAYS)
        if lidar is not None:
            curtain = map_rays(partial(match_lidar, lidar=lidar), curtain)
    state = open_state(archive, catalog, source, day)
    return curtain if state is None else map_rays(partial(match_state, state=state), curtain)


def open_state(archive: Archive, catalog: Catalog, source: str, day: date) -> xr.Dataset | None:
    """Returns a source's collocated state `(time, height)` around a day; None if none is there."""
    partner = catalog[source].partners.state
    return None if partner is None else _open_around(archive, partner, day, days=STATE_DAYS)


def find_collocated(
    archive: Archive, catalog: Catalog, source: str, day: date
) -> tuple[tuple[str, date], ...]:
    """Returns each collocated source with its archived granules that `open_collocated` reads."""
    partners = catalog[source].partners
    around = ((partners.lidar, LIDAR_DAYS), (partners.state, STATE_DAYS))
    return tuple(
        (partner, granule)
        for partner, days in around
        if partner is not None
        for granule in _find_around(archive, partner, day, days=days)
    )


def find_collocated_state(
    archive: Archive, catalog: Catalog, source: str, day: date
) -> tuple[tuple[str, date], ...]:
    """Returns a source's collocated state with its archived granules that `open_state` reads."""
    partner = catalog[source].partners.state
    if partner is None:
        return ()
    found = _find_around(archive, partner, day, days=STATE_DAYS)
    return tuple((partner, granule) for granule in found)


def open_surface(
    archive: Archive, catalog: Catalog, source: str, day: date
) -> dict[str, xr.Dataset]:
    """Returns the surface series `(time,)` below a source around a day, on their own times.

    They are by the names of their sources, in the order of `partners: {surface: ...}`. A source
    that has no data in the archive around that day is left out.
    """
    names = catalog[source].partners.surface
    found = {name: _open_around(archive, name, day, days=STATE_DAYS) for name in names}
    return {name: series for name, series in found.items() if series is not None}


def find_collocated_surface(
    archive: Archive, catalog: Catalog, source: str, day: date
) -> tuple[tuple[str, date], ...]:
    """Returns the sources with their archived days that `open_surface` reads."""
    return tuple(
        (name, granule)
        for name in catalog[source].partners.surface
        for granule in _find_around(archive, name, day, days=STATE_DAYS)
    )


def open_ground_temperature(
    archive: Archive, catalog: Catalog, source: str, day: date, curtain: xr.Dataset
) -> xr.DataArray | None:
    """Returns the air temperature near the ground [K] at the profiles of a curtain, `(time,)`.

    It is what collocated surface series measured within `TEMPERATURE_REACH`; where they did not,
    that of the collocated state in the curtain's lowest row; else NaN. The attribute `origin` names
    the sources. None if it is known at no time, and of a swath.

    Raises:
        CurtainError: If the heights of curtain and state cannot be compared.
    """
    if "ray" in curtain.dims:
        return None
    times = curtain["time"].values
    found = np.full(times.size, np.nan, dtype=np.float32)
    origin = []
    for name, values in _find_temperatures(archive, catalog, source, day, curtain):
        needed = np.isnan(found) & np.isfinite(values)
        if needed.any():
            found[needed] = values[needed]
            origin.append(name)
    if not origin:
        return None
    return xr.DataArray(found, {"time": times}, "time", attrs={"origin": ", ".join(origin)})


def _find_temperatures(
    archive: Archive, catalog: Catalog, source: str, day: date, curtain: xr.Dataset
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the temperature [K] `(time,)` by each collocated source that has one, best first."""
    for name, series in open_surface(archive, catalog, source, day).items():
        if "air_temperature" not in series:
            continue
        known = series["air_temperature"].dropna("time")
        if known.size:
            nearest, offset = _find_nearest(curtain["time"].values, known["time"].values)
            yield name, np.where(offset <= TEMPERATURE_REACH, known.values[nearest], np.nan)
    state = open_state(archive, catalog, source, day)
    if state is not None and "temperature" in state:
        lowest = curtain[[]].assign_coords(curtain.coords).isel(height=[0])
        matched = match_state(lowest, state)
        yield str(catalog[source].partners.state), matched["temperature"].values[:, 0]


def _find_around(archive: Archive, source: str, day: date, *, days: int) -> tuple[date, ...]:
    """Returns the archived UTC days of a source around a day, or that on which a granule starts."""
    first = Granule.of(day).day
    return archive.find_archived(
        source, [first + timedelta(days=number) for number in range(-days, days + 1)]
    )


def _open_around(archive: Archive, source: str, day: date, *, days: int) -> xr.Dataset | None:
    """Returns the archived profiles of a source around a day; None if there are none."""
    found = _find_around(archive, source, day, days=days)
    if not found:
        return None
    parts = [archive.open_day(source, granule).load() for granule in found]
    return xr.concat(
        parts,
        dim="time",
        join="exact",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )


def match_lidar(
    curtain: xr.Dataset, lidar: xr.Dataset, *, largest_offset: np.timedelta64 = LARGEST_OFFSET
) -> xr.Dataset:
    """Returns the curtain with a lidar's fields, each profile with the nearest lidar profile.

    Args:
        curtain: A gridded curtain `(time, height)`.
        lidar: A lidar curtain, native or gridded, whose altitude may differ from the curtain's.
        largest_offset: Profiles without a lidar profile within this time get no data.

    Raises:
        ArchiveError: If the curtain has lidar fields already.
    """
    doubled = [name for name in LIDAR_FIELDS if name in curtain]
    if doubled:
        raise ArchiveError(
            f"the curtain holds {', '.join(doubled)} of its own; it takes no other lidar"
        )
    shift = _find_shift(curtain, lidar)
    shifted = lidar.assign_coords(height=lidar["height"] + (shift if np.isfinite(shift) else 0.0))
    depth = float(curtain["height"][1] - curtain["height"][0])
    gridded = grid_curtain(
        shifted, Grid(rows=curtain.sizes["height"], row_depth_m=depth), where="collocated lidar"
    )
    nearest, offset = _find_nearest(curtain["time"].values, gridded["time"].values)
    far = xr.DataArray(offset > largest_offset, dims="time")
    fields = {}
    for name in LIDAR_FIELDS:
        if name in gridded:
            status = STATUS_OF[name]
            fields[name] = gridded[name].isel(time=nearest).drop_vars("time").where(~far)
            fields[status] = (
                gridded[status]
                .isel(time=nearest)
                .drop_vars("time")
                .where(~far, DetectionStatus.NO_DATA)
            )
            fields[status] = fields[status].astype(np.int8)
    return curtain.assign({name: field.variable for name, field in fields.items()})


def _find_shift(curtain: xr.Dataset, lidar: xr.Dataset) -> float:
    """Returns how much higher the lidar stands than the radar [m].

    Together on one platform they climb together: where either states its altitude for each profile,
    it is the median of the differences at profiles of the same time.
    """
    above = [part["altitude"].values for part in (lidar, curtain)]
    if above[0].ndim and above[1].ndim:
        nearest, _ = _find_nearest(lidar["time"].values, curtain["time"].values)
        above[1] = above[1][nearest]
    return find_middle(np.ravel(above[0] - above[1]))


def _find_nearest(times: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each time the index of the nearest candidate, and how far away that is."""
    after = np.clip(np.searchsorted(candidates, times), 1, max(candidates.size - 1, 1))
    pair = np.minimum(np.stack([after - 1, after]), candidates.size - 1)
    offsets = np.abs(candidates[pair] - times)
    best = np.argmin(offsets, axis=0)
    columns = np.arange(times.size)
    return pair[best, columns], offsets[best, columns]
