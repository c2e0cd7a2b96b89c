"""Monte Carlo inference: plain Keras over the whole map against the engine, same weights.

Run `python benchmarks/inference.py`. It prints:

- a window of 128 x 128 and 50 passes, networks of the published kind with 16 and 32 filters. Plain
  is `predict` of 50 copies of the window with dropout of single pixels active, as published. The
  engine is timed with dropout of whole channels, its own kind, and with that of single pixels, to
  show how much of the gain is the kind. The ways take turns. Times are medians of wall-clock time,
  and of processor time, which other programs change less.
- floating-point operations done, counted in the graphs, over those of a matrix product in the same
  time.
- peak memory of a process that does nothing else.
- a window of the shipped weights with 50 passes and with a single one, beside the published way:
  plain Keras, 32 filters, 6.76 million parameters, 50 passes.
- a whole day of a source with the shipped weights, from archive to product, with 50 passes and with
  a single one; left out where there is no archive. Single passes by LiteRT, and by TensorFlow. Then
  the same as commands, with all that they import.
- threads, each setting in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import zarr  # noqa: F401  a day imports it when it opens its archive
from front_door import COMMAND, Cost

from blindzone.core.forward_passes import SINGLE, Passes, describe_passes
from blindzone.flows.inpaint import InpaintPlan, inpaint
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.trained_network import TrainedNetwork, _open_network, open_network
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, archive_folder
from blindzone.models import checkpoint_record, light_network
from blindzone.models.families import connect_network, curtain_input
from blindzone.models.layers import PlainLayers
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig
from blindzone.pipeline.archive import Archive

PASSES = 50
PLAIN_BATCH = 10
ROUNDS = 3
PEAK_SIDE = 3072
FILTERS = (16, 32)
SHAPE = NetworkConfig(
    input_rows=128,
    input_profiles=128,
    channels=3,
    output_rows=16,
    depth=4,
    base="none",
    dropout_kind="element",
)
PUBLISHED_FILTERS = 32
WINDOWS = 8
"""Windows of the shipped weights that are filled in a row: some go through together."""
SOURCE = "palaiseau_basta"
THREADS = ((0, 0), (1, 1), (2, 1), (2, 2))
"""Threads within an operation and between operations; 0 leaves it to TensorFlow."""

Way = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Median seconds of a window's passes."""

    wall: float
    processor: float


