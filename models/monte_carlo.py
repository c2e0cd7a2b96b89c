"""Monte Carlo dropout: many answers of one network to one curtain (Gal and Ghahramani 2016, arXiv 1506.02142).

Each realization is one forward pass with its own dropout masks. They come from counter-based generators keyed by seed
and window: the answer to a window depends on neither batch size nor order. What lies before the first dropout is the
same in all realizations and computed once.

A realization of the two-part answer has an intensity that is its Laplace location plus its Laplace scale times the
quantile of a level that belongs to the realization, the levels of all realizations being stratified: the spread between
networks (dropout) and the spread that each expects (scale) both enter (Kendall and Gal 2017, arXiv 1703.04977). A
realization of the single value is that value: the probability of echo is then the share of realizations above the
sensitivity floor, and the intensities given echo are those of this share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.errors import ModelError
from blindzone.models.unet3plus import (
    ECHO_ABOVE,
    LOG_SCALE_LIMITS,
    UNet3PlusConfig,
    connect_unet3plus,
    copy_weights,
    main_heads,
)


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
        floor_unit: Sensitivity floor [network units]: a single value above it is echo.

    Raises:
        ModelError: If the weights do not fit the configuration or are not finite.
    """

    def __init__(self, network: keras.Model, config: UNet3PlusConfig, *, floor_unit: float = 0.0) -> None:
        self.config = config
        self.floor_unit = floor_unit
        # Curtain and masks need not be of one batch size: what is the same in all realizations has one entry, and the
        # first mask that it meets spreads it to all.
        curtain = keras.Input((config.input_rows, config.input_profiles, config.channels), name="curtain")
        self._ones = keras.Input((1, 1, 1), name="ones")
        self._seed = keras.Input((2,), dtype="int32", name="seed")
        self._mask_inputs: list[Any] = []
        self._drawn = 0
        alone = replace(config, deep_supervision=False, joint_forecast=False)
        outputs = connect_unet3plus(curtain, alone, self._masked, spread=self._spread)
        heads = {name: outputs[name] for name in main_heads(config)}
        inputs = [curtain, self._ones, self._seed, *self._mask_inputs]
        self._network = keras.Model(inputs, heads, name="monte_carlo_unet3plus")
        self._mask_sizes = [int(mask.shape[-1]) for mask in self._mask_inputs]
        self._forward = tf.function(self._network, reduce_retracing=True)
        self.take_weights(network)

    def take_weights(self, network: keras.Model) -> None:
        """Answers as `network` from here on, which costs far less than a new `MonteCarloNetwork`.

        Raises:
            ModelError: If the weights do not fit the configuration or are not finite.
        """
        # Looked at here, not in the answers alone: an infinite weight before a ReLU can leave them finite.
        if not all(np.isfinite(weights).all() for layer in network.layers for weights in layer.get_weights()):
            raise ModelError("the network's weights are not finite: its training diverged; train it anew")
        copy_weights(network, self._network)

    def _masked(self, x: Any, name: str) -> Any:
        if not self.config.dropout:
            return x
        if self.config.dropout_kind == "element":
            self._drawn += 1
            return _ElementDropout(self.config.dropout, self._drawn, name=name)([x, self._ones, self._seed])
        mask = keras.Input((1, 1, x.shape[-1]), name=f"{name}_mask")
        self._mask_inputs.append(mask)
        return keras.layers.Multiply(name=name)([x, mask])

    def _spread(self, x: Any) -> Any:
        return keras.layers.Multiply(name="realizations")([x, self._ones]) if self.config.dropout else x

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
            masks = self._draw_masks(random, realizations)
            levels = _stratified_levels(random, realizations)
            key = np.tile(random.integers(2**31, size=(1, 2), dtype=np.int32), (realizations, 1))
            ones = np.ones((realizations, 1, 1, 1), np.float32)
            heads = self._forward([tf.convert_to_tensor(curtain[None]), ones, key, *masks], training=False)
            said = {name: head.numpy() for name, head in heads.items()}
            if not all(np.isfinite(values).all() for values in said.values()):
                raise ModelError(
                    f"window {number}: the network gives values that are not finite; the curtain shown to it holds "
                    "such values, or its training diverged"
                )
            single = self.config.head == "single"
            answer = _summarize_values(said, realizations, self.floor_unit) if single else _summarize(said, levels)
            yield self._keep_observed(answer, curtain)

    def _keep_observed(self, answer: Realizations, curtain: np.ndarray) -> Realizations:
        """Returns the answer with the pixels that the window shows, the soft mask below 1, as they were observed."""
        shown = curtain[: self.config.output_rows]
        if shown.shape[-1] < 2 or not (shown[..., 1] < 1).any():
            return answer
        is_observed = shown[..., 1] < 1
        probability = np.where(is_observed, shown[..., 0] > ECHO_ABOVE, answer.probability)
        intensity = np.where(is_observed[..., None], shown[..., :1], answer.intensity)
        return Realizations(probability=probability.astype(np.float32), intensity=intensity)

    def _draw_masks(self, random: np.random.Generator, realizations: int) -> list[np.ndarray]:
        """Returns one mask a dropout layer, `(realization, 1, 1, channel)`: 0 or 1 / (1 - rate)."""
        keep = 1.0 - self.config.dropout
        kept = random.random((realizations, sum(self._mask_sizes)), dtype=np.float32) < keep
        scaled = (kept / np.float32(keep)).astype(np.float32)[:, None, None, :]
        return np.split(scaled, np.cumsum(self._mask_sizes)[:-1], axis=-1) if self._mask_sizes else []


