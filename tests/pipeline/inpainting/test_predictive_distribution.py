"""The predictive distribution: every published number against the same one by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.predictive_distribution import (
    GIVEN_ECHO_STEP_DB,
    MEDIAN_LEVEL,
    QUANTILE_LEVELS,
    summarize_distribution,
)
from blindzone.pipeline.verification.pixel_scores import INTERVALS

FLOOR = -30.0
WEAKEST_ECHO = np.nextafter(np.float32(FLOOR), np.float32(0))

COUNT = 5
"""Fields that are coupled."""

raw_fields = hnp.arrays(np.float32, (2, 3, COUNT), elements=st.sampled_from([-1, -0.5, 0, 0.25, 1]))
probabilities = hnp.arrays(np.float64, (2, 3), elements=st.floats(0, 1))
intensities = hnp.arrays(np.float32, (2, 3, 7), elements=st.floats(-60, 40, width=32))


def summarize_pixel(probability: float, intensity: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns standard deviation and quantiles of one pixel."""
    summary = summarize_distribution(
        np.array([[probability]]), intensity.reshape(1, 1, -1), floor_dbz=FLOOR
    )
    spread = float(summary["reflectivity_standard_deviation"].item())
    return spread, summary["reflectivity_quantile"].values[:, 0, 0]


def sample_mixture(probability: float, intensity: np.ndarray, count: int = 400_000) -> np.ndarray:
    """Draws from the distribution as the module describes it: the floor, or between intensities."""
    rng = np.random.default_rng(0)
    echo = np.quantile(np.maximum(intensity, FLOOR), rng.random(count), method="hazen")
    return np.where(rng.random(count) < probability, echo, FLOOR)


@given(probabilities, intensities)
def test_median_exceeds_the_floor_just_where_echo_is_more_likely_than_not(
    probability: np.ndarray, intensity: np.ndarray
) -> None:
    summary = summarize_distribution(probability, intensity, floor_dbz=FLOOR)
    median = summary["reflectivity_quantile"].sel(quantile=MEDIAN_LEVEL).values
    np.testing.assert_array_equal(median > FLOOR, probability.astype(np.float32) > 0.5)


@given(probabilities, intensities)
@example(
    np.full((1, 1), 0.7), np.array([[[0.00854811, -1, -1, -1, -1, -1, -1]]], np.float32)
)  # -1 and the difference to the highest add up to more than that
def test_quantiles_are_ordered_and_never_below_the_floor_nor_above_the_strongest_realization(
    probability: np.ndarray, intensity: np.ndarray
) -> None:
    quantiles = summarize_distribution(probability, intensity, floor_dbz=FLOOR)[
        "reflectivity_quantile"
    ].values
    assert (np.diff(quantiles, axis=0) >= 0).all()
    assert (quantiles >= FLOOR).all()
    assert (quantiles <= np.maximum(intensity, WEAKEST_ECHO).max(axis=-1)).all()


@given(hnp.arrays(np.float32, (2, 3, 8), elements=st.floats(-60, 40, width=32)))
def test_without_echo_everything_lies_at_the_floor(intensity: np.ndarray) -> None:
    summary = summarize_distribution(np.zeros((2, 3)), intensity, floor_dbz=FLOOR)
    assert (summary["reflectivity_quantile"] == FLOOR).all()
    assert (summary["reflectivity_standard_deviation"] == 0).all()


