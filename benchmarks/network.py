"""The decoder limited to the rows of the blind zone against the same network over the full map, same weights.

Run `python benchmarks/network.py`; it prints one table. Windows are random numbers of the real shape: the time of a
convolution does not depend on its values.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from blindzone.models.unet3plus import UNet3PlusConfig, build_unet3plus

BATCH = 4
ROUNDS = 7
HIDDEN_ROWS = 16


def main() -> None:
    """Times forward passes of both networks in turn and prints medians and ratios."""
    windows = tf.constant(np.random.default_rng(0).normal(size=(BATCH, 128, 128, 3)), tf.float32)
    print(f"forward pass, depth 4, blind zone of {HIDDEN_ROWS} of 128 rows, batch {BATCH}: median of {ROUNDS}")
    for filters in (8, 16, 32):
        config = UNet3PlusConfig(filters=filters, channels=3, output_rows=HIDDEN_ROWS)
        limited = build_unet3plus(config)
        full = build_unet3plus(replace(config, output_rows=config.input_rows))
        full.set_weights(limited.get_weights())
        forward = [tf.function(network) for network in (full, limited)]
        heads = [function(windows, training=False)["intensity"].numpy()[:, :HIDDEN_ROWS] for function in forward]
        difference = float(np.abs(heads[0] - heads[1]).max())
        seconds = _time_in_turn([lambda f=f: f(windows, training=False)["intensity"].numpy() for f in forward])
        full_ms, limited_ms = (1e3 * value / BATCH for value in seconds)
        print(
            f"{filters:>3} filters: full map {full_ms:7.1f} ms a window, blind zone {limited_ms:6.1f} ms, "
            f"{full_ms / limited_ms:4.1f} x faster; largest difference {difference:.1e} network units"
        )


def _time_in_turn(calls: list[Callable[[], object]]) -> list[float]:
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, times in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


if __name__ == "__main__":
    main()
