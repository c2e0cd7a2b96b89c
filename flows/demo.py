"""Demo, the main job from end to end: ingest, fill a day that was not trained on, score it and draw it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import xarray as xr
from prefect import flow

from blindzone.core.errors import CatalogError
from blindzone.flows.experiments.training_plan import RECIPE, read_plan
from blindzone.flows.ingest import ingest_days
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.product_task import Filling, Places, ProductTask, fill_task
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.flows.train import train_plan
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.plots.quicklooks import draw_product
from blindzone.pipeline.verification.curtain_scores import score_product

DEFAULT_SOURCE = "palaiseau_basta"
FALLBACK_SOURCE = "simulated"

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
"""What the demo's table shows of all scores."""


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What a demo made, and how long each stage took [s]."""

    source: str
    day: date
    checkpoint: Path
    product: Path
    picture: Path
    scores: dict[str, dict[str, float]]
    seconds: dict[str, float]


@flow(name="demo", log_prints=True)
def demo(
    source: str = DEFAULT_SOURCE,
    minutes: float | None = None,
    passes: int = 50,
    seed: int = 0,
    output: Path = Path("workspace"),
    catalog: Path | None = None,
) -> DemoReport:
    """Runs the main job on one source and scores a day that the network was not trained on.

    Args:
        source: Name of the source in the catalogue.
        minutes: Wall-clock budget of a training from scratch; without one, the weights of the
            package are used.
        passes: Number of stochastic forward passes.
        seed: Seed of the passes.
        output: Folder of the archive, the checkpoint, the product and the picture.
        catalog: Catalogue file.

    Raises:
        CatalogError: If the catalogue names no day to test on.
    """
    entry = read_catalog(catalog)[source]
    if not entry.split.test:
        raise CatalogError(
            f"{source}: the catalogue's split names no test day, so nothing can be scored honestly"
        )
    day = entry.split.test[0]
    archive, checkpoint = output / "archive", SHIPPED_WEIGHTS
    seconds: dict[str, float] = {}
    with _timed("ingest", seconds):
        report = ingest_days(source, None, None, catalog, archive)
    for refused in report.refusals.values():
        for reason in refused.values():
            print(f"refused: {reason}")
    if minutes is not None:
        checkpoint = output / "checkpoints" / f"{source}.keras"
        plan = read_plan(RECIPE, {"training": {"minutes": minutes}})
        with _timed("train", seconds):
            train_plan(source, catalog, archive, checkpoint, plan, runs=output / "runs")
    with _timed("fill", seconds):
        places = Places(
            catalog=catalog, archive=str(archive), products=str(output / "products")
        ).settle()
        filling = Filling(passes=passes, seed=seed, checkpoint=checkpoint)
        # Made anew each time: what a demo shows is how long it takes.
        made = fill_task(
            ProductTask(source=source, day=day, filling=filling, places=places, force=True)
        )
        product = Path(str(made.product))
    with _timed("score", seconds):
        scores = score_day(source, day, product, archive)
    with _timed("draw", seconds):
        picture = draw_day(product)
    return DemoReport(
        source=source,
        day=day,
        checkpoint=checkpoint,
        product=product,
        picture=picture,
        scores=scores,
        seconds=seconds,
    )


def choose_source(source: str | None, catalog: Path | None) -> tuple[str, str]:
    """Returns the source to run on and a line that says why: a simulated one only where no measured data are found."""
    sources = read_catalog(catalog)
    if source is not None:
        return source, f"source: {source} ({sources[source].title})"
    measured = DEFAULT_SOURCE
    folder = sources.data_directory(measured)
    try:
        days = sources[measured].find_days(folder)
    except CatalogError:
        return (
            FALLBACK_SOURCE,
            (
                f"source: {FALLBACK_SOURCE}, because no measured data of {measured} lie in {folder}"
                " (set BLINDZONE_DATA to the folder that holds them): everything below is made from"
                " simulated curtains"
            ),
        )
    return measured, f"source: {measured} ({sources[measured].title}), {len(days)} days in {folder}"


@step
def score_day(
    source: str, day: date, product: Path, archive: Path | str
) -> dict[str, dict[str, float]]:
    """Returns the scores of a product and of persistence against what the archive holds of that day."""
    status = Archive(archive).open_day(source, day)["detection_status"].load()
    with xr.open_dataset(product, engine="h5netcdf") as dataset:
        sums = score_product(dataset, status, floor_dbz=float(dataset["sensitivity_floor"]))
    return {scheme: found.scores() for scheme, found in sums.items()}


@step
def draw_day(product: Path) -> Path:
    """Draws a product beside it and returns the picture's path."""
    picture = product.with_suffix(".png")
    with xr.open_dataset(product, engine="h5netcdf") as dataset:
        draw_product(dataset.load(), picture)
    return picture


@contextmanager
def _timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started
