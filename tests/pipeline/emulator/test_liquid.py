"""Attenuation by liquid."""

from __future__ import annotations

import numpy as np
import pytest
from ground_curtains import make_ground

from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.emulator.liquid import (
    attenuate_by_cloud,
    attenuate_by_liquid,
    find_liquid,
)


def test_cloud_water_attenuates_as_tabulated() -> None:
    # ITU-R P.840-6 at 94.05 GHz and 10 degree C: 4.24 (dB km-1) / (g m-3).
    assert attenuate_by_cloud(np.array([283.15]), 94.05)[0] == pytest.approx(4.2408, abs=1e-4)


def attenuate(dbz: list[float], temperature: float = 283.15) -> np.ndarray:
    found = np.array([dbz])
    liquid = np.ones(found.shape, dtype=bool)
    return attenuate_by_liquid(found, np.full(len(dbz), temperature), 94.05, liquid)[0]


def test_gates_without_liquid_do_not_attenuate() -> None:
    dbz, temperature = np.array([[np.nan, 10.0, 10.0]]), np.full(3, 280.0)
    liquid = np.array([[True, False, True]])
    found = attenuate_by_liquid(dbz, temperature, 94.05, liquid)[0]
    assert found[0] == found[1] == 0 < found[2]


def test_rain_and_cloud_follow_their_relations() -> None:
    rain_dbz, cloud_dbz = 10.0, -35.0
    rain, cloud = attenuate([rain_dbz, cloud_dbz])
    assert rain == pytest.approx(1.318 * ((10 / 25) ** (1 / 1.3)) ** 0.6857, rel=1e-6)
    water = np.sqrt(10**-3.5 / 0.048)  # less than that of a drizzling cloud
    assert cloud == pytest.approx(4.2408 * water, rel=1e-4)


def test_what_falls_like_rain_is_liquid_where_only_the_usual_temperature_is_known() -> None:
    velocity = np.array([[-1.0, -4.0, np.nan]])
    ground = make_ground(np.zeros((1, 3)), velocity)
    cold, warm = np.full(3, 270.0), np.full(3, 280.0)
    assert find_liquid(ground, cold).tolist() == [[False, True, False]]
    assert find_liquid(ground, warm).all()
    with_state = ground.assign(temperature=(DIMS, cold[np.newaxis]))
    assert not find_liquid(with_state, cold[np.newaxis]).any()
    assert not find_liquid(ground.drop_vars("doppler_velocity"), cold).any()
