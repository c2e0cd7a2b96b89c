"""Scores of single pixels, by hand and against closed forms."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from blindzone.pipeline.verification.pixel_scores import (
    CRPS_LEVELS,
    EVALUATION_LEVELS,
    HISTOGRAM_BINS,
    INTERVALS,
    PixelSums,
    probability_integral_transform,
    sum_pixels,
)

FLOOR = -30.0

# Seven pixels: two hits, a miss, two false alarms, two correct rejections.
TRUTH = np.array([-10, 0, -20, -30, -30, -30, -30], dtype=np.float32)
PROBABILITY = np.array([0.9, 0.8, 0.4, 0.6, 0.7, 0.1, 0.0])
MEDIAN = np.array([-12, 3, -30, -25, -29, -30, -30], dtype=np.float32)
LOWER = np.array([-15, 1, -30, -30, -30, -30, -30], dtype=np.float32)
UPPER = np.array([-5, 6, -25, -20, -27, -30, -30], dtype=np.float32)


def score(
    truth: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...] = EVALUATION_LEVELS,
) -> PixelSums:
    """Sums of pixels that all lie in one row and regime."""
    cell = np.zeros(truth.size, dtype=np.intp)
    return sum_pixels(
        truth.astype(np.float32),
        probability,
        quantiles.astype(np.float32),
        levels,
        row=cell,
        regime=cell,
        shape=(1, 1),
        floor_dbz=FLOOR,
        random=np.random.default_rng(0),
    )


def score_exactly(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Scores of a deterministic scheme."""
    return score(
        truth,
        (prediction > FLOOR).astype(float),
        np.broadcast_to(prediction, (len(EVALUATION_LEVELS), prediction.size)),
    ).scores()


