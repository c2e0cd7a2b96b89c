"""GPM precipitation radar, level 2A: one band as a swath of curtains, Ku unless Ka is asked for.

Layout: 2A Ku, 2A Ka and 2A DPR files in HDF5 (File Specification for GPM Products, Precipitation
Processing System). Read on measured Ku files of version 05; the rest is as that document has it:

| band | to version 06 | from version 07 |
|---|---|---|
| Ku, 13.6 GHz | `NS`, 49 rays of 176 bins | `FS`, 49 rays of 176 bins |
| Ka, 35.5 GHz | `MS`, 25 rays of 176 bins; `HS`, 24 rays of 88 bins of 250 m | `FS`; `HS` |

Where a variable of a 2A DPR file has a last dimension `nfreq`, its first entry is the Ku band, its
second the Ka band. `HS`, between the rays of the others, is read where a file has no other Ka band.
A ray without any position is left out; the others keep their numbers. Where the Ka band was not
measured (outside the inner swath until 2018) no bin has a `zFactorMeasured`: that is no data.

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

`path_integrated_attenuation` is `SLV/piaFinal` [dB] there and back, `surface_echo` is
`PRE/sigmaZeroMeasured` [dB].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import (
    SITE_COORDINATES,
    TRACK_COORDINATES,
    BlindZoneOrigin,
)
from blindzone.pipeline.curtains.findings import pick_findings, with_doubt
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._hdf import read_hdf5, read_text_attributes
from blindzone.pipeline.readers._netcdf import Header, read_header
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import is_mostly, keep_sound
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

_KIND = "a GPM 2A radar file"
BINS = 176
BIN_DEPTH_M = 125.0
"""Along the ray."""


@dataclass(frozen=True, kw_only=True)
class _Band:
    """One of the two radars.

    Attributes:
        name: Its name.
        frequency_ghz: Its frequency [GHz].
        algorithm: `AlgorithmID` of the product of this band alone.
        number: Of its entry along `nfreq`.
    """

    name: str
    frequency_ghz: float
    algorithm: str
    number: int


_KU = _Band(name="Ku", frequency_ghz=13.6, algorithm="2AKu", number=0)
_KA = _Band(name="Ka", frequency_ghz=35.5, algorithm="2AKa", number=1)
_BANDS = (_KU, _KA)
FREQUENCY_GHZ = _KU.frequency_ghz
"""Of the Ku band."""
_BOTH = "2ADPR"


@dataclass(frozen=True, kw_only=True)
class _Swath:
    """Where a band is in a file, and its bins.

    Attributes:
        band: The band.
        group: Its group.
        reflectivity: Its reflectivity, below the group.
        bins: Number of bins of a ray.
        bin_depth_m: Their depth along the ray [m].
    """

    band: _Band
    group: str
    reflectivity: str
    bins: int = BINS
    bin_depth_m: float = BIN_DEPTH_M

    @property
    def name(self) -> str:
        """The path of its reflectivity."""
        return f"{self.group}/{self.reflectivity}"


_CORRECTED, _FINAL = "SLV/zFactorCorrected", "SLV/zFactorFinal"
_SWATHS = (
    _Swath(band=_KU, group="NS", reflectivity=_CORRECTED),
    _Swath(band=_KA, group="MS", reflectivity=_CORRECTED),
    *(
        _Swath(band=band, group="FS", reflectivity=name)
        for name in (_FINAL, _CORRECTED)
        for band in _BANDS
    ),
    *(
        _Swath(band=_KA, group="HS", reflectivity=name, bins=88, bin_depth_m=250.0)
        for name in (_FINAL, _CORRECTED)
    ),
)
"""By version; of one band, the first that a file has is read."""
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
_PROFILE_FIELDS = {
    "path_integrated_attenuation": "SLV/piaFinal",
    "surface_echo": "PRE/sigmaZeroMeasured",
}
_MEASURED = "PRE/zFactorMeasured"
_OPTIONAL = (
    *("PRE/ellipsoidBinOffset", "PRE/elevation", "FLG/qualityFlag"),
    *_PROFILE_FIELDS.values(),
)
_REQUIRED = (*_SCAN, *_PLACE)
_PIXEL = (*_PLACE, *_OPTIONAL)
_UNITS = {
    "z": DBZ,
    "Latitude": DEGREES,
    "Longitude": DEGREES,
    "PRE/localZenithAngle": DEGREES,
    "PRE/ellipsoidBinOffset": METRES,
    "PRE/elevation": METRES,
    **dict.fromkeys(_PROFILE_FIELDS.values(), "dB"),
}
_LIMITS = {
    "Latitude": (-90, 90),
    "Longitude": (-180, 360),
    "PRE/localZenithAngle": (0, 30),  # the swath's edge is at 18 degrees
    "PRE/ellipsoidBinOffset": (-BIN_DEPTH_M, BIN_DEPTH_M),
    "PRE/elevation": (-500, 9000),
    **dict.fromkeys(_PROFILE_FIELDS.values(), (-200, 200)),
    "ScanTime/Year": (1990, 2099),
    "ScanTime/Month": (1, 12),
    "ScanTime/DayOfMonth": (1, 31),
    "ScanTime/Hour": (0, 23),
    "ScanTime/Minute": (0, 59),
    "ScanTime/Second": (0, 60),  # a leap second is the 60th
    "ScanTime/MilliSecond": (0, 999),
}


def read_gpm_dpr(path: Path, frequency_ghz: float = FREQUENCY_GHZ) -> xr.Dataset:
    """Returns the swath of native curtains `(ray, time, height)` of one band of a GPM 2A file.

    Scans without time or position are left out: a gap stays a gap. So are rays that are mostly
    without position.

    Args:
        path: The file.
        frequency_ghz: Frequency [GHz]; of the bands of the file, the nearest to it is read.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, bins or
            values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    swath, raw = _read_swath(path, frequency_ghz)
    raw, rays = _drop_broken_rays(raw, path)
    unplaced = find_unplaced(raw, "Latitude", "Longitude")
    raw, time = keep_sound(raw, _times(raw), path, unplaced, dim="nscan")
    bad_scan = read_values(raw, "scanStatus/dataQuality") != 0
    attrs = _describe_origin(raw, swath.band) | pick_findings(raw.attrs)
    curtains = [
        _read_ray(raw.isel(nray=ray), swath, time, bad_scan, attrs, path)
        for ray in range(raw.sizes["nray"])
    ]
    joined = xr.concat(
        curtains,
        dim="ray",
        data_vars="all",
        coords=[*SITE_COORDINATES, *TRACK_COORDINATES],
        compat="equals",
        join="exact",
        combine_attrs="override",
    )
    return joined.assign_coords(ray=rays)


