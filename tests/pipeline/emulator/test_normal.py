"""The normal distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blindzone.pipeline.emulator.normal import integrate_normal


def test_shares_are_those_of_the_error_function() -> None:
    offsets = np.array([-np.inf, -1.0, 0.0, 2.0, np.inf])
    expected = [(1 + math.erf(offset / math.sqrt(2))) / 2 for offset in offsets]
    assert integrate_normal(offsets) == pytest.approx(expected)
