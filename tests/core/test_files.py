"""Files written whole or not at all: on the disk before they bear their name."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest

from blindzone.core import files
from blindzone.core.errors import ProductError
from blindzone.core.files import PARTIAL_AGE_S, sha256_file, write_atomically


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


WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
with write_atomically(Path(sys.argv[1]), error=ProductError) as partial:
    partial.write_text("half")
    os._exit(9)
"""


def list_partial(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def write(path: Path) -> None:
    with write_atomically(path, error=ProductError) as partial:
        partial.write_text("whole")


def test_partial_file_of_a_killed_process_is_removed_once_it_is_old(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, tmp_path / "a.txt"], check=False)
    (left,) = list_partial(tmp_path)
    write(tmp_path / "b.txt")
    assert list_partial(tmp_path) == [left]  # it may have been written just now
    old = time.time() - PARTIAL_AGE_S - 1
    os.utime(left, (old, old))
    write(tmp_path / "b.txt")
    assert list_partial(tmp_path) == []


def test_partial_file_of_a_living_writer_stays_however_old_it_is(tmp_path: Path) -> None:
    started = psutil.Process().create_time()
    with write_atomically(tmp_path / "a.txt", error=ProductError) as partial:
        partial.write_text("slow")
        os.utime(partial, (started + 2, started + 2))
        with mock.patch("time.time", return_value=started + 10**6):
            write(tmp_path / "a.txt")
        assert partial.read_text() == "slow"
        # One that is older than the process of its number is that of an earlier one.
        os.utime(partial, (started - 1000, started - 1000))
        write(tmp_path / "b.txt")
        assert not partial.exists()
        partial.write_text("anew")


def test_hidden_files_of_others_stay(tmp_path: Path) -> None:
    day = 86_400
    theirs = [
        tmp_path / f".{name}"
        for name in ("notes", f"a.{'ab' * 16}.json", f"other.{'ab' * 16}.txt", f"b.{'a' * 31}.txt")
    ]
    foreign = tmp_path / f".a.{'ab' * 16}.txt"  # of the same file, on another machine
    for path, age in [*((path, 9 * day) for path in theirs), (foreign, day / 2)]:
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
    write(tmp_path / "a.txt")
    assert sorted(list_partial(tmp_path)) == sorted([*theirs, foreign])
    os.utime(foreign, (0, 0))
    write(tmp_path / "a.txt")
    assert sorted(list_partial(tmp_path)) == sorted(theirs)


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
