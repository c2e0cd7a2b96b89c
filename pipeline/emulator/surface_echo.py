"""The surface echo, and how far up it hides what is there.

A surface with the cross section sigma0 per unit area, in a pulse with the response w(r) [m-1],
looks like a reflectivity of 10^18 lambda^4 / (pi^5 |K|^2) sigma0 w(r) [mm6 m-3]. The zone reaches
from the ground to the highest gate in which that exceeds the sensor's sensitivity.
"""

from __future__ import annotations

import math

import numpy as np

from blindzone.pipeline.emulator.along_track import find_antenna_sigma
from blindzone.pipeline.emulator.range_weighting import find_response_density
from blindzone.pipeline.emulator.sensor import Sensor
from blindzone.pipeline.emulator.settings import Surface

_SLOPE_STEPS = 41
"""Heights of a sloping surface that are summed, over four standard deviations each way."""


def find_surface_profile(sensor: Sensor, surface: Surface) -> np.ndarray:
    """Returns the surface echo of sigma0 = 1 in each gate [mm6 m-3], `(sensor gate,)`.

    A slope spreads the heights of the surface within the beam, and along the pulses of a profile.
    """
    factor = find_surface_factor(sensor)
    spread = float(find_surface_spread(sensor, np.array(surface.slope)))
    steps = np.linspace(-4, 4, _SLOPE_STEPS) if spread > 0 else np.zeros(1)
    share = np.exp(-0.5 * steps**2)
    offsets = steps * spread - sensor.grid.centres_m[:, np.newaxis]
    return np.asarray(factor * (find_response_density(sensor, offsets) @ (share / share.sum())))


def find_surface_factor(sensor: Sensor) -> float:
    """Returns the reflectivity [mm6 m-3] of sigma0 = 1 in a pulse of response 1 [m-1]."""
    return 1e18 * sensor.wavelength_m**4 / (math.pi**5 * sensor.dielectric_factor)


def find_surface_spread(sensor: Sensor, slope: np.ndarray) -> np.ndarray:
    """Returns the standard deviation [m] of the heights of a sloping surface within one profile.

    Args:
        sensor: The sensor.
        slope: Rise over run, of any shape.
    """
    return np.asarray(
        slope * math.hypot(find_antenna_sigma(sensor), sensor.integration_m / math.sqrt(12))
    )


def find_blind_zone_top(
    sensor: Sensor,
    surface: Surface,
    transmission: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Returns the height [m] `(profile,)` up to which the surface echo hides what is there.

    Args:
        sensor: The sensor.
        surface: The surface.
        transmission: Share of the surface echo that the way through the atmosphere leaves,
            `(profile,)`.
        random: Draws sigma0 of each profile.
    """
    mean, spread = surface.cross_section
    drawn = mean + spread * random.standard_normal(transmission.size)
    echo = np.outer(10 ** (0.1 * drawn) * transmission, find_surface_profile(sensor, surface))
    visible = echo > 10 ** (0.1 * sensor.sensitivity_dbz)
    highest = np.where(visible, np.arange(sensor.gates), -1).max(axis=1)
    return np.asarray((highest + 1) * sensor.gate_spacing_m)
