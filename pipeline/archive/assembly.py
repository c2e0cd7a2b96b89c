"""From a source file to its share of a granule: read, placed, cut at midnight, cleaned, gridded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive import Archive, FileRecord, describe_file
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.catalog.entry_parts import Position
from blindzone.pipeline.catalog.source_files import Address, fetch
from blindzone.pipeline.curtains.along_track import average_along_track
from blindzone.pipeline.curtains.curtain import map_rays
from blindzone.pipeline.curtains.findings import (
    PROFILES_DROPPED,
    drop_findings,
    read_counts,
    read_doubts,
    read_dropped,
    with_doubt,
)
from blindzone.pipeline.curtains.gridding import grid_curtain
from blindzone.pipeline.curtains.position import find_other_place, is_moving
from blindzone.pipeline.curtains.quality import apply_quality, flag_below_floor
from blindzone.pipeline.curtains.state import match_state
from blindzone.pipeline.curtains.surface import is_surface
from blindzone.pipeline.readers import read_curtain

LARGEST_REACH = np.timedelta64(1, "h")
"""How far the last file of a day may reach into the next day, or the first into the day before.
Beyond it the times are those of another day or time zone."""

_SAME_SITE = 0.5
"""A rounded position is nearer [degree]."""
_SAME_BAND = 0.05
"""By so much radars of one band may differ in frequency: W band is 94 to 95 GHz."""


def describe_address(address: Address, *, outside: bool = False) -> FileRecord:
    """Returns the size and hash of a local or remote file.

    Args:
        address: The file.
        outside: Whether a URL may lead inside this machine or its network.

    Raises:
        SourceFileError: If it cannot be read.
    """
    try:
        with fetch(address, outside=outside) as path:
            return describe_file(path)
    except OSError as error:
        raise SourceFileError(f"{address}: cannot be read: {error.strerror}") from error


def read_native(address: Address, entry: Source) -> xr.Dataset:
    """Returns the native curtain `(time, height)`, or swath, of a source file.

    It is at the catalogue's position, where the entry has one.

    Raises:
        BlindzoneError: If the file is rejected.
    """
    position = entry.position
    with fetch(address, outside=entry.outside) as path:
        try:
            native = read_curtain(
                path,
                entry.reader,
                position=None if position is None else (position.latitude, position.longitude),
                first_gate_m=entry.first_gate_m,
                frequency_ghz=entry.frequency_ghz,
            )
            check_frequency(native, entry, path)
        except BlindzoneError as error:
            if path == address:
                raise
            raise type(error)(
                str(error).replace(str(path), str(address))
            ) from error  # the copy is of no use to a user
    return native if position is None else _place(native, position, address)


def check_frequency(native: xr.Dataset, entry: Source, path: Path) -> None:
    """Checks the radar frequency [GHz] that a file states against that of the catalogue.

    Raises:
        SourceFileError: If they are of different bands.
    """
    stated, found = entry.frequency_ghz, native.attrs.get("frequency_ghz")
    if stated is None or found is None or abs(found / stated - 1) <= _SAME_BAND:
        return
    raise SourceFileError(
        f"{path}: its radar measures at {found:g} GHz, 'frequency_ghz' of '{entry.name}' in the"
        f" catalogue is {stated:g}; the same is right"
    )


def _place(native: xr.Dataset, position: Position, address: Address) -> xr.Dataset:
    """Returns the curtain with the catalogue's site where the file states none.

    Raises:
        SourceFileError: If the file states it with latitude and longitude swapped.
    """
    native = hold_position(native, position, address)
    stated = {
        "latitude": position.latitude,
        "longitude": position.longitude,
        "altitude": position.altitude,
    }
    unknown = {
        name: value
        for name, value in stated.items()
        if value is not None and native[name].ndim == 0 and np.isnan(native[name])
    }
    return native.assign_coords(unknown)


def hold_position(native: xr.Dataset, position: Position, address: Address) -> xr.Dataset:
    """Returns the curtain `(time, height)` with a doubt if its place is not the catalogue's.

    Raises:
        SourceFileError: If it has its latitude and longitude swapped.
    """
    if any(native[name].ndim or np.isnan(native[name]) for name in ("latitude", "longitude")):
        return native
    found = native["latitude"].item(), native["longitude"].item()
    stated = position.latitude, position.longitude
    if _are_near(found, stated):
        return native
    here, there = (f"{north:g} N {east:g} E" for north, east in (found, stated))
    if _are_near(found[::-1], stated):
        raise SourceFileError(
            f"{address}: its site is {here}, the catalogue's {there}: latitude and longitude are"
            " swapped; the same is right"
        )
    doubt = f"its site is {here}, the catalogue's {there}; the file's is taken"
    return native.assign_attrs(with_doubt(native.attrs, doubt))


def _are_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Returns whether two latitudes and longitudes [degree] are of one site."""
    turns = np.abs(np.subtract(one, other)) + 180
    return bool(np.all(np.abs(turns % 360 - 180) <= _SAME_SITE))


