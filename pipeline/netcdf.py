"""The one door to netCDF files: reading and writing that is safe in threads.

The netCDF-C library is not thread-safe: two threads that read through it at once can end the process. Files in
netCDF-4 (HDF5) form therefore go through h5netcdf; the rest goes through netCDF4 under one process-wide lock.
"""

from __future__ import annotations

import math
import struct
import threading
from pathlib import Path
from typing import BinaryIO

import xarray as xr

from blindzone.pipeline.errors import SourceFileError

_NETCDF4_LOCK = threading.Lock()
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_NETCDF3_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_NETCDF3_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_STREAMING = (2**32 - 1, 2**64 - 1)
"""Stands for a number of records that its writer did not settle, with 4-byte counts and with 8-byte ones."""


def read_netcdf(path: Path, names: tuple[str, ...] | None = None) -> xr.Dataset:
    """Returns a netCDF file's content in memory, undecoded: fill values, packed numbers and times stay as stored.

    Args:
        path: The file.
        names: Variables to read; those that the file lacks are left out. All by default.

    Raises:
        SourceFileError: If the file is missing, cut short, damaged or no netCDF.
    """
    if not path.is_file():
        raise SourceFileError(f"{path}: no such file")
    try:
        with path.open("rb") as stream:
            magic = stream.read(8)
    except OSError as error:
        raise SourceFileError(f"{path}: cannot be read: {error.strerror}") from error
    if magic == _HDF5_MAGIC:
        return _load(path, "h5netcdf", names)
    if magic[:4] in _NETCDF3_MAGIC:
        _check_whole_classic(path)
        with _NETCDF4_LOCK:
            return _load(path, "netcdf4", names)
    found = "an empty file" if not magic else f"first bytes {magic!r}"
    raise SourceFileError(f"{path}: not a netCDF file ({found}); netCDF-3 or netCDF-4 (HDF5) is right")


def _load(path: Path, engine: str, names: tuple[str, ...] | None) -> xr.Dataset:
    # HDF5 and netCDF-C report damage as OSError, RuntimeError, KeyError or ValueError, by where they meet it.
    try:
        with xr.open_dataset(path, engine=engine, decode_cf=False, cache=False) as dataset:
            kept = dataset if names is None else dataset[[name for name in names if name in dataset.variables]]
            return kept.load()
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SourceFileError(
            f"{path}: cannot be read as netCDF, it may be cut short or damaged ({path.stat().st_size} bytes): {error}"
        ) from error


def _check_whole_classic(path: Path) -> None:
    """Checks that a netCDF-3 file is as long as its header says: netCDF-C reads zeros where it ends early."""
    found = path.stat().st_size
    try:
        with path.open("rb") as stream:
            expected = _classic_size(stream)
    except (struct.error, OSError, KeyError, IndexError, OverflowError) as error:
        raise SourceFileError(
            f"{path}: cannot be read as netCDF, its header is cut short or damaged ({found} bytes)"
        ) from error
    if found < expected:
        raise SourceFileError(
            f"{path}: cannot be read as netCDF, it is cut short ({found} bytes); {expected} are right"
        )


def _classic_size(stream: BinaryIO) -> int:
    """Returns the least number of bytes of a netCDF-3 file, from its header (NetCDF User's Guide, appendix B)."""
    version = stream.read(4)[3]
    count, offset = (">Q" if version == 5 else ">I"), (">I" if version == 1 else ">Q")

    def read(form: str) -> int:
        return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])

    def skip(size: int) -> None:
        stream.seek(size + -size % 4, 1)

    def items() -> range:
        read(">I")  # the tag that says what the list holds
        return range(read(count))

    def skip_attributes() -> None:
        for _ in items():
            skip(read(count))
            kind = read(">I")
            skip(read(count) * _NETCDF3_TYPE_BYTES[kind])

    records = read(count)
    lengths: list[int] = []
    for _ in items():
        skip(read(count))  # the dimension's name
        lengths.append(read(count))
    skip_attributes()
    ends = [stream.tell()]
    recorded: list[tuple[int, int]] = []  # where its first record begins, and bytes a record
    for _ in items():
        skip(read(count))  # the variable's name
        shape = [lengths[read(count)] for _ in range(read(count))]
        skip_attributes()
        kind, _, begin = read(">I"), read(count), read(offset)
        along_records = shape[:1] == [0]
        size = math.prod(shape[along_records:]) * _NETCDF3_TYPE_BYTES[kind]
        if along_records:
            recorded.append((begin, size))
        else:
            ends.append(begin + size)
    if 0 < records < _STREAMING[version == 5]:
        padded = [size + -size % 4 for _, size in recorded]
        step = sum(padded) if len(recorded) > 1 else sum(size for _, size in recorded)
        ends += [begin + (records - 1) * step + size for begin, size in recorded]
    return max(ends)
