"""Partial convolution (Liu et al. 2018, arXiv 1804.07723): a convolution of what is known alone.

With kernel W, bias b, image X and its mask M, 1 where a value is known, a pixel of the result is

    x' = W^T (X . M) sum(1) / sum(M) + b  where sum(M) > 0, else 0;    m' = [sum(M) > 0].

The sums go over the kernel's window and all channels (their Eqs. 1 and 2). Beyond the map nothing
is known. So values under the mask never reach the result, and holes shrink by the kernel's radius.

Channels of one map share its mask. Then only the *share* of known channels matters to the sums, and
a mask is one channel, of 0 and 1, or of that share where maps with different masks are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from blindzone.models.blocks import convolution_options

LEAK = 0.2
"""Slope of the activation below 0, from the same source."""


@dataclass(frozen=True, kw_only=True)
class PartialMap:
    """A map with holes.

    Attributes:
        values: `(batch, rows, profiles, channels)`, 0 in holes.
        known: 1 where they are known and 0 in holes, `(batch, rows, profiles, 1)`.
    """

    values: Any
    known: Any

    def with_values(self, values: Any) -> PartialMap:
        """Returns the same holes in other values."""
        return replace(self, values=values)


@keras.saving.register_keras_serializable(package="blindzone")
class PartialConvolution(keras.layers.Layer):  # type: ignore[misc]
    """A convolution of the known pixels, with the weights of a `Conv2D`.

    Args:
        filters: Channels that leave.
        kernel_size: Side of the kernel, odd.
        strides: Distance of the pixels that leave, in pixels that enter.
        use_bias: Whether a bias is added, after the ratio of sums.
        l2: Weight of the squared kernel in the loss.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        use_bias: bool = True,
        l2: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.use_bias, self.l2 = use_bias, l2

    def build(self, x_shape: Any, known_shape: Any) -> None:
        """Makes the weights."""
        options = convolution_options(self.l2, self.name, self.use_bias)
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, x_shape[-1], self.filters),
            initializer=options["kernel_initializer"],
            regularizer=options["kernel_regularizer"],
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x: Any, known: Any) -> tuple[Any, Any]:
        """Returns the result `(batch, rows, profiles, filters)` and what of it is known.

        Args:
            x: Map `(batch, rows, profiles, channels)`; it may hold anything in holes, NaN too.
            known: 1 where known, else 0, `(batch, rows, profiles, 1 or channels)`.
        """
        ratio, found = find_ratio(known, self.kernel_size, self.strides)
        y = self._convolve(keras.ops.where(known > 0, x, keras.ops.zeros_like(x))) * ratio
        return (y + self.bias * found if self.use_bias else y), found

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        names = ("filters", "kernel_size", "strides", "use_bias", "l2")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _convolve(self, x: Any) -> Any:
        return keras.ops.conv(x, self.kernel, self.strides, "same")


def find_ratio(known: Any, kernel_size: int, strides: int) -> tuple[Any, Any]:
    """Returns sum(1) / sum(M) of each window, 0 where nothing is known, and whether anything is.

    Args:
        known: Mask `(batch, rows, profiles, channels)`, or the share of known channels.
        kernel_size: Side of the window, odd.
        strides: Distance between windows; it divides rows and profiles.

    Returns:
        Two arrays `(batch, rows, profiles, 1)`.
    """
    ops = keras.ops
    share = ops.mean(known, axis=-1, keepdims=True) if known.shape[-1] > 1 else known
    beyond = kernel_size - strides  # pixels beyond the map, as a convolution pads it
    around = (beyond // 2, beyond - beyond // 2)
    padded = ops.pad(share, ((0, 0), around, around, (0, 0)))
    mean = ops.average_pool(padded, kernel_size, strides, "valid")
    found = ops.cast(mean > 0, mean.dtype)
    # Both sides of a choice must be finite, or its gradient is not.
    return found / ops.where(mean > 0, mean, ops.ones_like(mean)), found


def join_partial(maps: Sequence[PartialMap], name: str) -> tuple[Any, Any]:
    """Returns the values of maps as channels of one, and the share of its known channels."""
    if len(maps) == 1:
        return maps[0].values, maps[0].known
    channels = sum(each.values.shape[-1] for each in maps)
    share = sum(each.known * (each.values.shape[-1] / channels) for each in maps)
    values = [each.values for each in maps]
    return keras.layers.Concatenate(name=f"{name}_scales")(values), share


def hide_unknown(curtain: Any) -> PartialMap:
    """Returns a curtain as a map whose holes are its hidden pixels.

    A pixel was observed where the soft mask, channel 1, is below 1; without that channel all were.
    """
    ops = keras.ops
    if curtain.shape[-1] < 2:
        return PartialMap(values=curtain, known=ops.ones_like(curtain))
    known = ops.cast(curtain[..., 1:2] < 1, curtain.dtype)
    return PartialMap(values=ops.where(known > 0, curtain, ops.zeros_like(curtain)), known=known)
