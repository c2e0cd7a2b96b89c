"""A second process walks through an HDF5 file before this one opens it.

The HDF5 library does not survive every damaged file: one wrong byte in a link's name can end the
process, and no exception tells of it. So a process of its own walks through groups, attributes and
indices of chunks first, and the file that ends it is rejected alone. One such process serves all
files of the process that started it. A walk costs some milliseconds, its start some tenths of a
second.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

_LOG = logging.getLogger(__name__)

LONGEST_WALK_S = 60.0
"""A walk reads no data and takes milliseconds; on a damaged file HDF5 may also never return."""

_WALKER = """
import json, sys
import h5py

def visit(name, item):
    for key in item.attrs:
        item.attrs[key]
    if isinstance(item, h5py.Dataset) and item.chunks is not None:
        item.id.get_num_chunks()

for line in sys.stdin:
    try:
        with h5py.File(json.loads(line), "r") as file:
            visit("/", file)
            file.visititems(visit)
    except Exception:
        pass  # The process that asked meets the same error, and can say it in its own words.
    print(flush=True)
"""


class DeadlyFileError(Exception):
    """The HDF5 library does not survive a file, or never returns from it."""


def check_survives(path: Path) -> None:
    """Walks through an HDF5 file in the second process.

    Errors that the library reports itself are not raised here.

    Raises:
        DeadlyFileError: If the walk ended its process, or did not end.
    """
    _WALKERS.walk(path)


class _Walkers:
    """The second process of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def walk(self, path: Path) -> None:
        with self._lock:
            walker = self._find()
            if walker is not None:
                self._ask(walker, path)

    def _find(self) -> subprocess.Popen[bytes] | None:
        """Returns the walker; none if the system lets no process start."""
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _WALKER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the process that asks
                )
            except OSError as error:
                _LOG.warning("HDF5 files are opened without a walk ahead: %s", error)
                return None
            self._owner = os.getpid()
        return self._process

    def _ask(self, walker: subprocess.Popen[bytes], path: Path) -> None:
        assert walker.stdin is not None
        assert walker.stdout is not None
        try:
            walker.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
            walker.stdin.flush()
        except BrokenPipeError:
            pass  # it says nothing then, below
        ready, _, _ = select.select([walker.stdout], [], [], LONGEST_WALK_S)
        if ready and walker.stdout.readline():
            return
        self._process = None
        walker.kill()
        status = walker.wait()
        walker.stdin.close()
        walker.stdout.close()
        if not ready:
            raise DeadlyFileError(f"the HDF5 library did not return within {LONGEST_WALK_S:.0f} s")
        raise DeadlyFileError(f"the HDF5 library ended the process that read it ({_name(status)})")


def _name(status: int) -> str:
    """Returns how a process ended, in words."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


_WALKERS = _Walkers()
