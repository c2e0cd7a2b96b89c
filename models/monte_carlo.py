"""Monte Carlo dropout: many answers of one network to one curtain (Gal and Ghahramani 2016, arXiv 1506.02142).

Each realization is one forward pass with its own dropout masks. The masks are inputs of the network and are drawn
here, from a counter-based generator keyed by seed and window: the answer to a window depends on neither batch size nor
order. A realization's intensity is its Laplace location plus its Laplace scale times the quantile of a level that
belongs to the realization, the levels of all realizations being stratified: the spread between networks (dropout) and
the spread that each expects (scale) both enter (Kendall and Gal 2017, arXiv 1703.04977).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.errors import ModelError
from blindzone.models.losses import LOG_SCALE_LIMITS
from blindzone.models.unet3plus import UNet3PlusConfig, connect_unet3plus


@dataclass(frozen=True, kw_only=True)
class Realizations:
    """What the realizations say of one window.

    Attributes:
        probability: Probability of echo, the mean over the realizations, `(hidden row, time)`.
        intensity: Reflectivity given echo in network units, in increasing order, `(hidden row, time, realization)`.
    """

    probability: np.ndarray
    intensity: np.ndarray


class MonteCarloNetwork:
    """A trained network with its dropout active.

    Args:
        network: The trained network.
        config: Its configuration.

    Raises:
        ModelError: If the weights do not fit the configuration or are not finite.
    """

    def __init__(self, network: keras.Model, config: UNet3PlusConfig) -> None:
        self.config = config
        self._mask_inputs: list[Any] = []
        curtain = keras.Input((config.input_rows, config.input_profiles, config.channels), name="curtain")
        heads = connect_unet3plus(curtain, config, self._masked)
        self._network = keras.Model([curtain, *self._mask_inputs], heads, name="monte_carlo_unet3plus")
        try:
            self._network.set_weights(network.get_weights())
        except ValueError as error:
            raise ModelError(f"the weights do not fit their configuration: {error}") from error
        # Looked at here, not in the answers alone: an infinite weight before a ReLU can leave them finite.
        if not all(np.isfinite(weights).all() for weights in network.get_weights()):
            raise ModelError("the network's weights are not finite: its training diverged; train it anew")
        self._mask_sizes = [int(mask.shape[-1]) for mask in self._mask_inputs]
        self._forward = tf.function(self._network, reduce_retracing=True)

    def _masked(self, x: Any, name: str) -> Any:
        if not self.config.dropout:
            return x
        mask = keras.Input((1, 1, x.shape[-1]), name=f"{name}_mask")
        self._mask_inputs.append(mask)
        return keras.layers.Multiply(name=name)([x, mask])

    def realize(
        self, windows: Iterator[tuple[int, np.ndarray]], *, realizations: int, seed: int
    ) -> Iterator[Realizations]:
        """Yields the realizations of each window in turn.

        Args:
            windows: A number that is the window's own, and the curtain `(height, time, channel)` in network units.
            realizations: Number N of forward passes, at least 2.
            seed: Seed of the dropout masks.

        Raises:
            ModelError: If N is below 2, the seed is negative, or the network gives values that are not finite.
        """
        if realizations < 2:
            raise ModelError(f"an interval needs at least 2 realizations; found {realizations}")
        if seed < 0:
            raise ModelError(f"a seed must not be negative; found {seed}")
        for number, curtain in windows:
            random = np.random.Generator(np.random.Philox(key=np.array([seed, number], dtype=np.uint64)))
            batch = np.broadcast_to(curtain, (realizations, *curtain.shape))
            masks = self._draw_masks(random, realizations)
            heads = self._forward([tf.convert_to_tensor(batch), *masks], training=False)
            yield _summarize(heads, _stratified_levels(random, realizations), where=f"window {number}")

    def _draw_masks(self, random: np.random.Generator, realizations: int) -> list[np.ndarray]:
        """Returns one mask a dropout layer, `(realization, 1, 1, channel)`: 0 or 1 / (1 - rate)."""
        keep = 1.0 - self.config.dropout
        kept = random.random((realizations, sum(self._mask_sizes)), dtype=np.float32) < keep
        scaled = (kept / np.float32(keep)).astype(np.float32)[:, None, None, :]
        return np.split(scaled, np.cumsum(self._mask_sizes)[:-1], axis=-1) if self._mask_sizes else []


def _stratified_levels(random: np.random.Generator, realizations: int) -> np.ndarray:
    """Returns one probability level a realization, evenly spread over (0, 1), in random order."""
    return random.permutation((np.arange(realizations) + 0.5) / realizations)


def _summarize(heads: dict[str, Any], levels: np.ndarray, *, where: str) -> Realizations:
    logit = heads["occurrence"].numpy()[..., 0]  # (realization, row, time)
    location, log_scale = np.moveaxis(heads["intensity"].numpy(), -1, 0)
    if not (np.isfinite(logit).all() and np.isfinite(location).all() and np.isfinite(log_scale).all()):
        raise ModelError(
            f"{where}: the network gives values that are not finite; the curtain shown to it holds such values, "
            "or its training diverged"
        )
    # Quantile function of the standard Laplace distribution.
    residual = np.where(levels < 0.5, np.log(2 * levels), -np.log(2 * (1 - levels))).astype(np.float32)
    intensity = location + np.exp(np.clip(log_scale, *LOG_SCALE_LIMITS)) * residual[:, None, None]
    # 1 / (1 + exp(-x)) by way of its logarithm: exp(-x) overflows for a network that is very sure of clear sky.
    probability = np.exp(-np.logaddexp(0.0, -logit)).mean(axis=0)
    return Realizations(probability=probability, intensity=np.moveaxis(np.sort(intensity, axis=0), 0, -1))
