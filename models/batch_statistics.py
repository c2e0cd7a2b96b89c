"""The statistics of batch normalisation: which layers have them, and how they are settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import keras
import tensorflow as tf

from blindzone.core.example import Example

BATCHES = 16
"""Batches over which statistics are settled: of some hundred windows, a mean is steady enough."""


def has_statistics(layer: Any) -> bool:
    """Returns whether a layer normalises by statistics of the batch in training."""
    return hasattr(layer, "moving_mean")


def settle_statistics(
    network: keras.Model, windows: Callable[[int], Iterator[Example]], batch_size: int
) -> None:
    """Sets moving statistics to means over batches, for the weights as they are.

    In training they follow the weights over some fifty batches. A stage that freezes them would
    begin with statistics of weights that are no more, and its loss with a jump. Wu and Johnson
    (2021, arXiv 2105.07576) average over batches too.

    Args:
        network: The network; layers whose statistics were frozen in training stay as they are.
        windows: The training windows, from the one of a number on.
        batch_size: Windows a batch.
    """
    layers = [layer for layer in network.layers if has_statistics(layer) and layer.trainable]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    drawn, strategy = windows(0), tf.distribute.get_strategy()
    for number in range(BATCHES):
        for layer in layers:
            layer.momentum = number / (number + 1)  # a mean of all batches so far
        inputs = keras.ops.stack([curtain for curtain, _ in islice(drawn, batch_size)])
        strategy.run(network, args=(inputs,), kwargs={"training": True})
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
