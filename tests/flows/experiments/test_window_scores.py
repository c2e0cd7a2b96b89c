"""Scores on windows: a perfect network scores best, and untrusted rows do not count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.example import Example
from blindzone.flows.experiments.window_scores import SCORE, WindowScorer
from blindzone.models.network_config import NetworkConfig
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

WIDTH, ROWS, HIDDEN = 16, 16, 4
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS, row_depth_m=100.0),
    blind_zone=BlindZone(top_m=100.0 * HIDDEN),
    floor_dbz=-30.0,
    lowest_trusted_m=0.0,
    window_profiles=WIDTH,
)
ECHO_DBZ = -10.0


def make_example(*, trusted_rows: slice) -> Example:
    """A window with echo of -10 dBZ in the first half of its profiles, in all rows."""
    scaling = PREPROCESSING.scaling
    dbz = np.full((ROWS, WIDTH), np.nan, np.float32)
    dbz[:, : WIDTH // 2] = ECHO_DBZ
    units = scaling.scale(dbz)
    counts = np.zeros((HIDDEN, WIDTH), np.float32)
    counts[trusted_rows] = 1
    value = np.stack([units[:HIDDEN], counts], axis=-1)
    channels = len(PREPROCESSING.channel_names)
    return Example(np.repeat(units[..., None], channels, axis=-1), {"value": value})


def make_scorer(*, trusted_rows: slice = slice(None)) -> WindowScorer:
    examples = [make_example(trusted_rows=trusted_rows)] * 2
    return WindowScorer(examples, NetworkConfig(), PREPROCESSING, passes=2)


def fill(dbz: np.ndarray) -> xr.Dataset:
    """A certain forecast `(time, row)`; NaN: no echo."""
    quantiles = np.where(np.isfinite(dbz), dbz, PREPROCESSING.floor_dbz)
    return xr.Dataset(
        {
            "hydrometeor_probability": (
                ("time", "row"),
                np.isfinite(dbz).astype(np.float32),
            ),
            "reflectivity_quantile": (
                ("quantile", "time", "row"),
                np.repeat(quantiles[None], len(EVALUATION_LEVELS), axis=0),
            ),
        },
        {"quantile": list(EVALUATION_LEVELS)},
    )


def test_truth_of_the_windows_is_one_after_the_other_in_time() -> None:
    scorer = make_scorer(trusted_rows=slice(1, None))
    assert scorer.truth.shape == scorer.counts.shape == (2 * WIDTH, HIDDEN)
    np.testing.assert_allclose(scorer.truth[0], ECHO_DBZ, atol=1e-4)
    assert np.isnan(scorer.truth[WIDTH - 1]).all()
    np.testing.assert_allclose(scorer.truth[WIDTH], ECHO_DBZ, atol=1e-4)
    assert scorer.counts[0].tolist() == [False, True, True, True]


def test_perfect_forecast_has_no_error_and_a_biased_one_that_of_its_bias() -> None:
    scorer = make_scorer()
    assert scorer.scores(fill(scorer.truth))[SCORE] == pytest.approx(0, abs=1e-3)
    # 3 dB too strong in the half of the pixels that has echo.
    biased = scorer.scores(fill(scorer.truth + 3))
    assert biased["MAE [dB]"] == pytest.approx(1.5, abs=1e-3)


def test_rows_without_trusted_truth_do_not_count() -> None:
    scorer = make_scorer(trusted_rows=slice(1, None))
    wrong_below = scorer.truth.copy()
    wrong_below[:, 0] += 20
    assert scorer.scores(fill(wrong_below))["MAE [dB]"] == pytest.approx(0, abs=1e-3)


def test_scenes_are_windows_with_trusted_echo() -> None:
    scorer = make_scorer()
    filled = fill(scorer.truth)
    assert len(scorer.scenes(filled, count=1)) == 1
    first, second = scorer.scenes(filled)
    assert first.measured.shape == (WIDTH, ROWS)
    np.testing.assert_array_equal(first.filled, second.filled)
    untrusted: Any = make_scorer(trusted_rows=slice(0, 0))
    assert untrusted.scenes(filled) == []
