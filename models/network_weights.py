"""Weights of networks, read and set in one way.

By layer name, from one network into another that need not be built of the same layers
(`read_weights`, `set_weights`). Or all variables in their order, of a network or an optimiser that
goes on from where it was (`copy_variables`, `restore_variables`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from blindzone.core.errors import CheckpointError, ModelError
from blindzone.core.fence import refusing_as
from blindzone.core.files import write_atomically
from blindzone.models.column import name_path

Weights = Mapping[str, Sequence[np.ndarray]]
"""Arrays of each layer, by the layer's name."""
Arrays = list[np.ndarray]

ENCODER, DECODER = "encoder", "decoder"
"""Beginnings of the names of all layers of an encoder, and of a decoder."""
SHOWN_PROBLEMS = 3
"""Number of layers that an error message names."""


def read_weights(network: keras.Model) -> dict[str, Arrays]:
    """Returns the weights of all layers that have any, by the layer's name."""
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def set_weights(
    network: keras.Model,
    weights: Weights,
    *,
    keeps: Callable[[str], bool] = lambda layer: False,
    advice: str = "the weights do not fit their configuration",
) -> None:
    """Sets a network's weights, layer by layer of the same name.

    Weights of heads on decoder stages are left out where the network has none.

    Args:
        network: The network.
        weights: Weights by layer name.
        keeps: Whether a layer, by its name, keeps its own weights where none are given.
        advice: Beginning of the message if they do not fit.

    Raises:
        ModelError: If they do not fit; the network is then unchanged.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    missing = [name for name in layers.keys() - weights.keys() if not keeps(name)]
    problems = [f"{name} is missing" for name in missing]
    for name, arrays in weights.items():
        if name in layers:
            found = [array.shape for array in arrays]
            expected = [tuple(weight.shape) for weight in layers[name].weights]
            if found != expected:
                problems.append(f"{name} has the shapes {found}, {expected} are right")
        elif not _is_stage_head(name):
            problems.append(f"{name} has no place")
    if problems:
        raise ModelError(f"{advice}: {'; '.join(sorted(problems)[:SHOWN_PROBLEMS])}")
    for name in layers.keys() & weights.keys():
        layers[name].set_weights(weights[name])


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Sets a network's weights to those of another, as `set_weights` does."""
    set_weights(target, read_weights(source))


def warm_start(network: keras.Model, *trained: keras.Model) -> None:
    """Sets a network's weights to those of trained ones.

    A trained network that is kept for inference has main heads only; other heads of `network` keep
    their weights.

    Args:
        network: The network.
        trained: One network; or networks of a column path alone, one for each path of the network.

    Raises:
        ModelError: If a trained one has another shape, or there are fewer than paths.
    """
    weights = {
        layer.replace("column_", f"{name_path(number)}_", 1): arrays
        for number, source in enumerate(trained)
        for layer, arrays in read_weights(source).items()
    }
    set_weights(
        network,
        weights,
        keeps=lambda layer: not layer.startswith("column"),
        advice=(
            "a warm start needs a network of the same depth, filters, channels, normalisation and"
            " head, and one trained column path for each of the network's"
        ),
    )


def load_trunk(network: keras.Model, trained: keras.Model) -> list[str]:
    """Sets the weights of a network's trunk to those of another network, of any family.

    Layers are found by name (`blindzone.models.trunk.connect_encoder`). Encoder and depth must be
    the same. The decoder is taken over too if all its layers have the same names and shapes.

    Args:
        network: The network; its heads and column paths stay as they are.
        trained: The network with the trained trunk.

    Returns:
        Names of the layers.

    Raises:
        ModelError: If one of them has no encoder or another one; the network is then unchanged.
    """
    own, weights = read_weights(network), read_weights(trained)
    loaded, given = (_select(each, ENCODER) for each in (own, weights))
    if not loaded or not given:
        raise ModelError(
            "a pretrained trunk needs two networks with an encoder: column paths alone have none"
        )
    if _list_shapes(_select(own, DECODER)) == _list_shapes(_select(weights, DECODER)):
        loaded |= _select(own, DECODER)
        given |= _select(weights, DECODER)
    set_weights(
        network,
        given,
        keeps=lambda layer: layer not in loaded,
        advice=(
            "a pretrained trunk must have the network's kind of encoder, depth, filters, channels"
            " and normalisation"
        ),
    )
    return list(loaded)


def _select(weights: dict[str, Arrays], prefix: str) -> dict[str, Arrays]:
    """Returns the weights of the layers whose names begin so."""
    return {name: arrays for name, arrays in weights.items() if name.startswith(prefix)}


def _list_shapes(weights: dict[str, Arrays]) -> dict[str, list[tuple[int, ...]]]:
    return {name: [array.shape for array in arrays] for name, arrays in weights.items()}


def save_weights(path: Path, network: keras.Model) -> None:
    """Writes all weights of a network to a plain `.npz` archive, whole or not at all.

    Raises:
        CheckpointError: If it cannot be written.
    """
    arrays = {
        f"{layer}/{number:03d}": array
        for layer, found in read_weights(network).items()
        for number, array in enumerate(found)
    }
    with (
        write_atomically(path, what="the weights", error=CheckpointError) as partial,
        partial.open("wb") as stream,
    ):
        np.savez(stream, allow_pickle=False, **arrays)


def load_weights(path: Path, network: keras.Model) -> None:
    """Sets all weights of a network to those that `save_weights` wrote.

    Raises:
        CheckpointError: If the file is missing or damaged.
        ModelError: If the weights do not fit.
    """
    weights: dict[str, Arrays] = {}
    what = f"{path}: the weights cannot be read"
    with refusing_as(CheckpointError, what), np.load(path, allow_pickle=False) as archive:
        for name in sorted(archive.files):
            weights.setdefault(name.rpartition("/")[0], []).append(archive[name])
    set_weights(network, weights, advice=f"{path}: the weights do not fit the network")


def copy_variables(variables: list[Any]) -> Arrays:
    """Returns the values of Keras variables, in their order."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def restore_variables(variables: list[Any], arrays: Arrays, *, where: str) -> None:
    """Sets Keras variables to values that `copy_variables` returned.

    Args:
        variables: The variables.
        arrays: Their values.
        where: Where the values come from, for the message.

    Raises:
        CheckpointError: If number or shapes differ.
    """
    expected = [tuple(variable.shape) for variable in variables]
    found = [array.shape for array in arrays]
    if expected != found:
        raise CheckpointError(
            f"{where}: the state holds {len(found)} arrays of other shapes than the"
            f" {len(expected)} expected"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _is_stage_head(layer: str) -> bool:
    """Returns whether a layer is a head on a decoder stage."""
    kind, _, level = layer.rpartition("_")
    return kind in ("change", "log_scale", "occurrence") and level.isdigit()
