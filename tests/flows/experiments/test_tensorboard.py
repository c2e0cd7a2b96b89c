"""TensorBoard: events are written where the package is there, and its absence is one error."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from blindzone.flows.experiments import tensorboard
from blindzone.flows.experiments.runs import RunError
from blindzone.flows.experiments.tensorboard import Board, open_board


def read_events(folder: Path) -> dict[tuple[str, int], float]:
    (path,) = folder.glob("events*")
    events = tf.compat.v1.train.summary_iterator(str(path))
    return {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for event in events
        for value in event.summary.value
    }


def test_numbers_are_written_by_step_at_once(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.write(10, {"loss": 0.5, "score": 2.0})
    board.write(20, {"loss": 0.25})
    assert read_events(tmp_path) == {("loss", 10): 0.5, ("score", 10): 2.0, ("loss", 20): 0.25}


def test_absent_package_is_an_error_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(RunError, match="'pip install tensorboard' adds it"):
        open_board(tmp_path)
    assert not list(tmp_path.iterdir())
