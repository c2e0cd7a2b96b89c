"""What a training reports: after every step, at every validation, and in the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Ended = Literal["budget", "patience"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a training after one step.

    Attributes:
        step: Steps done.
        share_done: Share of the budget that is spent, 0 to 1.
        loss: Loss of this step's batch, with dropout and the penalty on the weights.
        best_score: Lowest score on the validation windows so far; NaN before the first.
        wait_share: Share of the time of all steps so far that was spent waiting for windows.
    """

    step: int
    share_done: float
    loss: float
    best_score: float
    wait_share: float


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One validation.

    Attributes:
        number: Which one, from 1; with `TrainingConfig.validations` set, that share of the budget.
        step: Steps done.
        seconds: Time since the start, that of earlier runs of a resumed training included.
        learning_rate: Rate of the last step.
        loss: Mean loss of the batches since the last validation, with dropout and the penalty on
            the weights.
        validation_loss: Loss on the validation windows, without either.
        score: What the weights are chosen by: the same, or a score of several forward passes.
        wait_share: Share of the time of all steps so far that was spent waiting for windows.
    """

    number: int
    step: int
    seconds: float
    learning_rate: float
    loss: float
    validation_loss: float
    score: float
    wait_share: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """Result of a training.

    Attributes:
        steps: Steps done.
        seconds: Wall-clock time, that of earlier runs of a resumed training included.
        ended: Why it ended: its `budget` was spent, or its `patience`.
        best_step: Step after which the weights that were kept did best.
        loss: Loss of the last batch, with dropout and the penalty on the weights.
        validation_loss: Loss of the kept weights on the validation windows, without either.
        validation_score: What they were chosen by.
        validation_absolute_error_units: Their mean absolute error where there is echo, in network
            units.
        wait_share: Share of the time of all steps that was spent waiting for windows.
        resumed_at: Steps at which it was resumed after it had been broken off.
        notes: Problems on the way that were overcome.
    """

    steps: int
    seconds: float
    ended: Ended
    best_step: int
    loss: float
    validation_loss: float
    validation_score: float
    validation_absolute_error_units: float
    wait_share: float
    resumed_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain values."""
        return asdict(self)
