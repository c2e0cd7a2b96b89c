"""Validation: losses without dropout, and a score where one is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blindzone.core.example import Example
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_validation import Validator

RandomNetwork = Callable[..., Any]


def draw_example(random: np.random.Generator) -> Example:
    inputs = random.normal(size=(16, 32, 2)).astype(np.float32)
    inputs[..., 1] = 1  # soft mask: nothing was observed
    echo = (random.random((3, 32)) < 0.5).astype(np.float32)
    value = random.normal(size=echo.shape).astype(np.float32)
    pairs = {"occurrence": (echo, np.ones_like(echo)), "intensity": (value, echo)}
    return Example(inputs, {name: np.stack(pair, axis=-1) for name, pair in pairs.items()})


def test_loss_and_error_are_those_of_the_formulas(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    random = np.random.default_rng(0)
    windows = [draw_example(random) for _ in range(3)]
    config = dataclasses.replace(tiny, dropout=0.5)  # which must not matter
    network = random_network(config)
    validator = Validator(network, config, windows, TrainingConfig(steps=1, batch_size=2), None)
    found = validator.measure()
    heads = network(np.stack([window.inputs for window in windows]), training=False)
    echo = np.stack([window.targets["occurrence"][..., 0] for window in windows])
    value = np.stack([window.targets["intensity"][..., 0] for window in windows])
    logit = np.asarray(heads["occurrence"], float)[..., 0]
    location, log_scale = np.moveaxis(np.asarray(heads["intensity"], float), -1, 0)
    scale = np.exp(np.clip(log_scale, -5, 1))
    expected = np.logaddexp(0, np.where(echo > 0, -logit, logit)).mean()
    expected += (echo * (np.abs(value - location) / scale + np.log(2 * scale))).mean()
    assert found.loss == pytest.approx(expected, rel=1e-4)
    assert found.score == found.loss
    error = (echo * np.abs(value - location)).sum() / echo.sum()
    assert found.absolute_error == pytest.approx(error, rel=1e-4)


def test_a_score_takes_the_place_of_the_loss(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    network, random = random_network(tiny), np.random.default_rng(0)
    config = TrainingConfig(steps=1, validation="monte_carlo")
    scored: list[Any] = []

    def score(trained: Any) -> float:
        scored.append(trained)
        return 0.25

    found = Validator(network, tiny, [draw_example(random)], config, score).measure()
    assert (found.score, scored) == (0.25, [network])
    assert found.loss != 0.25
