"""Losses of the network's outputs; pixels outside the mask enter none.

Targets and predictions are `(batch, rows, profiles, channel)`. A target carries its mask as its
last channel, so that a loss needs nothing but its two arguments. The mask is 1 where a pixel counts
and 0 elsewhere. Values are in network units. The two likelihoods are means over *all* pixels of the
map, masked or not: their sum is the negative log-likelihood of a pixel, and a batch with little
echo weighs little. The other losses are means over masked pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field, FiniteFloat, PositiveInt

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError
from blindzone.core.network_units import LOG_SCALE_LIMITS
from blindzone.models.feature_maps import read_feature_maps
from blindzone.models.network_config import NetworkConfig, output_names
from blindzone.models.restored_loss import (
    FeatureMaps,
    RestoredLoss,
    RestoredScore,
    RestoredWeights,
)

Loss = Callable[[Any, Any], Any]
"""Takes target and prediction and returns one number."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]

FOCAL_EXPONENT = 2.0
"""Exponent gamma of the focal loss (Lin et al. 2017, doi 10.1109/ICCV.2017.324)."""

SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""C1 and C2 of structural similarity for values from 0 to 1 (Wang et al. 2004, doi
10.1109/TIP.2003.819861)."""

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
"""Side and standard deviation [pixels] of its Gaussian window, from the same source."""


@configuration(error=ModelError, what="loss configuration")
class LossConfig:
    """Which loss each output has, and how much it counts."""

    occurrence: Literal["cross_entropy", "hybrid"] = "cross_entropy"
    """`hybrid` is structural similarity, intersection over union and focal loss."""
    intensity: Literal["laplace", "absolute_error"] = "laplace"
    """`laplace` is the likelihood of location and scale, `absolute_error` that of the location."""
    value: Literal["absolute_error", "fair_crps"] = "absolute_error"
    """Of the single head; `fair_crps` is a score of several forward passes."""
    forecast: Literal["crps", "fair_crps"] = "crps"
    """Of the joint output: `crps` of each pass, or `fair_crps` of several passes."""
    occurrence_weight: Weight = 1.0
    """Weight of the occurrence's loss."""
    intensity_weight: Weight = 1.0
    """Weight of the intensity's loss."""
    value_weight: Weight = 1.0
    """Weight of the single value's loss."""
    forecast_weight: Weight = 1.0
    """Weight of the joint forecast's loss."""
    scene_weight: Weight = 0.1
    """Weight of the cross-entropy of "any echo in the blind zone"."""
    deep_weight: Weight = 0.5
    """Weight of a head on a decoder stage relative to the next finer one.

    1 weighs all alike, as Huang et al. (2020) do.
    """
    restored: RestoredWeights = Field(default_factory=RestoredLoss)
    """Weights of the losses of the restored picture, or `pixels` or `published` for those."""
    restored_weight: Weight = 1.0
    """Weight of their sum."""
    features: str | None = None
    """Checkpoint of a network whose encoder gives the feature maps that `restored` compares."""
    realizations: PositiveInt = 1
    """Number K of forward passes of each window in a batch.

    The K copies of a window must follow each other.
    """
    floor_unit: FiniteFloat = 0.0
    """Sensitivity floor [network units]: forecasts are scored on max(value, floor)."""

    def __post_init__(self) -> None:
        if "fair_crps" in (self.value, self.forecast) and self.realizations < 2:
            raise ValueError(f"fair_crps needs at least 2 realizations, found {self.realizations}")
        if self.restored.needs_features and self.features is None:
            raise ValueError(
                "perceptual and style loss compare maps of a feature network: 'features' with its"
                " checkpoint is right, or 'pixels', which needs none"
            )


def build_losses(
    config: LossConfig, network_config: NetworkConfig
) -> tuple[dict[str, Loss], dict[str, float]]:
    """Returns loss and weight of every output of the training network, both by output name.

    Raises:
        ModelError: If a fair score, or a loss of the restored picture, is configured for a network
            without that output; or its feature network is none.
        CheckpointError: If the feature network cannot be read.
    """
    outputs = output_names(network_config)
    fair = [name for name in ("value", "forecast") if getattr(config, name) == "fair_crps"]
    if fair and not set(fair) & set(outputs):
        raise ModelError(
            f"fair_crps of {' or '.join(fair)} needs a network with that output, by head='single'"
            f" or joint_forecast=True; its outputs are {', '.join(outputs)}"
        )
    if config.restored != RestoredLoss() and "restored" not in outputs:
        raise ModelError("losses of a restored picture need a network with restored=True")
    of_kind = _choose_losses(config)
    losses, weights = {}, {}
    for name in outputs:
        kind, level = split_name(name)
        losses[name] = of_kind[kind]
        weights[name] = float(getattr(config, f"{kind}_weight") * config.deep_weight**level)
    return losses, weights


