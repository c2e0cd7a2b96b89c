"""Training by Keras `fit` on windows that arrive as an endless stream."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.errors import ModelError, TrainingError
from blindzone.models.losses import masked_absolute_error, masked_cross_entropy, masked_laplace

Example = tuple[np.ndarray, dict[str, np.ndarray]]
"""A curtain `(height, time, channel)` and its answers `(hidden row, time, 2)` by head."""

SHUFFLE_WINDOWS = 64
"""Windows held for shuffling: about 10 MB."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how to train.

    Attributes:
        minutes: Wall-clock budget; training ends with the first of the two budgets.
        steps: Step budget; with a step budget alone, a run does not depend on the machine's speed.
        batch_size: Windows a step.
        learning_rate: Highest learning rate of Adam; it rises over the first steps and falls as a cosine with the share
            of the budget that is spent.
        steps_between_validations: How often the validation windows are looked at.
        seed: Seed of weights, dropout and shuffling.
    """

    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 16
    learning_rate: float = 2e-3
    steps_between_validations: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ModelError("training: a budget is needed, minutes or steps")
        # "Not inside", so that NaN is refused too: a budget in NaN minutes would never be spent.
        if (self.minutes is not None and not 0 < self.minutes < math.inf) or (
            self.steps is not None and self.steps < 1
        ):
            raise ModelError(f"training: the budget must be positive; found {self.minutes} minutes, {self.steps} steps")
        if self.batch_size < 1 or not 0 < self.learning_rate < math.inf or self.steps_between_validations < 1:
            raise ModelError(f"training: batch size, learning rate and validation step must be positive; found {self}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: Steps done.
        share_done: Share of the budget that is spent, 0 to 1.
        loss: Loss of this step's batch, with dropout and the penalty on the weights.
        validation_loss: Lowest loss on the validation windows so far, without either; NaN before the first.
    """

    step: int
    share_done: float
    loss: float
    validation_loss: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What a training did.

    Attributes:
        steps: Steps done.
        seconds: Wall-clock time.
        best_step: Step after which the weights that were kept did best.
        loss: Loss of the last batch, with dropout and the penalty on the weights.
        validation_loss: Loss of the kept weights on the validation windows, without either.
        validation_absolute_error_units: Their mean absolute error where there is echo, in network units.
    """

    steps: int
    seconds: float
    best_step: int
    loss: float
    validation_loss: float
    validation_absolute_error_units: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain values."""
        return asdict(self)


def seed_everything(seed: int) -> None:
    """Seeds the weights and the dropout of the networks that are built and trained from here on."""
    keras.utils.set_random_seed(seed)


def train_network(
    network: keras.Model,
    windows: Callable[[], Iterator[Example]],
    validation: list[Example],
    config: TrainingConfig,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> TrainingRecord:
    """Trains a network in place and leaves it with the weights that did best on the validation windows.

    Args:
        network: The network, as `build_unet3plus` gives it.
        windows: Gives an endless stream of training windows.
        validation: Windows of days that are in no training window.
        config: Budget and rates.
        on_step: Called after every step.

    Raises:
        TrainingError: If the loss is no longer finite, there is no validation window, or no more windows can be drawn.
    """
    if not validation:
        raise TrainingError("at least one validation window is needed, to tell which weights did best")
    network.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate, global_clipnorm=1.0),
        loss={"occurrence": masked_cross_entropy, "intensity": masked_laplace},
        metrics={"intensity": [masked_absolute_error]},
    )
    supervisor = _Supervisor(config, _stack(validation), on_step)
    failures: list[Exception] = []
    try:
        # One "epoch" that the supervisor ends: fit has no notion of a budget in minutes.
        network.fit(
            _batches(lambda: _remember_failure(windows(), failures), network, config),
            steps_per_epoch=config.steps or 10**9,
            callbacks=[supervisor],
            shuffle=False,  # the stream is shuffled already
            verbose=0,
        )
    except tf.errors.OpError as error:  # what the stream raises comes out of TensorFlow as one of these
        reason = failures[0] if failures else error.message
        raise TrainingError(f"training broke off after {supervisor.step} steps: {reason}") from error
    return supervisor.finish()


