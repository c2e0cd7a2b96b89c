"""GPM precipitation radar, level 2A: the Ku band (13.6 GHz) as a swath of 49 curtains.

Layout: 2A Ku and 2A DPR files in HDF5, swath `NS` to version 06 and `FS` from version 07 (File
Specification for GPM Products, Precipitation Processing System). Read on measured files of version
05; the layouts of other versions are as that document has them. Where a variable of a 2A DPR file
has a last dimension `nfreq`, its first entry is the Ku band.

Reflectivity is `zFactorCorrected` (`zFactorFinal` from version 07) [dBZ]: attenuation by rain is
corrected, by the hybrid of surface reference and Hitschfeld-Bordan methods (Iguchi et al. 2021,
GPM/DPR Level-2 ATBD). The radar detects 12 to 15 dBZ: no echo means no precipitation heavier than
that, and has no information on clouds. The fill value means no echo, or no data in scans whose
`scanStatus/dataQuality` is not 0 ("meaningless to higher processing") and in pixels whose
`FLG/qualityFlag` is 2 (bad) or missing.

Geometry: the centre of bin k of 176, counted from 1 downwards, is at

    h = ((176 - k) * 125 m + ellipsoidBinOffset) * cos(localZenithAngle)

above the WGS84 ellipsoid. `altitude` is the `elevation` of the surface above the same ellipsoid, or
h of `binRealSurface` where the file has none. Bins below `binClutterFreeBottom` are blind: the
values that the files have there continue the profile downwards, nothing of them was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES, TRACK_COORDINATES
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._hdf import read_hdf5, read_text_attributes
from blindzone.pipeline.readers._netcdf import Header, read_header
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._track import (
    Track,
    build_track_curtain,
    check_range,
    find_unplaced,
    read_values,
)
from blindzone.pipeline.readers._units import DBZ, DEGREES, METRES, to_units
from blindzone.pipeline.readers._valid_range import find_dropped

FREQUENCY_GHZ = 13.6
"""Of the Ku band."""
BINS = 176
BIN_DEPTH_M = 125.0
"""Along the ray."""
_KIND = "a GPM 2A Ku-band file"
_SWATHS = (
    ("NS", "SLV/zFactorCorrected"),
    ("FS", "SLV/zFactorFinal"),
    ("FS", "SLV/zFactorCorrected"),
)
"""Group of the Ku-band swath and its reflectivity, by version."""
_ALGORITHMS = ("2AKu", "2ADPR")
_CLOCK = ("Year", "Month", "DayOfMonth", "Hour", "Minute", "Second", "MilliSecond")
_CLOCK_MILLISECONDS = (3_600_000, 60_000, 1000, 1)
_NOISE_CODES = (-28888.0, -29999.0)
"""Of reflectivities: the echo does not exceed the noise."""
_WORST_QUALITY = 2
_SCAN = ("scanStatus/dataQuality", *(f"ScanTime/{name}" for name in _CLOCK))
_PLACE = (
    "Latitude",
    "Longitude",
    "PRE/binClutterFreeBottom",
    "PRE/binRealSurface",
    "PRE/localZenithAngle",
)
_OPTIONAL = ("PRE/ellipsoidBinOffset", "PRE/elevation", "FLG/qualityFlag")
_REQUIRED = (*_SCAN, *_PLACE)
_PIXEL = (*_PLACE, *_OPTIONAL)
_UNITS = {
    "z": DBZ,
    "Latitude": DEGREES,
    "Longitude": DEGREES,
    "PRE/localZenithAngle": DEGREES,
    "PRE/ellipsoidBinOffset": METRES,
    "PRE/elevation": METRES,
}
_LIMITS = {
    "Latitude": (-90, 90),
    "Longitude": (-180, 360),
    "PRE/binClutterFreeBottom": (1, BINS),
    "PRE/binRealSurface": (1, BINS),
    "PRE/localZenithAngle": (0, 30),  # the swath's edge is at 18 degrees
    "PRE/ellipsoidBinOffset": (-BIN_DEPTH_M, BIN_DEPTH_M),
    "PRE/elevation": (-500, 9000),
    "ScanTime/Year": (1990, 2099),
    "ScanTime/Month": (1, 12),
    "ScanTime/DayOfMonth": (1, 31),
    "ScanTime/Hour": (0, 23),
    "ScanTime/Minute": (0, 59),
    "ScanTime/Second": (0, 60),  # a leap second is the 60th
    "ScanTime/MilliSecond": (0, 999),
}


def read_gpm_dpr(path: Path) -> xr.Dataset:
    """Returns the swath of native curtains `(ray, time, height)` of a GPM 2A Ku or DPR file.

    Scans without time or position are left out: a gap stays a gap.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, bins or
            values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    raw = _read_swath(path)
    unplaced = find_unplaced(raw, "Latitude", "Longitude")
    raw, time = keep_sound(raw, _times(raw), path, unplaced, dim="nscan")
    bad_scan = read_values(raw, "scanStatus/dataQuality") != 0
    attrs = _describe_origin(raw) | pick_findings(raw.attrs)
    curtains = [
        _read_ray(raw.isel(nray=ray), time, bad_scan, attrs, path)
        for ray in range(raw.sizes["nray"])
    ]
    swath = xr.concat(
        curtains,
        dim="ray",
        data_vars="all",
        coords=[*SITE_COORDINATES, *TRACK_COORDINATES],
        compat="equals",
        join="exact",
        combine_attrs="override",
    )
    return swath.assign_coords(ray=np.arange(len(curtains)))


