"""Scores of kinds of columns: by hand, and against sums over thresholds written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.verification.class_scores import (
    BINS,
    score_ranked,
    sum_classes,
    sum_reliability,
)


def test_ranked_score_is_less_for_a_near_miss() -> None:
    sure = np.eye(3)
    was = np.zeros(3, dtype=int)
    # Of three classes: none, one or both of two thresholds are wrong.
    assert score_ranked(sure, was).tolist() == [0, 0.5, 1]


@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), st.integers(0, 4))
def test_ranked_score_is_the_mean_brier_score_of_its_thresholds(
    weights: list[float], kind: int
) -> None:
    probability = np.asarray(weights) / np.sum(weights)
    briers = [(probability[: k + 1].sum() - (kind <= k)) ** 2 for k in range(4)]
    found = score_ranked(probability[None], np.asarray([kind]))
    assert found.item() == pytest.approx(np.mean(briers))


def test_probabilities_that_happen_as_often_as_they_say_are_reliable() -> None:
    probability = np.repeat([0.25, 0.75], 4)
    outcome = np.asarray([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    sums = sum_reliability(probability, outcome)
    assert sums.reliability == pytest.approx(0)
    assert sums.brier == pytest.approx(0.25 * 0.75)


def test_reliability_is_the_squared_distance_of_each_bin() -> None:
    sums = sum_reliability(np.asarray([0.05, 0.95, 1.0]), np.asarray([True, True, True]))
    # One column in the lowest bin, off by 0.95; two in the highest, off by 0.025 in the mean.
    assert sums.count[[0, BINS - 1]].tolist() == [1, 2]
    assert sums.reliability == pytest.approx((0.95**2 + 2 * 0.025**2) / 3)


def test_days_add_up_and_bases_count_where_all_have_one() -> None:
    nan = np.nan
    day = sum_classes(
        np.eye(2)[[0, 1, 1]],
        np.full((3, 2), 0.5),
        np.asarray([0, 1, 0]),
        ground=(np.asarray([0.0, 1.0, 0.5]), np.asarray([0, 1, 1]) > 0, np.asarray([0, 0, 1]) > 0),
        bases=(
            np.asarray([100.0, 300.0, nan]),
            np.asarray([100.0, 100.0, 100.0]),
            np.asarray([200.0, 200.0, 100.0]),
        ),
        row_m=100.0,
        rows=8,
    )
    # Each class by itself: the mean of their probabilities, and how often they were.
    assert day.classes.stated.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert day.classes.happened.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert (day + day).classes.reliability == pytest.approx(day.classes.reliability)
    scores = (day + day).scores()
    assert scores["columns"] == 6
    assert scores["RPS"] == pytest.approx(1 / 3)
    assert scores["RPS, climatology given the visible part"] == 0.25
    assert scores["Brier, to the ground"] == pytest.approx(0.25 / 3)
    assert scores["Brier, persistence"] == pytest.approx(1 / 3)
    assert scores["base error, mean [m]"] == 100
    assert scores["base error of persistence, mean [m]"] == 100
