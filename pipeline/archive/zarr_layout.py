"""Layout of a granule's zarr store: chunks, codecs, fill values, times and content hash.

zarr v3, a shard a variable, in chunks of one ray and 128 profiles. Each chunk carries a checksum,
so that bit rot is found when it is read. Times are kept to the microsecond, as seconds since 1970
in double precision: written, read and written again they stay what they are, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.pipeline.curtains.cf import TIME_UNITS, to_cf
from blindzone.pipeline.curtains.curtain import DIMS, FIELDS, STATUS_OF
from blindzone.pipeline.curtains.gridding import are_same_heights
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS

if TYPE_CHECKING:  # zarr takes as long to import as a day that is there unchanged
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

CHUNK_PROFILES = 128
"""Profiles per chunk: one window of the network touches two chunks."""
DAMAGE = (
    FileNotFoundError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
)
"""Errors of xarray, zarr and codecs on reading a damaged store. No other `OSError` is damage."""
LONGEST_STEP = 5.0
"""A step in time is a gap if it is longer than this many median steps."""
_TIME_ATTRIBUTES = {"units": TIME_UNITS, "calendar": "standard"}
_DTYPES = (
    dict.fromkeys((*FIELDS, *SURFACE_FIELDS), np.dtype("float32"))
    | dict.fromkeys(STATUS_OF.values(), np.dtype("int8"))
    | {"quality_flags": np.dtype("uint8")}
)


def encode_curtain(curtain: xr.Dataset, *, simulated: bool = False) -> dict[str, bytes]:
    """Returns the files of a zarr store of a curtain `(time, height)` or swath, by name.

    In memory first, which takes less time than zarr takes to write them one by one, and leaves it
    to the storage how they get safely to their place.
    """
    from zarr.storage import MemoryStore

    described = to_cf(curtain, simulated=simulated)
    seconds = count_microseconds(curtain) / 1e6
    described = described.assign_coords(
        time=("time", seconds, described["time"].attrs | _TIME_ATTRIBUTES)
    )
    contents: dict[str, Buffer] = {}
    # With empty chunks written too, a chunk that is not there is always a fault.
    described.to_zarr(
        MemoryStore(contents),
        mode="w-",
        consolidated=False,
        zarr_format=3,
        encoding=_encoding(described),
        write_empty_chunks=True,
    )
    return {name: content.to_bytes() for name, content in contents.items()}


def open_curtain(store: Store, *, by_day: bool = False) -> xr.Dataset:
    """Returns the content `(time, height)` of a store, lazily.

    Args:
        store: The store.
        by_day: Whether variables become dask arrays of one chunk each.
    """
    from blindzone.pipeline.archive.whole_store import WholeStore

    encoded = xr.open_zarr(
        WholeStore(store),
        consolidated=False,
        zarr_format=3,
        decode_times=False,
        chunks=-1 if by_day else None,
    )
    seconds = encoded["time"]
    times = (
        np.rint(seconds.values * 1e6)
        .astype(np.int64)
        .astype("datetime64[us]")
        .astype("datetime64[ns]")
    )
    attributes = {
        name: value for name, value in seconds.attrs.items() if name not in _TIME_ATTRIBUTES
    }
    curtain: xr.Dataset = encoded.assign_coords(time=("time", times, attributes))
    curtain["time"].encoding = _TIME_ATTRIBUTES | {"dtype": np.dtype("float64")}
    return curtain


def set_types(curtain: xr.Dataset) -> xr.Dataset:
    """Returns the curtain `(time, height)` in canonical types, times to the microsecond."""
    times = count_microseconds(curtain).astype("datetime64[us]").astype("datetime64[ns]")
    typed = {
        name: curtain[name].astype(dtype)
        for name, dtype in _DTYPES.items()
        if name in curtain and curtain[name].dtype != dtype
    }
    return curtain.assign(typed).assign_coords(time=("time", times))


def count_microseconds(curtain: xr.Dataset) -> np.ndarray:
    """Returns the times of profiles as microseconds since 1970 `(time,)`, int64."""
    nanoseconds = curtain["time"].values.astype("datetime64[ns]").astype(np.int64)
    return np.asarray((nanoseconds + 500) // 1000)


def hash_content(curtain: xr.Dataset) -> str:
    """Returns the SHA-256 of a curtain's decoded variables and coordinates.

    In order of their names, each one's name, type, dimensions and shape as a JSON list, and then
    its values, little endian, the last dimension varying fastest; times as int64 microseconds since
    1970.
    """
    digest = hashlib.sha256()
    for name in sorted(map(str, curtain.variables)):
        values = count_microseconds(curtain) if name == "time" else np.asarray(curtain[name].values)
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest.update(
            json.dumps([name, values.dtype.str, curtain[name].dims, values.shape]).encode()
        )
        digest.update(values.data)
    return digest.hexdigest()


def find_heights(curtain: xr.Dataset) -> np.ndarray:
    """Returns heights [m] `(height,)` of a curtain; none of a surface series."""
    return np.asarray(curtain["height"].values) if "height" in curtain.coords else np.empty(0)


def hash_grid(heights: np.ndarray) -> str:
    """Returns the SHA-256 of heights [m] `(height,)`, as int64 tenths of a millimetre."""
    return hashlib.sha256(np.rint(heights * 1e4).astype("<i8").tobytes()).hexdigest()


def describe_grid(heights: np.ndarray) -> str:
    """Returns heights [m] `(height,)` in words."""
    if not heights.size:
        return "no rows, at the surface"
    steps = np.diff(heights)
    step = (
        f", {steps[0]:g} m apart"
        if steps.size and np.allclose(steps, steps[0], rtol=0, atol=1e-3)
        else ""
    )
    if steps.size and not step:
        step = f", {steps.min():g} to {steps.max():g} m apart"
    return f"{heights.size} rows from {heights[0]:.2f} to {heights[-1]:.2f} m{step}"


def check_same_grid(new: np.ndarray, archived: np.ndarray, *, where: str, whose: str) -> None:
    """Checks that two sorts of heights [m] are the same to a millimetre.

    Raises:
        ArchiveError: If not, with both grids.
    """
    if not are_same_heights(archived, new):
        raise ArchiveError(
            f"{where}: its grid is {describe_grid(new)} (hash {hash_grid(new)[:12]}), that of"
            f" {whose} {describe_grid(archived)} (hash {hash_grid(archived)[:12]}); one source has"
            " one grid: use another archive folder or another source name"
        )


def measure_gaps(curtain: xr.Dataset) -> tuple[int, float]:
    """Returns the number of steps in time above five median steps, and their total length [s]."""
    steps = np.diff(count_microseconds(curtain))
    gaps = steps[steps > LONGEST_STEP * np.median(steps)] if steps.size else steps
    return int(gaps.size), float(gaps.sum()) / 1e6


def _encoding(curtain: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Returns the encoding of each variable.

    Fill values are none that a curtain may hold: another zarr reader takes them for a chunk that is
        gone.
    """
    from zarr.codecs import ZstdCodec

    # Level 0 is zstd's default. Measured on 27 days of BASTA: stronger levels, and blosc with
    # shuffled bytes or bits, take longer and save less than one percent.
    compressors = (ZstdCodec(level=0, checksum=True),)
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in curtain.variables.items():
        entry: dict[str, Any] = {
            "compressors": compressors,
            "fill_value": _fill_value(variable.dtype),
        }
        if variable.dims[-2:] == DIMS:
            *rays, profiles, rows = variable.shape
            whole = -(-profiles // CHUNK_PROFILES) * CHUNK_PROFILES
            entry |= {
                "chunks": (*[1] * len(rays), CHUNK_PROFILES, rows),
                "shards": (*rays, whole, rows),
            }
        elif variable.ndim:
            entry["chunks"] = variable.shape
        encoding[str(name)] = entry | {"_FillValue": None}
    return encoding


def _fill_value(dtype: np.dtype[Any]) -> float | int:
    """Returns NaN, -1 or, of unsigned numbers, the greatest one (all flags at once)."""
    if dtype.kind == "f":
        return float("nan")
    return -1 if dtype.kind == "i" else int(np.iinfo(dtype).max)
