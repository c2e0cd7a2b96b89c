"""One file holds all that a trained network needs: a Keras archive with blindzone's own record beside the weights.

A `.keras` file is a zip archive. `blindzone.json` is one more member of it, so that configuration, scaling and training
record can never be parted from the weights, and plain Keras still opens the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from blindzone.models.errors import CheckpointError, ModelError
from blindzone.models.unet3plus import UNet3PlusConfig

RECORD_NAME = "blindzone.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and its record.

    Attributes:
        network: The network, for inference.
        config: Its configuration.
        preprocessing: How curtains must be shown to it, as plain values.
        training: What it was trained on, how long and how well, as plain values.
        sha256: Hash of the file.
    """

    network: keras.Model
    config: UNet3PlusConfig
    preprocessing: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> str:
    """Writes a checkpoint whole or not at all, and returns the file's hash.

    Raises:
        CheckpointError: If it cannot be written; an earlier file stays as it was.
    """
    record = {
        "format_version": FORMAT_VERSION,
        "network": checkpoint.config.to_dict(),
        "preprocessing": checkpoint.preprocessing,
        "training": checkpoint.training,
    }
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.keras")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _bare(checkpoint.network).save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(RECORD_NAME, json.dumps(record, indent=1))
        digest = _hash(partial)
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # there is none, or it cannot be removed: the first error matters more
            partial.unlink()
    return digest


def read_checkpoint(path: Path) -> Checkpoint:
    """Returns a checkpoint; Keras' safe mode keeps any code in it from running.

    Raises:
        CheckpointError: If the file is missing, damaged, no checkpoint of blindzone, or of another format version, or
            its name does not end in `.keras`.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; 'blindzone train SOURCE' makes one")
    if path.suffix != ".keras":
        raise CheckpointError(f"{path}: Keras opens no file whose name does not end in '.keras'; rename it")
    record = _read_record(path)
    if record.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint format {record.get('format_version')!r}; "
            f"this version of blindzone reads format {FORMAT_VERSION}"
        )
    try:
        config = UNet3PlusConfig(**record["network"])
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        preprocessing, training = record["preprocessing"], record["training"]
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile, ModelError) as error:
        raise CheckpointError(f"{path}: the network in it cannot be rebuilt: {error}") from error
    expected = (config.input_rows, config.input_profiles, config.channels)
    if tuple(network.input_shape[1:]) != expected:
        raise CheckpointError(f"{path}: the network takes {network.input_shape[1:]}, its record says {expected}")
    return Checkpoint(
        network=network, config=config, preprocessing=preprocessing, training=training, sha256=_hash(path)
    )


def _bare(network: keras.Model) -> keras.Model:
    """Returns the same layers without optimiser and losses.

    Plain Keras cannot open a file that names losses it does not know, and the optimiser's moments would treble its
    size.
    """
    return keras.Model(network.input, network.output, name=network.name)


def _read_record(path: Path) -> dict[str, Any]:
    """Returns blindzone's record, after the checksum of every member of the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise CheckpointError(f"{path}: damaged: the checksum of {damaged} is wrong")
            record = json.loads(archive.read(RECORD_NAME))
    except KeyError as error:
        raise CheckpointError(f"{path}: a file without {RECORD_NAME}, so not a checkpoint of blindzone") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: cut short, damaged or no checkpoint at all: {error}") from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{path}: {RECORD_NAME} holds {type(record).__name__}, not a record of blindzone")
    return record


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
