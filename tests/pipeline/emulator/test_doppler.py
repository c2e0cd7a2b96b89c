"""Doppler velocity of a fast platform."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blindzone.pipeline.emulator.doppler import (
    find_motion_velocity,
    find_motion_width,
    find_uncertainty,
    fold,
    measure_velocity,
)
from blindzone.pipeline.emulator.sensor import EARTHCARE


def test_motion_widens_the_spectrum_by_3_8_metres_a_second() -> None:
    # Beamwidth times speed over 4 sqrt(ln 2), and 7.68 km/s.
    expected = np.radians(0.095) * 7677 / (4 * np.sqrt(np.log(2)))
    assert find_motion_width(EARTHCARE) == pytest.approx(expected, rel=1e-4)


def test_targets_ahead_come_nearer() -> None:
    # 7.677 km/s times 100 m over 393 km.
    assert find_motion_velocity(EARTHCARE, np.array([100.0]))[0] == pytest.approx(-1.953, abs=1e-3)


def test_uncertainty_of_strong_and_of_weak_echo_is_as_published() -> None:
    # Kollias et al. (2022), figure 7: 0.5 m/s at high signal, 1.1 m/s at -22 dBZ, 7150 pulses/s.
    sensor = replace(EARTHCARE, pulse_repetition_hz=7150.0)
    width = np.array([find_motion_width(sensor)])
    strong = find_uncertainty(sensor, np.array([1e4]), width)[0]
    assert strong == pytest.approx(0.5, abs=0.1)
    weak = find_uncertainty(sensor, np.array([10 ** (0.1 * (-22 + 21.5))]), width)[0]
    assert weak == pytest.approx(1.1, abs=0.15)


def test_velocities_fold_at_the_nyquist_velocity() -> None:
    nyquist = EARTHCARE.nyquist_velocity
    np.testing.assert_allclose(
        fold(np.array([0.0, nyquist + 1, -nyquist - 1, 3 * nyquist + 1]), nyquist),
        [0, -nyquist + 1, nyquist - 1, -nyquist + 1],
        atol=1e-12,
    )


def test_noise_of_many_velocities_has_the_stated_width() -> None:
    shape = (200, 200)
    ones = np.ones(shape)
    found = measure_velocity(EARTHCARE, ones, 0.5 * ones, 1e3 * ones, np.random.default_rng(1))
    width = np.hypot(find_motion_width(EARTHCARE), 0.5)
    expected = find_uncertainty(EARTHCARE, np.array([1e3]), np.array([width]))[0]
    assert found.std() == pytest.approx(expected, rel=0.03)
    assert found.mean() == pytest.approx(1, abs=0.02)
