"""The surface echo and the zone that follows from it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, Sensor
from blindzone.pipeline.emulator.settings import Surface
from blindzone.pipeline.emulator.surface_echo import find_blind_zone_top, find_surface_profile


def find_tops(sensor: Sensor, surface: Surface, transmission: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(0)
    return find_blind_zone_top(sensor, surface, np.full(500, transmission), random)


def test_echo_of_the_sea_is_about_40_dbz_at_the_surface() -> None:
    # As CloudSat measures it: a gate at the surface, sigma0 of 11 dB.
    sensor = replace(CLOUDSAT, gate_spacing_m=1.0, gates=1)
    dbz = 10 * math.log10(find_surface_profile(sensor, Surface())[0]) + 11
    assert dbz == pytest.approx(42, abs=2)


def test_zones_are_the_published_ones_over_the_sea() -> None:
    # 720 m for CloudSat (Skofronick-Jackson et al. 2019), 500 m for EarthCARE (Lamer et al. 2020).
    assert np.median(find_tops(CLOUDSAT, Surface(kind="sea"))) == 720
    assert np.median(find_tops(EARTHCARE, Surface(kind="sea"))) == 500


def test_slopes_deepen_the_zone_and_attenuation_makes_it_shallower() -> None:
    flat = find_tops(CLOUDSAT, Surface()).mean()
    assert find_tops(CLOUDSAT, Surface(slope=0.3)).mean() > flat + 200
    assert find_tops(CLOUDSAT, Surface(), 1e-3).mean() < flat
    assert (find_tops(CLOUDSAT, Surface(), 0.0) == 0).all()


def test_a_slope_keeps_the_energy_of_the_surface() -> None:
    sensor = replace(EARTHCARE, gate_spacing_m=10.0, gates=300, pulse_reach_m=None)
    flat, sloping = (find_surface_profile(sensor, Surface(slope=slope)) for slope in (0.0, 0.3))
    assert sloping.sum() == pytest.approx(flat.sum(), rel=0.02)
