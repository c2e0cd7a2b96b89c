"""EarthCARE cloud radar (94 GHz, nadir): C-NOM (JAXA, level 1b), C-FMR and C-CD (ESA, level 2a).

No measured frame was at hand: the reader is tested on files written to the layouts as they are
documented, and takes from them only what is. Of C-CD the names, units and codes are those that a
frame of baseline 2025 shows; of the others, those that public tools read (HARP, earthcarekit).

- C-NOM: `ScienceData/Data/radarReflectivityFactor` (linear, mm6 m-3, as measured),
  `dopplerVelocity` (positive upwards), `surfaceBinNumber`, `sigmaZero`; `ScienceData/Geo/binHeight`
  [m], `latitude`, `longitude`, `surfaceElevation` [m], `profileTime` (seconds since 2000-01-01).
  Every gate holds noise: what does not exceed `FLOOR_DBZ`, or is alone above it, is no echo.
  Missing values are no data.
  A profile every 500 m.
- C-FMR: `ScienceData/reflectivity_corrected` [dBZ], that of the feature mask with attenuation by
  gas corrected (Kollias et al. 2023, doi 10.5194/amt-16-1901-2023), else `reflectivity_masked`, not
  corrected; `height` [m], `surface_elevation` [m], `time`; `path_integrated_attenuation` [dB];
  `detection_status`, whose codes the file explains itself. The fill value of reflectivity means no
  echo, unless the status is missing or says that nothing was measured. A profile every 1 km.
- C-CD: the Doppler velocities alone (`doppler_velocity_best_estimate`, unfolded, positive
  downwards), without those that `quality_status` calls bad. Its curtain has no reflectivity and
  cannot be filled.

In none is attenuation by liquid corrected. An elevation of -9999 is not known. Heights and
elevations are taken as the file has them, above one reference; where `geoid_offset` states the
height of the geoid above it, `altitude` is above the geoid, which is mean sea level.

The blind zone, by what the file says of a profile:

1. gates whose status means clutter or ground: it ends below the lowest other gate above the
   surface;
2. of C-NOM the echo of the surface itself: it ends where that sinks below `FLOOR_DBZ`
   (`_surface_echo`), at least half a pulse above the surface;
3. else the gate of the surface (`surfaceBinNumber`, `surface_bin_number`, from 1 at the top): the
   echo reaches `CLUTTER_DEPTH_M` above it, or above the elevation where that is higher;
4. else it is that deep above the elevation. Over mountains it is deeper than that.

`blind_zone_origin` has which of them, profile by profile: file, surface echo (2 and 3), assumed. A
gate of clutter that is higher up
is hidden by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin
from blindzone.pipeline.curtains.findings import pick_findings, with_doubt
from blindzone.pipeline.emulator.sensor import EARTHCARE
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._codes import find_meaning
from blindzone.pipeline.readers._detection import find_significant
from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import Header, read_header
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._surface_echo import (
    MeasuredSurface,
    find_hidden_gates,
    find_slope,
)
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._track import (
    LARGEST_SURFACE_OFFSET_M,
    Track,
    build_track_curtain,
    check_range,
    find_lower_edges,
    find_unplaced,
    find_upward_order,
    find_zone_top,
    measure_along_track,
    read_values,
)
from blindzone.pipeline.readers._units import (
    DBZ,
    DOWNWARD,
    METRES,
    UPWARD,
    find_unit_text,
    to_stated_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped

FREQUENCY_GHZ = 94.05
FLOOR_DBZ = -35.0 + 5 * np.log10(10_000 / 500)
"""Sensitivity of one profile [dBZ], -28.5: the mission's -35 dBZ holds for 10 km along the track
(Wehr et al. 2023, doi 10.5194/amt-16-3581-2023), of which one profile of 0.5 km is a twentieth,
with noise larger by its square root.