def _choose_losses(config: LossConfig) -> dict[str, Any]:
    """Returns the loss of every kind of output."""
    fair = FairScore(config.realizations, config.floor_unit) if config.realizations > 1 else None
    occurrence = {"cross_entropy": masked_cross_entropy, "hybrid": masked_hybrid}
    intensity = {"laplace": masked_laplace, "absolute_error": masked_absolute_error}
    value = {"absolute_error": masked_absolute_error, "fair_crps": fair}
    forecast = {"crps": ForecastScore(config.floor_unit), "fair_crps": fair}
    return {
        "occurrence": occurrence[config.occurrence],
        "intensity": intensity[config.intensity],
        "value": value[config.value],
        "forecast": forecast[config.forecast],
        "scene": masked_cross_entropy,
        "restored": RestoredScore(config.restored, _read_features(config)),
    }


def _read_features(config: LossConfig) -> FeatureMaps | None:
    """Returns what gives the feature maps of pictures, if they are compared."""
    if config.features is None or not config.restored.needs_features:
        return None
    return read_feature_maps(Path(config.features))


def split_name(output: str) -> tuple[str, int]:
    """Returns kind and decoder stage of an output: `value_2` gives `("value", 2)`."""
    kind, _, level = output.partition("_")
    return kind, int(level or 0)


_TARGETS = {
    "occurrence": "occurrence",
    "intensity": "intensity",
    "value": "value",
    "forecast": "value",
    "restored": "value",
    "scene": "occurrence",
}
"""Target that each kind of output is trained on."""


def route_targets(
    targets: Mapping[str, np.ndarray], outputs: Iterable[str]
) -> dict[str, np.ndarray]:
    """Returns the target of every output of a network, by output.

    Args:
        targets: Targets of one example or a batch: `occurrence`, `intensity` and `value`, each
            `(..., row, time, 2)`: value and mask.
        outputs: Names of the network's outputs.

    Returns:
        By output. That of `scene` is `(..., 2)`: whether any pixel that counts holds echo, and
        whether any counts.

    Raises:
        ModelError: If there is no target for an output.
    """
    routed = {}
    for name in outputs:
        kind, _ = split_name(name)
        source = _TARGETS.get(kind, kind)
        if source not in targets:
            raise ModelError(
                f"the output {name} needs the target {source!r}; there are {', '.join(targets)}"
            )
        routed[name] = _scene_target(targets[source]) if kind == "scene" else targets[source]
    return routed


def _scene_target(occurrence: np.ndarray) -> np.ndarray:
    """Returns whether any pixel that counts holds echo, and whether any counts, `(..., 2)`."""
    mask = occurrence[..., 1]
    echo = (occurrence[..., 0] * mask).max(axis=(-2, -1))
    return np.stack([echo, mask.max(axis=(-2, -1))], axis=-1)


def masked_absolute_error(target: Any, prediction: Any) -> Any:
    """Returns the mean absolute error of channel 0 over masked pixels (King et al. 2024).

    It is in the units of the target.

    Args:
        target: Value and mask, `(..., 2)`.
        prediction: Location in channel 0, `(..., 1 or more)`.
    """
    value, mask = target[..., 0], target[..., 1]
    return ops.sum(mask * ops.abs(value - prediction[..., 0])) / ops.maximum(ops.sum(mask), 1.0)


def masked_laplace(target: Any, prediction: Any) -> Any:
    """Returns the negative log-likelihood of a Laplace distribution.

    With location m and scale b, -log f = |y - m| / b + log(2 b). Its optimum in m is the median, as
    for the absolute error. The scale b, learned too, is the expected error (Kendall and Gal 2017,
    arXiv 1703.04977).

    Args:
        target: Value and mask, `(..., 2)`.
        prediction: Location and log scale, `(..., 2)`.
    """
    value, mask = target[..., 0], target[..., 1]
    log_scale = ops.clip(prediction[..., 1], *LOG_SCALE_LIMITS)
    error = ops.abs(value - prediction[..., 0])
    return ops.mean(mask * (error * ops.exp(-log_scale) + log_scale + math.log(2.0)))


def masked_cross_entropy(target: Any, prediction: Any) -> Any:
    """Returns the binary cross-entropy of the occurrence logit.

    Args:
        target: Echo (1 or 0) and mask, `(..., 2)`.
        prediction: Logit, `(..., 1)`.
    """
    echo, mask = target[..., 0], target[..., 1]
    logit = prediction[..., 0]
    # max(x, 0) - x y + log(1 + exp(-|x|)) is stable for large logits of either sign.
    return ops.mean(
        mask * (ops.maximum(logit, 0.0) - logit * echo + ops.log1p(ops.exp(-ops.abs(logit))))
    )


