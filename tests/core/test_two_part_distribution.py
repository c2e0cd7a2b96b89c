"""The two-part distribution: quantiles against numpy's own, the atom, and the ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.two_part_distribution import (
    echo_level,
    even_levels,
    quantile,
    read_ordered,
    weakest_echo,
)

FLOOR = np.float32(-30)


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0.0, 1.0), (0.125, 1.0), (0.25, 1.5), (0.5, 3.0), (0.875, 5.0), (1.0, 5.0)],
)
def test_quantiles_are_read_between_the_ordered_values(level: float, expected: float) -> None:
    # Values 1, 2, 4, 5 are at 1/8, 3/8, 5/8, 7/8.
    assert read_ordered(np.array([1.0, 2.0, 4.0, 5.0]), np.array([level])).tolist() == [expected]


@given(
    hnp.arrays(np.float64, (2, 3, 7), elements=st.floats(-60, 40)),
    hnp.arrays(np.float64, 5, elements=st.floats(0, 1)),
)
def test_quantiles_of_ordered_values_are_those_of_hazen(
    values: np.ndarray, levels: np.ndarray
) -> None:
    found = read_ordered(np.sort(values, axis=-1), levels, weight_dtype=np.float64)
    expected = np.quantile(values, levels, axis=-1, method="hazen")
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, atol=1e-9)


def test_values_before_the_first_that_counts_do_not_enter() -> None:
    # Of 1, 2, 4, 5 the last two count: at 1/4 and 3/4. Where none counts, the last value is left.
    ordered = np.array([[1.0, 2.0, 4.0, 5.0]] * 2)
    found = read_ordered(ordered, np.array([0.25, 0.5, 0.75]), first=np.array([[2], [4]]))
    np.testing.assert_array_equal(found, [[4.0, 4.5, 5.0], [5.0, 5.0, 5.0]])


@given(
    hnp.arrays(np.float32, 4, elements=st.floats(0, 1, width=32)),
    st.floats(2**-10, 1 - 2**-10, width=32),
)
def test_the_echo_level_is_positive_just_above_the_atom(p: np.ndarray, level: float) -> None:
    inner = np.asarray(echo_level(level, p))
    np.testing.assert_array_equal(inner > 0, np.float32(level) > 1 - p)
    assert ((inner >= 0) & (inner <= 1)).all()


def test_a_quantile_is_the_floor_within_the_atom_and_echo_above_it() -> None:
    # p = 0.75: the atom reaches to 0.25. The level 0.625 is halfway up the echo part, between the
    # two values; p = 0 has no echo part, p = 1 no atom.
    ordered = np.array([[-20.0, -10.0]] * 3, np.float32)
    p = np.array([0.0, 0.75, 1.0])
    np.testing.assert_array_equal(quantile(p, ordered, 0.25, FLOOR), [-30, -30, -20])
    np.testing.assert_array_equal(quantile(p, ordered, 0.625, FLOOR), [-30, -15, -12.5])
    levels = np.array([0.5, 0.625, 0.5])
    np.testing.assert_array_equal(quantile(p, ordered, levels, FLOOR), [-30, -15, -15])


def test_precision_is_single_unless_double_is_asked_for() -> None:
    ordered, p = np.array([[0.0, 1.0]], np.float32), np.ones(1, np.float32)
    single = quantile(p, ordered, np.full_like(p, 0.4), FLOOR)
    assert single.dtype == np.float32
    # 0.4 x 2 - 0.5 = 0.3 of the way: rounded once in double precision, before that in single.
    double = quantile(p.astype(float), ordered, 0.4, float(FLOOR), weight_dtype=np.float64)
    assert double.dtype == np.float64
    assert double.item() == pytest.approx(0.3, abs=1e-15)
    assert single.item() != double.item()


def test_even_levels_halve_the_steps_at_both_ends() -> None:
    np.testing.assert_allclose(even_levels(4), [0.125, 0.375, 0.625, 0.875])


@pytest.mark.parametrize("floor", [-40.0, 0.0, 0.1, 25.0])
def test_the_weakest_echo_is_the_next_single_above_the_floor(floor: float) -> None:
    weakest = weakest_echo(floor)
    assert weakest.dtype == np.float32
    assert weakest > np.float32(floor)
    assert np.nextafter(weakest, np.float32(-np.inf)) == np.float32(floor)
