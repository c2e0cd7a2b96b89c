"""A short training in two processes: killed after its third step, and resumed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

from blindzone.core.example import Example
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training import TrainingContext, train_network
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import Progress, TrainingRecord
from blindzone.models.training_step import training_scope

NETWORK = NetworkConfig(
    input_rows=8,
    input_profiles=16,
    channels=2,
    output_rows=2,
    depth=1,
    filters=4,
    dropout=0.1,
    l2=1e-4,
)
CONFIG = TrainingConfig(steps=6, batch_size=4, learning_rate=1e-2, steps_between_validations=2)


def make_window(number: int) -> Example:
    random = np.random.default_rng([7, number])
    curtain = random.normal(0, 1, (8, 16, 2)).astype(np.float32)
    curtain[..., 1] = (np.arange(8) < 2)[:, None]
    value = curtain[:2, :, 0]
    echo, mask = (value > 0).astype(np.float32), np.ones((2, 16), np.float32)
    return Example(
        curtain,
        {
            "occurrence": np.stack([echo, mask], axis=-1),
            "intensity": np.stack([value * echo, echo], axis=-1),
            "value": np.stack([np.where(echo > 0, value, np.float32(-1)), mask], axis=-1),
        },
    )


def draw(first: int) -> Iterator[Example]:
    return map(make_window, itertools.count(first))


def train(config: TrainingConfig, **options: Any) -> tuple[list[np.ndarray], TrainingRecord]:
    validation = [make_window(number) for number in range(1000, 1004)]
    with training_scope(config):
        network = build_network(NETWORK)
        context = TrainingContext(**options)
        record = train_network(network, NETWORK, draw, validation, config, context)
    return network.get_weights(), record


def differ(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def kill(now: Progress) -> None:
    if now.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    # It forks before TensorFlow has started any thread: a second import would take seconds.
    state = folder / "state.npz"
    killed = os.fork()
    set_up()
    if killed == 0:
        train(CONFIG, state_file=state, state_every_s=0, on_step=kill)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGKILL
    resumed, record = train(CONFIG, state_file=state)
    whole, _ = train(CONFIG)
    _, on_all = train(dataclasses.replace(CONFIG, steps=2, devices="all"))
    found = {
        "resumed at": record.resumed_at,
        "largest difference": differ(resumed, whole),
        "on two devices": bool(np.isfinite(on_all.validation_score)),
    }
    print(json.dumps(found))


def set_up() -> None:
    """Makes two devices of one thread: both must be set before TensorFlow starts."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.run_functions_eagerly(True)  # a tenth of the time that it takes to trace the graphs


if __name__ == "__main__":
    main(Path(sys.argv[1]))
