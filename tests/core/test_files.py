"""Files written whole or not at all: on the disk before they bear their name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from blindzone.core import files
from blindzone.core.errors import ProductError
from blindzone.core.files import sha256_file, write_atomically


def test_file_appears_whole_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    for text in ("first", "second"):
        with write_atomically(path, error=ProductError) as partial:
            partial.write_text(text)
            assert partial.parent == path.parent
            assert partial.suffix == ".txt"
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert [found.name for found in path.parent.iterdir()] == ["a.txt"]


def test_block_that_raises_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first")
    with pytest.raises(ZeroDivisionError), write_atomically(path, error=ProductError) as partial:
        partial.write_text(f"half {1 / 0}")
    assert path.read_text() == "first"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def test_file_that_cannot_be_written_is_named_with_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.txt"
    with (
        pytest.raises(
            ProductError, match=f"{path}: the page cannot be written: File exists; a folder"
        ),
        write_atomically(path, what="the page", error=ProductError),
    ):
        pass


def test_content_is_on_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, order = tmp_path / "a.txt", []
    monkeypatch.setattr(
        files, "sync_file", lambda partial: order.append((partial.name, path.exists()))
    )
    monkeypatch.setattr(
        files, "sync_names", lambda folder: order.append((folder.name, path.exists()))
    )
    with write_atomically(path, error=ProductError) as partial:
        partial.write_text("x")
        name = partial.name
    assert order == [(name, False), (tmp_path.name, True)]


def test_hash_is_that_of_the_content(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
