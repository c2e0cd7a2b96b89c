"""Pixel shuffle: its order, and its start without a chequerboard."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.pixel_shuffle import SameForSubPixels, shuffle_pixels


def test_the_order_is_that_of_tensorflow() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 8)).astype(np.float32)
    np.testing.assert_array_equal(shuffle_pixels(x), tf.nn.depth_to_space(x, 2))


def test_untrained_it_is_a_nearest_up_sampling_of_a_convolution() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    layer = keras.layers.Conv2D(8, 1, kernel_initializer=SameForSubPixels())
    fine = np.asarray(shuffle_pixels(layer(x)))
    kernel = layer.get_weights()[0]
    coarse = np.einsum("bhwc,cf->bhwf", x, kernel[0, 0, :, :2])
    assert coarse.std() > 0.1
    np.testing.assert_allclose(fine, coarse.repeat(2, axis=1).repeat(2, axis=2), atol=1e-6)


def test_the_start_is_stored_with_its_seed() -> None:
    again = SameForSubPixels.from_config(SameForSubPixels(seed=3).get_config())
    np.testing.assert_array_equal(again((1, 1, 2, 8)), SameForSubPixels(seed=3)((1, 1, 2, 8)))
