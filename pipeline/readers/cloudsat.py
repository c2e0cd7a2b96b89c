"""CloudSat cloud profiling radar (94 GHz, nadir): 2B-GEOPROF granules, releases 4 and 5.

Layout: HDF-EOS2 in HDF4 (Marchand and Mace 2018, Level 2 GEOPROF process description and interface
control document, P1_R05; Marchand et al. 2008, doi 10.1175/2007JTECHA1006.1). No measured granule
was at hand: the reader is tested on files written to that layout. Reading HDF4 needs the optional
extra `blindzone[cloudsat]`.

- `Radar_Reflectivity(nray, nbin)`: (stored - offset) / factor is in dBZ, the factor 100, as
  measured: no attenuation is corrected, neither by gas (`Gaseous_Attenuation` has it) nor by
  liquid.
- `CPR_Cloud_mask(nray, nbin)`: echo from 20 upwards. Weaker detections (6 to 10) need averaging
  along the track and are false in some 44 % of cases against 5 % at 20 (Marchand et al. 2008, table
  1); they count as no echo. 5 is likely surface clutter, 1 likely bad data, which is rejected, 0 no
  detection, -9 bad or missing.
- `Height(nray, nbin)` [m] above mean sea level, 125 bins of some 240 m, from the top down; -9999 is
  not known.
- `DEM_elevation(nray)` [m] above mean sea level, -9999 over the ocean, where the surface is taken
  to be at 0 m; 9999 is an error, and then the height of the surface bin counts.
- `SurfaceHeightBin(nray)`: the bin of the surface echo. Where it is further than
  `LARGEST_SURFACE_OFFSET_M` from the terrain model it is a cloud's, and the terrain model counts.
- `Sigma-Zero(nray)` [dB, factor 100]: the surface's radar cross section, kept as `surface_echo`.
- `SurfaceClutter(nray, nbin)` [dBZ, with a factor of its own], where a file has it: the echo that
  the surface is estimated to have there. Bins of which it is more than half are clutter.
- `Data_quality(nray)`: bits for the status of the ray, the position, the temperatures, the
  telemetry, the peak power, a calibration and a missing frame. Profiles with any are rejected.

Profiles without a position are left out. From 2011 on the radar measures on the day side alone: a
profile in which no bin has a reflectivity was not measured, since there is always a surface. It has
no data; one that has no position either leaves a gap. No such profile is clear sky.

The blind zone: the surface echo is strong enough to hide the air well above the bin where it peaks.
The lowest bin in use is the third above the surface bin over the ocean and the fifth elsewhere
(0.72 and 1.2 km; Wood and L'Ecuyer 2018, Level 2C-SNOW-PROFILE process description, P1_R05), or the
lowest above it that the mask does not call clutter. What the surface echo saturates is below it.

Times: `UTC_start` [s] since 00 UTC of the granule's first profile, plus `Profile_time` [s]. The day
is that of `TAI_start`, seconds since 1993-01-01 00 UTC, leap seconds counted: 5 since then to 2005,
10 from 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, pick_findings, with_count
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._hdf import read_hdf4
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._times import decode_seconds
from blindzone.pipeline.readers._track import (
    LARGEST_SURFACE_OFFSET_M,
    Track,
    build_track_curtain,
    check_range,
    find_unplaced,
    find_upward_order,
    find_zone_top,
    read_values,
)
from blindzone.pipeline.readers._units import ABOVE_SEA, DBZ, find_unit_text, to_stated_units
from blindzone.pipeline.readers._valid_range import find_dropped, pick_mark

FREQUENCY_GHZ = 94.05
_KIND = "a CloudSat 2B-GEOPROF granule"
_GRIDDED = ("Radar_Reflectivity", "CPR_Cloud_mask", "Height")
_ALONG = (
    "Latitude",
    "Longitude",
    "Profile_time",
    "DEM_elevation",
    "SurfaceHeightBin",
    "Data_quality",
)
_REQUIRED = (*_GRIDDED, *_ALONG, "TAI_start")
_OPTIONAL = ("UTC_start", "Sigma-Zero", "SurfaceClutter")
_PACKED = ("Radar_Reflectivity", "Sigma-Zero", "SurfaceClutter")
"""Stored as integers with a factor."""
_MISSING_GEOLOCATION = -9999.0
_STATED_UNITS = {"Radar_Reflectivity": DBZ, "Height": ABOVE_SEA, "Profile_time": "s"}
_LIMITS = {
    "Latitude": (-90, 90),
    "Longitude": (-180, 360),
    "Height": (-9_998, 40_000),
    "Profile_time": (-1, 7_000),
    "UTC_start": (0, 86_401),
    "Sigma-Zero": (-100, 100),
}
"""An orbit takes 99 minutes; a leap second makes a day one second longer."""

LEAST_MASK = 20
"""Of `CPR_Cloud_mask`, from which on a bin holds echo."""
_CLUTTER, _LIKELY_BAD, _BAD = 5, 1, -9
_HALF_DB = 10 * np.log10(2)
BINS_ABOVE_OCEAN, BINS_ABOVE_LAND = 3, 5
"""The lowest bin in use, counted from the surface bin."""
_OCEAN, _LEAST_ELEVATION, _NO_ELEVATION = -9999, -500, 9999

_EPOCH = np.datetime64("1993-01-01", "ms")
_LEAP_SECONDS = np.array(
    [
        "1993-07",
        "1994-07",
        "1996-01",
        "1997-07",
        "1999-01",
        "2006-01",
        "2009-01",
        "2012-07",
        "2015-07",
        "2017-01",
    ],
    dtype="datetime64[ms]",
)
"""The instants before which one was put in since the epoch (IERS Bulletin C)."""
_LARGEST_DISAGREEMENT_S = 60.0
"""Of the two start times: leap seconds counted another way differ by less, another granule by
more."""


def read_cloudsat(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of a CloudSat 2B-GEOPROF granule.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has factors, times, bins
            or values that do not fit the layout; or if the optional package that reads HDF4 is not
            installed.
        CurtainError: If its times do not increase strictly.
    """
    raw = _drop_unmeasured(_read_layout(path), path)
    dim = str(raw["Latitude"].dims[0])
    unplaced = find_unplaced(raw, "Latitude", "Longitude")
    raw, time = keep_sound(raw, _times(raw, path), path, unplaced, dim=dim)
    height = read_values(raw, "Height")
    upward = find_upward_order(height, "Height", path)
    height = height[:, upward]  # (time, height) from here on
    mask = _read_codes(raw["CPR_Cloud_mask"], _BAD)[:, upward]
    altitude, *surface = _find_surface(raw, height, upward)
    gate_height = height - altitude[:, np.newaxis]
    measured = read_values(raw, "Radar_Reflectivity")[:, upward]
    clutter = (mask == _CLUTTER) | _find_estimated_clutter(raw, measured, upward)
    blind_zone_top, origin = _find_zone(raw, gate_height, (surface[0], surface[1]), clutter)
    detected = mask >= LEAST_MASK
    with np.errstate(invalid="ignore"):
        air = np.where(gate_height >= blind_zone_top[:, np.newaxis], measured, np.nan)
    check_credible(air, "Radar_Reflectivity", path)
    unmeasured = np.isnan(measured).all(axis=1) | np.isnan(blind_zone_top)
    rejected = (raw["Data_quality"].values != 0)[:, np.newaxis] | (mask == _LIKELY_BAD)
    dropped = find_dropped(raw["Radar_Reflectivity"])[:, upward]
    return build_track_curtain(
        {
            "reflectivity": np.where(detected, measured, np.nan),
            "gate_height": gate_height,
            "no_data": (
                (mask == _BAD) | (detected & np.isnan(measured)) | unmeasured[:, np.newaxis]
            ),
            "rejected": rejected | (detected & dropped),
            "clutter": clutter,
        },
        Track(
            time=time,
            latitude=read_values(raw, "Latitude"),
            longitude=read_values(raw, "Longitude"),
            altitude=altitude,
            blind_zone_top=blind_zone_top,
            origin=origin,
            fields={"surface_echo": read_values(raw, "Sigma-Zero")} if "Sigma-Zero" in raw else {},
        ),
        height=np.nanmedian(height, axis=0),
        attrs={"instrument": "CloudSat CPR", "frequency_ghz": FREQUENCY_GHZ}
        | pick_findings(raw.attrs),
        path=path,
    )


