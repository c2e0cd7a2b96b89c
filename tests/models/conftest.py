"""Small networks with weights that hide nothing: biases and statistics away from their start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

# Before the first import of TensorFlow, or it does not count.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig

RandomNetwork = Callable[..., Any]


@pytest.fixture(autouse=True)
def seeds() -> None:
    keras.utils.set_random_seed(20240601)


@pytest.fixture
def eager() -> Iterator[None]:
    """Runs functions line by line: of small networks, a graph takes a second to trace."""
    with eagerly():
        yield


@pytest.fixture
def as_graph(eager: None) -> None:
    """Runs functions as graphs after all, as users do."""
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def tiny() -> NetworkConfig:
    """16 x 32 pixels, two channels, three rows predicted."""
    return NetworkConfig(
        input_rows=16,
        input_profiles=32,
        channels=2,
        output_rows=3,
        depth=2,
        filters=2,
        dropout=0.0,
        l2=0.0,
    )


@pytest.fixture(scope="session")
def random_network() -> RandomNetwork:
    """Builds a network with random biases and statistics: at 0 and 1 they would hide mistakes."""
    return build_random_network


def build_random_network(config: NetworkConfig, seed: int = 0) -> keras.Model:
    network = build_network(config)
    random = np.random.default_rng(seed)
    for layer in network.layers:
        layer.set_weights(
            [_draw(random, weight.name, tuple(weight.shape)) for weight in _arrays(layer)]
        )
    return network


def _arrays(layer: Any) -> list[Any]:
    # A dropout layer's one variable is the state of its generator: not a weight.
    return [] if isinstance(layer, keras.layers.Dropout) else list(layer.weights)


def _draw(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "kernel":
        return random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    if name in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape)
    return random.normal(0, 0.3, shape)