def masked_hybrid(target: Any, prediction: Any) -> Any:
    """Returns structural dissimilarity, 1 - intersection over union and focal loss, added up.

    The three are of patches, of the whole map and of pixels (Huang et al. 2020, Eq. 5).

    Args:
        target: Echo (1 or 0) and mask, `(batch, rows, profiles, 2)`.
        prediction: Logit, `(batch, rows, profiles, 1)`.
    """
    terms = (masked_dissimilarity, masked_overlap_loss, masked_focal)
    return sum(term(target, prediction) for term in terms)


def masked_focal(target: Any, prediction: Any) -> Any:
    """Returns the focal loss, -(1 - q)^2 log q (Lin et al. 2017, Eq. 4).

    q is the probability given to the truth. Both classes weigh the same: their factor alpha would
    move the probabilities.

    Args:
        target: Echo (1 or 0) and mask, `(..., 2)`.
        prediction: Logit, `(..., 1)`.
    """
    echo, mask = target[..., 0], target[..., 1]
    towards_truth = prediction[..., 0] * (2.0 * echo - 1.0)
    focal = ops.sigmoid(-towards_truth) ** FOCAL_EXPONENT * ops.softplus(-towards_truth)
    return _masked_mean(focal, mask)


def masked_overlap_loss(target: Any, prediction: Any) -> Any:
    """Returns 1 - intersection over union of truth and probability (Huang et al. 2020).

    Both are pooled over the batch. One pixel is added to both, so that a batch without echo has a
    slope too.

    Args:
        target: Echo (1 or 0) and mask, `(..., 2)`.
        prediction: Logit, `(..., 1)`.
    """
    echo, mask = target[..., 0], target[..., 1]
    probability = ops.sigmoid(prediction[..., 0])
    both = ops.sum(mask * echo * probability)
    either = ops.sum(mask * (echo + probability - echo * probability))
    return 1.0 - (both + 1.0) / (either + 1.0)


def masked_dissimilarity(target: Any, prediction: Any) -> Any:
    """Returns 1 - structural similarity of truth and probability.

    After Wang et al. (2004, doi 10.1109/TIP.2003.819861). Means, variances and covariance are those
    of the masked pixels in a Gaussian window. There is one scale only: a blind zone of 16 rows
    cannot be halved four times, as the several scales of Huang et al. (2020) would need.

    Args:
        target: Echo (1 or 0) and mask, `(batch, rows, profiles, 2)`.
        prediction: Logit, `(batch, rows, profiles, 1)`.
    """
    echo, mask = target[..., :1], target[..., 1:]
    probability = ops.sigmoid(prediction[..., :1])
    moments = [mask, echo, probability, echo * echo, probability * probability, echo * probability]
    blurred = [_blur(mask * moment) for moment in moments]
    weight = ops.maximum(blurred[0], 1e-6)
    x, y, xx, yy, xy = (moment / weight for moment in blurred[1:])
    c1, c2 = SSIM_CONSTANTS
    structure = (2 * (xy - x * y) + c2) / (xx - x * x + yy - y * y + c2)
    similarity = (2 * x * y + c1) / (x * x + y * y + c1) * structure
    return _masked_mean(1.0 - similarity, mask)