def _read_swath(path: Path) -> xr.Dataset:
    """Returns the checked variables of the Ku-band swath without its group; reflectivity is `z`."""
    swath, reflectivity = _find_swath(read_header(path), path)
    own = {f"{swath}/{name}": name for name in (*_REQUIRED, *_OPTIONAL)} | {
        f"{swath}/{reflectivity}": "z"
    }
    raw = read_hdf5(path, tuple(own))
    raw = raw.rename({name: own[str(name)] for name in raw.variables})
    if "nfreq" in raw.dims:
        raw = raw.isel(nfreq=0)
    check_variables(raw, ("z", *_REQUIRED), _KIND, path)
    check_dims(raw, ("z",), ("nscan", "nray", "nbin"), path)
    check_dims(raw, _PIXEL, ("nscan", "nray"), path)
    check_dims(raw, _SCAN, ("nscan",), path)
    raw = to_units(raw, _UNITS, path)
    if raw.sizes["nbin"] != BINS or raw.sizes["nray"] == 0:
        raise SourceFileError(
            f"{path}: '{reflectivity}' has {raw.sizes['nray']} rays of {raw.sizes['nbin']} bins;"
            f" {BINS} bins of 125 m in every ray are right"
        )
    algorithm = read_text_attributes(raw.attrs, "FileHeader").get("AlgorithmID", _ALGORITHMS[0])
    if algorithm not in _ALGORITHMS:
        raise SourceFileError(
            f"{path}: AlgorithmID is '{algorithm}'; {' or '.join(_ALGORITHMS)} is right"
        )
    check_range(raw, _LIMITS, path)
    return raw


def _find_swath(header: Header, path: Path) -> tuple[str, str]:
    for swath, reflectivity in _SWATHS:
        if header.has(f"{swath}/{reflectivity}"):
            return swath, reflectivity
    wanted = " or ".join("/".join(names) for names in _SWATHS)
    raise SourceFileError(
        f"{path}: not {_KIND}: it lacks {wanted} (has {sorted(header.variables)[:12]})"
    )


