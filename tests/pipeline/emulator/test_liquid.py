"""Attenuation by liquid."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.emulator.liquid import attenuate_by_cloud, attenuate_by_liquid


def test_cloud_water_attenuates_as_tabulated() -> None:
    # ITU-R P.840-6 at 94.05 GHz and 10 degree C: 4.24 (dB km-1) / (g m-3).
    assert attenuate_by_cloud(np.array([283.15]), 94.05)[0] == pytest.approx(4.2408, abs=1e-4)


def test_clear_and_cold_gates_do_not_attenuate() -> None:
    dbz = np.array([[np.nan, 10.0, 10.0]])
    found = attenuate_by_liquid(dbz, np.array([280.0, 273.0, 280.0]), 94.05)
    assert found[0, 0] == found[0, 1] == 0 < found[0, 2]


def test_rain_and_cloud_follow_their_relations() -> None:
    found = attenuate_by_liquid(np.array([[10.0, -35.0]]), np.array([283.15, 283.15]), 94.05)
    rain = (10 / 25) ** (1 / 1.3)
    assert found[0, 0] == pytest.approx(1.318 * rain**0.6857, rel=1e-6)
    water = np.sqrt(10**-3.5 / 0.048)  # less than that of a drizzling cloud
    assert found[0, 1] == pytest.approx(4.2408 * water, rel=1e-4)
