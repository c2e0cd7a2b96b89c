"""The network that is loaded late is the one whose record was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import CheckpointError
from blindzone.flows.running.late_network import hash_single, load_network
from blindzone.models.checkpoint_record import open_record


def test_network_is_that_of_the_record(trained: tuple[Path, Path]) -> None:
    sha256 = open_record(trained[1]).sha256
    network = load_network(trained[1], 2, sha256=sha256, single_sha256=None)
    assert network.checkpoint.sha256 == sha256
    with pytest.raises(CheckpointError, match="it was replaced meanwhile; the next run uses the"):
        load_network(trained[1], 2, sha256="another", single_sha256=None)
    with pytest.raises(CheckpointError, match="it was replaced meanwhile"):
        load_network(trained[1], "single", sha256=sha256, single_sha256="another")


def test_calibration_for_single_passes_counts_for_these_alone(trained: tuple[Path, Path]) -> None:
    assert hash_single(trained[1], 2) is None
    assert hash_single(trained[1], "single") is None  # it has none
