"""Weights of networks: set by layer name, all or none, and variables in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import CheckpointError, ModelError
from blindzone.models.families import build_network, for_inference
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import (
    copy_variables,
    copy_weights,
    load_trunk,
    load_weights,
    read_weights,
    restore_variables,
    save_weights,
    set_weights,
    warm_start,
)

RandomNetwork = Callable[..., Any]


def flatten(network: keras.Model) -> np.ndarray:
    return np.concatenate([values.ravel() for values in network.get_weights()])


def test_weights_are_copied_layer_by_layer(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    source, target = random_network(tiny, seed=1), random_network(tiny, seed=2)
    assert (flatten(source) != flatten(target)).any()
    copy_weights(source, target)
    np.testing.assert_array_equal(flatten(source), flatten(target))


def test_heads_on_decoder_stages_are_left_out_where_there_are_none(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    deep = random_network(dataclasses.replace(tiny, deep_supervision=True))
    target = build_network(tiny)
    copy_weights(deep, target)
    for name, arrays in read_weights(target).items():
        for found, expected in zip(arrays, read_weights(deep)[name], strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("occurrence"), "the weights .*: occurrence is missing"),
        (lambda weights: weights.update(extra=[np.zeros(2)]), "the weights .*: extra has no place"),
        (
            lambda weights: weights.update(change=[np.zeros((1, 1, 6, 1))]),
            r"change has the shapes \[\(1, 1, 6, 1\)\], \[\(1, 1, 6, 1\), \(1,\)\] are right",
        ),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    tiny: NetworkConfig, random_network: RandomNetwork, change: Any, message: str
) -> None:
    target = random_network(tiny, seed=2)
    before = flatten(target)
    weights = read_weights(random_network(tiny, seed=1))
    change(weights)
    with pytest.raises(ModelError, match=message):
        set_weights(target, weights)
    np.testing.assert_array_equal(flatten(target), before)


def test_a_warm_start_takes_over_all_weights_and_refuses_another_shape(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    trained = for_inference(random_network(tiny, seed=1), tiny)
    network = random_network(dataclasses.replace(tiny, deep_supervision=True), seed=2)
    own = network.get_layer("occurrence_1").get_weights()
    warm_start(network, trained)
    curtain = np.random.default_rng(3).normal(size=(2, 16, 32, 2)).astype(np.float32)
    for name, expected in trained(curtain).items():
        np.testing.assert_allclose(network(curtain)[name], expected, atol=2e-5)
    for found, kept in zip(network.get_layer("occurrence_1").get_weights(), own, strict=True):
        np.testing.assert_array_equal(found, kept)
    with pytest.raises(ModelError, match="of the same depth, filters, channels"):
        warm_start(build_network(dataclasses.replace(tiny, filters=4)), trained)


@pytest.mark.parametrize("family", ["unet", "unet++", "dynamic_unet"])
def test_a_trained_encoder_begins_a_network_of_another_family(
    tiny: NetworkConfig, random_network: RandomNetwork, family: Any
) -> None:
    trained = for_inference(random_network(tiny, seed=1), tiny)
    network = build_network(dataclasses.replace(tiny, family=family))
    before = read_weights(network)
    loaded = load_trunk(network, trained)
    # Three blocks of two convolutions and normalisations.
    assert len(loaded) == 12
    for name, arrays in read_weights(network).items():
        expected = (read_weights(trained) if name in loaded else before)[name]
        for found, right in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 1}, "must have the network's kind of encoder, depth"),
        ({"channels": 3}, "depth, filters, channels and normalisation: encoder0a_convolution has"),
        (
            {"family": "partial_conv"},
            "the network's kind of encoder.*: encoder0a_convolution is miss",
        ),
        ({"base": "column", "filters": 0}, "column paths alone have none"),
    ],
)
def test_another_encoder_is_refused(
    tiny: NetworkConfig, random_network: RandomNetwork, changes: Any, message: str
) -> None:
    network = random_network(tiny)
    before = flatten(network)
    with pytest.raises(ModelError, match=message):
        load_trunk(network, build_network(dataclasses.replace(tiny, **changes)))
    np.testing.assert_array_equal(flatten(network), before)


def test_the_decoder_of_the_same_family_comes_along(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    # Trained to fill all rows, the heads on another base: neither matters to the trunk.
    config = dataclasses.replace(tiny, output_rows=tiny.input_rows)
    trained = for_inference(random_network(config, seed=1), config)
    network = random_network(dataclasses.replace(tiny, base="column"), seed=2)
    loaded = load_trunk(network, trained)
    trunk = [name for name in read_weights(network) if name.startswith(("encoder", "decoder"))]
    assert sorted(loaded) == sorted(trunk)
    for name in loaded:
        for found, right in zip(
            read_weights(network)[name], read_weights(trained)[name], strict=True
        ):
            np.testing.assert_array_equal(found, right)


def test_variables_come_back_in_their_order() -> None:
    variables = [keras.Variable(np.arange(3.0)), keras.Variable(np.ones((2, 2)))]
    kept = copy_variables(variables)
    variables[0].assign(np.zeros(3))
    restore_variables(variables, kept, where="here")
    np.testing.assert_array_equal(np.asarray(variables[0]), [0, 1, 2])
    with pytest.raises(CheckpointError, match="here: the state holds 1 arrays of other shapes"):
        restore_variables(variables, kept[:1], where="here")


def test_all_weights_survive_a_file(
    tiny: NetworkConfig, random_network: Any, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny, deep_supervision=True)
    one, other = random_network(config, seed=1), random_network(config, seed=2)
    save_weights(tmp_path / "weights.npz", one)
    load_weights(tmp_path / "weights.npz", other)
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_damaged_or_other_weights_are_refused(
    tiny: NetworkConfig, random_network: Any, tmp_path: Path
) -> None:
    network = random_network(tiny)
    save_weights(path := tmp_path / "weights.npz", network)
    wider = random_network(dataclasses.replace(tiny, filters=3))
    with pytest.raises(ModelError, match=r"weights\.npz: the weights do not fit the network"):
        load_weights(path, wider)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match=r"weights\.npz: the weights cannot be read"):
        load_weights(path, network)