@given(hnp.arrays(np.float32, (2, 3, 9), elements=st.floats(-60, 40, width=32)))
def test_certain_echo_has_the_quantiles_of_its_realizations(intensity: np.ndarray) -> None:
    summary = summarize_distribution(np.ones((2, 3)), intensity, floor_dbz=FLOOR)
    raised = np.maximum(intensity, FLOOR).astype(np.float64)
    expected = np.quantile(raised, QUANTILE_LEVELS, axis=-1, method="hazen")
    np.testing.assert_allclose(
        summary["reflectivity_quantile"].values, expected, rtol=1e-6, atol=1e-5
    )
    np.testing.assert_allclose(
        summary["reflectivity_standard_deviation"].values, raised.std(axis=-1), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("probability", [0.03, 0.3, 0.5, 0.62, 0.97])
def test_quantiles_are_those_of_the_sampled_mixture(probability: float) -> None:
    intensity = np.random.default_rng(1).normal(-12, 6, 20).astype(np.float32)
    _, quantiles = summarize_pixel(probability, intensity)
    sampled = sample_mixture(probability, intensity)
    for level, quantile in zip(QUANTILE_LEVELS, quantiles, strict=True):
        # The quantile is where the sampled distribution function passes the level, to four
        # standard errors of 400000 draws: 4 sqrt(0.25 / 4e5) = 0.0032. The floor is an atom, where
        # it steps over the level.
        below, up_to = (sampled < quantile - 1e-4).mean(), (sampled <= quantile + 1e-4).mean()
        assert below - 0.0032 <= level <= up_to + 0.0032


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_spread_is_that_of_floor_and_realizations_weighed(probability: float) -> None:
    intensity = np.random.default_rng(2).normal(-20, 10, 16).astype(np.float32)
    # 1 - p on the floor and p / N on each of the N realizations, those below the floor raised to
    # it.
    values = np.concatenate([[FLOOR], np.maximum(intensity, FLOOR)])
    weights = np.concatenate([[1 - probability], np.full(16, probability / 16)])
    expected = (weights * values).sum()
    variance = (weights * (values - expected) ** 2).sum()
    spread, _ = summarize_pixel(probability, intensity)
    assert spread == pytest.approx(variance**0.5, abs=1e-4)


@given(probabilities, intensities, intensities)
def test_quantiles_given_echo_lie_above_the_floor_in_order_and_do_not_ask_how_likely_echo_is(
    probability: np.ndarray, intensity: np.ndarray, given_echo: np.ndarray
) -> None:
    name = "reflectivity_quantile_given_echo"
    found = summarize_distribution(probability, intensity, given_echo, floor_dbz=FLOOR)
    assert (found[name] > FLOOR).all()
    assert (np.diff(found[name], axis=0) >= 0).all()
    # Those of certain echo of the same intensities; where none are given apart, of the
    # distribution's own.
    certain = summarize_distribution(np.ones_like(probability), given_echo, floor_dbz=FLOOR)
    np.testing.assert_allclose(
        found[name], certain["reflectivity_quantile"], rtol=0, atol=GIVEN_ECHO_STEP_DB / 2
    )
    np.testing.assert_array_equal(found[name], certain[name])
    alone = summarize_distribution(probability, intensity, floor_dbz=FLOOR)
    assert found.drop_vars(name).identical(alone.drop_vars(name))


def test_median_exceeds_the_floor_where_echo_is_likelier_than_not() -> None:
    # All realizations above the floor: more than half of the distribution is echo if and only if p
    # > 0.5.
    intensity = np.linspace(-20, 0, 11, dtype=np.float32)
    at_half = summarize_pixel(0.5, intensity)[1][QUANTILE_LEVELS.index(MEDIAN_LEVEL)]
    above_half = summarize_pixel(0.51, intensity)[1][QUANTILE_LEVELS.index(MEDIAN_LEVEL)]
    assert at_half == FLOOR
    # (0.5 - 0.49) / 0.51 = 0.0196 within the echo part, before the first of 11 at 0.5 / 11 = 0.045:
    # the weakest one.
    assert above_half == -20


def test_quantile_within_the_echo_part_by_hand() -> None:
    # p = 0.8, realizations -20, -10, 0, 10 at 1/8, 3/8, 5/8, 7/8 of the echo part. Level 0.75 is
    # at (0.75 - 0.2) / 0.8 = 0.6875 of it, a quarter of the way from 5/8 to 7/8: 0 + 0.25 * 10 =
    # 2.5 dBZ.
    quantiles = summarize_pixel(0.8, np.array([10, -20, 0, -10], dtype=np.float32))[1]
    assert quantiles[QUANTILE_LEVELS.index(0.75)] == pytest.approx(2.5, abs=1e-5)


@given(probabilities, intensities, st.randoms(use_true_random=False))
def test_order_of_the_realizations_does_not_matter(
    probability: np.ndarray, intensity: np.ndarray, random: object
) -> None:
    order = list(range(intensity.shape[-1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    first = summarize_distribution(probability, intensity, floor_dbz=FLOOR)
    assert first.identical(
        summarize_distribution(probability, intensity[..., order], floor_dbz=FLOOR)
    )


def test_bounds_of_every_scored_interval_are_published() -> None:
    assert {bound for bounds in INTERVALS.values() for bound in bounds} | {MEDIAN_LEVEL} == set(
        QUANTILE_LEVELS
    )


def test_layout_is_as_documented() -> None:
    intensity = np.zeros((5, 3, 4), dtype=np.float32)
    summary = summarize_distribution(
        np.full((5, 3), 0.7), intensity, floor_dbz=FLOOR, levels=(0.1, 0.9)
    )
    assert summary["reflectivity_quantile"].dims == ("quantile", "time", "height")
    assert summary["quantile"].values.tolist() == [0.1, 0.9]
    assert {
        str(name): field.dims for name, field in summary.data_vars.items() if field.ndim == 2
    } == dict.fromkeys(
        ("hydrometeor_probability", "reflectivity_standard_deviation"),
        ("time", "height"),
    )
    assert {field.dtype for field in summary.data_vars.values()} == {np.dtype(np.float32)}


def test_rounding_beyond_zero_and_one_is_taken_for_them() -> None:
    intensity = np.zeros((1, 2, 4), dtype=np.float32)
    probability = np.array([[-1e-7, 1 + 1e-7]])
    assert summarize_distribution(probability, intensity, floor_dbz=FLOOR)[
        "hydrometeor_probability"
    ].values.tolist() == [[0, 1]]


def test_arguments_stay_as_they_were() -> None:
    intensity = np.array([[[5, -50, 0]]], dtype=np.float32)
    before = intensity.copy()
    summarize_distribution(np.ones((1, 1)), intensity, floor_dbz=FLOOR)
    assert np.array_equal(intensity, before)


@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 3, 0), (4, 3)])
def test_fewer_than_two_passes_are_rejected_with_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(CurtainError, match=r"at least two forward passes.*found \(4, 3"):
        summarize_distribution(np.ones((4, 3)), np.zeros(shape, dtype=np.float32), floor_dbz=FLOOR)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["probability", "intensity"])
def test_value_that_is_not_finite_is_rejected(where: str, value: float) -> None:
    probability, intensity = np.ones((2, 2)), np.zeros((2, 2, 4), dtype=np.float32)
    (probability if where == "probability" else intensity)[1, 1] = value
    with pytest.raises(CurtainError, match="not finite"):
        summarize_distribution(probability, intensity, floor_dbz=FLOOR)
