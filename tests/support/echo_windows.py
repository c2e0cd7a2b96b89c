"""Training windows of 8 x 16 pixels whose lowest two rows are hidden, echo where they exceed 0."""

from __future__ import annotations

import numpy as np

from blindzone.core.example import Example


def make_echo_window(number: int, mean: float = 0.0) -> Example:
    """Returns the window of a number; the intensity is the input, which has a mean, less that."""
    random = np.random.default_rng([7, number])
    curtain = random.normal(mean, 1, (8, 16, 2)).astype(np.float32)
    curtain[..., 1] = (np.arange(8) < 2)[:, None]
    value = curtain[:2, :, 0] - mean
    echo, mask = (value > 0).astype(np.float32), np.ones((2, 16), np.float32)
    return Example(
        curtain,
        {
            "occurrence": np.stack([echo, mask], axis=-1),
            "intensity": np.stack([value * echo, echo], axis=-1),
            "value": np.stack([np.where(echo > 0, value, np.float32(-1)), mask], axis=-1),
        },
    )
