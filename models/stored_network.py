"""A checkpoint's weights by layer, read from its file without building its network.

Keras takes two seconds to rebuild a network from its configuration. Who fills builds a graph of
another kind from the weights alone (`models.inference_network`), and needs no more of the network
than this.

A `.keras` file is a zip archive. Its `config.json` has the layers in order; in `model.weights.h5`
the arrays of the n-th layer of a class are in the group `layers/CLASS_N/vars`, without a number for
the first. Nothing in the configuration is run.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from blindzone.models.checkpoint_bounds import KERAS_NAME, WEIGHTS_NAME

_CLASS, _GROUP = "Conv2D", "conv2d"
"""The one class of layers with weights in networks without normalisation, and its group."""
_STATE = "seed_generator"
"""Group of a dropout layer's random state, which is no weight."""


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """A layer with weights.

    Attributes:
        name: Its name.
        weights: Its arrays.
    """

    name: str
    weights: tuple[np.ndarray, ...]

    def get_weights(self) -> list[np.ndarray]:
        """Returns its arrays, as a layer of Keras does."""
        return list(self.weights)


@dataclass(frozen=True, kw_only=True)
class StoredNetwork:
    """What a network's file has of it.

    Attributes:
        layers: Its layers with weights.
        input_shape: Shape of its input, `(batch, rows, profiles, channels)`, None for any.
    """

    layers: tuple[StoredLayer, ...]
    input_shape: tuple[int | None, ...]


def read_stored(path: Path) -> StoredNetwork | None:
    """Returns the network in a checkpoint's file; None if only Keras can read it.

    That is so where layers of other kinds have weights, such as batch normalisation.
    """
    with zipfile.ZipFile(path) as archive:
        layers = json.loads(archive.read(KERAS_NAME))["config"]["layers"]
        content = archive.read(WEIGHTS_NAME)
    names = [layer["name"] for layer in layers if layer["class_name"] == _CLASS]
    inputs = [layer for layer in layers if layer["class_name"] == "InputLayer"]
    with h5py.File(io.BytesIO(content), "r") as file:
        groups: Mapping[str, Any] = file["layers"]
        expected = [f"{_GROUP}_{number}" if number else _GROUP for number in range(len(names))]
        if len(inputs) != 1 or set(expected) != {
            name for name in groups if _has_weights(groups[name])
        }:
            return None
        found = tuple(
            StoredLayer(name=name, weights=_read_arrays(groups[group]["vars"]))
            for name, group in zip(names, expected, strict=True)
        )
    return StoredNetwork(layers=found, input_shape=tuple(inputs[0]["config"]["batch_shape"]))


def _has_weights(group: Any) -> bool:
    """Returns whether there is an array anywhere in a layer's group, random states aside."""
    return any(
        _has_weights(item) if isinstance(item, h5py.Group) else True
        for name, item in group.items()
        if name != _STATE
    )


def _read_arrays(group: Any) -> tuple[np.ndarray, ...]:
    """Returns the arrays of a group in the order of their numbers."""
    names: Sequence[str] = sorted(group, key=int)
    return tuple(np.asarray(group[name]) for name in names)
