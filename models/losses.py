"""The losses over the outputs of the network; pixels outside the mask enter none.

Targets and predictions are `(batch, rows, profiles, channel)`. A target carries its mask as its
last channel, so that a loss needs nothing but its two arguments. The mask is 1 where a pixel counts
and 0 elsewhere. Values are in network units. The two likelihoods are means over *all* pixels of the
map, masked or not: their sum is the negative log-likelihood of a pixel, and a batch with little
echo does not shout. The other losses are means over masked pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from blindzone.core.errors import ModelError
from blindzone.models.unet3plus import LOG_SCALE_LIMITS, UNet3PlusConfig, output_names

Loss = Callable[[Any, Any], Any]
"""Takes target and prediction and returns one number."""

CHOICES = {
    "occurrence": ("cross_entropy", "hybrid"),
    "intensity": ("laplace", "absolute_error"),
    "value": ("absolute_error", "fair_crps"),
    "forecast": ("crps", "fair_crps"),
}
"""What the fields of a `LossConfig` that name a loss may say."""

WEIGHTS = (
    "occurrence_weight",
    "intensity_weight",
    "value_weight",
    "forecast_weight",
    "scene_weight",
    "deep_weight",
)

FOCAL_EXPONENT = 2.0
"""Exponent gamma of the focal loss (Lin et al. 2017, doi 10.1109/ICCV.2017.324)."""

SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""C1 and C2 of structural similarity for values from 0 to 1 (Wang et al. 2004, doi
10.1109/TIP.2003.819861)."""

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
"""Side and standard deviation [pixels] of its Gaussian window, from the same source."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Which loss each output has, and how much it counts.

    Attributes:
        occurrence: `cross_entropy`, or `hybrid`: structural similarity, intersection over union and
            focal loss.
        intensity: `laplace` (likelihood of location and scale), or `absolute_error` of the location
            alone.
        value: Of the single head: `absolute_error`, or `fair_crps` over dropout realizations.
        forecast: Of the joint output: `crps` of each pass, or `fair_crps` over dropout
            realizations.
        occurrence_weight: Weight of the occurrence's loss.
        intensity_weight: Weight of the intensity's.
        value_weight: Weight of the single value's.
        forecast_weight: Weight of the joint forecast's.
        scene_weight: Weight of the cross-entropy of "any echo in the blind zone".
        deep_weight: Weight of a head on a decoder stage relative to the next finer one: 1 weighs
            all alike, as Huang et al. (2020) do.
        realizations: Number K of dropout realizations of each window in a batch, which must hold
            the K copies of a window one after the other.
        floor_unit: Sensitivity floor [network units]: forecasts are judged on max(value, floor).
    """

    occurrence: Literal["cross_entropy", "hybrid"] = "cross_entropy"
    intensity: Literal["laplace", "absolute_error"] = "laplace"
    value: Literal["absolute_error", "fair_crps"] = "absolute_error"
    forecast: Literal["crps", "fair_crps"] = "crps"
    occurrence_weight: float = 1.0
    intensity_weight: float = 1.0
    value_weight: float = 1.0
    forecast_weight: float = 1.0
    scene_weight: float = 0.1
    deep_weight: float = 0.5
    realizations: int = 1
    floor_unit: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        for name, allowed in CHOICES.items():
            if (found := getattr(self, name)) not in allowed:
                problems.append(f"{name} must be {' or '.join(allowed)}, found {found!r}")
        weights = {name: getattr(self, name) for name in WEIGHTS}
        problems += [
            f"{name} must be 0 or more and finite, found {weight}"
            for name, weight in weights.items()
            if not 0 <= weight < math.inf
        ]
        if self.realizations < 1:
            problems.append(f"realizations must be 1 or more, found {self.realizations}")
        if "fair_crps" in (self.value, self.forecast) and self.realizations < 2:
            problems.append(f"fair_crps needs at least 2 realizations, found {self.realizations}")
        if not math.isfinite(self.floor_unit):
            problems.append(f"floor_unit must be finite, found {self.floor_unit}")
        if problems:
            raise ModelError(f"loss configuration: {'; '.join(problems)}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values, for JSON."""
        return asdict(self)


def build_losses(
    config: LossConfig, network_config: UNet3PlusConfig
) -> tuple[dict[str, Loss], dict[str, float]]:
    """Returns the loss and the weight of every output of the training network, both by output name.

    Raises:
        ModelError: If a fair score is asked for that no output of the network has.
    """
    outputs = output_names(network_config)
    asked = [name for name in ("value", "forecast") if getattr(config, name) == "fair_crps"]
    if asked and not set(asked) & set(outputs):
        raise ModelError(
            f"fair_crps of {' or '.join(asked)} needs a network with that output, by head='single'"
            f" or joint_forecast=True; its outputs are {', '.join(outputs)}"
        )
    fair = FairScore(config.realizations, config.floor_unit) if config.realizations > 1 else None
    of_kind: dict[str, Any] = {
        "occurrence": {"cross_entropy": masked_cross_entropy, "hybrid": masked_hybrid}[
            config.occurrence
        ],
        "intensity": {"laplace": masked_laplace, "absolute_error": masked_absolute_error}[
            config.intensity
        ],
        "value": {"absolute_error": masked_absolute_error, "fair_crps": fair}[config.value],
        "forecast": {"crps": ForecastScore(config.floor_unit), "fair_crps": fair}[config.forecast],
        "scene": masked_cross_entropy,
    }
    losses, weights = {}, {}
    for name in outputs:
        kind, level = split_name(name)
        losses[name] = of_kind[kind]
        weights[name] = float(getattr(config, f"{kind}_weight") * config.deep_weight**level)
    return losses, weights


def split_name(output: str) -> tuple[str, int]:
    """Returns the kind of an output and the decoder stage that it comes from: `value_2` gives `("value", 2)`."""
    kind, _, level = output.partition("_")
    return kind, int(level or 0)


def route_answers(
    answers: Mapping[str, np.ndarray], outputs: Iterable[str]
) -> dict[str, np.ndarray]:
    """Returns the answer of every output of a network, from the answers of an example or of a batch of them.

    Args:
        answers: `occurrence`, `intensity` and `value`, each `(..., row, time, 2)`: value and mask.
        outputs: Names of the network's outputs.

    Returns:
        By output. That of `scene` is `(..., 2)`: whether any pixel that counts holds echo, and
        whether any counts.

    Raises:
        ModelError: If an output is asked for that no answer serves.
    """
    sources = {
        "occurrence": "occurrence",
        "intensity": "intensity",
        "value": "value",
        "forecast": "value",
    }
    routed = {}
    for name in outputs:
        kind, _ = split_name(name)
        source = "occurrence" if kind == "scene" else sources.get(kind, kind)
        if source not in answers:
            raise ModelError(
                f"the output {name} needs the answer {source!r}; there are {', '.join(answers)}"
            )
        routed[name] = _scene_answer(answers[source]) if kind == "scene" else answers[source]
    return routed


def _scene_answer(occurrence: np.ndarray) -> np.ndarray:
    mask = occurrence[..., 1]
    return np.stack(
        [(occurrence[..., 0] * mask).max(axis=(-2, -1)), mask.max(axis=(-2, -1))], axis=-1
    )


def masked_absolute_error(target: Any, prediction: Any) -> Any:
    """Returns the mean absolute error of channel 0 over masked pixels, in the units of the target (King et al. 2024).

    Args:
        target: Value and mask, `(..., 2)`.
        prediction: Location in channel 0, `(..., 1 or more)`.
    """
    value, mask = target[..., 0], target[..., 1]
    return ops.sum(mask * ops.abs(value - prediction[..., 0])) / ops.maximum(ops.sum(mask), 1.0)


def masked_laplace(target: Any, prediction: Any) -> Any:
    """Returns the negative log-likelihood of a Laplace distribution: absolute error over a spread that is learned too.

    With location m and scale b, -log f = |y - m| / b + log(2 b). Its optimum in m is the median, as
    for the absolute error; b says how large an error to expect (Kendall and Gal 2017, arXiv
    1703.04977).

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
    """Returns structural dissimilarity + 1 - intersection over union + focal loss of the occurrence logit.

    The three look at patches, at the whole map and at pixels, after Huang et al. (2020, Eq. 5).

    Args:
        target: Echo (1 or 0) and mask, `(batch, rows, profiles, 2)`.
        prediction: Logit, `(batch, rows, profiles, 1)`.
    """
    terms = (masked_dissimilarity, masked_overlap_loss, masked_focal)
    return sum(term(target, prediction) for term in terms)


def masked_focal(target: Any, prediction: Any) -> Any:
    """Returns the focal loss, -(1 - q)^2 log q with q the probability given to the truth (Lin et al. 2017, Eq. 4).

    Both classes weigh the same: their factor alpha would move the probabilities.

    Args:
        target: Echo (1 or 0) and mask, `(..., 2)`.
        prediction: Logit, `(..., 1)`.
    """
    echo, mask = target[..., 0], target[..., 1]
    towards_truth = prediction[..., 0] * (2.0 * echo - 1.0)
    focal = ops.sigmoid(-towards_truth) ** FOCAL_EXPONENT * ops.softplus(-towards_truth)
    return _masked_mean(focal, mask)


def masked_overlap_loss(target: Any, prediction: Any) -> Any:
    """Returns 1 - intersection over union of truth and probability, pooled over the batch (Huang et al. 2020).

    One pixel is added to both, so that a batch without echo has a slope too.

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
    """Returns 1 - structural similarity of truth and probability (Wang et al. 2004, doi 10.1109/TIP.2003.819861).

    Means, variances and covariance are those of the masked pixels in a Gaussian window. One scale
    only: a blind zone of 16 rows cannot be halved four times, as the several scales of Huang et al.
    (2020) would need.

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
    """Returns `x` `(batch, rows, profiles, 1)` weighted by a Gaussian window; outside the map there is nothing."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    gaussian = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    kernel = ops.cast((gaussian / gaussian.sum()).reshape(-1, 1, 1, 1), x.dtype)
    rows = ops.conv(x, kernel, padding="same")
    return ops.conv(rows, ops.transpose(kernel, (1, 0, 2, 3)), padding="same")


class ForecastScore:
    """Continuous ranked probability score of the two-part forecast, in closed form.

    The forecast of z = max(value, floor) holds an atom at the floor f and, with the probability p
    of echo, a Laplace distribution of location m and scale b whose part below f lies on f. With S
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
    """Returns the integral of its square."""
    decay = ops.exp(-ops.abs(t))
    return ops.where(t >= 0, decay * decay / 8, -t - 0.75 + decay - decay * decay / 8)


class FairScore:
    """Fair continuous ranked probability score of K dropout realizations (Ferro 2014, doi 10.1002/qj.2270).

    mean |x_i - y| - sum |x_i - x_j| / (2 K (K - 1)) on max(value, floor): unlike the score of an ensemble, its expected
    value does not depend on K, so that few realizations teach the spread of many. A realization of
    the single head is its value. One of the two-part forecast is a draw from it, at a random level
    of each pixel.

    Args:
        realizations: Number K of adjacent entries of the batch that are realizations of one window.
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
        each = ops.reshape(
            drawn, (-1, self.realizations, *drawn.shape[1:])
        )  # (window, realization, row, profile)
        target = target[:: self.realizations]
        value, mask = ops.maximum(target[..., 0], self.floor_unit), target[..., 1]
        error = ops.mean(ops.abs(each - value[:, None]), axis=1)
        pairs = ops.mean(ops.abs(each[:, :, None] - each[:, None]), axis=(1, 2))
        spread = pairs * self.realizations / (self.realizations - 1)
        return _masked_mean(error - 0.5 * spread, mask)


def forecast_quantile(prediction: Any, level: Any, floor_unit: float) -> Any:
    """Returns the value [network units] at a probability level of the two-part forecast of max(value, floor).

    Up to the level 1 - p lies the atom at the floor; the Laplace distribution above it comes out of
    the floor too, so that the value is continuous in logit, location and scale.

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
    return ops.sum(mask * x) / ops.maximum(ops.sum(mask), 1.0)
