"""What TensorBoard shows of a run; the package is needed only where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tensorflow as tf

from blindzone.flows.experiments.runs import RunError


class Board:
    """Writes numbers by step."""

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Writes the numbers of a step, at once."""
        with self._writer.as_default(step=step):
            for name, value in numbers.items():
                tf.summary.scalar(name, value)
        self._writer.flush()


def open_board(folder: Path) -> Board:
    """Returns where the numbers of a run are written.

    Raises:
        RunError: If TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise RunError(
            "TensorBoard is not installed; 'pip install tensorboard' adds it, or train without"
            " --tensorboard"
        )
    return Board(folder)
