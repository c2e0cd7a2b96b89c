"""The stored distribution, read at any level and inverted."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.inpainting.predictive_distribution import (
    QUANTILE_LEVELS,
    summarize_distribution,
)
from blindzone.pipeline.inpainting.stored_distribution import StoredDistribution

FLOOR = -30.0
PROBABILITIES = (0.0, 0.01, 0.3, 0.6, 0.97, 1.0)


def make_distribution(offset_given_echo: float = 0.0) -> StoredDistribution:
    """A pixel a probability, echo of -10 +- 5 dBZ; given echo it may be stronger."""
    intensity = np.random.default_rng(0).normal(-10, 5, (len(PROBABILITIES), 1, 400))
    summary = summarize_distribution(
        np.array(PROBABILITIES)[:, None], intensity, intensity + offset_given_echo, floor_dbz=FLOOR
    )
    return StoredDistribution(
        probability=summary["hydrometeor_probability"].values.ravel(),
        quantiles=summary["reflectivity_quantile"].values[..., 0],
        given_echo=summary["reflectivity_quantile_given_echo"].values[..., 0],
        levels=summary["quantile"].values,
        floor_dbz=FLOOR,
    )


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_at_stored_levels_the_stored_quantiles_are_read(offset: float) -> None:
    distribution = make_distribution(offset)
    for pixel in range(len(PROBABILITIES)):
        read = distribution.read(np.full(9, pixel), np.array(QUANTILE_LEVELS))
        np.testing.assert_allclose(read, distribution.quantiles[:, pixel], atol=1e-4)


def test_echo_is_as_frequent_as_is_probable_and_rises_with_the_level() -> None:
    distribution, levels = make_distribution(), (np.arange(10_000) + 0.5) / 10_000
    for pixel, probability in enumerate(PROBABILITIES):
        read = distribution.read(np.full(levels.size, pixel), levels)
        assert (read > FLOOR).mean() == pytest.approx(probability, abs=2e-4)
        assert (np.diff(read) >= -1e-4).all()


def test_unlikely_echo_is_as_strong_as_echo_is_given_that_there_is_some() -> None:
    # With 1 % of echo every stored quantile of the whole is the floor. Its echo is normal, -7 +- 5.
    distribution, inner = make_distribution(offset_given_echo=3.0), (np.arange(999) + 0.5) / 999
    read = distribution.read(np.ones(999, dtype=int), 0.99 + 0.01 * inner)
    assert read.mean() == pytest.approx(-7, abs=0.5)
    assert read.std() == pytest.approx(5, abs=0.7)


def test_level_of_a_value_is_that_at_which_it_is_read() -> None:
    distribution, random = make_distribution(), np.random.default_rng(1)
    pixel = random.integers(2, 6, 3000)
    level = random.random(3000)
    found = distribution.find_levels(pixel, distribution.read(pixel, level), random)
    echo = level > 1 - distribution.probability[pixel]
    np.testing.assert_allclose(found[echo], level[echo], atol=0.01)
    assert (found[~echo] <= 1 - distribution.probability[pixel][~echo]).all()
    assert found[~echo].mean() == pytest.approx(
        (0.5 * (1 - distribution.probability[pixel][~echo])).mean(), abs=0.03
    )
