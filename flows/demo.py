"""Demo, the whole job: ingest, fill a day that was not trained on, score it and draw it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CatalogError, FetchError, PlanError
from blindzone.core.forward_passes import FixedPasses
from blindzone.flows.experiments.training_plan import RECIPE, read_plan
from blindzone.flows.experiments.training_run import TrainingTask, run_training
from blindzone.flows.running.ingestion import IngestPlan, ingest_days
from blindzone.flows.running.network_in_use import read_network_in_use
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.prefect_steps import late_flow, step
from blindzone.flows.running.product_task import ProductTask, fill_task
from blindzone.flows.running.progress import stage
from blindzone.flows.running.records import DayReport, list_ranges
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.catalog.fetching import CloudnetPortal, ask_within
from blindzone.pipeline.plots.quicklooks import draw_product
from blindzone.pipeline.verification.curtain_scores import score_product

DEFAULT_SOURCE = "palaiseau_basta"
FALLBACK_SOURCE = "simulated"
PORTAL_SITE, PORTAL_INSTRUMENT = "palaiseau", "basta"
"""What the Cloudnet portal calls the default source."""
PATIENCE_S = 10.0
"""How long the portal may take to answer [s]."""

SHOWN_SCORES = (
    "POD",
    "FAR",
    "CSI",
    "Dice",
    "frequency bias",
    "MAE [dB]",
    "MAE hits [dB]",
    "RMSE hits [dB]",
    "Brier",
    "coverage 90 %",
    "coverage 90 % echo",
    "width 90 % [dB]",
)
"""Scores in the demo's table."""


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """Results of a demo, and the duration of each stage [s]."""

    source: str
    day: date
    checkpoint: Path
    product: Path
    picture: Path
    scores: dict[str, dict[str, float]]
    seconds: dict[str, float]


@configuration(error=PlanError, what="demo")
class DemoPlan:
    """What is demonstrated."""

    source: str = DEFAULT_SOURCE
    """Name of the source in the catalogue."""
    minutes: float | None = None
    """Wall-clock budget of a training from scratch; without one, the weights of the package are
    used."""
    passes: FixedPasses = 50
    """Number of stochastic forward passes, or `single`: one pass without dropout."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the passes."""
    output: Path = Path("workspace")
    """Folder of the archive, the checkpoint, the product and the picture."""
    catalog: Path | None = None
    """Catalogue file; by default data_catalog.yaml."""

    @property
    def places(self) -> Places:
        """Where everything is."""
        return Places(
            catalog=self.catalog,
            archive=str(self.output / "archive"),
            products=str(self.output / "products"),
        )


@late_flow("demo")
@also_takes(
    DemoPlan,
    source="source",
    minutes="minutes",
    passes="passes",
    seed="seed",
    output="output",
    catalog="catalog",
)
def demo(plan: DemoPlan) -> DemoReport:
    """Runs the main job on one source and scores a day that the network was not trained on.

    Args:
        plan: What is demonstrated.

    Raises:
        CatalogError: If the catalogue names no day to test on.
    """
    places = plan.places.settle()
    data = open_source(plan.source, places.data)
    day = _choose_day(data)
    seconds: dict[str, float] = {}
    with _timed("ingest", seconds):
        report = ingest_days(IngestPlan(source=plan.source, places=places.data))
    for _, _, reason in report.list_rejections():
        print(f"rejected: {reason}")
    checkpoint = SHIPPED_WEIGHTS
    if plan.minutes is not None:
        with _timed("train", seconds):
            checkpoint = _train(plan, plan.minutes)
    print(
        read_network_in_use(
            checkpoint, data.entry.blind_zone, where=plan.source, passes=plan.passes
        )
    )
    with _timed("fill", seconds):
        filled = _fill(plan, day, checkpoint)
    product = Path(str(filled.product))
    for line in list_ranges([filled]):
        print(line)
    with _timed("score", seconds):
        scores = score_day(plan.source, day, product, places.archive)
    with _timed("draw", seconds):
        picture = draw_day(product)
    return DemoReport(
        source=plan.source,
        day=day,
        checkpoint=checkpoint,
        product=product,
        picture=picture,
        scores=scores,
        seconds=seconds,
    )


def _choose_day(data: SourceData) -> date:
    if not data.entry.split.test:
        raise CatalogError(
            f"{data.name}: the catalogue's split names no test day, so nothing can be scored"
            " honestly"
        )
    return data.entry.split.test[0]


