"""Ceilometers as the instruments write them: Vaisala, Lufft and Campbell Scientific.

- Vaisala CL61, and DA10 of the same layout (netCDF): `beta_att(time, range)`, with the dimension
  `profile` in early firmware; `range` is the lower edge of a gate, as CloudnetPy takes it. A
  position of 0, 0 is the preset: nobody stated it.
- Lufft CHM15k and CHM8k (netCDF): `beta_att(time, range)`, calibrated by the instrument
  (`netcdf_mode` 1), or `beta_raw` in normalized counts, times the file's `c_cal`; without that the
  file is rejected. `range` is the upper edge of a gate (ceilopyter).
- Messages of Vaisala CL31, CL51 and CT25K and of Campbell Scientific CS135 (text), read by the
  optional package ceilopyter, which checks each message's sum. Messages without a time before them,
  damaged ones, and ones of other gates than most are left out. They state no site.

Every layout holds range-corrected attenuated backscatter [sr-1 m-1] with noise in every gate, and
is screened as `_lidar` says. Profiles during an alarm of the instrument are rejected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.core.memory import check_memory
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES, QualityFlag
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, with_count
from blindzone.pipeline.readers._checks import check_dims, check_variables, read_zenith
from blindzone.pipeline.readers._extras import import_extra
from blindzone.pipeline.readers._lidar import (
    build_lidar_curtain,
    check_within,
    find_off_beam,
    screen_noise,
    to_height,
)
from blindzone.pipeline.readers._netcdf import Header, describe_damage, read_header
from blindzone.pipeline.readers._numbers import is_missing, read_numbers
from blindzone.pipeline.readers._origin import Site, pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import METRES, to_units
from blindzone.pipeline.readers.ceilometer import PER_STERADIAN_METRE

_UNITS = {"range": METRES, "beta_att": PER_STERADIAN_METRE}
_NAMES = (
    "beta_att",
    "beta_raw",
    "c_cal",
    "time",
    "range",
    "latitude",
    "longitude",
    "altitude",
    "elevation",
    "tilt_angle",
    "zenith",
)
_OF_VAISALA = ("beta_att", "time", "range", "cloud_base_heights", "elevation")
_OF_LUFFT = ("time", "range", "zenith", "range_gate", "laser_pulses")
_CREDIBLE = (-0.1, 1.0)
"""Attenuated backscatter [sr-1 m-1] with its noise; counts are far beyond."""
_PLACE = ("latitude", "longitude")
_PROVENANCE = {"site": "location"}

_Read = Callable[[Path], tuple[Sequence[Any], Sequence[Any]]]


class _Messages(NamedTuple):
    """Messages of one instrument family.

    Attributes:
        instrument: Its name.
        opening: What a message of it begins with.
        reader: The function of ceilopyter that reads a file of them.
    """

    instrument: str
    opening: re.Pattern[bytes]
    reader: str


_MESSAGES = tuple(
    _Messages(instrument, re.compile(rb"(?:^|[\x01\r\n ,])" + opening + rb"\x02?\r?\n"), reader)
    for instrument, opening, reader in (
        ("Vaisala CL31 or CL51", rb"CL[0-9A-Z]\d{5}", "read_cl_file"),
        ("Vaisala CT25K", rb"CT[0-9A-Z]\d{4}", "read_ct_file"),
        ("Campbell Scientific CS135", rb"CS[0-9A-Z]\d{6}", "read_cs_file"),
    )
)
_FAILURES = re.compile(
    r"(transmitter|receiver|laser|photo_diode|light_path|voltage|memory|coaxial|ceilometer_board"
    r"|dsp_calibration)_.*alarm"
)
"""Alarms of what measures, as ceilopyter names them; others are of the mains, heater or storage."""
_LOG = b"-Ceilometer Logfile"
"""What a log of Vaisala's own program begins with, which may hold no message."""


class _Profiles(NamedTuple):
    """What a file holds: `backscatter` `(time, range)`, `tilt` and `alarm` `(time,)`, the site."""

    content: xr.Dataset
    time: np.ndarray
    range_m: np.ndarray


