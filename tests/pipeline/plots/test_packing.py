"""Numbers of a page are those of the product, as they are printed."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from blindzone.pipeline.plots.packing import pack, unpack

DBZ = st.floats(-90, 90, width=32) | st.just(float("nan"))


@given(
    values=arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=3), elements=DBZ),
    digits=st.integers(0, 3),
    stacked=st.booleans(),
)
def test_unpacked_number_is_the_one_that_is_printed(
    values: np.ndarray, digits: int, stacked: bool
) -> None:
    found = unpack(pack(values, digits, stacked=stacked))
    for number, back in zip(values.ravel(), found, strict=True):
        # Python prints -0.04 as -0.0.
        printed = f"{number:.{digits}f}".removeprefix("-") if back == 0 else f"{number:.{digits}f}"
        assert f"{back + 0.0:.{digits}f}" == printed


def test_halves_are_rounded_as_printed_numbers_are() -> None:
    # 0.25 and 0.75 are exact in binary: the even digit is printed.
    found = unpack(pack(np.float32([0.25, 0.75, -12.25]), 1))
    assert [f"{value:.1f}" for value in found] == ["0.2", "0.8", "-12.2"]


@pytest.mark.parametrize(
    ("most", "kind"), [(127, "int8"), (128, "int16"), (32767, "int16"), (32768, "int32")]
)
def test_type_is_the_smallest_that_leaves_a_number_for_missing(most: int, kind: str) -> None:
    packed = pack(np.array([-most, np.nan, most]))
    assert packed["type"] == kind
    np.testing.assert_array_equal(unpack(packed), [-most, np.nan, most])


def test_what_is_not_finite_is_missing_and_nothing_is_nothing() -> None:
    np.testing.assert_array_equal(
        unpack(pack(np.array([np.inf, -np.inf, 1.0]))), [np.nan, np.nan, 1]
    )
    assert unpack(pack(np.empty(0))).size == 0
