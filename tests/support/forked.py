"""What a forked process does; see `forking`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from blindzone.flows.reports import writing
from blindzone.flows.running import trained_network
from blindzone.flows.running.prefect_steps import run_flow
from blindzone.pipeline.archive import storage
from blindzone.pipeline.products.product_store import product_name


def run(order: dict[str, Any]) -> int:
    """Does what is asked and returns the exit status."""
    die_with_parent()
    try:
        return TASKS[order["task"]](order)
    except BaseException:
        traceback.print_exc()
        return 1


def run_plan(order: dict[str, Any]) -> int:
    """Runs `reprocess` or `nightly` by a plan in JSON, with a Prefect server if one is named."""
    from blindzone.flows.nightly import nightly
    from blindzone.flows.reprocess import reprocess

    flow = {"nightly": nightly, "reprocess": reprocess}[order["flow"]]
    plan = flow.validate_parameters({"plan": order["plan"]})["plan"]
    # Pictures of trends take longer than all the days: most kills would meet a run that is done.
    writing.draw_trends = lambda points, path: False
    with set_server(order.get("server")), dying(order.get("dies"), order.get("on", "")):
        report = run_flow(flow, plan=plan)
    write_report(order, {product_name(day.source, day.day): day.status for day in report.days})
    return 0 if report.is_clean else 2


@contextmanager
def set_server(url: str | None) -> Iterator[None]:
    """Has runs of the block recorded by a server, if there is one."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if url is not None:
        os.environ["PREFECT_API_URL"] = url
    with nullcontext() if url is None else temporary_settings({PREFECT_API_URL: url}):
        yield


def prepare(order: dict[str, Any]) -> int:
    """Ingests a source, and writes a checkpoint of a tiny untrained network."""
    import keras
    from flow_calls import ingest_days

    from blindzone.flows.experiments.training_data import fit_config, preprocess_for
    from blindzone.models.checkpoint import Checkpoint, write_checkpoint
    from blindzone.models.families import build_network
    from blindzone.models.network_config import NetworkConfig
    from blindzone.pipeline.catalog.catalog import read_catalog

    catalog = Path(order["catalog"])
    report = ingest_days(order["source"], None, None, catalog, order["archive"])
    preprocessing = preprocess_for(read_catalog(catalog)[order["source"]])
    config = fit_config(NetworkConfig(filters=2, depth=2), preprocessing)
    keras.utils.set_random_seed(0)
    network = Checkpoint(
        network=build_network(config), config=config, preprocessing=preprocessing.to_dict()
    )
    write_checkpoint(Path(order["checkpoint"]), network)
    return 1 if report.rejections else 0


def serve_cluster(order: dict[str, Any]) -> int:
    """Serves a Dask cluster of two workers until killed; dead workers are replaced at once."""
    import dask
    from distributed import LocalCluster
    from distributed.utils import get_mp_context

    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    get_mp_context().set_forkserver_preload(
        ["distributed", "prefect", "tensorflow", "blindzone.flows.running.product_task"]
    )
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=order["folder"],
    ) as cluster:
        write_report(order, cluster.scheduler_address)
        signal.pause()
    return 0


TASKS: dict[str, Callable[[dict[str, Any]], int]] = {
    "cluster": serve_cluster,
    "plan": run_plan,
    "prepare": prepare,
}


def write_report(order: dict[str, Any], content: Any) -> None:
    partial = Path(order["report"]).with_suffix(".partial")
    partial.write_text(json.dumps(content))
    partial.replace(order["report"])


def die_with_parent() -> None:
    """Has the system kill this process when the one that started it is gone, however that ended."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def dying(point: str | None, name: str) -> Iterator[None]:
    """Kills the process at a point that random instants seldom meet, before a product's rename."""
    write, sync, fill = storage.write_synced, storage.sync_names, trained_network.fill_curtain
    root: list[Path] = []

    def write_and_die(path: Path, content: bytes) -> None:
        if f".{name}." not in path.name:
            write(path, content)
            return
        root.append(path.parent)
        if point == "half written":
            path.write_bytes(content[: len(content) // 2])
            die()
        write(path, content)
        if point == "not yet moved":
            die()

    def sync_and_die(folder: Path) -> None:
        if point == "moved" and folder in root:
            die()
        sync(folder)

    def fill_and_die(*args: Any, **kwargs: Any) -> Any:
        filled = fill(*args, **kwargs)
        return die() if point == "filled" else filled

    if point is not None:
        storage.write_synced, storage.sync_names, trained_network.fill_curtain = (
            write_and_die,
            sync_and_die,
            fill_and_die,
        )
    yield
