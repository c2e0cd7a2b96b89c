"""Scores: sums that merge, formulas by hand, and the pixels that count."""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.verification import Prediction, ScoreSums, score_product, sum_scores

FLOOR = -30.0
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus

# Seven pixels: two hits, a miss, two false alarms, two correct rejections.
TRUTH = np.array([-10, 0, -20, -30, -30, -30, -30], dtype=np.float32)
SAID = Prediction(
    reflectivity=np.array([-12, 3, -30, -25, -29, -30, -30], dtype=np.float32),
    probability=np.array([0.9, 0.8, 0.4, 0.6, 0.7, 0.1, 0.0]),
    lower=np.array([-15, 1, -30, -30, -30, -30, -30], dtype=np.float32),
    upper=np.array([-5, 6, -25, -20, -27, -30, -30], dtype=np.float32),
)


def test_sums_of_seven_pixels_by_hand() -> None:
    sums = sum_scores(TRUTH, SAID, FLOOR)
    assert (sums.pixels, sums.hits, sums.misses, sums.false_alarms) == (7, 2, 1, 2)
    assert sums.absolute_error == 2 + 3 + 10 + 5 + 1
    assert sums.absolute_error_hits == 2 + 3
    assert sums.squared_error_hits == 4 + 9
    # Squares of 1 - 0.9, 1 - 0.8, 1 - 0.4, 0.6, 0.7, 0.1 and 0.
    assert sums.squared_probability_error == pytest.approx(0.01 + 0.04 + 0.36 + 0.36 + 0.49 + 0.01)
    # -10 in [-15, -5], 0 not in [1, 6], -20 not in [-30, -25], the other four at the floor inside.
    assert (sums.inside, sums.inside_echo) == (5, 1)
    assert sums.width == 10 + 5 + 5 + 10 + 3


def test_scores_of_seven_pixels_by_hand() -> None:
    scores = sum_scores(TRUTH, SAID, FLOOR).scores()
    assert scores == pytest.approx(
        {
            "POD": 2 / 3,
            "FAR": 2 / 4,
            "CSI": 2 / 5,
            "Dice": 4 / 7,
            "frequency bias": 4 / 3,
            "MAE [dB]": 21 / 7,
            "MAE hits [dB]": 5 / 2,
            "RMSE hits [dB]": math.sqrt(13 / 2),
            "Brier": 1.27 / 7,
            "coverage": 5 / 7,
            "coverage echo": 1 / 3,
            "width [dB]": 33 / 7,
        }
    )


def test_echo_must_exceed_the_floor_and_probability_one_half() -> None:
    sums = sum_scores(
        np.array([-30.0, -29.9]),
        Prediction(reflectivity=np.zeros(2), probability=np.array([0.5, 0.5]), lower=np.zeros(2), upper=np.zeros(2)),
        FLOOR,
    )
    assert (sums.hits, sums.misses, sums.false_alarms) == (0, 1, 0)


def test_nothing_scored_gives_nan_and_no_error() -> None:
    assert all(math.isnan(value) for value in ScoreSums().scores().values())


def test_clear_sky_foreseen_has_no_detection_scores_and_no_error() -> None:
    clear = np.full(4, FLOOR)
    scores = sum_scores(
        clear, Prediction(reflectivity=clear, probability=np.zeros(4), lower=clear, upper=clear), FLOOR
    ).scores()
    for name in ("POD", "FAR", "CSI", "Dice", "frequency bias", "MAE hits [dB]", "RMSE hits [dB]", "coverage echo"):
        assert math.isnan(scores[name]), name
    assert {name: scores[name] for name in ("MAE [dB]", "Brier", "coverage", "width [dB]")} == {
        "MAE [dB]": 0,
        "Brier": 0,
        "coverage": 1,
        "width [dB]": 0,
    }