def _read_layout(path: Path) -> xr.Dataset:
    """Returns the checked variables of the granule."""
    raw = read_hdf4(path, (*_REQUIRED, *_OPTIONAL))
    check_variables(raw, _REQUIRED, _KIND, path)
    for (
        variable
    ) in raw.variables.values():  # HDF-EOS2 says 'missing' where others say 'missing_value'
        if isinstance(variable.attrs.get("missing"), int | float | np.number):
            variable.attrs["missing_value"] = variable.attrs["missing"]
    if raw["Radar_Reflectivity"].ndim != 2:
        raise SourceFileError(
            f"{path}: 'Radar_Reflectivity' has {raw['Radar_Reflectivity'].ndim} dimensions;"
            " profiles and bins are right"
        )
    dims = tuple(map(str, raw["Radar_Reflectivity"].dims))
    check_dims(raw, (*_GRIDDED, "SurfaceClutter"), dims, path)
    check_dims(raw, (*_ALONG, "Sigma-Zero"), dims[:1], path)
    raw = raw.assign({name: _scale(raw[name], path) for name in _PACKED if name in raw})
    raw = raw.assign({name: _without_fill(raw[name]) for name in ("Height", *_ALONG[:2])})
    raw = to_stated_units(raw, _STATED_UNITS, path)
    check_range(raw, _LIMITS, path)
    return raw


