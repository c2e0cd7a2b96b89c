"""Attenuation by gases."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.emulator.atmosphere import Atmosphere
from blindzone.pipeline.emulator.gas import attenuate_by_gas


def make_air(pressure: float, temperature: float, vapour: float) -> Atmosphere:
    return Atmosphere(
        temperature=np.array([temperature]),
        pressure=np.array([pressure]),
        vapour=np.array([vapour]),
    )


@pytest.mark.parametrize(
    ("frequency", "air", "line_by_line"),
    # ITU-R P.676-12, annex 1, summed line by line.
    [
        (94.05, (1013.0, 288.15, 7.5), 0.0344 + 0.3740),
        (94.05, (700.0, 270.0, 2.0), 0.0207 + 0.0768),
        (35.5, (1013.0, 288.15, 7.5), 0.1125),
    ],
)
def test_approximation_is_near_the_sum_over_lines(
    frequency: float, air: tuple[float, float, float], line_by_line: float
) -> None:
    assert attenuate_by_gas(make_air(*air), frequency)[0] == pytest.approx(line_by_line, rel=0.1)


def test_dry_thin_air_hardly_attenuates() -> None:
    assert attenuate_by_gas(make_air(100.0, 220.0, 0.0), 94.05)[0] < 1e-3
