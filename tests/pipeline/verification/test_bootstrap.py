"""Bounds of scores by resampling whole days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from blindzone.pipeline.verification.bootstrap import (
    Estimate,
    bound_scores,
    draw_scores,
    draw_sums,
    find_bounds,
)
from blindzone.pipeline.verification.statistics import Sums, ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorSums(Sums):
    """Errors of a day."""

    count: int
    error: np.ndarray

    def scores(self) -> dict[str, float]:
        return {"error": ratio(self.error, self.count)}


def make_days(errors: np.ndarray, count: int = 10) -> list[ErrorSums]:
    return [ErrorSums(count=count, error=np.asarray(count * error)) for error in errors]


def subtract(one: list[ErrorSums], other: list[ErrorSums]) -> dict[str, Estimate]:
    first, second = (draw_scores(days, ErrorSums.scores) for days in (one, other))
    return first.subtract(second).bound()


def test_bounds_of_a_mean_over_days_are_those_of_the_normal_law() -> None:
    # The mean of 200 days with a deviation of 1: 1.96 / sqrt(200) on either side.
    errors = np.random.default_rng(0).normal(5, 1, 200)
    found = bound_scores(make_days(errors), ErrorSums.scores)["error"]
    half = 1.96 * errors.std() / 200**0.5
    assert found.value == pytest.approx(errors.mean())
    assert found.low == pytest.approx(errors.mean() - half, abs=0.02)
    assert found.high == pytest.approx(errors.mean() + half, abs=0.02)


def test_days_that_are_alike_have_no_spread() -> None:
    found = bound_scores(make_days(np.full(4, 2.0)), ErrorSums.scores)["error"]
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))


def test_schemes_are_compared_on_the_same_days() -> None:
    # Errors vary by 10 from day to day, and one scheme is better by 1 on each.
    errors = np.random.default_rng(1).normal(50, 10, 6)
    first, second = make_days(errors - 1), make_days(errors)
    found = subtract(first, second)["error"]
    assert (found.value, found.low, found.high) == pytest.approx((-1, -1, -1))
    assert found.is_apart_from_zero
    assert not subtract(first, first)["error"].is_apart_from_zero


def test_score_that_no_draw_has_is_not_a_number() -> None:
    days = [ErrorSums(count=0, error=np.asarray(0.0))]
    found = bound_scores(days, ErrorSums.scores, draws=5)["error"]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert not found.is_apart_from_zero


def test_three_days_have_no_bounds() -> None:
    # A day is drawn three times over in 3.7 % of the draws: bounds of 95 % were single days'.
    errors = np.array([1.0, 2.0, 3.0, 4.0])
    few = bound_scores(make_days(errors[:3]), ErrorSums.scores)["error"]
    assert few.value == 2.0
    assert np.isnan([few.low, few.high]).all()
    enough = bound_scores(make_days(errors), ErrorSums.scores)["error"]
    assert 1 < enough.low < 2.5 < enough.high < 4


def test_score_that_many_draws_lack_has_no_bounds() -> None:
    # One day of six has cases: (5/6)^6 = 33 % of the draws are without it.
    days = [*make_days(np.zeros(5), count=0), *make_days(np.ones(1))]
    found = bound_scores(days, ErrorSums.scores)["error"]
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_sums_of_draws_are_whole_days() -> None:
    days = make_days(np.array([1.0, 10.0, 100.0]), count=1)
    sums = draw_sums([day.to_arrays() for day in days], draws=50)
    assert set(sums["count"].tolist()) == {3}
    # 3 days of 1, 10 or 100: digits of the sum add up to three.
    assert {sum(map(int, str(int(error)))) for error in sums["error"]} == {3}


def test_bounds_of_many_values_are_those_of_each() -> None:
    drawn = np.random.default_rng(2).normal(size=(40, 3))
    drawn[:2, 1], drawn[:3, 2] = np.nan, np.nan  # one in twenty lacks the second, more the third
    low, high = find_bounds(drawn)
    for at in range(3):
        np.testing.assert_array_equal((low[at], high[at]), find_bounds(drawn[:, at]))
    assert np.isfinite(low).tolist() == [True, True, False]
