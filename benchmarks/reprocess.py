"""What reprocessing costs: orchestration, memory, one and two workers, and a profile.

Run `python benchmarks/reprocess.py` on a quiet machine of two cores or more; it takes about four
minutes and prints one table. Short simulated days serve for all but the last lines, which need a
day that `workspace/archive` holds of `palaiseau_basta`. All products have seed 0. TensorFlow has
one thread a process, as on the workers of a cluster.
"""

from __future__ import annotations

import os

# Before TensorFlow and Prefect read them.
os.environ.update(
    OMP_NUM_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
    TF_NUM_INTEROP_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
)

import json
import logging
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from distributed import Client, LocalCluster

from blindzone.flows.reprocess import reprocess
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.plans import DataPlaces, Filling, Places
from blindzone.flows.running.prefect_steps import run_flow
from blindzone.flows.running.product_run import ReprocessPlan
from blindzone.flows.running.records import RunReport
from blindzone.flows.running.runners import Runner
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.readers.simulation import write_simulated_day

SOURCE = "simulated_hours"
FIRST = date(2000, 1, 1)
HOURS = 4.0
FEW, MANY = 3, 30
TASKS = 10
SHARED_DAYS, SHARED_REALIZATIONS = 8, 30
MEASURED, MEASURED_DAY = "palaiseau_basta", date(2021, 3, 14)
CATALOG = f"""
version: 1
sources:
  {SOURCE}:
    title: Some simulated hours a day
    reader: cloudnet_radar
    directory: {SOURCE}
    files: "%Y%m%d_radar.nc"
    instrument: simulated radar
    site: simulated site
    quality: {{lowest_trusted_m: 234}}
"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: a quantity, its value, and its bound if it has one."""

    what: str
    value: str
    bound: str = ""


def main() -> None:
    """Measures everything and prints the table."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ |= {"BLINDZONE_DATA": str(root), "BLINDZONE_WORKSPACE": str(root / "workspace")}
        plan = make_archive(root)
        lines = [
            *measure_memory(plan, root),
            *measure_throughput(plan, root),
            *measure_day(root),
        ]
    seconds = time.monotonic() - begun
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {seconds:.0f} s in all"
    )
    width = max(len(line.what) for line in lines)
    for line in lines:
        print(f"{line.what:<{width}}  {line.value:>24}  {line.bound}".rstrip())


def make_archive(root: Path) -> ReprocessPlan:
    """Returns how short simulated days, which this ingests, are filled with two passes."""
    (root / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (root / SOURCE).mkdir()
    for number in range(MANY):
        day = FIRST + timedelta(days=number)
        write_simulated_day(day, root / SOURCE / f"{day:%Y%m%d}_radar.nc", hours=HOURS)
    places = DataPlaces(catalog=root / "catalog.yaml", archive=str(root / "archive"))
    ingest_days(IngestPlan(source=SOURCE, places=places))
    return ReprocessPlan(
        sources=(SOURCE,),
        start=FIRST,
        filling=Filling(passes=2, checkpoint=SHIPPED_WEIGHTS),
        places=Places(
            catalog=root / "catalog.yaml",
            archive=str(root / "archive"),
            products=str(root / "none"),
        ),
    )


def measure_memory(plan: ReprocessPlan, root: Path) -> list[Line]:
    """Compares the peak of memory after few and many days, and the overhead of a day."""
    few, many = (run_alone(plan, days, root / f"plain{days}") for days in (FEW, MANY))
    with serve_prefect(root / "prefect") as address:
        recorded = run_alone(plan, TASKS, root / "recorded", PREFECT_API_URL=address)
    growth = many.peak_mib / few.peak_mib - 1
    return [
        Line(
            what=f"peak memory of {FEW} and of {MANY} days",
            value=f"{few.peak_mib:.0f} and {many.peak_mib:.0f} MiB, {growth:+.1%}",
            bound="less than 10 % more",
        ),
        Line(
            what=f"beside its task, a day takes ({MANY} days)",
            value=f"{many.overhead_s:.3f} s",
            bound="less than 2 s, and 5 % of a measured day (below)",
        ),
        Line(
            what=f"the same, recorded by a Prefect server ({TASKS} days)",
            value=f"{recorded.overhead_s:.3f} s",
            bound="as above",
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run in a process of its own took, its first day not counted.

    Attributes:
        days: Number of days.
        profiles: Number of profiles.
        wall_s: Time from beginning to end [s].
        tasks_s: Time within the days' tasks [s].
        processor_s: Processor time [s].
        product_bytes: Size of the products.
        before_mib: Memory when everything was imported [MiB].
        peak_mib: Peak of memory [MiB].
    """

    days: int
    profiles: int
    wall_s: float
    tasks_s: float
    processor_s: float
    product_bytes: int
    before_mib: float
    peak_mib: float

    @property
    def overhead_s(self) -> float:
        """What a day takes beside its task [s]."""
        return (self.wall_s - self.tasks_s) / self.days


