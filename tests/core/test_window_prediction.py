"""The prediction of a window is a value: it cannot be changed by who takes it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from blindzone.core.window_prediction import WindowPrediction


def test_prediction_is_frozen_and_counts_no_pass_by_default() -> None:
    prediction = WindowPrediction(probability=np.zeros((2, 3)), intensity=np.zeros((2, 3, 4)))
    assert prediction.used == 0
    with pytest.raises(FrozenInstanceError):
        prediction.used = 3  # type: ignore[misc]