def _times(raw: xr.Dataset) -> np.ndarray:
    """Returns `datetime64[ns]` times [UTC], shape `(nscan,)`; NaT where a field is missing."""
    fields = [read_values(raw, f"ScanTime/{name}") for name in _CLOCK]
    missing = np.isnan(fields).any(axis=0)
    year, month, day, *clock = np.where(missing, 1, fields).astype(np.int64)
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    time = months.astype("datetime64[D]") + (day - 1)
    milliseconds = sum(part * scale for part, scale in zip(clock, _CLOCK_MILLISECONDS, strict=True))
    time = time.astype("datetime64[ms]") + np.asarray(milliseconds).astype("timedelta64[ms]")
    return np.asarray(np.where(missing, np.datetime64("NaT"), time.astype("datetime64[ns]")))


def _read_ray(
    raw: xr.Dataset, time: np.ndarray, bad_scan: np.ndarray, attrs: dict[str, Any], path: Path
) -> xr.Dataset:
    """Returns the curtain of one ray, its bins turned so that heights increase."""
    cosine = np.cos(np.radians(read_values(raw, "PRE/localZenithAngle")))
    offset = (
        read_values(raw, "PRE/ellipsoidBinOffset")
        if "PRE/ellipsoidBinOffset" in raw
        else np.zeros(time.size)
    )

    def height_of(bins: np.ndarray) -> np.ndarray:
        return np.asarray(((BINS - bins) * BIN_DEPTH_M + offset) * cosine)

    altitude = height_of(read_values(raw, "PRE/binRealSurface"))
    if "PRE/elevation" in raw:
        elevation = read_values(raw, "PRE/elevation")
        altitude = np.where(np.isnan(elevation), altitude, elevation)
    # Heights count from the surface; the lower edge of bin k is half a bin farther along the ray.
    blind_zone_top = height_of(read_values(raw, "PRE/binClutterFreeBottom") + 0.5) - altitude
    bins = np.arange(BINS, 0, -1)
    gate_height = height_of(bins[:, np.newaxis]).T - altitude[:, np.newaxis]  # (time, height)
    reflectivity = read_values(raw, "z")[:, ::-1]
    reflectivity[np.isin(reflectivity, _NOISE_CODES)] = np.nan
    check_credible(reflectivity, "zFactor", path)
    unknown = np.isnan(blind_zone_top)
    rejected = bad_scan
    if "FLG/qualityFlag" in raw:
        quality = read_values(raw, "FLG/qualityFlag")
        rejected = bad_scan | np.isnan(quality) | (quality == _WORST_QUALITY)
    shape = gate_height.shape
    return build_track_curtain(
        {
            "reflectivity": reflectivity,
            "gate_height": gate_height,
            "no_data": np.broadcast_to(unknown[:, np.newaxis], shape),
            "rejected": rejected[:, np.newaxis] | find_dropped(raw["z"])[:, ::-1],
        },
        Track(
            time=time,
            latitude=read_values(raw, "Latitude"),
            longitude=read_values(raw, "Longitude"),
            altitude=altitude,
            blind_zone_top=blind_zone_top,
        ),
        height=(BINS - bins) * BIN_DEPTH_M,
        attrs=attrs,
        path=path,
    )


def _describe_origin(raw: xr.Dataset) -> dict[str, Any]:
    header = read_text_attributes(raw.attrs, "FileHeader")
    instrument = " ".join(
        header[key] for key in ("SatelliteName", "InstrumentName") if header.get(key)
    )
    found = {"instrument": instrument and f"{instrument} Ku", "references": header.get("DOI", "")}
    stated = {name: value for name, value in found.items() if value}
    return stated | {"frequency_ghz": FREQUENCY_GHZ}


def _recognises(header: Header) -> bool:
    return any(header.has(f"{swath}/{reflectivity}") for swath, reflectivity in _SWATHS)


RADAR = Reader(
    name="gpm_dpr", title="a GPM 2A Ku-band file", read=read_gpm_dpr, recognises=_recognises
)
