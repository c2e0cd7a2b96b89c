"""How far up the surface echo hides the air, by the echo itself as a radar from above measured it.

The surface's echo falls off above the surface as the pulse's response does, in decibels ever faster
with the distance: over a slope more slowly, at first not at all where the receiver is saturated. So
it is followed upwards from its peak, gate by gate:

- it is at most what was measured, and falls from gate to gate at least half as fast as it did
  below;
- what falls more slowly than that is the echo of the air. Hidden behind it, the surface's goes on
  at most as far as that of a Gaussian pulse over a surface of that slope would.

The zone ends where that sinks below the sensitivity floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.emulator.range_weighting import find_pulse_sigma
from blindzone.pipeline.emulator.sensor import Sensor
from blindzone.pipeline.emulator.surface_echo import find_surface_factor, find_surface_spread

_DB_PER_NEPER = 10 / math.log(10)
_STEEP_DB = 3.0
"""Fall from a gate to the next that begins the flank; also what the gates of the peak differ by."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSurface:
    """What a radar measured of the surface and above it.

    Attributes:
        dbz: Measured reflectivity [dBZ], surface and noise included, `(time, height)`.
        gate_height: Heights above the elevation [m], rising with the index, `(time, height)`.
        surface: Height [m] near which the echo's peak is, `(time,)`.
        slope: Rise over run of the elevation, `(time,)`.
        cross_section_db: sigma0 [dB] `(time,)`, NaN if not known.
    """

    dbz: np.ndarray
    gate_height: np.ndarray
    surface: np.ndarray
    slope: np.ndarray
    cross_section_db: np.ndarray


def find_hidden_gates(measured: MeasuredSurface, sensor: Sensor, floor_dbz: float) -> np.ndarray:
    """Returns the highest gate that the surface echo hides `(time,)`, -1 where there is no echo.

    Args:
        measured: What was measured.
        sensor: The radar.
        floor_dbz: Its sensitivity floor [dBZ].
    """
    peak, centre, strength = _find_peak(measured, sensor)
    reach = centre + _find_pulse_reach(measured, strength, sensor, floor_dbz)
    is_found = strength > floor_dbz
    last = _follow_upwards(measured, np.where(is_found, peak, -1), reach, floor_dbz)
    return np.where(is_found, last, -1)


def _find_peak(
    measured: MeasuredSurface, sensor: Sensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the peak's highest gate, its middle [m] and its strength [dBZ], each `(time,)`."""
    with np.errstate(invalid="ignore"):
        offset = np.abs(measured.gate_height - measured.surface[:, np.newaxis])
        near = offset <= sensor.pulse_length_m / 2
    values = np.where(near & ~np.isnan(measured.dbz), measured.dbz, -np.inf)
    strength = values.max(axis=1)
    is_peak = near & (values >= strength[:, np.newaxis] - _STEEP_DB)
    heights = np.where(is_peak, measured.gate_height, 0.0)
    centre = heights.sum(axis=1) / np.maximum(is_peak.sum(axis=1), 1)
    highest = values.shape[1] - 1 - np.argmax(is_peak[:, ::-1], axis=1)
    return highest, centre, strength


def _find_pulse_reach(
    measured: MeasuredSurface, strength: np.ndarray, sensor: Sensor, floor_dbz: float
) -> np.ndarray:
    """Returns how far above the peak a Gaussian pulse's echo exceeds the floor [m], `(time,)`."""
    slope = np.abs(np.nan_to_num(measured.slope))
    width = np.hypot(find_pulse_sigma(sensor), find_surface_spread(sensor, slope))
    expected = measured.cross_section_db + 10 * np.log10(
        find_surface_factor(sensor) / (width * math.sqrt(2 * math.pi))
    )
    above_floor = np.fmax(strength, expected) - floor_dbz  # a saturated peak is stronger than seen
    return np.asarray(width * np.sqrt(2 * np.clip(above_floor, 0, None) / _DB_PER_NEPER))


def _follow_upwards(
    measured: MeasuredSurface, peak: np.ndarray, reach: np.ndarray, floor_dbz: float
) -> np.ndarray:
    """Returns the highest gate above each peak that the surface's echo hides, `(time,)`."""
    gates, profiles = measured.dbz.shape[1], np.arange(peak.size)
    before = measured.dbz[profiles, peak]
    bound, steepest, last = before.copy(), np.zeros(peak.size), peak.copy()
    is_alone, is_open = np.ones(peak.size, dtype=bool), peak >= 0
    for _ in range(gates):
        gate = np.minimum(last + 1, gates - 1)
        here = measured.dbz[profiles, gate]
        here = np.where(np.isnan(here), before, here)
        bound = np.minimum(here, bound - steepest / 2)
        with np.errstate(invalid="ignore"):  # from minus infinity to minus infinity
            fall = np.nan_to_num(before - here, posinf=np.inf)
            is_alone &= (steepest < _STEEP_DB) | (fall >= steepest / 2)
            steepest = np.maximum(steepest, fall)
        is_flank = is_alone & (steepest >= _STEEP_DB)
        within = measured.gate_height[profiles, gate] <= reach
        is_open &= (last + 1 < gates) & (bound > floor_dbz) & (is_flank | within)
        if not is_open.any():
            break
        last, before = np.where(is_open, gate, last), here
    return np.asarray(last)


def find_slope(elevation: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Returns rise over run `(time,)` along the track, the steeper of both sides; 0 if not known.

    Args:
        elevation: Elevation of the surface [m], `(time,)`.
        distance: Distance along the track [m], `(time,)`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.abs(np.diff(elevation) / np.diff(distance))
    steps = np.nan_to_num(steps, posinf=0.0)
    return np.asarray(np.maximum(np.append(steps, 0.0), np.insert(steps, 0, 0.0)))
