"""Groups of a network's weights: what is frozen, and by which share of the rate others change.

A group is all layers whose names begin alike, such as `encoder` or `column1_`. A beginning that no
layer has is an error: nothing is trained otherwise than asked because of a slip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from blindzone.core.errors import TrainingError
from blindzone.models.training_config import TrainingConfig


def choose_trained(network: keras.Model, config: TrainingConfig) -> list[Any]:
    """Freezes what a configuration names, and returns the variables that training changes.

    A layer that is not trainable normalises by its moving statistics. So one whose statistics alone
    are frozen is made so, and its scale and offset are among what is trained all the same.

    Raises:
        TrainingError: If a group is that of no layer, or nothing is left to train.
    """
    check_groups(network, config)
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


def check_groups(network: keras.Model, config: TrainingConfig) -> None:
    """Checks that each group of a configuration has layers, and that not all are frozen.

    Raises:
        TrainingError: If not; the message begins with the key.
    """
    with_weights = [layer for layer in network.layers if layer.weights]
    normalised = [layer for layer in network.layers if has_statistics(layer)]
    for key, groups, layers in (
        ("frozen", config.frozen, with_weights),
        ("rates", config.rates, with_weights),
        ("freeze_statistics", config.freeze_statistics, normalised),
    ):
        names = [layer.name for layer in layers]
        for group in groups:
            if not any(name.startswith(group) for name in names):
                what = "batch statistics" if layers is normalised else "weights"
                raise TrainingError(
                    f"{key}: no layer with {what} has a name that begins with {group!r};"
                    f" these do: {_list_beginnings(names)}"
                )
    if all(layer.name.startswith(config.frozen) for layer in with_weights):
        raise TrainingError(
            f"frozen: {list(config.frozen)} leaves nothing to train of this network; fewer of"
            f" {_list_beginnings([layer.name for layer in with_weights])} are right"
        )


def has_statistics(layer: Any) -> bool:
    """Returns whether a layer normalises by statistics of the batch in training."""
    return hasattr(layer, "moving_mean")


def _factor_of(layer: str, rates: Mapping[str, float]) -> float:
    found = [group for group in rates if layer.startswith(group)]
    return rates[max(found, key=len)] if found else 1.0


def _list_beginnings(names: Iterable[str]) -> str:
    """Returns the first words of layers' names, without the numbers that count them."""
    words = {name.split("_")[0].rstrip("0123456789") for name in names}
    return ", ".join(sorted(words)) or "none"
