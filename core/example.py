"""Example: one training window, which pipeline makes and models are trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Example(NamedTuple):
    """Network input of one window and its targets."""

    inputs: np.ndarray
    """Channels in network units, float32 `(height, time, channel)`."""
    targets: dict[str, np.ndarray]
    """By name of the output, value and mask, float32 `(output row, time, 2)`."""
