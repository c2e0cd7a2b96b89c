"""Losses of a restored picture (Liu et al. 2018, arXiv 1804.07723, Eqs. 3 to 7).

A picture is the one value of every pixel that a network expects, before observed pixels are
repeated. The *composite* is the picture in holes and the truth elsewhere. Perceptual and style loss
compare maps of a feature network, theirs being VGG-16 at its first three poolings. Maps of another
network have other units. Here those of the truth are scaled to a mean square of 1, so that the
published weights keep their meaning. It needs no gradients measured at the start, and nothing to
keep for a resumed training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from keras import ops
from pydantic import BeforeValidator, Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError

FeatureMaps = Callable[[Any], Sequence[Any]]
"""Gives the feature maps `(batch, rows, profiles, channels)` of pictures `(batch, rows, profiles,
1)`, one a scale."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration(error=ModelError, what="restored loss")
class RestoredLoss:
    """What each loss of a restored picture counts."""

    valid: Weight = 1.0
    """Absolute error where the pixel was observed."""
    hole: Weight = 6.0
    """Absolute error in holes."""
    perceptual: Weight = 0.0
    """Absolute error of the feature maps of picture and composite."""
    style: Weight = 0.0
    """Absolute error of the products of their channels (Gram matrices)."""
    total_variation: Weight = 0.1
    """Steps of the composite between neighbours in and next to holes."""

    @property
    def needs_features(self) -> bool:
        """Whether a feature network is needed."""
        return bool(self.perceptual or self.style)


NAMED: Mapping[str, RestoredLoss] = {
    "pixels": RestoredLoss(),
    "published": RestoredLoss(perceptual=0.05, style=120.0),
}
"""Weights by name: those of Liu et al. (2018, Eq. 7), and without a feature network."""


def _find_named(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in NAMED:
        raise ValueError(f"weights by name are {', '.join(NAMED)}; found {value!r}")
    return NAMED[value]


RestoredWeights = Annotated[RestoredLoss, BeforeValidator(_find_named)]
"""Weights, or the name of some."""


class RestoredScore:
    """The weighted sum of the losses of a restored picture.

    Args:
        weights: What each counts.
        features: Gives feature maps; needed for perceptual and style loss.
    """

    def __init__(self, weights: RestoredLoss, features: FeatureMaps | None = None) -> None:
        self.weights, self.features = weights, features
        self.__name__ = "restored_score"

    def __call__(self, target: Any, prediction: Any) -> Any:
        """Returns the sum, in network units.

        Args:
            target: Value, with -1 for clear sky, and mask of hidden pixels that count, `(batch,
                rows, profiles, 2)`.
            prediction: Picture, and 1 where the pixel was observed, else 0, of the same shape.
        """
        truth, counted = target[..., :1], target[..., 1:]
        picture, observed = prediction[..., :1], prediction[..., 1:]
        composite = ops.where(observed > 0, truth, picture)
        error = ops.abs(picture - truth)
        weights = self.weights
        total = weights.valid * ops.mean(observed * error) + weights.hole * ops.mean(
            counted * error
        )
        if weights.total_variation:
            total += weights.total_variation * hole_variation(composite, 1 - observed)
        if self.features is not None and weights.needs_features:
            # Where there is no truth, nothing is compared.
            known = ops.where(observed + counted > 0, truth, picture)
            perceptual, style = compare_features(self.features, known, (picture, composite))
            total += weights.perceptual * perceptual + weights.style * style
        return total


def hole_variation(composite: Any, hole: Any) -> Any:
    """Returns the mean step to the next pixel, of pairs that both are in or next to a hole.

    Args:
        composite: `(batch, rows, profiles, 1)`.
        hole: 1 in holes, else 0, of the same shape.
    """
    near = ops.max_pool(hole, 3, 1, "same")  # dilated by one pixel
    up = ops.abs(composite[:, 1:] - composite[:, :-1]) * near[:, 1:] * near[:, :-1]
    along = ops.abs(composite[:, :, 1:] - composite[:, :, :-1]) * near[:, :, 1:] * near[:, :, :-1]
    pixels = ops.cast(ops.size(composite), composite.dtype)
    return (ops.sum(up) + ops.sum(along)) / pixels


def compare_features(features: FeatureMaps, truth: Any, pictures: Sequence[Any]) -> tuple[Any, Any]:
    """Returns the perceptual and the style loss of pictures, added up over pictures and scales.

    Args:
        features: Gives feature maps.
        truth: `(batch, rows, profiles, 1)`.
        pictures: Each of the same shape.
    """
    of_truth = [ops.stop_gradient(maps) for maps in features(truth)]
    scales = [1 / ops.sqrt(ops.mean(ops.square(maps)) + 1e-12) for maps in of_truth]
    perceptual = style = 0.0
    for picture in pictures:
        for scale, expected, found in zip(scales, of_truth, features(picture), strict=True):
            expected, found = scale * expected, scale * found
            perceptual += ops.mean(ops.abs(found - expected))
            style += ops.mean(ops.abs(multiply_channels(found) - multiply_channels(expected)))
    return perceptual, style


def multiply_channels(maps: Any) -> Any:
    """Returns the Gram matrix of each map over C H W, `(batch, channels, channels)`."""
    _, rows, profiles, channels = maps.shape
    flat = ops.reshape(maps, (-1, rows * profiles, channels))
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / (channels * rows * profiles)
