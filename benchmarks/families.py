"""What each family of networks costs: weights, a step of training, and a pass of the engine.

Run `python benchmarks/families.py`. Windows are random numbers of the shape at Palaiseau; the time
of a convolution does not depend on its values. Seconds are processor time: on a busy machine wall
time says little. Two tables are printed, for a blind zone of 16 rows and for all rows.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from blindzone.models.families import build_network
from blindzone.models.losses import route_targets
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import Family, NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import TrainingStep, training_scope

SHAPE = NetworkConfig(
    input_rows=128,
    input_profiles=256,
    channels=4,
    depth=4,
    filters=8,
    normalization="none",
    joint_forecast=True,
)
BATCH = 8
ROUNDS = 5
PASSES = 16


def main() -> None:
    """Prints the two tables."""
    for rows in (16, SHAPE.input_rows):
        print(f"128 x 256 x 4, depth 4, 8 filters, {rows} rows predicted; processor time")
        for family in get_args(Family):
            if family != "column":
                measure(replace(SHAPE, family=family, output_rows=rows))
            elif rows < SHAPE.input_rows:
                measure(replace(SHAPE, family=family, output_rows=rows, base="column"))


def measure(config: NetworkConfig) -> None:
    """Prints one line of a table."""
    windows, targets = draw_batch(config)
    training = TrainingConfig(steps=ROUNDS, batch_size=BATCH)
    with training_scope(training):
        network = build_network(config)
        step = TrainingStep(network, config, training)
        batch = (windows, route_targets(targets, network.output))
        of_step = take_median(lambda: step(batch))
    engine = MonteCarloNetwork(network, config)
    of_passes = take_median(
        lambda: next(engine.predict(iter([(0, windows[0])]), passes=PASSES, seed=0))
    )
    single = take_median(
        lambda: next(engine.predict(iter([(0, windows[0])]), passes="single", seed=0))
    )
    weights = sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)
    print(
        f"{config.family:>13}: {weights / 1e3:5.0f} thousand weights, a step"
        f" {1e3 * of_step / BATCH:6.1f} ms a window, {PASSES} passes {1e3 * of_passes:7.1f} ms,"
        f" a single pass {1e3 * single:6.1f} ms",
        flush=True,
    )


def draw_batch(config: NetworkConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns random windows and targets; the lowest 16 rows are hidden."""
    random = np.random.default_rng(0)
    shape = (BATCH, config.input_rows, config.input_profiles, config.channels)
    windows = random.normal(size=shape).astype(np.float32)
    windows[..., 1] = 0
    windows[:, :16, :, 1] = 1
    units = random.normal(0.4, 0.2, (BATCH, config.output_rows, config.input_profiles))
    target = np.stack([units, np.ones_like(units)], axis=-1).astype(np.float32)
    echo = np.stack([units > 0.4, np.ones_like(units)], axis=-1).astype(np.float32)
    return windows, {"occurrence": echo, "intensity": target, "value": target}


def take_median(action: Callable[[], object]) -> float:
    """Returns the median processor time of an action [s]; the first one, which compiles, aside."""
    seconds = []
    for _ in range(ROUNDS + 1):
        begun = time.process_time()
        action()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