def run_alone(plan: ReprocessPlan, days: int, products: Path, **environment: str) -> Cost:
    """Returns what a run over so many days costs in a process of its own."""
    assert plan.start is not None
    asked = {
        "source": plan.sources[0],
        "start": plan.start.isoformat(),
        "days": days,
        "products": str(products),
        "passes": plan.filling.passes,
        "archive": plan.places.archive,
        "catalog": str(plan.places.catalog or ""),
    }
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(asked)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def measure_here(asked: dict[str, str | int]) -> Cost:
    """Returns the cost of all days, after a first one that loads and compiles."""
    before = read_memory("VmRSS")
    start, days = date.fromisoformat(str(asked["start"])), int(asked["days"])
    plan = ReprocessPlan(
        sources=(str(asked["source"]),),
        start=start,
        end=start,
        filling=Filling(passes=int(asked["passes"]), checkpoint=SHIPPED_WEIGHTS),
        places=Places(
            catalog=Path(str(asked["catalog"])) if asked["catalog"] else None,
            archive=str(asked["archive"]),
            products=str(asked["products"]),
        ),
    )
    run_quietly(plan)
    clock, processor = time.perf_counter(), time.process_time()
    report = run_quietly(replace(plan, end=start + timedelta(days=days - 1), force=True))
    return Cost(
        days=days,
        profiles=sum(day.profiles for day in report.days),
        wall_s=time.perf_counter() - clock,
        tasks_s=sum(day.seconds for day in report.days),
        processor_s=time.process_time() - processor,
        product_bytes=sum(Path(str(day.product)).stat().st_size for day in report.days),
        before_mib=before,
        peak_mib=read_memory("VmHWM"),
    )


def run_quietly(plan: ReprocessPlan) -> RunReport:
    """Returns the report of a run that must make every product."""
    with redirect_stdout(sys.stderr):
        report = run_flow(reprocess, plan=plan)
    assert report.count("created") == len(report.days), report
    return report


def measure_throughput(plan: ReprocessPlan, root: Path) -> list[Line]:
    """Compares the throughput of two Dask workers and one, each with its network loaded."""
    minutes = {}
    for workers in (1, 2):
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                local_directory=str(root / f"dask{workers}"),
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            shared = replace(
                plan,
                end=FIRST + timedelta(days=SHARED_DAYS - 1),
                filling=replace(plan.filling, passes=SHARED_REALIZATIONS),
                places=replace(plan.places, products=str(root / f"shared{workers}")),
                runner=Runner(kind="dask", address=cluster.scheduler_address),
                force=True,
            )
            run_quietly(replace(shared, filling=plan.filling))  # loads the network, and compiles
            clock = time.perf_counter()
            run_quietly(shared)
            minutes[workers] = (time.perf_counter() - clock) / 60
            peaks = client.run(read_memory, "VmHWM").values()
    return [
        Line(
            what=f"{SHARED_DAYS} days on one and on two Dask workers",
            value=f"{60 * minutes[1]:.1f} and {60 * minutes[2]:.1f} s",
        ),
        Line(
            what="throughput of two workers / of one",
            value=f"{minutes[1] / minutes[2]:.2f}",
            bound="at least 1.6",
        ),
        Line(what="peak memory of a worker", value=f"{max(peaks):.0f} MiB"),
    ]


def measure_day(root: Path) -> list[Line]:
    """Measures what a profile costs, on a measured day with 50 passes."""
    archive = Path("workspace/archive")
    if MEASURED_DAY not in Archive(archive).days(MEASURED):
        return [
            Line(
                what="a measured day",
                value="left out",
                bound=f"{archive} does not hold {MEASURED} {MEASURED_DAY}",
            )
        ]
    plan = ReprocessPlan(
        sources=(MEASURED,),
        start=MEASURED_DAY,
        filling=Filling(passes=50, checkpoint=SHIPPED_WEIGHTS),
        places=Places(archive=str(archive.absolute())),
    )
    cost = run_alone(plan, 1, root / "measured")
    return [
        Line(
            what=f"{MEASURED} {MEASURED_DAY}, 50 passes",
            value=f"{cost.wall_s:.1f} s",
            bound=f"{cost.profiles} profiles",
        ),
        Line(what="a profile", value=f"{1e3 * cost.wall_s / cost.profiles:.2f} ms"),
        Line(
            what="a profile, processor time",
            value=f"{1e3 * cost.processor_s / cost.profiles:.2f} ms",
        ),
        Line(
            what="a profile, in the product",
            value=f"{cost.product_bytes / cost.profiles:.0f} bytes",
        ),
        Line(
            what="peak memory (before the first day)",
            value=f"{cost.peak_mib:.0f} ({cost.before_mib:.0f}) MiB",
        ),
    ]


@contextmanager
def serve_prefect(home: Path) -> Iterator[str]:
    """Yields the address of a Prefect server on loopback, and ends it whatever happens."""
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        env=os.environ | {"PREFECT_HOME": str(home)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        deadline = time.monotonic() + 120
        while not answers(f"{address}/health"):
            assert process.poll() is None, "the Prefect server ended"
            assert time.monotonic() < deadline, "no Prefect server within two minutes"
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address: str) -> bool:
    """Returns whether a server answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def read_memory(name: str) -> float:
    """Returns the memory of this process, now (VmRSS) or at its peak (VmHWM) [MiB]."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kib,) = (int(line.split()[1]) for line in status if line.startswith(f"{name}:"))
    return kib / 1024


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    if len(sys.argv) > 1:
        print(json.dumps(asdict(measure_here(json.loads(sys.argv[1])))))
    else:
        main()
