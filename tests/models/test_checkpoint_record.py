"""The record of a checkpoint, read without Keras: every hash that is written down is verified."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from blindzone.core.errors import CheckpointError
from blindzone.models.checkpoint_record import RECORD_NAME, SUMS_NAME, read_record, read_sums

CONTENT = b"weights of a network"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.keras", hashlib.sha256(CONTENT).hexdigest())


def write(path: Path, digest: str, version: int = 2) -> Path:
    record = {"format_version": version, "members": {"weights": digest}, "training": {"steps": 3}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", CONTENT)
        archive.writestr(RECORD_NAME, json.dumps(record))
    return path


def test_a_record_is_read_with_the_hash_of_the_file(path: Path) -> None:
    found = read_record(path)
    assert found.content["training"] == {"steps": 3}
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_members_must_have_the_hashes_of_the_record_since_the_second_format(path: Path) -> None:
    write(path, "0" * 64)
    with pytest.raises(CheckpointError, match="its members are not those"):
        read_record(path)
    write(path, "0" * 64, version=1)
    assert read_record(path).content["format_version"] == 1


def test_sums_are_read_in_both_forms_of_sha256sum(path: Path) -> None:
    assert read_sums(path) == []
    path.with_name(SUMS_NAME).write_text(f"{'1' * 64}  other.keras\n{'2' * 64} *a.keras\n")
    assert read_sums(path) == [("1" * 64, "other.keras"), ("2" * 64, "a.keras")]
    with pytest.raises(CheckpointError, match=f"in {SUMS_NAME} of its folder {'2' * 64}"):
        read_record(path)


def test_a_file_of_another_name_or_none_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_record(tmp_path / "absent.keras")
    with pytest.raises(CheckpointError, match=r"does not end in '\.keras'; rename it"):
        read_record(path.rename(path.with_suffix(".zip")))
