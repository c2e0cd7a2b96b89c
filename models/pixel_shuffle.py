"""Up-sampling by pixel shuffle: channels become the pixels of a finer map (arXiv 1609.05158).

Kernels of the convolution before it start alike for all sub-pixels (ICNR, Aitken et al. 2017, arXiv
1707.02937): untrained, it up-samples to the nearest pixel and leaves no chequerboard.
"""

from __future__ import annotations

from typing import Any

import keras

FACTOR = 2
"""How much finer both axes become."""


def shuffle_pixels(x: Any) -> Any:
    """Returns `(batch, 2 rows, 2 profiles, channels)` of `(batch, rows, profiles, 4 channels)`.

    The order of channels is TensorFlow's: row and profile of the sub-pixel, then channel.
    """
    ops = keras.ops
    _, rows, profiles, channels = x.shape
    left = channels // FACTOR**2
    x = ops.reshape(x, (-1, rows, profiles, FACTOR, FACTOR, left))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, FACTOR * rows, FACTOR * profiles, left))


@keras.saving.register_keras_serializable(package="blindzone")
class SameForSubPixels(keras.initializers.Initializer):  # type: ignore[misc]
    """He-normal kernels `(..., 4 filters)` that are the same for the four sub-pixels.

    Args:
        seed: Seed of the draw, or None for that of Keras.
    """

    def __init__(self, seed: Any = None) -> None:
        self.seed = seed

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Returns the kernels."""
        own = (*shape[:-1], shape[-1] // FACTOR**2)
        kernels = keras.initializers.HeNormal(seed=self.seed)(own, dtype=dtype)
        return keras.ops.tile(kernels, (1,) * (len(own) - 1) + (FACTOR**2,))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"seed": self.seed}
