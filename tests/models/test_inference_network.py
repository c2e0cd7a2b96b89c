"""The network of Monte Carlo inference: the trained one in fewer operations, masks given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models import folded
from blindzone.models.families import dropout_channels
from blindzone.models.inference_network import InferenceNetwork
from blindzone.models.network_config import NetworkConfig

pytestmark = pytest.mark.usefixtures("eager")

RandomNetwork = Callable[..., Any]


def draw_window() -> np.ndarray:
    window = np.random.default_rng(5).normal(0.3, 0.5, (16, 32, 2)).astype(np.float32)
    window[:3, :, 1] = 1  # the three rows that are predicted are hidden
    return window


@pytest.mark.usefixtures("as_graph")
@pytest.mark.parametrize(
    ("depth", "rows", "profiles", "output_rows", "changes"),
    [
        (2, 20, 12, 1, {"kernel_size": 5, "base": "none"}),
        (3, 24, 40, 7, {"interpolation": "nearest", "classification_guided": True}),
        pytest.param(4, 64, 48, 9, {}, marks=pytest.mark.soak),
        (3, 24, 16, 24, {"head": "single"}),  # a blind zone as high as the map
        pytest.param(5, 64, 96, 12, {"filters": 1}, marks=pytest.mark.soak),
    ],
)
def test_without_dropout_it_is_the_plain_network_over_the_full_map(
    random_network: RandomNetwork,
    monkeypatch: pytest.MonkeyPatch,
    depth: int,
    rows: int,
    profiles: int,
    output_rows: int,
    changes: Any,
) -> None:
    monkeypatch.setattr(folded, "FEWEST_CHANNELS", 1)  # take the fast way wherever the width allows
    shape = {
        "input_rows": rows,
        "input_profiles": profiles,
        "output_rows": output_rows,
        "depth": depth,
    }
    config = NetworkConfig(channels=2, dropout=0.0, l2=0.0, **({"filters": 2} | shape | changes))
    network = random_network(dataclasses.replace(config, limit_rows=False))
    window = np.random.default_rng(5).normal(0.3, 0.5, (rows, profiles, 2)).astype(np.float32)
    window[..., 1] = 1
    plain = {
        name: np.asarray(head)[0] for name, head in network(window[None], training=False).items()
    }
    inference = InferenceNetwork(config)
    inference.set_weights(network)
    heads = inference.predict(
        window[None], np.zeros((1, 2), np.int32), np.zeros((1, 0), np.float32)
    )
    for name, head in heads.items():
        assert plain[name].std() > 0.01
        np.testing.assert_allclose(np.asarray(head)[0], plain[name], atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"base": "column", "column_depth": 1}])
def test_each_mask_multiplies_the_channels_of_its_own_layer(
    tiny: NetworkConfig, random_network: RandomNetwork, changes: Any
) -> None:
    # The last channel of one layer at a time is dropped, in the trained network and by the mask.
    config = dataclasses.replace(tiny, dropout=0.3, depth=1, column_filters=2, **changes)
    trained, window = random_network(config), draw_window()
    network = InferenceNetwork(config)
    network.set_weights(trained)
    channels = dropout_channels(config)
    assert network.mask_channels == sum(channels.values())
    masks = np.ones((len(channels), network.mask_channels), np.float32)
    masks[np.arange(len(channels)), np.cumsum(list(channels.values())) - 1] = 0
    keys = np.zeros((len(channels), 2), np.int32)
    found = network.predict(window[None], keys, masks)["occurrence"]
    for layer, occurrence in zip(channels, found, strict=True):
        expected = drop_last_channel(trained, layer)(window[None])["occurrence"]
        np.testing.assert_allclose(occurrence, expected[0], atol=1e-4, err_msg=layer)


def drop_last_channel(network: keras.Model, layer: str) -> keras.Model:
    """The network with the last channel of one dropout layer dropped."""

    def clone(each: keras.layers.Layer) -> keras.layers.Layer:
        if each.name != layer:
            return each
        kept = np.ones(each.output.shape[-1], np.float32)
        kept[-1] = 0
        return keras.layers.Rescaling(scale=kept, name=f"{layer}_dropped")

    return keras.models.clone_model(
        network, clone_function=clone, call_function=lambda each, *given, **named: each(*given)
    )


def test_whole_channels_are_masked_by_inputs_and_single_pixels_by_keys(
    tiny: NetworkConfig,
) -> None:
    spatial = InferenceNetwork(dataclasses.replace(tiny, dropout=0.3))
    element = InferenceNetwork(dataclasses.replace(tiny, dropout=0.3, dropout_kind="element"))
    none = InferenceNetwork(tiny)
    assert [each.mask_channels for each in (spatial, element, none)] == [30, 0, 0]
    assert sum(dropout_channels(spatial.config).values()) == 30
    (masks,) = spatial.model.inputs[3:]
    assert tuple(masks.shape) == (None, 1, 1, 30)


@pytest.mark.usefixtures("as_graph")
@pytest.mark.parametrize("head", ["two_part", "single"])
def test_single_pixels_are_dropped_as_keras_drops_them(
    tiny: NetworkConfig, head: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(
        tiny, head=head, dropout=0.3, dropout_kind="element", classification_guided=True
    )
    trained = random_network(config)
    count, window = 400, draw_window()
    network = InferenceNetwork(config)
    network.set_weights(trained)
    keys = np.stack([np.arange(count), np.full(count, 4)], axis=-1).astype(np.int32)
    heads = network.predict(window[None], keys, np.zeros((count, 0), np.float32))
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    drawn = trained(np.repeat(window[None], count, axis=0), training=True)
    for name, found in heads.items():
        expected = np.asarray(drawn[name])[..., 0]
        error = expected.std(axis=0) * np.sqrt(2 / count)
        assert error.min() > 0
        difference = np.abs(np.asarray(found)[..., 0].mean(axis=0) - expected.mean(axis=0))
        np.testing.assert_array_less(difference, 5 * error)
        assert np.asarray(found)[..., 0].std(axis=0).mean() == pytest.approx(
            expected.std(axis=0).mean(), rel=0.1
        )


@pytest.fixture(scope="module")
def trained(tiny: NetworkConfig, random_network: RandomNetwork) -> keras.Model:
    """A network whose weights are as they were after each test."""
    return random_network(tiny)


@pytest.fixture(scope="module")
def inference(tiny: NetworkConfig) -> InferenceNetwork:
    """A network that all weights are refused by."""
    return InferenceNetwork(tiny)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("layer", "index"),
    # kernel, offset, moving mean; before a ReLU an infinite offset may not show in the prediction
    [
        ("encoder0a_convolution", 0),
        ("encoder2b_normalization", 1),
        ("decoder0_normalization", 2),
        ("occurrence", 1),
    ],
)
def test_weights_that_are_not_finite_are_refused(
    trained: keras.Model, inference: InferenceNetwork, layer: str, index: int, value: float
) -> None:
    right = trained.get_layer(layer).get_weights()
    wrong = [array.copy() for array in right]
    wrong[index].flat[0] = value
    trained.get_layer(layer).set_weights(wrong)
    try:
        with pytest.raises(ModelError, match="weights are not finite"):
            inference.set_weights(trained)
    finally:
        trained.get_layer(layer).set_weights(right)


@pytest.mark.parametrize(
    "changes", [{"filters": 3}, {"depth": 1}, {"channels": 1}, {"kernel_size": 5}]
)
def test_weights_of_another_configuration_are_refused(
    tiny: NetworkConfig, trained: keras.Model, changes: Any
) -> None:
    with pytest.raises(ModelError, match="the weights do not fit their configuration"):
        InferenceNetwork(dataclasses.replace(tiny, **changes)).set_weights(trained)
