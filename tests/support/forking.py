"""Runs of flows as forked processes, and how they are killed.

They are forked from one that has imported everything, since each start from scratch takes seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

# Nothing has run in it yet when it forks: TensorFlow and Prefect start their threads only when they
# are used.
SERVER = """
import json, os, sys
import dask, distributed, h5netcdf, prefect, prefect_dask, tensorflow
import forked
from blindzone.flows import nightly, reprocess

print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        code = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        print(json.dumps(code), flush=True)
        continue
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os._exit(forked.run(asked))
    print(json.dumps(child), flush=True)
"""


class Forker:
    """Starts flows in processes of their own, at once."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder, self._started = process, folder, 0
        self._running: set[int] = set()

    def start(self, task: str, **order: Any) -> Run:
        """Starts a task of `forked.TASKS`; each takes what stands in its order."""
        self._started += 1
        name = f"{self._started:03d}"
        files = {
            "log": str(self._folder / f"{name}.log"),
            "report": str(self._folder / f"{name}.json"),
        }
        pid = self._ask({"task": task} | files | order)
        self._running.add(pid)
        return Run(self, pid, Path(files["log"]), Path(files["report"]))

    def wait(self, pid: int) -> int:
        """Returns the exit code of a process that was started, negative if a signal ended it."""
        code = self._ask({"wait": pid})
        self._running.discard(pid)
        return code

    def end(self) -> None:
        """Kills all that still runs, each with its process group."""
        for pid in self._running:
            os.killpg(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def _ask(self, message: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        status: int = json.loads(self._process.stdout.readline())
        return status


class Run:
    """A process that was started."""

    def __init__(self, forker: Forker, pid: int, log: Path, report: Path) -> None:
        self.pid = pid
        self._forker, self._log, self._report = forker, log, report

    def wait(self) -> int:
        return self._forker.wait(self.pid)

    def kill(self) -> None:
        """Kills it with `kill -9`; nothing of what it does can come to an end."""
        os.killpg(self.pid, signal.SIGKILL)
        code = self.wait()
        assert code in (-signal.SIGKILL, 0), self.log  # it may just have ended by itself

    def end_within(self, seconds: float) -> int | None:
        """Returns its exit status if it ends in time; otherwise it is killed."""
        deadline = time.monotonic() + seconds
        while psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                self.kill()
                return None
            time.sleep(0.1)
        return self.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def days(self) -> dict[str, str]:
        """What became of each day, as the run's report says: its status by its product's name."""
        found: dict[str, str] = json.loads(self._report.read_text())
        return found

    def read(self) -> Any:
        """What a task has written into its report so far; None if nothing."""
        return json.loads(self._report.read_text()) if self._report.exists() else None


@contextmanager
def forking(folder: Path, **environment: str) -> Iterator[Forker]:
    """Yields what starts runs, and ends them all, whatever happens."""
    settings = {
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | settings | environment,
            cwd=folder,
        )
    forker = Forker(process, folder)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (folder / "server.log").read_text()
        yield forker
    finally:
        forker.end()
