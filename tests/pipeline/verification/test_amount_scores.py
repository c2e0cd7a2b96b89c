"""Scores of sums of precipitation."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.verification.amount_scores import score_amounts


def test_members_like_the_truth_have_coverage_90_and_no_bias() -> None:
    random = np.random.default_rng(0)
    every = random.gamma(2, 1, (401, 3000))
    scores = score_amounts(every[1:], every[0], np.full(3000, 2.0)).scores()
    assert np.isclose(scores["coverage 90 %, wet"], 0.9, atol=0.02)
    assert abs(scores["bias"]) < 0.05
    assert np.isclose(scores["truth below, wet"], 0.05, atol=0.015)


def test_crps_is_fair() -> None:
    # Truth 1; members 0 and 2: mean distance 1, minus half of the distance of the pair, 2 / 2.
    sums = score_amounts(np.asarray([[0.0], [2.0]]), np.asarray([1.0]), np.asarray([4.0]))
    assert np.isclose(sums.crps_mm, 0)
    assert np.isclose(sums.other_error_mm, 3)
    assert np.isclose(sums.scores()["CRPS skill"], 1)


def test_dry_windows_count_for_coverage_and_not_as_wet() -> None:
    members = np.zeros((5, 4))
    members[:, 0] = [1, 2, 3, 4, 5]
    truth = np.asarray([9.0, 0, 0, 0])
    sums = score_amounts(members, truth, np.zeros(4))
    assert (sums.windows, sums.inside, sums.wet, sums.wet_inside, sums.wet_below) == (4, 3, 1, 0, 0)


def test_missing_windows_are_left_out_and_sums_merge() -> None:
    random = np.random.default_rng(1)
    members, truth = random.random((6, 10)), random.random(10)
    truth[3], members[2, 7] = np.nan, np.nan
    whole = score_amounts(members, truth, np.zeros(10))
    halves = score_amounts(members[:, :5], truth[:5], np.zeros(5)) + score_amounts(
        members[:, 5:], truth[5:], np.zeros(5)
    )
    assert whole.windows == 8
    for name, value in whole.to_arrays().items():
        assert np.allclose(halves.to_arrays()[name], value)
