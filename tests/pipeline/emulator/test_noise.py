"""Noise, everywhere and linear, and the echo that is found in it."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.emulator.noise import FALSE_ALARM_RATE, find_echo, measure_reflectivity
from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, Sensor


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE])
def test_noise_is_unbiased_and_as_wide_as_the_sensitivity(sensor: Sensor) -> None:
    clear = measure_reflectivity(np.zeros((500, 500)), sensor, np.random.default_rng(0))
    sensitivity = 10 ** (0.1 * sensor.sensitivity_dbz)
    assert clear.std() == pytest.approx(sensitivity, rel=0.01)
    assert abs(clear.mean()) < 0.01 * sensitivity


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE])
def test_clear_sky_has_false_alarms_at_the_stated_rate(sensor: Sensor) -> None:
    clear = measure_reflectivity(np.zeros((1500, 400)), sensor, np.random.default_rng(2))
    share = find_echo(clear, np.ones(clear.shape, dtype=bool), sensor).mean()
    assert 0.5 * FALSE_ALARM_RATE < share <= 2.5 * FALSE_ALARM_RATE


def test_weak_echo_counts_among_its_like_and_strong_echo_alone() -> None:
    random = np.random.default_rng(3)
    sensitivity = 10 ** (0.1 * EARTHCARE.sensitivity_dbz)
    linear = np.zeros((200, 128))
    linear[:, 40:60] = 3 * sensitivity
    linear[100, 100] = 30 * sensitivity
    known = np.ones(linear.shape, dtype=bool)
    known[:, :10] = False
    echo = find_echo(measure_reflectivity(linear, EARTHCARE, random), known, EARTHCARE)
    assert echo[:, 42:58].mean() > 0.95
    assert echo[100, 100]
    assert not echo[:, :10].any()
