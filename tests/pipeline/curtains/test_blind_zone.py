"""The blind zone: which rows it hides, and how the mask fades out above it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.blind_zone import (
    BlindZone,
    ZoneVariation,
)
from blindzone.pipeline.curtains.gridding import Grid


@pytest.mark.parametrize(
    ("top_m", "rows"),
    [
        (1250, 16),  # 16 rows of 78.125 m end at 1250 m
        (1250.1, 17),  # the row from 1250 m on begins below the top
        (1200, 16),  # the row from 1171.875 m on begins below the top
        (1, 1),
        (9921, 127),  # the highest row begins at 9921.875 m and is the one left
    ],
)
def test_rows_that_begin_below_the_top_are_hidden(top_m: float, rows: int) -> None:
    assert BlindZone(top_m=top_m).rows(Grid()) == rows


def test_zone_that_leaves_nothing_visible_is_rejected_with_both_heights() -> None:
    with pytest.raises(
        CurtainError, match=r"its top at 9999 m leaves nothing visible of a grid up to 10000 m"
    ):
        BlindZone(top_m=9999).rows(Grid())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_m": 0.0}, r"top_m: should be greater than 0 \(found 0.0\)"),
        ({"top_m": -5.0}, r"top_m: should be greater than 0 \(found -5.0\)"),
        ({"soft_rows": -1}, r"soft_rows: should be greater than or equal to 0 \(found -1\)"),
    ],
)
def test_impossible_zone_is_rejected(settings: dict[str, float], message: str) -> None:
    with pytest.raises(CurtainError, match=f"^blind zone: {message}$"):
        BlindZone(**settings)  # type: ignore[arg-type]


GRID = Grid()
EVERYTHING = ZoneVariation(
    random_depth_share=0.5, ragged_share=0.5, terrain_share=0.5, outage_share=0.5
)


def draw_tops(
    variation: ZoneVariation, seed: int, *, profiles: int = 128, least_rows: int = 4
) -> np.ndarray:
    random = np.random.default_rng(seed)
    return variation.draw(random, GRID, profiles, fixed_rows=16, least_rows=least_rows)


def test_zone_that_does_not_vary_draws_nothing() -> None:
    random = np.random.default_rng(0)
    tops = ZoneVariation().draw(random, GRID, 128, fixed_rows=16, least_rows=4)
    assert (tops == 16).all()
    assert random.random() == np.random.default_rng(0).random()


@given(st.integers(0, 2**32))
def test_tops_stay_between_the_least_and_the_deepest_and_some_profiles_are_seen(seed: int) -> None:
    tops = draw_tops(EVERYTHING, seed)
    missing = tops == GRID.rows
    # 2000 m / 78.125 m = 25.6: 26 rows begin below it.
    assert ((tops[~missing] >= 4) & (tops[~missing] <= 26)).all()
    assert not missing[[0, -1]].any()
    # At most three outages of 13 profiles.
    assert missing.sum() <= 39


def test_random_depths_are_the_same_in_a_window_and_reach_both_ends() -> None:
    tops = [
        draw_tops(ZoneVariation(random_depth_share=1), seed, least_rows=1) for seed in range(400)
    ]
    assert all((top == top[0]).all() for top in tops)
    # Rows begin below 200 m: 3; below 2000 m: 26. Each of 24 depths is missed by 400 draws once in
    # 1e7.
    assert {int(top[0]) for top in tops} == set(range(3, 27))


def test_ragged_tops_jump_and_hills_slope() -> None:
    ragged = np.concatenate([draw_tops(ZoneVariation(ragged_share=1), seed) for seed in range(50)])
    # 250 m are 3.2 rows: three up or down of 16.
    assert set(ragged.tolist()) == set(range(13, 20))
    hills = [draw_tops(ZoneVariation(terrain_share=1), seed) for seed in range(50)]
    # At most 6 slopes in 128 profiles, so 21 profiles each, over at most 800 m = 10.2 rows: half a
    # row a profile.
    assert all(np.abs(np.diff(top)).max() <= 1 for top in hills)
    assert max(np.ptp(top) for top in hills) >= 5
    assert min(top.min() for top in hills) >= 16


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_outages_come_as_often_as_asked(share: float) -> None:
    found = [
        (draw_tops(ZoneVariation(outage_share=share), seed) == GRID.rows).any()
        for seed in range(400)
    ]
    # Four standard deviations: 4 sqrt(0.3 * 0.7 / 400) = 0.092.
    assert np.mean(found) == pytest.approx(share, abs=0.092 if 0 < share < 1 else 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ragged_share": 1.1}, r"ragged_share: should be less than or equal to 1 \(found 1.1"),
        ({"outage_share": np.nan}, r"outage_share: .*\(found nan"),
        ({"shallowest_m": 0.0}, r"shallowest_m: should be greater than 0 \(found 0.0"),
        (
            {"shallowest_m": 500.0, "deepest_m": 400.0},
            ".* no more than deepest_m; found 500.0 and 400",
        ),
        ({"deepest_m": np.inf}, r"deepest_m: should be a finite number \(found inf"),
        ({"terrain_m": -1.0}, r"terrain_m: should be greater than or equal to 0 \(found -1.0"),
        ({"longest_outage_profiles": 0}, r"longest_outage_profiles: .* equal to 1 \(found 0"),
    ],
)
def test_impossible_variation_is_rejected(settings: dict[str, float], message: str) -> None:
    with pytest.raises(CurtainError, match=f"^blind zone variation: {message}"):
        ZoneVariation(**settings)  # type: ignore[arg-type]
