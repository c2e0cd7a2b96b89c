"""Groups of a network's weights: what is frozen, and by which share of the rate others change.

A group is all layers whose names begin alike, such as `encoder` or `column1_`. A beginning that no
layer has is an error: nothing is trained otherwise than asked because of a slip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from blindzone.core.errors import TrainingError
from blindzone.models.batch_statistics import has_statistics
from blindzone.models.training_config import TrainingConfig


def choose_trained(network: keras.Model, config: TrainingConfig) -> list[Any]:
    """Freezes what a configuration names, and returns the variables that training changes.

    A layer that is not trainable normalises by its moving statistics. So one whose statistics alone
    are frozen is made so, and its scale and offset are among what is trained all the same.

    Raises:
        TrainingError: If a group is that of no layer, or nothing is left to train.
    """
    if (slip := find_slip(name_layers(network), config)) is not None:
        raise TrainingError(": ".join(slip))
    for layer in network.layers:
        layer.trainable = not layer.name.startswith(config.frozen)
        if has_statistics(layer) and layer.name.startswith(config.freeze_statistics):
            scale_and_offset = layer.trainable_variables
            layer.trainable = False
            for variable in scale_and_offset:
                variable.trainable = True
    return list(network.trainable_variables)


def find_factors(
    network: keras.Model, trained: Sequence[Any], rates: Mapping[str, float]
) -> list[float]:
    """Returns by what each variable's updates are multiplied; the longest beginning counts.

    Args:
        network: The network.
        trained: Its variables that are trained.
        rates: Factor by the beginning of layers' names.
    """
    factors = {
        id(variable): _factor_of(layer.name, rates)
        for layer in network.layers
        for variable in layer.variables
    }
    return [factors.get(id(variable), 1.0) for variable in trained]


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """Names of a network's layers: those with weights, and those with batch statistics."""

    weighted: tuple[str, ...]
    normalised: tuple[str, ...]


def name_layers(network: keras.Model) -> LayerNames:
    """Returns the names of a network's layers."""
    return LayerNames(
        weighted=tuple(layer.name for layer in network.layers if layer.weights),
        normalised=tuple(layer.name for layer in network.layers if has_statistics(layer)),
    )


def find_slip(layers: LayerNames, config: TrainingConfig) -> tuple[str, str] | None:
    """Returns the key of a configuration that names no layers or freezes all, and what is wrong."""
    for key, groups, names, what in (
        ("frozen", config.frozen, layers.weighted, "weights"),
        ("rates", config.rates, layers.weighted, "weights"),
        ("freeze_statistics", config.freeze_statistics, layers.normalised, "batch statistics"),
    ):
        for group in groups:
            if not any(name.startswith(group) for name in names):
                return key, (
                    f"no layer with {what} has a name that begins with {group!r};"
                    f" these do: {_list_beginnings(names)}"
                )
    if all(name.startswith(config.frozen) for name in layers.weighted):
        return "frozen", (
            f"{list(config.frozen)} leaves nothing to train of this network; fewer of"
            f" {_list_beginnings(layers.weighted)} are right"
        )
    return None


def _factor_of(layer: str, rates: Mapping[str, float]) -> float:
    found = [group for group in rates if layer.startswith(group)]
    return rates[max(found, key=len)] if found else 1.0


def _list_beginnings(names: Iterable[str]) -> str:
    """Returns the first words of layers' names, without the numbers that count them."""
    words = {re.split(r"[_\d]", name, maxsplit=1)[0] for name in names}
    return ", ".join(sorted(words)) or "none"
