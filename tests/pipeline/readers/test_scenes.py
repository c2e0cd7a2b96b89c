"""Scenes of the simulated radar: random fields, fall streaks, melting and units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.readers._scenes import RADAR, SCENES, Block, to_dbz, to_linear

HEIGHTS = RADAR.range_m[:200]


def make_block(seed: int = 0, *, profiles: int = 600, freezing_m: float = 2000.0) -> Block:
    """A block of profiles 12 s apart up to 5 km."""
    return Block(
        rng=np.random.default_rng(seed),
        step_s=12.0,
        profiles=profiles,
        height_m=HEIGHTS,
        freezing_m=freezing_m,
    )


def test_noise_has_zero_mean_and_unit_variance() -> None:
    fields = np.stack([make_block(seed).noise(5, 500) for seed in range(20)])
    # Correlated over 25 profiles and 20 gates: 20 * 600 * 200 / 500 = 4800 independent values.
    assert fields.mean() == pytest.approx(0, abs=0.06)
    assert fields.std() == pytest.approx(1, abs=0.05)


def test_delay_shifts_the_texture_in_time() -> None:
    late = make_block().noise(5, 500, np.full(HEIGHTS.size, 120.0))
    early = make_block().noise(5, 500)
    # 120 s are ten profiles.
    np.testing.assert_allclose(late[10:], early[:-10], atol=1e-4)


def test_fall_delay_is_the_sum_over_the_gates_that_a_particle_falls_through() -> None:
    delay = make_block().fall_delay(4000.0, shear=0.5)
    expected = [
        sum(
            0.5 * (4000 - z) / 4000 * RADAR.gate_m / (4 if z < 2000 else 1)
            for z in HEIGHTS
            if low <= z < 4000
        )
        for low in HEIGHTS
    ]
    np.testing.assert_allclose(delay, expected, rtol=1e-4, atol=1e-6)
    assert (np.diff(delay) <= 0).all()


def test_melting_is_a_step_under_a_faint_dark_band() -> None:
    gain = make_block().melting()
    by_height = dict(zip(HEIGHTS.tolist(), gain.tolist(), strict=True))
    # At 12.5 m above the freezing level: -exp(-1/64); at 500 m below it: 4.5 dB.
    assert by_height[2012.5] == pytest.approx(-np.exp(-(0.125**2)))
    assert by_height[1487.5] == pytest.approx(4.5, abs=1e-6)
    assert by_height[2512.5] == pytest.approx(0, abs=1e-6)


def test_ends_of_a_scene_fade_and_its_middle_does_not() -> None:
    loss = make_block().fade(0.1, np.zeros((600, 1)))
    assert loss[0] > 50
    assert loss[300] == 0


@given(st.floats(-100, 80))
def test_units_come_back(dbz: float) -> None:
    assert to_dbz(to_linear(dbz)) == pytest.approx(dbz, abs=1e-3)


def test_clear_air_is_far_below_any_floor() -> None:
    assert to_dbz(np.zeros(1)).item() == pytest.approx(-120)


@pytest.mark.parametrize("name", SCENES)
def test_scene_gives_a_value_for_every_pixel(name: str) -> None:
    dbz = SCENES[name].dbz(make_block(3))
    assert np.broadcast_shapes(dbz.shape, (600, 200)) == (600, 200)
    assert not np.isnan(dbz).any()


def test_weights_of_the_scenes_are_shares_of_the_days() -> None:
    assert all(0 < scene.weight < 1 for scene in SCENES.values())
