"""The layers that networks are built of, one set for each purpose; all give the same numbers.

A network is connected once (`blindzone.models.families`) and takes its layers from one of these
sets. Weights have the same names and shapes in all of them.

Besides the two sets here there is that of Monte Carlo inference
(`blindzone.models.inference_network`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from blindzone.models.blocks import (
    BATCH_NORMALIZATION_MOMENTUM,
    HE_NORMAL,
    UpSampledConvolution,
    activate,
    convolution_block,
    convolution_options,
    keep_rows,
    up_sample,
)
from blindzone.models.network_config import NetworkConfig
from blindzone.models.partial_convolution import (
    LEAK,
    PartialConvolution,
    PartialMap,
    find_ratio,
    join_partial,
)
from blindzone.models.pixel_shuffle import FACTOR, SameForSubPixels, shuffle_pixels


@dataclass(frozen=True, kw_only=True)
class TrainingLayers:
    """Layers for training: Keras' own, and a fast convolution of up-sampled maps.

    Attributes:
        config: Configuration of the network.
        limits_encoder: Whether the encoder too computes only the rows that the heads need.
    """

    config: NetworkConfig
    limits_encoder: ClassVar[bool] = False

    def dropout(self, x: Any, name: str) -> Any:
        """Returns `x` after dropout."""
        if not self.config.dropout:
            return x
        is_spatial = self.config.dropout_kind == "spatial"
        layer = keras.layers.SpatialDropout2D if is_spatial else keras.layers.Dropout
        return layer(self.config.dropout, name=name)(x)

    def block(
        self,
        maps: Sequence[Any],
        filters: int,
        name: str,
        rows: int | None = None,
        before_dropout: int = 0,
        *,
        kernel_size: int | None = None,
        initializer: Any = HE_NORMAL,
    ) -> Any:
        """Returns convolution, normalisation and ReLU of maps, `(batch, rows, profiles, filters)`.

        Args:
            maps: Maps that enter together, as channels.
            filters: Channels of the result.
            name: Beginning of the names of the layers.
            rows: Lowest rows of the result that are kept; all by default.
            before_dropout: How many of the maps, the first ones, no dropout precedes.
            kernel_size: Side of the kernel, by default that of the configuration.
            initializer: How the kernel starts.
        """
        x = join_maps(maps, name)
        config = self.config
        return convolution_block(
            x,
            filters,
            kernel_size or config.kernel_size,
            config.l2,
            name,
            config.normalization,
            rows,
            initializer,
        )

    def up_sampled_block(
        self,
        x: Any,
        factor: int,
        entering: int,
        rows: int,
        name: str,
        *,
        filters: int | None = None,
    ) -> Any:
        """Returns a decoder branch: up-sampling, dropout, convolution, normalisation and ReLU.

        Args:
            x: Coarse map, `(batch, rows, profiles, channels)`.
            factor: How much finer both axes become.
            entering: Lowest rows of the up-sampled map that enter the convolution.
            rows: Lowest rows of the result that are kept.
            name: Beginning of the names of the layers.
            filters: Channels of the result, by default those of the configuration.
        """
        filters = filters or self.config.filters
        if not self._folds_up_sampling:
            x = self.up_sampled(x, factor, entering, name)
            return self.block([x], filters, name, rows)
        # A channel that is dropped before up-sampling is dropped after it.
        x = self.dropout(x, f"{name}_dropout")
        config = self.config
        convolution = UpSampledConvolution(
            filters,
            config.kernel_size,
            factor=factor,
            rows=rows,
            interpolation=config.interpolation,
            **convolution_options(config.l2, name, has_bias=config.normalization == "none"),
        )
        return activate(convolution(x), name, config.normalization)

    def up_sampled(self, x: Any, factor: int, rows: int, name: str) -> Any:
        """Returns the lowest rows of a map that is up-sampled, after dropout."""
        x = keep_rows(up_sample(x, factor, self.config.interpolation, name), rows)
        return self.dropout(x, f"{name}_dropout")

    def shuffled_block(self, x: Any, filters: int, rows: int, name: str) -> Any:
        """Returns a map twice as fine by pixel shuffle, after dropout.

        Args:
            x: Coarse map, `(batch, rows, profiles, channels)`.
            filters: Channels of the result.
            rows: Lowest rows of the result that are kept.
            name: Beginning of the names of the layers.
        """
        x = self.block(
            [x], filters * FACTOR**2, name, kernel_size=1, initializer=self._shuffle_start
        )
        return self.dropout(keep_rows(shuffle_pixels(x), rows), f"{name}_dropout")

    def normalize(self, x: Any, name: str) -> Any:
        """Returns a map of an encoder, normalised if the network is."""
        return x if self.config.normalization == "none" else activate(x, name, "batch")

    def partial_block(
        self,
        maps: Sequence[PartialMap],
        filters: int,
        name: str,
        kernel_size: int,
        strides: int = 1,
    ) -> PartialMap:
        """Returns partial convolution, normalisation and activation of maps with holes.

        Statistics of the normalisation are those of known pixels: holes would move them, and with
        them all that is trained on once they are frozen.

        Args:
            maps: Maps that enter together, as channels.
            filters: Channels of the result.
            name: Beginning of the names of the layers.
            kernel_size: Side of the kernel, odd.
            strides: How much coarser the result is.
        """
        x, share = join_partial(maps, name)
        y, known = self._convolve_known(x, share, filters, kernel_size, strides, name)
        if self.config.normalization == "batch":
            y = keras.layers.BatchNormalization(
                momentum=BATCH_NORMALIZATION_MOMENTUM, name=f"{name}_normalization"
            )(y, mask=known[..., 0] > 0)
        y = keras.layers.LeakyReLU(LEAK, name=f"{name}_activation")(y)
        return PartialMap(values=self._hide_holes(y, known), known=known)

    def up_sampled_partial(self, coarse: PartialMap, name: str) -> PartialMap:
        """Returns a map with holes twice as fine, to the nearest pixel, after dropout."""
        values = self.dropout(up_sample(coarse.values, 2, "nearest", name), f"{name}_dropout")
        known = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_known")(
            coarse.known
        )
        return PartialMap(values=values, known=known)

    def _convolve_known(
        self, x: Any, share: Any, filters: int, kernel_size: int, strides: int, name: str
    ) -> tuple[Any, Any]:
        """Returns the partial convolution of a map, and what of it is known."""
        layer = PartialConvolution(
            filters,
            kernel_size,
            strides=strides,
            use_bias=self.config.normalization == "none",
            l2=self.config.l2,
            name=f"{name}_convolution",
        )
        y, known = layer(x, share)
        return y, known

    def _hide_holes(self, x: Any, known: Any) -> Any:
        """Returns a map with 0 in its holes."""
        return x * known

    def for_each_pass(self, x: Any) -> Any:
        """Returns a map that no dropout precedes as it meets maps of single forward passes."""
        return x

    @property
    def _shuffle_start(self) -> Any:
        """How kernels before a pixel shuffle start."""
        return SameForSubPixels()

    @property
    def _folds_up_sampling(self) -> bool:
        """Whether channels are mixed before up-sampling.

        Dropout of single pixels between the two forbids it.
        """
        config = self.config
        return config.limit_rows and (config.dropout_kind == "spatial" or not config.dropout)


class PlainLayers(TrainingLayers):
    """Layers that plain Keras knows, for networks on disk; they are slower."""

    def _convolve_known(
        self, x: Any, share: Any, filters: int, kernel_size: int, strides: int, name: str
    ) -> tuple[Any, Any]:
        has_bias = self.config.normalization == "none"
        layer = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            **convolution_options(self.config.l2, name, has_bias),
        )
        ratio, known = find_ratio(share, kernel_size, strides)
        y = layer(x)
        if not has_bias:
            return y * ratio, known
        # Plain Keras adds the bias before the ratio; of nothing it gives the bias alone.
        bias = layer(keras.ops.zeros_like(x[:, :strides, :strides]))
        return (y - bias) * ratio + bias * known, known

    @property
    def _shuffle_start(self) -> Any:
        return HE_NORMAL

    @property
    def _folds_up_sampling(self) -> bool:
        return False


def join_maps(maps: Sequence[Any], name: str) -> Any:
    """Returns maps as the channels of one map."""
    return keras.layers.Concatenate(name=f"{name}_scales")(maps) if len(maps) > 1 else maps[0]
