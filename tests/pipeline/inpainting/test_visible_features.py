"""Features of visible profiles: bands, sites, summaries, running means and distances by hand."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from episodes import HIDDEN, NETWORK, ROWS, STEP_S, make_curtain
from hypothesis import given

from blindzone.pipeline.inpainting import visible_features
from blindzone.pipeline.inpainting.visible_features import (
    describe_visible,
    find_bands,
    find_distance,
    standardize,
)


@given(st.integers(1, 500))
def test_bands_double_in_depth_upwards(rows: int) -> None:
    bands = find_bands(rows)
    depths = np.diff(bands, append=rows)
    assert bands[0] == 0
    assert depths.min() > 0
    assert (
        depths[1:] <= bands[1:]
    ).all()  # as deep as all below it together; the highest may be cut off
    assert (depths[1:-1] == bands[1:-1]).all()


def make_profile(*dbz: float, profiles: int = 3) -> xr.Dataset:
    """Profiles that are all alike, no echo but where a value is given from row 4 on."""
    rows = np.full((profiles, ROWS), np.nan)
    rows[:, HIDDEN : HIDDEN + len(dbz)] = dbz
    return make_curtain(rows)


def test_reflectivity_is_summarised_above_the_floor_by_band() -> None:
    visible = describe_visible(make_profile(-20, -10, -30), NETWORK)
    # 60 dB a unit: 10 and 20 dB above the floor, and the floor itself, which is none. The lowest
    # band has four rows.
    mean, largest = visible.summaries[0, 0, 0], visible.summaries[0, 1, 0]
    assert (mean, largest) == pytest.approx(((10 + 20) / 60 / 4, 20 / 60), rel=1e-5)
    assert np.isnan(visible.summaries[0, :2, 1:]).all()  # no echo in the bands above
    assert np.isnan(visible.summaries[0, 2]).all()  # no velocity at all


def test_time_step_sites_and_predictors_of_a_curtain() -> None:
    visible = describe_visible(make_profile(-20), NETWORK)
    assert visible.step_s == pytest.approx(STEP_S)
    assert visible.sites == ((48.7, 2.2),)
    assert visible.present["reflectivity"].all()
    assert not visible.present["doppler_velocity"].any()
    assert np.isnan(visible.weakest_echo_dbz)  # three pixels are too few
    single = describe_visible(make_profile(-20, profiles=1), NETWORK)
    assert np.isnan(single.step_s)


def test_along_a_track_distance_counts_in_place_of_time() -> None:
    day = make_profile(-20)
    track = day.assign_coords(along_track_distance=("time", [500.0, 1500.0, 2500.0]))
    visible = describe_visible(track, NETWORK)
    # 1 km at 10 m/s, however fast the platform flies.
    assert visible.step_s == pytest.approx(100)
    assert visible.time_s == pytest.approx([0, 100, 200])


def test_site_may_be_unknown_or_move() -> None:
    day = make_profile(-20)
    assert describe_visible(day.assign_coords(latitude=np.nan), NETWORK).sites == ()
    moving = day.assign_coords(latitude=("time", [48.0, 49.0, 50.0]))
    assert describe_visible(moving, NETWORK).sites is None


def test_features_are_standardized_summaries_and_their_means_over_ten_minutes() -> None:
    # 101 profiles 9 s apart, echo in the first alone: 34 profiles within 5 minutes after it.
    dbz = np.full((101, ROWS), np.nan)
    dbz[0, HIDDEN] = 0.0
    visible = describe_visible(make_curtain(dbz), NETWORK)
    kinds, bands = visible.summaries.shape[1:]
    scales = np.array([0.5, 1.0, 1.0])
    features = standardize(visible, np.zeros((kinds, bands)), scales)
    assert features.shape == (101, 2 * kinds * bands)
    now, mean = features[:, 0], features[:, kinds * bands]
    assert now[0] == pytest.approx(30 / 60 / 4 / 0.5, rel=1e-5)
    assert not now[1:].any()
    assert mean[0] == pytest.approx(now[0] / 34)
    assert np.flatnonzero(mean).tolist() == list(range(34))


def test_distance_is_that_to_the_nearest_reference() -> None:
    references = np.array([[0.0, 0.0], [3.0, 4.0]])
    profiles = np.array([[0.0, 0.0], [3.0, 0.0], [6.0, 8.0]])
    assert find_distance(profiles, references) == pytest.approx([0, 3, 5])


def test_long_curtain_is_described_and_compared_in_parts_as_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dbz = np.random.default_rng(0).uniform(-40, 0, (230, ROWS))
    curtain = make_curtain(np.where(dbz > -25, dbz, np.nan))
    references = np.random.default_rng(1).normal(size=(7, 5))
    features = np.random.default_rng(2).normal(size=(230, 5))
    whole, distance = describe_visible(curtain, NETWORK), find_distance(features, references)
    monkeypatch.setattr(visible_features, "_PART_PROFILES", 100)
    parts = describe_visible(curtain, NETWORK)
    assert np.array_equal(parts.summaries, whole.summaries, equal_nan=True)
    assert np.array_equal(parts.visible, whole.visible)
    assert parts.present.keys() == whole.present.keys()
    assert all(np.array_equal(parts.present[name], whole.present[name]) for name in whole.present)
    assert (parts.weakest_echo_dbz, parts.step_s) == (whole.weakest_echo_dbz, whole.step_s)
    np.testing.assert_allclose(find_distance(features, references), distance, rtol=1e-12)
