"""The change from one stage of a training to the next: the loss goes on where it was.

All batches are the same four windows, so that two steps differ by the network alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import keras
import pytest
from eager import eagerly
from echo_windows import make_echo_window

from blindzone.core.example import Example
from blindzone.models.batch_statistics import settle_statistics
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import load_weights, save_weights
from blindzone.models.training import TrainingContext, train_network
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import training_scope

NETWORK = NetworkConfig(
    input_rows=8,
    input_profiles=16,
    channels=2,
    output_rows=2,
    depth=1,
    filters=4,
    dropout=0.0,
    deep_supervision=True,
)
FIRST = TrainingConfig(steps=30, batch_size=4, learning_rate=1e-2, steps_between_validations=30)


def make_window(number: int) -> Example:
    return make_echo_window(number % FIRST.batch_size, mean=2)


def draw(first: int) -> Iterator[Example]:
    return map(make_window, count(first))


def train(config: TrainingConfig, start: Path | None = None) -> tuple[keras.Model, list[float]]:
    """Returns the network and the loss of every step."""
    losses: list[float] = []
    with training_scope(config):
        network = build_network(NETWORK)
        if start is not None:
            load_weights(start, network)
        validation = [make_window(number) for number in range(4)]
        context = TrainingContext(on_step=lambda now: losses.append(now.loss))
        train_network(network, NETWORK, draw, validation, config, context)
    return network, losses


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """Weights after the first stage, and its losses."""
    with eagerly():
        network, losses = train(FIRST)
        settle_statistics(network, draw, FIRST.batch_size)
    save_weights(path := tmp_path_factory.mktemp("first") / "weights.npz", network)
    return path, losses


@pytest.mark.parametrize(
    "choices",
    [
        {"frozen": ("encoder",)},
        {"freeze_statistics": ("encoder",), "rates": {"encoder": 0.1}},
    ],
    ids=["frozen", "statistics"],
)
def test_first_loss_of_a_stage_is_near_the_last_of_the_stage_before(
    first: tuple[Path, list[float]], choices: dict[str, Any], eager: None
) -> None:
    path, losses = first
    _, (begins,) = train(TrainingConfig(steps=1, batch_size=4, **choices), path)
    assert losses[-1] < 0.8 * losses[0]  # it has learned what could be lost
    assert begins == pytest.approx(losses[-1], rel=0.05)
