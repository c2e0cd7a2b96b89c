"""Scores against a disdrometer."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.verification.at_ground import (
    GroundForecast,
    GroundTruth,
    WindowForecast,
    average_minutes,
    sum_ground,
    sum_measured,
)
from blindzone.pipeline.verification.curtain_scores import Regime

START = np.datetime64("2021-03-14T00:00", "ns")
HOUR = np.timedelta64(1, "h")


def at_seconds(seconds: list[float] | np.ndarray) -> np.ndarray:
    return START + (np.asarray(seconds) * 1e9).astype("timedelta64[ns]")


def test_minute_has_the_profiles_that_arrive_in_it() -> None:
    # From 100 m drops fall for 20 s: profiles of 0, 30 and 45 s arrive at 20, 50 and 65 s.
    values = np.asarray([1.0, 3.0, 10.0])
    found = average_minutes(values, at_seconds([0, 30, 45]), at_seconds([60, 120, 180]), 100)
    np.testing.assert_allclose(found, [2, 10, np.nan])
    both = average_minutes(
        np.stack([values, 2 * values]), at_seconds([0, 30, 45]), at_seconds([60]), 100
    )
    np.testing.assert_allclose(both[:, 0], [2, 4])


def test_profile_that_is_missing_does_not_count_as_zero() -> None:
    values = np.asarray([np.nan, 3.0, np.nan])
    found = average_minutes(values, at_seconds([0, 30, 70]), at_seconds([60, 120]))
    np.testing.assert_allclose(found, [3, np.nan])


def test_profile_at_the_end_of_a_minute_belongs_to_it() -> None:
    found = average_minutes(np.asarray([1.0, 5.0]), at_seconds([60, 61]), at_seconds([60, 120]))
    np.testing.assert_allclose(found, [1, 5])


def test_window_with_too_few_minutes_has_no_sum() -> None:
    stamps = at_seconds(60.0 * np.arange(1, 121))
    rate = np.full(120, 6.0)  # 6 mm in an hour
    rate[:2] = np.nan  # the mean of the other 58 goes on
    rate[60:70] = np.nan
    starts = np.asarray([START, START + HOUR])
    np.testing.assert_allclose(sum_measured(stamps, rate, starts, starts + HOUR), [6, np.nan])


def make_windows(*sums: float, low: float = np.nan, high: float = np.nan) -> WindowForecast:
    expected = np.asarray(sums)
    bounds = (np.full(expected.shape, value) for value in (low, high))
    return WindowForecast(expected_mm=expected, low_mm=next(bounds), high_mm=next(bounds))


def make_forecast(probability: list[float], rate: list[float]) -> GroundForecast:
    return GroundForecast(
        echo=np.asarray(probability),
        rain=np.asarray(probability),
        rate_mm_h=np.asarray(rate),
        hours=make_windows(1.0, 0.0, 2.0, low=0.5, high=1.5),
        days=make_windows(3.0),
    )


TRUTH = GroundTruth(
    rate_mm_h=np.asarray([1.0, 0.05, 0.0, 0.0, np.nan]),
    regime=np.asarray([Regime.TOUCHING, Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR, Regime.CLEAR]),
    hours_mm=np.asarray([1.4, 0.0, 0.2]),
    days_mm=np.asarray([np.nan]),
)


def test_scores_are_those_of_their_definitions() -> None:
    scores = sum_ground(make_forecast([0.9, 0.6, 0.6, 0, 1], [2, 0.1, 0, 0, 9]), TRUTH).scores()
    assert scores["minutes"] == 4
    # Both drizzle and rain are counted; stated are the first three.
    assert scores["echo: POD"] == 1
    assert scores["echo: FAR"] == pytest.approx(1 / 3)
    assert scores["echo: CSI"] == pytest.approx(2 / 3)
    assert scores["echo: Brier"] == pytest.approx((0.01 + 0.16 + 0.36) / 4)
    # Drizzle of 0.05 mm h-1 is no rain.
    assert scores["rain: CSI"] == pytest.approx(1 / 3)
    assert scores["rain: happened"] == 0.25
    assert scores["rate: bias"] == pytest.approx(2.1 / 1.05 - 1)
    assert scores["rate: MAE [mm h-1]"] == pytest.approx(1.05 / 4)
    # The first hour is inside, the third below its interval; the second is dry.
    assert (scores["hour: windows"], scores["hour: wet"]) == (3, 2)
    assert scores["hour: coverage 90 %, wet"] == 0.5
    assert scores["hour: truth below, wet"] == 0.5
    assert scores["hour: bias"] == pytest.approx(3 / 1.6 - 1)
    assert scores["day: windows"] == 0


def test_scores_of_a_regime_are_those_of_its_minutes() -> None:
    sums = sum_ground(make_forecast([0.9, 0.6, 0.6, 0, 1], [2, 0.1, 0, 0, 9]), TRUTH)
    touching = sums.scores(Regime.TOUCHING)
    assert touching["minutes"] == 2
    assert touching["echo: FAR"] == 0
    assert touching["echo: Brier"] == pytest.approx((0.01 + 0.16) / 2)
    assert "hour: bias" not in touching
    assert np.isnan(sums.scores(Regime.CLEAR)["echo: POD"])


def test_scheme_without_an_interval_has_no_coverage() -> None:
    forecast = make_forecast([0, 0, 0, 0, 0], [0, 0, 0, 0, 0])
    scores = sum_ground(
        GroundForecast(**{**vars(forecast), "hours": make_windows(1.0, 0.0, 2.0)}), TRUTH
    ).scores()
    assert np.isnan(scores["hour: coverage 90 %, wet"])


def test_sums_of_days_merge() -> None:
    one = sum_ground(make_forecast([0.9, 0.6, 0.6, 0, 1], [2, 0.1, 0, 0, 9]), TRUTH)
    twice = (one + one).scores()
    assert twice["minutes"] == 8
    for name in ("echo: Brier", "rain: CSI", "rate: bias", "hour: bias"):
        assert twice[name] == pytest.approx(one.scores()[name])
