"""The learning-rate finder: a sweep over rates, one batch each (Smith 2017, arXiv 1506.01186).

The rate rises exponentially until the loss is four times the lowest. Where the loss falls most
steeply is a good highest rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from blindzone.core.errors import TrainingError
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import copy_variables, restore_variables
from blindzone.models.training import Windows
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import TrainingStep
from blindzone.models.training_stream import batch_windows, stack_examples

LOWEST, HIGHEST = 1e-7, 10.0
"""Rates at both ends of the sweep, and the number of its steps: those of fast.ai's finder."""
STEPS = 100
STOP = 4.0
"""Multiple of the lowest loss at which the sweep ends."""
SMOOTHING = 0.85
"""Share of the mean of all losses before in the smoothed loss: over about seven steps."""
_AT_LEAST = 10
"""Steps at the beginning that are too few for a mean."""


@dataclass(frozen=True, kw_only=True)
class RateSweep:
    """Losses over rates.

    Attributes:
        rates: Learning rate of each step, `(step,)`.
        losses: Loss of its batch, before the update.
        smoothed: The same, smoothed forwards and backwards, so that it lags behind neither way.
        suggested: Rate at which it falls most steeply; None if it never falls.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggested: float | None


def find_rate(
    network: keras.Model,
    network_config: NetworkConfig,
    windows: Windows,
    config: TrainingConfig,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> RateSweep:
    """Returns the losses over rates; the network is left as it was.

    The optimiser is the sweep's own and the stream of windows begins anew each time, so a training
    after it is as one without it.

    Args:
        network: The network, built inside `training_scope`; this call belongs there too.
        network_config: Its configuration.
        windows: The training windows.
        config: How it would be trained; schedule and budget do not count.
        on_step: Called after every step with its number, from 1, and its loss.

    Raises:
        TrainingError: If the loss is not finite at the lowest rates.
    """
    before = copy_variables(network.variables)
    try:
        take_step = TrainingStep(network, network_config, config)
        like = stack_examples([next(windows(0))], network.output)
        batches = batch_windows(windows, 0, like, config.batch_size)
        losses = list(_sweep(take_step, batches, on_step))
    finally:
        restore_variables(network.variables, before, where="the weights before the sweep")
    if len(losses) <= _AT_LEAST:
        raise TrainingError(
            f"the loss was {losses[-1]:g} after {len(losses)} steps at rates below"
            f" {rate_of(len(losses)):.1g}; a network whose loss is finite and steady is right"
        )
    finite = np.array([loss for loss in losses if math.isfinite(loss)])
    rates = np.array([rate_of(step) for step in range(finite.size)])
    # The last losses may be a thousand times the first: they would be most of any mean.
    smoothed = smooth(np.minimum(finite, finite[:_AT_LEAST].max()))
    return RateSweep(
        rates=rates,
        losses=finite,
        smoothed=smoothed,
        suggested=suggest_rate(rates, smoothed),
    )


def rate_of(step: int) -> float:
    """Returns the learning rate of a step of the sweep, from 0."""
    return float(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)))


def _sweep(
    take_step: TrainingStep, batches: Iterator[Any], on_step: Callable[[int, float], None]
) -> Iterator[float]:
    """Yields the loss of each step until it has grown too large; the last may not be finite."""
    running, first, best = 0.0, math.nan, math.inf
    for step in range(STEPS):
        take_step.set_rate(rate_of(step))
        loss = take_step(next(batches))
        yield loss
        on_step(step + 1, loss)
        running = SMOOTHING * running + (1 - SMOOTHING) * loss
        mean = running / (1 - SMOOTHING ** (step + 1))
        first = first if step else mean
        best = min(best, mean)
        if not math.isfinite(loss) or (step >= _AT_LEAST and mean > _limit(first, best)):
            return


def _limit(first: float, best: float) -> float:
    """Returns the loss at which the sweep ends; likelihoods may be negative."""
    return STOP * best if best > 0 else first + STOP * (first - best)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Returns exponential means of losses `(step,)` over the steps before, then over later ones."""
    forwards = _mean_before(losses)
    backwards: np.ndarray = _mean_before(forwards[::-1])[::-1]
    return backwards


def _mean_before(values: np.ndarray) -> np.ndarray:
    weights = SMOOTHING ** np.arange(values.size)
    means = [np.average(values[: end + 1], weights=weights[end::-1]) for end in range(values.size)]
    return np.array(means)


def suggest_rate(rates: np.ndarray, smoothed: np.ndarray) -> float | None:
    """Returns the rate at which a loss falls most steeply; None if it never falls.

    Args:
        rates: Rates `(step,)`.
        smoothed: Losses `(step,)`.
    """
    slopes = np.gradient(smoothed, np.log(rates))[: int(np.argmin(smoothed)) + 1]
    if slopes.size == 0 or slopes.min() >= 0:
        return None
    return float(rates[np.argmin(slopes)])
