"""One file with all that a trained network needs: a Keras archive with blindzone's own record.

A `.keras` file is a zip archive. `blindzone.json` is one more member of it. So configuration,
scaling and training record are never parted from the weights, and plain Keras still opens the file.

Two hashes are verified when it is read. The record has the SHA-256 of every other member: a file
that was put together from two, or changed behind the zip's own checksums, is rejected. And where a
file `SHA256SUMS` (of `sha256sum`) in the same folder names the checkpoint, as for the weights of
the package, the whole file must have that hash.

A calibration of the network's predictions may be in the record. It names the weights and the
preprocessing that it was made for, and is rejected with any other. One for single passes without
dropout is in a file of its own, `NAME.single.json`, and names them too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindzone.core.configuration import read_plain, to_plain
from blindzone.core.errors import CheckpointError
from blindzone.core.fence import refusing_as
from blindzone.core.files import write_atomically
from blindzone.models.checkpoint_record import (
    FORMAT_VERSION,
    RECORD_NAME,
    SUMS_NAME,
    CheckpointRecord,
    check_way,
    hash_file,
    locate_single,
    open_record,
    read_record,
    read_single,
    read_sums,
)
from blindzone.models.network_config import NetworkConfig
from blindzone.models.stored_network import read_stored

if TYPE_CHECKING:  # it takes seconds to import, and who fills may do without
    import keras


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and its record.

    Attributes:
        network: The network, for inference; a `StoredNetwork` where it was read to fill.
        config: Its configuration.
        preprocessing: How its inputs are made from curtains, as plain values.
        training: What it was trained on, how long and how well, as plain values.
        calibration: Corrections of its predictions and the data behind them, as plain values, with
            the `fingerprint` of network and preprocessing; None if it is not calibrated.
        sha256: Hash of the file.
    """

    network: keras.Model
    config: NetworkConfig
    preprocessing: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    sha256: str = ""


def fingerprint(network: keras.Model, preprocessing: dict[str, Any]) -> dict[str, str]:
    """Returns hashes of a network's weights, by the names of their layers, and preprocessing."""
    weights = hashlib.sha256()
    for layer in sorted(network.layers, key=lambda layer: str(layer.name)):
        for values in layer.get_weights():
            weights.update(f"{layer.name} {values.dtype} {values.shape}".encode())
            weights.update(values.tobytes())
    plain = json.dumps(preprocessing, sort_keys=True).encode()
    return {
        "weights_sha256": weights.hexdigest(),
        "preprocessing_sha256": hashlib.sha256(plain).hexdigest(),
    }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> str:
    """Writes a checkpoint whole or not at all, and returns the file's hash.

    Raises:
        CheckpointError: If it cannot be written, or its calibration was made for another network;
            an earlier file stays as it was.
    """
    _check_calibration(path, checkpoint)
    record = {
        "format_version": FORMAT_VERSION,
        "network": to_plain(checkpoint.config),
        "preprocessing": checkpoint.preprocessing,
        "training": checkpoint.training,
    }
    if checkpoint.calibration is not None:
        record["calibration"] = checkpoint.calibration
    with write_atomically(path, what="the checkpoint", error=CheckpointError) as partial:
        _bare(checkpoint.network).save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            members = {
                name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()
            }
            archive.writestr(RECORD_NAME, json.dumps(record | {"members": members}, indent=1))
        return hash_file(partial)


def copy_checkpoint(path: Path, target: Path) -> None:
    """Copies a checkpoint's file, whole or not at all.

    Raises:
        CheckpointError: If it cannot be written; an earlier file stays as it was.
    """
    with write_atomically(target, what="the checkpoint", error=CheckpointError) as partial:
        shutil.copyfile(path, partial)


