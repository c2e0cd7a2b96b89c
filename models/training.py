"""Training on an endless stream of windows: budget, learning rate, validation, and resuming.

The loop is the project's own, not that of Keras' `fit`. Four things need control of every step: a
budget in minutes, the time that a step waits for its batch, a batch taken in parts where memory is
short, and a state from which a killed training resumes with the same numbers.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from blindzone.core.configuration import to_plain
from blindzone.core.errors import CheckpointError, TrainingError
from blindzone.core.example import Example
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import Arrays, copy_variables, restore_variables
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import Ended, Progress, TrainingRecord, Validation
from blindzone.models.training_state import TrainingState, read_state, write_state
from blindzone.models.training_step import TrainingStep
from blindzone.models.training_stream import batch_windows, check_windows
from blindzone.models.training_validation import Score, Scores, Validator

Windows = Callable[[int], Iterator[Example]]
"""Gives an endless stream of training windows from the window of a number on; the same number must
always begin the same stream."""


@dataclass(frozen=True, kw_only=True)
class TrainingContext:
    """What a training reports to, is scored by and keeps its state in.

    Attributes:
        on_step: Called after every step.
        on_validation: Called after every validation, before `on_step`.
        score: Score of the network's weights, the lower the better. It is needed for
            `validation="monte_carlo"` and used for nothing else.
        state_file: File of the training's state while it runs. A training resumes from it if it
            exists.
        state_every_s: How often [s] the state is written.
    """

    on_step: Callable[[Progress], None] = lambda progress: None
    on_validation: Callable[[Validation], None] = lambda validation: None
    score: Score | None = None
    state_file: Path | None = None
    state_every_s: float = 300.0


def train_network(
    network: keras.Model,
    network_config: NetworkConfig,
    windows: Windows,
    validation: list[Example],
    config: TrainingConfig,
    context: TrainingContext | None = None,
) -> TrainingRecord:
    """Trains a network in place and leaves it with its best weights.

    The best weights have the lowest score on the validation windows.

    Args:
        network: The network, as `build_network` gives it, built inside `training_scope`; this
            call belongs there too.
        network_config: Its configuration.
        windows: The training windows.
        validation: Windows of days that are in no training window.
        config: Budget, rates and losses.
        context: Callbacks, score and state; by default none.

    Raises:
        TrainingError: If the loss is no longer finite, a window holds values that are not, no
            window holds echo, there is no validation window, no more windows can be drawn, or
            memory is too small for a single window.
        CheckpointError: If the state cannot be read, or is that of another training.
    """
    context = context or TrainingContext()
    _check_validation(validation, config, context.score)
    training = _Training(network, network_config, validation, config, context)
    training.run(windows)
    return training.finish()


def _check_validation(
    validation: list[Example], config: TrainingConfig, score: Score | None
) -> None:
    """Checks the validation windows, and that there is a score just if it is needed."""
    if not validation:
        raise TrainingError(
            "at least one validation window is needed, to choose the best weights by"
        )
    try:
        deque(check_windows(iter(validation), 0), maxlen=0)
    except TrainingError as error:
        raise TrainingError(f"of the validation windows: {error}") from error
    if (score is None) != (config.validation == "deterministic"):
        raise TrainingError(
            f"validation is {config.validation!r} and a score"
            f" {'lacks' if score is None else 'is given'}"
        )


@dataclass(frozen=True)
class _Best:
    """The best validation so far; its fields are keys of the state's file."""

    score: float
    step: int
    validation_loss: float
    absolute_error: float
    validation: int