This is what the mission guarantees. The emulator's sensor has what is expected of the radar: -21.5
dBZ a pulse, -34.9 dBZ a profile (Kollias et al. 2014, doi 10.1175/JTECH-D-11-00202.1), some 7 dB
below CloudSat's (Lamer et al. 2020, doi 10.5194/amt-13-2363-2020). A floor above the true noise
loses the faintest echo, which the network for EarthCARE, with a floor of -28 dBZ, does not see
either. One below it would turn noise into cloud."""
CLUTTER_DEPTH_M = 500.0
"""The length of the pulse (3.3 microseconds; Wehr et al. 2023): the surface echo reaches as far
up."""
_CLUTTER = ("clutter", "ground", "surface")
_NOTHING = ("no measurement", "not measured", "no data", "missing", "extinguished")
"""Words that the meaning of a status has where the air cannot be seen."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Paths of the variables in one product, by our names.

    Attributes:
        kind: The product in words.
        radar: The radar's own field, and where it may be; the first that a file has is read.
        required: Other variables that a file must have.
        optional: Those that it may have.
        holds_noise: Whether every gate has a value.
        sense: Of Doppler velocities.
    """

    kind: str
    radar: tuple[str, tuple[str, ...]]
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    holds_noise: bool = False
    sense: str = DOWNWARD

    def own_names(self) -> dict[str, str]:
        """Returns our names of the required variables by their paths."""
        return {theirs: ours for ours, theirs in self.required.items()}


_PLACE = ("latitude", "longitude")
_LEVEL_2 = {name: f"ScienceData/{name}" for name in (*_PLACE, "height", "time")} | {
    "elevation": "ScienceData/surface_elevation"
}
_LEVEL_2_OPTIONAL = {
    "geoid_offset": "ScienceData/geoid_offset",
    "surface_gate": "ScienceData/surface_bin_number",
    "is_from_model": "ScienceData/surface_estimation_flag",
}
_LAYOUTS = (
    _Layout(
        kind="an EarthCARE C-NOM frame",
        radar=("reflectivity", ("ScienceData/Data/radarReflectivityFactor",)),
        required={name: f"ScienceData/Geo/{name}" for name in _PLACE}
        | {
            "height": "ScienceData/Geo/binHeight",
            "time": "ScienceData/Geo/profileTime",
            "elevation": "ScienceData/Geo/surfaceElevation",
        },
        optional={
            "velocity": "ScienceData/Data/dopplerVelocity",
            "surface_gate": "ScienceData/Data/surfaceBinNumber",
            "is_from_model": "ScienceData/Data/surfaceEstimationFlag",
            "surface_echo": "ScienceData/Data/sigmaZero",
        },
        holds_noise=True,
        sense=UPWARD,
    ),
    _Layout(
        kind="an EarthCARE C-FMR frame",
        radar=(
            "reflectivity",
            ("ScienceData/reflectivity_corrected", "ScienceData/reflectivity_masked"),
        ),
        required=_LEVEL_2,
        optional=_LEVEL_2_OPTIONAL
        | {
            "status": "ScienceData/detection_status",
            "attenuation": "ScienceData/path_integrated_attenuation",
        },
    ),
    _Layout(
        kind="an EarthCARE C-CD frame",
        radar=("velocity", ("ScienceData/doppler_velocity_best_estimate",)),
        required=_LEVEL_2,
        optional=_LEVEL_2_OPTIONAL
        | {
            "status": "ScienceData/doppler_velocity_and_spectrum_width_uncorrected_status",
            "quality": "ScienceData/quality_status",
        },
    ),
)
_GRIDDED = ("height", "velocity", "status", "quality")
_ALONG = (
    *(*_PLACE, "elevation", "time", "geoid_offset"),
    *("surface_gate", "is_from_model", "surface_echo", "attenuation"),
)
_LIMITS = {
    "latitude": (-90, 90),
    "longitude": (-180, 360),
    "height": (-20_000, 60_000),
    "elevation": (-500, 9000),
    "geoid_offset": (-120, 120),
    "attenuation": (-20, 200),
    "surface_echo": (-100, 100),
}
_STATED_UNITS = {
    "reflectivity": DBZ,
    "height": METRES,
    "elevation": METRES,
    "geoid_offset": METRES,
    "attenuation": "dB",
    "surface_echo": "dB",
}
_NO_ELEVATION = -9999
_CREDIBLE_DBZ = (-np.inf, 80.0)
"""Noise in linear units may be as little as you like."""


def read_earthcare(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an EarthCARE C-NOM, C-FMR or C-CD frame.

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
    elevation = _find_elevation(raw, height, upward)
    gate_height = height - elevation[:, np.newaxis]
    clutter, nothing = (_read_status(raw, words, upward) for words in (_CLUTTER, _NOTHING))
    clutter &= gate_height >= 0
    hidden = (
        _find_surface_echo(raw, gate_height, elevation, upward)
        if layout.holds_noise
        else np.full(time.size, -1)
    )
    blind_zone_top, origin = _find_zone(raw, gate_height, clutter, hidden, upward)
    with np.errstate(invalid="ignore"):
        in_air = gate_height >= blind_zone_top[:, np.newaxis]
    fields, nothing_here = _read_fields(raw, layout, in_air, upward, path)
    return build_track_curtain(
        fields
        | {
            "gate_height": gate_height,
            "no_data": nothing_here | nothing | np.isnan(blind_zone_top)[:, np.newaxis],
            "clutter": clutter,
        },
        Track(
            time=time,
            latitude=read_values(raw, "latitude"),
            longitude=read_values(raw, "longitude"),
            altitude=elevation - _read_known(raw, "geoid_offset"),
            blind_zone_top=blind_zone_top,
            origin=origin,
            fields={
                ours: read_values(raw, name)
                for name, ours in (
                    ("attenuation", "path_integrated_attenuation"),
                    ("surface_echo", "surface_echo"),
                )
                if name in raw
            },
        ),
        height=np.nanmedian(height, axis=0),
        attrs={"instrument": "EarthCARE CPR", "frequency_ghz": FREQUENCY_GHZ}
        | pick_findings(raw.attrs),
        path=path,
    )


def _read_layout(path: Path) -> tuple[_Layout, xr.Dataset]:
    """Returns which product the file is and its checked variables under our names."""
    header = read_header(path)
    found = [(layout, name) for layout in _LAYOUTS for name in layout.radar[1] if header.has(name)]
    if not found:
        wanted = ", ".join(name for layout in _LAYOUTS for name in layout.radar[1])
        raise SourceFileError(
            f"{path}: not an EarthCARE CPR frame: it has none of {wanted} (has"
            f" {sorted(header.variables)[:12]})"
        )
    layout, theirs = found[0]
    name = layout.radar[0]
    needed = layout.own_names() | {theirs: name}
    ours = needed | {path: own for own, path in layout.optional.items()}
    raw = read_hdf5(path, tuple(ours))
    check_variables(raw, tuple(needed), layout.kind, path)
    raw = raw.rename({stored: ours[str(stored)] for stored in raw.variables if stored in ours})
    dims = tuple(map(str, raw[name].dims))
    if len(dims) != 2:
        raise SourceFileError(
            f"{path}: '{theirs}' has dimensions {dims}; profiles and gates are right"
        )
    check_dims(raw, _GRIDDED, dims, path)
    check_dims(raw, _ALONG, dims[:1], path)
    if find_unit_text(raw[name]) is None and layout.holds_noise:
        raise SourceFileError(f"{path}: '{theirs}' has no units; 'mm6 m-3' is right")
    raw = raw.assign(missing=(dims, is_missing(raw[name])))
    raw = raw.assign(elevation=_without_code(raw["elevation"]))
    raw = to_stated_units(_drop_undecided(raw), _STATED_UNITS | {"velocity": layout.sense}, path)
    check_range(raw, _LIMITS, path)
    return layout, raw


def _without_code(elevation: xr.DataArray) -> xr.Variable:
    """Returns elevations `(time,)`, NaN where the code for none is, declared or not."""
    unknown = is_missing(elevation) | (elevation.values == _NO_ELEVATION)
    values = np.where(unknown, np.nan, elevation.values.astype(np.float64))
    units = {} if (text := find_unit_text(elevation)) is None else {"units": text}
    return xr.Variable(elevation.dims, values, units | {"_FillValue": np.nan})


def _drop_undecided(raw: xr.Dataset) -> xr.Dataset:
    """Returns the variables without a surface echo that may be in decibels or not."""
    if "surface_echo" not in raw or find_unit_text(raw["surface_echo"]) is not None:
        return raw
    doubt = "'sigmaZero' has no units, so that it is left out; 'dB' is right"
    return raw.drop_vars("surface_echo").assign_attrs(with_doubt(raw.attrs, doubt))


def _read_known(raw: xr.Dataset, name: str) -> np.ndarray:
    """Returns a variable's values `(time,)`, zero where the file does not know or have them."""
    if name not in raw:
        return np.zeros(raw.sizes[raw["latitude"].dims[0]])
    return np.asarray(np.nan_to_num(read_values(raw, name), nan=0.0))


