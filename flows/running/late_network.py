"""The network of a checkpoint, whose libraries are imported when it fills and not before.

They take seconds and hundreds of megabytes to import, TensorFlow most of all: more than all that is
done for data which cannot be filled, or whose product is there already.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blindzone.core.errors import CheckpointError
from blindzone.core.forward_passes import Passes, is_single
from blindzone.flows.running.quiet_start import quiet_start
from blindzone.models.checkpoint_record import read_single

if TYPE_CHECKING:
    from blindzone.flows.running.trained_network import TrainedNetwork


def hash_single(path: Path, passes: Passes) -> str | None:
    """Returns the hash of a checkpoint's calibration for single passes, where it decides something.

    Raises:
        CheckpointError: If it cannot be used.
    """
    found = read_single(path) if is_single(passes) else None
    return None if found is None else found.sha256


def load_network(
    path: Path, passes: Passes, *, sha256: str, single_sha256: str | None
) -> TrainedNetwork:
    """Returns the network of a checkpoint whose record was read before.

    Args:
        path: The checkpoint.
        passes: How windows are passed.
        sha256: Hash of the file when its record was read.
        single_sha256: What `hash_single` returned then.

    Raises:
        CheckpointError: If it cannot be used, or another one has taken its place.
    """
    with quiet_start():
        from blindzone.flows.running.trained_network import open_network

        network = open_network(path).for_passes(passes)
    if (network.checkpoint.sha256, network.single_sha256) != (sha256, single_sha256):
        raise CheckpointError(f"{path}: it was replaced meanwhile; the next run uses the new one")
    return network
