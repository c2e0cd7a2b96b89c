"""EarthCARE CPR frames as tests write them: to the layouts as far as known, nothing measured.

    write_earthcare_frame(path)                              C-FMR, a whole frame
    write_earthcare_frame(path, "C-NOM", profiles=300)       level 1b, a small one
    write_earthcare_frame(path, "C-CD", seed=1)              Doppler velocities alone

One seed gives the same overpass in C-FMR and C-CD, so that one has the other's velocities.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from overpasses import Overpass, fly

Product = Literal["C-NOM", "C-FMR", "C-CD"]
GATES, GATE_M, TOP_M = 218, 100.0, 20_600.0
SPACING_M: dict[Product, float] = {"C-NOM": 500.0, "C-FMR": 1000.0, "C-CD": 1000.0}
"""Level 1b is integrated over 500 m; the frames of C-CD and C-FMR have some 4,900 profiles over an
eighth of an orbit."""
FRAME_M = 5_000_000.0
"""Length of a frame: an eighth of an orbit."""
SURFACE_GATE = 207
"""Counted from one, from the top: at mean sea level."""
NOISE_MM6_M3 = 10**-2.85
"""Standard deviation of the noise of 500 m: -28.5 dBZ; that of level 2 is lower."""
FLOOR_DBZ = -32.0
"""Of the feature mask of level 2."""
GEOID_M = 17.0
EPOCH = datetime(2000, 1, 1)
FILL = np.float32(9.96921e36)
CLEAR, HYDROMETEOR, BOTH, GROUND, NOTHING = 0, 1, 11, 12, -1
STATUS = (
    f"{NOTHING} = no measurement, {CLEAR} = no significant detection,"
    f" {HYDROMETEOR} = hydrometeor, {BOTH} = hydrometeor + clutter,"
    f" {GROUND} = clutter at and above ground level"
)
"""Codes of the statuses that are written, as text in the files; 11 and 12 are those of C-CD."""
Content = dict[str, tuple[np.ndarray, dict[str, Any]]]


def write_earthcare_frame(
    path: Path,
    product: Product = "C-FMR",
    profiles: int | None = None,
    seed: int = 0,
    start: datetime = datetime(2024, 8, 1, 3),
) -> Overpass:
    """Writes a frame of simulated weather and returns what is under the radar.

    Land, sea, mountains, the date line and high latitudes are in it, with the surface's echo and
    its clutter.

    Args:
        path: The file, `*.h5`.
        product: Which of the products.
        profiles: Number of profiles; a whole frame by default.
        seed: Of weather, terrain and noise.
        start: UTC time of the first profile.
    """
    spacing = SPACING_M[product]
    overpass = fly(profiles or round(FRAME_M / spacing), spacing, seed)
    make = {"C-NOM": _make_c_nom, "C-FMR": _make_c_fmr, "C-CD": _make_c_cd}[product]
    heights = np.tile(TOP_M - GATE_M * np.arange(GATES), (overpass.seconds.size, 1))
    above = heights - overpass.elevation[:, np.newaxis]
    seconds = (start - EPOCH).total_seconds() + overpass.seconds
    write_frame(make(overpass, heights, above, seconds, np.random.default_rng([seed, 2])), path)
    return overpass


def _make_c_nom(
    overpass: Overpass,
    heights: np.ndarray,
    above: np.ndarray,
    seconds: np.ndarray,
    random: np.random.Generator,
) -> Content:
    weather = overpass.sample(overpass.weather, above)
    surface = overpass.echo_of_surface(above, is_sharp=True)
    noise = NOISE_MM6_M3 * random.standard_normal(above.shape)
    velocity = overpass.sample(np.nan_to_num(overpass.velocity), above)
    weight = weather / (weather + surface + NOISE_MM6_M3)
    velocity = velocity * weight + 3 * (1 - weight) * random.uniform(-1, 1, above.shape)
    profiles = seconds.size
    data = {
        "radarReflectivityFactor": (_floats(weather + surface + noise), {"units": "mm6/m3"}),
        # Level 1b counts velocities towards the radar, upwards, as positive.
        "dopplerVelocity": (_floats(-velocity), {"units": "m/s"}),
        "surfaceBinNumber": (_surface_gate(above).astype(np.int16), {}),
        "surfaceEstimationFlag": (np.zeros(profiles, np.int16), {}),
        "sigmaZero": (_floats(_sigma(overpass, random)), {"units": "dB"}),
        "rayQualityFlag": (np.zeros(profiles, np.int16), {}),
    }
    geo = {
        "binHeight": (_floats(heights), {"units": "m"}),
        "surfaceElevation": (_floats(overpass.elevation), {"units": "m"}),
        "profileTime": (seconds, {"units": "seconds since 2000-01-01 00:00:00"}),
        "latitude": (overpass.latitude, {"units": "degrees"}),
        "longitude": (overpass.longitude, {"units": "degrees"}),
        "navigationLandWaterFlg": (overpass.is_land.astype(np.int8), {}),
    }
    return {f"ScienceData/Data/{name}": item for name, item in data.items()} | {
        f"ScienceData/Geo/{name}": item for name, item in geo.items()
    }


def _make_c_fmr(
    overpass: Overpass,
    heights: np.ndarray,
    above: np.ndarray,
    seconds: np.ndarray,
    random: np.random.Generator,
) -> Content:
    weather = overpass.sample(overpass.weather, above)
    status = _find_status(overpass, above, weather)
    with np.errstate(divide="ignore"):
        dbz = np.where(np.isin(status, (HYDROMETEOR, BOTH)), 10 * np.log10(weather), np.nan)
    gas = 1.5 * np.exp(-np.clip(heights, 0, None) / 2000)
    level_2 = _make_level_2(overpass, heights, above, seconds)
    own = {
        "reflectivity_masked": (_floats(dbz - gas), {"units": "dBZ"}),
        "reflectivity_corrected": (_floats(dbz), {"units": "dBZ"}),
        "detection_status": (_floats(status), {"definition": STATUS}),
        "path_integrated_attenuation": (
            _floats(0.002 * np.clip(weather, 0, 100).sum(axis=1)),
            {"units": "dB"},
        ),
    }
    return level_2 | {f"ScienceData/{name}": item for name, item in own.items()}


def _make_c_cd(
    overpass: Overpass,
    heights: np.ndarray,
    above: np.ndarray,
    seconds: np.ndarray,
    random: np.random.Generator,
) -> Content:
    weather = overpass.sample(overpass.weather, above)
    status = _find_status(overpass, above, weather)
    velocity = overpass.sample(overpass.velocity, above)
    velocity = np.where(status == HYDROMETEOR, velocity, np.nan)
    own = {
        # Level 2 counts velocities away from the radar, downwards, as positive.
        "doppler_velocity_best_estimate": (_floats(velocity), {"units": "m s-1"}),
        "doppler_velocity_and_spectrum_width_uncorrected_status": (
            _floats(status),
            {"definition": STATUS},
        ),
        "quality_status": (
            np.zeros(above.shape, np.float32),
            {"definition": "0 = good, 1 = bad"},
        ),
        "nyquist_velocity": (np.full(seconds.size, 5.7, np.float32), {"units": "m s-1"}),
    }
    level_2 = _make_level_2(overpass, heights, above, seconds)
    return level_2 | {f"ScienceData/{name}": item for name, item in own.items()}


def _make_level_2(
    overpass: Overpass, heights: np.ndarray, above: np.ndarray, seconds: np.ndarray
) -> Content:
    """Returns what ESA's products share; heights are above the ellipsoid."""
    profiles = seconds.size
    shared = {
        "time": (seconds, {"units": "seconds since 2000-01-01 00:00:00.0"}),
        "latitude": (overpass.latitude, {"units": "degree_north"}),
        "longitude": (overpass.longitude, {"units": "degree_east"}),
        "height": (_floats(heights + GEOID_M), {"units": "m"}),
        "surface_elevation": (_floats(overpass.elevation + GEOID_M), {"units": "m"}),
        "geoid_offset": (np.full(profiles, GEOID_M, np.float32), {"units": "m"}),
        "surface_bin_number": (_floats(_surface_gate(above)), {"comment": "1-based indexed"}),
        "surface_estimation_flag": (np.zeros(profiles, np.float32), {}),
        "land_flag": (overpass.is_land.astype(np.float32), {}),
    }
    return {f"ScienceData/{name}": item for name, item in shared.items()}


