"""The building blocks of UNet3+: convolution blocks, resampling, and the count of rows that each needs.

Arrays are `(batch, height, time, channel)`; row 0 lies on the ground.
"""

from __future__ import annotations

from typing import Any

import keras

BATCH_NORMALIZATION_MOMENTUM = 0.98
"""Moving statistics over about fifty batches: scenes differ so much that ten batches would be mostly chance."""


def convolution_block(x: Any, filters: int, kernel_size: int, l2: float, name: str) -> Any:
    """Returns convolution, batch normalisation and ReLU applied to `x`; He-normal start (He et al. 2015)."""
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,  # batch normalisation brings its own
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        name=f"{name}_convolution",
    )(x)
    x = keras.layers.BatchNormalization(momentum=BATCH_NORMALIZATION_MOMENTUM, name=f"{name}_normalization")(x)
    return keras.layers.ReLU(name=f"{name}_activation")(x)


def keep_rows(x: Any, rows: int) -> Any:
    """Returns the lowest `rows` rows of `x`."""
    # Split, not Cropping2D: the gradient of the strided slice behind it took a quarter of a training step on a CPU.
    return keras.ops.split(x, [rows], axis=1)[0] if x.shape[1] > rows else x


def up_sample(x: Any, factor: int, interpolation: str, name: str) -> Any:
    """Returns `x` with both axes finer by `factor`."""
    if factor == 1:
        return x
    return keras.layers.UpSampling2D(factor, interpolation=interpolation, name=f"{name}_up")(x)


def pool(x: Any, factor: int, name: str) -> Any:
    """Returns the maximum of `x` over squares of `factor` pixels."""
    return x if factor == 1 else keras.layers.MaxPooling2D(factor, name=f"{name}_pool")(x)


def rows_before_convolution(rows: int, kernel_size: int, available: int) -> int:
    """Returns how many rows a convolution must see for its lowest `rows` rows to be exact."""
    return min(available, rows + kernel_size // 2)


def rows_before_up_sampling(rows: int, factor: int, available: int) -> int:
    """Returns how many coarse rows give `rows` fine ones: one more than they cover, for the interpolation."""
    return min(available, -(-rows // factor) + (1 if factor > 1 else 0))