def _drop_broken_rays(raw: xr.Dataset, path: Path) -> tuple[xr.Dataset, np.ndarray]:
    """Returns the rays that mostly have a position, and their numbers `(ray,)`.

    Raises:
        SourceFileError: If none has.
    """
    placed = [np.isfinite(read_values(raw, name)) for name in ("Latitude", "Longitude")]
    unplaced = ~(placed[0] & placed[1])
    broken = np.array([is_mostly(unplaced[:, ray]) for ray in range(unplaced.shape[1])])
    if broken.all():
        raise SourceFileError(
            f"{path}: none of its {broken.size} rays has positions in most scans; those of the"
            " others are right"
        )
    rays = np.flatnonzero(~broken)
    if not broken.any():
        return raw, rays
    numbers = ", ".join(map(str, np.flatnonzero(broken)))
    doubt = f"rays without a position are left out: {numbers}"
    return raw.isel(nray=rays).assign_attrs(with_doubt(raw.attrs, doubt)), rays


def _read_swath(path: Path, frequency_ghz: float) -> tuple[_Swath, xr.Dataset]:
    """Returns where the band is and its checked variables without their group.

    Reflectivity is `z`; `measured (nscan, nray)` is whether any bin of a ray was.
    """
    header = read_header(path)
    swath = _find_swath(header, frequency_ghz, path)
    own = {f"{swath.group}/{name}": name for name in (*_REQUIRED, *_OPTIONAL, _MEASURED)} | {
        swath.name: "z"
    }
    raw = read_hdf5(path, tuple(own))
    raw = raw.rename({name: own[str(name)] for name in raw.variables if name in own})
    raw = _take_band(raw, swath, header, path)
    check_variables(raw, ("z", *_REQUIRED), _KIND, path)
    check_dims(raw, ("z", _MEASURED), ("nscan", "nray", "nbin"), path)
    check_dims(raw, _PIXEL, ("nscan", "nray"), path)
    check_dims(raw, _SCAN, ("nscan",), path)
    raw = to_units(raw, _UNITS, path)
    if raw.sizes["nbin"] != swath.bins or raw.sizes["nray"] == 0:
        raise SourceFileError(
            f"{path}: '{swath.name}' has {raw.sizes['nray']} rays of {raw.sizes['nbin']} bins;"
            f" {swath.bins} bins of {swath.bin_depth_m:g} m in every ray are right"
        )
    in_bins = dict.fromkeys(("PRE/binClutterFreeBottom", "PRE/binRealSurface"), (1, swath.bins))
    check_range(raw, _LIMITS | in_bins, path)
    return swath, _mark_measured(raw)


def _mark_measured(raw: xr.Dataset) -> xr.Dataset:
    """Returns the variables with `measured` in place of all that was."""
    if _MEASURED not in raw:
        return raw.assign(measured=(("nscan", "nray"), np.ones(raw["Latitude"].shape, dtype=bool)))
    found = ~is_missing(raw[_MEASURED]).all(axis=2)
    return raw.drop_vars(_MEASURED).assign(measured=(("nscan", "nray"), found))


