"""Scores as netCDF and as a table for people."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.verification.bootstrap import Estimate
from blindzone.pipeline.verification.curtain_scores import sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.score_dataset import (
    describe_estimate,
    write_dataset,
    write_markdown,
)
from blindzone.pipeline.verification.tables import Evaluation, SchemeResult


@pytest.fixture
def evaluation() -> Evaluation:
    """Errors of 1 and 2 dB of two schemes on four equal days of 100 profiles and two rows."""
    truth = np.zeros((100, 2))
    results = {
        name: SchemeResult(
            days={
                date(2000, 1, day): sum_curtain(
                    truth,
                    np.ones_like(truth),
                    np.full((len(EVALUATION_LEVELS), *truth.shape), error),
                    EVALUATION_LEVELS,
                    floor_dbz=-30.0,
                )
                for day in range(1, 5)
            },
            is_deterministic=True,
            configuration={},
        )
        for name, error in (("near", 1.0), ("far", 2.0))
    }
    return Evaluation(
        source="s", block="test", rows_m=(300.0, 400.0), results=results, configuration={}
    )


def test_plain_xarray_opens_scores_with_units_and_bounds(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    with xr.open_dataset(write_dataset(evaluation, tmp_path / "scores.nc")) as found:
        assert found["mae"].sel(scheme="far") == 2.0
        assert found["mae"].attrs["units"] == "dB"
        assert found["mae_bounds"].sel(scheme="near").values.tolist() == [1.0, 1.0]
        assert found["mae_by_height"].dims == ("scheme", "height")
        assert found["height"].values.tolist() == [300.0, 400.0]
        assert found["mae_by_season"].sel(season="DJF", scheme="near") == 1.0
        assert found.attrs["days"].split() == [f"2000-01-0{day}" for day in range(1, 5)]


def test_table_has_bounds_and_bold_leaders(evaluation: Evaluation, tmp_path: Path) -> None:
    text = write_markdown(evaluation, tmp_path / "scores.md").read_text()
    assert "| MAE [dB] | **1.000 (1.000 to 1.000)** | 2.000 (2.000 to 2.000) |" in text
    assert "| CSI | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |" in text
    assert "| coverage 90 % | - | - |" in text


def test_undefined_score_is_a_dash_and_one_without_bounds_is_alone() -> None:
    nan = float("nan")
    assert describe_estimate(Estimate(value=nan, low=nan, high=nan)) == "-"
    assert describe_estimate(None) == "-"
    assert describe_estimate(Estimate(value=0.5, low=nan, high=nan)) == "0.500"
