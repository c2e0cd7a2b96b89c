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
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from blindzone.core.errors import ModelError
from blindzone.models.checkpoint_bounds import KERAS_NAME, WEIGHTS_NAME

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<!^)(?=[A-Z][a-z])")
"""Where a word of a class's name begins."""
_STATE = "seed_generator"
"""Group of a dropout layer's random state, which is no weight."""


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """A layer with weights.

    Attributes:
        name: Its name.
        config: Its configuration, as plain values.
        weights: Its arrays.
    """

    name: str
    config: Mapping[str, Any]
    weights: tuple[np.ndarray, ...]

    def get_weights(self) -> list[np.ndarray]:
        """Returns its arrays, as a layer of Keras does."""
        return list(self.weights)

    def get_config(self) -> dict[str, Any]:
        """Returns its configuration, as a layer of Keras does."""
        return dict(self.config)


@dataclass(frozen=True, kw_only=True)
class StoredNetwork:
    """What a network's file has of it.

    Attributes:
        layers: Its layers with weights.
        input_shape: Shape of its input, `(batch, rows, profiles, channels)`, None for any.
    """

    layers: tuple[StoredLayer, ...]
    input_shape: tuple[int | None, ...]


def check_finite_weights(network: Any) -> None:
    """Checks the weights of a network, of Keras or stored.

    Raises:
        ModelError: If they are not finite.
    """
    # Not in the predictions alone: an infinite weight before a ReLU can leave them finite.
    if not all(
        np.isfinite(weights).all() for layer in network.layers for weights in layer.get_weights()
    ):
        raise ModelError(
            "the network's weights are not finite: its training diverged; train it anew"
        )


def read_stored(path: Path) -> StoredNetwork | None:
    """Returns the network in a checkpoint's file; None if only Keras can read it.

    That is so where layers consist of layers, or have other names in the file than Keras gives.
    """
    with zipfile.ZipFile(path) as archive:
        layers = json.loads(archive.read(KERAS_NAME))["config"]["layers"]
        content = archive.read(WEIGHTS_NAME)
    groups = dict(zip(_name_groups(layers), layers, strict=True))
    inputs = [layer for layer in layers if layer["class_name"] == "InputLayer"]
    with h5py.File(io.BytesIO(content), "r") as file:
        stored: Mapping[str, Any] = file["layers"]
        names = {name for name in stored if _has_weights(stored[name])}
        if len(inputs) != 1 or not names <= groups.keys() or any(map(_is_nested, stored.values())):
            return None
        found = tuple(
            StoredLayer(
                name=layer["name"],
                config=layer["config"],
                weights=_read_arrays(stored[name]["vars"]),
            )
            for name, layer in groups.items()
            if name in names
        )
    return StoredNetwork(layers=found, input_shape=tuple(inputs[0]["config"]["batch_shape"]))


def _name_groups(layers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the group of each layer: its class in lower case, numbered from the second one on."""
    count: Counter[str] = Counter()
    for layer in layers:
        name = _WORD.sub("_", layer["class_name"]).lower()
        yield f"{name}_{count[name]}" if count[name] else name
        count[name] += 1


def _is_nested(group: Any) -> bool:
    """Returns whether a layer's group has weights of layers within it."""
    return any(_has_weights(group[name]) for name in group if name not in (_STATE, "vars"))


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
