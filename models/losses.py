"""Losses over the two heads; pixels outside the mask enter none.

Targets and predictions are `(batch, rows, profiles, channel)`. A target carries its mask as its last channel, so that a
loss needs nothing but its two arguments. The mask is 1 where a pixel counts and 0 elsewhere. The two likelihoods are
means over *all* pixels of the map, masked or not: their sum is the negative log-likelihood of a pixel, and a batch with
little echo does not shout.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

LOG_SCALE_LIMITS = (-5.0, 1.0)
"""Bounds of the log scale in network units (0.4 to 163 dB at 60 dB a unit): a guard against collapse."""


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

    With location m and scale b, -log f = |y - m| / b + log(2 b). Its optimum in m is the median, as for the absolute
    error; b says how large an error to expect (Kendall and Gal 2017, arXiv 1703.04977).

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
    return ops.mean(mask * (ops.maximum(logit, 0.0) - logit * echo + ops.log1p(ops.exp(-ops.abs(logit)))))
