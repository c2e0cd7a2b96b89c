"""Product tasks: the product of one source and UTC day, identified by its inputs, made once.

The target of a task is a hash over all inputs of its product: the archived content of the day and
of its collocated sources, the checkpoint, the catalogue entry, the passes, and the version of the
product. A product that states its target is left alone, whoever made it; any other is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.fence import Fence, describe
from blindzone.flows.running.late_network import hash_single, load_network
from blindzone.flows.running.logs import keep_logs, log_context
from blindzone.flows.running.network_choice import read_preprocessing, trained_checkpoint
from blindzone.flows.running.network_status import find_experimental
from blindzone.flows.running.plans import Filling, SettledPlaces, plain_passes
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import DayReport
from blindzone.flows.running.regridding import list_changes, regrid
from blindzone.flows.running.repairing import Repair, prepare_repair
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.models.checkpoint_record import open_record
from blindzone.pipeline.archive import DayRecord
from blindzone.pipeline.archive.collocation import find_collocated
from blindzone.pipeline.catalog.catalog import plain_source
from blindzone.pipeline.catalog.entry_parts import SourceDescription
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.findings import add_up
from blindzone.pipeline.inpainting.range_summary import summarize_range
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import find_reference, measure_drift
from blindzone.pipeline.products.layout import MEMBERS_VERSION
from blindzone.pipeline.products.opening import open_products
from blindzone.pipeline.products.product_statistics import measure_product
from blindzone.pipeline.products.product_store import ProductStore, product_name
from blindzone.pipeline.products.provenance import PRODUCT_VERSION, Provenance
from blindzone.pipeline.products.swath import count_profiles, split_rays
from blindzone.pipeline.verification.curtain_scores import find_scored, score_product
from blindzone.pipeline.verification.statistics import LEAST_CASES

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
"""Keys of a catalogue entry that decide a product."""
_LATER_KEYS = ("institution", "creator", "publisher", "frequency_ghz", "profile_spacing_m")
"""The same, of keys that earlier targets do not have: they count where an entry needs them."""

if TYPE_CHECKING:  # their libraries take seconds to import
    from blindzone.flows.running.trained_network import TrainedNetwork

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunMark:
    """The run that a task belongs to.

    Attributes:
        run: Name of the run.
        flow: Name of its flow.
        log: Its log.
    """

    run: str = ""
    flow: str = ""
    log: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ProductTask:
    """One day, or granule, to be filled.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day, or start of the granule.
        filling: How it is filled, settled.
        places: Where everything is.
        force: Whether a product that is there already is made anew.
        picture: Whether a picture of it is drawn next to it.
        derive: Whether what it implies is written next to it.
        mark: The run that it belongs to.
    """

    source: str
    day: date
    filling: Filling
    places: SettledPlaces
    force: bool = False
    picture: bool = False
    derive: bool = False
    mark: RunMark = RunMark()

    @property
    def checkpoint(self) -> Path:
        """The network that fills it."""
        return (self.filling.checkpoint or trained_checkpoint(self.source)).absolute()


@dataclass(frozen=True, kw_only=True)
class _OpenTask:
    """A task with all that it needs, opened once."""

    task: ProductTask
    data: SourceData
    products: ProductStore
    checkpoint_sha256: str
    single_sha256: str | None
    preprocessing: Preprocessing

    @property
    def product_name(self) -> str:
        """File name of the product."""
        return product_name(self.task.source, self.task.day)

    def find_target(self) -> str:
        """Returns the target by the archive's present record of the day."""
        return _find_target(self, self.data.archive.record(self.task.source, self.task.day))

    def find_unchanged(self) -> DayReport | None:
        """Returns the report of a product that is there already; None if it is to be made."""
        source, day = self.task.source, self.task.day
        target = self.find_target()
        if self.task.force or self.products.find_target(source, day) != target:
            return None
        path = self.products.locate(source, day)
        return DayReport(
            source=source,
            day=day,
            status="unchanged",
            product=path,
            target=target,
            range=self.products.find_range(source, day),
        )


def find_unchanged(task: ProductTask) -> DayReport | None:
    """Returns the report of a task whose product is there already; None if there is work to do.

    Raises:
        BlindzoneError: If archive or products cannot be read.
        ModelError: If the checkpoint cannot be used.
    """
    opened = _open(task)
    report = opened.find_unchanged()
    if report is None or _lacks_picture(task, report) or _lacks_derived(opened, report):
        return None
    return report


