"""The normal distribution, of which pulses and antennas are made."""

from __future__ import annotations

import numpy as np


def integrate_normal(offset: np.ndarray | float) -> np.ndarray:
    """Returns the share of a standard normal distribution below an offset, of any shape."""
    # Late: every command imports the sensors, and SciPy takes a quarter of its start.
    from scipy.special import ndtr

    return np.asarray(ndtr(offset))