def _read_status(raw: xr.Dataset, words: tuple[str, ...], upward: slice) -> np.ndarray:
    """Returns the gates `(time, height)` whose status means one of some things, by the file."""
    if "status" not in raw:
        return np.zeros(raw["height"].shape, dtype=bool)
    return np.asarray(find_meaning(raw["status"], *words)[:, upward])


def _find_elevation(raw: xr.Dataset, height: np.ndarray, upward: slice) -> np.ndarray:
    """Returns the surface's elevation [m] `(time,)`: the file's, else its gate's, else NaN."""
    elevation = read_values(raw, "elevation")
    gate = _read_surface_gate(raw, height, upward)
    return np.where(np.isnan(elevation), gate, elevation)


def _read_surface_gate(raw: xr.Dataset, height: np.ndarray, upward: slice) -> np.ndarray:
    """Returns heights `(time, height)` at the gate of the surface, `(time,)`; NaN if not known."""
    if "surface_gate" not in raw:
        return np.full(len(height), np.nan)
    stated = read_values(raw, "surface_gate")
    gates = height.shape[1]
    known = (stated >= 1) & (stated <= gates)
    number = np.where(known, stated, 1).astype(np.int64)
    index = gates - number if upward.step == -1 else number - 1
    at_gate = np.take_along_axis(height, index[:, np.newaxis], axis=1)[:, 0]
    return np.where(known, at_gate, np.nan)