def _without_fill(stored: xr.DataArray) -> xr.Variable:
    """Returns values as real numbers, NaN for what the processing centre writes for not known."""
    values = np.where(
        is_missing(stored) | (stored.values == _MISSING_GEOLOCATION),
        np.nan,
        stored.values.astype(np.float64),
    )
    units = {} if (text := find_unit_text(stored)) is None else {"units": text}
    return xr.Variable(stored.dims, values, units | pick_mark(stored) | {"_FillValue": np.nan})


def _drop_unmeasured(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """Returns the profiles that have a reflectivity or a position, the others counted.

    Raises:
        SourceFileError: If none has a reflectivity.
    """
    measured = ~np.isnan(raw["Radar_Reflectivity"].values).all(axis=1)
    if not measured.any():
        raise SourceFileError(
            f"{path}: no bin of its {measured.size} profiles has a reflectivity; a granule with"
            " measurements is right"
        )
    empty = ~measured & find_unplaced(raw, "Latitude", "Longitude").has
    if not empty.any():
        return raw
    kept = raw.isel({str(raw["Latitude"].dims[0]): np.flatnonzero(~empty)})
    count = with_count(raw.attrs, "without measurement", int(empty.sum()), PROFILES_DROPPED)
    return kept.assign_attrs(count)


def _scale(stored: xr.DataArray, path: Path) -> xr.Variable:
    """Returns a stored variable's science values (stored - offset) / factor, NaN if missing."""
    factor, offset = (
        np.asarray(stored.attrs.get(key, default))
        for key, default in (("factor", np.nan), ("offset", 0))
    )
    if not (
        factor.dtype.kind in "iuf"
        and factor.size == 1
        and np.isfinite(factor).all()
        and factor.all()
    ):
        raise SourceFileError(
            f"{path}: '{stored.name}' has factor {stored.attrs.get('factor', 'none at all')!r}; a"
            " number, as a rule 100, is right"
        )
    values = np.where(
        is_missing(stored), np.nan, (stored.values - offset.astype(np.float64)) / factor
    )
    attrs = {} if (text := find_unit_text(stored)) is None else {"units": text}
    return xr.Variable(stored.dims, values, attrs | pick_mark(stored) | {"_FillValue": np.nan})


def _read_codes(variable: xr.DataArray, otherwise: int) -> np.ndarray:
    """Returns integers of a variable, of its shape, and another one where they were invalid."""
    values = variable.values
    return np.where(np.isnan(values), otherwise, values).astype(np.int64)


def _find_surface(
    raw: xr.Dataset, height: np.ndarray, upward: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the surface's elevation [m], its gate, and whether the radar found it, `(time,)`.

    The elevation above mean sea level is NaN where neither the terrain model nor the radar knows
    it.
    """
    model = raw["DEM_elevation"].values.astype(np.float64)
    altitude = np.where(
        model == _OCEAN,
        0.0,
        np.where((model > _LEAST_ELEVATION) & (model < _NO_ELEVATION), model, np.nan),
    )
    bins, gates = _read_codes(raw["SurfaceHeightBin"], 0), height.shape[1]
    stated = (bins >= 1) & (bins <= gates)
    number = np.where(stated, bins, 1)
    index = gates - number if upward.step == -1 else number - 1
    at_surface = np.take_along_axis(height, index[:, np.newaxis], axis=1)[:, 0]
    with np.errstate(invalid="ignore"):
        found = stated & ~(np.abs(at_surface - altitude) > LARGEST_SURFACE_OFFSET_M)
    away = np.abs(height - altitude[:, np.newaxis])
    surface = np.where(found, index, np.argmin(np.where(np.isnan(away), np.inf, away), axis=1))
    return np.where(np.isnan(altitude) & found, at_surface, altitude), surface, found


def _find_zone(
    raw: xr.Dataset,
    gate_height: np.ndarray,
    surface: tuple[np.ndarray, np.ndarray],
    clutter: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the top of the blind zone [m] above the surface and its origin, both `(time,)`.

    Args:
        raw: The granule.
        gate_height: Above the surface [m], `(time, height)`.
        surface: Gate of the surface, and whether the radar found it, both `(time,)`.
        clutter: Which gates hold clutter, `(time, height)`.
    """
    gate, found = surface
    lowest = gate + np.where(
        raw["DEM_elevation"].values == _OCEAN, BINS_ABOVE_OCEAN, BINS_ABOVE_LAND
    )
    high_enough = np.arange(gate_height.shape[1]) >= lowest[:, np.newaxis]
    top = find_zone_top(gate_height, high_enough & ~clutter)
    is_raised = top > find_zone_top(gate_height, high_enough)
    origin = np.where(found, BlindZoneOrigin.SURFACE_ECHO, BlindZoneOrigin.ASSUMED)
    return top, np.where(is_raised, BlindZoneOrigin.FILE, origin)


def _find_estimated_clutter(raw: xr.Dataset, measured: np.ndarray, upward: slice) -> np.ndarray:
    """Returns the gates `(time, height)` of whose echo the file calls more than half clutter."""
    if "SurfaceClutter" not in raw:
        return np.zeros(measured.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.asarray(read_values(raw, "SurfaceClutter")[:, upward] > measured - _HALF_DB)


def _times(raw: xr.Dataset, path: Path) -> np.ndarray:
    """Returns `datetime64[ns]` times [UTC], shape `(time,)`."""
    tai = _read_start(raw, "TAI_start", path)
    ends = (_LEAP_SECONDS - _EPOCH) / np.timedelta64(1, "s") + np.arange(1, _LEAP_SECONDS.size + 1)
    start = tai - int(
        np.searchsorted(ends, tai, side="right")
    )  # UTC [s] since the epoch, as if no leap second was
    since_start = read_values(raw, "Profile_time")
    if "UTC_start" in raw:
        utc = _read_start(raw, "UTC_start", path)
        day = round((start - utc) / 86_400)
        if abs(day * 86_400 + utc - start) > _LARGEST_DISAGREEMENT_S:
            raise SourceFileError(
                f"{path}: 'UTC_start' is {utc:.1f} s after midnight, 'TAI_start' is"
                f" {start % 86_400:.1f} s after it (leap seconds counted); the same instant is"
                " right"
            )
        start = day * 86_400 + utc
    return decode_seconds(start + since_start, _EPOCH, "Profile_time", path)


def _read_start(raw: xr.Dataset, name: str, path: Path) -> float:
    values = read_values(raw, name)
    if values.size != 1 or not np.isfinite(values).all():
        raise SourceFileError(
            f"{path}: '{name}' holds {values.ravel()[:3].tolist()}; one number is right"
        )
    return float(values.item())


def _recognises(header: Header) -> bool:
    return header.container == "hdf4" and header.has("Radar_Reflectivity", "CPR_Cloud_mask")


RADAR = Reader(name="cloudsat", title=_KIND, read=read_cloudsat, recognises=_recognises)
