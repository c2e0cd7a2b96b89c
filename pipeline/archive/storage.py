"""Storage of an archive: a local folder, or a prefix of an object store.

Both offer what the archive needs to be safe: a text that is replaced whole or not at all, a folder
written where nothing points to it, and a lock. Names are relative to the archive's root, their
parts separated by `/`. What fails raises `OSError`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from blindzone.core.errors import ArchiveError, LockedError
from blindzone.core.files import sync_names, write_synced

if TYPE_CHECKING:
    from zarr.abc.store import Store

LEASE_S = 300.0
"""How long the lock of an object store holds unless it is released [s]; a day is written in
seconds."""
_LOCK_POLL_S = 0.05
_LEASE_POLL_S = 0.5
_LEASE_MARGIN_S = 10.0
"""How long before its end a lease counts as ended for its holder [s]: clocks differ."""


@dataclass(frozen=True)
class AcquiredLock:
    """A lock that was acquired. Called, it raises `ArchiveError` if it is lost.

    Attributes:
        check: Raises if the lock is lost.
        is_inherited: Whether its last holder died with it, and may have left files.
    """

    check: Callable[[], None]
    is_inherited: bool

    def __call__(self) -> None:
        """Raises `ArchiveError` if the lock is lost."""
        self.check()


class Storage(Protocol):
    """The operations that the archive needs of a storage."""

    def locate(self, name: str) -> str:
        """Returns a name's path or URL."""

    def list_names(self, folder: str) -> tuple[str, ...]:
        """Returns the names right below a folder, in order; none if there is no folder."""

    def read_texts(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the texts of existing names; bytes that are no UTF-8 become U+FFFD."""

    def replace_text(self, name: str, text: str) -> None:
        """Writes a text whole or not at all, in place of what is there."""

    def replace_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Writes a file whole or not at all, in place of what is there."""

    def open_file(self, name: str) -> BinaryIO:
        """Returns a file to read from; raises `FileNotFoundError` if it is not there."""

    def move_text(self, name: str, new_name: str) -> None:
        """Gives a text another name, in place of what has it."""

    def remove(self, name: str) -> None:
        """Removes a text, or a folder with all that is in it, if it is there."""

    def measure(self, name: str) -> int:
        """Returns the bytes of all files in a folder; 0 if there is no folder."""

    def open_folder(self, name: str) -> Store:
        """Returns a folder as a zarr store to read from."""

    def write_folder(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Writes a new folder; if this fails, part of it may be there."""

    def lock(self, name: str, wait_s: float) -> AbstractContextManager[AcquiredLock]:
        """Holds a lock; raises `LockedError` if another still holds it after `wait_s` seconds."""

    def is_locked(self, name: str) -> bool:
        """Returns whether anyone holds a lock."""

    def has_stale_lock(self, name: str) -> bool:
        """Returns whether there is a lock whose holder is dead."""


def open_storage(root: Path | str, options: Mapping[str, Any] | None = None) -> Storage:
    """Returns the storage at a folder or URL.

    Args:
        root: A folder, or a URL that fsspec knows, such as `s3://bucket/prefix`.
        options: What fsspec needs to open the URL, such as credentials.

    Raises:
        ArchiveError: If the URL cannot be opened.
    """
    text = str(root)
    if isinstance(root, Path) or "://" not in text:
        return LocalStorage(Path(root))
    if text.startswith(("file://", "local://")):
        return LocalStorage(Path(text.split("://", 1)[1]))
    try:
        return ObjectStorage(text, options or {})
    except (ImportError, ValueError) as error:
        known = "a folder, or a URL such as s3://bucket/prefix"
        raise ArchiveError(
            f"{root}: cannot be opened as an archive: {error}; {known} is right"
        ) from error


class LocalStorage:
    """A folder of a POSIX file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, name: str) -> str:
        """Returns a name's path."""
        return str(self.root / name)

    def list_names(self, folder: str) -> tuple[str, ...]:
        """Returns the names right below a folder, in order."""
        try:
            with os.scandir(self.root / folder) as entries:  # without a path object each
                return tuple(sorted(entry.name for entry in entries))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def read_texts(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the texts of existing names."""
        found = {}
        for name in names:
            try:
                found[name] = (self.root / name).read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, NotADirectoryError):
                continue
        return found

    def replace_text(self, name: str, text: str) -> None:
        """Writes a text under another name, on disk, and then renames it."""
        self.replace_bytes(name, text.encode("utf-8"))

    def open_file(self, name: str) -> BinaryIO:
        """Returns a file to read from."""
        return (self.root / name).open("rb")

    def replace_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Writes a file under another name, on disk, and then renames it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            write_synced(partial, content)
            partial.replace(path)
            sync_names(path.parent)
        finally:
            partial.unlink(missing_ok=True)

    def move_text(self, name: str, new_name: str) -> None:
        """Gives a text another name."""
        (self.root / name).replace(self.root / new_name)

    def remove(self, name: str) -> None:
        """Removes a text or a folder."""
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def measure(self, name: str) -> int:
        """Returns the bytes of all files in a folder; 0 if it goes while it is measured."""
        files = (path for path in (self.root / name).rglob("*") if path.is_file())
        try:
            return sum(path.stat().st_size for path in files)
        except FileNotFoundError:  # another process has replaced it
            return 0

    def open_folder(self, name: str) -> Store:
        """Returns a folder as a zarr store to read from."""
        if not (self.root / name).is_dir():
            raise FileNotFoundError(f"no such folder: {self.root / name}")
        from zarr.storage import LocalStore

        return LocalStore(self.root / name, read_only=True)

    def write_folder(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Writes a folder under another name, on disk, and then renames it."""
        path = self.root / name
        partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.partial")
        try:
            for below, content in contents.items():
                file = partial / below
                file.parent.mkdir(parents=True, exist_ok=True)
                write_synced(file, content)
            partial.rename(path)
            sync_names(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @contextmanager
    def lock(self, name: str, wait_s: float) -> Iterator[AcquiredLock]:
        """Holds a lock that the system releases if its holder dies.

        The lock file is removed at the end, so that a lock may be won on a file that is gone by
        then; it counts only if the file is still the one under its name.
        """
        path = self.root / name
        deadline = time.monotonic() + wait_s
        while (won := _try_lock(path)) is None:
            if time.monotonic() >= deadline:
                raise LockedError(_describe_lock(str(path), wait_s, "once that process has ended"))
            time.sleep(_LOCK_POLL_S)
        descriptor, was_there = won
        try:
            yield AcquiredLock(lambda: None, is_inherited=was_there)
        finally:
            try:
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def is_locked(self, name: str) -> bool:
        """Returns whether a living process holds a lock."""
        try:
            descriptor = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def has_stale_lock(self, name: str) -> bool:
        """Returns whether there is a lock file that no process has locked."""
        return (self.root / name).exists() and not self.is_locked(name)


class ObjectStorage:
    """A prefix of an object store, through fsspec.

    No rename is atomic there, so that a folder is written under its own name, which nothing points
    to yet; a text is one put. A lock is a series of numbered objects, of which the highest counts:
    each is created exclusively and says until when it holds, and says so if it is given back. A
    number is never used twice, so that of two that follow a dead holder only one succeeds. The
    clocks of the machines that write must agree to some seconds.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url.rstrip("/")
        self._options = dict(options)
        from fsspec.core import url_to_fs

        # Other processes write too: what was listed a moment ago says nothing.
        self._files, self._root = url_to_fs(self.url, use_listings_cache=False, **self._options)

    def locate(self, name: str) -> str:
        """Returns a name's URL."""
        return f"{self.url}/{name}"

    def list_names(self, folder: str) -> tuple[str, ...]:
        """Returns the names right below a folder, in order."""
        with as_os_errors():
            try:
                found = self._files.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return ()
        return tuple(
            sorted(name for path in found if (name := path.rstrip("/").rsplit("/", 1)[-1]))
        )

    def read_texts(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the texts of existing names, read at once."""
        if not names:
            return {}
        with as_os_errors():
            found = self._files.cat([self._path(name) for name in names], on_error="return")
        contents = {name: found[self._path(name)] for name in names}
        for content in contents.values():
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise OSError(str(content)) from content
        return {
            name: bytes(content).decode("utf-8", errors="replace")
            for name, content in contents.items()
            if not isinstance(content, Exception)
        }

    def replace_text(self, name: str, text: str) -> None:
        """Writes a text in one put."""
        self.replace_bytes(name, text.encode("utf-8"))

    def replace_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Writes a file in one put, or in parts that the store puts together at the end."""
        with as_os_errors():
            self._files.pipe_file(self._path(name), bytes(content))

    def open_file(self, name: str) -> BinaryIO:
        """Returns a file to read from."""
        with as_os_errors():
            return cast("BinaryIO", self._files.open(self._path(name), "rb"))

    def move_text(self, name: str, new_name: str) -> None:
        """Gives a text another name: for a moment it has both."""
        with as_os_errors():
            self._files.copy(self._path(name), self._path(new_name))
        self.remove(name)

    def remove(self, name: str) -> None:
        """Removes a text or a folder."""
        with as_os_errors():
            try:
                self._files.rm(self._path(name), recursive=True)
            except FileNotFoundError:
                return

    def measure(self, name: str) -> int:
        """Returns the bytes of all files in a folder."""
        with as_os_errors():
            return sum(
                entry["size"] for entry in self._files.find(self._path(name), detail=True).values()
            )

    def open_folder(self, name: str) -> Store:
        """Returns a folder as a zarr store to read from."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(
            self.locate(name), storage_options=self._options or None, read_only=True
        )

    def write_folder(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Writes a folder under its own name."""
        try:
            with as_os_errors():
                self._files.pipe(
                    {self._path(f"{name}/{below}"): content for below, content in contents.items()}
                )
        except OSError:
            with suppress(OSError):
                self.remove(name)
            raise

    @contextmanager
    def lock(self, name: str, wait_s: float) -> Iterator[AcquiredLock]:
        """Holds a lock until its lease ends."""
        deadline = time.monotonic() + wait_s
        owner = f"process {os.getpid()} on {socket.gethostname()}, {uuid.uuid4().hex}"
        while (won := self._try_lock(name, owner)) is None:
            if time.monotonic() >= deadline:
                holder, until = self._read_lock(name)[1:]
                when = (
                    f"once it has ended, or after {_format(until)}, when its lock ends; its holder:"
                    f" {holder}"
                )
                raise LockedError(_describe_lock(self.locate(name), wait_s, when))
            time.sleep(_LEASE_POLL_S)
        number, is_inherited = won
        end = time.time() + LEASE_S - _LEASE_MARGIN_S

        def check() -> None:
            if time.time() > end or self._read_lock(name)[:2] != (number, owner):
                raise ArchiveError(
                    f"{self.locate(name)}: writing took longer than the lock holds, {LEASE_S:.0f}"
                    " s; the archive stays as it was: run it again"
                )

        try:
            yield AcquiredLock(check, is_inherited=is_inherited)
        finally:
            with suppress(OSError):  # otherwise the lease ends by itself
                if self._read_lock(name)[:2] == (number, owner):
                    self.replace_text(
                        f"{name}/{number:012d}", json.dumps({"owner": "", "until": 0})
                    )

    def is_locked(self, name: str) -> bool:
        """Returns whether a lock is archived and its lease not over."""
        return self._read_lock(name)[2] > time.time()

    def has_stale_lock(self, name: str) -> bool:
        """Returns whether the last lock was not given back and its lease is over."""
        _, owner, until = self._read_lock(name)
        return bool(owner) and until <= time.time()

    def _try_lock(self, name: str, owner: str) -> tuple[int, bool] | None:
        """Returns the number of the lock that was won, and whether its last holder died.

        `None` if another holds it.
        """
        last, dead, until = self._read_lock(name)
        if until > time.time():
            return None
        number = last + 1
        content = json.dumps({"owner": owner, "until": time.time() + LEASE_S})
        try:
            with as_os_errors():
                self._files.pipe_file(
                    self._path(f"{name}/{number:012d}"), content.encode(), mode="create"
                )
        except FileExistsError:
            return None
        numbers = self.list_names(name)
        if numbers[-1] != f"{number:012d}":  # others came and went since the last number was read
            self.remove(f"{name}/{number:012d}")
            return None
        for old in numbers[:-1]:
            self.remove(f"{name}/{old}")
        return number, bool(dead)

    def _read_lock(self, name: str) -> tuple[int, str, float]:
        """Returns the last lock's number, its owner, and until when it holds [s since 1970]."""
        numbers = self.list_names(name)
        if not numbers:
            return 0, "", 0.0
        last = f"{name}/{numbers[-1]}"
        text = self.read_texts([last]).get(last)
        if text is None:
            return self._read_lock(name)  # a new holder has just swept it away
        try:
            content = json.loads(text)
            return int(numbers[-1]), str(content["owner"]), float(content["until"])
        except (ValueError, KeyError, TypeError):
            return int(numbers[-1]), "", 0.0

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Turns errors of the S3 client without a server into `ConnectionError`, as others raise."""
    client = sys.modules.get("botocore.exceptions")
    try:
        yield
    except getattr(client, "BotoCoreError", ()) as error:
        raise ConnectionError(str(error)) from error


def _try_lock(path: Path) -> tuple[int, bool] | None:
    """Returns the open, locked lock file, and whether it was there before.

    `None` if another holds it or has just removed it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags, was_there = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, False
    try:
        lock = os.open(path, flags | os.O_EXCL, 0o666)
    except FileExistsError:
        lock, was_there = os.open(path, flags, 0o666), True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return lock, was_there
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _describe_lock(place: str, wait_s: float, when: str) -> str:
    return (
        f"{place}: another process has kept the source locked for {wait_s:.0f} s; the archive stays"
        f" as it was: ingest again {when}"
    )


def _format(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
