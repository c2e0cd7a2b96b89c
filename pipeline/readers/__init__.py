"""Readers: one file an instrument family, each turning a file on disk into a canonical curtain."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.core.fence import refusing_as
from blindzone.pipeline.curtains.surface import is_surface
from blindzone.pipeline.readers._kinds import Kind, find_kind
from blindzone.pipeline.readers._netcdf import Header, read_header, read_netcdf
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._screening import screen_values
from blindzone.pipeline.readers._unpacking import find_stem, unpack
from blindzone.pipeline.readers._witnesses import (
    check_against_file,
    check_gates,
    read_witnesses,
    shift_heights,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Header",
    "Reader",
    "find_reader_names",
    "find_readers",
    "find_stem",
    "read_curtain",
    "read_header",
    "read_netcdf",
    "recognise",
]

ENTRY_POINT_GROUP = "blindzone.readers"
"""An installed package adds a reader by an entry point of this group that names a `Reader`."""

_OWN = {
    "cloudnet_radar": "cloudnet.RADAR",
    "cloudnet_categorize": "cloudnet_categorize.CATEGORIZE",
    "rpg_fmcw94": "rpg.RADAR",
    "arm_kazr": "arm_kazr.RADAR",
    "mrr": "mrr.RADAR",
    "gpm_dpr": "gpm_dpr.RADAR",
    "cloudsat": "cloudsat.RADAR",
    "cloudsat_scenes": "cloudsat_scenes.RADAR",
    "earthcare": "earthcare.RADAR",
    "hiwrap": "hiwrap.RADAR",
    "ceilometer": "ceilometer.LIDAR",
    "ceilometer_raw": "ceilometer_raw.LIDAR",
    "mpl": "mpl.LIDAR",
    "cloudnet_model": "cloudnet_model.STATE",
    "era5": "era5.STATE",
    "arm_sonde": "arm_sonde.STATE",
    "cloudnet_weather_station": "cloudnet_surface.WEATHER_STATION",
    "cloudnet_disdrometer": "cloudnet_surface.DISDROMETER",
}
"""The readers of this package by name; a file is imported when the first one is needed."""


@cache
def find_reader_names() -> tuple[str, ...]:
    """Returns the names of all readers, which are not imported for it if all are this package's.

    Raises:
        SourceFileError: As `find_readers` does.
    """
    return tuple(find_readers() if entry_points(group=ENTRY_POINT_GROUP) else _OWN)


@cache
def find_readers() -> Mapping[str, Reader]:
    """Returns the readers by name: this package's, then those of installed packages.

    Raises:
        SourceFileError: If an installed package's entry point names no reader, or one whose name is
            taken.
    """
    readers = {name: _import_reader(place) for name, place in _OWN.items()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        origin = (
            f"entry point '{point.name}' = '{point.value}' of"
            f" {point.dist.name if point.dist else 'a package'}"
        )
        try:
            reader = point.load()
        except (ImportError, AttributeError, TypeError, SyntaxError) as error:
            raise SourceFileError(f"{origin}: cannot be loaded: {error}") from error
        if not isinstance(reader, Reader):
            raise SourceFileError(
                f"{origin}: it is a {type(reader).__name__}; a blindzone Reader is right"
            )
        if reader.name in readers:
            raise SourceFileError(
                f"{origin}: a reader is named '{reader.name}' already; another name is right"
            )
        readers[reader.name] = reader
    return MappingProxyType(readers)


def _import_reader(place: str) -> Reader:
    """Returns a reader of this package."""
    module, name = place.split(".")
    reader = getattr(import_module(f"{__name__}.{module}"), name)
    assert isinstance(reader, Reader)
    return reader


def recognise(path: Path) -> Reader:
    """Returns the reader of a file, recognised by the file's content alone.

    Raises:
        SourceFileError: If the file cannot be read, or no reader, or more than one, takes it for
            its own.
    """
    with (
        refusing_as(SourceFileError, f"{path}: its kind cannot be recognised"),
        unpack(path) as unpacked,
    ):
        return _choose(read_header(unpacked), unpacked)


def _choose(header: Header, path: Path) -> Reader:
    """Returns the one reader that takes a file with this head."""
    found = [reader for reader in find_readers().values() if reader.recognises(header)]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceFileError(
            f"{path}: may be {' or '.join(reader.title for reader in found)}; name the reader in"
            f" the catalogue: 'reader: {found[0].name}'"
        )
    _check_not_foreign(find_kind(header), header, path)
    if header.container == "other":
        raise SourceFileError(
            f"{path}: not a netCDF file (first bytes {header.start[:8]!r}), and of no kind that is"
            " known here"
        )
    known = "; ".join(f"{reader.title} ({reader.name})" for reader in find_readers().values())
    raise SourceFileError(
        f"{path}: of no kind that is known here (has {sorted(header.variables)[:12]}); known:"
        f" {known}"
    )


def _check_not_foreign(kind: Kind | None, header: Header, path: Path) -> None:
    """Checks that a file is of no kind that is known and read by none."""
    if kind is not None:
        but = "not a netCDF file but " if header.container == "other" else ""
        raise SourceFileError(f"{path}: {but}{kind.title}; {kind.advice}")


def read_curtain(
    path: Path,
    reader: str = "auto",
    *,
    position: tuple[float, float] | None = None,
    first_gate_m: float | None = None,
    frequency_ghz: float | None = None,
) -> xr.Dataset:
    """Returns the native curtain, or swath of curtains, of a file.

    Args:
        path: The file.
        reader: Name of a reader, or `auto` to recognise it by the file's content.
        position: Latitude [degrees_north] and longitude [degrees_east] of the column to take from a
            file that covers an area; other files ignore it.
        first_gate_m: Height of the lowest gate above the instrument [m], where the file's own
            heights are wrong.
        frequency_ghz: Frequency [GHz] of the radar to take from a file of several; other files
            ignore it.

    Raises:
        SourceFileError: If the file is not of the kind, cannot be read, contradicts itself, or
            holds what cannot be right.
        CurtainError: If it breaks the canonical form.
    """
    if reader not in ("auto", *find_readers()):
        raise SourceFileError(
            f"unknown reader {reader!r}; known readers: auto, {', '.join(find_readers())}"
        )
    with (
        refusing_as(SourceFileError, f"{path}: cannot be read"),
        unpack(path) as unpacked,
    ):
        header = read_header(unpacked)
        chosen = _choose(header, unpacked) if reader == "auto" else find_readers()[reader]
        kind = None if chosen.recognises(header) else find_kind(header)
        if kind is not None and not kind.is_family:
            _check_not_foreign(kind, header, unpacked)
        if position is not None and chosen.read_at is not None:
            curtain = chosen.read_at(unpacked, *position)
        elif frequency_ghz is not None and chosen.read_band is not None:
            curtain = chosen.read_band(unpacked, frequency_ghz)
        else:
            curtain = chosen.read(unpacked)
        curtain = _judge(curtain, unpacked, first_gate_m)
    return curtain.assign_attrs(reader=chosen.name)


def _judge(curtain: xr.Dataset, path: Path, first_gate_m: float | None) -> xr.Dataset:
    """Returns a native curtain, checked by what else its file states and by what can be."""
    if is_surface(curtain):
        return curtain
    found = read_witnesses(curtain, path)
    if first_gate_m is None:
        curtain = check_against_file(curtain, found, path)
    else:
        curtain = shift_heights(curtain, first_gate_m)
    return screen_values(check_gates(curtain, path), found.nyquist)
