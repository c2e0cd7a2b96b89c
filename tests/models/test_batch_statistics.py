"""Statistics of batch normalisation, settled for weights as they are."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from blindzone.core.example import Example
from blindzone.models.batch_statistics import BATCHES, has_statistics, settle_statistics


def draw(first: int) -> Iterator[Example]:
    """Windows of a single value, that of their number."""
    number = first
    while True:
        yield Example(np.full((2, 2, 1), number, np.float32), {})
        number += 1


def test_statistics_become_means_over_batches_and_all_else_stays(eager: None) -> None:
    x = curtain = keras.Input((2, 2, 1))
    x = keras.layers.BatchNormalization(momentum=0.98, name="settled")(x)
    x = keras.layers.BatchNormalization(momentum=0.98, name="frozen")(x)
    network = keras.Model(curtain, keras.layers.Dropout(0.5)(x))
    layer, frozen = (network.get_layer(name) for name in ("settled", "frozen"))
    frozen.trainable = False
    settle_statistics(network, draw, 2)
    # Batches are (0, 1), (2, 3), ...: means 0.5, 2.5, ..., each with the variance 0.25.
    np.testing.assert_allclose(layer.moving_mean, BATCHES - 0.5, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.25, rtol=1e-3)
    assert layer.momentum == 0.98
    np.testing.assert_array_equal(layer.gamma, 1)
    np.testing.assert_array_equal(frozen.moving_mean, 0)


def test_network_without_statistics_draws_nothing() -> None:
    curtain = keras.Input((2, 2, 1))
    network = keras.Model(curtain, keras.layers.Conv2D(1, 1)(curtain))
    assert not any(map(has_statistics, network.layers))

    def fail(first: int) -> Iterator[Example]:
        raise AssertionError

    settle_statistics(network, fail, 2)
