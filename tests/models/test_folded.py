"""The layer of inference: the numbers of plain Keras' convolution, normalisation and ReLU."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from blindzone.models import folded
from blindzone.models.blocks import convolution_block
from blindzone.models.folded import FoldedConvolution, combine, fold_normalization


def convolve_by_hand(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """ReLU of the convolution of `x`, zeros around it, in double precision."""
    half = len(kernel) // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (half, half), (half, half), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.maximum(np.einsum("nrtcij,ijcf->nrtf", seen, kernel.astype(np.float64)) + bias, 0)


def build_layer(
    layer: FoldedConvolution, *shapes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Gives the layer random weights and returns them."""
    layer.build(*shapes)
    random = np.random.default_rng(3)
    kernel, bias = (
        random.normal(0, 0.2, weight.shape).astype(np.float32) for weight in layer.weights
    )
    layer.set_weights([kernel, bias])
    layer.prepare()
    return kernel, bias


@pytest.mark.parametrize("fewest_channels", [1, 1000])
@pytest.mark.parametrize(
    ("entering", "rows", "profiles"),
    # The map ends with what enters, or goes on beyond; one block of outputs, several, and a width
    # of no whole tiles.
    [(5, 5, 4), (6, 5, 8), (5, 5, 12), (9, 4, 32), (5, 5, 48), (4, 3, 10)],
)
def test_the_lowest_rows_are_those_of_the_plain_convolution(
    entering: int, rows: int, profiles: int, fewest_channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "FEWEST_CHANNELS", fewest_channels)
    layer = FoldedConvolution(6, 3, rows=rows)
    kernel, bias = build_layer(layer, (None, entering, profiles, 5))
    assert layer._is_fast == (fewest_channels == 1 and profiles != 10)
    x = np.random.default_rng(0).normal(size=(3, entering, profiles, 5)).astype(np.float32)
    expected = convolve_by_hand(x, kernel, bias)[:, :rows]
    assert (expected > 0).mean() > 0.3
    np.testing.assert_allclose(np.asarray(layer(x)), expected, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 5])
def test_other_kernels_are_applied_as_they_are(
    kernel_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "FEWEST_CHANNELS", 1)
    layer = FoldedConvolution(2, kernel_size, rows=3)
    kernel, bias = build_layer(layer, (None, 6, 8, 3))
    x = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(layer(x)), convolve_by_hand(x, kernel, bias)[:, :3], atol=1e-5
    )


@pytest.mark.parametrize("fewest_channels", [1, 1000])
def test_fixed_channels_count_in_every_realization_of_their_window(
    fewest_channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "FEWEST_CHANNELS", fewest_channels)
    random = np.random.default_rng(0)
    fixed = random.normal(size=(2, 4, 8, 3)).astype(np.float32)  # two windows
    x = random.normal(size=(6, 4, 8, 2)).astype(np.float32)  # three realizations of each
    layer = FoldedConvolution(4, 3, rows=4)
    kernel, bias = build_layer(layer, (None, 4, 8, 2), (None, 4, 8, 3))
    whole = np.concatenate([np.repeat(fixed, 3, axis=0), x], axis=-1)
    np.testing.assert_allclose(
        np.asarray(layer(x, fixed)), convolve_by_hand(whole, kernel, bias), atol=1e-5
    )


def test_maps_of_windows_meet_those_of_their_own_realizations() -> None:
    same = np.array([10.0, 20.0], np.float32).reshape(2, 1)
    own = np.arange(6, dtype=np.float32).reshape(6, 1)
    assert np.asarray(combine(np.add, same, own)).ravel().tolist() == [10, 11, 12, 23, 24, 25]
    each = np.arange(0, 600, 100, dtype=np.float32).reshape(6, 1)
    assert np.asarray(combine(np.add, each, own)).ravel().tolist() == [0, 101, 202, 303, 404, 505]


def test_normalization_goes_into_the_convolution_before_it() -> None:
    inputs = keras.Input((4, 6, 2))
    network = keras.Model(inputs, convolution_block(inputs, 3, 3, 0.0, "stage"))
    random = np.random.default_rng(1)
    kernel = random.normal(size=(3, 3, 2, 3)).astype(np.float32)
    gamma, beta, mean = random.normal(size=(3, 3)).astype(np.float32)
    variance = random.uniform(0.1, 4, 3).astype(np.float32)
    network.get_layer("stage_convolution").set_weights([kernel])
    network.get_layer("stage_normalization").set_weights([gamma, beta, mean, variance])
    folded_weights = fold_normalization(network)
    assert list(folded_weights) == ["stage_convolution"]
    x = random.normal(size=(2, 4, 6, 2)).astype(np.float32)
    by_hand = convolve_by_hand(x, *folded_weights["stage_convolution"])
    np.testing.assert_allclose(by_hand, np.asarray(network(x, training=False)), atol=1e-5)
