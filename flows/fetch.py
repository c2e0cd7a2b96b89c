"""Fetch: a Cloudnet site's files from the data portal, with entries in the catalogue."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, get_args

from blindzone.core.configuration import configuration
from blindzone.core.errors import FetchError, PlanError
from blindzone.flows.running.fetched import FetchReport, fetch_sources
from blindzone.flows.running.plans import check_range
from blindzone.flows.running.prefect_steps import late_flow
from blindzone.pipeline.catalog.catalog_writing import open_catalog_text
from blindzone.pipeline.catalog.cloudnet_sources import (
    SiteSource,
    choose_sources,
    find_partners,
    group_sources,
)
from blindzone.pipeline.catalog.fetching import PORTAL, CloudnetPortal

Product = Literal["radar", "lidar", "model", "weather-station", "disdrometer"]


@configuration(error=PlanError, what="fetch")
class FetchPlan:
    """What is fetched from the Cloudnet portal, and where to."""

    site: str
    """Identifier or name of the site."""
    start: date
    """First UTC day."""
    end: date
    """Last UTC day, inclusive."""
    products: tuple[Product, ...] = get_args(Product)
    """Products; of each the instrument or model with most days."""
    instruments: tuple[str, ...] = ()
    """Identifiers of instruments and models to be fetched instead of those."""
    output: Path | None = None
    """Folder below which each source has one; by default the data directory."""
    catalog: Path | None = None
    """Catalogue file that entries are added to; by default the user's."""
    portal: str = PORTAL
    """Base URL of the portal's interface."""

    def __post_init__(self) -> None:
        check_range(self.start, self.end)


@late_flow("fetch")
def fetch(plan: FetchPlan) -> FetchReport:
    """Fetches a Cloudnet site's files and adds entries for them to the catalogue.

    A file that is there with the checksum that the portal states is not fetched again.

    Args:
        plan: What is fetched, and where to.

    Raises:
        FetchError: If the portal does not answer or has no such files, or nothing can be written.
        CatalogError: If the catalogue cannot be used, or has a source of one's name elsewhere.
    """
    catalog = open_catalog_text(plan.catalog)  # refused before anything is asked
    portal = CloudnetPortal(plan.portal)
    found = _find_sources(plan, portal)
    chosen = choose_sources(found, plan.instruments)
    partners = find_partners(chosen)
    sources = [
        source.at_portal(
            portal,
            partners if source.product == "radar" else {},
            f"Fetched by 'blindzone fetch cloudnet {source.site.id}'.",
        )
        for source in chosen
    ]
    left_out = [_say(source) for source in found if source not in chosen]
    return fetch_sources(sources, catalog, plan.output, left_out)


def _find_sources(plan: FetchPlan, portal: CloudnetPortal) -> list[SiteSource]:
    """Returns the sources of a plan's site, at least one and a radar if one is asked for."""
    site = portal.find_site(plan.site)
    files = portal.find_files(site.id, plan.start, plan.end, plan.products)
    sources = group_sources(file for file in files if file.product.id in plan.products)
    lacking = "radar" if "radar" in plan.products else " or ".join(plan.products)
    wanted = [source for source in sources if source.product == "radar" or lacking != "radar"]
    if not wanted:
        others = ", ".join(map(_say, sources)) or "nothing else that is asked for either"
        raise FetchError(
            f"{portal.address}: no {lacking} of {site.id} from {plan.start} to {plan.end}; there is"
            f" {others}"
        )
    return sources


def _say(source: SiteSource) -> str:
    days = len(source.files)
    return f"{source.product} {source.instrument} ({days} day{'' if days == 1 else 's'})"
