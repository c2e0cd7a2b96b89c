"""The one door to netCDF files: reading and writing that is safe in threads.

The netCDF-C library is not thread-safe: two threads that read through it at once can end the
process. Files in netCDF-4 (HDF5) form therefore go through h5netcdf; the rest goes through netCDF4
under one process-wide lock.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError, shorten
from blindzone.core.fence import LONGEST_QUOTE
from blindzone.core.memory import check_memory
from blindzone.pipeline.readers._classic import find_least_size
from blindzone.pipeline.readers._hdf4_elements import MAGIC as HDF4_MAGIC
from blindzone.pipeline.readers._hdf4_elements import list_contents
from blindzone.pipeline.readers._hdf5_walk import DeadlyFileError, check_survives

_NETCDF4_LOCK = threading.Lock()
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_NETCDF3_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_HEAP_MAGIC = b"GCOL\x01\0\0\0"
_HEAP_HEADER_BYTES = _OBJECT_HEADER_BYTES = 16
_START_BYTES = 4096
"""Of a file's start, enough to tell what a file is that is no netCDF or HDF."""

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""As what HDF5, netCDF-C and the packages above them report damage, by where they meet it."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The head of a file: enough to recognise its kind without reading its data.

    Attributes:
        container: The file format around the data; `other` is none of netCDF and HDF.
        variables: Names of the variables, in nested groups with their path:
            `NS/SLV/zFactorCorrected`.
        attributes: Global attributes, those that are text. Of HDF4, `products` names its HDF-EOS2
            swaths and grids.
        units: Units of the variables that state them; of HDF4 none.
        start: The file's first bytes, if it is of another format.
    """

    container: Literal["netcdf3", "hdf5", "hdf4", "other"]
    variables: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    start: bytes = b""

    def has(self, *names: str) -> bool:
        """Returns whether the file has every one of these variables."""
        return self.variables.issuperset(names)


def read_header(path: Path) -> Header:
    """Returns the head of a file.

    Raises:
        SourceFileError: If the file is missing, or a netCDF or HDF file cut short or damaged.
    """
    magic = read_magic(path)
    if magic[:4] == HDF4_MAGIC:
        return _head_hdf4(path)
    if magic[:4] in _NETCDF3_MAGIC:
        _check_whole_classic(path)
        with _NETCDF4_LOCK:
            return _head_classic(path)
    if magic == HDF5_MAGIC:
        check_opens_hdf5(path, ())
        return _head_hdf5(path)
    return Header(container="other", start=read_magic(path, _START_BYTES))


def _head_hdf4(path: Path) -> Header:
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            found = list_contents(content)
    except (struct.error, *DAMAGE) as error:
        raise describe_damage(path, error, "HDF4") from error
    return Header(
        container="hdf4",
        variables=found.variables,
        attributes={"products": " ".join(found.products)} if found.products else {},
    )


def _head_classic(path: Path) -> Header:
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_cf=False, cache=False) as dataset:
            units = {str(name): dataset[name].attrs.get("units") for name in dataset.variables}
            return Header(
                container="netcdf3",
                variables=frozenset(units),
                attributes={
                    key: value for key, value in dataset.attrs.items() if isinstance(value, str)
                },
                units={name: unit for name, unit in units.items() if isinstance(unit, str)},
            )
    except DAMAGE as error:
        raise describe_damage(path, error) from error


def _head_hdf5(path: Path) -> Header:
    units: dict[str, str] = {}
    names: list[str] = []

    def visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and not _is_bare_dimension(item):
            names.append(name)
            unit = item.attrs.get("units")
            if unit is not None:
                units[name] = _as_text(unit)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            attributes = {key: _as_text(value) for key, value in file.attrs.items()}
    except DAMAGE as error:
        raise describe_damage(path, error) from error
    return Header(container="hdf5", variables=frozenset(names), attributes=attributes, units=units)


def _is_bare_dimension(item: h5py.Dataset) -> bool:
    """Returns whether this is a netCDF-4 dimension without a variable.

    See NetCDF User's Guide, HDF5 interoperability.
    """
    return _as_text(item.attrs.get("NAME", "")).startswith(
        "This is a netCDF dimension but not a netCDF variable"
    )


def _as_text(value: object) -> str:
    """Returns an attribute as text; an array of one text is that text, and no value none."""
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_netcdf(path: Path, names: tuple[str, ...] | None = None) -> xr.Dataset:
    """Returns a netCDF file's content in memory, undecoded.

    Fill values, packed numbers, times and each shape are as stored.

    Args:
        path: The file.
        names: Variables to read; those that the file lacks are left out. All by default.

    Raises:
        SourceFileError: If the file is missing, cut short, damaged or no netCDF.
    """
    magic = read_magic(path)
    if magic == HDF5_MAGIC:
        check_opens_hdf5(path, names)
        return _load(path, "h5netcdf", names)
    if magic[:4] in _NETCDF3_MAGIC:
        _check_whole_classic(path)
        with _NETCDF4_LOCK:
            return _load(path, "netcdf4", names)
    raise _describe_foreign(path, magic)


def is_netcdf(path: Path) -> bool:
    """Returns whether a file, by its first bytes, is in one of the forms that are read here."""
    magic = read_magic(path)
    return magic == HDF5_MAGIC or magic[:4] in _NETCDF3_MAGIC


def read_magic(path: Path, count: int = 8) -> bytes:
    """Returns a file's first bytes, which identify its format."""
    if not path.is_file():
        raise SourceFileError(f"{path}: no such file")
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise SourceFileError(f"{path}: cannot be read: {error.strerror}") from error


