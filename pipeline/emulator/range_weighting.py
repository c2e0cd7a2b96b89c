"""Range weighting: what a pulse and its receiver take from each height.

The response of a pulse of length L to a target at a distance r from the gate's centre is
exp(-pi^2 r^2 / (2 ln 2 L^2)), a Gaussian (Lamer et al. 2020, doi 10.5194/amt-13-2363-2020). Weights
are integrals of it over native gates, so that a uniform layer keeps its reflectivity and a thin one
its integral, however deep the gates are.
"""

from __future__ import annotations

import math

import numpy as np

from blindzone.pipeline.emulator.normal import integrate_normal
from blindzone.pipeline.emulator.sensor import Sensor

_LOG_STEPS_PER_METRE = 4
"""Samples of a response that is given in decibels."""


def find_pulse_sigma(sensor: Sensor) -> float:
    """Returns the standard deviation of the pulse's response [m]."""
    return sensor.pulse_length_m * math.sqrt(math.log(2)) / math.pi


def integrate_response(sensor: Sensor, offset_m: np.ndarray) -> np.ndarray:
    """Returns the share of the response below an offset from the gate's centre [m], 0 to 1."""
    if sensor.range_response:
        offsets, density = sample_response(sensor)
        steps = np.diff(offsets) * (density[1:] + density[:-1]) / 2
        share = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(np.interp(offset_m, offsets, share))
    sigma = find_pulse_sigma(sensor)
    reach = math.inf if sensor.pulse_reach_m is None else sensor.pulse_reach_m / sigma
    cut = np.clip(np.asarray(offset_m) / sigma, -reach, reach)
    return np.asarray(
        (integrate_normal(cut) - integrate_normal(-reach))
        / (integrate_normal(reach) - integrate_normal(-reach))
    )


def sample_response(sensor: Sensor) -> tuple[np.ndarray, np.ndarray]:
    """Returns offsets [m] and densities [m-1] of the response that a sensor states, `(sample,)`."""
    heights, decibels = np.array(sensor.range_response, dtype=np.float64).T
    count = math.ceil((heights[-1] - heights[0]) * _LOG_STEPS_PER_METRE) + 1
    offsets = np.linspace(heights[0], heights[-1], count)
    density = 10 ** (0.1 * np.interp(offsets, heights, decibels))
    return offsets, density / np.trapezoid(density, offsets)


def find_response_density(sensor: Sensor, offset_m: np.ndarray) -> np.ndarray:
    """Returns the response at offsets from the gate's centre [m-1], of integral 1."""
    if sensor.range_response:
        offsets, density = sample_response(sensor)
        return np.asarray(np.interp(offset_m, offsets, density, left=0.0, right=0.0))
    sigma = find_pulse_sigma(sensor)
    offset = np.asarray(offset_m, dtype=np.float64)
    density = np.exp(-0.5 * (offset / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    if sensor.pulse_reach_m is None:
        return np.asarray(density)
    share = 2 * integrate_normal(sensor.pulse_reach_m / sigma) - 1
    return np.where(np.abs(offset) <= sensor.pulse_reach_m, density / share, 0.0)


def find_gate_edges(heights_m: np.ndarray) -> np.ndarray:
    """Returns the edges [m] of native gates `(gate + 1,)`: halfway between their centres."""
    middle = (heights_m[1:] + heights_m[:-1]) / 2
    first, last = (
        (2 * heights_m[0] - middle[0], 2 * heights_m[-1] - middle[-1])
        if middle.size
        else (heights_m[0], heights_m[0])
    )
    return np.concatenate([[max(first, 0.0)], middle, [last]])


def weigh_gates(heights_m: np.ndarray, sensor: Sensor) -> np.ndarray:
    """Returns the weight of each native gate in each gate of the sensor, `(sensor gate, gate)`.

    The weights of a sensor's gate add up to the share of its pulse that is within native gates.
    """
    edges = find_gate_edges(heights_m)
    offsets = edges[np.newaxis] - sensor.grid.centres_m[:, np.newaxis]
    return np.diff(integrate_response(sensor, offsets), axis=1)


def find_share_below(height_m: float, sensor: Sensor) -> np.ndarray:
    """Returns the share of each gate's pulse that is below a height [m], `(sensor gate,)`."""
    return integrate_response(sensor, height_m - sensor.grid.centres_m)
