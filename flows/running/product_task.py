"""Units of work: the product of one source and UTC day, known by all that it is made from, made once.

A unit's target is a hash over what its product follows from: the archived content of the day and of
its partners, the checkpoint, the catalogue entry, the passes, and the version of the product. A
product that states its target is left alone, whoever made it; any other is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from pydantic import ConfigDict

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import PlanError, ProductError
from blindzone.flows.running.logs import keep_logs, log_context
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import DayReport
from blindzone.flows.running.trained_network import TrainedNetwork, open_network, plain_passes
from blindzone.flows.running.workspace import (
    archive_folder,
    product_folder,
    report_folder,
    trained_checkpoint,
)
from blindzone.models.checkpoint import Checkpoint
from blindzone.pipeline.archive import Archive, DayRecord
from blindzone.pipeline.archive.collocation import find_collocated, open_collocated
from blindzone.pipeline.catalog.catalog import (
    Catalog,
    SourceDescription,
    plain_source,
    read_catalog,
)
from blindzone.pipeline.catalog.places import find_catalog
from blindzone.pipeline.plots.quicklooks import draw_product
from blindzone.pipeline.products.drift import find_reference, measure_drift
from blindzone.pipeline.products.product_statistics import measure_product
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.products.provenance import PRODUCT_VERSION, Provenance
from blindzone.pipeline.verification.curtain_scores import find_scored, score_product

PLAN = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""How Prefect reads a plan from JSON: unknown keys are refused, and what is written below a key is
its help."""

