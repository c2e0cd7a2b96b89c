"""The stream of training windows: checked, stacked into batches, and drawn while a step runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf

from blindzone.core.errors import TrainingError
from blindzone.core.example import Example
from blindzone.models.losses import route_targets

Batch = tuple[np.ndarray, dict[str, np.ndarray]]
"""Inputs `(example, height, time, channel)` and, by name, targets `(example, output row, time, 2)`:
value and mask."""

BATCHES_AHEAD = 4
"""Batches drawn ahead: about 4 MB each, enough to bridge a slow read."""

ECHO_WITHIN = 500
"""Windows among which at least one must hold echo: of samplers that draw cloudy ones, most do."""


def batch_windows(
    windows: Callable[[int], Iterator[Example]], first: int, like: Batch, batch_size: int
) -> Iterator[Any]:
    """Yields batches of windows in the order in which they are drawn.

    They are dealt out to the devices of the scope.

    Args:
        windows: Gives the stream from the window of a number on.
        first: Number of the first window.
        like: Stacked examples as `stack_examples` gives them, with the targets that a batch is to
            hold.
        batch_size: Windows a batch.

    Raises:
        TrainingError: If the stream ends, breaks off, or holds windows that cannot be trained on.
    """
    failures: list[Exception] = []

    def draw() -> Iterator[Batch]:
        # TensorFlow passes on no more of an error than its text amid stack traces, so it is kept
        # here.
        try:
            stream = check_windows(windows(first), first)
            # Stacked here: what TensorFlow takes over one by one costs it several times what a
            # window costs to draw.
            while len(batch := list(islice(stream, batch_size))) == batch_size:
                yield stack_examples(batch, like[1])
        except Exception as error:
            failures.append(error)
            raise

    signature = (
        tf.TensorSpec((batch_size, *like[0].shape[1:]), tf.float32),
        {
            name: tf.TensorSpec((batch_size, *target.shape[1:]), tf.float32)
            for name, target in like[1].items()
        },
    )
    batches = tf.data.Dataset.from_generator(draw, output_signature=signature).prefetch(
        BATCHES_AHEAD
    )
    try:
        yield from tf.distribute.get_strategy().experimental_distribute_dataset(batches)
    except tf.errors.OpError as error:
        raise TrainingError(str(failures[0] if failures else error.message)) from error
    raise TrainingError("the stream of windows ended; one without end is right")


def check_windows(windows: Iterator[Example], first: int) -> Iterator[Example]:
    """Yields windows, each checked.

    Raises:
        TrainingError: If one holds a value that is not finite, or none of many holds echo.
    """
    holds_echo = False
    for number, example in enumerate(windows, start=first):
        inputs, targets = example
        for name, values in (("network input", inputs), *targets.items()):
            if not np.isfinite(values).all():
                row, profile, channel = np.argwhere(~np.isfinite(values))[0]
                raise TrainingError(
                    f"window {number} holds values that are not finite: {name}, row {row}, profile"
                    f" {profile}, channel {channel} is {values[row, profile, channel]}"
                )
        echo, counts = np.moveaxis(targets["occurrence"], -1, 0)
        holds_echo = holds_echo or bool((echo * counts).any())
        if not holds_echo and number - first >= ECHO_WITHIN:
            raise TrainingError(
                f"none of {ECHO_WITHIN} windows holds any echo where the truth is trusted; a"
                " network cannot learn from clear sky alone"
            )
        yield example


def stack_examples(examples: list[Example], outputs: Iterable[str]) -> Batch:
    """Returns examples as one batch `(example, ...)`, with the target of each output.

    Args:
        examples: The examples.
        outputs: Names of the network's outputs.
    """
    targets = {name: np.stack([target[name] for _, target in examples]) for name in examples[0][1]}
    return np.stack([inputs for inputs, _ in examples]), route_targets(targets, outputs)
