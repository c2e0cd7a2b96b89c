"""The layers that networks are built of, one set for each purpose; all give the same numbers.

A network is connected once (`blindzone.models.unet3plus`) and takes its layers from one of these
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
    UpSampledConvolution,
    activate,
    convolution_block,
    convolution_options,
    keep_rows,
    up_sample,
)
from blindzone.models.network_config import NetworkConfig


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
    ) -> Any:
        """Returns convolution, normalisation and ReLU of maps, `(batch, rows, profiles, filters)`.

        Args:
            maps: Maps that enter together, as channels.
            filters: Channels of the result.
            name: Beginning of the names of the layers.
            rows: Lowest rows of the result that are kept; all by default.
            before_dropout: How many of the maps, the first ones, no dropout precedes.
        """
        x = join_maps(maps, name)
        config = self.config
        return convolution_block(
            x, filters, config.kernel_size, config.l2, name, config.normalization, rows
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

    def for_each_pass(self, x: Any) -> Any:
        """Returns a map that no dropout precedes as it meets maps of single forward passes."""
        return x

    @property
    def _folds_up_sampling(self) -> bool:
        """Whether channels are mixed before up-sampling.

        Dropout of single pixels between the two forbids it.
        """
        config = self.config
        return config.limit_rows and (config.dropout_kind == "spatial" or not config.dropout)


class PlainLayers(TrainingLayers):
    """Layers that plain Keras knows, for networks on disk; they are slower."""

    @property
    def _folds_up_sampling(self) -> bool:
        return False


def join_maps(maps: Sequence[Any], name: str) -> Any:
    """Returns maps as the channels of one map."""
    return keras.layers.Concatenate(name=f"{name}_scales")(maps) if len(maps) > 1 else maps[0]