def _find_status(overpass: Overpass, above: np.ndarray, weather: np.ndarray) -> np.ndarray:
    surface = overpass.echo_of_surface(above, is_sharp=True)
    clutter = surface > 10 ** (0.1 * FLOOR_DBZ)
    echo = weather > 10 ** (0.1 * FLOOR_DBZ)
    return np.select(
        [above < -GATE_M, clutter & echo & (above > 0), clutter, echo],
        [NOTHING, BOTH, GROUND, HYDROMETEOR],
        CLEAR,
    )


def _surface_gate(above: np.ndarray) -> np.ndarray:
    return 1 + np.argmin(np.abs(above), axis=1)


def _sigma(overpass: Overpass, random: np.random.Generator) -> np.ndarray:
    return np.where(overpass.is_land, 0.0, 11.0) + 2 * random.standard_normal(overpass.seconds.size)


def _floats(values: np.ndarray) -> np.ndarray:
    """Returns values as they are stored, float32 with a fill value."""
    return np.where(np.isnan(values), FILL, values).astype(np.float32)


def write_frame(content: Content, path: Path) -> Path:
    """Writes variables with their attributes, and a fill value where they are numbers of one."""
    with h5py.File(path, "w") as file:
        for name, (values, attrs) in content.items():
            item = file.create_dataset(name, data=values)
            if values.dtype.kind == "f":
                item.attrs["_FillValue"] = values.dtype.type(FILL)
            for key, value in attrs.items():
                item.attrs[key] = value
    return path
