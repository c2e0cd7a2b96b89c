"""The building blocks of networks: convolution, resampling, and the rows that each needs.

Arrays are `(batch, height, time, channel)`; row 0 is on the ground.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

BATCH_NORMALIZATION_MOMENTUM = 0.98
"""Moving statistics over about fifty batches: scenes differ so much that ten batches would be
mostly chance."""

HE_NORMAL = "he_normal"
"""How kernels start (He et al. 2015, doi 10.1109/ICCV.2015.123)."""


def convolution_block(
    x: Any,
    filters: int,
    kernel_size: int,
    l2: float,
    name: str,
    normalization: str = "batch",
    rows: int | None = None,
    initializer: Any = HE_NORMAL,
) -> Any:
    """Returns the lowest `rows` rows of convolution, normalisation and ReLU of `x`.

    The other rows are left out before the normalisation: its statistics know none that is not
    exact.
    """
    has_bias = normalization == "none"
    x = convolution(x, filters, kernel_size, l2, name, has_bias, initializer)
    return activate(x if rows is None else keep_rows(x, rows), name, normalization)


def convolution(
    x: Any,
    filters: int,
    kernel_size: int,
    l2: float,
    name: str,
    has_bias: bool,
    initializer: Any = HE_NORMAL,
) -> Any:
    """Returns the convolution of `x`."""
    options = convolution_options(l2, name, has_bias, initializer)
    return keras.layers.Conv2D(filters, kernel_size, **options)(x)


def convolution_options(
    l2: float, name: str, has_bias: bool, initializer: Any = HE_NORMAL
) -> dict[str, Any]:
    """Returns the options that all convolutions have in common."""
    return {
        "padding": "same",
        "use_bias": has_bias,
        "kernel_initializer": initializer,
        "kernel_regularizer": keras.regularizers.L2(l2) if l2 else None,
        "name": f"{name}_convolution",
    }


def activate(x: Any, name: str, normalization: str) -> Any:
    """Returns ReLU of `x`, normalised before if `normalization` is `batch`.

    Batch normalisation brings a bias of its own; it follows the convolution at once, so that it can
    be folded into it.
    """
    if normalization == "batch":
        x = keras.layers.BatchNormalization(
            momentum=BATCH_NORMALIZATION_MOMENTUM, name=f"{name}_normalization"
        )(x)
    return keras.layers.ReLU(name=f"{name}_activation")(x)


@keras.saving.register_keras_serializable(package="blindzone")
class UpSampledConvolution(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution of a map that is up-sampled first, without ever making the fine map.

    Up-sampling mixes pixels and a kernel's tap mixes channels, so either may come first. Here the
    channels are mixed on the coarse map, at once for all taps; then one matrix along each axis
    interpolates, shifts and adds up. That is the same sum in another order, with the weights of a
    `Conv2D`, at a small part of the cost.

    Args:
        filters: Channels that leave.
        kernel_size: Side of the kernel, odd.
        factor: How much finer both axes become.
        rows: Rows that leave, the lowest of the fine map.
        interpolation: `bilinear` or `nearest`, as in `UpSampling2D`.
        options: Those of a `Conv2D`, with padding `same`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        factor: int,
        rows: int,
        interpolation: str,
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **options)
        self.factor = factor
        self.rows = rows
        self.interpolation = interpolation

    def call(self, x: Any) -> Any:
        """Returns the convolution of the up-sampled `x`.

        Its shape is `(batch, rows, factor * profiles, filters)`.
        """
        ops, taps = keras.ops, self.kernel_size[0]
        _, coarse_rows, coarse_profiles, channels = x.shape
        profiles = coarse_profiles * self.factor
        along_rows = self._matrix(coarse_rows, self.rows)  # (row, tap, coarse row)
        along_time = self._matrix(coarse_profiles, profiles).swapaxes(
            1, 2
        )  # (profile, coarse profile, tap)
        # (row tap, channel, profile tap and filter)
        kernels = ops.reshape(
            ops.transpose(self.kernel, (0, 2, 1, 3)), (taps, channels, taps * self.filters)
        )
        pixels = ops.reshape(x, (-1, channels))
        mixed = [
            ops.reshape(
                ops.matmul(pixels, kernels[tap]),
                (-1, coarse_rows, coarse_profiles * taps * self.filters),
            )
            for tap in range(taps)
        ]
        fine = ops.matmul(
            self._flat(along_rows), ops.concatenate(mixed, axis=1)
        )  # (batch, row, the rest)
        fine = ops.reshape(
            fine, (-1, coarse_profiles * taps, self.filters)
        )  # (batch row, profile and tap, filter)
        fine = ops.reshape(
            ops.matmul(self._flat(along_time), fine), (-1, self.rows, profiles, self.filters)
        )
        return ops.add(fine, self.bias) if self.use_bias else fine

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns the shape that leaves."""
        return input_shape[0], self.rows, input_shape[2] * self.factor, self.filters

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"factor": self.factor, "rows": self.rows, "interpolation": self.interpolation}
        return {**super().get_config(), **own}

    def _matrix(self, coarse: int, kept: int) -> np.ndarray:
        """Returns the weight of each coarse pixel in each fine one, by tap: `(kept, tap, coarse)`.

        Of a map that goes on beyond the coarse pixels, those fine ones that need more must not be
        kept.
        """
        fine = interpolation_matrix(coarse, self.factor, self.interpolation)
        half = self.kernel_size[0] // 2
        padded = np.pad(
            fine, ((half, half), (0, 0))
        )  # zeros beyond the map, as for any convolution
        return np.stack([padded[tap : tap + kept] for tap in range(2 * half + 1)], axis=1)

    def _flat(self, matrix: np.ndarray) -> Any:
        return keras.ops.convert_to_tensor(
            matrix.reshape(len(matrix), -1), dtype=self.compute_dtype
        )


