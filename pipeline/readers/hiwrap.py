"""HIWRAP on the ER-2 (Ku and Ka band, looking down from 20 km): legs with both radars on one grid.

Layout, as the one measured file has it (NASA IMPACTS campaign, 2023; the file says nothing of
itself): `zKu` and `zKa(time, range)` [dBZ], NaN where there is no echo; `time` [s] since 1970-01-01
UTC, `lat`, `lon` [degree]; the index of `range` grows downwards. `cl(time)` is the first gate that
the authors call clutter, `ml(time, n2)` the gates of the melting layer, which are not read. The
instrument: Li et al. 2016, doi 10.1109/TGRS.2015.2456501.

Neither the distance of the gates is stated nor their height. `GATE_DEPTH_M` is 26.25 m, which puts
the melting layer of the measured leg (some 75 to 90 gates above the surface) at 2.2 km. Heights
count from the surface of each profile: its strongest echo from `cl` on. The aircraft goes up and
down by 15 gates on the leg.

The surface echo hides the air: gates from `cl` on, and those that the side lobes of the pulse
reach. On the measured leg, more than a tenth of the columns that are clear above hold echo up to 21
gates (Ku) and 16 gates (Ka) above the strongest one. `blind_zone_top` is the higher of both edges.

Attenuation is not corrected. Ka is read, whose side lobes reach less far, unless a frequency near
Ku is asked for, as by `frequency_ghz` of a catalogue entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.curtains.position import find_middle
from blindzone.pipeline.readers._checks import check_credible, check_dims, check_variables
from blindzone.pipeline.readers._netcdf import Header, read_netcdf
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._track import (
    Track,
    build_track_curtain,
    check_range,
    find_unplaced,
    read_values,
)
from blindzone.pipeline.readers._units import DBZ, DEGREES, to_stated_units

GATE_DEPTH_M = 26.25
_KIND = "a HIWRAP file of both bands"


@dataclass(frozen=True, kw_only=True)
class _Band:
    """One of the two radars.

    Attributes:
        name: Its name.
        variable: Its reflectivity in the file.
        frequency_ghz: Its frequency [GHz] (Li et al. 2016).
        skirt_gates: Number of gates above the surface echo that its side lobes reach.
    """

    name: str
    variable: str
    frequency_ghz: float
    skirt_gates: int


_KA = _Band(name="Ka", variable="zKa", frequency_ghz=35.56, skirt_gates=16)
_KU = _Band(name="Ku", variable="zKu", frequency_ghz=13.91, skirt_gates=21)
_BANDS = (_KA, _KU)
_ALONG = ("time", "lat", "lon", "cl")
_LIMITS = {"lat": (-90, 90), "lon": (-180, 360)}
_TIME_UNITS = "seconds since 1970-01-01 00:00:00"


def read_hiwrap(path: Path, frequency_ghz: float = _KA.frequency_ghz) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of one band of a HIWRAP file.

    Profiles without a position are left out.

    Args:
        path: The file.
        frequency_ghz: Frequency [GHz]; the band nearest to it is read.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has gates or values that
            do not fit the layout.
    """
    band = min(_BANDS, key=lambda one: abs(one.frequency_ghz - frequency_ghz))
    raw = _read_layout(path, band)
    unplaced = find_unplaced(raw, "lat", "lon")
    stamps = decode_times(raw["time"], path, assumed=_TIME_UNITS)
    raw, time = keep_sound(raw, stamps, path, unplaced)
    measured = read_values(raw, band.variable)  # (time, range), downwards
    clutter = read_values(raw, "cl")
    surface = _find_surface(measured, clutter)
    if np.isnan(surface).all():
        raise SourceFileError(
            f"{path}: '{band.variable}' holds no echo at or below the gates of 'cl', so that the"
            " surface is not known; a surface echo there is right"
        )
    # The first gate of clutter is hidden with its upper half, and so is the last one of the skirt.
    top_m = (np.maximum(band.skirt_gates, surface - clutter) + 0.5) * GATE_DEPTH_M
    gates = np.arange(measured.shape[1])
    gate_height = (surface[:, np.newaxis] - gates[::-1]) * GATE_DEPTH_M
    reflectivity = measured[:, ::-1]
    with np.errstate(invalid="ignore"):
        air = np.where(gate_height > top_m[:, np.newaxis], reflectivity, np.nan)
    check_credible(air, band.variable, path)
    return build_track_curtain(
        {
            "reflectivity": reflectivity,
            "gate_height": gate_height,
            "no_data": np.isnan(gate_height),
        },
        Track(
            time=time,
            latitude=read_values(raw, "lat"),
            longitude=read_values(raw, "lon"),
            altitude=np.full(time.size, np.nan),
            blind_zone_top=top_m,
            origin=BlindZoneOrigin.SURFACE_ECHO,
        ),
        height=(gates + find_middle(surface - gates[-1])) * GATE_DEPTH_M,
        attrs={"instrument": f"HIWRAP {band.name}", "frequency_ghz": band.frequency_ghz}
        | pick_findings(raw.attrs),
        path=path,
    )


def _read_layout(path: Path, band: _Band) -> xr.Dataset:
    """Returns the checked variables of one band and of the profiles."""
    names = (band.variable, *_ALONG)
    raw = read_netcdf(path, names)
    check_variables(raw, names, _KIND, path)
    check_dims(raw, (band.variable,), ("time", "range"), path)
    check_dims(raw, _ALONG, ("time",), path)
    raw = to_stated_units(raw, {band.variable: DBZ, "lat": DEGREES, "lon": DEGREES}, path)
    check_range(raw, _LIMITS | {"cl": (1, raw.sizes["range"] - 1)}, path)
    return raw


def _find_surface(measured: np.ndarray, clutter: np.ndarray) -> np.ndarray:
    """Returns the gate of the strongest echo from the first gate of clutter on, `(time,)`.

    NaN where there is none.

    Args:
        measured: Reflectivity [dBZ] `(time, range)`, downwards.
        clutter: First gate of clutter `(time,)`, NaN if not known.
    """
    with np.errstate(invalid="ignore"):
        is_candidate = np.arange(measured.shape[1]) >= clutter[:, np.newaxis]
    candidates = np.where(is_candidate & ~np.isnan(measured), measured, -np.inf)
    return np.where(np.isneginf(candidates).all(axis=1), np.nan, np.argmax(candidates, axis=1))


def _recognises(header: Header) -> bool:
    return header.has("zKu", "zKa", *_ALONG)


RADAR = Reader(
    name="hiwrap",
    title=_KIND,
    read=read_hiwrap,
    recognises=_recognises,
    read_band=read_hiwrap,
)