def _train(plan: DemoPlan, minutes: float) -> Path:
    """Trains a network and returns its checkpoint."""
    task = TrainingTask(
        source=plan.source,
        places=plan.places.settle().data,
        checkpoint=plan.output / "checkpoints" / f"{plan.source}.keras",
        runs=plan.output / "runs",
    )
    report = run_training(task, read_plan(RECIPE, {"training": {"minutes": minutes}}))
    if not report.in_use:
        print(f"trained network kept in its run alone: {report.contest}")
    return report.checkpoint


def _fill(plan: DemoPlan, day: date, checkpoint: Path) -> DayReport:
    """Fills a day, whether or not its product is there, and returns the outcome."""
    task = ProductTask(
        source=plan.source,
        day=day,
        filling=Filling(passes=plan.passes, seed=plan.seed, checkpoint=checkpoint),
        places=plan.places.settle(),
        force=True,  # a demo shows how long it takes
    )
    return fill_task(task)


def choose_source(
    source: str | None, catalog: Path | None, portal: str | None = None
) -> tuple[str, str]:
    """Returns the source to run on, and the reason.

    Without measured data a day is fetched; simulated curtains come where that cannot be done.

    Args:
        source: Name of the source that was asked for; none for the one that there are data of.
        catalog: Catalogue file.
        portal: Base URL of the portal that is asked for a day; none to ask nobody.
    """
    sources = read_catalog(catalog)
    if source is not None:
        return source, f"source: {source} ({sources[source].title})"
    measured = DEFAULT_SOURCE
    folder = sources.data_directory(measured)
    try:
        days = sources[measured].find_days(folder)
    except CatalogError:
        return _fetch_or_simulate(sources[measured], folder, portal)
    return measured, f"source: {measured} ({sources[measured].title}), {len(days)} days in {folder}"


def _fetch_or_simulate(entry: Source, folder: Path, portal: str | None) -> tuple[str, str]:
    absent = f"no measured data of {entry.name} are in {folder}"
    hint = "set BLINDZONE_DATA to the folder that holds them"
    if portal is not None:
        print(f"{absent}: asking {portal} for a day", file=sys.stderr)
        try:
            path = fetch_test_day(entry, folder, portal)
        except FetchError as error:
            hint += f"; none could be fetched: {error}"
        else:
            return entry.name, (
                f"source: {entry.name} ({entry.title}), of which a day that no network was trained"
                f" on was fetched to {path}, because {absent}; {entry.licence}, {entry.reference}"
            )
    return FALLBACK_SOURCE, (
        f"source: {FALLBACK_SOURCE}, because {absent} ({hint}): everything below is made from"
        " simulated curtains"
    )


def fetch_test_day(entry: Source, folder: Path, portal: str) -> Path:
    """Fetches the first test day of the default source and returns its file.

    Args:
        entry: Catalogue entry of the source.
        folder: Data directory.
        portal: Base URL of the Cloudnet portal.

    Raises:
        FetchError: If the portal has not answered within `PATIENCE_S`, or the day cannot be had.
    """
    day = entry.split.test[0]
    asked = CloudnetPortal(portal, timeout_s=PATIENCE_S, attempts=1)
    files = ask_within(PATIENCE_S, lambda: asked.find_files(PORTAL_SITE, day, day, ("radar",)))
    ours = [
        file
        for file in files
        if file.instrument and file.instrument.instrument_id == PORTAL_INSTRUMENT
    ]
    if not ours:
        raise FetchError(f"{portal}: no {PORTAL_INSTRUMENT} of {PORTAL_SITE} on {day}")
    path = folder / entry.directory / day.strftime(entry.files)
    with stage("fetch") as on_progress:
        asked.fetch_file(ours[0], path, lambda received: on_progress(received / ours[0].size))
    return path


@step
def score_day(
    source: str, day: date, product: Path, archive: Path | str
) -> dict[str, dict[str, float]]:
    """Returns the scores of a product and of persistence against the archived truth of a day."""
    status = Archive(archive).open_day(source, day)["detection_status"].load()
    with xr.open_dataset(product, engine="h5netcdf") as dataset:
        sums = score_product(dataset, status, floor_dbz=float(dataset["sensitivity_floor"]))
    return {scheme: found.scores() for scheme, found in sums.items()}


@step
def draw_day(product: Path) -> Path:
    """Draws a product next to it and returns the picture's path."""
    picture = product.with_suffix(".png")
    with xr.open_dataset(product, engine="h5netcdf") as dataset:
        draw_product(dataset.load(), picture)
    return picture


@contextmanager
def _timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started
