"""Serves the deployments on this machine: Prefect server, worker, janitor and watched folders.

Server and worker are Prefect's own processes, started again if they end. They end with this
process: by a signal when it is stopped, by the kernel when it is killed. So do the runs, which are
processes of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import BlindzoneError, LockedError
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, workspace
from blindzone.flows.service.janitor import sweep_forever
from blindzone.flows.service.watching import announce_forever, find_folders
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.catalog.catalog import Catalog, read_catalog
from blindzone.pipeline.catalog.places import find_catalog

POOL = "blindzone"
"""The work pool; `prefect.yaml` names it."""
DEPLOYMENTS = Path(str(files("blindzone") / "prefect.yaml"))
"""The deployments of the package."""
HOST = "127.0.0.1"

_START_S = 120.0
_STOP_S = 20.0
_PAUSE_S = 2.0
_STARTS = 5
_STARTS_WITHIN_S = 300.0

_log = logging.getLogger(__name__)


class ServeError(BlindzoneError):
    """The server, its worker or its deployments cannot be started or kept running."""


@configuration(error=ServeError, what="serve")
class ServeConfig:
    """What is served, and where."""

    port: Annotated[int, Field(ge=1, le=65_535)] = 4200
    """Port of the server and its pages, on the loopback interface."""
    database: str | None = None
    """URL of a PostgreSQL database; by default an SQLite file in the workspace."""
    deployments: Path = DEPLOYMENTS
    """File of the deployments."""
    runs: Annotated[int, Field(ge=1)] = 2
    """Number of runs at once."""
    watched: tuple[str, ...] | None = None
    """Sources whose folders are watched; all of the catalogue by default."""
    settle_s: Annotated[float, Field(gt=0)] = 60.0
    """How long a new file must not have changed [s]."""
    catalog: Path | None = None
    """Catalogue file."""

    def __post_init__(self) -> None:
        if not self.deployments.is_file():
            raise ValueError(f"{self.deployments}: no such file; a prefect.yaml is right")
        if self.database is None or re.match(r"postgres(ql)?(\+asyncpg)?://", self.database):
            return
        # Its address is not quoted: a password may be in it.
        scheme = self.database.split("://")[0] if "://" in self.database else "none"
        raise ValueError(
            f"database: found a URL with the scheme '{scheme}'; postgresql://USER@HOST/NAME is"
            " right"
        )

    @property
    def url(self) -> str:
        """Address of the pages."""
        return f"http://{HOST}:{self.port}"

    @property
    def home(self) -> Path:
        """Folder of all that Prefect keeps."""
        return (workspace() / "prefect").resolve()


def serve(config: ServeConfig) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP.

    Raises:
        ServeError: If something cannot be started, or ends again and again.
        CatalogError: If the catalogue is not usable, or lacks a watched source.
    """
    if shutil.which("setpriv") is None:
        raise ServeError(
            "setpriv is not installed; it is part of util-linux, which every Linux distribution has"
        )
    catalog = read_catalog(config.catalog)
    folders = find_folders(catalog, catalog if config.watched is None else config.watched)
    for name in sorted({*(config.watched or ())} - {*folders}):
        raise ServeError(
            f"{name}: cannot be watched: its folder does not exist, is none, or is filled by a"
            " simulation"
        )
    config.home.mkdir(parents=True, exist_ok=True)
    try:
        with LocalStorage(config.home).lock("serve.lock", wait_s=0):
            check_port(config.port)
            asyncio.run(_serve(config, catalog, folders))
    except LockedError:
        raise ServeError(
            f"{config.home}: served by another process already; that one must end first"
        ) from None