@partial(step, runs="{task.source} {task.day}")
def fill_task(task: ProductTask) -> DayReport:
    """Makes the product of a task unless it is there, and returns the report with its scores.

    Raises:
        BlindzoneError: If the day is not there, or does not fit the checkpoint; earlier products
            stay as they were.
        ModelError: If the checkpoint cannot be used.
    """
    import dask  # late: a product that is there unchanged needs none of it

    # On a Dask worker xarray would have the whole cluster read and write the data of this task.
    with _logged(task), dask.config.set(scheduler="threads"):
        return _fill(_open(task))


def _open(task: ProductTask) -> _OpenTask:
    # The record alone: a product that is there needs no network, whose libraries take seconds.
    data = open_source(task.source, task.places.data)
    record = open_record(task.checkpoint)
    preprocessing = read_preprocessing(task.checkpoint, record)
    return _OpenTask(
        task=task,
        data=data,
        products=ProductStore(task.places.products),
        checkpoint_sha256=record.sha256,
        single_sha256=hash_single(task.checkpoint, task.filling.passes),
        preprocessing=preprocessing.fit_zone(data.entry.blind_zone, where=task.source),
    )


def _open_network(opened: _OpenTask) -> TrainedNetwork:
    """Returns the network whose record a task was opened with.

    Raises:
        CheckpointError: If the checkpoint cannot be used, or another one has taken its place.
    """
    network = load_network(
        opened.task.checkpoint,
        opened.task.filling.passes,
        sha256=opened.checkpoint_sha256,
        single_sha256=opened.single_sha256,
    )
    return network.fit_zone(opened.data.entry.blind_zone, where=opened.task.source)


def _fill(opened: _OpenTask) -> DayReport:
    begun = time.monotonic()
    task, data, products = opened.task, opened.data, opened.products
    with products.lock(task.source, task.day):
        # Another run may have made it while this one waited.
        if (report := opened.find_unchanged()) is not None:
            return _complete(opened, report)
        logger.info("begun")
        curtain, record = data.archive.read_granule(task.source, task.day)
        products.check_space(count_profiles(curtain), task.filling.members or 0)
        network = _open_network(opened)
        curtain, changes = _regrid(opened, network, curtain)
        curtain, repair = _prepare(opened, curtain)
        product = _make(opened, network, curtain, record, changes, repair)
        path = products.write(product, task.source, task.day)
    # From here on the day is made, whatever its picture or its numbers do.
    flaws: list[str] = []
    if task.picture:
        with _noting(flaws, "picture"):
            _draw(product, path)
    if task.derive:
        with _noting(flaws, "derived product"):
            _derive(opened, product)
    statistics: dict[str, float] = {}
    with _noting(flaws, "statistics"):
        statistics = _measure(product, network)
    scores: dict[str, float] = {}
    with _noting(flaws, "scores"):
        scores = _score(product, curtain)
    with _noting(flaws, "verification of the lowest visible layer"):
        scores |= _check_visible_layer(curtain, network, task.filling.seed)
    return DayReport(
        source=task.source,
        day=task.day,
        status="created",
        product=path,
        target=str(product.attrs["target_sha256"]),
        seconds=time.monotonic() - begun,
        profiles=count_profiles(product),
        statistics=statistics,
        scores=scores,
        flaws=tuple(flaws),
        range=summarize_range(product["out_of_range_flag"].values),
    )


def _noting(flaws: list[str], what: str) -> Fence:
    """Notes why something besides the product cannot be made in the block."""
    return Fence(lambda error: flaws.append(f"no {what}: {describe(error)}"))


@contextmanager
def _logged(task: ProductTask) -> Iterator[None]:
    """Writes the log records of the block into the log of the task's run, on whatever machine."""
    mark = task.mark
    with log_context(run=mark.run, flow=mark.flow, source=task.source, day=task.day):
        if mark.log is None:
            yield
        else:
            with keep_logs(mark.log, terminal=False):
                yield