def _blur(x: Any) -> Any:
    """Returns `x` `(batch, rows, profiles, 1)` smoothed by a Gaussian window, 0 outside the map."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    gaussian = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    kernel = ops.cast((gaussian / gaussian.sum()).reshape(-1, 1, 1, 1), x.dtype)
    rows = ops.conv(x, kernel, padding="same")
    return ops.conv(rows, ops.transpose(kernel, (1, 0, 2, 3)), padding="same")


class ForecastScore:
    """Continuous ranked probability score of the two-part forecast, in closed form.

    The forecast of z = max(value, floor) has an atom at the floor f. With the probability p of echo
    it is a Laplace distribution of location m and scale b, whose part below f is moved to f. With S
    its survival function and F = 1 - p S above the floor, the integral of (F(x) - [x >= y])^2 over
    x (Hersbach 2000, Eq. 2) is

        CRPS = (y - f) - 2 p (A(f) - A(y)) + p^2 B(f),

    A(x) and B(x) being the integrals of S and S^2 from x upwards. With t = (x - m) / b they are

        A = b (max(-t, 0) + exp(-|t|) / 2),
        B = b exp(-2 t) / 8 for t >= 0 and b (-t - 3/4 + exp(t) - exp(2 t) / 8) for t < 0.

    Args:
        floor_unit: Floor f [network units].
    """

    def __init__(self, floor_unit: float) -> None:
        self.floor_unit = floor_unit
        self.__name__ = "forecast_score"

    def __call__(self, target: Any, prediction: Any) -> Any:
        """Returns the mean score over masked pixels, in network units.

        Args:
            target: Value, with -1 for clear sky, and mask, `(..., 2)`.
            prediction: Logit of echo, location, log scale, `(..., 3)`.
        """
        value, mask = ops.maximum(target[..., 0], self.floor_unit), target[..., 1]
        p = ops.sigmoid(prediction[..., 0])
        location = prediction[..., 1]
        scale = ops.exp(ops.clip(prediction[..., 2], *LOG_SCALE_LIMITS))
        floor = (self.floor_unit - location) / scale
        above = _survival_area(floor) - _survival_area((value - location) / scale)
        score = (
            value
            - self.floor_unit
            - 2 * p * scale * above
            + p * p * scale * _squared_survival_area(floor)
        )
        return _masked_mean(score, mask)


def _survival_area(t: Any) -> Any:
    """Returns the integral of the standard Laplace survival function from `t` upwards."""
    return ops.relu(-t) + 0.5 * ops.exp(-ops.abs(t))


def _squared_survival_area(t: Any) -> Any:
    """Returns the integral of the squared survival function from `t` upwards."""
    decay = ops.exp(-ops.abs(t))
    return ops.where(t >= 0, decay * decay / 8, -t - 0.75 + decay - decay * decay / 8)


class FairScore:
    """Fair continuous ranked probability score of K forward passes with dropout.

    mean |x_i - y| - sum |x_i - x_j| / (2 K (K - 1)) on max(value, floor) (Ferro 2014, doi
    10.1002/qj.2270). Unlike the score of an ensemble, its expected value does not depend on K, so
    that few passes train the spread of many. x_i of the single head is its value. x_i of the
    two-part forecast is drawn from it, at a random level of each pixel.

    Args:
        realizations: Number K of adjacent entries of the batch that are passes of one window.
        floor_unit: Floor [network units].
    """

    def __init__(self, realizations: int, floor_unit: float) -> None:
        self.realizations = realizations
        self.floor_unit = floor_unit
        self.seeds = keras.random.SeedGenerator(0)
        self.__name__ = "fair_score"

    def __call__(self, target: Any, prediction: Any) -> Any:
        """Returns the mean score over masked pixels, in network units.

        Args:
            target: Value, with -1 for clear sky, and mask, `(K batch, rows, profiles, 2)`.
            prediction: Value, `(K batch, rows, profiles, 1)`, or logit of echo, location, log
                scale, `(..., 3)`.
        """
        drawn = prediction[..., 0]
        if prediction.shape[-1] == 3:
            level = keras.random.uniform(ops.shape(drawn), dtype=drawn.dtype, seed=self.seeds)
            drawn = forecast_quantile(prediction, level, self.floor_unit)
        drawn = ops.maximum(drawn, self.floor_unit)
        # (window, pass, row, profile)
        each = ops.reshape(drawn, (-1, self.realizations, *drawn.shape[1:]))
        target = target[:: self.realizations]
        value, mask = ops.maximum(target[..., 0], self.floor_unit), target[..., 1]
        error = ops.mean(ops.abs(each - value[:, None]), axis=1)
        pairs = ops.mean(ops.abs(each[:, :, None] - each[:, None]), axis=(1, 2))
        spread = pairs * self.realizations / (self.realizations - 1)
        return _masked_mean(error - 0.5 * spread, mask)


def forecast_quantile(prediction: Any, level: Any, floor_unit: float) -> Any:
    """Returns the quantile [network units] of the two-part forecast of max(value, floor).

    Up to the level 1 - p there is the atom at the floor. The Laplace distribution above it begins
    at the floor too, so that the value is continuous in logit, location and scale. This is
    `core.two_part_distribution.quantile` with a Laplace echo part, in differentiable operations.

    Args:
        prediction: Logit of echo, location, log scale, `(..., 3)`.
        level: Probability, 0 to 1, `(...)`.
        floor_unit: Floor [network units].
    """
    p = ops.sigmoid(prediction[..., 0])
    scale = ops.exp(ops.clip(prediction[..., 2], *LOG_SCALE_LIMITS))
    exceedance = ops.clip((1.0 - level) / ops.maximum(p, 1e-6), 1e-6, 1.0 - 1e-6)
    # Quantile function of the standard Laplace distribution at 1 - exceedance. Both sides of the
    # choice are finite, or the gradient of the one that is not chosen would be NaN.
    residual = ops.where(exceedance < 0.5, -ops.log(2 * exceedance), ops.log(2 * (1 - exceedance)))
    echo = ops.maximum(prediction[..., 1] + scale * residual, floor_unit)
    return ops.where(1.0 - level < p, echo, floor_unit)


def _masked_mean(x: Any, mask: Any) -> Any:
    """Returns the mean of `x` over masked pixels."""
    return ops.sum(mask * x) / ops.maximum(ops.sum(mask), 1.0)
