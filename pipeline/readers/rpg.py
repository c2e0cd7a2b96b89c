"""RPG-FMCW radars: netCDF files of Juelich and Ny-Alesund, binary LV1 files, and rpgpy's netCDF.

All three hold the same: one file an hour. The names are those of the netCDF files; `_rpg_lv1` reads
the binary ones, and what rpgpy's `rpg2nc` makes of these is renamed here.

`Ze(time, range)` is linear [mm6 m-3] and `vm(time, range)` [m s-1] positive away from the radar
(Kuechler et al. 2017, doi 10.1175/JTECH-D-17-0019.1). `time` counts whole seconds since 2001-01-01,
`sampleTms` adds milliseconds (its units, 'mu s', are a slip of the writer: the values reach 999).
No echo is NaN, a fill value, zero or, after the subtraction of noise, negative. No data
looks the same, so that nothing is marked as `NO_DATA`.

Each chirp sequence has its own gate spacing. Where a chirp begins at or below the last gate of the
one beneath, the doubled heights are taken from the lower chirp. An altitude of exactly 0 m is the
instrument's preset: nobody stated it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._assembly import build_curtain
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
    find_off_zenith,
)
from blindzone.pipeline.readers._netcdf import Header, read_magic
from blindzone.pipeline.readers._numbers import is_missing, read_numbers
from blindzone.pipeline.readers._origin import Site, pick_frequency, pick_provenance, read_site
from blindzone.pipeline.readers._profiles import is_mostly, keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._rpg_lv1 import is_lv1, read_lv1
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import (
    ABOVE_GROUND,
    ABOVE_SEA,
    DBZ,
    DEGREES,
    LINEAR,
    METRES,
    UPWARD,
    find_unit_text,
    to_stated_units,
    to_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped

_REQUIRED = ("time", "sampleTms", "range", "Ze")
_OPTIONAL = ("vm", "range_offsets", "Lat", "Lon", "MSL", "Elv", "freq")
_RPGPY_NAMES = {
    "range_layers": "range",
    "time_ms": "sampleTms",
    "v": "vm",
    "chirp_start_indices": "range_offsets",
    "gps_latitude": "Lat",
    "gps_longitude": "Lon",
    "elevation": "Elv",
    "radar_frequency": "freq",
}
"""Names of the netCDF files that rpgpy makes of LV1 files."""
_UNITS = {"range": ABOVE_GROUND, "Ze": DBZ, "vm": UPWARD}
_STATED_UNITS = {
    "Lat": DEGREES,
    "Lon": DEGREES,
    "MSL": ABOVE_SEA,
    "Elv": DEGREES,
    "sampleTms": "ms",
}
_SECONDS = re.compile(r"(s|secs?|seconds?)( UTC)?")
_SINCE = re.compile(r".*?(?P<units>\bsec\w* since .*)")

_CLOCK_START = np.datetime64("2001-01-01", "ns")
"""Of the instrument's clock: nothing was measured before."""
_PROVENANCE = {"instrument": "model_type", "site": "location", "references": "references"}