def main() -> None:
    """Prints the tables, or measures what a process of its own was started for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--archive", type=Path, default=archive_folder(), help="folder of the zarr archive"
    )
    parser.add_argument(
        "--alone", nargs=2, metavar=("WAY", "FILTERS"), help="measure one way in this process"
    )
    parser.add_argument(
        "--single",
        action="store_true",
        help="compare the single pass alone, and leave out the rest",
    )
    options = parser.parse_args()
    if options.alone:
        measure_alone(options.alone[0], int(options.alone[1]))
        return
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {PASSES} forward passes"
        " of 128 x 128"
    )
    if options.single:
        compare_single()
        time_day(options.archive)
        return
    peak = measure_peak()
    print(f"matrix product of {PEAK_SIDE} squared: {peak / 1e9:.0f} GFLOP/s")
    for filters in FILTERS:
        compare_ways(filters, peak)
    compare_single()
    time_day(options.archive)
    print_memory()
    print_threads()
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def compare_ways(filters: int, peak: float) -> None:
    """Times all ways with so many filters in turn and prints a line each."""
    network, config = build_plain(filters)
    ways = {name: build(network, config) for name, build in WAYS.items()}
    timings = time_in_turn({name: way for name, (way, _) in ways.items()})
    plain = timings["plain, single pixels"]
    print(
        f"{filters} filters                  wall s   processor s   GFLOP   of peak   faster: wall,"
        " processor"
    )
    for name, timing in timings.items():
        work = ways[name][1]
        print(
            f"  {name:<24}{timing.wall:8.2f}{timing.processor:14.2f}{work / 1e9:8.0f}"
            f"{work / timing.wall / peak:10.0%}{plain.wall / timing.wall:12.1f} x"
            f" {plain.processor / timing.processor:6.1f} x"
        )


def compare_single() -> None:
    """Times a window of the shipped weights both ways beside the published way."""
    published, config = build_plain(PUBLISHED_FILTERS)
    shipped = open_network(SHIPPED_WEIGHTS)
    windows = [draw_window(shipped.checkpoint.config)] * WINDOWS

    def fill(network: TrainedNetwork, passes: Passes) -> Way:
        return lambda: list(
            network.network.predict(iter(enumerate(windows)), passes=passes, seed=0)
        )

    light = shipped.for_passes(SINGLE)
    ways = {
        f"published way, {PASSES} passes": run_plainly(published, config)[0],
        f"shipped weights, {PASSES} passes": fill(shipped, PASSES),
        "a single pass, TensorFlow": fill(shipped, SINGLE),
    }
    if light.runtime:
        ways[f"a single pass, {light.runtime}"] = fill(light, SINGLE)
    timings = time_in_turn(ways)
    first, *others = timings.items()
    of_network = f"{published.count_params() / 1e6:.2f} M parameters, 128 profiles"
    print("a window                        wall s   processor s   faster: wall, processor")
    print(f"  {first[0]:<30}{first[1].wall:8.3f}{first[1].processor:14.3f}   ({of_network})")
    for name, timing in others:
        wall, processor = timing.wall / WINDOWS, timing.processor / WINDOWS
        print(
            f"  {name:<30}{wall:8.3f}{processor:14.3f}{first[1].wall / wall:12.0f} x"
            f" {first[1].processor / processor:6.0f} x"
        )


class ActiveDropoutLayers(PlainLayers):
    """Plain Keras layers whose dropout is always active."""

    def dropout(self, x: Any, name: str) -> Any:
        """Returns `x` after dropout of single pixels."""
        return keras.layers.Dropout(self.config.dropout, name=name)(x, training=True)


def build_plain(filters: int) -> tuple[keras.Model, NetworkConfig]:
    """Returns a network of plain Keras layers over the full map, and its configuration.

    Its dropout is always active.
    """
    config = replace(SHAPE, filters=filters, limit_rows=False)
    curtain = curtain_input(config)
    outputs = connect_network(curtain, ActiveDropoutLayers(config=config))
    network = keras.Model(curtain, outputs)
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return network, config


def run_plainly(network: keras.Model, config: NetworkConfig) -> tuple[Way, float]:
    """Returns the plain way and its floating-point operations."""
    copies = np.repeat(draw_window(config)[None], PASSES, axis=0)
    shape = tf.TensorSpec((PLAIN_BATCH, *copies.shape[1:]))
    work = (
        count_operations(tf.function(network).get_concrete_function(shape)) * PASSES / PLAIN_BATCH
    )
    return lambda: network.predict(copies, batch_size=PLAIN_BATCH, verbose=0), work


def run_engine(network: keras.Model, config: NetworkConfig, dropout_kind: Any) -> tuple[Way, float]:
    """Returns the engine's way with a kind of dropout and its floating-point operations."""
    engine = MonteCarloNetwork(network, replace(config, limit_rows=True, dropout_kind=dropout_kind))
    window = draw_window(config)
    parts = -(-PASSES // engine.at_once)
    model = engine._network.model
    of_window, *of_pass = model.inputs
    shapes = [tf.TensorSpec((1, *of_window.shape[1:]))]
    shapes += [tf.TensorSpec((PASSES // parts, *each.shape[1:]), each.dtype) for each in of_pass]
    graph = tf.function(lambda *given: model(given, training=False)).get_concrete_function(*shapes)

    def predict() -> object:
        return next(engine.predict(iter([(0, window)]), passes=PASSES, seed=0))

    return predict, count_operations(graph) * parts


WAYS: Mapping[str, Callable[[keras.Model, NetworkConfig], tuple[Way, float]]] = {
    "plain, single pixels": run_plainly,
    "engine, single pixels": lambda network, config: run_engine(network, config, "element"),
    "engine, whole channels": lambda network, config: run_engine(network, config, "spatial"),
}


def count_operations(graph: Any) -> float:
    """Returns the floating-point operations of all convolutions and matrix products.

    A multiplication and its addition are two.
    """
    total = 0.0
    for operation in graph.graph.get_operations():
        if operation.type not in ("Conv2D", "MatMul", "BatchMatMulV2"):
            continue
        left, right = (tensor.shape for tensor in operation.inputs[:2])
        # Channels of one group, or the side that is summed over.
        inner = np.prod(right[:3]) if operation.type == "Conv2D" else left[-1]
        total += 2.0 * np.prod(operation.outputs[0].shape) * inner
    return total


def draw_window(config: NetworkConfig) -> np.ndarray:
    """Returns random numbers of a window's shape, the blind zone hidden.

    The time of a convolution does not depend on its values.
    """
    window = np.random.default_rng(0).normal(
        size=(config.input_rows, config.input_profiles, config.channels)
    )
    window[: config.output_rows, :, 1] = 1  # soft mask
    return window.astype(np.float32)


def time_in_turn(ways: Mapping[str, Way], rounds: int = ROUNDS) -> dict[str, Timing]:
    """Returns the medians of each way; the first round, which compiles, does not count."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            before = time.perf_counter(), time.process_time()
            way()
            if turn:
                seconds[name].append(
                    (time.perf_counter() - before[0], time.process_time() - before[1])
                )
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in seconds.items()
    }
    return {
        name: Timing(wall=wall, processor=processor) for name, (wall, processor) in medians.items()
    }


def measure_peak() -> float:
    """Returns the floating-point operations per second of a large matrix product."""
    square = tf.random.normal((PEAK_SIDE, PEAK_SIDE))
    multiply = tf.function(tf.matmul)
    timing = time_in_turn({"product": lambda: multiply(square, square).numpy()}, rounds=9)[
        "product"
    ]
    return 2.0 * PEAK_SIDE**3 / timing.wall


def measure_alone(name: str, filters: int) -> None:
    """Prints the seconds of one way and the peak memory of this process [MiB]."""
    way: Way = (lambda: None) if name == "nothing" else WAYS[name](*build_plain(filters))[0]
    way()  # compiles
    seconds = 0.0 if name.startswith("plain") else time_in_turn({name: way})[name].wall
    # Not `ru_maxrss`, which a child takes over from the process that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak_kib,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    print(seconds, peak_kib / 1024)


def run_alone(
    name: str, filters: int, environment: Mapping[str, str] | None = None
) -> Sequence[float]:
    """Returns seconds and peak memory [MiB] of one way in a process of its own."""
    command = [sys.executable, __file__, "--alone", name, str(filters)]
    done = subprocess.run(
        command, env=os.environ | (environment or {}), capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def print_memory() -> None:
    """Prints the peak memory of each way."""
    _, empty = run_alone("nothing", 1)
    print(
        f"peak memory [MiB] beyond the {empty:.0f} of a process that has only imported everything"
    )
    for filters in FILTERS:
        found = "   ".join(f"{name} {run_alone(name, filters)[1] - empty:.0f}" for name in WAYS)
        print(f"  {filters} filters: {found}")


def print_threads() -> None:
    """Prints the engine's seconds with each setting of threads."""
    print(
        "threads within and between operations (0: TensorFlow's choice), 16 filters, whole channels"
    )
    for within, between in THREADS:
        setting = {"TF_NUM_INTRAOP_THREADS": str(within), "TF_NUM_INTEROP_THREADS": str(between)}
        seconds, _ = run_alone("engine, whole channels", 16, setting)
        print(f"  {within} and {between}: {seconds:.2f} s a window")


def time_day(archive: Path) -> None:
    """Times the shipped weights on a whole day, from archive to product."""
    days = Archive(archive).days(SOURCE) if archive.is_dir() else []
    if not days:
        print(f"whole day: left out, {archive} holds no day of {SOURCE}")
        return
    print(f"whole day: {SOURCE} {days[-1]}, shipped weights, from archive to product after imports")
    plan = InpaintPlan(
        source=SOURCE,
        start=days[-1],
        end=days[-1],
        filling=Filling(checkpoint=SHIPPED_WEIGHTS),
        places=Places(archive=str(archive)),
    )
    has_light = bool(open_network(SHIPPED_WEIGHTS).for_passes(SINGLE).runtime)
    ways: tuple[tuple[Passes, bool], ...] = ((SINGLE, True), (SINGLE, False), (PASSES, False))
    for passes, is_light in ways:
        if is_light and not has_light:
            continue
        wall, processor = _time_plan(plan, passes, is_light)
        how = ", LiteRT" if is_light else ", TensorFlow"
        print(
            f"  {describe_passes(passes)}{how}: {wall:.1f} s, {processor:.1f} s of processor time"
        )
    print("the same as commands, imports included")
    for passes in (SINGLE, PASSES):
        with tempfile.TemporaryDirectory() as folder:
            words = ["inpaint", SOURCE, "--start", days[-1], "--end", days[-1]]
            words += ["--passes", passes, "--archive", archive, "--output", folder]
            cost = Cost.of_run((*COMMAND, *map(str, words)), dict(os.environ))
        took = f"{cost.wall:.1f} s, {cost.processor:.1f} s of processor time"
        print(f"  {describe_passes(passes)}: {took}")


def _time_plan(plan: InpaintPlan, passes: Passes, is_light: bool) -> tuple[float, float]:
    """Returns wall-clock and processor time [s] of a plan's day; networks are read anew."""
    for read in (_open_network, light_network._open_light, checkpoint_record._open_record):
        read.cache_clear()
    module = "blindzone.flows.running.trained_network"
    with tempfile.TemporaryDirectory() as folder:
        own = replace(
            plan,
            filling=replace(plan.filling, passes=passes),
            places=replace(plan.places, products=folder),
        )
        with ExitStack() as stack:
            if not is_light:
                stack.enter_context(patch(f"{module}.find_light", return_value=None))
            before = time.perf_counter(), time.process_time()
            inpaint.fn(own)
            return time.perf_counter() - before[0], time.process_time() - before[1]


if __name__ == "__main__":
    main()
