from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance as reference_distance

from blindzone.pipeline.verification.statistics import Sums, ratio, wasserstein_distance


@dataclass(frozen=True, kw_only=True, eq=False)
class Inner(Sums):
    count: int
    total: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Outer(Sums):
    inner: Inner
    hits: np.ndarray


def make(count: int) -> Outer:
    inner = Inner(count=count, total=np.array([1.0, 2.0]) * count)
    return Outer(inner=inner, hits=np.full((2, 2), count))


def test_two_sums_add_up_field_by_field() -> None:
    found = make(2) + make(3)
    assert found.inner.count == 5
    assert found.inner.total.tolist() == [5.0, 10.0]
    assert found.hits.tolist() == [[5, 5], [5, 5]]


def test_arrays_lead_back_to_the_same_sums() -> None:
    written = make(3).to_arrays()
    assert set(written) == {"inner.count", "inner.total", "hits"}
    found = Outer.from_arrays(written)
    assert type(found.inner.count) is int
    assert found.inner.count == 3
    assert found.inner.total.tolist() == [3.0, 6.0]
    assert found.hits.tolist() == [[3, 3], [3, 3]]


def test_a_missing_sum_is_an_error() -> None:
    written = make(3).to_arrays()
    del written["inner.total"]
    with pytest.raises(KeyError, match="total"):
        Outer.from_arrays(written)


def test_ratio_of_nothing_is_nan() -> None:
    assert ratio(3, 4) == 0.75
    assert math.isnan(ratio(0, 0))


shares = arrays(np.float64, 9, elements=st.floats(0, 1)).filter(lambda found: found.sum() > 0.1)


@given(shares, shares, st.sampled_from([0.5, 1.0, 2.0]))
def test_distance_is_scipys_with_mass_at_the_floor_and_in_the_middle_of_steps(
    one: np.ndarray, other: np.ndarray, step_db: float
) -> None:
    place = step_db * np.concatenate([[0.0], np.arange(8) + 0.5])
    found = wasserstein_distance(one / one.sum(), other / other.sum(), step_db=step_db)
    assert found == pytest.approx(reference_distance(place, place, one, other), abs=1e-9)


def test_distances_of_several_distributions_are_found_at_once() -> None:
    # From the floor to the first step's middle: half a step; on to the second's: a whole one.
    several = np.eye(3)
    found = wasserstein_distance(several, several[0], step_db=2.0)
    assert found.tolist() == [0.0, 1.0, 3.0]
