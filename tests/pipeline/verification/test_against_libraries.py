"""Scores agree with those of scoringrules and xskillscore on the same cases."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
import xarray as xr
import xskillscore

from blindzone.pipeline.verification import field_scores
from blindzone.pipeline.verification.pixel_scores import CRPS_LEVELS, EVALUATION_LEVELS, sum_pixels

FLOOR = -30.0


@pytest.fixture(scope="module")
def cases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, probability of echo and quantiles of 500 pixels."""
    rng = np.random.default_rng(0)
    truth = np.maximum(rng.normal(-25, 12, 500), FLOOR).astype(np.float32)
    levels = np.array(EVALUATION_LEVELS)[:, None] - 0.5
    quantiles = np.maximum(truth + rng.normal(0, 6, 500) + 12 * levels, FLOOR).astype(np.float32)
    return truth, rng.random(500), quantiles


@pytest.fixture(scope="module")
def scores(cases: tuple[np.ndarray, np.ndarray, np.ndarray]) -> dict[str, float]:
    cell = np.zeros(500, dtype=np.intp)
    return sum_pixels(
        *cases,
        EVALUATION_LEVELS,
        row=cell,
        regime=cell,
        shape=(1, 1),
        floor_dbz=FLOOR,
        random=np.random.default_rng(0),
    ).scores()


def test_crps_and_brier_score_are_those_of_scoringrules(
    cases: tuple[np.ndarray, np.ndarray, np.ndarray], scores: dict[str, float]
) -> None:
    truth, probability, quantiles = (of.astype(float) for of in cases)
    taken = quantiles[[EVALUATION_LEVELS.index(level) for level in CRPS_LEVELS]]
    crps = scoringrules.crps_quantile(truth, taken.T, np.array(CRPS_LEVELS)).mean()
    assert scores["CRPS [dB]"] == pytest.approx(crps, rel=1e-6)
    brier = scoringrules.brier_score((truth > FLOOR).astype(float), probability).mean()
    assert scores["Brier"] == pytest.approx(brier, rel=1e-6)


def test_occurrence_and_errors_are_those_of_xskillscore(
    cases: tuple[np.ndarray, np.ndarray, np.ndarray], scores: dict[str, float]
) -> None:
    truth, probability, quantiles = cases
    edges = np.array([-0.5, 0.5, 1.5])
    table = xskillscore.Contingency(
        xr.DataArray((truth > FLOOR).astype(float), dims="pixel"),
        xr.DataArray((probability > 0.5).astype(float), dims="pixel"),
        edges,
        edges,
        dim="pixel",
    )
    assert scores["POD"] == pytest.approx(float(table.hit_rate()))
    assert scores["FAR"] == pytest.approx(float(table.false_alarm_ratio()))
    assert scores["CSI"] == pytest.approx(float(table.threat_score()))
    assert scores["frequency bias"] == pytest.approx(float(table.bias_score()))
    median = quantiles[EVALUATION_LEVELS.index(0.5)].astype(float)
    of = (xr.DataArray(median, dims="pixel"), xr.DataArray(truth.astype(float), dims="pixel"))
    assert scores["MAE [dB]"] == pytest.approx(float(xskillscore.mae(*of)), rel=1e-6)


def test_energy_and_variogram_scores_are_those_of_scoringrules() -> None:
    rng = np.random.default_rng(1)
    truth, members = rng.normal(0, 5, (4, 3)), rng.normal(0, 5, (6, 4, 3))
    flat = members.reshape(6, -1)
    energy = scoringrules.es_ensemble(truth.ravel(), flat, estimator="fair")
    assert field_scores._score_energy(truth, members) == pytest.approx(float(energy), rel=1e-6)
    # scoringrules sums over pairs, of which there are 12 squared.
    variogram = scoringrules.vs_ensemble(truth.ravel(), flat, p=0.5) / 12**2
    assert field_scores._score_variogram(truth, members) == pytest.approx(
        float(variogram), rel=1e-4
    )
