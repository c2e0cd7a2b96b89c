"""Validation: loss and score of a network on windows that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras

from blindzone.core.example import Example
from blindzone.models.losses import build_losses, masked_absolute_error, split_name
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import sum_losses
from blindzone.models.training_stream import stack_examples

Score = Callable[[keras.Model], float]
"""Returns how good a network's weights are: the lower the better."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one validation.

    Attributes:
        loss: Loss without dropout and without the penalty on the weights.
        score: What the weights are chosen by.
        absolute_error: Mean absolute error where there is echo [network units].
    """

    loss: float
    score: float
    absolute_error: float


class Validator:
    """Scores a network, as it is at the moment, on the validation windows.

    Args:
        network: The training network.
        network_config: Its configuration.
        windows: The validation windows.
        config: Configuration of the training.
        score: Score of the network; by default the loss.
    """

    def __init__(
        self,
        network: keras.Model,
        network_config: NetworkConfig,
        windows: list[Example],
        config: TrainingConfig,
        score: Score | None,
    ) -> None:
        self.batch = stack_examples(windows, network.output)
        self._echo = stack_examples(windows, ("intensity",))[1]["intensity"]
        # Without dropout the forward passes of a window are all the same: losses of one are right.
        plain = replace(config.loss, realizations=1, value="absolute_error", forecast="crps")
        self._losses, self._weights = build_losses(plain, network_config)
        heads = {name: network.output[name] for name in self._losses if _is_main(name)}
        self._heads = keras.Model(network.input, heads)
        self._network, self._score, self._batch_size = network, score, config.batch_size

    def measure(self) -> Scores:
        """Returns the scores of the network."""
        inputs, targets = self.batch
        heads = self._heads.predict(inputs, batch_size=self._batch_size, verbose=0)
        loss = float(sum_losses(self._losses, self._weights, targets, heads))
        strength = heads["intensity"] if "intensity" in heads else heads["value"]
        return Scores(
            loss=loss,
            score=loss if self._score is None else self._score(self._network),
            absolute_error=float(masked_absolute_error(self._echo, strength)),
        )


def _is_main(output: str) -> bool:
    """Returns whether an output predicts pixels at full size."""
    kind, level = split_name(output)
    return kind != "scene" and level == 0
