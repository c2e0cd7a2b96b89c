"""Rain or snow by temperature."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.phase import (
    PrecipitationPhase,
    draw_thresholds,
    find_phase,
    is_snow,
)


def test_phase_is_sure_outside_of_the_range_of_the_stations() -> None:
    # In degrees Celsius: -0.5, 0, 2.3, 2.5, and none.
    found = find_phase(np.asarray([272.65, 273.15, 275.45, 275.65, np.nan]))
    phase = PrecipitationPhase
    assert found.tolist() == [
        phase.SNOW,
        phase.RAIN_OR_SNOW,
        phase.RAIN_OR_SNOW,
        phase.RAIN,
        phase.UNKNOWN,
    ]


def test_thresholds_of_members_have_the_published_mean_and_range() -> None:
    thresholds = draw_thresholds(np.arange(1, 1001)) - 273.15
    assert np.isclose(thresholds.mean(), 1.0, atol=0.01)
    inside = (thresholds > -0.4) & (thresholds < 2.4)
    assert np.isclose(inside.mean(), 0.95, atol=0.005)


def test_at_one_degree_half_of_the_members_have_snow_and_each_keeps_its_threshold() -> None:
    members = np.arange(1, 101)
    snow = is_snow(np.asarray([272.0, 274.15, 274.65, 276.0, np.nan]), members)
    assert snow[:, 0].all()
    assert np.isclose(snow[:, 1].mean(), 0.5, atol=0.02)
    assert (snow[:, 2] <= snow[:, 1]).all()  # what rains when colder rains when warmer
    assert not snow[:, 3:].any()


def test_celsius_is_refused() -> None:
    with pytest.raises(ProductError, match="kelvin"):
        find_phase(np.asarray([1.0, 2.0]))
