"""Doppler velocity of a fast platform, positive away from it: downwards.

The mean is weighted with reflectivity, along the track and in range. A target ahead of the beam's
axis by x comes nearer with the orbital speed times x over altitude. Where reflectivity is not
uniform in the beam, that does not cancel. It also broadens the spectrum, so that pulse pairs
correlate little and velocity is noisy (Kollias et al. 2014, doi 10.1175/JTECH-D-11-00202.1).
"""

from __future__ import annotations

import math

import numpy as np

from blindzone.pipeline.emulator.along_track import find_antenna_sigma
from blindzone.pipeline.emulator.sensor import Sensor


def find_motion_width(sensor: Sensor) -> float:
    """Returns the width of the spectrum that the platform's motion alone gives [m s-1]."""
    return sensor.orbital_speed / sensor.altitude_m * find_antenna_sigma(sensor)


def find_motion_velocity(sensor: Sensor, ahead_m: np.ndarray) -> np.ndarray:
    """Returns the velocity [m s-1] of targets at rest ahead of the beam's axis [m]."""
    return -sensor.orbital_speed / sensor.altitude_m * ahead_m


def find_uncertainty(sensor: Sensor, signal_to_noise: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Returns the standard deviation of the pulse-pair velocity [m s-1], of any shape.

    lambda^2 / (32 pi^2 M T^2 rho^2) ((1 + N / S)^2 - rho^2) is its square for M pairs, T apart, of
    the correlation rho = exp(-8 (pi width T / lambda)^2) (Doviak and Zrnic 1993, section 6.4.1).

    Args:
        sensor: The sensor.
        signal_to_noise: Echo over noise of one pulse, linear, positive.
        width: Width of the spectrum [m s-1].
    """
    span = sensor.wavelength_m * sensor.pulse_repetition_hz
    correlation = np.exp(-8 * (math.pi * width / span) ** 2)
    variance = (1 + 1 / signal_to_noise) ** 2 - correlation**2
    scale = span**2 / (32 * math.pi**2 * sensor.pulses)
    return np.asarray(np.sqrt(scale * variance) / correlation)


def fold(velocity: np.ndarray, nyquist_velocity: float) -> np.ndarray:
    """Returns velocities [m s-1] of any shape folded into [-Nyquist, Nyquist)."""
    return np.asarray((velocity + nyquist_velocity) % (2 * nyquist_velocity) - nyquist_velocity)


def measure_velocity(
    sensor: Sensor,
    velocity: np.ndarray,
    width: np.ndarray,
    signal_to_noise: np.ndarray,
    random: np.random.Generator | None,
) -> np.ndarray:
    """Returns velocities [m s-1] as measured: with noise and folded.

    Args:
        sensor: The sensor.
        velocity: Mean velocity [m s-1], of any shape.
        width: Width of the spectrum of targets, without the platform's motion [m s-1].
        signal_to_noise: Echo over noise of one pulse, linear, positive.
        random: Draws the noise; none: no noise.
    """
    if random is not None:
        broadened = np.hypot(width, find_motion_width(sensor))
        uncertainty = find_uncertainty(sensor, signal_to_noise, broadened)
        velocity = velocity + uncertainty * random.standard_normal(velocity.shape)
    return fold(velocity, sensor.nyquist_velocity)
