"""A source of short simulated days, and the command line as a process, for the soak tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from textwrap import dedent

import h5py

from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.pipeline.readers.simulation import write_simulated_day

SOURCE = "short_days"
FIRST = date(2000, 1, 1)
REFUSED = 2


@dataclass(frozen=True, kw_only=True)
class Station:
    """Folders of the source, and its commands with two passes of the package's network.

    `environment` and `prelude`, a line of Python, are for the processes that run them.
    """

    catalog: Path
    data: Path
    archive: Path | str
    products: Path | str
    environment: tuple[tuple[str, str], ...] = ()
    prelude: str = ""

    def with_places(self, **places: Path | str) -> Station:
        return replace(self, **places)

    @contextmanager
    def start(
        self,
        command: str,
        *options: object,
        program: tuple[str, ...] = (),
        output: Path | None = None,
    ) -> Iterator[subprocess.Popen[str]]:
        """Starts a command that writes to a file or pipe, and ends it with all its children."""
        places = ("--catalog", self.catalog, "--archive", self.archive)
        fills = ("--output", self.products, "--passes", 2, "--checkpoint", SHIPPED_WEIGHTS)
        start = f"{self.prelude}\nfrom blindzone.flows.commands.cli import main\nmain()"
        arguments = (command, SOURCE, *places, *(() if command == "ingest" else fills), *options)
        settings = {
            "BLINDZONE_DATA": str(self.data),
            "BLINDZONE_WORKSPACE": str(self.data.parent / "workspace"),
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        with nullcontext(subprocess.PIPE) if output is None else output.open("w") as stream:
            process = subprocess.Popen(
                [*program, sys.executable, "-c", start, *map(str, arguments)],
                env=os.environ | settings | dict(self.environment),
                start_new_session=True,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield process
        finally:
            end(process)

    def run(self, command: str, *options: object, program: tuple[str, ...] = ()) -> tuple[int, str]:
        """Runs a command and returns its exit status and what it says."""
        with self.start(command, *options, program=program) as process:
            prediction, _ = process.communicate(timeout=600)
        return process.returncode, prediction

    def contents(self) -> dict[str, bytes]:
        """Returns the products, each whole; checks that other files are locks."""
        folder = Path(self.products)
        names = [
            path.name for path in folder.iterdir() if path.name not in (".locks", "other.ballast")
        ]
        assert all(name.startswith(SOURCE) and name.endswith("_blindzone.nc") for name in names), (
            names
        )
        for name in names:
            with h5py.File(folder / name) as product:
                assert "target_sha256" in product.attrs
        return {name: (folder / name).read_bytes() for name in names}


def end(process: subprocess.Popen[str]) -> None:
    """Kills a process with its group."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def make_station(root: Path, days: int, *, hours: float) -> Station:
    """Returns a source whose files of so many days lie in a folder; nothing is ingested."""
    folder = root / "data" / SOURCE
    folder.mkdir(parents=True)
    for day in list_days(days):
        write_simulated_day(day, folder / file_name(day), hours=hours)
    catalog = root / "catalog.yaml"
    catalog.write_text(
        dedent(f"""
            version: 1
            sources:
              {SOURCE}:
                title: Simulated hours
                reader: cloudnet_radar
                directory: {SOURCE}
                files: "%Y%m%d_radar.nc"
                instrument: simulated radar
                site: simulated site
                quality: {{lowest_trusted_m: 234}}
            """)
    )
    return Station(
        catalog=catalog, data=root / "data", archive=root / "archive", products=root / "products"
    )


def list_days(days: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in range(days)]


def file_name(day: date) -> str:
    return f"{day:%Y%m%d}_radar.nc"


def product_name(day: date) -> str:
    return f"{SOURCE}_{day:%Y%m%d}_blindzone.nc"


def wait_until(
    found: Callable[[], bool], process: subprocess.Popen[str], *, within_s: float = 300.0
) -> None:
    """Waits until something is true while a process works."""
    deadline = time.monotonic() + within_s
    while not found():
        assert process.poll() is None, f"it ended with {process.returncode} before"
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s"
        time.sleep(0.02)