def read_checkpoint(path: Path, *, to_fill: bool = False) -> Checkpoint:
    """Returns a checkpoint; Keras' safe mode keeps any code in it from running.

    Args:
        path: Its file.
        to_fill: Whether the weights are all that is needed of the network: then it is a
            `StoredNetwork` if possible, which is read in a tenth of the time.

    Raises:
        CheckpointError: If the file is missing, damaged, no checkpoint of blindzone, of another
            format version, or not the one that `SHA256SUMS` in its folder names, its name does not
            end in `.keras`, or its calibration was made for other weights or another preprocessing.
    """
    found = _read_record_once(path) if to_fill else read_record(path)
    record = found.content
    what = f"{path}: the network in it cannot be rebuilt"
    with refusing_as(CheckpointError, what):
        config = read_plain(NetworkConfig, record["network"], where=what, error=CheckpointError)
        network = read_stored(path) if to_fill else None
        if network is None:
            import keras

            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        shape = tuple(network.input_shape[1:])
        preprocessing, training = record["preprocessing"], record["training"]
    expected = (config.input_rows, config.input_profiles, config.channels)
    if shape != expected:
        raise CheckpointError(f"{path}: the network's input is {shape}, its record has {expected}")
    checkpoint = Checkpoint(
        network=network,
        config=config,
        preprocessing=preprocessing,
        training=training,
        calibration=record.get("calibration"),
        sha256=found.sha256,
    )
    _check_calibration(path, checkpoint)
    return checkpoint


def _read_record_once(path: Path) -> CheckpointRecord:
    """Returns the record that was read when it was found out what is to be filled, if it is so."""
    found = open_record(path)
    return found if hash_file(path) == found.sha256 else read_record(path)


def read_single_calibration(path: Path, checkpoint: Checkpoint) -> CheckpointRecord | None:
    """Returns the calibration of single passes beside a checkpoint; None if there is none.

    Args:
        path: The checkpoint's file.
        checkpoint: What was read from it.

    Raises:
        CheckpointError: As `read_single`, or if it was made for other weights or another
            preprocessing.
    """
    found = read_single(path)
    if found is not None:
        _check_made_for(checkpoint, found.content, locate_single(path), " --passes single")
    return found


def write_single_calibration(
    path: Path, checkpoint: Checkpoint, calibration: dict[str, Any]
) -> str:
    """Writes a calibration of single passes beside a checkpoint's file; returns its hash.

    Args:
        path: The checkpoint's file.
        checkpoint: What is in it.
        calibration: The record.

    Raises:
        CheckpointError: If it was made for another network or way of passing, or cannot be written;
            an earlier file stays as it was.
    """
    file = locate_single(path)
    check_way(calibration, single=True, where=str(file))
    _check_made_for(checkpoint, calibration, file, " --passes single")
    with write_atomically(file, what="the calibration", error=CheckpointError) as partial:
        partial.write_text(f"{json.dumps(calibration)}\n", encoding="utf-8")
        return hash_file(partial)


def check_replaceable(path: Path) -> None:
    """Checks that a checkpoint may be changed in its folder.

    Raises:
        CheckpointError: If `SHA256SUMS` there names it: changed, it would be rejected.
    """
    if any(name == path.name for _, name in read_sums(path)):
        raise CheckpointError(
            f"{path}: {SUMS_NAME} in its folder has its hash, so it must not change there; another"
            " file to write to is right"
        )


def _check_calibration(path: Path, checkpoint: Checkpoint) -> None:
    """Checks that a checkpoint's calibration, if it has one, was made for it."""
    if checkpoint.calibration is not None:
        if isinstance(checkpoint.calibration, dict):
            check_way(checkpoint.calibration, single=False, where=str(path))
        _check_made_for(checkpoint, checkpoint.calibration, path)


def _check_made_for(checkpoint: Checkpoint, calibration: Any, path: Path, option: str = "") -> None:
    """Checks that a calibration from a file was made for a checkpoint's network."""
    expected = fingerprint(checkpoint.network, checkpoint.preprocessing)
    is_table = isinstance(calibration, dict)
    found = {name: calibration.get(name) if is_table else None for name in expected}
    if found != expected:
        what = " and ".join(
            name.removesuffix("_sha256") for name in expected if found[name] != expected[name]
        )
        raise CheckpointError(
            f"{path}: its calibration was made for other {what}; 'blindzone calibrate SOURCE"
            f" --checkpoint FILE{option}' makes one for this network"
        )


def _bare(network: keras.Model) -> keras.Model:
    """Returns the same layers without optimiser and losses.

    Plain Keras cannot open a file that names losses it does not know, and the optimiser's moments
    would treble its size.
    """
    import keras

    return keras.Model(network.input, network.output, name=network.name)