def _find_target(opened: _OpenTask, record: DayRecord) -> str:
    """Returns one SHA-256 over all inputs of a task's product."""
    task, data = opened.task, opened.data
    entry = plain_source(data.entry)
    entry["partners"].pop("surface")  # nothing of it reaches a network
    added = {key: entry[key] for key in _LATER_KEYS if entry[key]}
    if data.entry.frequency_ghz == replace(data.entry, frequency_ghz=None).find_frequency():
        added.pop("frequency_ghz", None)  # title or instrument state it already
    collocated: list[Any] = []
    if opened.preprocessing.uses_collocated:
        found = find_collocated(data.archive, data.catalog, task.source, task.day)
        collocated = [_name_content(data.archive.record(*granule)) for granule in found]
    inputs = {
        "source": task.source,
        "unit": str(task.day),
        "content": _name_content(record),
        "files": [[file.name, file.sha256] for file in record.contributing],
        "partners": collocated,
        "checkpoint": opened.checkpoint_sha256,
        "catalog": {key: entry[key] for key in _DECISIVE_KEYS} | added,
        "filling": _plain_filling(task.filling),
        "version": PRODUCT_VERSION,
    }
    if opened.single_sha256 is not None:
        inputs["single_calibration"] = opened.single_sha256
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def _plain_filling(filling: Filling) -> dict[str, Any]:
    """Returns what of a filling decides a product, under the names that targets were made with."""
    plain: dict[str, Any] = {
        "realizations": plain_passes(filling.passes),
        "seed": filling.seed,
        "samples": filling.members,
        "checkpoint": None,
    }
    if filling.repair:
        plain["repair"] = list(filling.repair)
    return plain if filling.members is None else plain | {"members": MEMBERS_VERSION}


def _name_content(record: DayRecord) -> str:
    # Records of the first version of the ledger have no hash; each write names a store anew.
    return record.content_hash or record.store


def _regrid(
    opened: _OpenTask, network: TrainedNetwork, curtain: xr.Dataset
) -> tuple[xr.Dataset, list[str]]:
    """Returns a curtain from above on the grid of its network, and what is coarser, in words."""
    if not looks_down(curtain):
        return curtain, []
    where, preprocessing = opened.data.where(opened.task.day), network.preprocessing
    network.check(curtain, opened.data.entry.find_frequency(curtain.attrs), where=where)
    changes = list_changes(curtain, preprocessing)
    for change in changes:
        logger.info(change)
    return regrid(curtain, preprocessing, where=where), changes


def _prepare(opened: _OpenTask, curtain: xr.Dataset) -> tuple[xr.Dataset, Repair | None]:
    """Returns a curtain with its missing profiles and what is repaired of it, if anything is."""
    kinds = opened.task.filling.repair
    if not kinds:
        return curtain, None
    return prepare_repair(curtain, kinds, None, where=opened.data.where(opened.task.day))


def _make(
    opened: _OpenTask,
    network: TrainedNetwork,
    curtain: xr.Dataset,
    record: DayRecord,
    changes: Sequence[str],
    repair: Repair | None,
) -> xr.Dataset:
    """Returns the product of a task."""
    task, data = opened.task, opened.data
    # Before the collocated fields are read: of those that come anew meanwhile the product must not
    # claim to be made.
    target = _find_target(opened, record)
    collocated = data.read_input(task.day, network.preprocessing, curtain)
    if changes and network.preprocessing.uses_collocated:
        collocated = regrid(collocated, network.preprocessing, where=data.where(task.day))
    described = data.entry.describe(curtain.attrs)
    with stage(f"fill {task.day:%m-%d}") as on_progress:
        return network.make(
            curtain,
            lambda passes: _describe(opened, network, target, record, described, changes, passes),
            passes=task.filling.passes,
            seed=task.filling.seed,
            members=task.filling.members,
            on_progress=on_progress,
            collocated=collocated,
            frequency_ghz=data.entry.find_frequency(curtain.attrs),
            floor_dbz=data.entry.quality.sensitivity_floor_dbz,
            where=data.where(task.day),
            repair=repair,
        )