def read_ceilometer_raw(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of a file as a ceilometer writes it.

    Raises:
        SourceFileError: If the file cannot be read, is not calibrated, has units, times, gates or
            values that do not fit its layout, or has no noise to separate signal from; or if the
            optional package that reads it is not installed.
        CurtainError: If its times or gates do not increase strictly.
    """
    header = read_header(path)
    messages = _find_messages(header)
    raw, times, range_m = _read_netcdf(path) if messages is None else _read_messages(messages, path)
    raw, times = keep_sound(raw, times, path, find_off_beam(raw["tilt"].values))
    backscatter = raw["backscatter"].values
    check_within(backscatter, _CREDIBLE, "attenuated backscatter", "sr-1 m-1", path)
    if raw["alarm"].values.all():
        raise SourceFileError(
            f"{path}: the instrument reports a failure in all of its {times.size} profiles"
        )
    missing, alarm = np.isnan(backscatter), raw["alarm"].values[:, np.newaxis]
    known = np.where(alarm, np.nan, backscatter)
    return build_lidar_curtain(
        {
            "attenuated_backscatter": backscatter,
            "signal": screen_noise(known, range_m, path),
            "no_data": missing | alarm,
            "quality_flags": np.where(alarm & ~missing, QualityFlag.REJECTED, 0),
        },
        "attenuated_backscatter",
        time=times,
        height=to_height(range_m, raw["tilt"].values),
        site=_find_site(raw),
        attrs=raw.attrs,
        path=path,
    )


def _read_netcdf(path: Path) -> _Profiles:
    raw = read_numbers(path, _NAMES)
    name = "beta_att" if "beta_att" in raw.variables else "beta_raw"
    check_variables(raw, (name, "time", "range"), "a ceilometer file", path)
    check_dims(raw, ("range",), ("range",), path)
    raw = to_units(raw, _UNITS, path)
    dims = (*map(str, raw["time"].dims), "range")
    if len(dims) != 2:
        raise SourceFileError(f"{path}: 'time' has dimensions {dims[:-1]}; one is right")
    check_dims(raw, (name,), dims, path)
    is_lufft = "zenith" in raw.variables
    raw = raw.swap_dims({dims[0]: "time"}) if dims[0] != "time" else raw
    edges = raw["range"].values.astype(np.float64)
    tilt = read_zenith(raw, "zenith" if is_lufft else "tilt_angle")
    names = {"altitude" if is_lufft else "elevation": "altitude"}
    site = raw[[name for name in (*_PLACE, *names) if name in raw.variables]].drop_vars(
        ("time", "range"), errors="ignore"
    )
    attrs = pick_provenance(raw.assign_attrs(title=""), _PROVENANCE)
    return _Profiles(
        _lay_out(_calibrate(raw, path), tilt, None)
        .assign(site.rename({name: ours for name, ours in names.items() if name in site}))
        .assign_attrs(attrs)
        .assign_attrs(
            instrument=_name_instrument(str(raw.attrs.get("title", "")), is_lufft=is_lufft)
        ),
        decode_times(raw["time"], path),
        edges + (-0.5 if is_lufft else 0.5) * _find_spacing(edges, path),
    )


def _lay_out(
    backscatter: np.ndarray, tilt: np.ndarray | None, alarm: np.ndarray | None
) -> xr.Dataset:
    """Returns backscatter `(time, range)` with tilt [degree], NaN if unknown, and alarm."""
    count = len(backscatter)
    return xr.Dataset(
        {
            "backscatter": (("time", "range"), backscatter),
            "tilt": ("time", np.full(count, np.nan) if tilt is None else tilt),
            "alarm": ("time", np.zeros(count, dtype=bool) if alarm is None else alarm),
        }
    )


def _name_instrument(title: str, *, is_lufft: bool) -> str:
    if is_lufft:
        return f"Lufft {title}" if title.startswith("CHM") else "Lufft CHM15k"
    return "Vaisala DA10" if "DA10" in title else "Vaisala CL61"


def _calibrate(raw: xr.Dataset, path: Path) -> np.ndarray:
    """Returns attenuated backscatter [sr-1 m-1] `(time, range)`, NaN where missing."""
    if "beta_att" in raw.variables:
        variable, factor = raw["beta_att"], 1.0
    else:
        variable = raw["beta_raw"]
        constants = np.unique(raw["c_cal"].values) if "c_cal" in raw.variables else np.empty(0)
        if constants.size != 1 or not 0 < constants[0] < 1:
            raise SourceFileError(
                f"{path}: 'beta_raw' holds counts, and c_cal is {constants.tolist()}; one"
                " calibration constant, some 3e-12, is right"
            )
        factor = float(constants[0])
    return np.where(is_missing(variable), np.float32(np.nan), variable.values * np.float32(factor))


def _find_spacing(edges: np.ndarray, path: Path) -> float:
    """Returns the depth of the gates [m], of their edges `(range,)`."""
    if edges.size < 2 or not edges[1] > edges[0]:
        raise SourceFileError(f"{path}: 'range' has {edges.size} gates; increasing ones are right")
    return float(edges[1] - edges[0])


def _find_site(raw: xr.Dataset) -> Site:
    latitude, longitude, altitude = read_site(raw, SITE_COORDINATES)
    # Where nobody has entered the place, the altitude is a preset too.
    unknown = not np.isfinite(latitude).any() and not np.isfinite(longitude).any()
    return latitude, longitude, np.nan if unknown else altitude


def _find_messages(header: Header) -> _Messages | None:
    """Returns whose messages a file holds."""
    of_log = _MESSAGES[0] if header.start.startswith(_LOG) else None
    return next((each for each in _MESSAGES if each.opening.search(header.start)), of_log)


def _read_messages(kind: _Messages, path: Path) -> _Profiles:
    ceilopyter = import_extra("ceilopyter", "ceilometer", f"messages of {kind.instrument}", path)
    # As text, split into messages, and as numbers of eight bytes of five digits each.
    check_memory(4 * path.stat().st_size, f"{path}: it", SourceFileError)
    read: _Read = getattr(ceilopyter, kind.reader)
    try:
        times, messages = read(path)
    except (ValueError, IndexError, OverflowError, OSError) as error:
        raise describe_damage(path, error, f"messages of {kind.instrument}") from error
    if not messages:
        raise SourceFileError(
            f"{path}: none of its messages of {kind.instrument} is whole and has its time before"
            " it; lines like '-2021-03-14 00:00:05' are right"
        )
    gates = Counter((each.range_resolution, each.beta.size) for each in messages)
    (spacing, count), _ = gates.most_common(1)[0]
    kept = [
        number
        for number, each in enumerate(messages)
        if (each.range_resolution, each.beta.size) == (spacing, count)
    ]
    content = _lay_out(
        np.array([messages[number].beta for number in kept], dtype=np.float32),
        np.abs([float(messages[number].tilt_angle) for number in kept]),
        np.array([_has_alarm(messages[number].status) for number in kept]),
    )
    broken = max(0, len(kind.opening.findall(path.read_bytes())) - len(messages))
    attrs = with_count({"instrument": kind.instrument}, "damaged", broken, PROFILES_DROPPED)
    others = len(messages) - len(kept)
    return _Profiles(
        content.assign_attrs(with_count(attrs, "of other gates", others, PROFILES_DROPPED)),
        np.array([times[number] for number in kept], dtype="datetime64[ns]"),
        (np.arange(count) + 0.5) * spacing,
    )


def _has_alarm(status: Any) -> bool:
    return any(value for name, value in vars(status).items() if _FAILURES.fullmatch(name))


def _recognises(header: Header) -> bool:
    is_vaisala = header.has(*_OF_VAISALA)
    is_lufft = header.has(*_OF_LUFFT) and (
        header.has("beta_att") or header.has("beta_raw", "c_cal")
    )
    return is_vaisala or is_lufft or _find_messages(header) is not None


LIDAR = Reader(
    name="ceilometer_raw",
    title="a file as a ceilometer writes it",
    read=read_ceilometer_raw,
    recognises=_recognises,
)
