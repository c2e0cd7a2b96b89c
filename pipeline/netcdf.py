"""The one door to netCDF files: reading and writing that is safe in threads.

The netCDF-C library is not thread-safe: two threads that read through it at once can end the process. Files in
netCDF-4 (HDF5) form therefore go through h5netcdf; the rest goes through netCDF4 under one process-wide lock.
"""

from __future__ import annotations

import threading
from pathlib import Path

import xarray as xr

from blindzone.pipeline.errors import SourceFileError

_NETCDF4_LOCK = threading.Lock()
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_NETCDF3_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")


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
    with path.open("rb") as stream:
        magic = stream.read(8)
    if magic == _HDF5_MAGIC:
        return _load(path, "h5netcdf", names)
    if magic[:4] in _NETCDF3_MAGIC:
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
