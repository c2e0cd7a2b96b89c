"""The door to RPG-FMCW files of level 1 as the instrument writes them (LV1, versions 2 to 4).

Layout: RPG-FMCW Instrument Manual, chapter on file formats. A header states the gates and chirps;
every sample states its length, which gates hold echo, and five to thirteen moments of each. The
optional package rpgpy reads them. It takes the header's word for everything, and reads and writes
beyond its arrays where that is wrong: what holds together is checked here first.

The content comes under the names of the netCDF layout that `rpg` reads.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.core.memory import check_memory
from blindzone.pipeline.readers._extras import import_extra
from blindzone.pipeline.readers._netcdf import describe_damage

_VERSIONS = {789347: 2.0, 889347: 3.5, 1889347: 3.5, 889348: 4.0, 1889348: 4.0}
"""By the file code of four bytes; that of version 1, 789345, had spectra among the moments."""
_SAMPLE_HEAD_BYTES = 77
"""Of a sample after its length: time, milliseconds, quality, and 17 numbers of surroundings."""
_MOMENT_BYTES = {0: 5 * 4, 1: 8 * 4, 2: 13 * 4}
"""Of a gate with echo, by polarization: none, LDR mode, STSR mode."""
_BYTES_PER_GATE = 12 * 4
"""Of the twelve fields that rpgpy makes, echo or not."""
_LARGEST_COUNT = 100_000
"""Of gates, levels and chirps: an instrument has a thousand gates."""
_DAMAGE = (struct.error, ValueError, IndexError, KeyError, TypeError, OverflowError, OSError)


class _Layout(NamedTuple):
    """What the header states of the samples."""

    gates: int
    surroundings: int
    polarization: int
    samples_at: int


def is_lv1(start: bytes) -> bool:
    """Returns whether the first bytes of a file are those of a readable LV1 file."""
    return len(start) >= 4 and struct.unpack_from("<i", start)[0] in _VERSIONS


def read_lv1(path: Path) -> xr.Dataset:
    """Returns the content of an LV1 file under the names of RPG netCDF files.

    `Ze(time, range)` [mm6 m-3], zero without echo, `vm(time, range)` [m s-1], `Elv(time)` [degree].

    Raises:
        SourceFileError: If the file is cut short or damaged, or rpgpy is not installed.
    """
    rpgpy = import_extra("rpgpy", "rpg", "an RPG LV1 file", path)
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            samples = _check_samples(content, layout := _read_layout(content))
        check_memory(_BYTES_PER_GATE * samples * layout.gates, f"{path}: it", SourceFileError)
        header, data = rpgpy.read_rpg(path)
        return _rename(header, data)
    except (rpgpy.RPGFileError, *_DAMAGE) as error:
        raise describe_damage(path, error, "RPG LV1") from error


def _read_layout(content: mmap.mmap) -> _Layout:
    code, length = struct.unpack_from("<ii", content)
    end = 8 + length
    at = 16 + (8 if _VERSIONS[code] > 2 else 0)
    for _ in range(2):  # names of the program and of the customer end with a zero
        at = content.find(b"\0", at, max(end, at)) + 1
        if at == 0:
            raise ValueError("a name in its header does not end")
    polarization, gates, temperatures, humidities, chirps = struct.unpack_from(
        "<20xb16x4i", content, at
    )
    counts = (gates, temperatures, humidities, chirps)
    at += 53
    arrays_end = at + 4 * (gates + temperatures + humidities + 6 * chirps)
    if polarization not in _MOMENT_BYTES or not all(
        0 <= count <= _LARGEST_COUNT for count in counts
    ):
        raise ValueError(
            f"its header states {counts} gates, levels and chirps of polarization {polarization}"
        )
    if not (gates and chirps and arrays_end <= end <= len(content) - 4):
        raise ValueError(f"its header of {length} bytes does not hold {counts} gates and levels")
    offsets_at = at + 4 * (gates + temperatures + humidities + chirps)
    offsets = np.frombuffer(content[offsets_at : offsets_at + 4 * chirps], "<i4")
    if offsets[0] != 0 or np.any(np.diff(offsets) <= 0) or offsets[-1] >= gates:
        raise ValueError(f"its chirps begin at gates {offsets.tolist()} of {gates}")
    profiles = gates * (2 if polarization else 1)  # sensitivity limits
    return _Layout(gates, 3 + temperatures + 2 * humidities + profiles, polarization, end)


def _check_samples(content: mmap.mmap, layout: _Layout) -> int:
    """Returns the number of samples, which are as long as they say and fill the file."""
    (count,) = struct.unpack_from("<i", content, layout.samples_at)
    at = layout.samples_at + 4
    before = _SAMPLE_HEAD_BYTES + 4 * layout.surroundings
    for sample in range(count):
        (length,) = struct.unpack_from("<i", content, at)
        flags = content[at + 4 + before : at + 4 + before + layout.gates]
        echoes = flags.count(1)
        expected = before + layout.gates + echoes * _MOMENT_BYTES[layout.polarization]
        if length != expected or echoes + flags.count(0) != layout.gates:
            raise ValueError(f"sample {sample} of {count} has {length} bytes, {expected} are right")
        at += 4 + length
    if count < 1 or at != len(content):
        raise ValueError(f"its {count} samples end at byte {at}")
    return int(count)


def _rename(header: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> xr.Dataset:
    dims = ("time", "range")
    frequency = float(header["Freq"])
    return xr.Dataset(
        {
            "Ze": (dims, data["Ze"], {"units": "mm6 m-3"}),
            "vm": (dims, data["MeanVel"], {"units": "m s-1"}),
            "time": ("time", data["Time"], {"units": "seconds since 2001-01-01 00:00:00"}),
            "sampleTms": ("time", data["MSec"], {"units": "ms"}),
            "range": ("range", np.atleast_1d(header["RAlts"]), {"units": "m"}),
            "range_offsets": ("chirp", np.atleast_1d(header["RngOffs"]) + 1),
            "Lat": ((), np.float32(header["GPSLat"]), {"units": "degrees"}),
            "Lon": ((), np.float32(header["GPSLong"]), {"units": "degrees"}),
            "Elv": ("time", data["Elev"], {"units": "degrees"}),
            "freq": ((), frequency, {"units": "GHz"}),
        },
        attrs={"model_type": f"RPG-FMCW-{frequency:.0f}"},
    )
