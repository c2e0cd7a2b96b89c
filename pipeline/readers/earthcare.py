"""EarthCARE cloud radar (94 GHz, nadir): C-NOM (JAXA, level 1b) and C-FMR (ESA, level 2a) frames.

No measured frame was at hand: the reader is tested on files written to the layouts as they are
documented, and takes from them only what is.

- C-NOM: `ScienceData/Data/radarReflectivityFactor` (linear, mm6 m-3, as measured),
  `ScienceData/Geo/binHeight` [m], `latitude`, `longitude`, `surfaceElevation` [m], `profileTime`
  (seconds since 2000-01-01). Every gate holds noise: what does not exceed `FLOOR_DBZ` is no echo.
  Missing values are no data.
- C-FMR: `ScienceData/reflectivity_corrected` [dBZ], that of the feature mask with attenuation by
  gas corrected (Kollias et al. 2023, doi 10.5194/amt-16-1901-2023), else `reflectivity_masked`, not
  corrected; `height` [m], `surface_elevation` [m], `time`. The fill value means no echo or
  no data, and is taken for no echo.

In neither is attenuation by liquid corrected. Neither layout says per profile how far the surface
echo reaches, so that the blind zone is as deep everywhere: `CLUTTER_DEPTH_M`. Over mountains it is
deeper than that. Heights and elevations are taken as the file has them, above one reference.
Doppler velocities are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import Header, read_header
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._track import (
    Track,
    build_track_curtain,
    check_range,
    find_lower_edges,
    find_unplaced,
    find_upward_order,
    read_values,
    take_lowest,
)
from blindzone.pipeline.readers._units import (
    DBZ,
    METRES,
    find_unit_text,
    to_stated_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped

FREQUENCY_GHZ = 94.05
FLOOR_DBZ = -35.0 + 5 * np.log10(10_000 / 500)
"""Sensitivity of one profile [dBZ], -28.5: the mission's -35 dBZ holds for 10 km along the track
(Wehr et al. 2023, doi 10.5194/amt-16-3581-2023), of which one profile of 0.5 km is a twentieth,
with noise larger by its square root."""
CLUTTER_DEPTH_M = 500.0
"""The length of the pulse (3.3 microseconds; Wehr et al. 2023): the surface echo reaches as far
up."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Paths of the variables in one product; of `reflectivity`, the first that a file has."""

    kind: str
    group: str
    reflectivity: tuple[str, ...]
    height: str
    time: str
    elevation: str
    holds_noise: bool

    def own_names(self) -> dict[str, str]:
        """Returns our names of the variables by their paths."""
        ours = {"height": self.height, "time": self.time, "elevation": self.elevation}
        ours |= {name: name for name in ("latitude", "longitude")}
        return {f"{self.group}/{theirs}": name for name, theirs in ours.items()}


_LAYOUTS = (
    _Layout(
        kind="an EarthCARE C-NOM frame",
        group="ScienceData/Geo",
        reflectivity=("ScienceData/Data/radarReflectivityFactor",),
        height="binHeight",
        time="profileTime",
        elevation="surfaceElevation",
        holds_noise=True,
    ),
    _Layout(
        kind="an EarthCARE C-FMR frame",
        group="ScienceData",
        reflectivity=("ScienceData/reflectivity_corrected", "ScienceData/reflectivity_masked"),
        height="height",
        time="time",
        elevation="surface_elevation",
        holds_noise=False,
    ),
)
_LIMITS = {
    "latitude": (-90, 90),
    "longitude": (-180, 360),
    "height": (-10_000, 40_000),
    "elevation": (-500, 9000),
}
_STATED_UNITS = {"reflectivity": DBZ, "height": METRES, "elevation": METRES}
_CREDIBLE_DBZ = (-np.inf, 80.0)
"""Noise in linear units may be as little as you like."""


