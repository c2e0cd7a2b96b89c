"""Fields of members: their correlation in time and height, gaps, and going on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.member_dependence import (
    PALAISEAU,
    MemberDependence,
    begin_field,
    continue_field,
    find_field_levels,
)
from blindzone.pipeline.verification.curtain_scores import Regime

ONE_SCALE = MemberDependence(
    touching=(1.0, 0.0), aloft=(0.5, 0.5), clear=(0.0, 1.0), height_m=500.0, times_s=(60.0, 1e-3)
)
HEIGHTS = np.array([0.0, 100.0, 600.0])
TIMES = np.array([0.0, 10.0, 130.0])


def matern(distance: float) -> float:
    return float((1 + np.sqrt(3) * distance) * np.exp(-np.sqrt(3) * distance))


def draw(seconds: np.ndarray, regime: Regime, members: int = 4000) -> np.ndarray:
    regimes = np.full(seconds.size, regime)
    levels = np.stack(
        [
            find_field_levels(
                continue_field(begin_field(0, member), seconds, HEIGHTS, ONE_SCALE)[0],
                regimes,
                ONE_SCALE,
            )
            for member in range(members)
        ]
    )
    return np.asarray(ndtri(levels))


@pytest.mark.parametrize(
    ("regime", "share"), [(Regime.TOUCHING, 1.0), (Regime.ALOFT, 0.5), (Regime.CLEAR, 0.0)]
)
def test_field_is_normal_and_correlates_as_stated_at_any_spacing(
    regime: Regime, share: float
) -> None:
    fields = draw(TIMES, regime)
    # A correlation of 4000 pairs is known to 1.6 %.
    assert fields.mean() == pytest.approx(0, abs=0.05)
    assert fields.std() == pytest.approx(1, abs=0.03)
    for first, second in ((0, 1), (1, 2), (0, 2)):
        in_time = np.corrcoef(fields[:, first, 0], fields[:, second, 0])[0, 1]
        in_height = np.corrcoef(fields[:, 0, first], fields[:, 0, second])[0, 1]
        assert in_time == pytest.approx(
            share * matern((TIMES[second] - TIMES[first]) / 60), abs=0.06
        )
        # In height all scales are alike.
        assert in_height == pytest.approx(
            matern((HEIGHTS[second] - HEIGHTS[first]) / 500), abs=0.06
        )


def test_field_drawn_in_parts_is_the_field_drawn_at_once() -> None:
    seconds = np.array([0.0, 9.0, 18.0, 500.0, 509.0])
    whole, _ = continue_field(begin_field(3, 1), seconds, HEIGHTS, PALAISEAU)
    state, parts = begin_field(3, 1), []
    for part in (seconds[:2], seconds[2:4], seconds[4:]):
        values, state = continue_field(state, part, HEIGHTS, PALAISEAU)
        parts.append(values)
    assert np.array_equal(np.concatenate(parts), whole)


def test_state_is_not_used_up() -> None:
    _, state = continue_field(begin_field(3, 1), np.array([0.0]), HEIGHTS, PALAISEAU)
    first, second = (continue_field(state, np.array([9.0]), HEIGHTS, PALAISEAU) for _ in range(2))
    assert np.array_equal(first[0], second[0])


def test_members_seeds_and_rays_differ() -> None:
    fields = [
        continue_field(begin_field(*which), TIMES, HEIGHTS, PALAISEAU)[0]
        for which in ((0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 1))
    ]
    assert len({field.tobytes() for field in fields}) == 4


def test_shares_that_do_not_add_up_to_one_are_rejected() -> None:
    with pytest.raises(CurtainError, match="shares that add up to 1"):
        MemberDependence(
            touching=(0.7, 0.7), aloft=(0, 1), clear=(0, 1), height_m=1, times_s=(1, 2)
        )