def _batches(windows: Callable[[], Iterator[Example]], network: keras.Model, config: TrainingConfig) -> Any:
    shown = tf.TensorSpec(network.input_shape[1:], tf.float32)
    answers = {name: tf.TensorSpec((*head.shape[1:3], 2), tf.float32) for name, head in network.output.items()}
    stream = tf.data.Dataset.from_generator(windows, output_signature=(shown, answers))
    shuffled = stream.shuffle(SHUFFLE_WINDOWS, seed=config.seed)
    return shuffled.batch(config.batch_size, drop_remainder=True).prefetch(2)


def _remember_failure(windows: Iterator[Example], failures: list[Exception]) -> Iterator[Example]:
    """Yields the windows; keeps what ends them, since TensorFlow passes on no more than its text amid stack traces."""
    try:
        yield from windows
    except Exception as error:
        failures.append(error)
        raise


def _stack(examples: list[Example]) -> Example:
    answers = {name: np.stack([answer[name] for _, answer in examples]) for name in examples[0][1]}
    return np.stack([shown for shown, _ in examples]), answers


class _Supervisor(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate, watches the loss, keeps the best weights and ends the run with its budget."""

    def __init__(self, config: TrainingConfig, validation: Example, on_step: Callable[[Progress], None]) -> None:
        super().__init__()
        self.config = config
        self.validation = validation
        self.on_step = on_step
        self.step = 0
        self.loss = math.nan
        self.best: tuple[float, int, list[np.ndarray], float] | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.started = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.reset_metrics()  # or Keras would report the mean loss since the first step, not that of this one
        done = self._share_done()
        warm_up = min(1.0, (self.step + 1) / 20)
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
        self.model.optimizer.learning_rate.assign(self.config.learning_rate * warm_up * cosine)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.step += 1
        self.loss = float((logs or {})["loss"])
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"the loss is {self.loss} after {self.step} steps: training diverged; a learning rate below "
                f"{self.config.learning_rate:g} is right, or the windows hold values that are not finite"
            )
        done = self._share_done()
        if self.step % self.config.steps_between_validations == 0:
            self._validate()
        best = self.best[0] if self.best else math.nan
        self.on_step(Progress(step=self.step, share_done=done, loss=self.loss, validation_loss=best))
        if done >= 1.0:
            self.model.stop_training = True

    def finish(self) -> TrainingRecord:
        seconds = time.monotonic() - self.started
        self._validate()
        if self.best is None:
            raise TrainingError(
                "the validation loss was never finite: the validation windows hold values that are not finite, "
                "or training diverged"
            )
        validation_loss, best_step, weights, error = self.best
        self.model.set_weights(weights)
        return TrainingRecord(
            steps=self.step,
            seconds=round(seconds, 1),
            best_step=best_step,
            loss=self.loss,
            validation_loss=validation_loss,
            validation_absolute_error_units=error,
        )

    def _share_done(self) -> float:
        by_time = (time.monotonic() - self.started) / (60 * self.config.minutes) if self.config.minutes else 0.0
        by_steps = self.step / self.config.steps if self.config.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    def _validate(self) -> None:
        shown, truth = self.validation
        heads = self.model.predict(shown, batch_size=self.config.batch_size, verbose=0)
        loss = float(masked_cross_entropy(truth["occurrence"], heads["occurrence"]))
        loss += float(masked_laplace(truth["intensity"], heads["intensity"]))
        if not math.isfinite(loss):  # kept as the best, it would never be beaten
            return
        if self.best is None or loss < self.best[0]:
            error = float(masked_absolute_error(truth["intensity"], heads["intensity"]))
            self.best = (loss, self.step, self.model.get_weights(), error)
