"""UNet3+ (Huang et al. 2020, doi 10.1109/ICASSP40776.2020.9053405) for a radar's blind zone.

As in King et al. (2024, doi 10.1175/AIES-D-23-0063.1), all scales enter each decoder stage, and
dropout follows every pooling and up-sampling. It differs in two ways. The prediction has two parts,
occurrence and intensity given echo, since one value per pixel blurs a mixture of clear sky and
echo. And the decoder computes only the rows that the heads need, which is exact
(`blindzone.models.row_limits`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from blindzone.models.blocks import (
    keep_rows,
    pool,
    rows_before_convolution,
    rows_before_up_sampling,
)
from blindzone.models.column import name_path
from blindzone.models.heads import (
    HeadInputs,
    predict_main,
    predict_scene,
    predict_stage,
    start_from_columns,
)
from blindzone.models.layers import PlainLayers, TrainingLayers
from blindzone.models.network_config import NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights
from blindzone.models.row_limits import branch_rows, decoder_rows, encoder_rows


def build_unet3plus(config: NetworkConfig) -> keras.Model:
    """Returns the network for training, with the outputs of `connect_unet3plus`.

    Its input is `(batch, rows, profiles, channels)`.
    """
    curtain = curtain_input(config)
    outputs = connect_unet3plus(curtain, TrainingLayers(config=config))
    return keras.Model(curtain, outputs, name="unet3plus")


def for_inference(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Returns the network with its main heads only, in layers that plain Keras knows.

    Its weights are its own.

    Raises:
        ModelError: If the network's weights do not fit the configuration.
    """
    curtain = curtain_input(config)
    alone = replace(config, deep_supervision=False, joint_forecast=False)
    outputs = connect_unet3plus(curtain, PlainLayers(config=alone))
    heads = {name: outputs[name] for name in main_heads(config)}
    inference = keras.Model(curtain, heads, name=network.name)
    copy_weights(network, inference)
    return inference


def curtain_input(config: NetworkConfig) -> Any:
    """Returns the network's input, `(batch, rows, profiles, channels)`."""
    shape = (config.input_rows, config.input_profiles, config.channels)
    return keras.Input(shape, name="curtain")


def connect_unet3plus(curtain: Any, layers: TrainingLayers) -> dict[str, Any]:
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
        and intensity as channels of one output.
    """
    encoders = connect_encoder(curtain, layers)
    stages = connect_decoder(encoders, layers)
    return connect_heads(curtain, encoders, stages, layers)


def connect_encoder(curtain: Any, layers: TrainingLayers) -> list[Any]:
    """Returns the map of every encoder block, from the finest to the bottom."""
    config = layers.config
    if not config.filters:
        return []
    # The scene is predicted from the whole bottom.
    is_limited = layers.limits_encoder and not config.classification_guided
    rows = encoder_rows(config) if is_limited else [(None, None)] * (config.depth + 1)
    encoders: list[Any] = []
    x = curtain
    for level in range(config.depth + 1):
        name = f"encoder{level}"
        if level:
            x = layers.dropout(pool(x, 2, name), f"{name}_dropout")
        for repeat, kept in zip("ab", rows[level], strict=True):
            x = layers.block([x], config.filters << level, f"{name}{repeat}", kept)
        encoders.append(x)
    return encoders


def connect_decoder(encoders: list[Any], layers: TrainingLayers) -> dict[int, Any]:
    """Returns the map of every decoder stage by its level; the bottom is the coarsest encoder's."""
    if not encoders:
        return {0: None}
    depth, rows = layers.config.depth, decoder_rows(layers.config)
    stages = {depth: encoders[depth]}
    for level in reversed(range(depth)):
        stages[level] = connect_stage(level, encoders, stages, rows[level], layers)
    return stages


