"""The network: exact row limits, size, names, configuration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.core.errors import ModelError
from blindzone.models.unet3plus import (
    LOG_SCALE_START,
    UNet3PlusConfig,
    branch_rows,
    build_unet3plus,
    connect_unet3plus,
    copy_weights,
    decoder_rows,
    for_inference,
    main_heads,
    output_names,
)

RandomNetwork = Callable[..., Any]


def draw_curtain(config: UNet3PlusConfig, batch: int = 1) -> np.ndarray:
    shape = (batch, config.input_rows, config.input_profiles, config.channels)
    curtain = np.random.default_rng(11).normal(size=shape).astype(np.float32)
    curtain[..., 1:2] = 1  # soft mask: nothing that is answered for was observed
    return curtain


def with_weights_of(source: keras.Model, config: UNet3PlusConfig) -> keras.Model:
    network = build_unet3plus(config)
    copy_weights(source, network)
    return network


@pytest.mark.parametrize(("kernel_size", "interpolation"), [(3, "bilinear"), (5, "nearest")])
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
            np.testing.assert_allclose(
                values, expected[head][:, :k], atol=2e-5, err_msg=f"{head}, {k} rows"
            )


def test_the_rows_above_the_receptive_field_are_still_seen(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
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


def test_decoder_rows_by_hand() -> None:
    # 128 rows, 16 answered for, kernels of 3: a stage's branches see two rows more than leave it.
    # From the finest: 16 -> branches 18; stage 1 gives 18/2 + 1 = 10 -> branches 12; stage 2: 18/4
    # -> 5 + 1, 12/2 + 1 = 7: 7 -> branches 9; stage 3: 18/8 -> 4, 12/4 -> 4, 9/2 -> 5 + 1: 6 ->
    # branches 8; bottom: 18/16 -> 3, 12/8 -> 3, 9/4 -> 4, 8/2 + 1: 5 of its 8.
    assert decoder_rows(
        UNet3PlusConfig(input_rows=128, output_rows=16, depth=4, kernel_size=3)
    ) == (16, 10, 7, 6, 5)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_rows_needed_never_exceed_those_available(depth: int, kernel_size: int) -> None:
    for rows in (2**depth, 3 * 2**depth, 128 if depth <= 4 else 320):
        available = tuple(rows >> level for level in range(depth + 1))
        earlier = (0,) * (depth + 1)
        for k in range(1, rows + 1):
            config = UNet3PlusConfig(
                input_rows=rows,
                input_profiles=2**depth,
                output_rows=k,
                depth=depth,
                kernel_size=kernel_size,
            )
            needed = decoder_rows(config)
            entering = tuple(
                branch_rows(n, config, a) for n, a in zip(needed, available, strict=True)
            )
            assert needed[0] == k
            assert all(
                1 <= n <= b <= a for n, b, a in zip(needed, entering, available, strict=True)
            )
            assert all(
                n >= e for n, e in zip(needed, earlier, strict=True)
            )  # more rows never need fewer
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
    # King et al. (2024) give 6.76 million for depth 4, f = 32. Ours: 6 751 011 with two input
    # channels. Theirs has a bias in each convolution (encoder 2 x 992, decoder 4 x (5 x 32 + 160))
    # and, for deep supervision, 3 x 3 heads of one channel on four stages of 160 channels and on
    # the bottom of 512, where we have three of 1 x 1.
    network = build_unet3plus(
        UNet3PlusConfig(input_rows=16, input_profiles=16, channels=2, depth=4, filters=32)
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
    config = UNet3PlusConfig(
        input_rows=16,
        input_profiles=16,
        output_rows=4,
        depth=depth,
        filters=f,
        channels=channels,
        dropout=0.0,
    )
    assert build_unet3plus(config).count_params() == count_parameters(f, depth, channels)


def test_every_layer_has_a_name_of_its_own_whatever_was_built_before(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2)
    first, second = ([layer.name for layer in build_unet3plus(config).layers] for _ in range(2))
    assert len(set(first)) == len(first)
    # A name that Keras makes up counts upwards from network to network.
    assert set(first) == set(second)


def test_dropout_follows_every_pooling_and_up_sampling(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, dropout=0.2)
    network = build_unet3plus(dataclasses.replace(config, dropout_kind="element"))
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
        found = build_unet3plus(dataclasses.replace(config, dropout_kind=kind)).layers
        dropped = [layer for layer in found if isinstance(layer, keras.layers.Dropout)]
        assert {layer.name for layer in dropped} == names
        assert all(type(layer) is of_kind and layer.rate == 0.2 for layer in dropped)


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


def test_zero_heads_repeat_the_row_that_the_curtain_shows(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = random_network(tiny)
    for name in ("change", "log_scale", "occurrence"):
        head = network.get_layer(name)
        head.set_weights([np.zeros_like(weights) for weights in head.get_weights()])
    curtain = draw_curtain(tiny, batch=2)
    curtain[:, :4, :, 0] = np.linspace(
        0, 1, 32
    )  # the lowest visible row, repeated down to the ground
    curtain[:, :4, 5, 0] = -1  # clear sky starts at 0
    answer = network(curtain)
    expected = np.linspace(0, 1, 32)
    expected[5] = 0
    np.testing.assert_allclose(
        answer["intensity"][..., 0], np.broadcast_to(expected, (2, 3, 32)), atol=1e-6
    )
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
        (
            {"input_rows": 18},
            "a map of 18 x 32 cannot be halved 2 times; both must be multiples of 4",
        ),
        (
            {"input_profiles": 30},
            "a map of 16 x 30 cannot be halved 2 times; both must be multiples of 4",
        ),
        ({"input_profiles": 0}, "a map needs rows and profiles, found 16 x 0"),
        ({"output_rows": 0}, "output_rows must be 1 to 16, found 0"),
        ({"output_rows": 17}, "output_rows must be 1 to 16, found 17"),
        ({"head": "double"}, "head must be two_part or single, found 'double'"),
        ({"dropout_kind": "row"}, "dropout_kind must be spatial or element, found 'row'"),
        ({"normalization": "layer"}, "normalization must be batch or none, found 'layer'"),
        ({"base": "zero"}, "base must be repeat or column or none, found 'zero'"),
        (
            {"head": "single", "joint_forecast": True},
            "joint_forecast needs the two-part head, found 'single'",
        ),
        ({"interpolation": "cubic"}, "interpolation must be bilinear or nearest, found 'cubic'"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    tiny: UNet3PlusConfig, changes: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=f"^network configuration: {message}$"):
        dataclasses.replace(tiny, **changes)


def test_all_that_is_wrong_is_said_at_once(tiny: UNet3PlusConfig) -> None:
    with pytest.raises(
        ModelError,
        match=r"filters must be positive, found -2; .*output_rows must be 1 to 16, found 99",
    ):
        dataclasses.replace(tiny, filters=-2, output_rows=99)


def test_configuration_survives_json(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, interpolation="nearest", dropout=0.25, kernel_size=5)
    assert UNet3PlusConfig(**json.loads(json.dumps(config.to_dict()))) == config


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
    tiny: UNet3PlusConfig, changes: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **changes)
    limited = random_network(config)
    whole = with_weights_of(limited, dataclasses.replace(config, limit_rows=False))
    curtain = draw_curtain(config, batch=2)
    expected = whole(curtain)
    answer = limited(curtain)
    assert answer.keys() == expected.keys()
    for name, values in answer.items():
        np.testing.assert_allclose(values, expected[name], atol=2e-5, err_msg=name)


def test_limiting_the_rows_changes_no_gradient(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
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


@pytest.mark.parametrize(
    "changes", [{}, FULL, FULL | {"joint_forecast": True}, PUBLISHED, {"head": "single"}]
)
def test_every_output_is_named(tiny: UNet3PlusConfig, changes: Any) -> None:
    config = dataclasses.replace(tiny, **changes)
    assert set(build_unet3plus(config).output) == set(output_names(config))


def test_the_published_recipe_has_a_single_value_on_every_stage(tiny: UNet3PlusConfig) -> None:
    config = dataclasses.replace(tiny, **PUBLISHED, dropout=0.2)
    network = build_unet3plus(config)
    shapes = {name: head.shape for name, head in network.output.items()}
    assert shapes == dict.fromkeys(("value", "value_1", "value_2"), (None, 3, 32, 1))
    # Full maps of 16 x 32 and 8 x 16 leave the decoder stages.
    assert network.get_layer("decoder0_activation").output.shape == (None, 16, 32, 6)
    assert network.get_layer("decoder1_activation").output.shape == (None, 8, 16, 6)


@pytest.mark.parametrize(
    "changes", [FULL | {"joint_forecast": True}, {"head": "single"}, PUBLISHED]
)
def test_a_saved_network_is_the_same_in_safe_mode(
    tiny: UNet3PlusConfig, changes: Any, random_network: RandomNetwork, tmp_path: Path
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
    tiny: UNet3PlusConfig, changes: Any, random_network: RandomNetwork
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
def test_weights_of_another_configuration_are_refused(tiny: UNet3PlusConfig, changes: Any) -> None:
    with pytest.raises(ModelError, match="the weights do not fit their configuration: "):
        for_inference(build_unet3plus(dataclasses.replace(tiny, **changes)), tiny)


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_observed_pixels_pass_untouched(
    tiny: UNet3PlusConfig, head: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head=head)
    network = random_network(config)
    hidden = draw_curtain(config)
    curtain = hidden.copy()
    # The blind zone ends below row 1 in profile 4, and below row 2 in profile 5: what lies above
    # was seen.
    curtain[0, 1:, 4, 1] = 0.5
    curtain[0, 2:, 5, 1] = 0.0
    curtain[0, 1:3, 4, 0] = (0.123, -1.0)  # echo, clear
    curtain[0, 2, 5, 0] = -0.5  # the weakest echo there is
    answer = {name: np.asarray(values)[0] for name, values in network(curtain).items()}
    is_observed = curtain[0, :3, :, 1] < 1
    assert is_observed.sum() == 3
    first = next(iter(main_heads(config)[::-1]))
    np.testing.assert_array_equal(
        answer[first][is_observed][:, 0], curtain[0, :3][is_observed][:, 0]
    )
    if head == "two_part":
        # Rows of the mask: (1, 4) echo, (2, 4) clear, (2, 5) echo. Certain, but with finite
        # logarithms.
        np.testing.assert_array_equal(np.sign(answer["occurrence"][is_observed][:, 0]), [1, -1, 1])
        np.testing.assert_array_equal(1 / (1 + np.exp(-answer["occurrence"][1, 4])), np.float32(1))
        np.testing.assert_array_equal(answer["intensity"][is_observed][:, 1], -5.0)
    assert np.isfinite(answer[first]).all()


def test_an_observed_pixel_has_no_gradient(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(tiny)
    curtain = draw_curtain(tiny)
    curtain[..., 1] = 0  # all is seen
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(head) for head in network(curtain).values())
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is None or not np.any(gradient) for gradient in gradients)


def sigmoid(x: Any) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, dtype=np.float64))))


def set_scene(network: keras.Model, logit: float) -> None:
    layer = network.get_layer("scene_convolution")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.full_like(bias, logit)])


@pytest.mark.parametrize("logit", [-60.0, -2.0, 0.5, 60.0])
def test_the_scene_gates_every_occurrence_as_a_probability(
    tiny: UNet3PlusConfig, logit: float, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **FULL)
    network = random_network(config)
    plain = with_weights_of(network, config)
    set_scene(plain, 1e4)  # certain: nothing is gated
    set_scene(network, logit)
    curtain = draw_curtain(config)
    free, gated = plain(curtain), network(curtain)
    np.testing.assert_array_equal(gated["scene"], [[logit]])
    for name in ("occurrence", "occurrence_1", "occurrence_2"):
        np.testing.assert_allclose(
            sigmoid(gated[name]), sigmoid(logit) * sigmoid(free[name]), rtol=1e-4, atol=1e-30
        )
        assert (np.asarray(gated[name]) <= np.asarray(free[name])).all()
    # Given echo, the scene holds echo: what it is then like does not depend on how likely that is.
    for name in ("intensity", "intensity_1", "intensity_2"):
        np.testing.assert_array_equal(gated[name], free[name])


def test_the_scene_draws_the_single_value_towards_clear(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head="single", **FULL)
    network = random_network(config)
    curtain = draw_curtain(config)
    answers = []
    for logit in (1e4, 0.0, -1e4):
        set_scene(network, logit)
        answers.append(network(curtain))
    for name in ("value", "value_1", "value_2"):
        free, half, none = (np.asarray(answer[name]) for answer in answers)
        np.testing.assert_allclose(half, (free - 1) / 2, atol=1e-6)  # halfway to -1
        np.testing.assert_array_equal(none, np.full_like(free, -1))


@pytest.mark.parametrize("logit", [1e4, 3.0, -3.0, -1e4])
def test_the_gate_has_a_slope_towards_the_scene(
    tiny: UNet3PlusConfig, logit: float, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, **FULL)
    network = random_network(config)
    set_scene(network, logit)
    bias = network.get_layer("scene_convolution").bias
    with tf.GradientTape() as tape:
        total = tf.reduce_mean(network(draw_curtain(config))["occurrence"])
    slope = float(tape.gradient(total, bias.value)[0])
    assert np.isfinite(slope)
    # d/ds of the logit of s(a) s(s): 1 for a scene that is surely clear, 0 for one that surely
    # holds echo.
    assert {1e4: slope < 1e-6, -1e4: slope == pytest.approx(1)}.get(logit, 0 < slope < 1)


def test_without_a_base_zero_heads_say_nothing(tiny: UNet3PlusConfig) -> None:
    for head, last in (("two_part", "intensity"), ("single", "value")):
        network = build_unet3plus(dataclasses.replace(tiny, head=head, base="none"))
        layer = network.get_layer("change")
        layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
        np.testing.assert_array_equal(
            network(draw_curtain(tiny))[last][..., 0], np.zeros((1, 3, 32))
        )


def test_the_single_value_starts_from_what_is_shown_clear_sky_too(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(dataclasses.replace(tiny, head="single"))
    layer = network.get_layer("change")
    layer.set_weights([np.zeros_like(weights) for weights in layer.get_weights()])
    curtain = draw_curtain(tiny)
    curtain[0, :3, 7, 0] = -1
    np.testing.assert_array_equal(network(curtain)["value"], curtain[:, :3, :, :1])


def test_without_normalization_convolutions_have_a_bias(tiny: UNet3PlusConfig) -> None:
    network = build_unet3plus(dataclasses.replace(tiny, normalization="none"))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.use_bias for layer in convolutions)


def test_outputs_are_in_single_precision_whatever_the_network_computes_in(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
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
