"""Few steps of a small network without a graph, whose trace takes longer than the steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def eagerly() -> Iterator[None]:
    """Runs the functions of the block line by line."""
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            # TensorFlow reminds us that the stream of windows stays a graph.
            warnings.filterwarnings("ignore", "Even though the `tf.config", UserWarning)
            yield
    finally:
        tf.config.run_functions_eagerly(False)