def describe_part(
    file: FileRecord, native: xr.Dataset, granule: date, *, own: bool = True
) -> FileRecord:
    """Returns a file's record with its time range and findings, as of a UTC day or granule.

    Args:
        file: The record of the file as it is on disk.
        native: Its curtain.
        granule: The day, of which dropped profiles count, or the start of the granule.
        own: Whether the file is the day's own.
    """
    dropped = (
        read_counts(native.attrs, PROFILES_DROPPED)
        if Granule.of(granule).kind == "granule"
        else read_dropped(native.attrs, granule, own=own)
    )
    first, last = np.datetime_as_string(native["time"].values[[0, -1]], unit="ms", timezone="UTC")
    return replace(
        file,
        uuid=native.attrs.get("file_uuid", ""),
        reader=native.attrs["reader"],
        version=version("blindzone"),
        first_time=str(first),
        last_time=str(last),
        values_masked=read_counts(native.attrs),
        profiles_dropped=dropped,
        doubts=read_doubts(native.attrs),
    )


def cut_granule(
    native: xr.Dataset,
    granule: date,
    address: Address,
    *,
    own: bool = True,
    shared: bool = False,
) -> xr.Dataset:
    """Returns the profiles `(time, height)` of a file on a UTC day; all of a satellite granule.

    Args:
        native: The file's curtain.
        granule: UTC day, or start of the granule.
        address: The file.
        own: Whether the file is the day's own; not if it reaches in from the day before or after.
        shared: Whether the file holds other days as well, as its source's entry says.

    Raises:
        SourceFileError: If the file has no profile on the day, or has some too far from it.
    """
    if Granule.of(granule).kind == "granule":
        return native
    midnight, times = np.datetime64(granule, "ns"), native["time"].values
    next_midnight = midnight + np.timedelta64(1, "D")
    inside = (times >= midnight) & (times < next_midnight)
    if inside.all():
        return native
    strays = times[(times < midnight - LARGEST_REACH) | (times > next_midnight + LARGEST_REACH)]
    if shared and not inside.any():
        raise SourceFileError(
            f"{address}: it has no profile on {granule}, a day of the source's 'period' in the"
            f" catalogue; {times[0]} to {times[-1]} is what it has"
        )
    if own and not shared and (strays.size or not inside.any()):
        raise SourceFileError(
            f"{address}: {int((~inside).sum())} of {times.size} profiles are outside the day"
            f" {granule} (first: {times[~inside][0]}); at most {LARGEST_REACH} beyond midnight is"
            " right"
        )
    return native.isel(time=inside)


def reaches_into(file: FileRecord, day: date) -> bool:
    """Returns whether an already read file has profiles on a day."""
    if not file.first_time:  # never read
        return False
    first, last = _span_of(file)
    midnight = np.datetime64(day)
    return bool(first < midnight + np.timedelta64(1, "D") and last >= midnight)


def find_span(
    archive: Archive,
    source: str,
    day: date,
    parts: Mapping[FileRecord, xr.Dataset],
    reaching: set[str],
) -> tuple[np.datetime64, np.datetime64] | None:
    """Returns the first and last time [UTC] of a day's own files, archived and new.

    `None` if it has none.

    Args:
        archive: The archive.
        source: Name of the source.
        day: UTC day.
        parts: The new files.
        reaching: Names of files of the days before and after.
    """
    record = archive.find_record(source, day)
    archived = () if record is None else record.files
    spans = [
        _span_of(file)
        for file in (*archived, *parts)
        if file.first_time and file.name not in reaching
    ]
    if not spans:
        return None
    return min(first for first, _ in spans), max(last for _, last in spans)