_DECISIVE_KEYS = (
    "title",
    "instrument",
    "site",
    "licence",
    "reference",
    "grid",
    "quality",
    "blind_zone",
    "partners",
    "simulation",
)
"""What of a catalogue entry a product follows from."""
_LATER_KEYS = ("institution", "creator", "publisher", "frequency_ghz")
"""The same, of keys that earlier targets do not have: they count where an entry needs them."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How blind zones are filled."""

    __pydantic_config__ = PLAN

    passes: int | AdaptiveSampling = 50
    """Number of stochastic forward passes, at least 2, or how well interval bounds must be
    known."""
    seed: int = 0
    """Seed of the passes; the same seed gives the same product."""
    samples: int | None = None
    """Number of coherent fields to be written beside the distribution, at least 2."""
    checkpoint: Path | None = None
    """Trained network; by default the source's own, else the weights of the package."""

    def __post_init__(self) -> None:
        for name, count in (("passes", self.passes), ("samples", self.samples)):
            if isinstance(count, int) and count < 2:
                raise PlanError(f"{name}: a distribution needs at least 2; found {count}")
        if self.seed < 0:
            raise PlanError(f"seed: a number of at least 0 is right; found {self.seed}")

    def settle(self, source: str) -> Filling:
        """Returns the same with the checkpoint found that fills a source, as another process needs it."""
        return replace(self, checkpoint=(self.checkpoint or trained_checkpoint(source)).absolute())


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where everything lies."""

    __pydantic_config__ = PLAN

    catalog: Path | None = None
    """Catalogue file; by default data_catalog.yaml."""
    archive: str | None = None
    """Folder or URL of the archive; by default that of the workspace."""
    products: str | None = None
    """Folder or URL of the products; by default that of the workspace."""
    reports: Path | None = None
    """Folder of reports and logs; by default that of the workspace."""

    def settle(self) -> SettledPlaces:
        """Returns the same with every default found and every path absolute, as another process needs it."""
        return SettledPlaces(
            catalog=(self.catalog or find_catalog()).absolute(),
            archive=_settle(self.archive or archive_folder()),
            products=_settle(self.products or product_folder()),
            reports=(self.reports or report_folder()).absolute(),
        )


@dataclass(frozen=True, kw_only=True)
class SettledPlaces:
    """Where everything lies, for any process on any machine that sees it."""

    catalog: Path
    archive: str
    products: str
    reports: Path


@dataclass(frozen=True, kw_only=True)
class ProductTask:
    """One day, or granule, to be filled.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day, or start of the granule.
        filling: How it is filled, settled.
        places: Where everything lies.
        force: Whether a product that is there already is made anew.
        picture: Whether a picture of it is drawn beside it.
        run: Name of the run that it belongs to.
        flow: Name of the run's flow.
        log: The run's log.
    """

    source: str
    day: date
    filling: Filling
    places: SettledPlaces
    force: bool = False
    picture: bool = False
    run: str = ""
    flow: str = ""
    log: Path | None = None

    @property
    def checkpoint(self) -> Path:
        """What it is filled with."""
        return (self.filling.checkpoint or trained_checkpoint(self.source)).absolute()


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """What a unit needs of its places."""

    sources: Catalog
    archive: Archive
    products: ProductStore
    network: TrainedNetwork


def find_unchanged(unit: ProductTask) -> DayReport | None:
    """Returns what there is to say of a unit whose product is there already; None if it is to be made.

    Raises:
        BlindzoneError: If archive or products cannot be read.
        ModelError: If the checkpoint cannot be used.
    """
    opened = _open(unit)
    target = _find_target(unit, opened, opened.archive.record(unit.source, unit.day))
    if unit.force or opened.products.find_target(unit.source, unit.day) != target:
        return None
    return _hold(unit, opened, target)


@partial(step, runs="{unit.source} {unit.day}")
def fill_task(unit: ProductTask) -> DayReport:
    """Makes the product of a unit unless it is there, scores it where there is truth, and returns what it did.

    Raises:
        BlindzoneError: If the day is not there, or does not fit the checkpoint; earlier products
            stay as they were.
        ModelError: If the checkpoint cannot be used.
    """
    # On a Dask worker xarray would have the whole cluster read and write what belongs to this unit
    # alone.
    with _logged(unit), dask.config.set(scheduler="threads"):
        return _fill(unit, _open(unit))


def _fill(unit: ProductTask, opened: _Opened) -> DayReport:
    begun = time.monotonic()
    with opened.products.lock(unit.source, unit.day):
        target = _find_target(unit, opened, opened.archive.record(unit.source, unit.day))
        # Another run may have made it while this one waited.
        if not unit.force and opened.products.find_target(unit.source, unit.day) == target:
            return _hold(unit, opened, target)
        logger.info("begun")
        curtain, record = opened.archive.read_granule(unit.source, unit.day)
        opened.products.check_space(curtain.sizes["time"], unit.filling.samples or 0)
        product = _make(unit, opened, curtain, record)
        path = opened.products.write(product, unit.source, unit.day)
    if unit.picture:
        _draw(product, path)
    return DayReport(
        source=unit.source,
        day=unit.day,
        status="made",
        product=path,
        target=str(product.attrs["target_sha256"]),
        seconds=time.monotonic() - begun,
        profiles=product.sizes["time"],
        metrics=_measure(product, opened.network.checkpoint),
        scores=_score(product, curtain["detection_status"]),
    )


@contextmanager
def _logged(unit: ProductTask) -> Iterator[None]:
    """Has what is said while a unit is worked on stand in its run's log, on whatever machine."""
    with log_context(run=unit.run, flow=unit.flow, source=unit.source, day=unit.day):
        if unit.log is None:
            yield
        else:
            with keep_logs(unit.log, terminal=False):
                yield


def _open(unit: ProductTask) -> _Opened:
    sources = read_catalog(unit.places.catalog)
    network = open_network(unit.checkpoint)
    return _Opened(
        sources=sources,
        archive=Archive(unit.places.archive),
        products=ProductStore(unit.places.products),
        network=network.fit_zone(sources[unit.source].blind_zone, where=unit.source),
    )


