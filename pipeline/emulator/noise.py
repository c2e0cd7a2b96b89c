"""Noise of the receiver, its subtraction, and which gates hold echo.

The power of a pulse is exponentially distributed, echo and noise alike. The mean of M pulses has a
gamma distribution of shape M, in every gate, with echo or without. The mean noise is subtracted, so
that gates without echo scatter around zero and some exceed any limit: false alarms.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import binom, gamma, norm

from blindzone.pipeline.emulator.sensor import Sensor

FALSE_ALARM_RATE = 1e-4
"""Share of gates without echo that each of the two tests takes for echo."""
BOX = 5
"""Profiles and gates of the neighbourhood that is looked at (Clothiaux et al. 1995, doi
10.1175/1520-0426(1995)012<0201:AEORCF>2.0.CO;2)."""


def measure_reflectivity(
    linear: np.ndarray, sensor: Sensor, random: np.random.Generator
) -> np.ndarray:
    """Returns reflectivity as measured, noise subtracted, which may be negative [mm6 m-3].

    Args:
        linear: Reflectivity [mm6 m-3] of any shape.
        sensor: The sensor.
        random: Draws the noise.
    """
    noise = 10 ** (0.1 * sensor.noise_dbz)
    mean = random.standard_gamma(sensor.pulses, linear.shape) / sensor.pulses
    return np.asarray((linear + noise) * mean - noise)


def find_echo(measured: np.ndarray, known: np.ndarray, sensor: Sensor) -> np.ndarray:
    """Returns which gates count as echo, bool `(profile, gate)`.

    Those do that noise alone hardly ever reaches; and those above the sensitivity with more such
    neighbours than noise hardly ever has.

    Args:
        measured: Reflectivity, noise subtracted [mm6 m-3], `(profile, gate)`.
        known: Where it is a measurement.
        sensor: The sensor.
    """
    shape, noise = sensor.pulses, 10 ** (0.1 * sensor.noise_dbz)
    surely, above = (
        noise * (float(gamma.isf(rate, shape)) / shape - 1)
        for rate in (FALSE_ALARM_RATE, norm.sf(1))
    )
    candidates = known & (measured > above)
    size = BOX**2
    neighbours = np.rint(uniform_filter(candidates.astype(np.float64), BOX, mode="constant") * size)
    neighbours -= candidates
    # A gate that passes has as many neighbours at least; the two tests are independent in noise.
    share = norm.sf(1)
    least = binom.isf(FALSE_ALARM_RATE / share, size - 1, share) + 1
    return np.asarray(candidates & ((measured > surely) | (neighbours >= least)))
