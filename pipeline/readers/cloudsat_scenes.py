"""CloudSat cloud profiling radar (94 GHz, nadir): scenes cut out of its granules, one netCDF file.

Layout: `reflectivity(scene, along_track, gate)` [dBZ], NaN where there is no echo, gate 0 the
lowest; `block(scene)`, the part of a split that a scene belongs to; global attributes
`gate_spacing_m` and `along_track_spacing_m`. The values are clipped to -35 to 20 dBZ.

The scenes come without place and without time, and nobody says how high the lowest gate is. So that
they are curtains all the same, these are made up:

- **time**: scene n is on the UTC day `FIRST_DAY` + n, from noon on, a profile every 0.16 s, as
  CloudSat takes them (Stephens et al. 2008, doi 10.1029/2008JD009982). One day holds one scene, so
  that no window crosses from scene to scene. CloudSat was not launched before 2006;
- **along-track distance**: as if the satellite had flown on from scene to scene at its speed;
- **height**: the lowest gate is taken to begin `LOWEST_GATE_M` above the surface, three gates, for
  the scenes hold no surface echo. Low cloud sets in between their gates 5 and 2, as marine cloud
  does from 2 to 1 km. Were the gates taken to begin at the surface, a network would learn from them
  that what falls through 1 km reaches the ground.

Latitude, longitude and altitude are NaN. `blind_zone_top` is `LOWEST_GATE_M`: nothing is known
below the lowest gate, and all above is visible. In some scenes the lowest gates look like what is
left of the surface echo.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.readers._assembly import assemble_curtain
from blindzone.pipeline.readers._checks import check_credible, check_dims, check_variables
from blindzone.pipeline.readers._netcdf import Header, read_netcdf
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._track import read_values
from blindzone.pipeline.readers._units import DBZ, to_units
from blindzone.pipeline.readers.cloudsat import FREQUENCY_GHZ

FIRST_DAY = np.datetime64("2000-01-01", "D")
"""The made-up day of scene 0."""
PROFILE_STEP = np.timedelta64(160, "ms")
"""Between profiles."""
LOWEST_GATE_M = 720.0
"""Height above the surface [m] at which the lowest gate is taken to begin."""
_KIND = "a file of CloudSat scenes"
_DIMS = ("scene", "along_track", "gate")
_NOON = np.timedelta64(12, "h")
_SPACINGS = {"gate_spacing_m": (20.0, 1000.0), "along_track_spacing_m": (100.0, 10_000.0)}
"""Credible spacings [m]."""


def read_cloudsat_scenes(path: Path) -> xr.Dataset:
    """Returns the scenes as one curtain `(time, height)`, each on a made-up UTC day of its own.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable or spacing, or has units or
            values that do not fit the layout.
    """
    raw = read_netcdf(path, ("reflectivity",))
    check_variables(raw, ("reflectivity",), _KIND, path)
    check_dims(raw, ("reflectivity",), _DIMS, path)
    raw = to_units(raw, {"reflectivity": DBZ}, path)
    depth_m, step_m = (_read_spacing(raw, name, path) for name in _SPACINGS)
    time = _make_times(raw.sizes["scene"], raw.sizes["along_track"], path)
    values = read_values(raw, "reflectivity").reshape(time.size, -1)
    profiles = xr.Dataset({"reflectivity": (("time", "gate"), values)}, attrs=raw.attrs)
    profiles, time = keep_sound(profiles, time, path)
    reflectivity = profiles["reflectivity"].values.astype(np.float32)
    check_credible(reflectivity, "reflectivity", path)
    status = np.where(np.isnan(reflectivity), DetectionStatus.NO_ECHO, DetectionStatus.ECHO)
    unknown = np.full(time.size, np.nan)
    return assemble_curtain(
        {"reflectivity": reflectivity, "detection_status": status.astype(np.int8)},
        time=time,
        height=LOWEST_GATE_M + (np.arange(reflectivity.shape[1]) + 0.5) * depth_m,
        site=(unknown, unknown, unknown),
        attrs={"instrument": "CloudSat CPR", "frequency_ghz": FREQUENCY_GHZ}
        | pick_findings(profiles.attrs),
        path=path,
        track={
            "along_track_distance": (time - time[:1]) / PROFILE_STEP * step_m,
            "blind_zone_top": np.full(time.size, LOWEST_GATE_M),
        },
    )


def _read_spacing(raw: xr.Dataset, name: str, path: Path) -> float:
    """Returns a spacing [m] that a global attribute states."""
    found, (least, largest) = np.asarray(raw.attrs.get(name, np.nan)), _SPACINGS[name]
    if found.dtype.kind in "iuf" and found.size == 1 and least <= found.item() <= largest:
        return float(found.item())
    raise SourceFileError(
        f"{path}: the attribute '{name}' is {raw.attrs.get(name, 'not there')!r}; a number from"
        f" {least:g} to {largest:g} is right"
    )


def _make_times(scenes: int, profiles: int, path: Path) -> np.ndarray:
    """Returns the made-up times `datetime64[ns]` of all profiles, `(scene * along_track,)`."""
    if not scenes or not profiles or profiles * PROFILE_STEP > _NOON:
        raise SourceFileError(
            f"{path}: it has {scenes} scenes of {profiles} profiles; at least one of each is right,"
            " and no scene longer than half a day"
        )
    days = FIRST_DAY.astype("datetime64[ns]") + np.arange(scenes) * np.timedelta64(1, "D")
    return np.asarray((days[:, np.newaxis] + _NOON + np.arange(profiles) * PROFILE_STEP).ravel())


def _recognises(header: Header) -> bool:
    return header.has("reflectivity", "block") and _SPACINGS.keys() <= header.attributes.keys()


RADAR = Reader(
    name="cloudsat_scenes", title=_KIND, read=read_cloudsat_scenes, recognises=_recognises
)
