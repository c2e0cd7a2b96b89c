"""Usual air, and a curtain's own."""

from __future__ import annotations

import numpy as np
import pytest
from ground_curtains import make_ground

from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.emulator.atmosphere import find_atmosphere, find_climatology


def test_extremes_of_the_season_are_the_reference_atmospheres() -> None:
    heights = np.array([0.0, 5000.0])
    summer = find_climatology(heights, 45.0, np.datetime64("2021-07-15"))
    # 294.9838 - 5.2159 * 5 - 0.07109 * 25.
    np.testing.assert_allclose(summer.temperature, [294.9838, 267.12705], atol=1e-2)
    winter = find_climatology(heights, 45.0, np.datetime64("2021-01-14"))
    np.testing.assert_allclose(winter.vapour[0], 3.4742, rtol=1e-3)
    south = find_climatology(heights, -45.0, np.datetime64("2021-01-14"))
    np.testing.assert_allclose(south.temperature, summer.temperature, atol=1e-2)


def test_pressure_at_5_km_is_that_of_published_tables() -> None:
    # 551.6 hPa in the middle latitudes' summer (ITU-R P.835-6).
    air = find_climatology(np.array([5000.0]), 45.0, np.datetime64("2021-07-15"))
    assert air.pressure[0] == pytest.approx(551.6, rel=2e-3)


def test_own_state_replaces_the_usual_air_where_it_is_known() -> None:
    ground = make_ground(np.full((3, 4), np.nan))
    temperature = np.full((3, 4), 300.0, dtype=np.float32)
    temperature[0, 0] = np.nan
    own = find_atmosphere(ground.assign(temperature=(DIMS, temperature)))
    usual = find_atmosphere(ground)
    assert own.temperature[0, 0] == usual.temperature[0]
    assert (own.temperature.ravel()[1:] == 300).all()
    humid = find_atmosphere(
        ground.assign(
            temperature=(DIMS, temperature),
            specific_humidity=(DIMS, np.full((3, 4), 0.01, dtype=np.float32)),
        )
    )
    # 0.01 of air of about 1.17 kg m-3.
    assert humid.vapour[1, 0] == pytest.approx(11.7, rel=0.02)
