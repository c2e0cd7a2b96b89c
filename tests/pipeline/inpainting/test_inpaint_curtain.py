"""Filling a curtain: the network's inputs, and which of its predictions are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.window_prediction import WindowPrediction
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.inpainting import inpaint_curtain
from blindzone.pipeline.inpainting.inpaint_curtain import (
    check_fits,
    fill_curtain,
    predict_curtain,
)
from blindzone.pipeline.network_input import inference_windows
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing

SOURCE = "short_days"
ROWS, HIDDEN, WIDTH = 16, 4, 32
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS),
    blind_zone=BlindZone(top_m=312.5, soft_rows=2),
    floor_dbz=-30.0,
    window_profiles=WIDTH,
)


class Parrot:
    """A network that keeps its inputs and predicts 0.1 times the row's number as intensity.

    Its forward passes are 0.01 apart.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.inputs: dict[int, np.ndarray] = {}

    def predict(
        self, windows: Iterator[tuple[int, np.ndarray]], *, passes: int, seed: int
    ) -> Iterator[Any]:
        for number, window in windows:
            self.inputs[number] = window.copy()
            row = np.arange(self.rows, dtype=np.float32)[:, None]
            probability = np.broadcast_to(0.1 * row, (self.rows, WIDTH))
            spread = 0.01 * np.arange(passes, dtype=np.float32)
            intensity = np.broadcast_to(0.1 * row[..., None] + spread, (self.rows, WIDTH, passes))
            yield WindowPrediction(
                probability=probability, intensity=intensity, used=passes + number % 2
            )


def fill(curtain: xr.Dataset, preprocessing: Preprocessing) -> tuple[xr.Dataset, Parrot]:
    parrot = Parrot(preprocessing.output_rows)
    return fill_curtain(curtain, parrot, preprocessing, passes=2, seed=0), parrot  # type: ignore[arg-type]


def test_network_that_answers_for_more_rows_fills_just_what_is_hidden(curtain: xr.Dataset) -> None:
    filled, parrot = fill(curtain, replace(PREPROCESSING, deepest_m=700.0))
    assert parrot.rows == 9  # rows that begin below 700 m
    assert filled["hydrometeor_probability"].shape == (300, HIDDEN)
    np.testing.assert_allclose(
        filled["hydrometeor_probability"], np.tile([0.0, 0.1, 0.2, 0.3], (300, 1)), atol=1e-6
    )
    assert np.array_equal(filled["height"], curtain["height"][:HIDDEN])


def test_input_has_nothing_of_hidden_gates_and_time_contexts_reach_across_windows_and_gaps(
    make_curtain: Callable[..., xr.Dataset],
) -> None:
    preprocessing = replace(
        PREPROCESSING, channels=(*CHANNELS, "doppler_velocity", "echo_share_45min")
    )
    whole = make_curtain()
    curtain = whole.isel(time=np.r_[0:100, 130:300])  # four and a half minutes are missing
    other = curtain.copy(deep=True)
    for name in ("reflectivity", "doppler_velocity"):
        other[name][:, :HIDDEN] = other[name][:, :HIDDEN] / 2
    first, again = (fill(day, preprocessing)[1].inputs for day in (curtain, other))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[number], again[number]) for number in first)
    # 300 profiles last 45 minutes: the mean of the first profile of the second stretch counts those
    # before the gap.
    time_s = (curtain["time"] - curtain["time"][100]).values / np.timedelta64(1, "s")
    near = np.abs(time_s) <= 22.5 * 60
    assert near[:100].any()
    expected = np.isfinite(curtain["reflectivity"].values[near, 6]).mean()
    # The second stretch is numbered from its first profile; half of its first window lies before
    # it.
    assert first[100][6, WIDTH // 2, -1] == pytest.approx(expected, abs=1e-6)


def test_infinite_reflectivity_is_rejected_with_the_day_and_the_count(curtain: xr.Dataset) -> None:
    dbz = curtain["reflectivity"].values.copy()
    dbz[5, 5:8] = np.inf
    check_fits(curtain, PREPROCESSING, where="station 2021-03-14")
    with pytest.raises(
        CurtainError, match=r"^station 2021-03-14: 3 values of 'reflectivity' are infinite"
    ):
        check_fits(
            curtain.assign(reflectivity=(DIMS, dbz)), PREPROCESSING, where="station 2021-03-14"
        )


class Laplacian(Parrot):
    """A network of single passes: 0.1 in the median, and the spread as the window's number says."""

    def predict(
        self, windows: Iterator[tuple[int, np.ndarray]], *, passes: Any, seed: int
    ) -> Iterator[Any]:
        assert passes == "single"
        for number, _ in windows:
            shape = (self.rows, WIDTH)
            yield WindowPrediction(
                probability=np.full(shape, 0.5, np.float32),
                intensity=np.full((*shape, 1), 0.1, np.float32),
                scale=np.full(shape, 0.01 * (1 + number % 2), np.float32),
                used=1,
            )


def test_single_pass_is_read_at_fifty_levels_between_windows_too(curtain: xr.Dataset) -> None:
    probability, intensity_dbz, used = predict_curtain(
        curtain, Laplacian(HIDDEN), PREPROCESSING, "single", 0
    )
    assert used.tolist() == [1] * 20
    assert (probability == 0.5).all()
    levels = (np.arange(50) + 0.5) / 50
    residual = np.where(levels < 0.5, np.log(2 * levels), -np.log(2 - 2 * levels))
    unscale = PREPROCESSING.scaling.unscale
    # Windows of 0.01 and 0.02 take turns, and between them there are all their means.
    means = (intensity_dbz[..., 0] - unscale(np.array(0.1))) / (
        PREPROCESSING.scaling.db_per_unit * residual[0]
    )
    assert means.min() + 1e-6 >= 0.01
    assert means.max() <= 0.02 + 1e-6
    assert np.ptp(means) > 0.009
    # Each pixel's values are those of one Laplace distribution.
    scale = means[..., None]
    np.testing.assert_allclose(intensity_dbz, unscale(0.1 + scale * residual), atol=1e-3)


@pytest.mark.parametrize("missing", [slice(0), slice(120, 180)])
def test_long_curtain_is_filled_in_parts_as_in_one_piece(
    make_curtain: Callable[..., xr.Dataset], monkeypatch: pytest.MonkeyPatch, missing: slice
) -> None:
    curtain = make_curtain().copy(deep=True)
    # A network that never saw an outage is given the nearest profile, wherever it is.
    curtain["detection_status"][missing] = DetectionStatus.NO_DATA
    curtain["reflectivity"][missing] = np.nan
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "echo_share_10min"))
    whole, seen = fill(curtain, preprocessing)
    monkeypatch.setattr(inference_windows.blend_in_order, "__defaults__", (40,))
    monkeypatch.setattr(inpaint_curtain, "_INPUT_PROFILES", 50)
    parts, again = fill(curtain, preprocessing)
    xr.testing.assert_identical(whole, parts)
    assert all(np.array_equal(seen.inputs[number], again.inputs[number]) for number in seen.inputs)


def test_realizations_are_counted_by_window(
    curtain: xr.Dataset,
) -> None:
    filled, _ = fill(curtain, PREPROCESSING)
    # 300 profiles, a window every 16 from -16 on: 20 windows, those of odd numbers with one more.
    assert filled["realizations_used"].values.tolist() == [2, 3] * 10
