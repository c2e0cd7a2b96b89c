"""Overpasses for tests: simulated weather under a made-up orbit, with a surface echo and clutter.

Nothing here was measured. The weather is that of `blindzone.pipeline.readers.simulation`, read as
if it stood still while a satellite flies over it. The orbit is a circle of EarthCARE's and
CloudSat's inclination, begun shortly before its northernmost point, so that the smallest overpass
crosses the date line and comes near the pole. Land, sea and mountains take turns every few tens of
profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from blindzone.pipeline.readers.simulation import simulate_day

INCLINATION_DEG = 98.2
EARTH_RADIUS_M = 6_371_000.0
ORBIT_S = 5933.0
"""A revolution, at 40,030 km of ground track some 6.75 km/s."""
SIMULATED_WIND = 10.0
"""Turns the distance between profiles [m] into time between those of a ground radar [s]."""
GATE_M = 25.0
"""Of the simulated weather."""
_DAYS = 8
"""So many simulated days are laid one after the other, in any order and direction."""
PULSE_M = 500.0


@dataclass(frozen=True, kw_only=True)
class Overpass:
    """What the radar flies over; arrays are `(time,)` or `(time, gate)`.

    Attributes:
        seconds: Since the first profile [s].
        latitude: In degrees north.
        longitude: In degrees east, -180 to 180.
        elevation: Of the surface above mean sea level [m].
        is_land: Whether it is land.
        weather: Linear reflectivity [mm6 m-3] of gates of 25 m above the surface, pulse included.
        velocity: Of the same gates [m s-1], positive downwards; NaN without echo.
    """

    seconds: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    elevation: np.ndarray
    is_land: np.ndarray
    weather: np.ndarray
    velocity: np.ndarray

    def sample(self, field: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """Returns a field of the weather at heights above the surface [m], `(time, gate)`.

        Above and below the simulated gates it is zero.
        """
        gate = np.floor(heights / GATE_M).astype(np.int64)
        inside = (gate >= 0) & (gate < field.shape[1])
        taken = np.take_along_axis(field, np.clip(gate, 0, field.shape[1] - 1), axis=1)
        return np.where(inside, taken, 0.0)

    def echo_of_surface(self, heights: np.ndarray, *, is_sharp: bool) -> np.ndarray:
        """Returns the surface's linear reflectivity [mm6 m-3] at heights above it, `(time, gate)`.

        The strongest echo is 42 dBZ over the sea and 32 dBZ over land. It falls off by so many
        decibels with the distance; over mountains more slowly, as slopes widen it.

        Args:
            heights: Above the surface [m].
            is_sharp: Whether the pulse has EarthCARE's steep rear edge, else CloudSat's.
        """
        steps = _SHARP_EDGE if is_sharp else _SOFT_EDGE
        slope = np.abs(np.gradient(self.elevation))[:, np.newaxis]
        fall = np.interp(np.abs(heights) / (1 + slope / 150), *steps)
        peak = np.where(self.is_land, 32.0, 42.0)[:, np.newaxis]
        return np.asarray(10 ** (0.1 * (peak - fall)))


_SOFT_EDGE = ([0, 240, 480, 720, 960, 1200], [0, 13, 45, 62, 78, 120])
_SHARP_EDGE = ([0, 100, 200, 300, 400, 500, 600, 700], [0, 2, 9, 21, 37, 54, 68, 120])
"""Distance [m] and loss [dB] of the surface's echo."""


def fly(profiles: int, spacing_m: float, seed: int) -> Overpass:
    """Returns a simulated overpass of so many profiles, `spacing_m` apart along the track."""
    random = np.random.default_rng([seed, 15])
    seconds = np.arange(profiles) * spacing_m * ORBIT_S / (2 * np.pi * EARTH_RADIUS_M)
    latitude, longitude = _follow_orbit(seconds)
    elevation = _draw_terrain(profiles, random)
    weather, velocity = _draw_weather(profiles, round(spacing_m / SIMULATED_WIND, 3), seed)
    return Overpass(
        seconds=seconds,
        latitude=latitude,
        longitude=longitude,
        elevation=elevation,
        is_land=elevation > 0,
        weather=gaussian_filter1d(weather, PULSE_M / 2.355 / GATE_M, axis=1, mode="nearest"),
        velocity=velocity,
    )


def _follow_orbit(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude [degree] of a circular orbit over the turning Earth."""
    angle = np.radians(89.0) + 2 * np.pi * seconds / ORBIT_S
    tilt = np.radians(INCLINATION_DEG)
    latitude = np.degrees(np.arcsin(np.sin(tilt) * np.sin(angle)))
    along = np.degrees(np.arctan2(np.cos(tilt) * np.sin(angle), np.cos(angle)))
    # The northernmost point is at the date line.
    longitude = along + 270 - 360 * seconds / 86_164
    return latitude, (longitude + 180) % 360 - 180


def _draw_terrain(profiles: int, random: np.random.Generator) -> np.ndarray:
    """Returns elevations [m]: sea in some half of the profiles, else hills, and a few mountains."""
    ground = gaussian_filter1d(random.standard_normal(profiles), 20, mode="wrap")
    hills = gaussian_filter1d(random.standard_normal(profiles), 3, mode="wrap")
    raised = 900 * ground / ground.std() + 60 * hills / hills.std()
    return np.where(ground > 0, np.clip(raised, 1, 4500), 0.0)


def _draw_weather(profiles: int, step_s: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns linear reflectivity and velocity `(time, gate)` of days in any order."""
    random = np.random.default_rng([seed, 8])
    hours = min(profiles * step_s / 3600, 24.0)
    reflectivity, velocity, missing = [], [], profiles
    while missing > 0:
        z, v = _simulate(int(random.integers(_DAYS)), step_s, hours, seed)
        order, taken = slice(None, None, int(random.choice([1, -1]))), slice(None, missing)
        reflectivity.append(z[order][taken])
        velocity.append(v[order][taken])
        missing -= len(z)
    return np.concatenate(reflectivity), np.concatenate(velocity)


@lru_cache(maxsize=_DAYS)
def _simulate(number: int, step_s: float, hours: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns linear reflectivity and velocity, positive downwards, of one simulated day."""
    day = date(2001, 1 + 12 * number // _DAYS, 1)
    native = simulate_day(day, seed=seed, hours=hours, profile_step_s=step_s)
    z = np.nan_to_num(10 ** (0.1 * native["Zh"].values), nan=0.0)
    z[:, :10] = z[:, 10:11]  # no clutter, no blank range: the truth goes down to the surface
    return uniform_filter1d(z, 3, axis=0), -native["v"].values
