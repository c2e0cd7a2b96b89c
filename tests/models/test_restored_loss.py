"""Losses of restored pictures, each against a small case by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models.losses import LossConfig
from blindzone.models.restored_loss import (
    NAMED,
    RestoredLoss,
    RestoredScore,
    compare_features,
    hole_variation,
    multiply_channels,
)

NOTHING: dict[str, float] = {"valid": 0, "hole": 0, "total_variation": 0}


def score(truth: Any, counted: Any, picture: Any, observed: Any, **weights: Any) -> float:
    target, prediction = (
        np.stack(pair, axis=-1)[None].astype(np.float32)
        for pair in ((truth, counted), (picture, observed))
    )
    features = weights.pop("features", None)
    loss = RestoredScore(RestoredLoss(**(NOTHING | weights)), features)
    return float(loss(target, prediction))


def test_valid_and_hole_are_mean_errors_over_all_pixels() -> None:
    truth, picture = np.zeros((2, 4)), np.full((2, 4), 0.5)
    observed = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    counted = np.array([[0, 0, 1, 1], [0, 0, 0, 0]])  # of three holes there is no truth
    # Three of eight pixels were observed, two count in holes; each errs by 0.5.
    assert score(truth, counted, picture, observed, valid=1) == pytest.approx(0.5 * 3 / 8)
    assert score(truth, counted, picture, observed, hole=6) == pytest.approx(6 * 0.5 * 2 / 8)
    both = score(truth, counted, picture, observed, valid=1, hole=6)
    assert both == pytest.approx(0.5 * 15 / 8)


def test_total_variation_is_of_pairs_in_the_hole_and_around_it() -> None:
    composite = np.zeros((1, 3, 8, 1), np.float32)
    composite[0, :, 4:] = 1  # a step of 1 between profiles 3 and 4, in three rows
    hole = np.zeros_like(composite)
    assert float(hole_variation(composite, hole)) == 0
    hole[0, 1, 5] = 1  # dilated it has profiles 4 to 6: the step's left side is not in it
    assert float(hole_variation(composite, hole)) == 0
    hole[0, 1, 4] = 1
    assert float(hole_variation(composite, hole)) == pytest.approx(3 / 24)


def test_total_variation_sees_the_truth_outside_of_the_hole() -> None:
    truth, picture = np.zeros((3, 5)), np.ones((3, 5))
    observed = np.ones((3, 5))
    observed[1, 2] = 0
    # The composite differs from the truth in the hole alone: four steps of 1 of 15 pixels.
    found = score(truth, 1 - observed, picture, observed, total_variation=0.1)
    assert found == pytest.approx(0.1 * 4 / 15)


def double(pictures: Any) -> list[Any]:
    """Feature maps of two channels, at one scale."""
    pictures = np.asarray(pictures)
    return [np.concatenate([pictures, 2 * pictures], axis=-1)]


def test_gram_matrices_by_hand() -> None:
    maps = np.array([[[[1.0, 2.0], [3.0, 4.0]]]], np.float32)  # one row, two profiles
    # 1 + 9, 2 + 12, 4 + 16, over C H W = 4.
    np.testing.assert_allclose(multiply_channels(maps), [[[2.5, 3.5], [3.5, 5.0]]])


def test_features_do_not_depend_on_the_units_of_their_network() -> None:
    random = np.random.default_rng(0)
    truth, *pictures = random.normal(size=(3, 1, 4, 6, 1)).astype(np.float32)
    one = compare_features(double, truth, pictures)
    other = compare_features(lambda x: [1000 * each for each in double(x)], truth, pictures)
    np.testing.assert_allclose(other, one, rtol=1e-5)
    assert all(float(loss) > 0.1 for loss in one)
    np.testing.assert_allclose(compare_features(double, truth, [truth, truth]), 0, atol=1e-6)


def test_perceptual_and_style_are_of_picture_and_composite() -> None:
    truth, picture = np.ones((2, 2)), np.full((2, 2), 3.0)
    observed = np.array([[1, 1], [1, 0]])
    # Channels of the truth are 1 and 2, of mean square 2.5. The picture errs by 2 and 4, the
    # composite in one of four pixels.
    mean = (2 + 4) / 2 / np.sqrt(2.5)
    found = score(truth, 1 - observed, picture, observed, perceptual=1, features=double)
    assert found == pytest.approx(mean * (1 + 1 / 4), rel=1e-5)
    # Gram matrices: products of channels 1, 2, 2, 4 over 2.5, their mean 9 / 4, times the mean
    # square over C = 2; that is 1 of the truth, 9 of the picture, 3 of the composite.
    gram = 9 / 4 / 2.5 / 2
    found = score(truth, 1 - observed, picture, observed, style=1, features=double)
    assert found == pytest.approx(gram * (8 + 2), rel=1e-5)


def test_where_there_is_no_truth_nothing_is_compared() -> None:
    truth, picture = np.zeros((2, 2)), np.ones((2, 2))
    nothing = np.zeros((2, 2))
    weights = {"valid": 1, "hole": 6, "perceptual": 1, "style": 1, "features": double}
    assert score(truth, nothing, picture, nothing, **weights) == 0


def test_published_weights_have_a_name() -> None:
    published = NAMED["published"]
    # Liu et al. (2018), Eq. 7.
    assert (published.valid, published.hole, published.total_variation) == (1, 6, 0.1)
    assert (published.perceptual, published.style) == (0.05, 120)
    named = LossConfig(restored="published", features="x.keras")  # type: ignore[arg-type]
    assert named.restored == published


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"restored": "vgg"}, "weights by name are pixels, published; found 'vgg'"),
        ({"restored": "published"}, "'features' with its checkpoint is right"),
        ({"restored": {"style": 1.0}}, "perceptual and style loss compare maps of a feature"),
        ({"restored": {"hole": -1}}, r"restored.*hole: should be greater than or equal to 0"),
        ({"restored": {"holes": 1}}, "unknown key"),
    ],
)
def test_wrong_weights_are_one_clear_error(values: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LossConfig(**values)
