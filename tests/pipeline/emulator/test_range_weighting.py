"""Range weighting against integrals of the published response."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from blindzone.pipeline.emulator.range_weighting import (
    find_response_density,
    find_share_below,
    integrate_response,
    weigh_gates,
)
from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, Sensor

HEIGHTS = 12.5 + 25.0 * np.arange(720)


def respond(offset: float, length: float) -> float:
    return float(np.exp(-(np.pi**2) * offset**2 / (2 * np.log(2) * length**2)))


@pytest.mark.parametrize(("sensor", "reach"), [(CLOUDSAT, 3000.0), (EARTHCARE, 500.0)])
def test_thin_layer_keeps_its_share_of_the_response(sensor: Sensor, reach: float) -> None:
    weights = weigh_gates(HEIGHTS, sensor)
    length = sensor.pulse_length_m
    whole = quad(respond, -reach, reach, args=(length,), points=[0])[0]
    for gate in (10, 12, 13):
        centre = (gate + 0.5) * sensor.gate_spacing_m
        native = int(centre // 25) + 3
        lower = np.clip(native * 25 - centre, -reach, reach)
        upper = np.clip(native * 25 + 25 - centre, -reach, reach)
        share = quad(respond, lower, upper, args=(length,))[0] / whole
        assert weights[gate, native] == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE])
def test_uniform_layer_counts_once(sensor: Sensor) -> None:
    weights = weigh_gates(HEIGHTS, sensor)
    inside = slice(20, 40)
    np.testing.assert_allclose(weights[inside].sum(axis=1), 1, atol=1e-6)
    below = find_share_below(0.0, sensor)
    np.testing.assert_allclose(weights[:10].sum(axis=1) + below[:10], 1, atol=1e-6)


def test_gates_as_close_as_the_native_ones_lose_nothing() -> None:
    sensor = replace(EARTHCARE, gate_spacing_m=25.0, gates=400)
    # Each target's weights over all gates, times their spacing, are its own depth.
    np.testing.assert_allclose(weigh_gates(HEIGHTS, sensor)[:, 100:300].sum(axis=0), 1, atol=1e-9)


def test_own_response_is_interpolated_in_decibels_and_may_be_asymmetric() -> None:
    sensor = replace(EARTHCARE, range_response=((-300.0, -30.0), (0.0, 0.0), (100.0, -30.0)))
    # 30 dB over d metres: e-folding length d / (3 ln 10), area close to it.
    lengths = [distance / (3 * np.log(10)) for distance in (300, 100)]
    share = lengths[0] / sum(lengths)
    assert integrate_response(sensor, np.array([0.0]))[0] == pytest.approx(share, abs=1e-4)
    assert integrate_response(sensor, np.array([100.0, 500.0])) == pytest.approx([1, 1])
    assert (find_response_density(sensor, np.array([-301.0, 101.0])) == 0).all()