def _find_target(unit: ProductTask, opened: _Opened, record: DayRecord) -> str:
    """Returns one SHA-256 over all that a unit's product follows from."""
    source = opened.sources[unit.source]
    entry = plain_source(source)
    added = {key: entry[key] for key in _LATER_KEYS if entry[key]}
    if source.frequency_ghz == replace(source, frequency_ghz=None).find_frequency():
        added.pop("frequency_ghz", None)  # title or instrument state it already
    beside: list[Any] = []
    if opened.network.preprocessing.uses_collocated:
        units = find_collocated(opened.archive, opened.sources, unit.source, unit.day)
        beside = [_name_content(opened.archive.record(*partner)) for partner in units]
    inputs = {
        "source": unit.source,
        "unit": str(unit.day),
        "content": _name_content(record),
        "files": [[file.name, file.sha256] for file in record.contributing],
        "partners": beside,
        "checkpoint": opened.network.checkpoint.sha256,
        "catalog": {key: entry[key] for key in _DECISIVE_KEYS} | added,
        "filling": _plain_filling(unit.filling),
        "version": PRODUCT_VERSION,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def _plain_filling(filling: Filling) -> dict[str, Any]:
    """Returns what of a filling decides a product, under the names that targets were made with."""
    return {
        "realizations": plain_passes(filling.passes),
        "seed": filling.seed,
        "samples": filling.samples,
        "checkpoint": None,
    }


def _name_content(record: DayRecord) -> str:
    # What the first version of the ledger recorded has no hash; every write gives a store a name of
    # its own.
    return record.content_hash or record.store


def _hold(unit: ProductTask, opened: _Opened, target: str) -> DayReport:
    path = opened.products.locate(unit.source, unit.day)
    return DayReport(source=unit.source, day=unit.day, status="held", product=path, target=target)


def _make(unit: ProductTask, opened: _Opened, curtain: xr.Dataset, record: DayRecord) -> xr.Dataset:
    """Returns the product of a unit."""
    entry, network, filling = opened.sources[unit.source], opened.network, unit.filling
    # Before the partners are opened: of one that comes anew meanwhile the product must not claim to
    # be made.
    target = _find_target(unit, opened, record)
    collocated = curtain
    if network.preprocessing.uses_collocated:
        collocated = open_collocated(opened.archive, opened.sources, unit.source, unit.day)
    with stage(f"fill {unit.day:%m-%d}") as on_progress:
        fill = network.fill(
            collocated,
            passes=filling.passes,
            seed=filling.seed,
            members=filling.samples,
            on_progress=on_progress,
            where=f"{unit.source} {unit.day}",
        )
    return network.build(
        curtain,
        fill,
        _describe(unit, target, record, opened, entry.describe(curtain.attrs), fill),
        collocated=collocated,
        frequency_ghz=entry.find_frequency(curtain.attrs),
        floor_dbz=entry.quality.sensitivity_floor_dbz,
    )


def _describe(
    unit: ProductTask,
    target: str,
    record: DayRecord,
    opened: _Opened,
    described: SourceDescription,
    fill: xr.Dataset,
) -> Provenance:
    """Returns where a product comes from."""
    entry, passes = opened.sources[unit.source], unit.filling.passes
    return Provenance(
        source=unit.source,
        unit=unit.day,
        target=target,
        title=described.title,
        instrument=described.instrument,
        site=described.site,
        institution=described.institution,
        creator=described.creator,
        publisher=described.publisher,
        licence=described.licence,
        references=described.reference,
        simulated=entry.simulation is not None,
        source_files=tuple((file.name, file.sha256) for file in record.contributing),
        source_file_uuids=tuple(file.uuid for file in record.contributing if file.uuid),
        checkpoint_sha256=opened.network.checkpoint.sha256,
        passes=round(float(fill["realizations_used"].mean())),
        tolerance_db=passes.tolerance_db if isinstance(passes, AdaptiveSampling) else None,
        seed=unit.filling.seed,
        software_version=version("blindzone"),
        configuration=opened.network.describe(passes, record.configuration),
        created=datetime.now(UTC),
    )


def _measure(product: xr.Dataset, trained: Checkpoint) -> dict[str, float]:
    """Returns what a product is like, and how far its input lies from what the network was taught on, if known."""
    reference = find_reference(trained.calibration)
    drift = {} if reference is None else measure_drift(product, reference)
    return measure_product(product) | drift


def _draw(product: xr.Dataset, path: str) -> None:
    """Draws a product beside it, if it lies in a folder; one that cannot be drawn is a product all the same."""
    if "://" in path:
        return
    try:
        draw_product(product, Path(path).with_suffix(".webp"))
    except ProductError as error:
        logger.warning("no picture: %s", error)


def _score(product: xr.Dataset, status: xr.DataArray) -> dict[str, float]:
    """Returns a product's scores against what was hidden; nothing where the radar itself is blind there."""
    filled = np.isfinite(product["hydrometeor_probability"].values)
    if not (filled & find_scored(status.values)).any():
        return {}
    return score_product(product, status, floor_dbz=float(product["sensitivity_floor"]))[
        "fill"
    ].scores()


def _settle(place: str | Path) -> str:
    text = str(place)
    return text if "://" in text else str(Path(text).absolute())