def read_rpg_radar(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an RPG-FMCW-94 file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or
            values that do not fit the layout.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = _read_raw(path)
    check_variables(raw, _REQUIRED, "an RPG-FMCW-94 file", path)
    raw = drop_time_axis(raw, ("range",), path)
    check_dims(raw, ("Ze", "vm"), ("time", "range"), path)
    raw = to_units(to_units(raw, {"Ze": LINEAR}, path), _UNITS, path)
    check_dims(raw, ("time", "sampleTms"), ("time",), path)
    check_dims(raw, ("range",), ("range",), path)
    raw = to_stated_units(_correct_slips(raw), _STATED_UNITS, path)
    raw, time = keep_sound(
        raw, _times(raw, path), path, find_off_zenith(raw, "Elv", from_horizon=True)
    )
    reflectivity = np.where(is_missing(raw["Ze"]), np.nan, raw["Ze"].values)
    check_credible(reflectivity, "Ze", path)
    dropped = find_dropped(raw["Ze"])
    fields = {"reflectivity": reflectivity, "no_data": dropped, "rejected": dropped}
    if "vm" in raw:
        fields["doppler_velocity"] = np.where(is_missing(raw["vm"]), np.nan, raw["vm"].values)
    heights = raw["range"].values.astype(np.float64)
    kept = _keep_increasing(heights, raw)
    return build_curtain(
        {name: field[:, kept] for name, field in fields.items()},
        time=time,
        height=heights[kept],
        site=_read_site(raw),
        attrs=pick_provenance(raw, _PROVENANCE) | pick_frequency(raw, "freq"),
        path=path,
    )


def _read_raw(path: Path) -> xr.Dataset:
    """Returns the content of a file of any of the three layouts under the names of the first."""
    if is_lv1(read_magic(path)):
        return read_lv1(path)
    raw = read_numbers(path, (*_REQUIRED, *_OPTIONAL, *_RPGPY_NAMES))
    if "range_layers" not in raw.variables:
        return raw[[name for name in (*_REQUIRED, *_OPTIONAL) if name in raw.variables]]
    return _rename(raw)


def _rename(raw: xr.Dataset) -> xr.Dataset:
    """Returns the content of a netCDF file of rpgpy under the names of the other layout.

    Units are in the comments there, and chirps are counted from zero.
    """
    renamed = xr.Dataset(
        {_RPGPY_NAMES.get(str(name), str(name)): raw.variables[name] for name in raw.variables},
        attrs={"model_type": "RPG-FMCW"} | raw.attrs,
    )
    renamed["range"].attrs.setdefault("units", METRES)
    if "linear" in str(renamed["Ze"].attrs.get("comment", "")):
        renamed["Ze"].attrs.setdefault("units", LINEAR)
    if "since 1.1.2001" in str(renamed["time"].attrs.get("comment", "")):
        renamed["time"].attrs["units"] = "seconds since 2001-01-01 00:00:00"
    if "range_offsets" in renamed.variables:
        renamed["range_offsets"].values += 1
    return renamed


def _read_site(raw: xr.Dataset) -> Site:
    latitude, longitude, altitude = read_site(raw, ("Lat", "Lon", "MSL"))
    is_preset = np.ndim(altitude) == 0 and altitude == 0
    return latitude, longitude, float("nan") if is_preset else altitude


def _keep_increasing(heights: np.ndarray, raw: xr.Dataset) -> np.ndarray:
    """Returns the mask of gates `(range,)` after overlapping chirps: the upper loses its doubles.

    Gates that run backwards inside a chirp are no overlap: all are kept, and the check of the
        curtain rejects them.
    """
    if heights.size == 0 or "range_offsets" not in raw.variables:
        return np.ones(heights.shape, dtype=bool)
    kept = np.append(True, heights[1:] > np.maximum.accumulate(heights)[:-1])
    first_dropped = np.flatnonzero(kept[:-1] & ~kept[1:]) + 1
    chirp_starts = raw["range_offsets"].values - 1  # the file counts from one
    return (
        kept if np.isin(first_dropped, chirp_starts).all() else np.ones(heights.shape, dtype=bool)
    )


def _correct_slips(raw: xr.Dataset) -> xr.Dataset:
    """Returns the file's content with what its writers say amiss: units in names, ms as 'mu s'."""
    out = raw.copy()
    if find_unit_text(raw["sampleTms"]) == "mu s":
        out["sampleTms"].attrs["units"] = "ms"
    name = _SINCE.fullmatch(str(raw["time"].attrs.get("long_name", "")))
    if name and _SECONDS.fullmatch(find_unit_text(raw["time"]) or "s"):
        out["time"].attrs["units"] = name["units"]
    return out


def _times(raw: xr.Dataset, path: Path) -> np.ndarray:
    milliseconds = raw["sampleTms"].values.astype(np.float64)
    wrong = ~((milliseconds >= 0) & (milliseconds < 1000))
    if is_mostly(wrong):
        raise SourceFileError(
            f"{path}: 'sampleTms' holds {int(wrong.sum())} values outside 0 to 999 milliseconds "
            f"(first: {milliseconds[wrong][0]:g})"
        )
    times = decode_times(raw["time"], path) + np.where(
        wrong, np.timedelta64("NaT"), np.round(np.where(wrong, 0, milliseconds)).astype("m8[ms]")
    )
    early = times < _CLOCK_START
    if is_mostly(early):
        raise SourceFileError(
            f"{path}: 'time' begins at {times[early].min()}, before the radar's clock; seconds"
            " since 2001-01-01 are usual, and another epoch would look like this"
        )
    return np.asarray(np.where(early, np.datetime64("NaT"), times))


def _recognises(header: Header) -> bool:
    return (
        header.has(*_REQUIRED)
        or header.has("Ze", "v", "range_layers", "time_ms", "file_code")
        or is_lv1(header.start)
    )


RADAR = Reader(
    name="rpg_fmcw94", title="an RPG-FMCW-94 file", read=read_rpg_radar, recognises=_recognises
)