def connect_stage(
    level: int, encoders: list[Any], stages: dict[int, Any], rows: int, layers: TrainingLayers
) -> Any:
    """Returns the lowest `rows` rows of one decoder stage: all scales joined (their Fig. 2)."""
    config, available = layers.config, encoders[level].shape[1]
    entering = branch_rows(rows, config, available)
    between = rows_before_convolution(rows, config.kernel_size, available)
    branches = []
    for scale in range(config.depth + 1):
        name = f"decoder{level}_from{scale}"
        if scale <= level:
            factor = 2 ** (level - scale)
            x = pool(keep_rows(encoders[scale], entering * factor), factor, name)
            x = layers.dropout(x, f"{name}_dropout") if scale < level else x
            x = layers.block([x], config.filters, name, between)
        else:
            factor = 2 ** (scale - level)
            coarse = rows_before_up_sampling(entering, factor, encoders[scale].shape[1])
            x = keep_rows(stages[scale], coarse)
            x = layers.up_sampled_block(x, factor, entering, between, name)
        branches.append(x)
    # No dropout precedes the finest stage's branch from the first encoder block.
    before_dropout = 0 if level else 1
    filters = config.filters * (config.depth + 1)
    return layers.block(branches, filters, f"decoder{level}", rows, before_dropout)


def connect_heads(
    curtain: Any, encoders: list[Any], stages: dict[int, Any], layers: TrainingLayers
) -> dict[str, Any]:
    """Returns the outputs of `connect_unet3plus` from the maps of the encoder and the decoder."""
    config = layers.config
    scene = predict_scene(encoders[-1], layers) if config.classification_guided else None
    inputs = HeadInputs(
        config=config,
        visible=layers.for_each_pass(keep_rows(curtain, config.output_rows)),
        scene=scene,
        start=start_from_columns(curtain, layers) if config.base == "column" else {},
    )
    outputs = predict_main(stages[0], inputs)
    if config.joint_forecast:
        parts = [outputs["occurrence"], outputs["intensity"]]
        outputs["forecast"] = keras.layers.Concatenate(name="forecast", dtype="float32")(parts)
    if scene is not None:
        outputs["scene"] = keras.layers.Flatten(name="scene", dtype="float32")(scene)
    for level in range(1, config.depth + 1 if config.deep_supervision else 1):
        for name, head in predict_stage(stages[level], level, inputs).items():
            outputs[f"{name}_{level}"] = head
    return outputs


def dropout_channels(config: NetworkConfig) -> dict[str, int]:
    """Returns the number of channels of every map that dropout is applied to, by layer name.

    The order is that of the network: encoder, decoder, scene, column paths. Random masks are drawn
    in this order, so it decides which of them a layer gets.
    """
    if not config.dropout:
        return {}
    return _encoder_dropout(config) | _decoder_dropout(config) | _column_dropout(config)


def _encoder_dropout(config: NetworkConfig) -> dict[str, int]:
    levels = range(1, config.depth + 1 if config.filters else 1)
    return {f"encoder{level}_dropout": config.filters << (level - 1) for level in levels}


def _decoder_dropout(config: NetworkConfig) -> dict[str, int]:
    depth, filters = config.depth, config.filters
    of_encoder = [filters << level for level in range(depth + 1)]
    of_decoder = [filters * (depth + 1)] * depth + [of_encoder[depth]]  # the bottom is in both
    channels = {
        f"decoder{level}_from{scale}_dropout": (of_encoder if scale < level else of_decoder)[scale]
        for level in reversed(range(depth if filters else 0))
        for scale in range(depth + 1)
        if scale != level
    }
    scene = {"scene_dropout": of_encoder[depth]} if config.classification_guided else {}
    return channels | scene


def _column_dropout(config: NetworkConfig) -> dict[str, int]:
    names = [f"time{step}_dropout" for step in range(config.column_depth)] + ["dropout"]
    return {
        f"{name_path(number)}_{name}": config.column_filters
        for number in range(config.column_paths if config.base == "column" else 0)
        for name in names
    }
