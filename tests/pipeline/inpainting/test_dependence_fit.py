"""The fit finds the dependence that levels were drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.dependence_fit import (
    DependenceSums,
    count_touching_days,
    fit_dependence,
    sum_pairs,
)
from blindzone.pipeline.inpainting.member_dependence import (
    MemberDependence,
    begin_field,
    continue_field,
    correlate,
    find_field_levels,
)
from blindzone.pipeline.verification.curtain_scores import Regime

ROWS, DEPTH_M, STEP_S = 6, 78.125, 9.0
TRUE = MemberDependence(
    touching=(0.6, 0.4, 0.0, 0.0, 0.0),
    aloft=(0.2, 0.8, 0.0, 0.0, 0.0),
    clear=(0.2, 0.8, 0.0, 0.0, 0.0),
    height_m=600.0,
)


def make_day(number: int, regime: Regime, probability: float) -> DependenceSums:
    """Levels of 3 hours, drawn evenly within an atom of 1 - p."""
    seconds = np.arange(1200) * STEP_S
    regimes = np.full(seconds.size, regime)
    scales, _ = continue_field(begin_field(0, number), seconds, np.arange(ROWS) * DEPTH_M, TRUE)
    levels = find_field_levels(scales, regimes, TRUE)
    drawn = np.random.default_rng(number).random(levels.shape) * (1 - probability)
    levels = np.where(levels > 1 - probability, levels, drawn)
    return sum_pairs(
        levels,
        np.full(levels.shape, probability),
        np.ones(levels.shape, dtype=bool),
        seconds=seconds,
        regimes=regimes,
    )


def test_correlation_is_found_though_draws_at_the_floor_hide_most_of_it() -> None:
    fitted = fit_dependence(
        [make_day(day, Regime.TOUCHING, 0.5) for day in range(6)]
        + [make_day(day, Regime.ALOFT, 0.7) for day in range(6, 16)],
        DEPTH_M,
    )
    for lag in (STEP_S, 60.0, 600.0):
        for name in ("touching", "aloft"):
            found, true = (
                np.dot(getattr(one, name), correlate(lag / np.array(one.times_s)))
                for one in (fitted, TRUE)
            )
            assert found == pytest.approx(true, abs=0.12)
    # No day is clear: its shares are those of the nearest regime there is.
    assert fitted.clear == fitted.aloft
    assert fitted.height_m in (500.0, 600.0, 800.0)


def test_without_pairs_there_is_nothing_to_fit() -> None:
    with pytest.raises(CurtainError, match="no two pixels with trusted truth"):
        fit_dependence([], DEPTH_M)


def test_days_with_echo_at_the_zone_s_top_are_counted() -> None:
    regimes = (Regime.TOUCHING, Regime.CLEAR, Regime.TOUCHING, Regime.ALOFT)
    days = [make_day(number, regime, 0.5) for number, regime in enumerate(regimes)]
    assert count_touching_days(days) == 2
