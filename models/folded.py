"""Convolution, normalisation and ReLU of inference: one layer, fewer rows and products.

Statistics of batch normalisation are constant at inference. So it is one factor and one offset per
channel, and both go into the convolution before it, which is exact. A 3 x 3 convolution of many
channels is then taken apart along time as in Winograd (1980) and Lavin and Gray (2016, arXiv
1509.09308), F(4, 3): each four outputs need six products per channel pair and row of the kernel in
place of twelve, which is the same sum but for rounding.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.network_weights import read_weights

TILE = 4
"""Outputs in time that Winograd's scheme makes at once."""

POINTS = TILE + 2
"""Products per tile."""

BLOCK = 16
"""Outputs that one small matrix carries over and back: a wider one would mostly multiply by
zero."""

FEWEST_CHANNELS = 64
"""With fewer, what is saved in products is lost on the way there and back (measured on two
CPUs)."""

# Lavin and Gray (2016, Sect. 4.3), interpolation points 0, 1, -1, 2, -2 and infinity.
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32
)

_NORMALIZATION = "_normalization"


def fold_normalization(network: keras.Model) -> dict[str, list[np.ndarray]]:
    """Returns the weights of all layers by name, batch normalisation folded into convolutions.

    Where a layer `NAME_normalization` follows the convolution `NAME_convolution`, this has gamma /
    sqrt(variance + epsilon) times its kernel and, as bias, what the normalisation makes of 0. Where
    none does, both stay the normalisation's own, for a `FoldedNormalization`.
    """
    weights = read_weights(network)
    for layer in network.layers:
        if layer.name.endswith(_NORMALIZATION):
            gamma, beta, mean, variance = (
                values.astype(np.float64) for values in weights.pop(layer.name)
            )
            factor = gamma / np.sqrt(variance + layer.get_config()["epsilon"])
            offset = (beta - mean * factor).astype(np.float32)
            name = f"{layer.name.removesuffix(_NORMALIZATION)}_convolution"
            if name in weights:
                (kernel,) = weights[name]  # without a bias: the normalisation brings it
                weights[name] = [(kernel * factor).astype(np.float32), offset]
            else:
                weights[layer.name] = [factor.astype(np.float32), offset]
    return weights


