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


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_factors_scale_the_update_and_not_the_gradient(name: str) -> None:
    # One step from 1 with the same gradient: adam divides its size out, the factor remains.
    config = TrainingConfig(steps=1, optimizer=name, learning_rate=0.1, weight_decay=0.5)  # type: ignore[arg-type]
    moved = []
    for factors in (None, (1.0, 0.01)):
        weights = [keras.Variable(np.ones(3)) for _ in range(2)]
        optimizer = build_optimizer(config, 1, factors)
        optimizer.build(weights)
        for _ in range(2):
            gradients = [tf.constant([0.1, 0.2, 0.3])] * 2
            optimizer.apply_gradients(list(zip(gradients, weights, strict=True)))
        moved.append([1 - np.array(weight) for weight in weights])
    (plain, _), (whole, part) = moved
    np.testing.assert_allclose(whole, plain, rtol=1e-5)
    # The decay of the second step is of a weight that has moved less.
    np.testing.assert_allclose(part, 0.01 * plain, rtol=0.05 if name == "adamw" else 1e-3)


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam"])
def test_momentum_that_is_set_is_that_of_the_step(name: str) -> None:
    config = TrainingConfig(steps=1, optimizer=name, schedule="one_cycle", clip_norm=9.0)  # type: ignore[arg-type]
    weight = keras.Variable(np.zeros(1))
    optimizer = build_optimizer(config, 1)
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply_gradients([(tf.constant([1.0]), weight)]))
    running = 0.0
    for momentum in (0.95, 0.85):
        optimizer.beta_1.assign(momentum)
        step()
        running = momentum * running + (1 - momentum)  # of a gradient of 1
        found = next(v for v in optimizer.variables if v.path.endswith("_momentum"))
        np.testing.assert_allclose(found, running, rtol=1e-5)
