"""Network units and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.network_input.scaling import (
    ABSENT_UNIT,
    ChannelScalings,
    LinearScaling,
    ReflectivityScaling,
)

SCALING = ReflectivityScaling()
# One unit spans 90 dB / 1.5 = 60 dB; in single precision a unit near 1 is good to 2^-24 and a
# reflectivity near 60 dBZ to 2^-19 dB: 60 * 2^-24 + 2^-19 = 5.5e-6 dB.
ROUNDING_DB = 1e-5


def test_ends_of_the_range_and_clear_sky_are_those_of_the_paper() -> None:
    # King et al. (2024): -60 to 30 dBZ becomes -0.5 to 1; halfway, -15 dBZ, lies at 0.25; clear sky
    # at -1.
    units = SCALING.scale(np.array([-60, 30, -15, np.nan]))
    assert units.tolist() == [-0.5, 1, 0.25, -1]
    assert units.dtype == np.float32
    assert SCALING.db_per_unit == 60


def test_what_lies_beyond_the_range_is_clipped_on_the_way_in_alone() -> None:
    assert SCALING.scale(np.array([-80.0, 45.0])).tolist() == [-0.5, 1]
    # One unit above the top is 60 dB above 30 dBZ: an interval bound may lie there.
    assert SCALING.unscale(np.array([2.0, -1.0])).tolist() == [90, -90]


def test_clear_sky_is_told_from_the_weakest_echo_halfway() -> None:
    # Clear at -1, weakest echo at -0.5: below -0.75 is clear.
    restored = SCALING.restore(np.array([-1.0, -0.76, -0.75, -0.5]))
    assert np.isnan(restored).tolist() == [True, True, False, False]
    assert restored[3] == -60


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(-60, 30, width=32)
    )
)
def test_reflectivity_in_range_comes_back(dbz: np.ndarray) -> None:
    units = SCALING.scale(dbz)
    assert ((units >= -0.5) & (units <= 1)).all()
    assert np.abs(SCALING.restore(units) - dbz).max() <= ROUNDING_DB
    assert np.array_equal(SCALING.unscale(units), SCALING.restore(units))


@given(
    hnp.arrays(np.float32, 20, elements=st.floats(-200, 100, width=32) | st.just(np.nan)),
    st.floats(-90, -50),
    st.floats(10, 40),
)
def test_any_scaling_restores_clear_sky_as_clear_and_echo_as_clipped_echo(
    dbz: np.ndarray, lowest: float, highest: float
) -> None:
    scaling = ReflectivityScaling(lowest_dbz=lowest, highest_dbz=highest)
    restored = scaling.restore(scaling.scale(dbz))
    assert np.array_equal(np.isnan(restored), np.isnan(dbz))
    np.testing.assert_allclose(restored, np.clip(dbz, lowest, highest), atol=2 * ROUNDING_DB)


@given(st.floats(-60, 30), st.floats(-60, 30))
def test_stronger_echo_never_gets_a_smaller_unit(first: float, second: float) -> None:
    low, high = SCALING.scale(np.array(sorted((first, second))))
    assert low <= high


def test_argument_stays_as_it_was() -> None:
    dbz = np.array([-80.0, np.nan, 40.0])
    before = dbz.copy()
    SCALING.scale(dbz)
    assert np.array_equal(dbz, before, equal_nan=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"lowest_dbz": 30.0},
        {"lowest_unit": 1.0},
        {"clear_unit": -0.5},
        {"clear_unit": 0.0},
    ],
)
def test_scaling_that_cannot_be_undone_is_rejected(settings: dict[str, float]) -> None:
    with pytest.raises(
        CurtainError,
        match=r"^reflectivity scaling: .*clear_unit < lowest_unit < highest_unit is right; found",
    ):
        ReflectivityScaling(**settings)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_ends_that_are_not_finite_are_rejected(value: float) -> None:
    with pytest.raises(CurtainError, match="highest_dbz: should be a finite number"):
        ReflectivityScaling(highest_dbz=value)
    with pytest.raises(CurtainError, match="highest: should be a finite number"):
        LinearScaling(lowest=0.0, highest=value)


def test_other_fields_are_scaled_likewise_and_absent_below_their_range() -> None:
    # King et al. (2024): temperature 180 to 300 K; 240 K lies halfway between -0.5 and 1.
    units = ChannelScalings().of("temperature").scale(np.array([180, 240, 300, 350, np.nan]))
    assert units.tolist() == [-0.5, 0.25, 1, 1, ABSENT_UNIT]
    assert units.dtype == np.float32


@pytest.mark.parametrize(("lowest", "highest"), [(1.0, 1.0), (2.0, 1.0)])
def test_range_without_extent_is_rejected(lowest: float, highest: float) -> None:
    with pytest.raises(CurtainError, match="scaling: lowest < highest is right; found"):
        LinearScaling(lowest=lowest, highest=highest)
