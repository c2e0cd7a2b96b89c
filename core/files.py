"""Files that are written whole or not at all, and their hashes: one promise for the whole package.

What is written here is on the disk before it bears its name. A crash of the process or the machine
leaves the earlier file or the new one, never half a file.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blindzone.core.errors import BlindzoneError


@contextmanager
def write_atomically(path: Path, *, error: type[BlindzoneError], what: str = "") -> Iterator[Path]:
    """Yields a path beside `path`; its file replaces that of `path` once the block has ended well.

    The folder is made if need be. If the block raises, an earlier file at `path` stays as it was.

    Args:
        path: The file to be written.
        error: Raised if the system refuses to write.
        what: What the file is, for the message; for example `the checkpoint`.

    Raises:
        BlindzoneError: Of the type `error`, if the folder or the file cannot be written.
    """
    # The suffix stays: writers go by it.
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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


def write_synced(path: Path, content: bytes) -> None:
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
