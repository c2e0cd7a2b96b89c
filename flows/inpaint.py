"""Inpaint: archived days and a checkpoint to products with the blind zone filled."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from prefect import flow

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.flows.reprocess import ReprocessPlan, find_tasks
from blindzone.flows.running.product_task import Filling, Places, fill_task


@flow(name="inpaint", log_prints=True)
def inpaint(
    source: str,
    start: date,
    end: date,
    output: Path | str | None = None,
    checkpoint: Path | None = None,
    passes: int | AdaptiveSampling = 50,
    seed: int = 0,
    catalog: Path | None = None,
    archive: Path | str | None = None,
    samples: int | None = None,
    force: bool = False,
) -> list[str]:
    """Fills the blind zone of every archived day in a range and writes one product a day.

    Args:
        source: Name of the source in the catalogue.
        start: First UTC day.
        end: Last UTC day, inclusive.
        output: Folder or URL of the products.
        checkpoint: Trained network; by default the source's own, else the weights of the package.
        passes: Number of stochastic forward passes, at least 2, or how well interval bounds
            must be known.
        seed: Seed of the passes; the same seed gives the same product.
        catalog: Catalogue file.
        archive: Folder or URL of the archive.
        samples: Number of coherent fields that may be true, at least 2, to be written beside the
            distribution.
        force: Whether a product that is there already just so is made anew.

    Returns:
        Paths or URLs of the products.

    Raises:
        ArchiveError: If the archive holds no day of the range.
        PlanError: If there are too few realizations or samples.
    """
    plan = ReprocessPlan(
        sources=(source,),
        start=start,
        end=end,
        filling=Filling(passes=passes, seed=seed, samples=samples, checkpoint=checkpoint),
        places=Places(
            catalog=catalog,
            archive=None if archive is None else str(archive),
            products=None if output is None else str(output),
        ),
        force=force,
    )
    units, _ = find_tasks(plan)
    return [str(fill_task(unit).product) for unit in units]
