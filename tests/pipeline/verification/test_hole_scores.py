"""Scores of holes: a draw that is fixed, and simple schemes that do what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.verification.hole_scores import (
    BLOCK_PROFILES,
    IRREGULAR_SHARE,
    MIXED,
    SCORED_HOLES,
    SIMPLE_SCHEMES,
    draw_scored_holes,
    sum_holes,
    sum_scheme,
)
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

FLOOR = -30.0
SHAPE = (2 * BLOCK_PROFILES + 10, 64)


def make_rain() -> np.ndarray:
    """Rain of 15 dBZ in one block up to 2 km, and clear sky."""
    reflectivity = np.full(SHAPE, FLOOR, dtype=np.float32)
    reflectivity[50:200, :26] = 15.0
    return reflectivity


def draw(name: str, seed: int = 0) -> np.ndarray:
    return draw_scored_holes(name, make_rain(), row_depth_m=78.125, seed=(seed, 1))


@pytest.mark.parametrize("name", [*SCORED_HOLES, MIXED])
def test_draw_is_fixed_by_its_seed(name: str) -> None:
    assert np.array_equal(draw(name), draw(name))
    if name != "blind zone":
        assert not np.array_equal(draw(name), draw(name, seed=1))
    # What is left at the end of the day is no block.
    assert not draw(name)[2 * BLOCK_PROFILES :].any()


def test_each_block_has_one_hole_of_the_kind() -> None:
    outages = draw("outage of 13").all(axis=1)
    blocks = outages[: 2 * BLOCK_PROFILES].reshape(2, BLOCK_PROFILES)
    assert blocks.sum(axis=1).tolist() == [13, 13]
    rows = draw("one row")[:BLOCK_PROFILES]
    assert rows.sum(axis=1).tolist() == [1] * BLOCK_PROFILES
    assert draw("irregular")[:BLOCK_PROFILES].mean() >= IRREGULAR_SHARE
    assert draw("blind zone")[0].sum() == 16


def test_shadows_are_where_it_rains() -> None:
    shadow = draw("shadow")
    assert shadow[:BLOCK_PROFILES].any()
    assert not shadow[BLOCK_PROFILES:].any()


def test_schemes_know_their_axis() -> None:
    truth = np.full((9, 4), FLOOR, dtype=np.float32)
    truth[6:] = 12.0
    truth[:3] = 6.0
    hidden = np.zeros(truth.shape, dtype=bool)
    hidden[3:6, :2] = True

    def fill(name: str) -> list[float]:
        found = SIMPLE_SCHEMES[name](np.where(hidden, np.nan, truth), hidden, FLOOR)
        return [round(float(value), 3) for value in found[3:6, 1]]

    # 6 dBZ in profile 2, 12 dBZ in profile 6, clear sky above.
    assert fill("linear in time") == [7.5, 9.0, 10.5]
    assert fill("nearest in time") == [6.0, 6.0, 12.0]
    assert fill("linear in height") == [FLOOR] * 3
    # A row counts as three profiles: both sides in time are nearer.
    assert fill("first guess") == [7.5, 9.0, 10.5]


def test_score_of_a_scheme_is_its_absolute_error() -> None:
    truth = make_rain()
    hidden = draw("outage of 40")
    sums = sum_scheme("nearest in time", truth, hidden, hidden, floor_dbz=FLOOR)
    filled = SIMPLE_SCHEMES["nearest in time"](truth, hidden, FLOOR)
    scores = sums.scores()
    expected = np.abs(filled - truth)[hidden].mean()
    assert scores["CRPS [dB]"] == pytest.approx(expected)
    assert scores["MAE [dB]"] == pytest.approx(expected)


def test_coverage_given_echo_counts_echo_alone() -> None:
    truth = np.array([[FLOOR, 0.0, 10.0, 20.0]])
    # Given echo, all levels are spread evenly from -5 to 15 dBZ; echo is hardly expected.
    levels = np.asarray(EVALUATION_LEVELS, dtype=np.float32)[:, None, None]
    given_echo = np.broadcast_to(-5 + 20 * levels, (len(levels), 1, 4))
    quantiles = np.full((len(levels), 1, 4), FLOOR, dtype=np.float32)
    sums = sum_holes(
        truth,
        np.ones(truth.shape, dtype=bool),
        np.full(truth.shape, 0.01, dtype=np.float32),
        quantiles,
        given_echo,
        floor_dbz=FLOOR,
    )
    scores = (sums + sums).scores()
    # -4 to 14 dBZ holds two echoes of three; the atom at the floor alone holds the clear pixel.
    assert scores["given echo: coverage 90 %"] == pytest.approx(2 / 3)
    assert scores["coverage 90 %"] == pytest.approx(1 / 4)
