"""Attenuation by liquid water, from reflectivity at W band.

Echo says little of how much water there is. These relations give the right order; what they leave
out is cloud water inside of precipitation, supercooled water, and melting snow.

- No drizzle (below -17 dBZ; Frisch et al. 1995): the smaller content of Z = 0.048 W^2 (Atlas 1954)
  and, with some drizzle, Z = 57.54 W^5.17 (Baedi et al. 2000), W in g m-3. It attenuates as
  ITU-R P.840-6 says.
- Else rain of the rate R in Z = 25 R^1.3 (Comstock et al. 2004, doi 10.1256/qj.03.187), in mm h-1.
  It attenuates as ITU-R P.838-3 says.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import ZERO_CELSIUS_K

RAIN_SPEED = 2.5
"""What falls faster [m s-1] is rain, drops above 0.6 mm (Gunn and Kinzer 1949); snow and aggregates
stay below 2 m s-1 (Locatelli and Hobbs 1974, doi 10.1029/JC079i015p02185)."""
DRIZZLE_DBZ = -17.0
"""Reflectivity above which drops fall (Frisch et al. 1995)."""
# ITU-R P.838-3 at 94.05 GHz, circular polarization, vertical path: k R^alpha [dB km-1].
_RAIN_FACTOR, _RAIN_EXPONENT = 1.318, 0.6857


def find_liquid(curtain: xr.Dataset, temperature: np.ndarray) -> np.ndarray:
    """Returns which gates of a native curtain are warm enough for liquid, bool `(time, gate)`.

    A usual temperature is that of no day: what falls as fast as rain only is liquid too, unless the
    curtain's own state says otherwise.

    Args:
        curtain: Native curtain of a ground radar.
        temperature: Temperature [K], `(gate,)` or `(time, gate)`.
    """
    warm = np.broadcast_to(temperature > ZERO_CELSIUS_K, curtain["detection_status"].shape)
    if "temperature" in curtain or "doppler_velocity" not in curtain:
        return warm
    with np.errstate(invalid="ignore"):
        return np.asarray(warm | (curtain["doppler_velocity"].values < -RAIN_SPEED))


def attenuate_by_liquid(
    reflectivity_dbz: np.ndarray,
    temperature: np.ndarray,
    frequency_ghz: float,
    is_liquid: np.ndarray,
) -> np.ndarray:
    """Returns the one-way attenuation by liquid [dB km-1].

    Args:
        reflectivity_dbz: Reflectivity at W band [dBZ] `(time, gate)`, NaN where there is no echo.
        temperature: Temperature [K], `(gate,)` or `(time, gate)`.
        frequency_ghz: Frequency [GHz].
        is_liquid: Where what is there is liquid, bool `(time, gate)`.
    """
    # The absorption of water is known down to freezing.
    temperature = np.broadcast_to(np.maximum(temperature, ZERO_CELSIUS_K), reflectivity_dbz.shape)
    attenuation = np.zeros(reflectivity_dbz.shape)
    liquid = np.isfinite(reflectivity_dbz) & is_liquid
    dbz, warm = reflectivity_dbz[liquid].astype(np.float64), temperature[liquid]
    linear = 10 ** (0.1 * dbz)
    content = np.minimum((linear / 0.048) ** (1 / 2), (linear / 57.54) ** (1 / 5.17))
    rain = _RAIN_FACTOR * (linear / 25) ** (_RAIN_EXPONENT / 1.3)
    cloud = content * attenuate_by_cloud(warm, frequency_ghz)
    attenuation[liquid] = np.where(dbz < DRIZZLE_DBZ, cloud, rain)
    return attenuation


def attenuate_by_cloud(temperature: np.ndarray, frequency_ghz: float) -> np.ndarray:
    """Returns the one-way attenuation by cloud water [(dB km-1) / (g m-3)] (ITU-R P.840-6).

    Args:
        temperature: Temperature [K].
        frequency_ghz: Frequency [GHz], up to 1000.
    """
    cold = 300.0 / temperature - 1
    static, first, second = 77.66 + 103.3 * cold, 0.0671 * (77.66 + 103.3 * cold), 3.52
    slow = 20.20 - 146 * cold + 316 * cold**2
    fast = 39.8 * slow
    ratio, fast_ratio = frequency_ghz / slow, frequency_ghz / fast
    real = (static - first) / (1 + ratio**2) + (first - second) / (1 + fast_ratio**2) + second
    imaginary = ratio * (static - first) / (1 + ratio**2) + fast_ratio * (first - second) / (
        1 + fast_ratio**2
    )
    loss = (2 + real) / imaginary
    return np.asarray(0.819 * frequency_ghz / (imaginary * (1 + loss**2)))
