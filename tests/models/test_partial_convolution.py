"""Partial convolution: its arithmetic, by a loop over pixels and by what must never matter."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.partial_convolution import (
    PartialConvolution,
    PartialMap,
    find_ratio,
    hide_unknown,
    join_partial,
)

RANDOM = np.random.default_rng(7)


def convolve(x: Any, known: Any, kernel_size: int = 3, strides: int = 1) -> tuple[Any, Any, Any]:
    """A layer with random weights, and what it gives."""
    layer = PartialConvolution(4, kernel_size, strides=strides)
    layer.build(x.shape, known.shape)
    layer.set_weights([RANDOM.normal(size=weight.shape) for weight in layer.weights])
    y, found = layer(x, known)
    return layer, np.asarray(y), np.asarray(found)


def draw(channels: int = 3, rows: int = 8, profiles: int = 12) -> np.ndarray:
    return RANDOM.normal(size=(2, rows, profiles, channels)).astype(np.float32)


def test_a_full_mask_gives_a_convolution() -> None:
    x = draw()
    layer, y, found = convolve(x, np.ones_like(x))
    expected = np.asarray(keras.ops.conv(x, layer.kernel, 1, "valid") + layer.bias)
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], expected, atol=1e-6, rtol=1e-6)
    assert found.shape == (2, 8, 12, 1)
    assert found.all()


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 1), (5, 2), (7, 2)])
@pytest.mark.parametrize("channels_of_mask", [1, 3])
def test_it_is_the_published_sum_in_every_pixel(
    kernel_size: int, strides: int, channels_of_mask: int
) -> None:
    x = draw()
    known = (RANDOM.random((2, 8, 12, channels_of_mask)) < 0.2).astype(np.float32)
    known[:, :, :6] = 0
    layer, y, found = convolve(x, known, kernel_size, strides)
    kernel, bias = (weights.astype(np.float64) for weights in layer.get_weights())
    mask = np.broadcast_to(known, x.shape)
    before = (kernel_size - strides) // 2
    around = ((0, 0), (before, kernel_size), (before, kernel_size), (0, 0))
    values, masks = np.pad(x * mask, around), np.pad(mask, around)
    for batch, row, profile in np.ndindex(*y.shape[:3]):
        window = np.s_[
            batch,
            row * strides : row * strides + kernel_size,
            profile * strides : profile * strides + kernel_size,
        ]
        known_there = masks[window].sum()
        expected = np.zeros(4)
        if known_there:
            # sum(1) counts all channels, and pixels beyond the map too.
            ratio = 3 * kernel_size**2 / known_there
            expected = np.einsum("hwc,hwcf->f", values[window], kernel) * ratio + bias
        np.testing.assert_allclose(y[batch, row, profile], expected, atol=1e-5, rtol=1e-5)
        assert found[batch, row, profile, 0] == (known_there > 0)


@pytest.mark.parametrize("junk", [1e9, np.inf, np.nan])
def test_values_under_the_mask_never_matter(junk: float) -> None:
    x = draw()
    known = (RANDOM.random(x.shape) < 0.5).astype(np.float32)
    layer, y, _ = convolve(x, known)
    again, _ = layer(np.where(known > 0, x, np.float32(junk)), known)
    np.testing.assert_array_equal(np.asarray(again), y)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_what_is_known_grows_by_the_radius_of_the_kernel(kernel_size: int) -> None:
    known = np.zeros((1, 20, 24, 1), np.float32)
    known[0, 10, 12] = 1
    _, found = find_ratio(known, kernel_size, 1)
    radius = kernel_size // 2
    expected = np.zeros((20, 24), bool)
    expected[10 - radius : 11 + radius, 12 - radius : 13 + radius] = True
    np.testing.assert_array_equal(np.asarray(found)[0, ..., 0] > 0, expected)


def test_of_a_map_that_is_all_hole_nothing_is_known_and_all_is_zero() -> None:
    x = draw()
    _, y, found = convolve(x, np.zeros_like(x[..., :1]))
    assert not y.any()
    assert not found.any()


def test_gradients_are_finite_where_nothing_is_known() -> None:
    import tensorflow as tf

    x = tf.constant(draw())
    known = np.zeros((2, 8, 12, 1), np.float32)
    known[:, 0, 0] = 1
    layer = PartialConvolution(4, 3)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, known)[0])
    gradients = tape.gradient(total, [x, layer.kernel])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][:, 1:].numpy().any()


def test_maps_with_different_masks_are_joined_by_the_share_of_their_channels() -> None:
    known = np.zeros((2, 8, 12, 1), np.float32)
    one = PartialMap(values=draw(1), known=known)
    other = PartialMap(values=draw(3), known=np.ones_like(known))
    x, share = join_partial([one, other], "x")
    assert x.shape == (2, 8, 12, 4)
    np.testing.assert_allclose(share, np.full(known.shape, 0.75))
    assert join_partial([one], "x")[1] is known


def test_holes_of_a_curtain_are_its_hidden_pixels() -> None:
    curtain = draw(3)
    curtain[..., 1] = 0.5
    curtain[:, :2, :, 1] = 1
    curtain[:, :2, :, 0] = np.nan
    hidden = hide_unknown(curtain)
    np.testing.assert_array_equal(np.asarray(hidden.known)[0, :, 0, 0], [0, 0, 1, 1, 1, 1, 1, 1])
    assert not np.asarray(hidden.values)[:, :2].any()
    np.testing.assert_array_equal(np.asarray(hidden.values)[:, 2:], curtain[:, 2:])
    assert np.asarray(hide_unknown(curtain[..., :1]).known).all()  # without a soft mask


def test_it_is_stored_with_its_arguments() -> None:
    layer = PartialConvolution(4, 5, strides=2, use_bias=False, l2=0.1)
    again = PartialConvolution.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
