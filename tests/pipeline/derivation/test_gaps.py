"""Bridging of gaps."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.derivation.gaps import bridge_gaps

RANDOM = np.random.default_rng(0)
MEMBERS = 200


def make_values(times: int) -> np.ndarray:
    return RANDOM.normal(0, 5, (MEMBERS, times)).astype(np.float32)


def test_without_a_gap_all_stays_and_each_profile_stands_for_a_step() -> None:
    values = make_values(50)
    series = bridge_gaps(np.arange(50) * 9.0, values, 3600, seed=0)
    assert np.array_equal(series.values, values)
    assert np.allclose(series.durations, 9)
    assert not series.bridged.any()
    assert np.isinf(series.open_gaps).sum() == 2  # before and after, and no other


def test_a_gap_is_bridged_from_each_members_own_stretches_nearby() -> None:
    values = make_values(60)
    values[:, 20:25] = np.nan
    series = bridge_gaps(np.arange(60) * 9.0, values, 3600, seed=1)
    assert series.bridged[20:25].all()
    assert series.bridged.sum() == 5
    begin = series.source[:, 20]
    assert (series.source[:, 20:25] - begin[:, None] == np.arange(5)).all()
    assert np.allclose(series.values[7, 20:25], values[7, begin[7] : begin[7] + 5])
    # One to three lengths away, so begins at 5 to 15 before, or 25 to 35.
    assert set(begin) == {*range(5, 16), *range(25, 36)}


def test_absent_profiles_are_a_gap_like_missing_ones() -> None:
    seconds, values = np.arange(60) * 9.0, make_values(60)
    kept = np.r_[0:20, 25:60]
    absent = bridge_gaps(seconds[kept], values[:, kept], 3600, seed=2)
    values[:, 20:25] = np.nan
    missing = bridge_gaps(seconds, values, 3600, seed=2)
    assert np.allclose(absent.seconds, seconds)
    assert np.array_equal(absent.values, missing.values)
    assert np.array_equal(absent.bridged, missing.bridged)


def test_a_gap_longer_than_asked_or_without_a_stretch_stays_open() -> None:
    values = make_values(60)
    values[:, 20:25] = np.nan
    series = bridge_gaps(np.arange(60) * 9.0, values, 40, seed=0)
    assert np.isnan(series.values[:, 20:25]).all()
    assert np.allclose(series.open_gaps[1], [19.5 * 9, 24.5 * 9])
    values[:, 5:58] = np.nan
    assert np.isnan(bridge_gaps(np.arange(60) * 9.0, values, 3600, seed=0).values[:, 5:58]).all()


def test_the_same_seed_bridges_alike() -> None:
    values = make_values(60)
    values[:, 20:25] = np.nan
    seconds = np.arange(60) * 9.0
    first, again, other = (bridge_gaps(seconds, values, 3600, seed=n) for n in (3, 3, 4))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