def read_earthcare(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an EarthCARE C-NOM or C-FMR frame.

    Profiles without a position are left out.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or
            values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    layout, raw = _read_layout(path)
    dim = str(raw["latitude"].dims[0])
    unplaced = find_unplaced(raw, "latitude", "longitude")
    raw, time = keep_sound(raw, decode_times(raw["time"], path), path, unplaced, dim=dim)
    height = read_values(raw, "height")
    upward = find_upward_order(height, "height", path)
    height = height[:, upward]  # (time, height) from here on
    altitude = read_values(raw, "elevation")
    gate_height = height - altitude[:, np.newaxis]
    reflectivity, missing = _find_reflectivity(raw, path)
    if layout.holds_noise:
        with np.errstate(invalid="ignore"):
            reflectivity = np.where(reflectivity > FLOOR_DBZ, reflectivity, np.nan)
    edges = find_lower_edges(gate_height)
    with np.errstate(invalid="ignore"):
        blind_zone_top = take_lowest(edges, edges >= CLUTTER_DEPTH_M)
    unknown = np.isnan(blind_zone_top)[:, np.newaxis]
    return build_track_curtain(
        {
            "reflectivity": reflectivity[:, upward],
            "gate_height": gate_height,
            "no_data": (missing[:, upward] & layout.holds_noise) | unknown,
            "rejected": find_dropped(raw["reflectivity"])[:, upward],
        },
        Track(
            time=time,
            latitude=read_values(raw, "latitude"),
            longitude=read_values(raw, "longitude"),
            altitude=altitude,
            blind_zone_top=blind_zone_top,
        ),
        height=np.nanmedian(height, axis=0),
        attrs={"instrument": "EarthCARE CPR", "frequency_ghz": FREQUENCY_GHZ}
        | pick_findings(raw.attrs),
        path=path,
    )


def _read_layout(path: Path) -> tuple[_Layout, xr.Dataset]:
    """Returns which product the file is and its checked variables under our names."""
    header = read_header(path)
    found = [
        (layout, name) for layout in _LAYOUTS for name in layout.reflectivity if header.has(name)
    ]
    if not found:
        wanted = ", ".join(name for layout in _LAYOUTS for name in layout.reflectivity)
        raise SourceFileError(
            f"{path}: not an EarthCARE CPR frame: it has none of {wanted} (has"
            f" {sorted(header.variables)[:12]})"
        )
    layout, reflectivity = found[0]
    ours = layout.own_names() | {reflectivity: "reflectivity"}
    raw = read_hdf5(path, tuple(ours))
    check_variables(raw, tuple(ours), layout.kind, path)
    raw = raw.rename(ours)
    dims = tuple(map(str, raw["reflectivity"].dims))
    if len(dims) != 2:
        raise SourceFileError(
            f"{path}: '{reflectivity}' has dimensions {dims}; profiles and gates are right"
        )
    check_dims(raw, ("height",), dims, path)
    check_dims(raw, ("latitude", "longitude", "elevation", "time"), dims[:1], path)
    if find_unit_text(raw["reflectivity"]) is None and layout.holds_noise:
        raise SourceFileError(f"{path}: '{reflectivity}' has no units; 'mm6 m-3' is right")
    missing = is_missing(raw["reflectivity"])
    raw = to_stated_units(raw, _STATED_UNITS, path).assign(missing=(dims, missing))
    check_range(raw, _LIMITS, path)
    return layout, raw


def _find_reflectivity(raw: xr.Dataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns reflectivity [dBZ], NaN where there is none, and the mask of missing values.

    Noise was subtracted, so that there is linear reflectivity below zero: that is not missing.
    """
    values = read_values(raw, "reflectivity")
    check_credible(values, "reflectivity", path, _CREDIBLE_DBZ)
    return values, raw["missing"].values


def _recognises(header: Header) -> bool:
    return any(
        header.has(*layout.own_names()) and any(header.has(name) for name in layout.reflectivity)
        for layout in _LAYOUTS
    )


RADAR = Reader(
    name="earthcare", title="an EarthCARE CPR frame", read=read_earthcare, recognises=_recognises
)
