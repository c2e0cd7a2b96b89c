"""Pretrained trunks: what their networks must have in common with one that begins with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blindzone.core.errors import CheckpointError, ModelError
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import load_trunk
from blindzone.pipeline.network_input.preprocessing import Preprocessing

_SAME = ("channels", "scaling", "channel_scalings")
"""Keys of the preprocessing by which the same number means the same to both networks."""


def check_pretrained(path: Path, network: NetworkConfig, preprocessing: Preprocessing) -> None:
    """Checks that a network can begin with the trunk of another one, before anything is trained.

    Args:
        path: Checkpoint of the other one.
        network: Configuration of the network.
        preprocessing: How curtains become its input.

    Raises:
        CheckpointError: If the file is no checkpoint, its network has other input or another
            encoder.
    """
    trained = read_checkpoint(path)
    ours = preprocessing.to_dict()
    differing = [
        f"{key} {_show(trained.preprocessing.get(key))}, not {_show(ours[key])}"
        for key in _SAME
        if trained.preprocessing.get(key) != ours[key]
    ]
    if differing:
        raise CheckpointError(
            f"{path}: its trunk was trained on other input: {'; '.join(differing)}; a plan with the"
            " same input is right"
        )
    try:
        load_trunk(build_network(network), trained.network)
    except ModelError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
