"""One step of the optimiser: its parts, its options and the sum of losses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.core.errors import TrainingError
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import (
    build_optimizer,
    list_devices,
    sum_losses,
    training_scope,
)


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_each_optimiser_clips_its_devices_share_of_the_gradient(name: str) -> None:
    config = TrainingConfig(steps=1, optimizer=name, clip_norm=3.0)  # type: ignore[arg-type]
    optimizer = build_optimizer(config, devices=2)
    assert type(optimizer).__name__.lower() == name
    assert optimizer.global_clipnorm == 1.5
    if name == "adamw":
        assert optimizer.weight_decay == config.weight_decay


def test_an_average_of_the_weights_is_kept_apart() -> None:
    optimizer = build_optimizer(TrainingConfig(steps=1, weight_average=0.9), devices=1)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.9)
    assert optimizer.ema_overwrite_frequency is None


def test_losses_are_weighted_and_single_precision() -> None:
    losses = {name: (lambda target, output: tf.reduce_sum(output - target)) for name in "ab"}
    outputs = {"a": tf.constant([3.0], tf.float16), "b": tf.constant([1.0], tf.float16)}
    targets = {"a": tf.constant([1.0]), "b": tf.constant([0.5])}
    total = sum_losses(losses, {"a": 2.0, "b": 4.0}, targets, outputs)
    assert total.dtype == tf.float32
    assert float(total) == 2.0 * 2 + 4.0 * 0.5


def test_the_scope_seeds_and_leaves_the_precision_as_it_was() -> None:
    drawn = []
    for _ in range(2):
        with training_scope(TrainingConfig(steps=1, seed=7, precision="mixed_float16")):
            assert keras.mixed_precision.dtype_policy().name == "mixed_float16"
            drawn.append(np.random.random())
    assert drawn[0] == drawn[1]
    assert keras.mixed_precision.dtype_policy().name == "float32"


def test_a_batch_must_be_dealt_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blindzone.models.training_step.list_devices", lambda: ["a", "b", "c"])
    config = TrainingConfig(steps=1, batch_size=4, devices="all")
    message = "4 windows cannot be dealt out evenly to 3 devices"
    with pytest.raises(TrainingError, match=message), training_scope(config):
        pass


def test_there_is_always_a_device() -> None:
    assert list_devices()
