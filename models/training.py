"""Training on windows that arrive as an endless stream: budget, rates, validation, and what is kept.

The steps are the project's own, not those of Keras' `fit`: a budget in minutes, the time that a
step waits for its batch, a batch taken in parts where memory is short, and a state from which a
killed training goes on with the same numbers need hold of every step.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np

from blindzone.core.errors import CheckpointError, ModelError, TrainingError
from blindzone.core.example import Example
from blindzone.models.column import name_path
from blindzone.models.losses import LossConfig, build_losses, masked_absolute_error, split_name
from blindzone.models.training_record import Progress, TrainingRecord, Validation
from blindzone.models.training_state import (
    TrainingState,
    copy_variables,
    read_state,
    restore_variables,
    write_state,
)
from blindzone.models.training_step import TrainingStep, sum_losses
from blindzone.models.training_stream import batch_windows, check_windows, stack_examples
from blindzone.models.unet3plus import UNet3PlusConfig

Optimizer = Literal["adam", "adamw", "nadam", "rmsprop", "sgd"]
Schedule = Literal["cosine", "epochs"]
Validated = Literal["deterministic", "monte_carlo"]
Precision = Literal["float32", "mixed_float16"]
Devices = Literal["one", "all"]

PATIENCE = 20
"""Validations without gain after which the published recipe ends (King et al. 2024)."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how to train.

    Attributes:
        minutes: Wall-clock budget; training ends with the first of the two budgets.
        steps: Step budget; with a step budget alone, a run does not depend on the machine's speed.
        batch_size: Windows a step, on all devices together.
        loss: What is minimised.
        optimizer: The optimiser; of `adamw` also its `weight_decay`.
        learning_rate: Highest learning rate; it rises over the first `warm_up_steps`.
        schedule: How it falls: `cosine` with the share of the budget that is spent, or by
            `decay_factor` at each of `decay_epochs`, as in King et al. (2024).
        warm_up_steps: Steps over which the rate rises.
        decay_epochs: Epochs at which the rate falls; an epoch is the steps between two validations.
        decay_factor: What the rate is multiplied by there.
        weight_decay: Of `adamw` alone.
        clip_norm: Longest gradient, over all weights together.
        frozen: Beginnings of the names of layers whose weights stay as they are: ("column",) for a
            network that was started from its column path alone.
        weight_average: If set, momentum of an exponential average of the weights, which is
            validated and kept in place of the weights themselves.
        steps_between_validations: How often the validation windows are looked at.
        validations: If set, how often they are looked at in all, evenly over the budget, whatever
            its steps.
        patience: Validations without gain after which training ends, 0 for never. By default 20
            with decay at epochs, and never with the cosine, at whose low end most is gained.
        validation: What tells which weights are best: the losses without dropout, or a score of so
            many realizations with dropout as `validation_realizations` says.
        validation_realizations: Number of realizations for `monte_carlo`.
        precision: `mixed_float16` computes in half precision on a GPU; weights stay float32.
        devices: `all` deals each batch out to all GPUs (all logical devices where there is none).
        seed: Seed of weights, dropout and windows.
    """

    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 16
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: Optimizer = "adam"
    learning_rate: float = 2e-3
    schedule: Schedule = "cosine"
    warm_up_steps: int = 20
    decay_epochs: tuple[int, ...] = (450, 475)
    decay_factor: float = 0.1
    weight_decay: float = 4e-3
    clip_norm: float = 1.0
    frozen: tuple[str, ...] = ()
    weight_average: float | None = None
    steps_between_validations: int = 25
    validations: int | None = None
    patience: int | None = None
    validation: Validated = "deterministic"
    validation_realizations: int = 8
    precision: Precision = "float32"
    devices: Devices = "one"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ModelError("training: a budget is needed, minutes or steps")
        # "Not inside", so that NaN is refused too: a budget in NaN minutes would never be spent.
        if (self.minutes is not None and not 0 < self.minutes < math.inf) or (
            self.steps is not None and self.steps < 1
        ):
            raise ModelError(
                f"training: the budget must be positive; found {self.minutes} minutes, {self.steps}"
                " steps"
            )
        if (
            self.batch_size < 1
            or not 0 < self.learning_rate < math.inf
            or self.steps_between_validations < 1
        ):
            raise ModelError(
                "training: batch size, learning rate and validation step must be positive; found"
                f" {self}"
            )
        self._check_choices()
        problems = {
            "warm_up_steps must not be negative": self.warm_up_steps < 0,
            "decay_epochs must rise from 1": (
                list(self.decay_epochs) != sorted({*self.decay_epochs} - {0})
            ),
            "decay_factor must lie in (0, 1]": not 0 < self.decay_factor <= 1,
            "weight_decay must not be negative": not 0 <= self.weight_decay < math.inf,
            "clip_norm must be positive": not 0 < self.clip_norm < math.inf,
            "weight_average must lie in (0, 1)": (
                self.weight_average is not None and not 0 < self.weight_average < 1
            ),
            "validations must be positive": self.validations is not None and self.validations < 1,
            "patience must not be negative": self.patience is not None and self.patience < 0,
            "validation_realizations must be 2 or more": self.validation_realizations < 2,
            "seed must not be negative": self.seed < 0,
        }
        found = [problem for problem, is_wrong in problems.items() if is_wrong]
        if found:
            raise ModelError(f"training: {'; '.join(found)}; found {self}")

    def _check_choices(self) -> None:
        kinds = {
            "optimizer": Optimizer,
            "schedule": Schedule,
            "validation": Validated,
            "precision": Precision,
            "devices": Devices,
        }
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                raise ModelError(
                    f"training: {name} is {getattr(self, name)!r}; one of"
                    f" {', '.join(get_args(kind))} is right"
                )

    @property
    def patience_or_default(self) -> int | None:
        """Validations without gain after which training ends; None for never."""
        if self.patience is None:
            return PATIENCE if self.schedule == "epochs" else None
        return self.patience or None

    def rate_at(self, step: int, share_done: float) -> float:
        """Returns the learning rate of a step, counted from 0."""
        warm_up = min(1.0, (step + 1) / self.warm_up_steps) if self.warm_up_steps else 1.0
        if self.schedule == "cosine":
            fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share_done))
        else:
            epoch = step // self.steps_between_validations
            fall = self.decay_factor ** sum(epoch >= named for named in self.decay_epochs)
        return self.learning_rate * warm_up * fall

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values."""
        return asdict(self)


