"""Filling a curtain: what the network is shown, and which of its answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.flows.inpaint import check_fits, fill_curtain
from blindzone.models.monte_carlo import Realizations
from blindzone.pipeline.blind_zone import BlindZone
from blindzone.pipeline.curtain import DIMS
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid
from blindzone.pipeline.preprocessing import CHANNELS, Preprocessing

ROWS, HIDDEN, WIDTH = 16, 4, 32
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS), blind_zone=BlindZone(top_m=312.5, soft_rows=2), floor_dbz=-30.0, window_profiles=WIDTH
)


class Parrot:
    """Stands in for a network: keeps what it is shown, and says of each row its number as intensity, 0.1 apart."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.shown: dict[int, np.ndarray] = {}

    def realize(self, windows: Iterator[tuple[int, np.ndarray]], *, realizations: int, seed: int) -> Iterator[Any]:
        for number, shown in windows:
            self.shown[number] = shown.copy()
            row = np.arange(self.rows, dtype=np.float32)[:, None]
            probability = np.broadcast_to(0.1 * row, (self.rows, WIDTH))
            intensity = np.broadcast_to(0.1 * row[..., None], (self.rows, WIDTH, realizations))
            yield Realizations(probability=probability, intensity=intensity)


def fill(curtain: xr.Dataset, preprocessing: Preprocessing) -> tuple[xr.Dataset, Parrot]:
    parrot = Parrot(preprocessing.answer_rows)
    return fill_curtain(curtain, parrot, preprocessing, realizations=2, seed=0), parrot  # type: ignore[arg-type]


def test_network_that_answers_for_more_rows_fills_just_what_is_hidden(curtain: xr.Dataset) -> None:
    filled, parrot = fill(curtain, replace(PREPROCESSING, deepest_m=700.0))
    assert parrot.rows == 9  # rows that begin below 700 m
    assert filled["hydrometeor_probability"].shape == (300, HIDDEN)
    np.testing.assert_allclose(filled["hydrometeor_probability"], np.tile([0.0, 0.1, 0.2, 0.3], (300, 1)), atol=1e-6)
    assert np.array_equal(filled["height"], curtain["height"][:HIDDEN])


def test_network_is_shown_nothing_of_hidden_gates_and_time_contexts_see_across_windows_and_gaps(
    make_curtain: Callable[..., xr.Dataset],
) -> None:
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "doppler_velocity", "echo_share_45min"))
    whole = make_curtain()
    curtain = whole.isel(time=np.r_[0:100, 130:300])  # four and a half minutes are missing
    other = curtain.copy(deep=True)
    for name in ("reflectivity", "doppler_velocity"):
        other[name][:, :HIDDEN] = other[name][:, :HIDDEN] / 2
    shown, again = (fill(day, preprocessing)[1].shown for day in (curtain, other))
    assert shown.keys() == again.keys()
    assert all(np.array_equal(shown[number], again[number]) for number in shown)
    # 300 profiles last 45 minutes: the mean of the first profile of the second stretch counts those before the gap.
    time_s = (curtain["time"] - curtain["time"][100]).values / np.timedelta64(1, "s")
    near = np.abs(time_s) <= 22.5 * 60
    assert near[:100].any()
    expected = np.isfinite(curtain["reflectivity"].values[near, 6]).mean()
    # The second stretch is numbered from its first profile; half of its first window lies before it.
    assert shown[100][6, WIDTH // 2, -1] == pytest.approx(expected, abs=1e-6)


def test_infinite_reflectivity_is_refused_with_the_day_and_the_count(curtain: xr.Dataset) -> None:
    dbz = curtain["reflectivity"].values.copy()
    dbz[5, 5:8] = np.inf
    check_fits(curtain, PREPROCESSING, where="station 2021-03-14")
    with pytest.raises(CurtainError, match=r"^station 2021-03-14: 3 values of 'reflectivity' are infinite"):
        check_fits(curtain.assign(reflectivity=(DIMS, dbz)), PREPROCESSING, where="station 2021-03-14")
