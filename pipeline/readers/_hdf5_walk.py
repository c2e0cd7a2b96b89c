"""Another process walks through an HDF5 file before this one opens it.

The HDF5 library does not survive every damaged file: one wrong byte in a link's name can end the
process, and no exception tells of it. So another process walks through groups, attributes and
indices of chunks first, and the file that ends it is rejected alone. Whether such a file ends a
process depends on what is in its memory. So a server forks a process for each walk, whose memory
is always the same and filled with bytes that are no addresses. One server serves all files of the
process that started it. A walk costs some milliseconds, the server's start some tenths of a second.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

_LOG = logging.getLogger(__name__)

LONGEST_WALK_S = 60.0
"""A walk reads no data and takes milliseconds; on a damaged file HDF5 may also never return."""

_WALK = """
import h5py

def visit(name, item):
    for key in item.attrs:
        item.attrs[key]
    if isinstance(item, h5py.Dataset) and item.chunks is not None:
        item.id.get_num_chunks()

def walk(path):
    with h5py.File(path, "r") as file:
        visit("/", file)
        file.visititems(visit)
"""
_SERVE = """
import json, os, signal, sys
signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a process wherever it is
for line in sys.stdin:
    path, longest_s = json.loads(line)
    walker = os.fork()
    if walker == 0:
        signal.setitimer(signal.ITIMER_REAL, longest_s)
        try:
            walk(path)
        except Exception:
            pass  # The process that asked meets the same error, and can say it in its own words.
        finally:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(walker, 0)[1]), flush=True)
"""
_ENVIRONMENT = {
    "MALLOC_PERTURB_": "165",  # glibc fills memory: what is read before it is written is no address
    "OPENBLAS_NUM_THREADS": "1",  # a process that forks has one thread
}


class DeadlyFileError(Exception):
    """The HDF5 library does not survive a file, or never returns from it."""


def check_survives(path: Path) -> None:
    """Walks through an HDF5 file in another process.

    Errors that the library reports itself are not raised here. A file that has not changed since
    its last walk is not walked again: its head and its data are read one after the other.

    Raises:
        DeadlyFileError: If the walk ended its process, or did not end.
    """
    state = _read_state(path)
    if state is not None and _SURVIVED.get(path) == state:
        return
    status = _SERVER.walk(path)
    if status == -signal.SIGALRM:
        raise DeadlyFileError(f"the HDF5 library did not return within {LONGEST_WALK_S:.0f} s")
    if status:
        raise DeadlyFileError(f"the HDF5 library ended the process that read it ({_name(status)})")
    if state is not None and _read_state(path) == state:
        while len(_SURVIVED) >= _MOST_REMEMBERED:
            _SURVIVED.pop(next(iter(_SURVIVED), path), None)
        _SURVIVED[path] = state


_MOST_REMEMBERED = 16
_SURVIVED: dict[Path, tuple[int, ...]] = {}
"""State of the files that were walked last and survived."""


def _read_state(path: Path) -> tuple[int, ...] | None:
    """Returns what changes with a file; None if it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _Server:
    """The server of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def walk(self, path: Path) -> int:
        """Returns the exit status of a walk; 0 if none is possible."""
        with self._lock:
            # A server that was ended from outside is started once more.
            return int(self._ask(path) or self._ask(path) or b"0")

    def _ask(self, path: Path) -> bytes:
        """Returns a server's answer; an empty one if it ended."""
        try:
            server = self._find()
        except OSError as error:
            _LOG.warning("HDF5 files are opened without a walk ahead: %s", error)
            return b"0"
        assert server.stdin is not None
        assert server.stdout is not None
        answer = b""
        try:
            with suppress(BrokenPipeError):
                server.stdin.write(json.dumps([str(path.absolute()), LONGEST_WALK_S]).encode())
                server.stdin.write(b"\n")
                server.stdin.flush()
                answer = server.stdout.readline()
        finally:
            if not answer:  # also of who is interrupted: it must not be the next file's
                self._drop(server)
        return answer

    def _find(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _WALK + _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the process that asks
                env={**os.environ, **_ENVIRONMENT},
            )
            self._owner = os.getpid()
        return self._process

    def _drop(self, server: subprocess.Popen[bytes]) -> None:
        """Ends a server and its walk."""
        self._process = None
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for stream in (server.stdin, server.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # of a question that was never read
                stream.close()


def _name(status: int) -> str:
    """Returns how a process ended, in words."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


_SERVER = _Server()
