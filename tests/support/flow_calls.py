"""Flows in one line, as many tests begin with one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from blindzone.core.forward_passes import Passes
from blindzone.flows.running import ingestion
from blindzone.flows.running.ingestion import GranuleFiles, IngestPlan
from blindzone.flows.running.plans import DataPlaces, Filling, Places
from blindzone.flows.running.records import IngestReport
from blindzone.pipeline.archive import Change


def plan_ingest(
    source: str,
    start: date | None = None,
    end: date | None = None,
    catalog: Path | None = None,
    archive: object = None,
) -> IngestPlan:
    """Returns the plan of an ingest."""
    places = DataPlaces(catalog=catalog, archive=None if archive is None else str(archive))
    return IngestPlan(source=source, start=start, end=end, places=places)


def ingest_days(
    source: str, start: date | None, end: date | None, catalog: Path | None, archive: object
) -> IngestReport:
    """Returns the outcome of an ingest."""
    return ingestion.ingest_days(plan_ingest(source, start, end, catalog, archive))


def ingest_granule(
    source: str,
    granule: date,
    files: tuple[Path, ...],
    catalog: Path | None,
    archive: object,
    reaching: tuple[Path, ...] = (),
) -> tuple[Change, dict[str, str]]:
    """Returns the outcome of the ingest of one granule."""
    found = GranuleFiles(granule=granule, own=files, reaching=reaching)
    return ingestion.ingest_granule(plan_ingest(source, None, None, catalog, archive), found)


def fill_days(
    source: str,
    start: date,
    end: date,
    products: Path,
    checkpoint: Path,
    passes: Passes,
    catalog: Path | None,
    archive: object,
    *,
    seed: int = 0,
    members: int | None = None,
) -> list[str]:
    """Returns the paths of the products of days."""
    from blindzone.flows.inpaint import InpaintPlan, inpaint

    filling = Filling(passes=passes, seed=seed, members=members, checkpoint=checkpoint)
    places = Places(catalog=catalog, archive=str(archive), products=str(products))
    return inpaint.fn(
        InpaintPlan(source=source, start=start, end=end, filling=filling, places=places)
    )
