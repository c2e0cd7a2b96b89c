"""From above instead of from below."""

from __future__ import annotations

import numpy as np
from ground_curtains import make_ground

from blindzone.pipeline.emulator.attenuation import find_attenuation


def test_both_ways_add_up_to_the_whole_column() -> None:
    dbz = np.full((2, 40), np.nan)
    dbz[1, :10] = 15.0
    ground = make_ground(dbz)
    lost = find_attenuation(ground, dbz, frequency_ghz=94.05, ground_frequency_ghz=94.05)
    np.testing.assert_allclose(
        lost.from_above + lost.from_below, np.tile(lost.total[:, np.newaxis], 40)
    )
    assert lost.total[1] > lost.total[0] > 0
    # Above the rain only gas is left on the way from space, the rain itself on that from below.
    np.testing.assert_allclose(lost.from_above[0, 10:], lost.from_above[1, 10:])
    np.testing.assert_allclose(
        (lost.from_below[1] - lost.from_below[0])[10:], lost.total[1] - lost.total[0]
    )


def test_a_ka_band_radar_on_the_ground_loses_less() -> None:
    dbz = np.full((1, 40), 15.0)
    ground = make_ground(dbz)
    lost = find_attenuation(ground, dbz, frequency_ghz=94.05, ground_frequency_ghz=35.5)
    assert lost.from_below[0, -1] < 0.5 * lost.total[0]