def _span_of(file: FileRecord) -> tuple[np.datetime64, np.datetime64]:
    return np.datetime64(file.first_time.rstrip("Z")), np.datetime64(file.last_time.rstrip("Z"))


def cut_outside(part: xr.Dataset, span: tuple[np.datetime64, np.datetime64] | None) -> xr.Dataset:
    """Returns the profiles `(time, height)` before and after a span of time, ends excluded."""
    if span is None:
        return part
    times = part["time"].values
    return part.isel(time=(times < span[0]) | (times > span[1]))


def check_same_site(
    native: xr.Dataset, parts: Mapping[FileRecord, xr.Dataset], address: Address
) -> None:
    """Checks that a file is of the place of the files of its day that are read already.

    A fixed site is that of the first one. A platform that moves must be able to get to the place of
    the one that is nearest in time.

    Raises:
        SourceFileError: If it is of another.
    """
    if not parts:
        return
    nearest = next(iter(parts))
    if any(map(is_moving, (native, *parts.values()))):
        nearest = min(parts, key=lambda file: _find_gap(native, parts[file]))
    found = find_other_place(native, parts[nearest])
    if found is not None:
        (what, _, here), (_, _, there) = (one.partition(" ") for one in found)
        raise SourceFileError(
            f"{address}: its {what} is {here}, that of {nearest.name} {there}; one fixed site, or"
            " the track of one platform, is right"
        )


def _find_gap(one: xr.Dataset, other: xr.Dataset) -> float:
    """Returns the time between two curtains [s]; not positive if they overlap."""
    first, last = ((part["time"].values[0], part["time"].values[-1]) for part in (one, other))
    return float(max(last[0] - first[1], first[0] - last[1]) / np.timedelta64(1, "s"))


def emulate_part(
    native: xr.Dataset,
    ground: Source,
    entry: Source,
    where: str,
    state: xr.Dataset | None = None,
    station: xr.Dataset | None = None,
) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an emulated source.

    Args:
        native: Curtain of the radar on the ground.
        ground: Entry of that radar: its quality rules count first.
        entry: Entry of the emulated source.
        where: What to call the curtain in a message.
        state: Collocated state around the day; by default the curtain's own, if it has one.
        station: Collocated surface series around the day, if its wind is asked for.

    Raises:
        BlindzoneError: If it cannot be emulated.
    """
    # Its statistics take half a second to import, and most sources are not emulated.
    from blindzone.pipeline.emulator.emulate import check_ground_radar, emulate

    assert entry.emulate is not None
    check_ground_radar(native)
    described = ground.describe(native.attrs)
    named = native.assign_attrs(instrument=described.instrument, site=described.site)
    with_state = named if state is None else match_state(named, state)
    cleaned = apply_quality(with_state, ground.quality, where=where)
    return emulate(
        cleaned,
        entry.emulate,
        frequency_ghz=described.frequency_ghz,
        state=state,
        station=station,
    )


def make_part(native: xr.Dataset, entry: Source, where: str) -> xr.Dataset:
    """Returns the cleaned curtain `(time, height)`, or swath, on the source's grid.

    Profiles along a track are averaged to the spacing of the source's entry, if it states one. A
    surface series stays as it is.

    Raises:
        BlindzoneError: If it cannot be gridded or averaged.
    """
    described = entry.describe(native.attrs)
    about = {
        "title": described.title,
        "source": described.instrument,
        "site": described.site,
    }
    if is_surface(native):
        return drop_findings(native).assign_attrs(about)

    def grid(curtain: xr.Dataset) -> xr.Dataset:
        cleaned = apply_quality(curtain, entry.quality, where=where)
        return grid_curtain(cleaned, entry.grid, where=where)

    gridded = map_rays(grid, drop_findings(native))
    if entry.profile_spacing_m is not None:
        gridded = average_along_track(gridded, entry.profile_spacing_m, where=where)
    floor_dbz = entry.quality.sensitivity_floor_dbz
    flagged = map_rays(lambda one: flag_below_floor(one, floor_dbz), gridded)
    return flagged.assign_attrs(about)
