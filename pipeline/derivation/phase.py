"""Rain or snow near the ground, by the air temperature.

Rain and snow are equally frequent at 1.0 degrees Celsius in the mean of the land stations of the
Northern Hemisphere, and at -0.4 to 2.4 degrees at 95 % of them (Jennings et al. 2018, Nature
Communications 9, doi:10.1038/s41467-018-03629-7, abstract). Which threshold holds at a station is
not known. It is taken for normal over stations, with these numbers.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from scipy.special import ndtri

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import ZERO_CELSIUS_K

MEAN_THRESHOLD_K = ZERO_CELSIUS_K + 1.0
"""Air temperature at which rain and snow are equally frequent, mean of stations [K]."""
LOWEST_THRESHOLD_K = ZERO_CELSIUS_K - 0.4
"""95 % of the stations have a threshold above this [K], or ..."""
HIGHEST_THRESHOLD_K = ZERO_CELSIUS_K + 2.4
"""... below this [K]."""
THRESHOLD_DEVIATION_K = (HIGHEST_THRESHOLD_K - LOWEST_THRESHOLD_K) / (2 * float(ndtri(0.975)))
"""Standard deviation over stations [K]."""

PLAUSIBLE_K = (180.0, 335.0)
"""Air temperatures near the ground [K]: the records are 184 and 330 K (WMO Archive of Weather and
Climate Extremes)."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are evenly spread for any number of them (Weyl's sequence)."""


class PrecipitationPhase(IntEnum):
    """What falls, if anything does."""

    SNOW = 0
    """Colder than the threshold of 97.5 % of the stations."""
    RAIN = 1
    """Warmer than that."""
    RAIN_OR_SNOW = 2
    """In between: it depends on the station."""
    UNKNOWN = 3
    """The temperature is not known."""


def find_phase(temperature_k: np.ndarray) -> np.ndarray:
    """Returns the `PrecipitationPhase` of air temperatures [K], int8; any shape.

    Raises:
        ProductError: If they are no air temperatures in kelvin.
    """
    _check_temperature(temperature_k)
    phase = np.full(temperature_k.shape, PrecipitationPhase.RAIN_OR_SNOW, dtype=np.int8)
    phase[temperature_k < LOWEST_THRESHOLD_K] = PrecipitationPhase.SNOW
    phase[temperature_k > HIGHEST_THRESHOLD_K] = PrecipitationPhase.RAIN
    phase[np.isnan(temperature_k)] = PrecipitationPhase.UNKNOWN
    return phase


def draw_thresholds(members: np.ndarray) -> np.ndarray:
    """Returns a threshold [K] for each member, `(realization,)`: a station has one for all times.

    Args:
        members: Numbers of the members, 1 and up; a member's threshold depends on its number alone.
    """
    levels = (np.asarray(members) * _GOLDEN) % 1
    return np.asarray(MEAN_THRESHOLD_K + THRESHOLD_DEVIATION_K * ndtri(levels))


def is_snow(temperature_k: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Returns where precipitation is snow, bool `(realization, time)`; False if not known.

    Args:
        temperature_k: Air temperature [K] `(time,)`.
        members: Numbers of the members `(realization,)`.
    """
    phase = find_phase(temperature_k)
    below = temperature_k[None] < draw_thresholds(members)[:, None]
    either = phase == PrecipitationPhase.RAIN_OR_SNOW
    return np.asarray(np.where(either, below, phase == PrecipitationPhase.SNOW))


def _check_temperature(temperature_k: np.ndarray) -> None:
    known = temperature_k[np.isfinite(temperature_k)]
    low, high = PLAUSIBLE_K
    if known.size and not (low <= known.min() and known.max() <= high):
        raise ProductError(
            f"temperature: found {known.min():g} to {known.max():g}; air temperatures in kelvin,"
            f" {low:g} to {high:g}, are right"
        )
