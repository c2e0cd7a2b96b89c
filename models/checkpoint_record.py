"""The record in a checkpoint's file, read and verified in milliseconds, without Keras.

A `.keras` file is a zip archive, of which `blindzone.json` is one member. Its content is described
in `models.checkpoint`.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from blindzone.core.errors import CheckpointError
from blindzone.core.fence import refusing_as
from blindzone.core.files import sha256_file
from blindzone.core.forward_passes import SINGLE, is_single
from blindzone.models.checkpoint_bounds import check_members, check_network

RECORD_NAME = "blindzone.json"
SUMS_NAME = "SHA256SUMS"
FORMAT_VERSION = 2
TRUNK_KEY = "trunk"
"""Key of a training's record: whether it was a pretraining, whose trunk other networks begin with.

The record of other networks lacks it."""
PASSES_KEY = "realizations"
"""Key of a calibration's record: the number of passes that it was made with, or `single`."""
_WAYS = ("passes with dropout", "a single pass without dropout")
LARGEST_SINGLE = 16 << 20
"""More bytes than any calibration has."""
READABLE_VERSIONS = (1, 2)
"""Version 1 is the same without the members' hashes."""


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """The record of a checkpoint, as plain values that `models.checkpoint` explains.

    Attributes:
        content: The whole record.
        sha256: Hash of the file.
    """

    content: dict[str, Any]
    sha256: str

    @property
    def is_trunk(self) -> bool:
        """Whether it is a pretrained trunk, which fills nothing by itself."""
        return bool((self.content.get("training") or {}).get(TRUNK_KEY))


def locate_single(path: Path) -> Path:
    """Returns the file of a checkpoint's calibration for single passes, whether there is one.

    It is a file of its own, beside the checkpoint: with it or without, the checkpoint keeps its
    hash, and products of passes with dropout remain what they are.
    """
    return path.with_suffix(".single.json")


def read_single(path: Path) -> CheckpointRecord | None:
    """Returns a checkpoint's calibration for single passes; None if it has none.

    Whether it was made for the weights is for `models.checkpoint` to find.

    Args:
        path: The checkpoint.

    Raises:
        CheckpointError: If the file cannot be read or understood, is not the one that `SHA256SUMS`
            in its folder names, or was made for another way of passing.
    """
    file = locate_single(path)
    if not file.is_file():
        return None
    if file.stat().st_size > LARGEST_SINGLE:
        raise CheckpointError(
            f"{file}: larger than any calibration; {LARGEST_SINGLE >> 20} MiB at most are right"
        )
    sha256 = hash_file(file)
    check_sums(file, sha256)
    with refusing_as(CheckpointError, f"{file}: no calibration for single passes"):
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise CheckpointError(f"{file}: it holds {type(content).__name__}, not a calibration")
    check_way(content, single=True, where=str(file))
    return CheckpointRecord(content=content, sha256=sha256)


def check_way(calibration: Mapping[str, Any], *, single: bool, where: str) -> None:
    """Checks that a calibration was made for single passes, or else for passes with dropout.

    Args:
        calibration: Its record.
        single: Whether it is to be one for single passes.
        where: Where it is from, for the message.

    Raises:
        CheckpointError: If it was made for the other way.
    """
    is_for_single = is_single(calibration.get(PASSES_KEY))
    if is_for_single != single:
        made, right = (_WAYS[way] for way in (is_for_single, single))
        raise CheckpointError(
            f"{where}: its calibration was made for {made}; one for {right} is right, which"
            f" 'blindzone calibrate SOURCE --passes {SINGLE if single else 50}' makes"
        )


def read_record(path: Path) -> CheckpointRecord:
    """Returns a checkpoint's record; the hashes of the file and of each member are verified.

    Raises:
        CheckpointError: If the file is missing, damaged, no checkpoint of blindzone, of another
            format version, or not the one that `SHA256SUMS` in its folder names, or its name does
            not end in `.keras`.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; 'blindzone train SOURCE' makes one")
    if path.suffix != ".keras":
        raise CheckpointError(
            f"{path}: Keras opens no file whose name does not end in '.keras'; rename it"
        )
    sha256 = hash_file(path)
    check_sums(path, sha256)
    content, members = _read_members(path)
    version = content.get("format_version")
    if version not in READABLE_VERSIONS:
        raise CheckpointError(
            f"{path}: checkpoint format {version!r}; "
            f"this version of blindzone reads the formats {', '.join(map(str, READABLE_VERSIONS))}"
        )
    if version > 1 and content.get("members") != members:
        raise CheckpointError(
            f"{path}: its members are not those that {RECORD_NAME} names: another network's, or"
            " damaged"
        )
    return CheckpointRecord(content=content, sha256=sha256)


def open_record(path: Path) -> CheckpointRecord:
    """Returns the record of a checkpoint; it is read once, and again if the file has changed.

    Raises:
        CheckpointError: As `read_record` does.
    """
    return _open_record(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=32)
def _open_record(path: Path, modified_ns: int) -> CheckpointRecord:
    return read_record(path)


def hash_file(path: Path) -> str:
    """Returns the SHA-256 of a file.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        return sha256_file(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def read_sums(path: Path) -> list[tuple[str, str]]:
    """Returns hash and name of each line of `SHA256SUMS` in a file's folder, if there is one.

    Raises:
        CheckpointError: If it cannot be read.
    """
    sums = path.with_name(SUMS_NAME)
    try:
        lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{sums}: cannot be read: {error}") from error
    parts = [line.partition(" ") for line in lines]
    return [(expected, name.lstrip(" *")) for expected, _, name in parts]  # '*' marks a binary file


def check_sums(path: Path, sha256: str) -> None:
    """Checks a file against its line in `SHA256SUMS` of its folder, if there is one.

    Args:
        path: The file.
        sha256: Its hash.

    Raises:
        CheckpointError: If that is another one, or `SHA256SUMS` cannot be read.
    """
    for expected, name in read_sums(path):
        if name == path.name and expected.lower() != sha256:
            raise CheckpointError(
                f"{path}: its SHA-256 is {sha256}, in {SUMS_NAME} of its folder {expected}:"
                " damaged, or another file"
            )


def _read_members(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns blindzone's record and the SHA-256 of every other member.

    The zip's checksums of all members are verified.
    """
    with (
        refusing_as(CheckpointError, f"{path}: cut short, damaged or no checkpoint at all"),
        zipfile.ZipFile(path) as archive,
    ):
        if RECORD_NAME not in archive.namelist():
            raise CheckpointError(
                f"{path}: a file without {RECORD_NAME}, so not a checkpoint of blindzone"
            )
        check_members(path, archive)
        if damaged := archive.testzip():
            raise CheckpointError(f"{path}: damaged: the checksum of {damaged} is wrong")
        content = json.loads(archive.read(RECORD_NAME))
        members = {
            name: _hash_member(archive, name) for name in archive.namelist() if name != RECORD_NAME
        }
        if isinstance(content, dict) and "network" in content:
            check_network(path, archive, content["network"])
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: {RECORD_NAME} holds {type(content).__name__}, not a record of blindzone"
        )
    return content, members


def _hash_member(archive: zipfile.ZipFile, name: str) -> str:
    """Returns the SHA-256 of a member, of which only a part is in memory at a time."""
    digest = hashlib.sha256()
    with archive.open(name) as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