class _Training:
    """A training under way, from its beginning or from its state's file."""

    def __init__(
        self,
        network: keras.Model,
        network_config: NetworkConfig,
        validation: list[Example],
        config: TrainingConfig,
        context: TrainingContext,
    ) -> None:
        self.network, self.config, self.context = network, config, context
        self.configuration = {"network": to_plain(network_config), "training": to_plain(config)}
        self.validator = Validator(network, network_config, validation, config, context.score)
        self.take_step = TrainingStep(network, network_config, config)
        self.step = self.validations = 0
        self.loss = math.nan
        self.losses_since: list[float] = []
        self.seconds_before = self.waited = 0.0
        self.best: _Best | None = None
        self.best_weights: Arrays = []
        self.ended: Ended | None = None
        self.resumed_at: tuple[int, ...] = ()
        self.notes: tuple[str, ...] = ()
        if context.state_file is not None and context.state_file.exists():
            self._resume(context.state_file)
        self.started = self.saved = time.monotonic()

    def run(self, windows: Windows) -> None:
        """Takes steps until the budget or the patience is spent."""
        batch_size = self.config.batch_size
        batches = batch_windows(windows, self.step * batch_size, self.validator.batch, batch_size)
        while self.ended is None:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except TrainingError as error:
                raise TrainingError(
                    f"training broke off after {self.step} steps: {error}{self._name_state()}"
                ) from error
            self.waited += time.monotonic() - asked
            self._take(batch)

    def finish(self) -> TrainingRecord:
        """Leaves the network with the best weights and returns the record."""
        seconds = self._seconds()
        if self.losses_since:  # else the last step was validated
            self._validate(self.config.rate_at(self.step, 1.0))
        if self.best is None or self.ended is None:
            raise TrainingError(
                "the score on the validation windows was never finite: training"
                f" diverged{self._name_state()}"
            )
        restore_variables(self.network.weights, self.best_weights, where="the best weights")
        if self.take_step.parts > 1:
            self._note(f"memory was short: each batch was taken in {self.take_step.parts} parts")
        return TrainingRecord(
            steps=self.step,
            seconds=round(seconds, 1),
            ended=self.ended,
            best_step=self.best.step,
            loss=self.loss,
            validation_loss=self.best.validation_loss,
            validation_score=self.best.score,
            validation_absolute_error_units=self.best.absolute_error,
            wait_share=round(self._wait_share(), 4),
            resumed_at=self.resumed_at,
            notes=self.notes,
        )

    def _take(self, batch: Any) -> None:
        """Takes one step, validates and saves where that is due, and reports."""
        before = self._share_done()
        rate = self.config.rate_at(self.step, before)
        self.take_step.set_rate(rate, self.config.momentum_at(before))
        self.loss = self.take_step(batch)
        self.step += 1
        self.losses_since.append(self.loss)
        self._check_loss()
        done = self._share_done()
        if self._is_due(before, done):
            self._validate(rate)
        if done >= 1.0:
            self.ended = "budget"
        if time.monotonic() - self.saved >= self.context.state_every_s:
            self._save()
        self.context.on_step(
            Progress(
                step=self.step,
                share_done=done,
                loss=self.loss,
                best_score=self.best.score if self.best else math.nan,
                wait_share=self._wait_share(),
            )
        )

    def _check_loss(self) -> None:
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"the loss is {self.loss} after {self.step} steps: training diverged; a learning"
                f" rate below {self.config.learning_rate:g}, more warm-up steps or a shorter"
                f" longest gradient than {self.config.clip_norm:g} is right{self._name_state()}"
            )

    def _is_due(self, before: float, done: float) -> bool:
        """Returns whether a validation follows a step, from the shares done before and after it."""
        count = self.config.validations
        if count is None:
            return self.step % self.config.steps_between_validations == 0
        return math.floor(done * count) > math.floor(before * count)

    def _validate(self, rate: float) -> None:
        """Scores the network, keeps its weights if they are the best, and reports."""
        with self._averaged():
            scores = self.validator.measure()
            self.validations += 1
            self._keep_if_best(scores)
        found = Validation(
            number=self.validations,
            step=self.step,
            seconds=round(self._seconds(), 2),
            learning_rate=rate,
            loss=float(np.mean(self.losses_since)),
            validation_loss=scores.loss,
            score=scores.score,
            wait_share=self._wait_share(),
        )
        self.losses_since = []
        patience = self.config.patience_or_default
        without_gain = self.validations - (self.best.validation if self.best else 0)
        if patience is not None and without_gain >= patience:
            self.ended = "patience"
        self.context.on_validation(found)

    def _keep_if_best(self, scores: Scores) -> None:
        # A score that is not finite, kept as the best, would never be beaten.
        is_best = self.best is None or scores.score < self.best.score
        if math.isfinite(scores.score) and is_best:
            self.best = _Best(
                scores.score, self.step, scores.loss, scores.absolute_error, self.validations
            )
            self.best_weights = copy_variables(self.network.weights)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Lets the network have the average of its weights for a while, if there is one."""
        if self.config.weight_average is None:
            yield
            return
        trained = self.take_step.trained
        own = copy_variables(trained)
        self.take_step.optimizer.finalize_variable_values(trained)
        yield
        restore_variables(trained, own, where="the network")

    def _resume(self, path: Path) -> None:
        """Takes over the state in a file.

        Raises:
            CheckpointError: If it cannot be read, or is that of another training.
        """
        state = read_state(path)
        _check_same_training(path, self.configuration, state.configuration)
        restore_variables(self.network.variables, state.network, where=str(path))
        restore_variables(self.take_step.variables, state.optimizer, where=str(path))
        position = state.position
        self.step, self.validations = position["step"], position["validations"]
        self.losses_since = position["losses_since"]
        self.loss = position["loss"]
        self.seconds_before, self.waited = position["seconds"], position["waited"]
        self.take_step.parts = position["parts"]
        self.best = _Best(**position["best"]) if position["best"] else None
        self.best_weights = state.best
        self.ended = position["ended"]
        self.notes = tuple(position["notes"])
        self.resumed_at = (*position["resumed_at"], self.step)

    def _save(self) -> None:
        """Writes the state; if that fails the training goes on, and the last state stays."""
        self.saved = time.monotonic()
        if self.context.state_file is None:
            return
        state = TrainingState(
            configuration=self.configuration,
            position=self._position(),
            network=copy_variables(self.network.variables),
            optimizer=copy_variables(self.take_step.variables),
            best=self.best_weights,
        )
        try:
            write_state(self.context.state_file, state)
        except CheckpointError as error:
            self._note(f"after {self.step} steps: {error}")

    def _position(self) -> dict[str, Any]:
        """Returns counters and scores as plain values."""
        return {
            "step": self.step,
            "validations": self.validations,
            "losses_since": self.losses_since,
            "loss": self.loss,
            "seconds": self._seconds(),
            "waited": self.waited,
            "parts": self.take_step.parts,
            "best": asdict(self.best) if self.best else None,
            "ended": self.ended,
            "notes": self.notes,
            "resumed_at": self.resumed_at,
        }

    def _note(self, note: str) -> None:
        self.notes = (*self.notes, note)

    def _name_state(self) -> str:
        """Returns the end of an error message: where the state is, if there is one."""
        path = self.context.state_file
        if path is None or not path.exists():
            return ""
        return f"; what was reached before is kept in {path}"

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _wait_share(self) -> float:
        return self.waited / max(self._seconds(), 1e-9)

    def _share_done(self) -> float:
        by_time = self._seconds() / (60 * self.config.minutes) if self.config.minutes else 0.0
        by_steps = self.step / self.config.steps if self.config.steps else 0.0
        return min(1.0, max(by_time, by_steps))


def _check_same_training(path: Path, mine: dict[str, Any], found: dict[str, Any]) -> None:
    """Checks that a state's configuration is that of this training.

    Keys that it lacks are newer than it, and had the effect of their defaults then.
    """
    defaults = {
        "network": to_plain(NetworkConfig()),
        "training": to_plain(TrainingConfig(steps=1)),
    }
    full = _complete(found, defaults)
    differing = sorted(
        f"{part}.{key}"
        for part in mine
        for key in mine[part]
        if mine[part][key] != full[part].get(key)
    )
    if differing:
        raise CheckpointError(
            f"{path}: the state of another training, which differs in {', '.join(differing)};"
            " the configuration with which it was begun is right, or a warm start from a"
            " checkpoint"
        )


def _complete(found: Any, default: Any) -> Any:
    """Returns plain values with the defaults of the keys that they lack, at any depth."""
    if not (isinstance(found, dict) and isinstance(default, dict)):
        return found
    return default | {key: _complete(value, default.get(key)) for key, value in found.items()}
