"""CloudSat 2B-GEOPROF granules as tests write them: to the documented layout, nothing measured.

    write_cloudsat_granule(path)                  a whole one: 37,081 profiles of 125 bins
    write_cloudsat_granule(path, profiles=300)    a small one

HDF-EOS2 keeps arrays as they are, what has one value a profile in tables of one column, and
attributes in tables of their own, named `Radar_Reflectivity.factor`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from overpasses import Overpass, fly

PROFILES, BINS, BIN_M, SPACING_M, PROFILE_S = 37_081, 125, 239.83, 1080.0, 0.16
SURFACE_BIN = 105
"""Counted from one, from the top: the bin at mean sea level, give or take half a bin."""
NOISE_MM6_M3 = 10**-3.0
"""Standard deviation of the noise: -30 dBZ."""
_SEA_DB, _LAND_DB = 11.0, 0.0
_LAND_FLAG, _SEA_FLAG = 1, 2
Content = dict[str, np.ndarray]


def write_cloudsat_granule(
    path: Path,
    profiles: int = PROFILES,
    seed: int = 0,
    start: datetime = datetime(2008, 10, 17, 4),
) -> Overpass:
    """Writes a granule of simulated weather and returns what is under the radar.

    Land, sea, mountains, the date line and high latitudes are in it, with the surface's echo, its
    clutter (mask 5), noise and weak detections (mask 8).

    Args:
        path: The file, `*.hdf`.
        profiles: Number of profiles; the default is a whole orbit.
        seed: Of weather, terrain and noise.
        start: UTC time of the first profile, from 2006 to mid 2008 or in 2009 to 2011: six or
            seven leap seconds since 1993 are counted for.
    """
    overpass = fly(profiles, SPACING_M, seed)
    write_hdf_eos(make_content(overpass, seed, start), path)
    return overpass


def make_content(overpass: Overpass, seed: int, start: datetime) -> Content:
    """Returns the variables of a granule, packed as the layout has them."""
    profiles = overpass.seconds.size
    random = np.random.default_rng([seed, 1])
    offset = 100 * np.sin(2 * np.pi * np.arange(profiles) / 2000)
    height = (SURFACE_BIN - 1 - np.arange(BINS)) * BIN_M + offset[:, np.newaxis]
    above = height - overpass.elevation[:, np.newaxis]
    weather = overpass.sample(overpass.weather, above)
    clutter = overpass.echo_of_surface(above, is_sharp=False)
    noise = NOISE_MM6_M3 * random.standard_normal(above.shape)
    measured = weather + clutter + noise
    with np.errstate(divide="ignore", invalid="ignore"):
        dbz = np.where(measured > 0, 100 * 10 * np.log10(measured), -8888)
    midnight = datetime(start.year, start.month, start.day)
    leap_seconds = 6 if start < datetime(2009, 1, 1) else 7
    tai = (start - datetime(1993, 1, 1)).total_seconds() + leap_seconds
    sigma = np.where(overpass.is_land, _LAND_DB, _SEA_DB) + 2 * random.standard_normal(profiles)
    return {
        "Radar_Reflectivity": np.round(np.clip(dbz, -8888, 5000)).astype(np.int16),
        "CPR_Cloud_mask": _mask(above, weather, clutter),
        "Height": np.round(height).astype(np.int16),
        "Gaseous_Attenuation": np.round(
            100 * 2.5 * np.exp(-np.clip(height, 0, None) / 2000)
        ).astype(np.int16),
        "Latitude": overpass.latitude.astype(np.float32),
        "Longitude": overpass.longitude.astype(np.float32),
        "Profile_time": (np.arange(profiles) * PROFILE_S).astype(np.float32),
        "DEM_elevation": np.where(overpass.is_land, np.round(overpass.elevation), -9999).astype(
            np.int16
        ),
        "SurfaceHeightBin": (1 + np.argmin(np.abs(above), axis=1)).astype(np.int8),
        "Navigation_land_sea_flag": np.where(overpass.is_land, _LAND_FLAG, _SEA_FLAG).astype(
            np.int8
        ),
        "Sigma-Zero": np.round(100 * sigma).astype(np.int16),
        "Data_quality": np.zeros(profiles, np.uint8),
        "Data_status": np.zeros(profiles, np.uint8),
        "TAI_start": np.array([tai], np.float64),
        "UTC_start": np.array([(start - midnight).total_seconds()], np.float32),
        "Vertical_binsize": np.array([BIN_M], np.float32),
        "Radar_Reflectivity.factor": np.array([100.0]),
        "Radar_Reflectivity.offset": np.array([0.0]),
        "Radar_Reflectivity.missing": np.array([-8888.0]),
        "Sigma-Zero.factor": np.array([100.0]),
        "Sigma-Zero.offset": np.array([0.0]),
        "Sigma-Zero.missing": np.array([-9999.0]),
    }


def _mask(above: np.ndarray, weather: np.ndarray, clutter: np.ndarray) -> np.ndarray:
    """Returns `CPR_Cloud_mask`: 40, 30 and 20 for echo, 8 for weak echo, 5 for clutter."""
    with np.errstate(divide="ignore"):
        dbz = 10 * np.log10(weather)
    mask = np.select([dbz > -26, dbz > -28, dbz > -29.5, dbz > -32], [40, 30, 20, 8], 0)
    near = (clutter > NOISE_MM6_M3) & (clutter > weather / 3)
    return np.where(near, 5, np.where(above < 0, 0, mask)).astype(np.int8)


def write_hdf_eos(content: Content, path: Path, units: str = "dBZe") -> Path:
    """Writes arrays, tables of one column and attributes as HDF-EOS2 has them."""
    hdf, sd = pytest.importorskip("pyhdf.HDF"), pytest.importorskip("pyhdf.SD")
    pytest.importorskip("pyhdf.VS")
    hc, sdc = hdf.HC, sd.SDC
    array_types = {"int8": sdc.INT8, "int16": sdc.INT16, "float32": sdc.FLOAT32}
    column_types = {
        "i1": hc.INT8,
        "u1": hc.UINT8,
        "i2": hc.INT16,
        "f4": hc.FLOAT32,
        "f8": hc.FLOAT64,
    }
    file = sd.SD(str(path), sdc.WRITE | sdc.CREATE | sdc.TRUNC)
    for name, values in content.items():
        if values.ndim != 1:
            array = file.create(name, array_types[values.dtype.name], values.shape)
            array[:] = values
            if name == "Radar_Reflectivity":
                array.units = units
            array.endaccess()
    file.end()
    file = hdf.HDF(str(path), hc.WRITE)
    tables = file.vstart()
    for name, values in content.items():
        if values.ndim == 1:
            field = "AttrValues" if "." in name else name
            table = tables.create(name, [(field, column_types[values.dtype.str[1:]], 1)])
            if "." in name:
                table._class = "Attr0.0"
            table.write([[value] for value in values.tolist()])
            table.detach()
    tables.end()
    file.close()
    return path