def _describe(
    opened: _OpenTask,
    network: TrainedNetwork,
    target: str,
    record: DayRecord,
    described: SourceDescription,
    changes: Sequence[str],
    used: float,
) -> Provenance:
    """Returns where a product comes from."""
    task, entry = opened.task, opened.data.entry
    passes = task.filling.passes
    return Provenance(
        source=task.source,
        day=task.day,
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
        profiles_dropped=add_up(file.profiles_dropped for file in record.contributing),
        checkpoint_sha256=network.checkpoint.sha256,
        family=network.checkpoint.config.title,
        experimental=find_experimental(network.checkpoint.sha256),
        intervals=network.status.text,
        is_calibrated=network.status.is_calibrated,
        passes=round(used),
        tolerance_db=passes.tolerance_db if isinstance(passes, AdaptiveSampling) else None,
        seed=task.filling.seed,
        software_version=version("blindzone"),
        configuration=network.describe(
            passes, {**record.configuration, **({"regridded": list(changes)} if changes else {})}
        ),
        created=datetime.now(UTC),
        repaired=task.filling.repair,
        frequency_ghz=described.frequency_ghz,
    )


def _measure(product: xr.Dataset, network: TrainedNetwork) -> dict[str, float]:
    """Returns the statistics of a product, with the drift of its input from the training data."""
    reference = find_reference(network.record)
    drift = {} if reference is None else measure_drift(product, reference)
    return measure_product(product) | drift


def _draw(product: xr.Dataset, path: str) -> None:
    """Draws a product next to it, if it is in a folder; a picture of an earlier one goes first.

    Raises:
        ProductError: If the picture cannot be written.
    """
    if "://" in path:
        return
    from blindzone.pipeline.plots.quicklooks import draw_product

    picture = _locate_picture(path)
    picture.unlink(missing_ok=True)
    draw_product(product, picture)


def _locate_picture(path: str) -> Path:
    return Path(path).with_suffix(".webp")


def _lacks_picture(task: ProductTask, report: DayReport) -> bool:
    """Returns whether a product that is there is to have a picture, and has none."""
    if not task.picture or report.product is None or "://" in report.product:
        return False
    return not _locate_picture(report.product).exists()


def _derive(opened: _OpenTask, product: xr.Dataset) -> None:
    """Writes what a product implies next to it."""
    from blindzone.flows.running.derived_files import GroundData, derive_into

    ground = GroundData(data=opened.data, granule=opened.task.day)
    derive_into(opened.products, product, opened.product_name, ground)


def _lacks_derived(opened: _OpenTask, report: DayReport) -> bool:
    """Returns whether a product that is there is to have a derived one, and has none of it."""
    if not opened.task.derive or report.target is None:
        return False
    from blindzone.flows.running.derived_files import GroundData, is_derived

    ground = GroundData(data=opened.data, granule=opened.task.day)
    return not is_derived(opened.products, opened.product_name, report.target, ground)


def _complete(opened: _OpenTask, report: DayReport) -> DayReport:
    """Returns the report of a product that is there, once what goes with it is there too."""
    place, flaws = report.product, list[str]()
    if place is None:
        return report
    if _lacks_picture(opened.task, report):
        with _noting(flaws, "picture"), open_products(place) as product:
            _draw(product, place)
    if _lacks_derived(opened, report):
        with _noting(flaws, "derived product"), open_products(place) as product:
            _derive(opened, product)
    return replace(report, flaws=tuple(flaws))


def _score(product: xr.Dataset, curtain: xr.Dataset) -> dict[str, float]:
    """Returns a product's scores against the hidden truth; nothing where the radar is blind."""
    found = None
    for ray, measured in zip(split_rays(product), split_rays(curtain), strict=True):
        status = measured["detection_status"]
        filled = np.isfinite(ray["hydrometeor_probability"].values)
        # Of the row at the zone's top a part may be seen, which is no truth of what is below.
        inside = ray["height_bounds"].values[:, 1] <= ray["blind_zone_top"].values[:, None] + 1e-3
        if (filled & inside & find_scored(status.values)).any():
            floor_dbz = float(product["sensitivity_floor"])
            sums = score_product(ray, status, floor_dbz=floor_dbz, schemes=("fill",))["fill"]
            found = sums if found is None else found + sums
    return {} if found is None else found.scores(least=LEAST_CASES)


def _check_visible_layer(
    curtain: xr.Dataset, network: TrainedNetwork, seed: int
) -> dict[str, float]:
    """Returns scores that need no truth, of a radar that looks down; of a swath, of its nadir."""
    from blindzone.flows.running.visible_layer_check import check_visible_layer

    rays = split_rays(curtain)
    nadir = rays[len(rays) // 2]
    return check_visible_layer(nadir, network, seed=seed) if looks_down(nadir) else {}
