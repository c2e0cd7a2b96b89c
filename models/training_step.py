"""One step of the optimiser: losses, gradients and update.

It runs on one device or all, in single or mixed precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from blindzone.core.errors import TrainingError
from blindzone.models.losses import build_losses
from blindzone.models.network_config import NetworkConfig
from blindzone.models.parameter_groups import choose_trained, find_factors
from blindzone.models.training_config import MOMENTA, Optimizer, TrainingConfig

OPTIMIZERS: dict[Optimizer, type[Any]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


@contextmanager
def training_scope(config: TrainingConfig) -> Iterator[None]:
    """Seeds everything and sets devices and precision.

    Networks are built, and trained, inside of it.

    Raises:
        TrainingError: If the batch cannot be dealt out evenly to the devices.
    """
    keras.utils.set_random_seed(config.seed)
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(config.precision)
    try:
        if config.devices == "one":
            yield
            return
        devices = list_devices()
        if config.batch_size % len(devices):
            raise TrainingError(
                f"a batch of {config.batch_size} windows cannot be dealt out evenly to"
                f" {len(devices)} devices; a multiple of {len(devices)} is right"
            )
        with tf.distribute.MirroredStrategy(devices).scope():
            yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def list_devices() -> list[str]:
    """Returns the names of the GPUs, or of the devices that compute where there is no GPU."""
    return [
        device.name
        for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices()
    ]


class _ByGroup:
    """Makes an optimiser scale the updates of each variable, its weight decay included."""

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        rate = learning_rate * self.factors[self._get_variable_index(variable)]
        if self.decay:
            self.assign_sub(variable, variable * tf.cast(self.decay * rate, variable.dtype))
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


def build_optimizer(
    config: TrainingConfig, devices: int, factors: Sequence[float] | None = None
) -> Any:
    """Returns the optimiser of a configuration.

    Each of several devices clips its own share of the gradient.

    Args:
        config: The configuration.
        devices: Number of devices.
        factors: By what the updates of each variable are multiplied; by default they are not.
    """
    options: dict[str, Any] = {"global_clipnorm": config.clip_norm / devices}
    if config.optimizer == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    if config.optimizer == "adamw":
        options["weight_decay"] = config.weight_decay
    if config.weight_average is not None:
        # Never overwritten on the way: training goes on with its own weights, not their average.
        options |= {
            "use_ema": True,
            "ema_momentum": config.weight_average,
            "ema_overwrite_frequency": None,
        }
    kind = OPTIMIZERS[config.optimizer]
    if factors is None:
        optimizer = kind(config.learning_rate, **options)
    else:
        by_group, decay = type(kind.__name__, (_ByGroup, kind), {}), options.get("weight_decay")
        if decay:
            options["weight_decay"] = 0.0  # the class applies it, scaled
        optimizer = by_group(config.learning_rate, **options)
        optimizer.factors, optimizer.decay = tuple(factors), decay
    if config.schedule == "one_cycle":
        optimizer.beta_1 = keras.Variable(MOMENTA[0], trainable=False, name="momentum")
    if config.precision == "mixed_float16":
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


class TrainingStep:
    """Updates a network by one batch a call.

    A batch that does not fit into the memory of the one device is taken in halves, quarters, ...
    one after the other, and their gradients are averaged. That is the same step, but for batch
    normalisation, which then sees one part at a time. Keras' own accumulation of gradients is no
    substitute: the number of parts is fixed when its optimiser is built, and is known here only
    once memory runs out.

    Args:
        network: The network, built in the scope in which it is trained.
        network_config: Its configuration.
        config: That of the training.

    Attributes:
        optimizer: The optimiser.
        trained: The variables of the network that it changes.
        parts: Number of parts that a batch is taken in.
    """

    def __init__(
        self, network: keras.Model, network_config: NetworkConfig, config: TrainingConfig
    ) -> None:
        self.network = network
        self.parts = 1
        self._batch_size = config.batch_size
        self._passes = config.loss.realizations
        self._strategy = tf.distribute.get_strategy()
        self._devices = self._strategy.num_replicas_in_sync
        self._losses, self._weights = build_losses(config.loss, network_config)
        self.trained = choose_trained(network, config)
        factors = find_factors(network, self.trained, config.rates) if config.rates else None
        self.optimizer = build_optimizer(config, self._devices, factors)
        self.optimizer.build(self.trained)
        self._whole = tf.function(self._step_on_all)
        self._gradients_of = tf.function(self._find_gradients)
        self._update = tf.function(self._apply)

    def __call__(self, batch: Any) -> float:
        """Updates the network and returns the batch's loss.

        The loss includes dropout and the penalty on the weights.

        Raises:
            TrainingError: If not even a single window fits into the memory.
        """
        while True:
            try:
                loss = self._whole(batch) if self.parts == 1 else self._step_in_parts(*batch)
                return float(loss)
            except tf.errors.ResourceExhaustedError as error:
                self._halve(error)

    def set_rate(self, rate: float, momentum: float | None = None) -> None:
        """Sets learning rate and, of a configuration that changes it, momentum of the next step."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        optimizer.learning_rate.assign(rate)
        if momentum is not None:
            optimizer.beta_1.assign(momentum)

    @property
    def variables(self) -> list[Any]:
        """All that a step changes but the network: optimiser and generators of losses that draw."""
        drawing = {
            id(loss): loss.seeds.state for loss in self._losses.values() if hasattr(loss, "seeds")
        }
        return [*self.optimizer.variables, *drawing.values()]

    def _halve(self, error: Exception) -> None:
        """Doubles the number of parts, or raises if a part cannot be halved."""
        size = self._batch_size // self.parts
        if self._devices > 1 or size % 2:
            raise TrainingError(
                f"out of memory with {size} windows at a time ({self._devices} devices) which"
                " cannot be halved; a smaller batch, fewer filters or a smaller depth is right"
            ) from error
        self.parts *= 2

    def _step_on_all(self, batch: Any) -> Any:
        losses = self._strategy.run(self._step_on_one, args=batch)
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    def _step_on_one(self, inputs: Any, targets: dict[str, Any]) -> Any:
        loss, gradients = self._find_gradients(inputs, targets)
        self._apply(gradients)
        return loss

    def _step_in_parts(self, inputs: Any, targets: dict[str, Any]) -> Any:
        size = self._batch_size // self.parts
        losses, total = [], None
        for start in range(0, self._batch_size, size):
            part = {name: target[start : start + size] for name, target in targets.items()}
            loss, gradients = self._gradients_of(inputs[start : start + size], part)
            losses.append(loss)
            total = (
                gradients
                if total is None
                else [one + other for one, other in zip(total, gradients, strict=True)]
            )
        self._update([gradient / self.parts for gradient in total or ()])
        return tf.reduce_mean(losses)

    def _find_gradients(self, inputs: Any, targets: dict[str, Any]) -> tuple[Any, list[Any]]:
        if self._passes > 1:  # copies of a window follow each other
            inputs, targets = tf.nest.map_structure(
                lambda x: tf.repeat(x, self._passes, axis=0), (inputs, targets)
            )
        with tf.GradientTape() as tape:
            outputs = self.network(inputs, training=True)
            loss = sum_losses(self._losses, self._weights, targets, outputs) + tf.add_n(
                [tf.cast(penalty, tf.float32) for penalty in self.network.losses]
                or [tf.constant(0.0)]
            )
            # The optimiser adds up what the devices find.
            scaled = self.optimizer.scale_loss(loss / self._devices)
        return loss, tape.gradient(scaled, self.trained)

    def _apply(self, gradients: list[Any]) -> None:
        self.optimizer.apply_gradients(list(zip(gradients, self.trained, strict=True)))


def sum_losses(
    losses: dict[str, Callable[[Any, Any], Any]],
    weights: dict[str, float],
    targets: dict[str, Any],
    outputs: dict[str, Any],
) -> Any:
    """Returns the weighted sum of the losses of all given outputs.

    It is in single precision, whatever the network computes in.
    """
    terms = [
        weights[name] * losses[name](targets[name], tf.cast(output, tf.float32))
        for name, output in outputs.items()
    ]
    return tf.add_n(terms)
