from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.curtains.echo import (
    ENOUGH_ECHO,
    ROWS_ABOVE,
    find_shallow_and_virga,
    find_weakest_echo,
)


def test_weakest_echo_is_exceeded_by_99_of_100_pixels() -> None:
    # 1001 evenly spaced values from -50 to 50 dBZ: the 1 % quantile is the eleventh, -49 dBZ.
    values = np.random.default_rng(0).permutation(np.linspace(-50, 50, 1001))
    assert find_weakest_echo(values) == pytest.approx(-49.0)


def test_too_few_pixels_have_no_weakest_echo() -> None:
    assert np.isnan(find_weakest_echo(np.zeros(ENOUGH_ECHO - 1)))
    assert find_weakest_echo(np.zeros(ENOUGH_ECHO)) == 0.0


def test_columns_are_told_by_hidden_rows_and_the_four_above() -> None:
    # Columns: echo below only, above only, both, none, above but higher than four rows.
    hidden = np.array([[1, 0], [0, 0], [0, 1], [0, 0], [0, 0]], dtype=bool)
    visible = np.zeros((5, ROWS_ABOVE + 1), dtype=bool)
    visible[1, ROWS_ABOVE - 1] = visible[2, 0] = visible[4, ROWS_ABOVE] = True
    shallow, virga = find_shallow_and_virga(hidden, visible)
    assert shallow.tolist() == [True, False, False, False, False]
    assert virga.tolist() == [False, True, False, False, False]


def test_echo_higher_up_leaves_a_column_shallow() -> None:
    hidden, visible = np.ones((1, 2), dtype=bool), np.zeros((1, ROWS_ABOVE + 1), dtype=bool)
    visible[0, ROWS_ABOVE] = True
    shallow, virga = find_shallow_and_virga(hidden, visible)
    assert shallow.tolist() == [True]
    assert virga.tolist() == [False]
