"""The state of a training under way: all that the next step depends on, in one file.

The file is a plain `.npz` archive: the arrays in the order of the network's and the optimiser's
variables, and one more member, `position`, with the counters and the configuration as JSON. Its zip
checksums reveal a file that was cut short.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blindzone.core.errors import CheckpointError
from blindzone.core.files import write_atomically
from blindzone.models.network_weights import Arrays

STATE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """State of a training, to be resumed.

    Attributes:
        configuration: Of network and training, as plain values: a training of another one cannot be
            resumed from here.
        position: Counters and scores, as plain values.
        network: All variables of the network: weights, batch statistics and the states of the
            dropout's generators.
        optimizer: All variables of the optimiser: its moments, its step, its scale of the loss.
        best: The weights that did best so far; empty before the first validation.
    """

    configuration: dict[str, Any]
    position: dict[str, Any]
    network: Arrays
    optimizer: Arrays
    best: Arrays


def write_state(path: Path, state: TrainingState) -> None:
    """Writes a state whole or not at all.

    Raises:
        CheckpointError: If it cannot be written; an earlier state stays as it was.
    """
    header = {
        "version": STATE_VERSION,
        "configuration": state.configuration,
        "position": state.position,
    }
    groups = {"network": state.network, "optimizer": state.optimizer, "best": state.best}
    arrays = {
        f"{group}/{number:05d}": array
        for group, found in groups.items()
        for number, array in enumerate(found)
    }
    with (
        write_atomically(path, what="the state of the training", error=CheckpointError) as partial,
        partial.open("wb") as stream,
    ):
        np.savez(stream, allow_pickle=False, position=np.array(json.dumps(header)), **arrays)


def read_state(path: Path) -> TrainingState:
    """Returns the state that `write_state` wrote.

    Raises:
        CheckpointError: If the file is damaged, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["position"]))
            names = sorted(archive.files)
            groups = {
                group: [archive[name] for name in names if name.startswith(f"{group}/")]
                for group in ("network", "optimizer", "best")
            }
            version, configuration, position = (
                header[key] for key in ("version", "configuration", "position")
            )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise CheckpointError(
            f"{path}: cut short, damaged or no state of a training: {error}"
        ) from error
    if version != STATE_VERSION:
        raise CheckpointError(
            f"{path}: state of version {version!r}; this version of blindzone resumes version"
            f" {STATE_VERSION}"
        )
    return TrainingState(configuration=configuration, position=position, **groups)