class FoldedConvolution(keras.layers.Layer):  # type: ignore[misc]
    """Convolution, bias and ReLU, with the lowest rows as output.

    Its weights are those of a `Conv2D`. After a change of them `prepare` must be called before the
    next prediction.

    Args:
        filters: Channels of the output.
        kernel_size: Side of the kernel, odd.
        rows: Rows of the output. Where the input map ends within reach of the kernel, zeros
            continue it.
        takes_apart: Whether Winograd's scheme is used where it pays.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        rows: int,
        takes_apart: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.rows = filters, kernel_size, rows
        self.takes_apart = takes_apart

    def build(self, x_shape: Any, fixed_shape: Any = None) -> None:
        """Makes the weights."""
        self._fixed = fixed_shape[-1] if fixed_shape else 0
        shape = (self.kernel_size, self.kernel_size, self._fixed + x_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), name="bias")
        self._is_fast = (
            self.takes_apart
            and self.kernel_size == 3
            and x_shape[2] % TILE == 0
            and min(x_shape[-1], self.filters) >= FEWEST_CHANNELS
        )
        if self._is_fast:  # (kernel row, 1, channel, point and filter)
            fast = np.zeros((3, 1, x_shape[-1], POINTS * self.filters), np.float32)
            self._fast_kernel = tf.Variable(fast, trainable=False)

    def prepare(self) -> None:
        """Prepares the kernel, as it is now, for Winograd's scheme."""
        if self._is_fast:
            kernel = self.kernel.numpy()[:, :, self._fixed :]
            fast = np.einsum("pt,rtcf->rcpf", _KERNEL, kernel)
            self._fast_kernel.assign(fast.reshape(self._fast_kernel.shape))

    def call(self, x: Any, fixed: Any = None) -> Any:
        """Returns the output map, `(pass, rows, profiles, filters)`.

        Args:
            x: Input map, `(pass, input rows, profiles, channels)`.
            fixed: Further channels before those, the same in all passes of a window: `(window,
                input rows, profiles, channels)`. What they add is computed once.
        """
        if fixed is None:
            return tf.nn.relu(self._convolve(x, self.bias))
        same = tf.nn.bias_add(
            self._convolve_directly(fixed, self.kernel[:, :, : self._fixed]), self.bias
        )
        return tf.nn.relu(combine(tf.add, same, self._convolve(x, None)))

    def _convolve(self, x: Any, bias: Any | None) -> Any:
        if self._is_fast:
            return self._convolve_fast(x, bias)
        y = self._convolve_directly(
            x, self.kernel[:, :, self._fixed :] if self._fixed else self.kernel
        )
        return y if bias is None else tf.nn.bias_add(y, bias)

    def _convolve_directly(self, x: Any, kernel: Any) -> Any:
        half = self.kernel_size // 2
        seen = min(x.shape[1], self.rows + half)
        padding = [[0, 0], [half, self.rows + half - seen], [half, half], [0, 0]]
        return tf.nn.conv2d(x[:, :seen], kernel, 1, padding)

    def _convolve_fast(self, x: Any, bias: Any | None) -> Any:
        profiles, channels = x.shape[2:]
        seen = min(x.shape[1], self.rows + 1)
        block = next(
            size
            for size in (BLOCK, 8, TILE)
            if profiles % size == 0 and size <= max(profiles, TILE)
        )
        there, first = _analysis(profiles, block)
        x = x[:, :seen]
        if len(there) > 1:
            x = tf.gather(x, (first[:, None] + np.arange(there.shape[-1])).ravel(), axis=2)
        x = tf.reshape(x, (-1, len(there), there.shape[-1], channels))
        x = tf.reshape(tf.matmul(there, x), (-1, seen, profiles // TILE, POINTS * channels))
        y = tf.nn.conv2d(
            x, self._fast_kernel, 1, [[0, 0], [1, self.rows + 1 - seen], [0, 0], [0, 0]]
        )
        if bias is not None:  # the second point weighs 1 in every output
            none = tf.zeros_like(bias)
            y = tf.nn.bias_add(y, tf.concat([none, bias, none, none, none, none], axis=0))
        y = tf.reshape(y, (-1, block // TILE * POINTS, self.filters))
        back = np.kron(np.eye(block // TILE, dtype=np.float32), _OUTPUT)
        return tf.reshape(tf.matmul(back, y), (-1, self.rows, profiles, self.filters))


class FoldedNormalization(keras.layers.Layer):  # type: ignore[misc]
    """ReLU of a map times a factor plus an offset, both of its channel."""

    def build(self, x_shape: Any) -> None:
        """Makes the weights."""
        self.factor = self.add_weight(shape=x_shape[-1:], name="factor")
        self.offset = self.add_weight(shape=x_shape[-1:], name="offset")

    def call(self, x: Any) -> Any:
        """Returns the map, of the shape of `x`."""
        return tf.nn.relu(x * self.factor + self.offset)


def combine(how: Any, same: Any, own: Any) -> Any:
    """Returns `how(same, own)` of maps.

    Args:
        how: Function of two maps that broadcasts.
        same: The same in all passes of a window, `(window, ...)`, or already of each, `(pass,
            ...)`.
        own: Of each pass, those of one window after those of another, `(pass, ...)`.
    """
    grouped = tf.reshape(own, (tf.shape(same)[0], -1, *own.shape[1:]))
    both = how(same[:, None], grouped)
    return tf.reshape(both, (-1, *both.shape[2:]))


def _analysis(profiles: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the matrices from pixels to the points of each block, `(block, point, pixel)`.

    And the first pixel that each block sees, `(block,)`.
    """
    whole = np.zeros((profiles // TILE * POINTS, profiles + 2), np.float32)
    for tile in range(profiles // TILE):
        whole[tile * POINTS : (tile + 1) * POINTS, tile * TILE : tile * TILE + POINTS] = _INPUT
    whole = whole[:, 1:-1]  # beyond the map there are zeros
    width = min(block + 2, profiles)
    first = np.clip(np.arange(0, profiles, block) - 1, 0, profiles - width)
    points = block // TILE * POINTS
    parts = [
        whole[number * points : (number + 1) * points, at : at + width]
        for number, at in enumerate(first)
    ]
    return np.stack(parts), first
