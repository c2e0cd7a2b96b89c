"""Outcome of a killed run and of the one after it, and checks of both."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import xarray as xr
from forking import Forker, Run, forking
from short_days import SOURCE, make_station

OF_THE_MOMENT = {
    "history",
    *(f"date_{what}" for what in ("created", "modified", "issued", "metadata_modified")),
}
"""Attributes of a product with its time of creation."""

Identity = tuple[int, int]
"""Inode and time of a file: another for each time that a product was made, since it is written
next to its place and moved."""


@dataclass(frozen=True)
class Stage:
    """Days in an archive, a tiny network, and the products of an undisturbed run."""

    forker: Forker
    root: Path
    days: tuple[str, ...]
    expected: dict[str, Any]
    seconds: float

    def plan(self, products: Path, **changes: Any) -> dict[str, Any]:
        """Returns the plan of a run over all days, as JSON."""
        places = {"catalog": "catalog.yaml", "archive": "archive", "reports": "reports"}
        where = {name: str(self.root / folder) for name, folder in places.items()} | {
            "products": str(products)
        }
        filling = {"passes": 2, "checkpoint": str(self.root / "tiny.keras")}
        return {"sources": [SOURCE], "filling": filling, "places": where} | changes

    def start(self, products: Path, *, flow: str = "reprocess", **order: Any) -> Run:
        """Starts a run over all days."""
        return self.forker.start("plan", flow=flow, **({"plan": self.plan(products)} | order))

    def check(self, products: Path) -> None:
        """Checks that every finished product equals that of an undisturbed run, bit for bit."""
        for name in find_products(products):
            assert read_product(products / name) == self.expected[name], f"{name} is another"

    def finish(self, products: Path, before: dict[str, Identity]) -> None:
        """Starts the run anew; checks that it makes each missing product once, and no other.

        Args:
            products: Where the products lie.
            before: Those that are there by now.
        """
        run = self.start(products)
        assert run.wait() == 0, run.log
        assert run.days == {
            name: "unchanged" if name in before else "created" for name in self.days
        }
        after = find_products(products)
        assert after.items() >= before.items()
        assert after.keys() == set(self.days)
        self.check(products)
        assert find_partial(products) == []


@contextmanager
def staging(root: Path, days: int) -> Iterator[Stage]:
    """Yields a stage in a folder, and ends all that was started on it."""
    station = make_station(root, days, hours=2.0)
    environment = {
        "BLINDZONE_DATA": str(station.data),
        "BLINDZONE_WORKSPACE": str(root / "workspace"),
    }
    names = tuple(
        sorted(
            f"{SOURCE}_{path.name[:8]}_blindzone.nc" for path in (station.data / SOURCE).iterdir()
        )
    )
    with forking(root / "runs", **environment) as forker:
        order = {"source": SOURCE, "catalog": str(station.catalog), "archive": str(station.archive)}
        run = forker.start("prepare", checkpoint=str(root / "tiny.keras"), **order)
        assert run.wait() == 0, run.log
        stage = Stage(forker, root, names, {}, 0.0)
        begun = time.monotonic()
        run = stage.start(root / "undisturbed")
        assert run.wait() == 0, run.log
        seconds = time.monotonic() - begun
        expected = {name: read_product(root / "undisturbed" / name) for name in names}
        yield Stage(forker, root, names, expected, seconds)


def read_product(path: Path) -> dict[str, Any]:
    """Returns a product without its time of creation: sizes, bytes and attributes."""
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as product:
        found: dict[str, Any] = {
            str(name): (
                variable.dims,
                str(variable.dtype),
                variable.values.tobytes(),
                describe(variable.attrs),
            )
            for name, variable in product.variables.items()
        }
        return found | {"": describe(product.attrs)}


def describe(attributes: dict[Any, Any]) -> dict[str, str]:
    return {
        str(name): repr(value) for name, value in attributes.items() if name not in OF_THE_MOMENT
    }


def find_products(folder: Path) -> dict[str, Identity]:
    """Returns the files with final names; checks that all others are locks or partial."""
    found = {}
    for path in folder.iterdir() if folder.exists() else ():
        if path.name == ".locks" or (path.name.startswith(".") and path.name.endswith(".partial")):
            continue
        assert path.name.startswith(SOURCE), path
        assert path.name.endswith("_blindzone.nc"), path
        status = path.stat()
        found[path.name] = (status.st_ino, status.st_mtime_ns)
    return found


def find_partial(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*.partial")]


def tell_phase(folder: Path, days: tuple[str, ...]) -> str:
    """Returns what a run over days that was killed was at, from what it left behind."""
    products = find_products(folder)
    locks = [path.name for path in folder.glob(".locks/*")]
    if find_partial(folder):
        return "writing"
    if any(name in products for name in locks):
        return "done with a day"
    if locks:
        return "filling"
    if not products:
        return "starting"
    return "reporting" if products.keys() == set(days) else "between days"


@contextmanager
def watching(folder: Path) -> Iterator[dict[str, set[Identity]]]:
    """Yields each product's identities so far; checks that each opens and states its target.

    Raises:
        AssertionError: At the end, if one did not.
    """
    seen: dict[str, set[Identity]] = defaultdict(set)
    faults: list[BaseException] = []
    ended = threading.Event()

    def look() -> None:
        for name, identity in find_products(folder).items():
            if identity not in seen[name]:
                with h5py.File(folder / name) as product:
                    assert len(product.attrs["target_sha256"]) == 64
                seen[name].add(identity)

    def watch() -> None:
        while not ended.wait(0.01):
            try:
                look()
            except BaseException as fault:  # whatever it is, the test must fail with it
                faults.append(fault)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    look()
    assert not faults, faults


def wait_until(found: Callable[[], Any], *, within_s: float) -> Any:
    """Returns what is found as soon as it is true."""
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s"
        time.sleep(0.05)
    return value
