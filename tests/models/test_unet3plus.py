"""The network: exact row limits, size, names, configuration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.errors import ModelError
from blindzone.models.unet3plus import (
    LOG_SCALE_START,
    UNet3PlusConfig,
    branch_rows,
    build_unet3plus,
    connect_unet3plus,
    decoder_rows,
)

RandomNetwork = Callable[..., Any]


def draw_curtain(config: UNet3PlusConfig, batch: int = 1) -> np.ndarray:
    shape = (batch, config.input_rows, config.input_profiles, config.channels)
    return np.random.default_rng(11).normal(size=shape).astype(np.float32)


def with_weights_of(source: keras.Model, config: UNet3PlusConfig) -> keras.Model:
    """Copies by layer name, so that no order of layers matters."""
    network = build_unet3plus(config)
    for layer in network.layers:
        layer.set_weights(source.get_layer(layer.name).get_weights())
    return network


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("depth", "rows", "profiles", "limits"),
    # widths that are an odd multiple of 2^depth, and not the height
    [(1, 32, 6, (1, 6, 31)), (2, 32, 12, (2, 13)), (3, 32, 24, (3, 8)), (4, 64, 16, (1, 13))],
)
def test_fewer_output_rows_are_the_lowest_rows_of_the_whole_answer(
    depth: int,
    rows: int,
    profiles: int,
    limits: tuple[int, ...],
    interpolation: Any,
    kernel_size: int,
    random_network: RandomNetwork,
) -> None:
    config = UNet3PlusConfig(
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
            np.testing.assert_allclose(values, expected[head][:, :k], atol=2e-5, err_msg=f"{head}, {k} rows")


def test_the_rows_above_the_receptive_field_are_still_seen(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    # The encoder is never cut: the bottom, 4 rows of 4, sees the highest row and hands it to the lowest.
    network = random_network(tiny)
    curtain = draw_curtain(tiny)
    changed = curtain.copy()
    changed[:, -1] += 5
    assert not np.allclose(network(curtain)["occurrence"], network(changed)["occurrence"], atol=1e-4)


def test_decoder_rows_by_hand() -> None:
    # 128 rows, 16 answered for, kernels of 3: a stage's branches see two rows more than leave it. From the finest:
    # 16 -> branches 18; stage 1 gives 18/2 + 1 = 10 -> branches 12;
    # stage 2: 18/4 -> 5 + 1, 12/2 + 1 = 7: 7 -> branches 9;
    # stage 3: 18/8 -> 4, 12/4 -> 4, 9/2 -> 5 + 1: 6 -> branches 8;
    # bottom: 18/16 -> 3, 12/8 -> 3, 9/4 -> 4, 8/2 + 1: 5 of its 8.
    assert decoder_rows(UNet3PlusConfig(input_rows=128, output_rows=16, depth=4, kernel_size=3)) == (16, 10, 7, 6, 5)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_rows_needed_never_exceed_those_available(depth: int, kernel_size: int) -> None:
    for rows in (2**depth, 3 * 2**depth, 128 if depth <= 4 else 320):
        available = tuple(rows >> level for level in range(depth + 1))
        earlier = (0,) * (depth + 1)
        for k in range(1, rows + 1):
            config = UNet3PlusConfig(
                input_rows=rows, input_profiles=2**depth, output_rows=k, depth=depth, kernel_size=kernel_size
            )
            needed = decoder_rows(config)
            entering = tuple(branch_rows(n, config, a) for n, a in zip(needed, available, strict=True))
            assert needed[0] == k
            assert all(1 <= n <= b <= a for n, b, a in zip(needed, entering, available, strict=True))
            assert all(n >= e for n, e in zip(needed, earlier, strict=True))  # more rows never need fewer
            earlier = needed
        assert earlier == available  # all rows need all rows


def test_heads_have_the_promised_shapes(tiny: UNet3PlusConfig) -> None:
    shapes = {name: head.shape for name, head in build_unet3plus(tiny).output.items()}
    assert shapes == {"occurrence": (None, 3, 32, 1), "intensity": (None, 3, 32, 2)}


def count_parameters(f: int, depth: int, channels: int) -> int:
    """Kernels of 3 x 3 without bias, four values a channel of batch normalisation, three heads of 1 x 1."""

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
    # King et al. (2024) give 6.76 million for depth 4, f = 32. Ours: 6 751 011 with two input channels.
    # Theirs has a bias in each convolution (encoder 2 x 992, decoder 4 x (5 x 32 + 160)) and, for deep supervision,
    # 3 x 3 heads of one channel on four stages of 160 channels and on the bottom of 512, where we have three of 1 x 1.
    network = build_unet3plus(UNet3PlusConfig(input_rows=16, input_profiles=16, channels=2, depth=4, filters=32))
    ours = network.count_params() - count_generator_states(network)
    assert ours == count_parameters(32, 4, 2) == 6_751_011
    theirs = ours + 2 * 992 + 4 * 320 + 4 * (9 * 160 + 1) + (9 * 512 + 1) - 3 * 161
    assert round(theirs / 1e6, 2) == 6.76


def count_generator_states(network: keras.Model) -> int:
    return sum(layer.count_params() for layer in network.layers if isinstance(layer, keras.layers.Dropout))


@pytest.mark.parametrize(("f", "depth", "channels"), [(2, 1, 1), (3, 2, 3), (2, 3, 2)])
def test_parameter_count_follows_depth_filters_and_channels(f: int, depth: int, channels: int) -> None:
    config = UNet3PlusConfig(
        input_rows=16, input_profiles=16, output_rows=4, depth=depth, filters=f, channels=channels, dropout=0.0
    )
    assert build_unet3plus(config).count_params() == count_parameters(f, depth, channels)


def test_every_layer_has_a_name_of_its_own_whatever_was_built_before(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2)
    first, second = ([layer.name for layer in build_unet3plus(config).layers] for _ in range(2))
    assert len(set(first)) == len(first)
    # A name that Keras makes up counts upwards from network to network.
    assert set(first) == set(second)


def test_dropout_follows_every_pooling_and_up_sampling(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(dataclasses.replace(tiny, dropout=0.2))
    resampled = [name[:-5] for layer in network.layers if (name := layer.name).endswith("_pool")]
    resampled += [name[:-3] for layer in network.layers if (name := layer.name).endswith("_up")]
    # Depth 2: two poolings on the way down; stage 0 draws on two coarser scales, stage 1 on a finer and a coarser one.
    assert len(resampled) == 2 + 2 + 2
    dropped = {layer.name: layer for layer in network.layers if isinstance(layer, keras.layers.SpatialDropout2D)}
    assert set(dropped) == {f"{name}_dropout" for name in resampled}
    assert all(layer.rate == 0.2 for layer in dropped.values())


def test_no_dropout_leaves_no_dropout_layer(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(tiny)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in network.layers)


def test_dropout_is_handed_each_map_under_its_name(tiny: UNet3PlusConfig) -> None:
    handed: list[str] = []

    def note(x: Any, name: str) -> Any:
        handed.append(name)
        return x

    connect_unet3plus(keras.Input((16, 32, 2)), tiny, note)
    assert sorted(handed) == [
        "decoder0_from1_dropout",
        "decoder0_from2_dropout",
        "decoder1_from0_dropout",
        "decoder1_from2_dropout",
        "encoder1_dropout",
        "encoder2_dropout",
    ]


def test_zero_heads_repeat_the_row_that_the_curtain_shows(tiny: UNet3PlusConfig, random_network: RandomNetwork) -> None:
    network = random_network(tiny)
    for name in ("change", "log_scale", "occurrence"):
        head = network.get_layer(name)
        head.set_weights([np.zeros_like(weights) for weights in head.get_weights()])
    curtain = draw_curtain(tiny, batch=2)
    curtain[:, :4, :, 0] = np.linspace(0, 1, 32)  # the lowest visible row, repeated down to the ground
    curtain[:, :4, 5, 0] = -1  # clear sky starts at 0
    answer = network(curtain)
    expected = np.linspace(0, 1, 32)
    expected[5] = 0
    np.testing.assert_allclose(answer["intensity"][..., 0], np.broadcast_to(expected, (2, 3, 32)), atol=1e-6)
    np.testing.assert_array_equal(answer["intensity"][..., 1], np.zeros((2, 3, 32)))


def test_an_untrained_network_expects_the_starting_scale(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(tiny)
    kernel, bias = network.get_layer("log_scale").get_weights()
    np.testing.assert_array_equal(bias, [LOG_SCALE_START])
    # With a kernel of zeros, only the start is left.
    network.get_layer("log_scale").set_weights([np.zeros_like(kernel), bias])
    np.testing.assert_array_equal(
        network(draw_curtain(tiny))["intensity"][..., 1], np.full((1, 3, 32), LOG_SCALE_START)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth must be 1 to 6, found 0"),
        ({"depth": 7, "input_rows": 128, "input_profiles": 128}, "depth must be 1 to 6, found 7"),
        ({"filters": 0}, "filters must be positive, found 0"),
        ({"channels": 0}, "channels must be positive, found 0"),
        ({"kernel_size": 4}, "kernel_size must be odd and positive, found 4"),
        ({"kernel_size": -1}, "kernel_size must be odd and positive, found -1"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), found 1.0"),
        ({"dropout": -0.1}, r"dropout must lie in \[0, 1\), found -0.1"),
        ({"dropout": float("nan")}, r"dropout must lie in \[0, 1\), found nan"),
        ({"l2": -1e-5}, "l2 must not be negative, found -1e-05"),
        ({"input_rows": 18}, "a map of 18 x 32 cannot be halved 2 times; both must be multiples of 4"),
        ({"input_profiles": 30}, "a map of 16 x 30 cannot be halved 2 times; both must be multiples of 4"),
        ({"input_profiles": 0}, "a map needs rows and profiles, found 16 x 0"),
        ({"output_rows": 0}, "output_rows must be 1 to 16, found 0"),
        ({"output_rows": 17}, "output_rows must be 1 to 16, found 17"),
        ({"interpolation": "cubic"}, "interpolation must be bilinear or nearest, found 'cubic'"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tiny: UNet3PlusConfig, changes: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^network configuration: {message}$"):
        dataclasses.replace(tiny, **changes)


def test_all_that_is_wrong_is_said_at_once(tiny: UNet3PlusConfig) -> None:
    with pytest.raises(
        ModelError, match=r"filters must be positive, found -2; .*output_rows must be 1 to 16, found 99"
    ):
        dataclasses.replace(tiny, filters=-2, output_rows=99)


def test_configuration_survives_json(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, interpolation="nearest", dropout=0.25, kernel_size=5)
    assert UNet3PlusConfig(**json.loads(json.dumps(config.to_dict()))) == config
