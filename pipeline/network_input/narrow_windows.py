"""Training windows of fewer profiles, cut out of wider ones, for a stage on less context."""

from __future__ import annotations

from blindzone.core.example import Example
from blindzone.pipeline.network_input.training_windows import NumberedWindows


class NarrowWindows(NumberedWindows):
    """One part of each wide window: the first of the first, the second of the second, ...

    Parts of one window are too alike to be in one batch, and a step costs more than a draw.

    Args:
        wide: The wide windows.
        profiles: Profiles of a part; a divisor of theirs.
    """

    def __init__(self, wide: NumberedWindows, profiles: int) -> None:
        self.wide = wide
        self.profiles = profiles

    def draw_one(self, seed: int, number: int) -> Example:
        """Returns the window of a number in the sequence of a seed."""
        parts = part_window(self.wide.draw_one(seed, number), self.profiles)
        return parts[number % len(parts)]


def part_window(example: Example, profiles: int) -> list[Example]:
    """Returns a window parted into windows of so many profiles, in order of time."""
    width = example.inputs.shape[1]
    spans = [slice(start, start + profiles) for start in range(0, width, profiles)]
    return [
        Example(
            example.inputs[:, span],
            {name: target[:, span] for name, target in example.targets.items()},
        )
        for span in spans
    ]
