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
from collections.abc import Iterable, Iterator, Mapping
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
    arrays: dict[str, dict[int, np.ndarray]] = {}
    is_plain = True

    def take(place: str, item: Any) -> None:
        nonlocal is_plain
        name, *rest = place.split("/")
        if not isinstance(item, h5py.Dataset) or _STATE in rest:
            return
        if name in groups and len(rest) == 2 and rest[0] == "vars":
            arrays.setdefault(name, {})[int(rest[1])] = np.asarray(item)
        else:
            is_plain = False

    with h5py.File(io.BytesIO(content), "r") as file:
        file["layers"].visititems(take)
    if len(inputs) != 1 or not is_plain:
        return None
    found = tuple(
        StoredLayer(
            name=layer["name"],
            config=layer["config"],
            weights=tuple(values for _, values in sorted(arrays[name].items())),
        )
        for name, layer in groups.items()
        if name in arrays
    )
    return StoredNetwork(layers=found, input_shape=tuple(inputs[0]["config"]["batch_shape"]))


def _name_groups(layers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the group of each layer: its class in lower case, numbered from the second one on."""
    count: Counter[str] = Counter()
    for layer in layers:
        name = _WORD.sub("_", layer["class_name"]).lower()
        yield f"{name}_{count[name]}" if count[name] else name
        count[name] += 1
