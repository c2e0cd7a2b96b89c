"""Windows of fewer profiles: parts of wide ones, none of which is lost."""

from __future__ import annotations

import numpy as np

from blindzone.core.example import Example
from blindzone.pipeline.network_input.narrow_windows import NarrowWindows, part_window
from blindzone.pipeline.network_input.training_windows import NumberedWindows


class Counting(NumberedWindows):
    """Windows of 8 profiles that hold their own number, and count profiles as targets."""

    def draw_one(self, seed: int, number: int) -> Example:
        inputs = np.full((4, 8, 2), 100 * seed + number, np.float32)
        return Example(inputs, {"value": np.tile(np.arange(8.0)[None, :, None], (2, 1, 2))})


def test_parts_joined_are_the_window() -> None:
    example = Counting().draw_one(1, 2)
    parts = part_window(example, 2)
    assert [part.inputs.shape for part in parts] == [(4, 2, 2)] * 4
    joined = np.concatenate([part.targets["value"] for part in parts], axis=1)
    np.testing.assert_array_equal(joined, example.targets["value"])


def test_each_wide_window_gives_one_part_in_turn() -> None:
    drawn = [NarrowWindows(Counting(), 4).draw_one(0, number) for number in range(3)]
    assert [part.inputs[0, 0, 0] for part in drawn] == [0, 1, 2]
    assert [part.targets["value"][0, 0, 0] for part in drawn] == [0, 4, 0]
