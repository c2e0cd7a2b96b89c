"""The air that attenuates: a curtain's own state where it has one, else a climatology.

The climatology is the reference atmospheres of ITU-R P.835-6, annex 2, for low, middle and high
latitudes, in summer and winter. Between them the season is a cosine with its extremes in the middle
of January and July. Pressure follows from temperature and 1013.25 hPa at sea level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.position import find_middle
from blindzone.pipeline.curtains.state import STANDARD_GRAVITY

_GAS_CONSTANT_DRY = 287.05
"""Of dry air [J kg-1 K-1] (ISO 2533:1975)."""
_SURFACE_HPA = 1013.25
_DAYS_A_YEAR, _WARMEST_DAY = 365.25, 196
_STEP_KM = 0.1


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """A reference atmosphere, by height above sea level [km].

    Attributes:
        temperature: Coefficients of a polynomial [K], lowest first.
        tropopause_km: Height above which the temperature stays [km].
        vapour: Density of water vapour at sea level [g m-3], and coefficients of the polynomial
            in the exponent from the linear one on.
    """

    temperature: tuple[float, ...]
    tropopause_km: float
    vapour: tuple[float, ...]


# By the highest latitude [degree], summer and winter.
_REFERENCES = (
    (
        22.0,
        _Reference(
            temperature=(300.4222, -6.3533, 0.005886),
            tropopause_km=17.0,
            vapour=(19.6542, -0.2313, -0.1122, 0.01351, -0.0005923),
        ),
        None,
    ),
    # 45 degrees in ITU-R P.835. The atmospheres behind them are of 45 and of 60 degrees, so that
    # the middle between these parts them.
    (
        52.5,
        _Reference(
            temperature=(294.9838, -5.2159, -0.07109),
            tropopause_km=13.0,
            vapour=(14.3542, -0.4174, -0.02290, 0.001007),
        ),
        _Reference(
            temperature=(272.7241, -3.6217, -0.1759),
            tropopause_km=10.0,
            vapour=(3.4742, -0.2697, -0.03604, 0.0004489),
        ),
    ),
    (
        90.0,
        _Reference(
            temperature=(286.8374, -4.7805, -0.1402),
            tropopause_km=10.0,
            vapour=(8.988, -0.3614, -0.005402, -0.001955),
        ),
        _Reference(
            temperature=(257.4345, 2.3474, -1.5479, 0.08473),
            tropopause_km=8.5,
            vapour=(1.2319, 0.07481, -0.0981, 0.00281),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Atmosphere:
    """Air in native gates, `(gate,)` or `(time, gate)`.

    Attributes:
        temperature: Temperature [K].
        pressure: Pressure [hPa].
        vapour: Density of water vapour [g m-3].
    """

    temperature: np.ndarray
    pressure: np.ndarray
    vapour: np.ndarray


def find_atmosphere(curtain: xr.Dataset) -> Atmosphere:
    """Returns the air in the gates of a native curtain `(time, height)`.

    Temperature and humidity are those of its state, where it has one; the rest is climatology.
    """
    altitude, latitude = (
        find_middle(np.ravel(curtain[name].values)) for name in ("altitude", "latitude")
    )
    # Unknown: sea level, and a middle latitude.
    heights = curtain["height"].values + np.nan_to_num(altitude)
    usual = find_climatology(
        heights, 45.0 if math.isnan(latitude) else latitude, curtain["time"].values[0]
    )
    if "temperature" not in curtain:
        return usual
    known = curtain["temperature"].values
    temperature = np.where(np.isfinite(known), known, usual.temperature).astype(np.float64)
    vapour = np.broadcast_to(usual.vapour, temperature.shape)
    if "specific_humidity" in curtain:
        humidity = curtain["specific_humidity"].values
        density = 1e5 * usual.pressure / (_GAS_CONSTANT_DRY * temperature)  # [g m-3]
        vapour = np.where(np.isfinite(humidity), humidity * density, vapour)
    return Atmosphere(temperature=temperature, pressure=usual.pressure, vapour=vapour)


def find_climatology(altitude_m: np.ndarray, latitude: float, day: np.datetime64) -> Atmosphere:
    """Returns usual air at altitudes above mean sea level [m], `(gate,)`.

    Args:
        altitude_m: Altitudes [m], increasing.
        latitude: Latitude [degrees_north].
        day: Sets the season.
    """
    summer, winter = next(
        (summer, winter or summer)
        for highest, summer, winter in _REFERENCES
        if abs(latitude) <= highest
    )
    share = _find_summer(day, latitude)
    height_km = np.asarray(altitude_m, dtype=np.float64) / 1000

    def mix(find: Callable[[_Reference, np.ndarray], np.ndarray], at_km: np.ndarray) -> np.ndarray:
        return np.asarray(share * find(summer, at_km) + (1 - share) * find(winter, at_km))

    levels = np.arange(0.0, max(float(height_km[-1]), 0.0) + 2 * _STEP_KM, _STEP_KM)
    slope = -STANDARD_GRAVITY * 1000 / (_GAS_CONSTANT_DRY * mix(_find_temperature, levels))
    logarithm = np.concatenate([[0.0], np.cumsum(_STEP_KM * (slope[1:] + slope[:-1]) / 2)])
    return Atmosphere(
        temperature=mix(_find_temperature, height_km),
        pressure=_SURFACE_HPA * np.exp(np.interp(height_km, levels, logarithm)),
        vapour=mix(_find_vapour, height_km),
    )


def _find_summer(day: np.datetime64, latitude: float) -> float:
    """Returns the share of summer in a day's season, 0 to 1."""
    date = day.astype("datetime64[D]")
    number = int((date - date.astype("datetime64[Y]")).astype(np.int64)) + 1
    northern = 0.5 + 0.5 * math.cos(2 * math.pi * (number - _WARMEST_DAY) / _DAYS_A_YEAR)
    return northern if latitude >= 0 else 1 - northern


def _find_temperature(reference: _Reference, height_km: np.ndarray) -> np.ndarray:
    below = np.minimum(height_km, reference.tropopause_km)
    return np.asarray(np.polynomial.polynomial.polyval(below, reference.temperature))


def _find_vapour(reference: _Reference, height_km: np.ndarray) -> np.ndarray:
    surface, *coefficients = reference.vapour
    exponent = np.polynomial.polynomial.polyval(height_km, [0.0, *coefficients])
    # The polynomials hold up to 15 km; there is no vapour to speak of above.
    return np.asarray(np.where(height_km <= 15, surface * np.exp(exponent), 0.0))
