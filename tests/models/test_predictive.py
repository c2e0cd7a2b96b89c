"""All passes together: quantiles of the mixture, their errors, and ensemble members."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.core.two_part_distribution import even_levels, laplace_quantile, read_ordered
from blindzone.models.predictive import (
    SingleHead,
    TwoPartHeads,
    estimate_bound_errors,
)


def two_part(probability: list[float], location: list[float], scale: float = 0.1) -> TwoPartHeads:
    """Heads of one pixel, one value per pass."""
    values = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (probability, location))
    mean, location_ = values
    return TwoPartHeads(probability=mean, location=location_, scale=np.full_like(location_, scale))


def draw_heads(random: np.random.Generator, count: int, pixels: int = 1) -> TwoPartHeads:
    return TwoPartHeads(
        probability=random.uniform(0.7, 1.0, (count, 1, pixels)),
        location=random.normal(0.5, 0.1, (count, 1, pixels)),
        scale=np.full((count, 1, pixels), 0.05),
    )


@pytest.mark.parametrize(
    ("values", "probability", "intensity"),
    [
        (
            [-1, 0.2, 0.6, -0.3],
            0.5,
            [0.2, 0.3, 0.5, 0.6],
        ),  # two of four, at (1 .. 4 - 1/2) / 4 x 2 - 1/2: 0, 1/4, ...
        ([0.4, 0.1, 0.3, 0.2], 1.0, [0.1, 0.2, 0.3, 0.4]),
        ([-1, -1, 0.7, 0.0], 0.25, [0.7, 0.7, 0.7, 0.7]),  # the floor itself is no echo
        ([-1, -1, -1, -0.2], 0.0, [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_the_share_above_the_floor_is_the_probability(
    values: list[float], probability: float, intensity: list[float]
) -> None:
    heads = SingleHead(value=np.array(values, np.float32)[:, None, None], floor=0.0)
    found, ordered = heads.summarize(np.arange(4), 4)
    assert found.tolist() == [[probability]]
    # 0.2 + 0.4 x (0, 0.25, 0.75, 1), the ends held
    np.testing.assert_allclose(ordered[0, 0], intensity, atol=1e-6)


def test_equal_passes_give_the_quantiles_of_their_distribution() -> None:
    _, ordered = two_part([0.5] * 7, [0.3] * 7).summarize(
        np.random.default_rng(0).permutation(7), 7
    )
    np.testing.assert_allclose(
        ordered[0, 0], 0.3 + 0.1 * laplace_quantile(even_levels(7)), atol=1e-6
    )


def test_intensities_are_quantiles_of_the_mixture() -> None:
    # Half of the realizations at 0, half at 1, far apart: the lower half of the mixture is the
    # first distribution.
    heads = two_part([0.5] * 400, [0.0, 1.0] * 200, scale=0.01)
    _, ordered = heads.summarize(np.random.default_rng(0).permutation(400), 20)
    expected = 0.01 * laplace_quantile(even_levels(10))
    # Of each fifth of (0, 1) either has 200 of 400 levels: its quantile at the level 0.15 is known
    # to 0.2 x sqrt(3/4 x 1/4 / 400) = 0.0043 in the level, which with a density of 0.15 / 0.01
    # makes 0.0003; elsewhere to less.
    np.testing.assert_allclose(ordered[0, 0, 1:9], expected[1:9], atol=0.0012)
    np.testing.assert_allclose(ordered[0, 0, 11:19], 1 + expected[1:9], atol=0.0012)


def test_the_estimated_error_of_the_bounds_is_their_scatter_over_seeds() -> None:
    random, levels, count, repeats = np.random.default_rng(0), (0.05, 0.5, 0.95), 48, 300
    heads = draw_heads(random, count, pixels=repeats)  # pixels are independent repetitions
    probability, ordered = heads.summarize(random.permutation(count), count * 5)
    errors = estimate_bound_errors(heads, probability, ordered, -9.0, levels)[:, 0]
    bounds = []
    for level in levels:
        inner = np.maximum(level - (1 - probability), 0) / probability
        bounds.append(np.where(inner > 0, read_ordered(ordered, inner[..., None])[..., 0], -9.0)[0])
    # The lowest bound is the floor, or just above: a jump without a standard error. The others are
    # smooth; a standard deviation of 300 draws is known to 4 %, and the estimate of each scatters
    # besides.
    for error, bound in zip(errors[1:], bounds[1:], strict=True):
        assert error.mean() == pytest.approx(bound.std(), rel=0.2)


def test_more_passes_know_the_bounds_better_by_the_root_of_their_number() -> None:
    random = np.random.default_rng(0)
    found = []
    for count in (25, 400):
        heads = draw_heads(random, count, pixels=200)
        probability, ordered = heads.summarize(random.permutation(count), 200)
        found.append(estimate_bound_errors(heads, probability, ordered, 0.0, (0.95,)).mean())
    assert found[0] / found[1] == pytest.approx(4, rel=0.2)


def test_bounds_in_the_floor_are_known() -> None:
    heads = two_part([0.1, 0.2, 0.15, 0.12], [0.5, 0.6, 0.4, 0.5])
    probability, ordered = heads.summarize(np.arange(4), 50)
    # Echo has the probability 0.14: the 50 % bound is the floor, whatever seed; the 95 % bound is
    # not.
    errors = estimate_bound_errors(heads, probability, ordered, 0.0, (0.5, 0.95))
    assert errors[0].item() == 0
    assert errors[1].item() > 0.01


def test_the_error_of_single_values_is_that_of_an_order_statistic() -> None:
    random = np.random.default_rng(0)
    heads = SingleHead(value=random.uniform(0, 1, (400, 1, 100)), floor=0.0)
    probability, ordered = heads.summarize(np.arange(400), 400)
    (errors,) = estimate_bound_errors(heads, probability, ordered, 0.0, (0.5,))
    # The median of 400 uniform values has the standard error 1 / (2 sqrt(400)) = 0.025.
    assert errors.mean() == pytest.approx(0.025, rel=0.1)


def test_each_pass_has_its_own_median() -> None:
    # Of an echo probability p the median is the (p - 1/2) / p quantile of the echo part: the floor
    # for p up to 1/2, the location itself for p = 1, and for p = 2/3 the 1/4 quantile, scale x
    # log(1/2) from the location.
    heads = two_part([0.4, 0.5, 2 / 3, 1.0, 1.0], [0.9, 0.9, 0.5, 0.5, -0.2])
    found = heads.estimate_medians(0.1)
    np.testing.assert_allclose(
        found[0, 0], [0.1, 0.1, 0.5 + 0.1 * np.log(0.5), 0.5, 0.1], atol=1e-6
    )
    assert SingleHead(value=np.array([[[-1.0]], [[0.4]]]), floor=0.1).estimate_medians(
        0.1
    ).tolist() == [[pytest.approx([0.1, 0.4])]]
