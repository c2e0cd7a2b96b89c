"""Members under several laws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.derivation.mixture import find_moments, find_quantiles


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 9))
def test_parts_of_the_variance_add_up(seed: int, laws: int, members: int) -> None:
    random = np.random.default_rng(seed)
    values = random.lognormal(0, 2, (laws, members, 3))
    weights = random.dirichlet(np.ones(laws))
    moments = find_moments(values, weights)
    mean = np.einsum("l,lkt->t", weights, values) / members
    total = np.einsum("l,lkt->t", weights, (values - mean) ** 2) / members
    assert np.allclose(moments.of_members + moments.of_laws, total, rtol=1e-6)
    assert np.allclose(moments.mean, mean)


def test_one_law_has_no_variance_between_laws() -> None:
    moments = find_moments(np.arange(6.0).reshape(1, 3, 2), np.ones(1))
    assert (moments.of_laws == 0).all()
    assert np.allclose(moments.of_members, 8 / 3)  # of 0, 2, 4 and of 1, 3, 5


def test_quantiles_of_one_law_are_those_of_its_members() -> None:
    values = np.random.default_rng(0).random((1, 11, 4))
    levels = np.asarray([0.05, 0.5, 0.9])
    expected = np.quantile(values[0], levels, axis=0, method="hazen")
    assert np.allclose(find_quantiles(values, np.ones(1), levels), expected)


def test_laws_of_equal_weight_count_as_more_members() -> None:
    values = np.random.default_rng(1).random((3, 8, 2))
    levels = np.asarray([0.1, 0.5, 0.95])
    together = find_quantiles(values.reshape(1, 24, 2), np.ones(1), levels)
    assert np.allclose(find_quantiles(values, np.full(3, 1 / 3), levels), together)


def test_a_law_of_no_weight_does_not_count() -> None:
    values = np.stack([np.arange(5.0)[:, None], np.full((5, 1), 1e6)])
    found = find_quantiles(values, np.asarray([1.0, 0.0]), np.asarray([0.5]))
    assert np.allclose(found, 2.0)
