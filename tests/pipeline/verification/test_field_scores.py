"""Scores of members as fields, against brute force and by construction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from blindzone.pipeline.verification.field_scores import BLOCK_PROFILES, FieldSums, sum_fields

ROWS, PROFILES, STEP_S = 3, 2000, 9.0


def score(
    truth: np.ndarray,
    members: np.ndarray,
    levels: np.ndarray | None = None,
    scored: np.ndarray | None = None,
) -> FieldSums:
    flat = np.full(truth.shape, 0.5)
    return sum_fields(
        truth,
        members,
        np.median(members, axis=0),
        truth_levels=flat if levels is None else levels,
        member_levels=flat[None] if levels is None else levels[None],
        scored=np.ones(truth.shape, dtype=bool) if scored is None else scored,
        seconds=np.arange(len(truth)) * STEP_S,
        stretches=(slice(None),),
    )


def draw(seed: int, count: int = 1) -> np.ndarray:
    """Fields that correlate by 0.99 from profile to profile, the same in all rows."""
    noise = np.random.default_rng(seed).normal(size=(count, PROFILES, 1))
    smooth = lfilter([np.sqrt(1 - 0.99**2)], [1, -0.99], noise, axis=1)
    return np.repeat(5 * smooth, ROWS, axis=2)


def test_truth_like_the_members_has_as_much_error_as_they_spread() -> None:
    sums = [score(draw(day)[0], draw(100 + day, 8)) for day in range(25)]
    whole = sums[0]
    for one in sums[1:]:
        whole = whole + one
    scores = whole.scores()
    for of in ("layer mean 5 min", "row mean 60 min", "column maximum"):
        assert scores[f"{of} spread/error"] == pytest.approx(1, abs=0.1)
    assert scores["EMD [dB]"] < 0.5


def test_members_with_too_little_spread_are_found_out() -> None:
    truth = np.repeat(np.where(np.arange(PROFILES) % 2, 2.0, -2.0)[:, None], ROWS, axis=1)
    members = np.random.default_rng(0).normal(size=(8, PROFILES, ROWS))
    # The maximum of three normal values has mean 0.846 and variance 0.559. The truth differs from
    # that mean by 2 - 0.846 or -2 - 0.846: its square is 4 + 0.846^2 on average.
    error, spread = 4 + 0.846**2 + 0.559 / 8, 0.559 * (1 + 1 / 8)
    found = score(truth, members).scores()["column maximum spread/error"]
    assert found == pytest.approx(np.sqrt(spread / error), rel=0.05)


def test_energy_and_variogram_score_are_those_of_the_formulas() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=(BLOCK_PROFILES, 2))
    members = random.normal(size=(4, BLOCK_PROFILES, 2))
    scores = score(truth, members).scores()
    y, x = truth.ravel(), members.reshape(4, -1)
    distance = np.mean([np.linalg.norm(one - y) for one in x])
    between = sum(np.linalg.norm(one - other) for one in x for other in x)
    assert scores["energy score [dB]"] == pytest.approx(distance - between / (2 * 4 * 3))
    squares = [
        (abs(y[i] - y[j]) ** 0.5 - np.mean(np.abs(x[:, i] - x[:, j]) ** 0.5)) ** 2
        for i in range(y.size)
        for j in range(y.size)
    ]
    assert scores["variogram score [dB]"] == pytest.approx(np.mean(squares), rel=1e-4)


def test_rank_correlation_is_that_of_the_scored_pixels() -> None:
    truth = draw(5)[0]
    levels = np.random.default_rng(0).random(truth.shape)
    levels[:, 2] = levels[:, 0]
    scored = np.ones(truth.shape, dtype=bool)
    scored[:, 1] = False
    scores = score(truth, np.stack([truth, truth]), levels, scored).scores()
    assert scores["rank correlation 2 rows truth"] == pytest.approx(1)
    assert np.isnan(scores["rank correlation 1 rows member"])
    expected = np.corrcoef(levels[:-1, 0], levels[1:, 0])[0, 1]
    assert scores["rank correlation 9 s truth"] == pytest.approx(expected)


def test_windows_never_span_a_gap() -> None:
    truth, members = draw(1)[0], draw(2, 2)
    both = sum_fields(
        truth,
        members,
        members[0],
        truth_levels=truth,
        member_levels=members,
        scored=np.ones(truth.shape, dtype=bool),
        seconds=np.arange(PROFILES) * STEP_S,
        stretches=(slice(0, 399), slice(399, 820)),
    )
    # An hour is 400 profiles: none fits into the first stretch, one into the second.
    assert both.layer_means[2, 2] == 1
    assert both.row_means[2, 2] == ROWS
    assert both.blocks == 399 // 16 + 421 // 16
