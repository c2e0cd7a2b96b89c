"""Reflectivity of a ground radar as that of the spaceborne radar's band."""

from __future__ import annotations

import math

import numpy as np

from blindzone.core.errors import CurtainError

_W_BAND_GHZ = (92.0, 97.0)
_KA_BAND_GHZ = (33.0, 37.0)
_FACTOR, _EXPONENT, _STRONGEST_DBZ = 10.0**-16.8251, 8.4923, 30.0
"""Of the excess of Ka over W band (Kollias et al. 2019, doi 10.5194/amt-12-4949-2019)."""


def to_w_band(reflectivity_dbz: np.ndarray, frequency_ghz: float | None) -> np.ndarray:
    """Returns reflectivity [dBZ] at W band of any shape, of one at W or Ka band.

    Z94 = Z35 - 10^a (Z35 + 100)^b, with a = -16.8251 and b = 8.4923 (Kollias et al. 2019). The
    relation holds below 30 dBZ; what is stronger is reduced as much as 30 dBZ is.

    Args:
        reflectivity_dbz: Reflectivity [dBZ], NaN where there is no echo.
        frequency_ghz: Frequency of the ground radar [GHz].

    Raises:
        CurtainError: If the frequency is not known or of another band.
    """
    if frequency_ghz is None:
        raise CurtainError(
            "emulation: the ground radar's frequency is not known; 'frequency_ghz' in its"
            " catalogue entry is right"
        )
    if _W_BAND_GHZ[0] <= frequency_ghz <= _W_BAND_GHZ[1]:
        return reflectivity_dbz
    if not _KA_BAND_GHZ[0] <= frequency_ghz <= _KA_BAND_GHZ[1]:
        raise CurtainError(
            f"emulation: the ground radar measures at {frequency_ghz:g} GHz; W band (94 GHz) or Ka"
            " band (35 GHz) is right"
        )
    base = np.clip(reflectivity_dbz + 100.0, 0.0, _STRONGEST_DBZ + 100.0)
    return np.asarray(reflectivity_dbz - _FACTOR * base**_EXPONENT)


def convert_dielectric_factor(of_ground_radar: float | None, of_sensor: float) -> float:
    """Returns the decibels to add for another squared dielectric factor; 0 if it is not stated."""
    return 0.0 if of_ground_radar is None else 10 * math.log10(of_ground_radar / of_sensor)