def _find_surface(raw: xr.Dataset, gate_height: np.ndarray, upward: slice) -> np.ndarray:
    """Returns the height [m] `(time,)` of the gate of the surface; NaN if not known."""
    echo = _read_surface_gate(raw, gate_height, upward)
    return np.where(np.abs(echo) > LARGEST_SURFACE_OFFSET_M, np.nan, echo)  # that of a cloud


def _find_surface_echo(
    raw: xr.Dataset, gate_height: np.ndarray, elevation: np.ndarray, upward: slice
) -> np.ndarray:
    """Returns the highest gate that the surface echo hides `(time,)`, -1 where there is none."""
    distance = measure_along_track(read_values(raw, "latitude"), read_values(raw, "longitude"))
    cross_section = (
        read_values(raw, "surface_echo")
        if "surface_echo" in raw
        else np.full(len(distance), np.nan)
    )
    measured = MeasuredSurface(
        dbz=read_values(raw, "reflectivity")[:, upward],
        gate_height=gate_height,
        surface=np.nan_to_num(_find_surface(raw, gate_height, upward)),
        slope=find_slope(elevation, distance),
        cross_section_db=cross_section,
    )
    return find_hidden_gates(measured, EARTHCARE, FLOOR_DBZ)


def _find_zone(
    raw: xr.Dataset,
    gate_height: np.ndarray,
    clutter: np.ndarray,
    hidden: np.ndarray,
    upward: slice,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the top of the blind zone [m] above the surface and its origin, both `(time,)`.

    Args:
        raw: The frame.
        gate_height: Above the surface [m], `(time, height)`.
        clutter: Which gates the file calls clutter, `(time, height)`.
        hidden: Highest gate that the measured surface echo hides, `(time,)`, -1 if not known.
        upward: Order of the gates.
    """
    echo = _find_surface(raw, gate_height, upward)
    from_model = _read_known(raw, "is_from_model") != 0
    surface = np.fmax(echo, 0.0)
    edges = find_lower_edges(gate_height)
    is_followed = hidden >= 0
    depth = np.where(is_followed, EARTHCARE.pulse_length_m / 2, CLUTTER_DEPTH_M)
    with np.errstate(invalid="ignore"):
        deep_enough = edges >= (surface + depth)[:, np.newaxis]
        above_ground = edges >= 0
        low_clutter = clutter & (gate_height < CLUTTER_DEPTH_M)
    deep_enough &= np.arange(gate_height.shape[1]) > hidden[:, np.newaxis]
    is_flagged: np.ndarray = np.any(low_clutter, axis=1)
    usable = np.where(is_flagged[:, np.newaxis], above_ground & ~clutter, deep_enough)
    is_assumed = (np.isnan(echo) | from_model) & ~is_followed
    origin = np.where(is_assumed, BlindZoneOrigin.ASSUMED, BlindZoneOrigin.SURFACE_ECHO)
    return find_zone_top(gate_height, usable), np.where(is_flagged, BlindZoneOrigin.FILE, origin)


def _read_fields(
    raw: xr.Dataset, layout: _Layout, in_air: np.ndarray, upward: slice, path: Path
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the radar's fields `(time, height)`, and where the file has nothing.

    Only gates in the air, above the blind zone, say whether their neighbours are noise.
    Velocities are positive away from the radar, downwards. Noise was subtracted, so that there is
    linear reflectivity below zero: that is not missing.
    """
    fields: dict[str, np.ndarray] = {}
    nothing: np.ndarray = np.zeros(raw["height"].shape, dtype=bool)
    if "velocity" in raw:
        velocity = read_values(raw, "velocity")[:, upward]
        if "quality" in raw:
            bad = find_meaning(raw["quality"], "bad")[:, upward]
            velocity = np.where(bad, np.nan, velocity)
        fields["doppler_velocity"] = velocity if layout.sense == DOWNWARD else -velocity
    if "status" in raw:
        nothing = np.asarray(is_missing(raw["status"]))[:, upward]
    if "reflectivity" in raw:
        values = read_values(raw, "reflectivity")[:, upward]
        check_credible(values, "reflectivity", path, _CREDIBLE_DBZ)
        if layout.holds_noise:
            values = np.where(in_air, values, np.nan)
            values = np.where(find_significant(values, FLOOR_DBZ), values, np.nan)
            nothing = nothing | raw["missing"].values[:, upward]
        fields["reflectivity"] = values
        fields["rejected"] = find_dropped(raw["reflectivity"])[:, upward]
    return fields, nothing


def _recognises(header: Header) -> bool:
    return any(
        header.has(*layout.own_names()) and any(header.has(name) for name in layout.radar[1])
        for layout in _LAYOUTS
    )


RADAR = Reader(
    name="earthcare", title="an EarthCARE CPR frame", read=read_earthcare, recognises=_recognises
)
