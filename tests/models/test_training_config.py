"""Configuration of a training: what is refused, its learning rate, and its form on disk."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from blindzone.core.configuration import read_plain, to_plain
from blindzone.core.errors import ModelError
from blindzone.models.losses import LossConfig
from blindzone.models.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "a budget is needed, minutes or steps"),
        ({"minutes": 0.0}, r"minutes: should be greater than 0 \(found 0\.0\)"),
        ({"minutes": -1.0, "steps": 5}, r"minutes: should be greater than 0 \(found -1\.0\)"),
        ({"minutes": math.nan}, r"minutes: should be a finite number \(found nan\)"),
        ({"steps": 0}, r"steps: should be greater than 0 \(found 0\)"),
        ({"steps": 5, "batch_size": 0}, "batch_size: should be greater than 0"),
        ({"steps": 5, "learning_rate": 0.0}, "learning_rate: should be greater than 0"),
        ({"steps": 5, "learning_rate": math.nan}, "learning_rate: should be a finite number"),
        ({"steps": 5, "steps_between_validations": 0}, "steps_between_validations: should be"),
        (
            {"steps": 5, "optimizer": "newton"},
            "optimizer: should be 'adam', 'adamw', 'nadam', 'rmsprop' or 'sgd' .*'newton'",
        ),
        (
            {"steps": 5, "precision": "float8"},
            "precision: should be 'float32' or 'mixed_float16' .*'float8'",
        ),
        ({"steps": 5, "decay_epochs": (5, 3)}, r"decay_epochs must increase; found \[5, 3\]"),
        ({"steps": 5, "decay_epochs": (0, 3)}, r"decay_epochs\.0: should be greater than 0"),
        ({"steps": 5, "weight_average": 1.0}, "weight_average: should be less than 1"),
        ({"steps": 5, "patience": -1}, "patience: should be greater than or equal to 0"),
        ({"steps": 5, "validation_realizations": 1}, "validation_realizations: should be"),
        ({"steps": 5, "rates": {"encoder": 0}}, r"rates\.encoder: should be greater than 0"),
        (
            {"steps": 5, "schedule": "one_cycle", "optimizer": "sgd"},
            "one_cycle changes the momentum of adam, adamw, nadam; found the optimizer 'sgd'",
        ),
        ({"steps": 5, "seeds": 1}, "seeds: unknown key; known keys here: batch_size"),
        ({"steps": 5, "loss": {"value": "mean"}}, r"loss\.value: should be 'absolute_error'"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(values: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^training: {message}"):
        TrainingConfig(**values)


def test_configuration_survives_json() -> None:
    loss = LossConfig(occurrence="hybrid", floor_unit=-0.25)
    config = TrainingConfig(steps=8, learning_rate=1e-2, loss=loss, frozen=("column",))
    plain = json.loads(json.dumps(to_plain(config)))
    assert plain == json.loads(json.dumps(dataclasses.asdict(config)))  # as runs have it
    assert read_plain(TrainingConfig, plain, where="x", error=ModelError) == config


def test_patience_is_that_of_the_published_recipe_only_with_decay_at_epochs() -> None:
    assert TrainingConfig(steps=1).patience_or_default is None
    assert TrainingConfig(steps=1, schedule="epochs").patience_or_default == 20
    assert TrainingConfig(steps=1, schedule="epochs", patience=0).patience_or_default is None


def test_the_learning_rate_falls_at_named_epochs() -> None:
    config = TrainingConfig(
        steps=100,
        schedule="epochs",
        decay_epochs=(2, 4),
        warm_up_steps=0,
        steps_between_validations=10,
        learning_rate=1.0,
    )
    # An epoch is ten steps: the second begins with step 20, the fourth with step 40.
    rates = [config.rate_at(step, 0.5) for step in (0, 19, 20, 39, 40, 99)]
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01, 0.01])


def test_one_cycle_raises_the_rate_while_the_momentum_falls() -> None:
    config = TrainingConfig(steps=100, schedule="one_cycle", learning_rate=1.0)
    shares = (0.0, 0.15, 0.3, 0.65, 1.0)
    # Half a cosine: halfway up, and halfway down, is the mean of both ends.
    rates = [config.rate_at(step=0, share_done=share) for share in shares]
    np.testing.assert_allclose(rates, [0.04, 0.52, 1.0, 0.5 + 2e-6, 4e-6])
    momenta = [config.momentum_at(share) for share in shares]
    np.testing.assert_allclose(np.array(momenta, float), [0.95, 0.9, 0.85, 0.9, 0.95])
    assert TrainingConfig(steps=100).momentum_at(0.5) is None