def take(said: Prediction, part: slice) -> Prediction:
    return Prediction(**{name: values[part] for name, values in vars(said).items()})


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 60), max_size=5))
def test_sums_of_parts_are_the_sums_of_the_whole(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    truth, estimate = (np.maximum(rng.normal(-28, 12, 60), FLOOR).astype(np.float32) for _ in range(2))
    said = Prediction(
        reflectivity=estimate,
        probability=rng.random(60),
        lower=np.maximum(estimate - 5, FLOOR),
        upper=estimate + 5,
    )
    bounds = [0, *sorted(cuts), 60]
    merged = ScoreSums()
    for begin, end in pairwise(bounds):  # a part may be empty
        part = slice(begin, end)
        merged += sum_scores(truth[part], take(said, part), FLOOR)
    whole = sum_scores(truth, said, FLOOR)
    for name, value in asdict(whole).items():
        assert getattr(merged, name) == (value if isinstance(value, int) else pytest.approx(value, rel=1e-9)), name


def make_product() -> tuple[xr.Dataset, xr.DataArray]:
    """Three profiles of four rows, two of them hidden; row 0 is untrusted and profile 2 was not filled."""
    nan, dims = np.nan, ("time", "height")
    fields: dict[str, Any] = {
        "reflectivity_observed": [[5, -10, -14, -14], [5, nan, nan, 3], [5, -10, nan, nan]],
        "reflectivity": [[1, -12, -14, -14], [nan, -20, nan, 3], [nan, nan, nan, nan]],
        "hydrometeor_probability": [[0.9, 0.8, nan, nan], [0.1, 0.6, nan, nan], [nan, nan, nan, nan]],
    }
    # Of the seven levels, 5 and 95 % are the interval: -15 to -9 dBZ where echo is likely, floor to -18 otherwise.
    levels = (0.05, 0.5, 0.95)
    quantiles = np.full((3, 3, 4), nan)
    quantiles[:, 0, :2] = [[-15], [-12], [-9]]
    quantiles[:, 1, :2] = [[-30], [-20], [-18]]
    product = xr.Dataset(
        {name: (dims, np.array(values, dtype=np.float32)) for name, values in fields.items()}
        | {"reflectivity_quantile": (("quantile", *dims), quantiles.astype(np.float32))},
        {"quantile": list(levels)},
    )
    status = np.array(
        [[UNTRUSTED, ECHO, ECHO, ECHO], [UNTRUSTED, NO_ECHO, NO_ECHO, ECHO], [UNTRUSTED, ECHO, NO_DATA, NO_DATA]],
        dtype=np.int8,
    )
    return product, xr.DataArray(status, dims=dims)


def test_product_is_scored_where_it_was_filled_and_truth_is_trusted() -> None:
    sums = score_product(*make_product(), floor_dbz=FLOOR)
    # Row 1 of profiles 0 (truth -10, said -12, p 0.8) and 1 (truth clear, said -20, p 0.6); nothing else.
    fill = sums["fill"]
    assert (fill.pixels, fill.hits, fill.misses, fill.false_alarms) == (2, 1, 0, 1)
    assert (fill.absolute_error, fill.absolute_error_hits) == (2 + 10, 2)
    # -10 in [-15, -9] and the floor in [-30, -18]; widths 6 and 12.
    assert (fill.inside, fill.inside_echo, fill.width) == (2, 1, 18)
    assert fill.squared_probability_error == pytest.approx(0.2**2 + 0.6**2, rel=1e-6)


def test_persistence_is_scored_on_the_same_pixels() -> None:
    # The lowest visible row is row 2: -14 dBZ in profile 0 and clear in profile 1.
    repeat = score_product(*make_product(), floor_dbz=FLOOR)["repeat"]
    assert (repeat.pixels, repeat.hits, repeat.misses, repeat.false_alarms) == (2, 1, 0, 0)
    assert (repeat.absolute_error, repeat.width) == (4, 0)
    assert (repeat.inside, repeat.inside_echo) == (1, 0)


def test_pixel_without_data_is_not_scored() -> None:
    product, status = make_product()
    lost = status.copy()
    lost[0, 1] = NO_DATA
    sums = score_product(product, lost, floor_dbz=FLOOR)
    assert (sums["fill"].pixels, sums["repeat"].pixels) == (1, 1)
    assert (sums["fill"].hits, sums["fill"].false_alarms) == (0, 1)


def test_truth_below_the_floor_is_no_echo() -> None:
    product, status = make_product()
    observed = product["reflectivity_observed"].copy()
    observed[0, 1] = -35.0
    sums = score_product(product.assign(reflectivity_observed=observed), status, floor_dbz=FLOOR)["fill"]
    # Profile 0 turns from a hit into a false alarm, its error from 2 to 18 dB.
    assert (sums.hits, sums.false_alarms, sums.absolute_error) == (0, 2, 18 + 10)