def interpolation_matrix(coarse: int, factor: int, way: str) -> np.ndarray:
    """Returns the weights `(factor * coarse, coarse)` by which `UpSampling2D` interpolates."""
    fine = np.arange(coarse * factor)
    if way == "nearest":
        return np.repeat(np.eye(coarse, dtype=np.float32), factor, axis=0)
    # Linear between the centres of the coarse pixels, flat beyond the first and the last of them.
    centres = np.clip((fine + 0.5) / factor - 0.5, 0, coarse - 1)
    weights: np.ndarray = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(coarse)))
    return weights.astype(np.float32)


def keep_rows(x: Any, rows: int) -> Any:
    """Returns the lowest `rows` rows of `x`."""
    # Split, not Cropping2D: the gradient of the strided slice behind it took a quarter of a
    # training step on a CPU.
    return keras.ops.split(x, [rows], axis=1)[0] if x.shape[1] > rows else x


def up_sample(x: Any, factor: int, interpolation: str, name: str, dtype: str | None = None) -> Any:
    """Returns `x` with both axes finer by `factor`, in `dtype` or in that of the network."""
    if factor == 1:
        return x
    return keras.layers.UpSampling2D(
        factor, interpolation=interpolation, name=f"{name}_up", dtype=dtype
    )(x)


def pool(x: Any, factor: int, name: str) -> Any:
    """Returns the maximum of `x` over squares of `factor` pixels."""
    return x if factor == 1 else keras.layers.MaxPooling2D(factor, name=f"{name}_pool")(x)


def rows_before_convolution(rows: int, kernel_size: int, available: int) -> int:
    """Returns how many rows a convolution must see for its lowest `rows` rows to be exact."""
    return min(available, rows + kernel_size // 2)


def rows_before_up_sampling(rows: int, factor: int, available: int) -> int:
    """Returns how many coarse rows give `rows` fine ones.

    They are one more than the fine rows cover, for the interpolation.
    """
    return min(available, -(-rows // factor) + (1 if factor > 1 else 0))
