"""Output of a network for one window: what models give and pipeline takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class WindowPrediction:
    """Prediction of one window, over all forward passes.

    Attributes:
        probability: Probability of echo, the mean over the passes, `(hidden row, time)`.
        intensity: Quantiles of reflectivity given echo [network units], in increasing order and at
            the levels (k - 1/2) / K, `(hidden row, time, K)`.
        used: Number of forward passes behind it.
        scale: Of a single pass without dropout, the mean absolute deviation of reflectivity given
            echo [network units], `(hidden row, time)`: a Laplace distribution about the one value
            of `intensity`, its median. None if the quantiles are the distribution.
    """

    probability: np.ndarray
    intensity: np.ndarray
    used: int = 0
    scale: np.ndarray | None = None