def _describe_foreign(path: Path, magic: bytes) -> SourceFileError:
    found = "an empty file" if not magic else f"first bytes {magic!r}"
    return SourceFileError(
        f"{path}: not a netCDF file ({found}); netCDF-3 or netCDF-4 (HDF5) is right"
    )


def _load(path: Path, engine: str, names: tuple[str, ...] | None) -> xr.Dataset:
    try:
        with xr.open_dataset(path, engine=engine, decode_cf=False, cache=False) as dataset:
            kept = (
                dataset
                if names is None
                else dataset[[name for name in names if name in dataset.variables]]
            )
            check_memory(kept.nbytes, f"{path}: it", SourceFileError)
            return kept.load()
    except DAMAGE as error:
        raise describe_damage(path, error) from error


def describe_damage(path: Path, error: Exception, form: str = "netCDF") -> SourceFileError:
    """Returns the error of a file that cannot be read, with the message of the library below."""
    reason = shorten(str(error), LONGEST_QUOTE)
    if isinstance(error, BlockingIOError):
        return SourceFileError(
            f"{path}: cannot be read as {form}: another program has it open for writing: {reason}"
        )
    return SourceFileError(
        f"{path}: cannot be read as {form}, it may be cut short or damaged ({path.stat().st_size}"
        f" bytes): {reason}"
    )


def check_opens_hdf5(path: Path, names: tuple[str, ...] | None, form: str = "netCDF") -> None:
    """Checks, ahead of h5netcdf, for the damage that it or the HDF5 library does not take well.

    HDF5 never returns from a global heap with free space of no length. And where the file's
    attributes cannot be read, h5netcdf leaves a half-made object behind, whose end prints a
    traceback to standard error. Sizes are those of the data, which may differ from those of the
    dimensions that h5netcdf reports.
    """
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if _has_endless_heap(content):
                raise OSError("its global heap holds free space of no length")
        check_survives(path)
        with h5py.File(path, "r") as file:
            file.attrs.get("_nc3_strict")
            data = [file[name] for name in (file if names is None else names) if name in file]
            size = sum(item.nbytes for item in data if isinstance(item, h5py.Dataset))
            check_memory(size, f"{path}: it", SourceFileError)
    except (DeadlyFileError, *DAMAGE) as error:
        raise describe_damage(path, error, form) from error


def _has_endless_heap(content: mmap.mmap) -> bool:
    """Returns whether HDF5 would walk a global heap endlessly (HDF5 File Format, III.E)."""
    start = content.find(_HEAP_MAGIC)
    while start >= 0 and start + _HEAP_HEADER_BYTES <= len(content):
        (size,) = struct.unpack_from("<8xQ", content, start)
        end, at = min(start + size, len(content)), start + _HEAP_HEADER_BYTES
        while at + _OBJECT_HEADER_BYTES <= end:
            index, length = struct.unpack_from("<H6xQ", content, at)
            if index == 0:  # free space, whose length counts its own header
                if length == 0:
                    return True
                at += length
            else:
                at += _OBJECT_HEADER_BYTES + length + -length % 8
        start = content.find(_HEAP_MAGIC, start + 1)
    return False


def _check_whole_classic(path: Path) -> None:
    """Checks that a netCDF-3 file is as long as its header states; netCDF-C reads zeros beyond."""
    found = path.stat().st_size
    try:
        with path.open("rb") as stream:
            expected = find_least_size(stream)
    except (struct.error, OSError, KeyError, IndexError, OverflowError) as error:
        raise SourceFileError(
            f"{path}: cannot be read as netCDF, its header is cut short or damaged ({found} bytes)"
        ) from error
    if found < expected:
        raise SourceFileError(
            f"{path}: cannot be read as netCDF, it is cut short ({found} bytes); {expected} are"
            " right"
        )
