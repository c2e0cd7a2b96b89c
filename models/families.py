"""The families of networks: a registry of trunks, and the networks that are built on them.

A family is a *trunk*, a function from the curtain to maps. All else is shared: the heads, the
column paths, dropout, the layers of training, of files and of inference. Who builds, trains, stores
or runs a network knows this registry and no family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from blindzone.models.column import column_dropout
from blindzone.models.dynamic_unet import connect_dynamic_unet, dynamic_unet_dropout
from blindzone.models.heads import connect_heads
from blindzone.models.layers import PlainLayers, TrainingLayers
from blindzone.models.network_config import Family, NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights
from blindzone.models.partial_unet import connect_partial_unet, partial_unet_dropout
from blindzone.models.trunk import NO_TRUNK, Trunk
from blindzone.models.unet import connect_unet, unet_dropout
from blindzone.models.unet3plus import connect_unet3plus, unet3plus_dropout
from blindzone.models.unet_plus_plus import connect_unet_plus_plus, unet_plus_plus_dropout


@dataclass(frozen=True, kw_only=True)
class FamilyOfNetworks:
    """A family of networks.

    Attributes:
        source: Where it is described.
        connect: Returns the trunk over a curtain, built of the given layers.
        dropout: Returns the channels of every map of the trunk that dropout is applied to, by
            layer, in the order in which the trunk applies it.
    """

    source: str
    connect: Callable[[Any, TrainingLayers], Trunk]
    dropout: Callable[[NetworkConfig], dict[str, int]]


FAMILIES: Mapping[Family, FamilyOfNetworks] = {
    "unet3plus": FamilyOfNetworks(
        source="Huang et al. (2020), doi 10.1109/ICASSP40776.2020.9053405",
        connect=connect_unet3plus,
        dropout=unet3plus_dropout,
    ),
    "unet": FamilyOfNetworks(
        source="Ronneberger et al. (2015), doi 10.1007/978-3-319-24574-4_28",
        connect=connect_unet,
        dropout=unet_dropout,
    ),
    "unet++": FamilyOfNetworks(
        source="Zhou et al. (2018), doi 10.1007/978-3-030-00889-5_1",
        connect=connect_unet_plus_plus,
        dropout=unet_plus_plus_dropout,
    ),
    "partial_conv": FamilyOfNetworks(
        source="Liu et al. (2018), arXiv 1804.07723",
        connect=connect_partial_unet,
        dropout=partial_unet_dropout,
    ),
    "dynamic_unet": FamilyOfNetworks(
        source="Howard and Gugger (2020), doi 10.3390/info11020108",
        connect=connect_dynamic_unet,
        dropout=dynamic_unet_dropout,
    ),
    "column": FamilyOfNetworks(
        source="blindzone.models.column",
        connect=lambda curtain, layers: NO_TRUNK,
        dropout=lambda config: {},
    ),
}
"""All families by the key `family` of a network's configuration."""


def find_family(config: NetworkConfig) -> FamilyOfNetworks:
    """Returns the family of a configuration; without filters it is that of column paths alone."""
    return FAMILIES[config.family if config.has_trunk else "column"]


def build_network(config: NetworkConfig) -> keras.Model:
    """Returns the network for training, with the outputs of `connect_network`.

    Its input is `(batch, rows, profiles, channels)`.
    """
    curtain = curtain_input(config)
    outputs = connect_network(curtain, TrainingLayers(config=config))
    return keras.Model(curtain, outputs, name=config.family.replace("+", "plus"))


def for_inference(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Returns the network with its main heads only, in layers that plain Keras knows.

    Its weights are its own.

    Raises:
        ModelError: If the network's weights do not fit the configuration.
    """
    curtain = curtain_input(config)
    alone = replace(config, deep_supervision=False, joint_forecast=False, restored=False)
    outputs = connect_network(curtain, PlainLayers(config=alone))
    heads = {name: outputs[name] for name in main_heads(config)}
    inference = keras.Model(curtain, heads, name=network.name)
    copy_weights(network, inference)
    return inference


def curtain_input(config: NetworkConfig) -> Any:
    """Returns the network's input, `(batch, rows, profiles, channels)`."""
    shape = (config.input_rows, config.input_profiles, config.channels)
    return keras.Input(shape, name="curtain")


def connect_network(curtain: Any, layers: TrainingLayers) -> dict[str, Any]:
    """Returns the outputs over a curtain, by name.

    Where the soft mask, channel 1, is below 1 the pixel was observed: the main heads repeat its
    reflectivity, channel 0.

    Args:
        curtain: Input, `(batch, rows, profiles, channels)`.
        layers: The layers to build it of, with the configuration.

    Returns:
        `occurrence` `(batch, output_rows, profiles, 1)`: logit of the probability of hydrometeor
        echo; `intensity` `(batch, output_rows, profiles, 2)`: location and log scale of
        reflectivity given echo, in network units. Or, of a single head, `value` `(batch,
        output_rows, profiles, 1)`: reflectivity in network units, -1 if clear. With deep
        supervision each of them again as `NAME_LEVEL`, from decoder stage LEVEL, the last being the
        bottom. With the classification-guided module `scene` `(batch, 1)`: logit of any echo in the
        blind zone. With a joint forecast `forecast` `(batch, output_rows, profiles, 3)`: occurrence
        and intensity as channels of one output. Of a restoring network `restored` `(batch,
        output_rows, profiles, 2)`: the value that is expected [network units], before observed
        pixels are repeated, and 1 where they were observed.
    """
    trunk = find_family(layers.config).connect(curtain, layers)
    return connect_heads(curtain, trunk, layers)


def dropout_channels(config: NetworkConfig) -> dict[str, int]:
    """Returns the number of channels of every map that dropout is applied to, by layer name.

    The order is that of the network: trunk, scene, column paths. Random masks are drawn in this
    order, so it decides which of them a layer gets.
    """
    if not config.dropout:
        return {}
    scene = {"scene_dropout": config.bottom_filters} if config.classification_guided else {}
    return find_family(config).dropout(config) | scene | column_dropout(config)
