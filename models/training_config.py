"""Configuration of a training: its budget, optimiser, learning rate, validation and devices."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError
from blindzone.models.losses import LossConfig

Optimizer = Literal["adam", "adamw", "nadam", "rmsprop", "sgd"]
Schedule = Literal["cosine", "epochs", "one_cycle"]
Validated = Literal["deterministic", "monte_carlo"]
Precision = Literal["float32", "mixed_float16"]
Devices = Literal["one", "all"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PATIENCE = 20
"""Validations without gain after which the published recipe ends (King et al. 2024)."""
LOWEST_RATE = 0.02
"""Share of the highest learning rate at which the cosine ends."""
RISE_SHARE = 0.3
"""Share of the budget over which the rate of `one_cycle` rises. This and the two below are the
defaults of PyTorch's OneCycleLR, after Smith and Topin (2017, arXiv 1708.07120)."""
FIRST_RATE = 1 / 25
"""Share of the highest learning rate at which `one_cycle` begins."""
LAST_RATE = FIRST_RATE * 1e-4
"""Share of it at which `one_cycle` ends."""
MOMENTA = (0.95, 0.85)
"""Momentum of `one_cycle` at both ends and at the highest rate (Smith 2018, arXiv 1803.09820)."""
_CYCLED = ("adam", "adamw", "nadam")
"""Optimisers whose momentum `one_cycle` changes."""


@configuration(error=ModelError, what="training")
class TrainingConfig:
    """How long and how to train."""

    minutes: Positive | None = None
    """Wall-clock budget; training ends with the first of the two budgets."""
    steps: PositiveInt | None = None
    """Step budget; with a step budget alone, a run does not depend on the machine's speed."""
    batch_size: PositiveInt = 16
    """Windows per step, on all devices together."""
    loss: LossConfig = Field(default_factory=LossConfig)
    """What is minimised."""
    optimizer: Optimizer = "adam"
    """The optimiser."""
    learning_rate: Positive = 2e-3
    """Highest learning rate; it rises over the first `warm_up_steps`."""
    schedule: Schedule = "cosine"
    """How the rate falls.

    `cosine` follows the share of the budget that is spent. `epochs` multiplies by `decay_factor` at
    each of `decay_epochs`, as in King et al. (2024). `one_cycle` rises over three tenths of the
    budget and then falls to nothing, the momentum the other way round, from 0.95 to 0.85 and back;
    for `adam`, `adamw` and `nadam`.
    """
    warm_up_steps: NonNegativeInt = 20
    """Steps over which the rate rises; `one_cycle` has its own rise."""
    decay_epochs: tuple[PositiveInt, ...] = (450, 475)
    """Epochs at which the rate falls; an epoch is the steps between two validations."""
    decay_factor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    """What the rate is multiplied by there."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4e-3
    """Weight decay of `adamw`."""
    clip_norm: Positive = 1.0
    """Longest gradient, over all weights together."""
    frozen: tuple[str, ...] = ()
    """Name prefixes of layers whose weights stay unchanged.

    `("column",)` is right for a network that was started from its column path alone.
    """
    rates: dict[str, Positive] = Field(default_factory=dict)
    """Factor of the learning rate by name prefix of layers; of several the longest counts.

    `{encoder: 0.01, decoder: 0.1}` changes a pretrained encoder least. It scales the update, since
    Adam divides the size of gradients out.
    """
    freeze_statistics: tuple[str, ...] = ()
    """Name prefixes of layers whose batch statistics stay unchanged while their weights are
    trained; they normalise by these statistics. Right for a pretrained encoder."""
    weight_average: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Momentum of an exponential average of the weights.

    If set, the average is validated and kept in place of the weights themselves.
    """
    steps_between_validations: PositiveInt = 25
    """Steps between two validations."""
    validations: PositiveInt | None = None
    """Number of validations, evenly spread over the budget; by default every few steps instead."""
    patience: NonNegativeInt | None = None
    """Validations without gain after which training ends, 0 for never.

    By default 20 with decay at epochs, and never with the cosine, at whose low end most is gained.
    """
    validation: Validated = "deterministic"
    """By what the best weights are chosen.

    `deterministic` is the loss without dropout, `monte_carlo` a score of several forward passes
    with dropout.
    """
    validation_realizations: Annotated[int, Field(ge=2)] = 8
    """Number of forward passes for `monte_carlo`."""
    precision: Precision = "float32"
    """`mixed_float16` computes in half precision on a GPU; weights stay float32."""
    devices: Devices = "one"
    """`all` deals each batch out to all GPUs, or to all logical devices where there is no GPU."""
    seed: NonNegativeInt = 0
    """Seed of weights, dropout and windows."""

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("a budget is needed, minutes or steps")
        if any(later <= earlier for earlier, later in pairwise(self.decay_epochs)):
            raise ValueError(f"decay_epochs must increase; found {list(self.decay_epochs)}")
        if self.schedule == "one_cycle" and self.optimizer not in _CYCLED:
            raise ValueError(
                f"one_cycle changes the momentum of {', '.join(_CYCLED)}; found the optimizer"
                f" {self.optimizer!r}"
            )

    @property
    def patience_or_default(self) -> int | None:
        """Validations without gain after which training ends; None for never."""
        if self.patience is None:
            return PATIENCE if self.schedule == "epochs" else None
        return self.patience or None

    def rate_at(self, step: int, share_done: float) -> float:
        """Returns the learning rate of a step, counted from 0.

        Args:
            step: Number of the step.
            share_done: Share of the budget that is spent, 0 to 1.
        """
        if self.schedule == "one_cycle":
            return self.learning_rate * _cycle(share_done, FIRST_RATE, 1.0, LAST_RATE)
        warm_up = min(1.0, (step + 1) / self.warm_up_steps) if self.warm_up_steps else 1.0
        if self.schedule == "cosine":
            fall = _blend(share_done, 1.0, LOWEST_RATE)
        else:
            epoch = step // self.steps_between_validations
            fall = self.decay_factor ** sum(epoch >= decay for decay in self.decay_epochs)
        return self.learning_rate * warm_up * fall

    def momentum_at(self, share_done: float) -> float | None:
        """Returns the momentum of a step; None if it is that of the optimiser throughout.

        Args:
            share_done: Share of the budget that is spent, 0 to 1.
        """
        if self.schedule != "one_cycle":
            return None
        high, low = MOMENTA
        return _cycle(share_done, high, low, high)


def _cycle(share: float, first: float, middle: float, last: float) -> float:
    """Returns a value that goes from `first` to `middle` over `RISE_SHARE`, and on to `last`."""
    if share < RISE_SHARE:
        return _blend(share / RISE_SHARE, first, middle)
    return _blend((share - RISE_SHARE) / (1 - RISE_SHARE), middle, last)


def _blend(share: float, first: float, last: float) -> float:
    """Returns a value that goes from `first` to `last` along half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
