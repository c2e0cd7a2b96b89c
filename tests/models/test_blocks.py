"""Building blocks: what they do to a map, and how many rows they must see."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.models.blocks import (
    UpSampledConvolution,
    convolution_block,
    interpolation_matrix,
    keep_rows,
    pool,
    rows_before_convolution,
    rows_before_up_sampling,
    up_sample,
)


def draw_map(rows: int, profiles: int = 6, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(2, rows, profiles, channels)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_keep_rows_gives_the_lowest_rows(rows: int) -> None:
    curtain = draw_map(8)
    np.testing.assert_array_equal(
        keep_rows(keras.ops.convert_to_tensor(curtain), rows), curtain[:, :rows]
    )


@pytest.mark.parametrize("rows", [8, 9])
def test_keep_rows_leaves_a_map_that_has_no_more(rows: int) -> None:
    curtain = keras.Input((8, 6, 2))
    assert keep_rows(curtain, rows) is curtain


def test_pool_takes_the_maximum_of_squares() -> None:
    curtain = draw_map(8, 4)
    squares = curtain.reshape(
        2, 4, 2, 2, 2, 2
    )  # (batch, row, in row, profile, in profile, channel)
    np.testing.assert_array_equal(pool(curtain, 2, "x"), squares.max(axis=(2, 4)))


def test_a_factor_of_one_adds_no_layer() -> None:
    curtain = keras.Input((8, 6, 2))
    assert pool(curtain, 1, "x") is curtain
    assert up_sample(curtain, 1, "bilinear", "x") is curtain


def test_up_sampling_interpolates_between_centres_of_pixels() -> None:
    # Rows 0 and 1 become four, whose centres lie at -1/4, 1/4, 3/4, 5/4 of the coarse rows; beyond
    # the edge it is flat.
    curtain = np.array([0.0, 1.0], dtype=np.float32).reshape(1, 2, 1, 1)
    fine = {way: up_sample(curtain, 2, way, "x")[0, :, 0, 0] for way in ("bilinear", "nearest")}
    np.testing.assert_allclose(fine["bilinear"], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(fine["nearest"], [0, 0, 1, 1])


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_sees_no_row_beyond_those_it_asks_for(kernel_size: int) -> None:
    rows, seen = 3, rows_before_convolution(3, kernel_size, available=16)
    assert seen == 3 + (kernel_size - 1) // 2
    block = keras.layers.Conv2D(2, kernel_size, padding="same")
    curtain = draw_map(16)
    whole = block(curtain)[:, :rows]
    np.testing.assert_allclose(block(curtain[:, :seen])[:, :rows], whole, atol=1e-6)
    if kernel_size > 1:  # and none that it could do without
        assert not np.allclose(block(curtain[:, : seen - 1])[:, :rows], whole, atol=1e-3)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_up_sampling_sees_no_row_beyond_those_it_asks_for(interpolation: str) -> None:
    curtain = draw_map(8)
    for factor, rows in itertools.product((2, 4, 8), (1, 2, 3, 4, 5, 7, 8, 9, 16)):
        whole = up_sample(curtain, factor, interpolation, "x")[:, :rows]
        seen = rows_before_up_sampling(rows, factor, available=8)
        exact = up_sample(curtain[:, :seen], factor, interpolation, "x")[:, :rows]
        np.testing.assert_allclose(exact, whole, atol=1e-6, err_msg=f"{rows} rows, factor {factor}")


def test_row_counts_stop_at_the_rows_there_are() -> None:
    assert rows_before_convolution(8, 5, available=8) == 8
    assert rows_before_convolution(7, 5, available=8) == 8
    assert rows_before_up_sampling(16, 2, available=8) == 8
    assert rows_before_up_sampling(1, 2, available=1) == 1
    assert rows_before_up_sampling(5, 1, available=8) == 5


def test_convolution_block_normalises_and_cuts_off_below_zero() -> None:
    # One pixel of 3, a kernel of 2, moving mean 4, variance 9 - 0.001 (Keras' epsilon), scale 5,
    # offset -1: 5 (6 - 4) / 3 - 1 = 7/3; with offset -4 it is -2/3, which ReLU makes 0.
    inputs = keras.Input((1, 1, 1))
    network = keras.Model(inputs, convolution_block(inputs, 1, 1, 0.0, "block"))
    for offset, expected in ((-1.0, 7 / 3), (-4.0, 0.0)):
        network.set_weights(
            [np.full((1, 1, 1, 1), 2.0), *(np.array([v]) for v in (5.0, offset, 4.0, 9 - 0.001))]
        )
        np.testing.assert_allclose(network(np.full((1, 1, 1, 1), 3.0)), [[[[expected]]]], rtol=1e-6)


def test_convolution_block_names_its_layers_and_has_no_bias() -> None:
    inputs = keras.Input((4, 4, 2))
    network = keras.Model(inputs, convolution_block(inputs, 3, 3, 0.0, "stage"))
    assert [layer.name for layer in network.layers[1:]] == [
        "stage_convolution",
        "stage_normalization",
        "stage_activation",
    ]
    # 3 x 3 x 2 x 3 kernel values and four values a channel of batch normalisation
    assert network.count_params() == 54 + 12


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_the_penalty_is_the_sum_of_squared_kernel_values(l2: float) -> None:
    inputs = keras.Input((4, 4, 2))
    network = keras.Model(inputs, convolution_block(inputs, 3, 3, l2, "stage"))
    kernel = network.get_layer("stage_convolution").get_weights()[0]
    assert float(sum(network.losses)) == pytest.approx(l2 * (kernel**2).sum(), rel=1e-5)


def draw_folded(
    coarse: np.ndarray, **options: object
) -> tuple[UpSampledConvolution, np.ndarray, np.ndarray]:
    """A folded convolution with a random kernel, its kernel and its bias."""
    layer = UpSampledConvolution(3, padding="same", **options)
    layer.build(coarse.shape)
    random = np.random.default_rng(7)
    kernel, bias = (random.normal(size=weight.shape).astype(np.float32) for weight in layer.weights)
    layer.set_weights([kernel, bias])
    return layer, kernel, bias


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("factor", [2, 4])
def test_a_folded_convolution_is_that_of_the_up_sampled_map(
    kernel_size: int, interpolation: str, factor: int
) -> None:
    coarse = draw_map(5, 6)
    for rows in (5 * factor, 5 * factor - 1, factor, 1):
        layer, kernel, bias = draw_folded(
            coarse, kernel_size=kernel_size, factor=factor, rows=rows, interpolation=interpolation
        )
        fine = keras.layers.UpSampling2D(factor, interpolation=interpolation)(coarse)
        expected = keras.ops.conv(fine, kernel, padding="same") + bias
        np.testing.assert_allclose(
            layer(coarse), expected[:, :rows], atol=2e-5, err_msg=f"{rows} rows"
        )


def test_a_folded_convolution_has_the_same_gradients() -> None:
    coarse, factor, rows = draw_map(5, 6), 4, 9
    layer, _, _ = draw_folded(
        coarse, kernel_size=3, factor=factor, rows=rows, interpolation="bilinear"
    )
    plain = keras.layers.Conv2D(3, 3, padding="same")
    plain.build((None, 20, 24, 2))
    plain.set_weights(layer.get_weights())
    found = []
    for prediction in (
        layer,
        lambda x: plain(keras.layers.UpSampling2D(factor, interpolation="bilinear")(x))[:, :rows],
    ):
        x = tf.constant(coarse)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(prediction(x) ** 2)
        weights = layer.trainable_variables if prediction is layer else plain.trainable_variables
        found.append(tape.gradient(loss, [x, *(weight.value for weight in weights)]))
    for folded, expected in zip(*found, strict=True):
        np.testing.assert_allclose(folded, expected, rtol=1e-4, atol=1e-3)


def test_a_folded_convolution_survives_its_configuration() -> None:
    coarse = draw_map(5, 6)
    layer, kernel, bias = draw_folded(
        coarse, kernel_size=3, factor=2, rows=7, interpolation="nearest"
    )
    again = UpSampledConvolution.from_config(layer.get_config())
    again.build(coarse.shape)
    again.set_weights([kernel, bias])
    np.testing.assert_array_equal(again(coarse), layer(coarse))
    assert layer.compute_output_shape(coarse.shape) == layer(coarse).shape == (2, 7, 12, 3)


@pytest.mark.parametrize("way", ["bilinear", "nearest"])
def test_interpolation_is_a_weighted_mean(way: str) -> None:
    for coarse, factor in ((1, 2), (3, 4), (5, 8)):
        matrix = interpolation_matrix(coarse, factor, way)
        assert matrix.shape == (coarse * factor, coarse)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        x = np.random.default_rng(1).normal(size=(1, coarse, 1, 1)).astype(np.float32)
        np.testing.assert_allclose(
            matrix @ x[0, :, 0, 0],
            keras.layers.UpSampling2D((factor, 1), interpolation=way)(x)[0, :, 0, 0],
            atol=1e-6,
        )


def test_rows_that_are_not_exact_enter_no_statistics() -> None:
    # A map cut at row 4 has three exact rows after the convolution: moments of these, not of the
    # fourth.
    curtain = draw_map(8, channels=1)
    inputs = keras.Input((4, 6, 1))
    network = keras.Model(inputs, convolution_block(inputs, 1, 3, 0.0, "stage", rows=3))
    kernel = network.get_layer("stage_convolution").get_weights()[0]
    exact = np.asarray(keras.ops.conv(curtain, kernel, padding="same"))[:, :3]
    prediction = network(curtain[:, :4], training=True)
    np.testing.assert_allclose(
        prediction, np.maximum((exact - exact.mean()) / np.sqrt(exact.var() + 1e-3), 0), atol=1e-5
    )
