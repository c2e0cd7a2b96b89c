"""Files that are written whole or not at all, and their hashes: one promise for the whole package.

What is written here is on the disk before it bears its name. A crash of the process or the machine
leaves the earlier file or the new one, never half a file under its name. The partial file that a
killed process leaves is removed by the next that writes into the folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

from blindzone.core.errors import BlindzoneError

PARTIAL_AGE_S = 300.0
"""A dead process's partial file is removed once nobody has written to it for so long [s]: the lease
of the archive's locks."""
_FOREIGN_AGE_S = 86_400.0
"""The same, where it may be of another machine, whose processes cannot be looked for."""
_PARTIAL = re.compile(r"\.(.+)\.([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{16}(\.\w+)?")
"""Name of a partial file: stem, machine, process, chance and suffix."""


@contextmanager
def write_atomically(path: Path, *, error: type[BlindzoneError], what: str = "") -> Iterator[Path]:
    """Yields a path next to `path`; its file replaces that of `path` once the block has ended well.

    The folder is made if need be. If the block raises, an earlier file at `path` stays as it was.

    Args:
        path: The file to be written.
        error: Raised if the system refuses to write.
        what: What the file is, for the message; for example `the checkpoint`.

    Raises:
        BlindzoneError: Of the type `error`, if the folder or the file cannot be written.
    """
    # The suffix stays: writers go by it.
    owner = f"{_name_machine()}{os.getpid():08x}"
    partial = path.with_name(f".{path.stem}.{owner}{uuid.uuid4().hex[:16]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        yield partial
        sync_file(partial)
        partial.replace(path)
        sync_names(path.parent)
    except OSError as cause:
        raise error(
            f"{path}: {what + ' ' if what else ''}cannot be written: {cause.strerror or cause}; "
            "a folder with write permission and free space is right"
        ) from cause
    finally:
        with suppress(OSError):  # the first error matters more
            partial.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Removes partial files in a path's folder that nobody can be writing any more.

    Of another machine's, only those of the path itself: other hidden files may be anyone's.
    """
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = _PARTIAL.fullmatch(entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            stem, machine, process, suffix = match.groups(default="")
            written = entry.stat().st_mtime
            is_left = (
                not _is_writing(int(process, 16), written)
                if machine == _name_machine()
                else (stem, suffix) == (path.stem, path.suffix)
                and time.time() - written > _FOREIGN_AGE_S
            )
            if is_left and time.time() - written > PARTIAL_AGE_S:
                Path(entry.path).unlink(missing_ok=True)


def _is_writing(process: int, written: float) -> bool:
    """Returns whether a process lives that may have written a file at a time [s since 1970]."""
    try:
        return psutil.Process(process).create_time() <= written + 1  # the clock of files is coarse
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


@cache
def _name_machine() -> str:
    """Returns eight hexadecimal digits of this machine, or container, in which a process counts."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{os.uname().nodename} {space}".encode()).hexdigest()[:8]


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Writes a new file and has the system bring it to disk."""
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_file(path: Path) -> None:
    """Has the system bring a file to disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_names(folder: Path) -> None:
    """Has the system bring a folder's names to disk, where its file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
