"""Fetch EarthCARE: frames of its cloud radar from ESA, with entries in the catalogue."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.flows.running.fetched import FetchReport, fetch_sources
from blindzone.flows.running.plans import check_range
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.pipeline.catalog.catalog_writing import open_catalog_text
from blindzone.pipeline.catalog.earthcare_portal import Area, check_token, find_frames

Product = Literal["CPR_NOM_1B", "CPR_FMR_2A"]


@configuration(error=PlanError, what="fetch")
class FetchEarthcarePlan:
    """Which frames are fetched, and where to."""

    start: date
    """First UTC day."""
    end: date
    """Last UTC day, inclusive."""
    products: tuple[Product, ...] = ("CPR_FMR_2A",)
    """Products of the cloud radar."""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Latitude of the place that the frames pass [degrees_north]; anywhere by default."""
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Longitude of that place [degrees_east]."""
    radius_km: Annotated[float, Field(gt=0)] = 100.0
    """How far from it they may pass [km]."""
    output: Path | None = None
    """Folder below which each source has one; by default the data directory."""
    catalog: Path | None = None
    """Catalogue file that entries are added to; by default the user's."""

    def __post_init__(self) -> None:
        check_range(self.start, self.end)
        if (self.latitude is None) != (self.longitude is None):
            raise PlanError("latitude and longitude belong together; one of them is missing")

    @property
    def area(self) -> Area | None:
        """The area that frames pass."""
        if self.latitude is None or self.longitude is None:
            return None
        return Area(latitude=self.latitude, longitude=self.longitude, radius_km=self.radius_km)


@late_flow("fetch-earthcare")
def fetch_earthcare(plan: FetchEarthcarePlan) -> FetchReport:
    """Fetches frames of EarthCARE's cloud radar and adds entries for them to the catalogue.

    Args:
        plan: Which frames, and where to.

    Raises:
        FetchError: If there is no token, the portal does not answer or has no such frames, or
            nothing can be written.
        CatalogError: If the catalogue cannot be used, or has a source of one's name elsewhere.
    """
    catalog = open_catalog_text(plan.catalog)  # refused before anything is asked
    check_token(os.environ)
    sources = find_frames(plan.products, plan.start, plan.end, plan.area)
    return fetch_sources(sources, catalog, plan.output)
