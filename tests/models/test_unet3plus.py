"""The network: exact row limits, size, names, and its form for inference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.core.errors import ModelError
from blindzone.models.families import (
    build_network,
    connect_network,
    dropout_channels,
    for_inference,
)
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights

RandomNetwork = Callable[..., Any]


def draw_curtain(config: NetworkConfig, batch: int = 1) -> np.ndarray:
    shape = (batch, config.input_rows, config.input_profiles, config.channels)
    curtain = np.random.default_rng(11).normal(size=shape).astype(np.float32)
    curtain[..., 1:2] = 1  # soft mask: no predicted pixel was observed
    return curtain


def with_weights_of(source: keras.Model, config: NetworkConfig) -> keras.Model:
    network = build_network(config)
    copy_weights(source, network)
    return network


@pytest.mark.parametrize(
    ("depth", "rows", "profiles", "limits", "kernel_size", "interpolation"),
    # widths that are an odd multiple of 2^depth, and not the height
    [
        (1, 32, 6, (1, 6, 31), 3, "bilinear"),
        (2, 32, 12, (2, 13), 5, "nearest"),
        (3, 32, 24, (8,), 3, "bilinear"),
        pytest.param(3, 32, 24, (3, 8), 5, "nearest", marks=pytest.mark.soak),
        pytest.param(4, 64, 16, (1, 13), 3, "bilinear", marks=pytest.mark.soak),
    ],
)
def test_fewer_output_rows_are_the_lowest_rows_of_the_whole_answer(
    depth: int,
    rows: int,
    profiles: int,
    limits: tuple[int, ...],
    kernel_size: int,
    interpolation: Any,
    random_network: RandomNetwork,
) -> None:
    config = NetworkConfig(
        input_rows=rows,
        input_profiles=profiles,
        output_rows=rows,
        depth=depth,
        filters=2,
        kernel_size=kernel_size,
        dropout=0.0,
        l2=0.0,
        interpolation=interpolation,
    )
    whole = random_network(config)
    curtain = draw_curtain(config)
    expected = whole(curtain)
    for k in limits:
        limited = with_weights_of(whole, dataclasses.replace(config, output_rows=k))(curtain)
        for head, values in limited.items():
            assert values.shape[1] == k
            np.testing.assert_allclose(
                values, expected[head][:, :k], atol=2e-5, err_msg=f"{head}, {k} rows"
            )


def test_the_rows_above_the_receptive_field_are_still_seen(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    # The encoder is never cut: the bottom, 4 rows of 4, sees the highest row and hands it to the
    # lowest.
    network = random_network(tiny)
    curtain = draw_curtain(tiny)
    changed = curtain.copy()
    changed[:, -1] += 5
    assert not np.allclose(
        network(curtain)["occurrence"], network(changed)["occurrence"], atol=1e-4
    )


def test_heads_have_the_promised_shapes(tiny: NetworkConfig) -> None:
    shapes = {name: head.shape for name, head in build_network(tiny).output.items()}
    assert shapes == {"occurrence": (None, 3, 32, 1), "intensity": (None, 3, 32, 2)}


def count_parameters(f: int, depth: int, channels: int) -> int:
    """Kernels of 3 x 3 without bias, four values per normalised channel, three heads of 1 x 1."""

    def block(entering: int, leaving: int) -> int:
        return 9 * entering * leaving + 4 * leaving

    widths = [f << level for level in range(depth + 1)]
    wide = (depth + 1) * f  # what leaves a decoder stage
    encoder = sum(
        block(entering, width) + block(width, width)
        for entering, width in zip([channels, *widths[:-1]], widths, strict=True)
    )
    decoder = 0
    for level in range(depth):
        finer = sum(block(widths[scale], f) for scale in range(level + 1))
        coarser = (depth - level - 1) * block(wide, f) + block(widths[depth], f)
        decoder += finer + coarser + block(wide, wide)
    return encoder + decoder + 3 * (wide + 1)


def test_parameter_count_is_that_of_the_published_network() -> None:
    # King et al. (2024) give 6.76 million for depth 4, f = 32. Ours: 6 751 011 with two input
    # channels. Theirs has a bias in each convolution (encoder 2 x 992, decoder 4 x (5 x 32 + 160))
    # and, for deep supervision, 3 x 3 heads of one channel on four stages of 160 channels and on
    # the bottom of 512, where we have three of 1 x 1.
    network = build_network(
        NetworkConfig(input_rows=16, input_profiles=16, channels=2, depth=4, filters=32)
    )
    ours = network.count_params() - count_generator_states(network)
    assert ours == count_parameters(32, 4, 2) == 6_751_011
    theirs = ours + 2 * 992 + 4 * 320 + 4 * (9 * 160 + 1) + (9 * 512 + 1) - 3 * 161
    assert round(theirs / 1e6, 2) == 6.76


def count_generator_states(network: keras.Model) -> int:
    return sum(
        layer.count_params() for layer in network.layers if isinstance(layer, keras.layers.Dropout)
    )


@pytest.mark.parametrize(("f", "depth", "channels"), [(2, 1, 1), (3, 2, 3), (2, 3, 2)])
def test_parameter_count_follows_depth_filters_and_channels(
    f: int, depth: int, channels: int
) -> None:
    config = NetworkConfig(
        input_rows=16,
        input_profiles=16,
        output_rows=4,
        depth=depth,
        filters=f,
        channels=channels,
        dropout=0.0,
    )
    assert build_network(config).count_params() == count_parameters(f, depth, channels)


def test_every_layer_has_a_name_of_its_own_whatever_was_built_before(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2)
    first, second = ([layer.name for layer in build_network(config).layers] for _ in range(2))
    assert len(set(first)) == len(first)
    # A name that Keras makes up counts upwards from network to network.
    assert set(first) == set(second)


def test_dropout_follows_every_pooling_and_up_sampling(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2)
    network = build_network(dataclasses.replace(config, dropout_kind="element"))
    resampled = [layer for layer in network.layers if layer.name.endswith(("_pool", "_up"))]
    # Two poolings on the way down; stage 0 draws on two coarser scales, stage 1 on a finer and a
    # coarser one.
    assert len(resampled) == 2 + 2 + 2
    names = {
        layer.name.removesuffix("_pool").removesuffix("_up") + "_dropout" for layer in resampled
    }
    for kind, of_kind in (
        ("element", keras.layers.Dropout),
        ("spatial", keras.layers.SpatialDropout2D),
    ):
        found = build_network(dataclasses.replace(config, dropout_kind=kind)).layers
        dropped = [layer for layer in found if isinstance(layer, keras.layers.Dropout)]
        assert {layer.name for layer in dropped} == names
        assert all(type(layer) is of_kind and layer.rate == 0.2 for layer in dropped)


def test_no_dropout_leaves_no_dropout_layer(tiny: NetworkConfig) -> None:
    network = build_network(tiny)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in network.layers)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depth": 3, "filters": 1},
        {"classification_guided": True},
        {"base": "column", "column_filters": 5, "column_depth": 2, "column_paths": 2},
        {"base": "column", "column_filters": 5, "column_depth": 1, "filters": 0},
        {"dropout": 0.0},
    ],
)
def test_dropout_is_applied_to_each_map_in_the_order_that_masks_are_drawn_in(
    tiny: NetworkConfig, changes: Any
) -> None:
    config = dataclasses.replace(tiny, **{"dropout": 0.2} | changes)
    applied: dict[str, int] = {}

    class Noting(TrainingLayers):
        def dropout(self, x: Any, name: str) -> Any:
            if self.config.dropout:
                applied[name] = x.shape[-1]
            return x

    input_shape = (config.input_rows, config.input_profiles, config.channels)
    connect_network(keras.Input(input_shape), Noting(config=config))
    assert list(applied.items()) == list(dropout_channels(config).items())


def test_channels_of_dropout_by_hand(tiny: NetworkConfig) -> None:
    # Two filters, depth 2. Encoder blocks have 2, 4 and 8 channels, decoder stages 3 x 2.
    assert dropout_channels(dataclasses.replace(tiny, dropout=0.2)) == {
        "encoder1_dropout": 2,
        "encoder2_dropout": 4,
        "decoder1_from0_dropout": 2,
        "decoder1_from2_dropout": 8,
        "decoder0_from1_dropout": 6,
        "decoder0_from2_dropout": 8,
    }


FULL: dict[str, Any] = {"deep_supervision": True, "classification_guided": True}
PUBLISHED: dict[str, Any] = {
    "head": "single",
    "base": "none",
    "limit_rows": False,
    "dropout_kind": "element",
    "deep_supervision": True,
}
"""The recipe of King et al. (2024)."""


@pytest.mark.parametrize(
    "changes",
    [
        FULL | {"joint_forecast": True},
        FULL | {"head": "single", "normalization": "none"},
        FULL | {"base": "none", "interpolation": "nearest", "normalization": "none", "depth": 3},
    ],
)
def test_limiting_the_rows_changes_no_number_of_any_output(
    tiny: NetworkConfig, changes: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **changes)
    limited = random_network(config)
    whole = with_weights_of(limited, dataclasses.replace(config, limit_rows=False))
    curtain = draw_curtain(config, batch=2)
    expected = whole(curtain)
    prediction = limited(curtain)
    assert prediction.keys() == expected.keys()
    for name, values in prediction.items():
        np.testing.assert_allclose(values, expected[name], atol=2e-5, err_msg=name)


def test_limiting_the_rows_changes_no_gradient(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    # Without batch statistics, which are those of the rows that are computed.
    config = dataclasses.replace(tiny, normalization="none", deep_supervision=True)
    limited = random_network(config)
    whole = with_weights_of(limited, dataclasses.replace(config, limit_rows=False))
    curtain = draw_curtain(config, batch=2)
    found, expected = ({} for _ in range(2))
    for network, gradients in ((limited, found), (whole, expected)):
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(head**2) for head in network(curtain, training=True).values())
        weights = network.trainable_variables
        gradients.update(
            zip([weight.path for weight in weights], tape.gradient(loss, weights), strict=True)
        )
    assert found.keys() == expected.keys()
    for path, gradient in expected.items():
        scale = float(tf.reduce_max(tf.abs(gradient)))
        np.testing.assert_allclose(found[path], gradient, atol=1e-4 * scale, err_msg=path)


def test_the_published_recipe_has_a_single_value_on_every_stage(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, **PUBLISHED, dropout=0.2)
    network = build_network(config)
    shapes = {name: head.shape for name, head in network.output.items()}
    assert shapes == dict.fromkeys(("value", "value_1", "value_2"), (None, 3, 32, 1))
    # Full maps of 16 x 32 and 8 x 16 leave the decoder stages.
    assert network.get_layer("decoder0_activation").output.shape == (None, 16, 32, 6)
    assert network.get_layer("decoder1_activation").output.shape == (None, 8, 16, 6)


@pytest.mark.parametrize(
    "changes", [FULL | {"joint_forecast": True}, {"head": "single"}, PUBLISHED]
)
def test_a_saved_network_is_the_same_in_safe_mode(
    tiny: NetworkConfig, changes: Any, random_network: RandomNetwork, tmp_path: Path
) -> None:
    network = random_network(dataclasses.replace(tiny, dropout=0.1, **changes))
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    curtain = draw_curtain(tiny)
    expected = network(curtain)
    for name, values in again(curtain).items():
        np.testing.assert_array_equal(values, expected[name])
    assert [layer.get_config() for layer in again.layers] == [
        layer.get_config() for layer in network.layers
    ]


@pytest.mark.parametrize("changes", [FULL | {"joint_forecast": True}, FULL | {"head": "single"}])
def test_for_inference_the_main_heads_are_left_in_layers_of_plain_keras(
    tiny: NetworkConfig, changes: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, dropout=0.1, **changes)
    trained = random_network(config)
    network = for_inference(trained, config)
    assert tuple(network.output) == main_heads(config)
    assert {type(layer).__module__.partition(".")[0] for layer in network.layers} == {"keras"}
    curtain = draw_curtain(config)
    expected = trained(curtain)
    for name, values in network(curtain).items():
        np.testing.assert_allclose(values, expected[name], atol=2e-5)
    again = for_inference(network, config)  # of a network that is for inference already
    np.testing.assert_array_equal(again(curtain)[name], values)


@pytest.mark.parametrize(
    "changes", [{"filters": 3}, {"depth": 1}, {"head": "single"}, {"classification_guided": True}]
)
def test_weights_of_another_configuration_are_refused(tiny: NetworkConfig, changes: Any) -> None:
    with pytest.raises(ModelError, match="the weights do not fit their configuration: "):
        for_inference(build_network(dataclasses.replace(tiny, **changes)), tiny)


def test_without_normalization_convolutions_have_a_bias(tiny: NetworkConfig) -> None:
    network = build_network(dataclasses.replace(tiny, normalization="none"))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.use_bias for layer in convolutions)


def test_outputs_are_in_single_precision_whatever_the_network_computes_in(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, joint_forecast=True, **FULL)
    whole = random_network(config)
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        mixed = with_weights_of(whole, config)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    curtain = draw_curtain(config)
    expected = whole(curtain)
    for name, values in mixed(curtain).items():
        assert values.dtype == "float32"
        np.testing.assert_allclose(values, expected[name], atol=0.05)