def _stratified_levels(random: np.random.Generator, realizations: int) -> np.ndarray:
    """Returns one probability level a realization, evenly spread over (0, 1), in random order."""
    return random.permutation((np.arange(realizations) + 0.5) / realizations)


def _summarize(heads: dict[str, np.ndarray], levels: np.ndarray) -> Realizations:
    logit = heads["occurrence"][..., 0]  # (realization, row, time), or one for all without dropout
    location, log_scale = np.moveaxis(heads["intensity"], -1, 0)
    # Quantile function of the standard Laplace distribution.
    residual = np.where(levels < 0.5, np.log(2 * levels), -np.log(2 * (1 - levels))).astype(np.float32)
    intensity = location + np.exp(np.clip(log_scale, *LOG_SCALE_LIMITS)) * residual[:, None, None]
    # 1 / (1 + exp(-x)) by way of its logarithm: exp(-x) overflows for a network that is very sure of clear sky.
    probability = np.exp(-np.logaddexp(0.0, -logit)).mean(axis=0)
    return Realizations(probability=probability, intensity=np.moveaxis(np.sort(intensity, axis=0), 0, -1))


def _summarize_values(heads: dict[str, np.ndarray], realizations: int, floor_unit: float) -> Realizations:
    """Returns what single values say: M of N lie above the floor, so echo has the probability M / N.

    The N intensities are those M, stretched: the quantiles of the M at the levels (i - 1/2) / N, by linear
    interpolation with the k-th of M at (k - 1/2) / M (Hazen 1914). Where none is above, they are the floor.
    """
    values = np.broadcast_to(heads["value"][..., 0], (realizations, *heads["value"].shape[1:3]))
    ordered = np.sort(np.moveaxis(values, 0, -1), axis=-1)  # (row, time, realization)
    above = (ordered > floor_unit).sum(axis=-1, keepdims=True)
    position = np.clip((np.arange(realizations) + 0.5) / realizations * above - 0.5, 0, np.maximum(above - 1, 0))
    lower = np.floor(position).astype(np.intp)
    first = np.minimum(realizations - above, realizations - 1)
    below, over = (
        np.take_along_axis(ordered, np.minimum(first + rank, realizations - 1), axis=-1) for rank in (lower, lower + 1)
    )
    intensity = np.maximum(below + (position - lower) * (over - below), floor_unit)
    return Realizations(
        probability=(above[..., 0] / realizations).astype(np.float32), intensity=intensity.astype(np.float32)
    )


class _ElementDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout of single pixels of a map by masks drawn from a seed, the same on every machine.

    The masks are as large as the maps of all realizations together: drawn here, they never leave the graph.
    """

    def __init__(self, rate: float, stream: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.stream = stream

    def call(self, inputs: Any) -> Any:
        """Returns maps `(1 or realization, ...)` with pixels dropped, `(realization, ...)`."""
        x, ones, seed = inputs
        own = tf.random.experimental.stateless_fold_in(seed[0], self.stream)
        shape = tf.concat([tf.shape(ones)[:1], tf.shape(x)[1:]], axis=0)
        drawn = tf.random.stateless_uniform(shape, own, dtype=x.dtype, alg="philox")
        return tf.where(drawn >= self.rate, x / (1.0 - self.rate), 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape that leaves."""
        return (None, *input_shape[0][1:])