def _take_band(raw: xr.Dataset, swath: _Swath, header: Header, path: Path) -> xr.Dataset:
    """Returns one band of variables that have several."""
    bands = raw.sizes.get("nfreq", 1)
    expected = len(_BANDS) if "nfreq" in raw.dims else 1
    is_shared = swath.group == "FS" and _read_algorithm(header) == _BOTH
    if bands != expected or (is_shared and bands == 1 and swath.band is not _KU):
        raise SourceFileError(
            f"{path}: '{swath.name}' is of {bands} bands, so that {swath.band.name} cannot be"
            f" found; a dimension 'nfreq' of {len(_BANDS)} is right"
        )
    return raw.isel(nfreq=swath.band.number) if "nfreq" in raw.dims else raw


def _read_algorithm(header: Header) -> str:
    return read_text_attributes(header.attributes, "FileHeader").get("AlgorithmID", "")


def _find_swath(header: Header, frequency_ghz: float, path: Path) -> _Swath:
    """Returns where the band nearest to a frequency is, of the bands that a file has."""
    algorithm = _read_algorithm(header)
    alone = [band for band in _BANDS if band.algorithm == algorithm]
    if algorithm and not alone and algorithm != _BOTH:
        names = (*(band.algorithm for band in _BANDS), _BOTH)
        raise SourceFileError(
            f"{path}: AlgorithmID is '{algorithm}'; {' or '.join(names)} is right"
        )
    possible = alone or _BANDS
    # Without a name for the algorithm, the swath of both may be that of Ku alone.
    ambiguous = (_KU,) if not algorithm else possible
    found = [
        swath
        for swath in _SWATHS
        if header.has(swath.name)
        and swath.band in possible
        and (swath.group != "FS" or swath.band in ambiguous)
    ]
    if not found:
        wanted = " or ".join(dict.fromkeys(swath.name for swath in _SWATHS))
        raise SourceFileError(
            f"{path}: not {_KIND}: it lacks {wanted} (has {sorted(header.variables)[:12]})"
        )
    return min(found, key=lambda swath: abs(swath.band.frequency_ghz - frequency_ghz))


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
    raw: xr.Dataset,
    swath: _Swath,
    time: np.ndarray,
    bad_scan: np.ndarray,
    attrs: dict[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the curtain of one ray, its bins turned so that heights increase."""
    cosine = np.cos(np.radians(read_values(raw, "PRE/localZenithAngle")))
    offset = (
        read_values(raw, "PRE/ellipsoidBinOffset")
        if "PRE/ellipsoidBinOffset" in raw
        else np.zeros(time.size)
    )

    def height_of(bins: np.ndarray) -> np.ndarray:
        return np.asarray(((swath.bins - bins) * swath.bin_depth_m + offset) * cosine)

    altitude = height_of(read_values(raw, "PRE/binRealSurface"))
    if "PRE/elevation" in raw:
        elevation = read_values(raw, "PRE/elevation")
        altitude = np.where(np.isnan(elevation), altitude, elevation)
    # Heights count from the surface; the lower edge of bin k is half a bin farther along the ray.
    blind_zone_top = height_of(read_values(raw, "PRE/binClutterFreeBottom") + 0.5) - altitude
    bins = np.arange(swath.bins, 0, -1)
    gate_height = height_of(bins[:, np.newaxis]).T - altitude[:, np.newaxis]  # (time, height)
    reflectivity = read_values(raw, "z")[:, ::-1]
    reflectivity[np.isin(reflectivity, _NOISE_CODES)] = np.nan
    check_credible(reflectivity, "zFactor", path)
    unknown = np.isnan(blind_zone_top) | ~raw["measured"].values
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
            origin=BlindZoneOrigin.FILE,
            fields={
                ours: read_values(raw, name)
                for ours, name in _PROFILE_FIELDS.items()
                if name in raw
            },
        ),
        height=(swath.bins - bins) * swath.bin_depth_m,
        attrs=attrs,
        path=path,
    )


def _describe_origin(raw: xr.Dataset, band: _Band) -> dict[str, Any]:
    header = read_text_attributes(raw.attrs, "FileHeader")
    instrument = " ".join(
        header[key] for key in ("SatelliteName", "InstrumentName") if header.get(key)
    )
    found = {
        "instrument": instrument and f"{instrument} {band.name}",
        "references": header.get("DOI", ""),
    }
    stated = {name: value for name, value in found.items() if value}
    return stated | {"frequency_ghz": band.frequency_ghz}


def _recognises(header: Header) -> bool:
    return any(header.has(swath.name, f"{swath.group}/{_PLACE[2]}") for swath in _SWATHS)


RADAR = Reader(
    name="gpm_dpr",
    title=_KIND,
    read=read_gpm_dpr,
    recognises=_recognises,
    read_band=read_gpm_dpr,
)