def test_scores_of_seven_pixels_by_hand() -> None:
    scores = score(TRUTH, PROBABILITY, np.stack([LOWER, MEDIAN, UPPER]), (0.05, 0.5, 0.95)).scores()
    # Squares of 1 - 0.9, 1 - 0.8, 1 - 0.4, 0.6, 0.7, 0.1 and 0 add up to 1.27. -10 lies in [-15,
    # -5], 0 not in [1, 6], -20 not in [-30, -25], the other four at the floor inside. Widths: 10,
    # 5, 5, 10, 3, 0, 0.
    expected = {
        "POD": 2 / 3,
        "FAR": 2 / 4,
        "CSI": 2 / 5,
        "Dice": 4 / 7,
        "frequency bias": 4 / 3,
        "Brier": 1.27 / 7,
        "MAE [dB]": (2 + 3 + 10 + 5 + 1) / 7,
        "MAE hits [dB]": (2 + 3) / 2,
        "RMSE hits [dB]": math.sqrt((4 + 9) / 2),
        "coverage 90 %": 5 / 7,
        "coverage 90 % echo": 1 / 3,
        "width 90 % [dB]": 33 / 7,
        "width 90 % echo [dB]": 20 / 3,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert all(
        math.isnan(scores[name]) for name in ("CRPS [dB]", "coverage 50 %", "width 95 % echo [dB]")
    )


def test_echo_must_exceed_the_floor_and_probability_one_half() -> None:
    sums = score(np.array([-30.0, -29.9]), np.array([0.5, 0.5]), np.zeros((1, 2)), (0.5,))
    assert [int(found.item()) for found in (sums.hits, sums.misses, sums.false_alarms)] == [0, 1, 0]


def test_clear_sky_foreseen_has_no_detection_scores_and_no_error() -> None:
    clear = np.full(4, FLOOR)
    scores = score_exactly(clear, clear)
    for name in (
        "POD",
        "FAR",
        "CSI",
        "Dice",
        "frequency bias",
        "MAE hits [dB]",
        "RMSE hits [dB]",
        "coverage 90 % echo",
    ):
        assert math.isnan(scores[name]), name
    for name in ("MAE [dB]", "CRPS [dB]", "Brier", "reliability", "EMD [dB]", "width 90 % [dB]"):
        assert scores[name] == 0, name


def test_crps_of_a_deterministic_scheme_is_its_absolute_error() -> None:
    rng = np.random.default_rng(1)
    scores = score_exactly(rng.uniform(-30, 20, 200), rng.uniform(-30, 20, 200))
    assert scores["CRPS [dB]"] == pytest.approx(scores["MAE [dB]"])


def test_crps_of_a_normal_distribution_is_its_closed_form() -> None:
    # Of N(m, s) at y = m + s: s (1 (2 Phi(1) - 1) + 2 phi(1) - 1 / sqrt(pi)) = 0.6024 s (Gneiting
    # et al. 2005), the integral over all levels. Nineteen levels 0.05 apart hold nearly all of it,
    # and their mean is their sum / 19, not times 0.05: 5 % more.
    s, normal = 4.0, NormalDist()
    quantiles = np.array([s * normal.inv_cdf(level) for level in EVALUATION_LEVELS])[:, None]
    expected = s * (2 * normal.cdf(1) - 1 + 2 * normal.pdf(1) - 1 / math.sqrt(math.pi))
    assert score(np.array([s]), np.ones(1), quantiles).scores()["CRPS [dB]"] == pytest.approx(
        expected / 0.95, rel=0.01
    )


def test_crps_of_two_levels_by_hand() -> None:
    # Quantiles 0 dBZ up to the median, 10 dBZ above it; truth 4 dBZ. 2 x loss: 2 t 4 below, 2 (1 -
    # t) 6 above. Levels 0.05 ... 0.5 add up to 2.75, 1 - t over 0.55 ... 0.95 to 2.25: (8 x 2.75 +
    # 12 x 2.25) / 19.
    quantiles = np.array([0.0 if level <= 0.5 else 10.0 for level in EVALUATION_LEVELS])[:, None]
    crps = score(np.array([4.0]), np.ones(1), quantiles).scores()["CRPS [dB]"]
    assert crps == pytest.approx((8 * 2.75 + 12 * 2.25) / 19)


def test_reliability_is_the_squared_distance_of_bins_from_the_diagonal() -> None:
    # Eight pixels at 0.75, two of them echo; two at 0.12, one echo: (8 x 0.5^2 + 2 x 0.38^2) / 10.
    probability = np.array([0.75] * 8 + [0.12] * 2)
    truth = np.array([0, 0, *[FLOOR] * 6, 0, FLOOR])
    sums = score(truth, probability, np.full((1, 10), FLOOR), (0.5,))
    assert sums.scores()["reliability"] == pytest.approx((8 * 0.25 + 2 * 0.38**2) / 10)
    prediction, seen, count = sums.reliability_curve()
    assert (prediction[7], seen[7], count[7]) == (0.75, 0.25, 8)
    assert (prediction[1], seen[1], count[1]) == (0.12, 0.5, 2)
    assert np.isnan(prediction[[0, 2, 9]]).all()


def test_certainty_falls_into_the_last_bin() -> None:
    sums = score(np.array([0.0]), np.ones(1), np.zeros((1, 1)), (0.5,))
    assert sums.forecasts.ravel().tolist() == [0] * 9 + [1]


@pytest.mark.parametrize(
    ("truth", "prediction", "distance"),
    [
        ([-10.0, 0.0], [0.0, -10.0], 0.0),  # where a value stands does not matter
        ([-10.0, -20.0], [-6.0, -22.0], (4 + 2) / 2),
        ([FLOOR, FLOOR], [FLOOR, -20.0], 10 / 2),  # from the atom, to the middle of a bin of 0.5 dB
    ],
)
def test_earth_movers_distance_by_hand(
    truth: list[float], prediction: list[float], distance: float
) -> None:
    found = score_exactly(np.array(truth), np.array(prediction))["EMD [dB]"]
    assert found == pytest.approx(distance, abs=0.13)


def test_weakest_and_strongest_echo_have_a_bin() -> None:
    just_above = np.nextafter(np.float32(FLOOR), np.float32(0))
    sums = score(np.array([FLOOR, just_above, 99.0]), np.ones(3), np.zeros((1, 3)), (0.5,))
    assert np.flatnonzero(sums.histogram_truth).tolist() == [0, 1, HISTOGRAM_BINS - 1]


def draw_two_part(random: np.random.Generator, pixels: int) -> dict[str, Any]:
    """Pixels with different probabilities; echo is -30 dBZ plus an exponential of 10 dB."""
    p = np.where(random.random(pixels) < 0.3, 0.02, random.random(pixels))
    levels = np.array(EVALUATION_LEVELS)[:, None]
    inner = np.clip((levels - (1 - p)) / p, 0, None)
    quantiles = FLOOR - 10 * np.log1p(-inner)
    truth = np.where(random.random(pixels) < p, FLOOR + random.exponential(10, pixels), FLOOR)
    return {"truth": truth, "probability": p, "quantiles": quantiles}


def test_distribution_that_truth_is_drawn_from_scores_as_calibrated() -> None:
    pixels = 60_000
    drawn = draw_two_part(np.random.default_rng(2), pixels)
    sums = score(**drawn)
    scores = sums.scores()
    # Counts of 3000 a bin scatter by 55; a straight line between two quantiles of an exponential
    # adds a little.
    np.testing.assert_allclose(sums.pit.ravel() / pixels, 1 / 20, atol=0.004)
    for nominal, (low, high) in INTERVALS.items():
        # An interval whose lower bound is the atom holds the atom too: at least its level, exactly
        # where p is 1.
        assert scores[f"coverage {nominal} %"] > high - low - 0.01
    assert scores["reliability"] < 1e-3
    assert scores["spread-skill ratio"] == pytest.approx(1, abs=0.05)


def test_interval_of_sure_echo_holds_its_share() -> None:
    random, pixels = np.random.default_rng(3), 40_000
    levels = np.array(EVALUATION_LEVELS)[:, None]
    quantiles = np.broadcast_to(-10 * np.log1p(-levels), (levels.size, pixels))
    scores = score(random.exponential(10, pixels), np.ones(pixels), quantiles).scores()
    for nominal in INTERVALS:
        assert scores[f"coverage {nominal} % echo"] == pytest.approx(nominal / 100, abs=0.01)


def transform(
    truth: list[float], probability: float, quantiles: list[float], levels: tuple[float, ...]
) -> np.ndarray:
    count = len(truth)
    return probability_integral_transform(
        np.array(truth, dtype=np.float32),
        np.full(count, probability),
        np.repeat(np.array(quantiles, dtype=np.float32)[:, None], count, axis=1),
        levels,
        floor_dbz=FLOOR,
        random=np.random.default_rng(4),
    )


def test_transform_runs_straight_between_atom_and_quantiles() -> None:
    # p = 0.8: the atom reaches up to 0.2; -20 dBZ is level 0.4, 0 dBZ is 0.8. Half-way between: 0.3
    # and 0.6.
    found = transform([-25, -20, -10, 0], 0.8, [FLOOR, -20, 0], (0.1, 0.4, 0.8))
    np.testing.assert_allclose(found, [0.3, 0.4, 0.6, 0.8], rtol=1e-6)


def test_an_echo_that_only_the_last_quantile_holds_has_no_endless_tail() -> None:
    # Probability 0.026: the 97.5 % quantile is the 4 % quantile of echo that lies evenly between
    # -25 and -5 dBZ, the mean being 0.026 x 15 dB above the floor and the variance 0.026 (15^2 +
    # 20^2 / 12) - 0.39^2 = 6.6 dB2. What the quantiles tell allows no more than its order of
    # magnitude.
    quantiles = np.full((len(EVALUATION_LEVELS), 1), -30.0, dtype=np.float32)
    quantiles[-1] = -25.0 + 20 * (1 - 0.025 / 0.026)
    sums = score(np.array([-30.0]), np.array([0.026]), quantiles)
    assert 0.5 < float(sums.variance.sum()) < 2 * 6.6
    # The truth being no echo, the squared error of the mean is the mean squared.
    assert 0 < float(sums.squared_error_of_mean.sum()) ** 0.5 < 2 * 0.39


@pytest.mark.parametrize(
    ("truth", "probability", "quantiles", "low", "high"),
    [
        (FLOOR, 0.8, [FLOOR, -20, 0], 0.0, 0.2),  # over the atom
        (5.0, 0.8, [FLOOR, -20, 0], 0.8, 1.0),  # beyond what is known
        (0.0, 1.0, [0, 0, 0], 0.1, 0.8),  # over coinciding quantiles
        (5.0, 0.1, [FLOOR, FLOOR, FLOOR], 0.9, 1.0),  # echo beyond an atom that holds every level
    ],
    ids=["atom", "beyond", "tied", "all atom"],
)
def test_transform_is_spread_over_what_is_not_decided(
    truth: float, probability: float, quantiles: list[float], low: float, high: float
) -> None:
    found = transform([truth] * 2000, probability, quantiles, (0.1, 0.4, 0.8))
    assert low <= found.min() < low + 0.01
    assert high - 0.01 < found.max() <= high


def test_levels_hold_those_of_every_score() -> None:
    needed = {*CRPS_LEVELS, *(bound for bounds in INTERVALS.values() for bound in bounds)}
    assert needed == set(EVALUATION_LEVELS)
    assert sorted(EVALUATION_LEVELS) == list(EVALUATION_LEVELS)