def check_port(port: int) -> None:
    """Raises `ServeError` unless a port of the loopback interface is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServeError(
                f"port {port} of {HOST}: {error.strerror}; --port names another"
            ) from error


def make_environment(config: ServeConfig) -> dict[str, str]:
    """Returns the environment of server, worker and runs.

    What would lead them to another server, such as a profile of the user's, is left out.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PREFECT_API_KEY", "PREFECT_PROFILE")
    }
    settings = {
        "PREFECT_HOME": str(config.home),
        "PREFECT_PROFILES_PATH": str(config.home / "profiles.toml"),
        "PREFECT_API_URL": f"{config.url}/api",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(config.port),
        # Pages of other origins, open in the same browser, must not talk to the server.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{config.url},http://localhost:{config.port}",
        # A run that holds its deployment's place must find it again after the server was started
        # anew.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "BLINDZONE_WORKSPACE": str(workspace().resolve()),
        "BLINDZONE_WEIGHTS": str(SHIPPED_WEIGHTS),
        "BLINDZONE_CATALOG": str((config.catalog or find_catalog()).resolve()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    if "BLINDZONE_DATA" in os.environ:
        settings["BLINDZONE_DATA"] = str(Path(os.environ["BLINDZONE_DATA"]).resolve())
    if config.database is not None:
        settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = re.sub(
            r"^postgres[^:]*:", "postgresql+asyncpg:", config.database
        )
    return kept | settings


class Child:
    """A process that ends with this one, in a group of its own with all that it starts.

    Args:
        name: What it is, for people.
        arguments: Arguments of `python -m prefect`.
        environment: Its environment.
        is_quiet: Whether what it prints is dropped; errors and logs are not.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        *,
        is_quiet: bool,
    ) -> None:
        self.name = name
        self._command = (
            "setpriv",
            "--pdeathsig",
            "KILL",
            sys.executable,
            "-m",
            "prefect",
            *arguments,
        )
        self._environment = environment
        self._stdout = asyncio.subprocess.DEVNULL if is_quiet else None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._stdout,
            start_new_session=True,
        )

    async def wait(self) -> int:
        """Returns its exit status once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Ends what it has started, then itself; by force what has not ended in time."""
        if self._process is None or self._process.returncode is not None:
            return
        # A run can still report how it ended, which its worker would not wait for.
        runs: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            runs = psutil.Process(self._process.pid).children(recursive=True)
        for run in runs:
            with suppress(psutil.NoSuchProcess):
                run.terminate()
        await asyncio.to_thread(psutil.wait_procs, runs, timeout=_STOP_S)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()

    async def keep_running(self) -> None:
        """Starts it again whenever it ends.

        Raises:
            ServeError: If it ends again and again.
        """
        clock = asyncio.get_running_loop().time
        ends: deque[float] = deque(maxlen=_STARTS)
        while True:
            status = await self.wait()
            ends.append(clock())
            if len(ends) == _STARTS and ends[-1] - ends[0] < _STARTS_WITHIN_S:
                raise ServeError(
                    f"the {self.name} ends again and again, last with status {status}; see its log"
                    " above"
                )
            _log.warning("the %s has ended with status %d and is started again", self.name, status)
            await asyncio.sleep(_PAUSE_S)
            await self.start()


async def _serve(config: ServeConfig, catalog: Catalog, folders: Mapping[str, Path]) -> None:
    environment = make_environment(config)
    server = Child("server", ("server", "start"), environment, is_quiet=True)
    worker = Child(
        "worker",
        ("worker", "start", "--pool", POOL, "--type", "process", "--name", socket.gethostname()),
        environment,
        is_quiet=False,
    )
    auth = environment.get("PREFECT_API_AUTH_STRING")

    async def work() -> None:
        async with PrefectClient(f"{config.url}/api", auth_string=auth) as client:
            await server.start()
            await _until_healthy(client, server)
            await make_pool(client, config.runs)
            await deploy(config.deployments, environment)
            await worker.start()
            _log.info(
                "%s shows the deployments and their runs; SIGINT (Ctrl-C) ends all", config.url
            )
            _log.info("watched: %s", ", ".join(folders) or "no folder")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.keep_running())
                tasks.create_task(worker.keep_running())
                tasks.create_task(sweep_forever(client))
                if folders:
                    tasks.create_task(announce_forever(client, catalog, folders, config.settle_s))

    try:
        await _until_stopped(work())
    finally:
        await worker.stop()  # first, so that its runs can still report that they ended
        await server.stop()


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Does work until it fails or a signal stops it."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sign, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _log.info("ending")
    except ExceptionGroup as failed:  # of tasks that run for ever the first that fails ends all
        raise failed.exceptions[0] from None


async def _until_healthy(client: PrefectClient, server: Child) -> None:
    ended = asyncio.ensure_future(server.wait())
    try:
        async with asyncio.timeout(_START_S):
            while (problem := await client.api_healthcheck()) is not None:
                if ended.done():
                    raise ServeError(
                        f"the server ended with status {ended.result()}; see its log above"
                    )
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise ServeError(
            f"the server does not respond within {_START_S:.0f} s: {problem}"
        ) from None
    finally:
        ended.cancel()


async def make_pool(client: PrefectClient, runs: int) -> None:
    """Makes the work pool, or sets the limit of the one that is there.

    Raises:
        ServeError: If the server does not let it.
    """
    pool = WorkPoolCreate(
        name=POOL,
        type=ProcessWorker.type,
        base_job_template=ProcessWorker.get_default_base_job_template(),
        concurrency_limit=runs,
    )
    try:
        await client.create_work_pool(pool, overwrite=True)
    except httpx.HTTPError as error:
        raise ServeError(
            f"the server rejects the work pool: {error}; a password must be the same in"
            " PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING"
        ) from error


async def deploy(deployments: Path, environment: Mapping[str, str]) -> None:
    """Deploys all that a file names, by Prefect's own command.

    Raises:
        ServeError: If it cannot be deployed.
    """
    process = await asyncio.create_subprocess_exec(
        "setpriv",
        "--pdeathsig",
        "KILL",
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "deploy",
        "--all",
        "--prefect-file",
        str(deployments),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise ServeError(
            f"{deployments}: cannot be deployed:\n{output.decode(errors='replace').strip()}"
        )
