from __future__ import annotations

import numpy as np

from blindzone.core.example import Example


def test_an_example_is_a_pair_of_inputs_and_targets() -> None:
    inputs, targets = np.zeros((4, 3, 2)), {"value": np.ones((2, 3, 2))}
    example = Example(inputs, targets)
    assert example == (inputs, targets)
    assert example.inputs is inputs
    assert example.targets is targets
