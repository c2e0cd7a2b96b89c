"""The network limited to the blind zone's rows against plain Keras over the full map.

Run `python benchmarks/network.py`. It prints three tables: the forward pass, the training step, and
the passes of Monte Carlo dropout. Both networks of a row have the same weights and take turns.
Windows are random numbers of the real shape: the time of a convolution does not depend on its
values.

Losses are compared, relative to themselves, with dropout off and constant statistics of batch
normalisation, after one step of the optimiser too, so that the gradients are compared as well.
Statistics of a batch are those of the rows that are computed: while they are learned, the two
networks are not the same function.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from blindzone.models.families import build_network
from blindzone.models.losses import LossConfig, build_losses, route_targets
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import copy_weights

FORWARD_BATCH = 4
FORWARD_ROUNDS = 7
TRAINING_BATCH = 16
TRAINING_ROUNDS = 3
PASSES = 50
HIDDEN_ROWS = 16
UNTRUSTED_ROWS = 3
SHAPE = NetworkConfig(
    input_rows=128, input_profiles=128, channels=3, output_rows=HIDDEN_ROWS, depth=4
)


def main() -> None:
    """Prints the three tables."""
    print(
        f"depth 4, 128 x 128, blind zone of {HIDDEN_ROWS} rows; plain Keras over the full map"
        " against ours"
    )
    print(f"forward pass, batch {FORWARD_BATCH}, median of {FORWARD_ROUNDS}")
    for filters in (8, 16, 32):
        compare_forward(replace(SHAPE, filters=filters))
    print(
        f"training step (Keras train_on_batch, Adam), batch {TRAINING_BATCH}, median of"
        f" {TRAINING_ROUNDS}"
    )
    for filters in (16, 32):
        compare_training(replace(SHAPE, filters=filters))
    print(f"Monte Carlo dropout, {PASSES} passes of a window")
    for filters in (8, 16):
        time_passes(replace(SHAPE, filters=filters))


def compare_forward(config: NetworkConfig) -> None:
    """Times the forward pass of both networks and prints a line."""
    windows, _ = draw_batch(FORWARD_BATCH)
    plain, limited = build_pair(config)
    forward = [tf.function(network) for network in (plain, limited)]
    heads = [predict_intensity(function, windows) for function in forward]
    seconds = time_in_turn(
        [partial(predict_intensity, function, windows) for function in forward],
        FORWARD_ROUNDS,
    )
    difference = np.abs(heads[0] - heads[1]).max()
    plain_ms, limited_ms = (1e3 * value / FORWARD_BATCH for value in seconds)
    print(
        f"{config.filters:>3} filters: {plain_ms:7.1f} ms a window, ours {limited_ms:6.1f} ms, "
        f"{plain_ms / limited_ms:4.1f} x faster; largest difference {difference:.1e} network units"
    )


def predict_intensity(network: Callable[..., Any], windows: Any) -> np.ndarray:
    """Returns the intensity head of a forward pass."""
    intensity: np.ndarray = network(windows, training=False)["intensity"].numpy()
    return intensity


def compare_training(config: NetworkConfig) -> None:
    """Times a training step of both networks, compares their losses and prints a line.

    First losses of random weights are between 1 and 50: seeds would decide an absolute difference.
    """
    keras.utils.set_random_seed(0)
    windows, targets = draw_batch(TRAINING_BATCH)
    pairs = [
        losses_of_two_steps(network, config, windows, targets)
        for network in build_pair(without_noise(config))
    ]
    difference = max(abs(one - other) / abs(one) for one, other in zip(*pairs, strict=True))
    steps = [compiled(network, config) for network in build_pair(config)]
    routed = route_targets(targets, steps[0].output)
    seconds = time_in_turn(
        [partial(network.train_on_batch, windows, routed) for network in steps], TRAINING_ROUNDS
    )
    print(
        f"{config.filters:>3} filters: {seconds[0]:6.2f} s a step, ours {seconds[1]:5.2f} s,"
        f" {seconds[0] / seconds[1]:4.1f} x faster; losses of two steps without dropout differ by"
        f" {difference:.1e} of their own"
    )


def time_passes(config: NetworkConfig) -> None:
    """Times Monte Carlo inference on a window and prints a line."""
    windows, _ = draw_batch(1)
    network = MonteCarloNetwork(build_network(config), config)

    def predict() -> object:
        return next(network.predict(iter([(0, windows[0])]), passes=PASSES, seed=0))

    (seconds,) = time_in_turn([predict], TRAINING_ROUNDS)
    print(f"{config.filters:>3} filters: {1e3 * seconds:7.0f} ms")


def draw_batch(size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns random windows `(size, 128, 128, 3)` and targets, the lowest rows untrusted."""
    random = np.random.default_rng(0)
    windows = random.normal(
        size=(size, SHAPE.input_rows, SHAPE.input_profiles, SHAPE.channels)
    ).astype(np.float32)
    windows[:, :HIDDEN_ROWS, :, 1] = 1  # soft mask
    echo = random.integers(0, 2, (size, HIDDEN_ROWS, SHAPE.input_profiles)).astype(np.float32)
    units = random.normal(0.4, 0.2, echo.shape).astype(np.float32)
    trusted = np.ones_like(echo)
    trusted[:, :UNTRUSTED_ROWS] = 0
    occurrence, intensity = (
        np.stack([echo, trusted], axis=-1),
        np.stack([units * echo, echo * trusted], axis=-1),
    )
    return windows, {"occurrence": occurrence, "intensity": intensity}


def build_pair(config: NetworkConfig) -> tuple[keras.Model, keras.Model]:
    """Returns the network over the full map and the limited one, of the same weights."""
    limited = build_network(config)
    plain = build_network(replace(config, limit_rows=False))
    copy_weights(limited, plain)
    return plain, limited


def without_noise(config: NetworkConfig) -> NetworkConfig:
    """Returns a configuration whose losses depend on nothing but weights and windows."""
    return replace(config, dropout=0.0)


def compiled(network: keras.Model, config: NetworkConfig) -> keras.Model:
    """Returns the network, ready for training."""
    losses, weights = build_losses(LossConfig(), config)
    network.compile(optimizer=keras.optimizers.Adam(1e-4), loss=losses, loss_weights=weights)
    return network


def losses_of_two_steps(
    network: keras.Model, config: NetworkConfig, windows: np.ndarray, targets: dict[str, Any]
) -> list[float]:
    """Returns the losses before and after one step, batch statistics being constant."""
    for layer in network.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    routed = route_targets(targets, network.output)
    compiled(network, config)
    losses = []
    for _ in range(2):
        network.reset_metrics()
        losses.append(float(network.train_on_batch(windows, routed, return_dict=True)["loss"]))
    return losses


def time_in_turn(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Returns the median seconds of each call; the first round, which compiles, does not count."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        for call, times in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            if turn:
                times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


if __name__ == "__main__":
    main()
