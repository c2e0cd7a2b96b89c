"""The state of a training: what is written comes back, and another file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blindzone.core.errors import CheckpointError
from blindzone.models import training_state
from blindzone.models.training_state import TrainingState, read_state, write_state

STATE = TrainingState(
    configuration={"training": {"steps": 3}},
    position={"step": 2, "loss": 0.5},
    # More than ten arrays: their names must not be put in the order 0, 1, 10, 2.
    network=[np.full(2, number, np.float32) for number in range(12)],
    optimizer=[np.int64(5), np.ones((2, 2), np.float32)],
    best=[],
)


def test_a_state_comes_back_in_its_order(tmp_path: Path) -> None:
    write_state(tmp_path / "state.npz", STATE)
    found = read_state(tmp_path / "state.npz")
    assert (found.configuration, found.position) == (STATE.configuration, STATE.position)
    for group in ("network", "optimizer", "best"):
        arrays, expected = getattr(found, group), getattr(STATE, group)
        assert len(arrays) == len(expected)
        for array, other in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    write_state(path, STATE)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="cut short, damaged or no state of a training"):
        read_state(path)


def test_a_state_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.npz"
    monkeypatch.setattr(training_state, "STATE_VERSION", 9)
    write_state(path, STATE)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"state of version 9; this version .* version 1"):
        read_state(path)
