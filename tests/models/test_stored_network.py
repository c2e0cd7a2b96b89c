"""Weights read from a checkpoint's file are those that Keras reads, by the same names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.checkpoint import Checkpoint, fingerprint, read_checkpoint, write_checkpoint
from blindzone.models.families import for_inference
from blindzone.models.inference_network import fold_finite
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import read_weights
from blindzone.models.stored_network import StoredNetwork, read_stored

RandomNetwork = Callable[..., Any]
SHIPPED = sorted((Path(__file__).parents[2] / "models" / "weights").glob("*.keras"))
COLUMN = {"base": "column", "column_paths": 2, "column_filters": 3, "column_depth": 2}


@pytest.fixture
def write(random_network: RandomNetwork, tmp_path: Path) -> Callable[[NetworkConfig], Path]:
    def write(config: NetworkConfig) -> Path:
        network = for_inference(random_network(config), config)  # as training writes it
        path = tmp_path / "network.keras"
        write_checkpoint(path, Checkpoint(network=network, config=config, preprocessing={"a": 1}))
        return path

    return write


def assert_same_as_keras(path: Path) -> None:
    stored, whole = (read_checkpoint(path, to_fill=way) for way in (True, False))
    assert isinstance(stored.network, StoredNetwork)
    assert tuple(stored.network.input_shape) == whole.network.input_shape
    for read in (read_weights, fold_finite):
        found, expected = (read(each.network) for each in (stored, whole))
        assert found.keys() == expected.keys()
        for name, arrays in expected.items():
            assert all(map(np.array_equal, found[name], arrays))
    one, other = (fingerprint(each.network, each.preprocessing) for each in (stored, whole))
    assert one == other


@pytest.mark.parametrize(
    "changes",
    [COLUMN, {"dropout": 0.3}, {"filters": 0, **COLUMN}, {"normalization": "batch"}],
    ids=str,
)
def test_stored_weights_are_those_of_the_network(
    tiny: NetworkConfig, write: Callable[[NetworkConfig], Path], changes: Any
) -> None:
    assert_same_as_keras(write(dataclasses.replace(tiny, **{"normalization": "none"} | changes)))


def test_shipped_weights_are_read_without_keras() -> None:
    assert_same_as_keras(SHIPPED[-1])
    for path in SHIPPED:
        assert read_stored(path) is not None


def test_layers_of_many_kinds_are_found_by_their_class_and_number(tmp_path: Path) -> None:
    inputs = x = keras.Input((8, 8, 2))
    for number in range(2):
        x = keras.layers.SeparableConv2D(4, 3, padding="same", name=f"b{1 - number}")(x)
        x = keras.layers.Conv2DTranspose(4, 2, strides=2, name=f"a{number}")(x)
        x = keras.layers.PReLU(shared_axes=[1, 2], name=f"c{number}")(x)
    network = keras.Model(inputs, keras.layers.Dense(1)(x))
    network.save(path := tmp_path / "n.keras")
    stored = read_stored(path)
    assert stored is not None
    expected = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    assert [layer.name for layer in stored.layers] == list(expected)
    for layer in stored.layers:
        assert all(map(np.array_equal, layer.get_weights(), expected[layer.name]))


def test_layers_within_layers_are_left_to_keras(tmp_path: Path) -> None:
    inputs = keras.Input((8, 2))
    network = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.Dense(2))(inputs))
    network.save(path := tmp_path / "n.keras")
    assert read_stored(path) is None
