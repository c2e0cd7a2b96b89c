"""`blindzone serve` as a process, for tests that need a server, a worker and schedules."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import FlowRun

REPOSITORY = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class Serving:
    """A running `blindzone serve`."""

    def __init__(
        self, process: subprocess.Popen[bytes], workspace: Path, port: int, log: Path
    ) -> None:
        self.process = process
        self.workspace = workspace
        self.port = port
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ask(self, question: Callable[[PrefectClient], Any]) -> Any:
        """Returns the server's response."""

        async def call() -> Any:
            async with PrefectClient(f"http://127.0.0.1:{self.port}/api") as client:
                return await question(client)

        return asyncio.run(call())

    def runs(self, deployment: str) -> list[FlowRun]:
        named = DeploymentFilter(name=DeploymentFilterName(any_=[deployment]))
        return self.ask(lambda client: client.read_flow_runs(deployment_filter=named))

    def run(self, name: str, **parameters: Any) -> FlowRun:
        """Starts a run of FLOW/DEPLOYMENT."""

        async def create(client: PrefectClient) -> FlowRun:
            deployment = await client.read_deployment_by_name(name)
            return await client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters
            )

        return self.ask(create)

    def pause(self, name: str) -> None:
        """Lets FLOW/DEPLOYMENT have no more runs."""

        async def pause(client: PrefectClient) -> None:
            await client.pause_deployment((await client.read_deployment_by_name(name)).id)

        self.ask(pause)

    def until(self, found: Callable[[], T], *, within_s: float) -> T:
        """Returns what is found as soon as it is true."""
        deadline = time.monotonic() + within_s
        while not (value := found()):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, f"not within {within_s:.0f} s; the log:\n{self.log}"
            time.sleep(0.5)
        return value

    def family(self) -> list[psutil.Process]:
        """Returns all processes that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(
    workspace: Path, *options: str, within_s: float = 120.0, **environment: str
) -> Iterator[Serving]:
    """Serves in a workspace, and ends all of it whatever happens."""
    workspace.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = workspace / f"serve_{port}.log"
    settings = {
        "BLINDZONE_WORKSPACE": str(workspace),
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [
        str(Path(sys.executable).with_name("blindzone")),
        "serve",
        "--port",
        str(port),
        *options,
    ]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            cwd=workspace,
            env=os.environ | settings | environment,
            start_new_session=True,
        )
    served = Serving(process, workspace, port, log)
    family: list[psutil.Process] = []
    try:
        served.until(lambda: "shows the deployments" in served.log, within_s=within_s)
        yield served
    finally:
        if process.poll() is None:
            family = served.family()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for member in family:
            if member.is_running():
                member.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_deployments(path: Path, edit: Callable[[dict[str, dict[str, Any]]], None]) -> Path:
    """Writes the package's deployments, edited by name, to a file."""
    content = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    deployments = {deployment["name"]: deployment for deployment in content["deployments"]}
    edit(deployments)
    path.write_text(yaml.safe_dump(content | {"deployments": list(deployments.values())}))
    return path