def train_network(
    network: keras.Model,
    network_config: UNet3PlusConfig,
    windows: Callable[[int], Iterator[Example]],
    validation: list[Example],
    config: TrainingConfig,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_validation: Callable[[Validation], None] = lambda validation: None,
    score: Callable[[keras.Model], float] | None = None,
    state_file: Path | None = None,
    state_every_s: float = 300.0,
) -> TrainingRecord:
    """Trains a network in place and leaves it with the weights that did best on the validation windows.

    Args:
        network: The network, as `build_unet3plus` gives it, built inside `training_scope`; this
            call belongs there too.
        network_config: Its configuration.
        windows: Gives an endless stream of training windows from the window of a number on; the
            same number must always begin the same stream.
        validation: Windows of days that are in no training window.
        config: Budget, rates and losses.
        on_step: Called after every step.
        on_validation: Called after every look at the validation windows, before `on_step`.
        score: Returns what tells how good the network's weights are, the lower the better; needed
            for `validation="monte_carlo"`, and used for nothing else.
        state_file: Where the training's state is kept while it runs, and gone on from if it is
            there.
        state_every_s: How often [s] the state is written.

    Raises:
        TrainingError: If the loss is no longer finite, a window holds values that are not, no
            window holds echo, there is no validation window, no more windows can be drawn, or
            memory is too small for a single window.
        CheckpointError: If the state cannot be read, or is that of another training.
    """
    if not validation:
        raise TrainingError(
            "at least one validation window is needed, to tell which weights did best"
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
    training = _Training(network, network_config, validation, config)
    training.on_step, training.on_validation, training.score = on_step, on_validation, score
    training.state_file, training.state_every_s = state_file, state_every_s
    if state_file is not None and state_file.exists():
        training.go_on(state_file)
    training.run(windows)
    return training.finish()


@dataclass
class _Best:
    """The weights that did best so far."""

    score: float
    step: int
    validation_loss: float
    absolute_error: float
    validation: int


class _Training:
    """A training under way."""

    on_step: Callable[[Progress], None]
    on_validation: Callable[[Validation], None]
    score: Callable[[keras.Model], float] | None
    state_file: Path | None
    state_every_s: float

    def __init__(
        self,
        network: keras.Model,
        network_config: UNet3PlusConfig,
        validation: list[Example],
        config: TrainingConfig,
    ) -> None:
        self.network = network
        self.config = config
        self.validation = stack_examples(validation, network.output)
        self.echo = stack_examples(validation, ("intensity",))[1]["intensity"]
        self.configuration = json.loads(
            json.dumps({"network": network_config.to_dict(), "training": config.to_dict()})
        )
        # Without dropout the realizations of a window are all the same: losses of one are right.
        plain = replace(config.loss, realizations=1, value="absolute_error", forecast="crps")
        self.losses, self.weights = build_losses(plain, network_config)
        self.judged = keras.Model(
            network.input, {name: network.output[name] for name in self.losses if _is_main(name)}
        )
        for layer in network.layers:
            layer.trainable = not layer.name.startswith(config.frozen)
        self.take_step = TrainingStep(network, network_config, config)
        self.step = self.validations = 0
        self.loss = math.nan
        self.losses_since: list[float] = []
        self.seconds_before = self.waited = 0.0
        self.best: _Best | None = None
        self.best_weights: list[np.ndarray] = []
        self.ended: Literal["budget", "patience"] | None = None
        self.resumed_at: tuple[int, ...] = ()
        self.notes: tuple[str, ...] = ()

    def run(self, windows: Callable[[int], Iterator[Example]]) -> None:
        """Takes steps until the budget or the patience is spent."""
        self.started = self.saved = time.monotonic()
        batches = batch_windows(
            windows, self.step * self.config.batch_size, self.validation, self.config.batch_size
        )
        while self.ended is None:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except TrainingError as error:
                raise TrainingError(
                    f"training broke off after {self.step} steps: {error}{self._tell_state()}"
                ) from error
            self.waited += time.monotonic() - asked
            self._take(batch)

    def _take(self, batch: Any) -> None:
        before = self._share_done()
        rate = self.config.rate_at(self.step, before)
        self.take_step.optimizer.learning_rate.assign(rate)
        self.loss = self.take_step(batch)
        self.step += 1
        self.losses_since.append(self.loss)
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"the loss is {self.loss} after {self.step} steps: training diverged; a learning"
                f" rate below {self.config.learning_rate:g}, more warm-up steps or a shorter"
                f" longest gradient than {self.config.clip_norm:g} is right{self._tell_state()}"
            )
        done = self._share_done()
        if self._is_due(before, done):
            self._validate(rate)
        if done >= 1.0:
            self.ended = "budget"
        if time.monotonic() - self.saved >= self.state_every_s:
            self._save()
        self.on_step(
            Progress(
                step=self.step,
                share_done=done,
                loss=self.loss,
                best_score=self.best.score if self.best else math.nan,
                wait_share=self._wait_share(),
            )
        )

    def _is_due(self, before: float, done: float) -> bool:
        if self.config.validations is None:
            return self.step % self.config.steps_between_validations == 0
        return math.floor(done * self.config.validations) > math.floor(
            before * self.config.validations
        )

    def finish(self) -> TrainingRecord:
        """Leaves the network with the best weights and returns what was done."""
        seconds = self._seconds()
        if self.losses_since:  # else the last step was validated
            self._validate(self.config.rate_at(self.step, 1.0))
        if self.best is None or self.ended is None:
            raise TrainingError(
                "the score on the validation windows was never finite: training"
                f" diverged{self._tell_state()}"
            )
        self.network.set_weights(self.best_weights)
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

    def go_on(self, path: Path) -> None:
        """Goes on from the state in a file.

        Raises:
            CheckpointError: If it cannot be read, or is that of another training.
        """
        state = read_state(path)
        mine = self.configuration
        differing = sorted(
            f"{part}.{key}"
            for part in mine
            for key in mine[part]
            if mine[part][key] != state.configuration.get(part, {}).get(key)
        )
        if differing:
            raise CheckpointError(
                f"{path}: the state of another training, which differs in {', '.join(differing)};"
                " the configuration with which it was begun is right, or a warm start from a"
                " checkpoint"
            )
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
        """Writes the state; where that fails the training goes on, with the last state as it was."""
        self.saved = time.monotonic()
        if self.state_file is None:
            return
        position = {
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
        state = TrainingState(
            configuration=self.configuration,
            position=position,
            network=copy_variables(self.network.variables),
            optimizer=copy_variables(self.take_step.variables),
            best=self.best_weights,
        )
        try:
            write_state(self.state_file, state)
        except CheckpointError as error:
            self._note(f"after {self.step} steps: {error}")

    def _note(self, note: str) -> None:
        self.notes = (*self.notes, note)

    def _tell_state(self) -> str:
        if self.state_file is None or not self.state_file.exists():
            return ""
        return f"; what was reached before is kept in {self.state_file}"

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _wait_share(self) -> float:
        return self.waited / max(self._seconds(), 1e-9)

    def _share_done(self) -> float:
        by_time = self._seconds() / (60 * self.config.minutes) if self.config.minutes else 0.0
        by_steps = self.step / self.config.steps if self.config.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    def _validate(self, rate: float) -> None:
        shown, truth = self.validation
        with self._averaged():
            heads = self.judged.predict(shown, batch_size=self.config.batch_size, verbose=0)
            loss = float(sum_losses(self.losses, self.weights, truth, heads))
            score = self.score(self.network) if self.score is not None else loss
            self.validations += 1
            # One that is not finite, kept as the best, would never be beaten.
            if math.isfinite(score) and (self.best is None or score < self.best.score):
                strength = heads["intensity"] if "intensity" in heads else heads["value"]
                error = float(masked_absolute_error(self.echo, strength))
                self.best = _Best(score, self.step, loss, error, self.validations)
                self.best_weights = copy_variables(self.network.weights)
        found = Validation(
            number=self.validations,
            step=self.step,
            seconds=round(self._seconds(), 2),
            learning_rate=rate,
            loss=float(np.mean(self.losses_since)),
            validation_loss=loss,
            score=score,
            wait_share=self._wait_share(),
        )
        self.losses_since = []
        patience = self.config.patience_or_default
        if (
            patience is not None
            and self.validations - (self.best.validation if self.best else 0) >= patience
        ):
            self.ended = "patience"
        self.on_validation(found)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Lets the network have the average of its weights for a while, if there is one."""
        if self.config.weight_average is None:
            yield
            return
        trained = self.network.trainable_variables
        own = copy_variables(trained)
        self.take_step.optimizer.finalize_variable_values(trained)
        yield
        restore_variables(trained, own, where="the network")


def _is_main(output: str) -> bool:
    """Returns whether an output says something of the pixels at full size, rather than a side of the network."""
    kind, level = split_name(output)
    return kind != "scene" and level == 0


def warm_start(network: keras.Model, *trained: keras.Model) -> None:
    """Sets a network's weights to those of trained ones, by the names of layers.

    What a trained network keeps for inference has no heads beside its main ones; those of the
    network stay as they are.

    Args:
        network: The network.
        trained: One network; or networks of a column path alone, one for each path of the network.

    Raises:
        ModelError: If a trained one has another shape, or there are not as many as paths.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    unset = {name for name in layers if name.startswith("column")}
    for number, source in enumerate(trained):
        for layer in source.layers:
            if layer.weights:
                name = layer.name.replace("column_", f"{name_path(number)}_", 1)
                _take_weights(layers.get(name), layer)
                unset.discard(name)
    if unset:
        raise ModelError(
            "a warm start needs one trained column path for each of the network's; "
            f"{len(trained)} of them leave {min(unset)!r} without"
        )


def _take_weights(target: Any, source: Any) -> None:
    found = [tuple(weight.shape) for weight in source.weights]
    expected = [tuple(weight.shape) for weight in target.weights] if target else "no such layer"
    if target is None or expected != found:
        raise ModelError(
            "a warm start needs a network of the same depth, filters, channels, normalisation and"
            f" head: the weights of the trained layer {source.name!r} have the shapes {found},"
            f" here: {expected}"
        )
    target.set_weights(source.get_weights())
