"""The network of Monte Carlo inference: its dropout masks are inputs, and it does no work twice.

Batch normalisation is folded into the convolutions (`blindzone.models.folded`). Encoder and decoder
compute only the rows that the heads need. Maps that no dropout precedes are the same in all forward
passes of a window: they are computed once per window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.families import connect_network, curtain_input, dropout_channels
from blindzone.models.folded import (
    FoldedConvolution,
    FoldedNormalization,
    combine,
    fold_normalization,
)
from blindzone.models.layers import TrainingLayers, join_maps
from blindzone.models.network_config import NetworkConfig, main_heads
from blindzone.models.network_weights import Weights, set_weights
from blindzone.models.partial_convolution import PartialConvolution, find_ratio
from blindzone.models.stored_network import check_finite_weights


class InferenceNetwork:
    """One graph for any number of windows and forward passes.

    Args:
        config: Configuration of the trained network.
        takes_apart: Whether wide convolutions are taken apart, which pays in TensorFlow alone.

    Attributes:
        config: The same.
        mask_channels: Number of channels that each mask has a value for, over all layers.
    """

    def __init__(self, config: NetworkConfig, *, takes_apart: bool = True) -> None:
        self.config = config
        curtain = curtain_input(config)
        layers = InferenceLayers.of(config, takes_apart)
        outputs = connect_network(curtain, layers)
        heads = {name: outputs[name] for name in main_heads(config)}
        inputs = [curtain, layers.ones, layers.keys, *layers.all_masks]
        self.model = keras.Model(inputs, heads, name="monte_carlo")
        self.mask_channels = sum(int(masks.shape[-1]) for masks in layers.all_masks)
        signature = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in inputs]
        self.graph = tf.function(
            lambda *given: self.model(given, training=False), input_signature=signature
        )

    def set_weights(self, network: keras.Model) -> None:
        """Sets the weights to those of a trained network.

        Raises:
            ModelError: If they do not fit the configuration or are not finite.
        """
        self.set_folded(fold_finite(network))

    def set_folded(self, weights: Weights) -> None:
        """Sets the weights to those that `fold_finite` returned.

        Raises:
            ModelError: If they do not fit the configuration.
        """
        set_weights(self.model, weights)
        for layer in self.model.layers:
            if isinstance(layer, FoldedConvolution):
                layer.prepare()

    def predict(
        self, curtains: np.ndarray, keys: np.ndarray, masks: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns the heads of all passes, `(pass, output_rows, profiles, value)`, by name.

        Passes of one window follow each other, as many for each window. Without dropout there is
        one pass for each window.

        Args:
            curtains: Network inputs, float32 `(window, rows, profiles, channels)`.
            keys: Key of each pass, int32 `(pass, 2)`: of its generator of single-pixel masks.
            masks: Factors of the channels of all dropout layers, float32 `(pass,
                mask_channels)`.
        """
        ones = np.ones((len(keys), 1, 1, 1), np.float32)
        given = [masks[:, None, None, :]] if self.mask_channels else []
        return {
            name: head.numpy() for name, head in self.graph(curtains, ones, keys, *given).items()
        }

    def predict_expected(self, curtains: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the heads of one pass for each window, of a network without dropout.

        Args:
            curtains: Network inputs, float32 `(window, rows, profiles, channels)`.
        """
        count = len(curtains)
        return self.predict(curtains, np.zeros((count, 2), np.int32), np.ones((count, 0)))

    def trace_expected(self) -> Any:
        """Returns the graph of one pass of one window, of a network without dropout.

        Its input is the window, its outputs are the heads in the order of their names.
        """
        curtain, ones, keys = self.model.inputs
        rest = tf.ones((1, *ones.shape[1:])), tf.zeros((1, *keys.shape[1:]), keys.dtype)
        window = tf.TensorSpec((1, *curtain.shape[1:]))
        run = tf.function(lambda window: self.model((window, *rest), training=False))
        return run.get_concrete_function(window)


def fold_finite(network: keras.Model) -> Weights:
    """Returns a trained network's weights by layer, batch normalisation folded into convolutions.

    Raises:
        ModelError: If they are not finite.
    """
    check_finite_weights(network)
    return fold_normalization(network)


@dataclass(frozen=True, kw_only=True)
class InferenceLayers(TrainingLayers):
    """Layers of Monte Carlo inference.

    The curtain is one per window; what dropout precedes is one per forward pass.

    Attributes:
        ones: Input of as many ones as there are passes, `(pass, 1, 1, 1)`.
        keys: Input of the key of each pass, `(pass, 2)`.
        streams: Number of the generator of each layer that drops single pixels, by layer name.
        all_masks: Input of the masks of all layers that drop whole channels, side by side, `(pass,
            1, 1, channels)`; none where no layer does. One input in place of fifty: a call costs
            time for each.
        masks: The mask of each of these layers, by name in the order of `dropout_channels`.
        takes_apart: Whether wide convolutions are taken apart.
        normalizes: Whether the trained network normalises, also where no convolution precedes.
    """

    ones: Any
    keys: Any
    streams: Mapping[str, int]
    all_masks: tuple[Any, ...]
    masks: Mapping[str, Any]
    normalizes: bool
    takes_apart: bool = True
    limits_encoder: ClassVar[bool] = True

    @classmethod
    def of(cls, config: NetworkConfig, takes_apart: bool = True) -> InferenceLayers:
        """Returns the layers of a configuration, with their inputs."""
        channels = dropout_channels(config)
        all_masks: tuple[Any, ...] = ()
        masks: list[Any] = []
        if channels and config.dropout_kind == "spatial":
            *ends, count = np.cumsum(list(channels.values())).tolist()
            all_masks = (keras.Input((1, 1, count), name="masks"),)
            masks = keras.ops.split(all_masks[0], ends, axis=-1)
        return cls(
            config=replace(
                config, deep_supervision=False, joint_forecast=False, normalization="none"
            ),
            ones=keras.Input((1, 1, 1), name="ones"),
            keys=keras.Input((2,), dtype="int32", name="keys"),
            streams={name: number for number, name in enumerate(channels, start=1)},
            all_masks=all_masks,
            masks=dict(zip(channels, masks, strict=False)),
            takes_apart=takes_apart,
            normalizes=config.normalization == "batch",
        )

    def dropout(self, x: Any, name: str) -> Any:
        """Returns `x` of each pass after dropout by that pass's mask."""
        if not self.config.dropout:
            return x
        if self.config.dropout_kind == "element":
            return _ElementDropout(self.config.dropout, self.streams[name], name=name)(x, self.keys)
        return _Multiply(name=name)(x, self.masks[name])

    def block(
        self,
        maps: Sequence[Any],
        filters: int,
        name: str,
        rows: int | None = None,
        before_dropout: int = 0,
        *,
        kernel_size: int | None = None,
        initializer: Any = None,
    ) -> Any:
        """Returns convolution, bias and ReLU of maps, `(pass or window, rows, profiles, filters)`.

        The arguments are those of `TrainingLayers.block`.
        """
        x = join_maps(maps[before_dropout:], name)
        layer = FoldedConvolution(
            filters,
            kernel_size or self.config.kernel_size,
            rows=rows or x.shape[1],
            takes_apart=self.takes_apart,
            name=f"{name}_convolution",
        )
        return layer(x, *maps[:before_dropout])

    def normalize(self, x: Any, name: str) -> Any:
        """Returns a map of an encoder, normalised if the network is."""
        return FoldedNormalization(name=f"{name}_normalization")(x) if self.normalizes else x

    def _convolve_known(
        self, x: Any, share: Any, filters: int, kernel_size: int, strides: int, name: str
    ) -> tuple[Any, Any]:
        layer = _PartialConvolution(
            filters, kernel_size, strides=strides, name=f"{name}_convolution"
        )
        y, known = layer(x, share)
        return y, known

    def _hide_holes(self, x: Any, known: Any) -> Any:
        return _Multiply()(known, x)

    def for_each_pass(self, x: Any) -> Any:
        """Returns a map of each window once for every pass."""
        return _Multiply()(x, self.ones) if self.config.dropout else x


class _Multiply(keras.layers.Layer):  # type: ignore[misc]
    """Maps of windows or passes times factors of each pass."""

    def call(self, x: Any, factors: Any) -> Any:
        """Returns maps `(pass, ...)`."""
        return combine(tf.multiply, x, factors)


class _PartialConvolution(PartialConvolution):
    """Partial convolution of maps of windows or passes, whose holes are those of the windows."""

    def call(self, x: Any, known: Any) -> tuple[Any, Any]:
        """Returns the result, `(pass or window, ...)`, and what of it is known, `(window, ...)`.

        Args:
            x: Map with 0 in its holes.
            known: Share of its channels that is known, `(window, rows, profiles, 1)`.
        """
        ratio, found = find_ratio(known, self.kernel_size, self.strides)
        scaled = combine(tf.multiply, ratio, self._convolve(x))
        return combine(lambda of_window, y: y + of_window * self.bias, found, scaled), found


class _ElementDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout of single pixels by masks drawn from a pass's key, the same on every machine.

    The masks are as large as the maps of all passes together: drawn here, they never leave the
    graph. Sixteen random bits per pixel put the rate right to 1e-5. Pixels that are kept are scaled
    by the rate as it is.
    """

    def __init__(self, rate: float, stream: int, **options: Any) -> None:
        super().__init__(**options)
        self.stream = stream
        self.dropped = round(rate * 2**16)

    def call(self, x: Any, keys: Any) -> Any:
        """Returns maps with pixels dropped, `(pass, ...)`."""
        pixels = int(np.prod(x.shape[1:]))

        def draw(key: Any) -> Any:
            own = tf.random.experimental.stateless_fold_in(key, self.stream)
            return tf.random.stateless_uniform(
                (-(-pixels // 2),), own, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
            )

        bits = tf.bitcast(tf.map_fn(draw, keys, fn_output_signature=tf.uint32), tf.uint16)
        bits = tf.reshape(
            tf.reshape(bits, (-1, pixels + pixels % 2))[:, :pixels], (-1, *x.shape[1:])
        )
        scale = 2**16 / (2**16 - self.dropped)
        return combine(
            lambda map_, kept: tf.where(kept, map_ * scale, 0.0), x, bits >= self.dropped
        )
