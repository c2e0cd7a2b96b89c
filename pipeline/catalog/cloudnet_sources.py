"""Sources of the catalogue made of a Cloudnet site's files: radar, lidar, model, surface.

Each instrument and each model becomes one source in a folder of its own. A file there is called by
its day, whatever the portal calls it: the portal adds identifiers to names when it processes anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cloudnet_api_client.containers import ProductMetadata, Site

from blindzone.core.errors import FetchError
from blindzone.pipeline.catalog.data_use import DATA_USE_FILE
from blindzone.pipeline.catalog.fetching import CloudnetPortal
from blindzone.pipeline.catalog.portal_source import OnBytes, Partner, PortalSource

LICENCE = "CC BY 4.0"
"""Licence of Cloudnet data (https://docs.cloudnet.fmi.fi, 'License')."""
LICENCE_ADDRESS = "https://creativecommons.org/licenses/by/4.0/"

READERS = {
    "radar": "cloudnet_radar",
    "lidar": "ceilometer",
    "model": "cloudnet_model",
    "weather-station": "cloudnet_weather_station",
    "disdrometer": "cloudnet_disdrometer",
}
"""Products that are fetched, as the portal calls them, each with the reader of its files."""
PARTNERS = {"lidar": "lidar", "state": "model"}
"""What a radar's entry calls its collocated sources, and their products."""
SURFACE_PRODUCTS = ("weather-station", "disdrometer")
"""Products at the surface below the radar, those first that count where both measure the same."""


@dataclass(frozen=True, kw_only=True)
class SiteSource:
    """Files of one instrument or model at a site.

    Attributes:
        product: Product of the portal, one of `READERS`.
        instrument: Identifier of the instrument or model, such as `basta`.
        instrument_name: The instrument as people call it.
        owners: Who owns it; empty for a model.
        site: The site.
        files: One file a day.
    """

    product: str
    instrument: str
    instrument_name: str
    owners: tuple[str, ...]
    site: Site
    files: Mapping[date, ProductMetadata]

    @property
    def name(self) -> str:
        """Name of the source and of its folder."""
        return _safe(f"cloudnet_{self.site.id}_{self.instrument}")

    @property
    def pattern(self) -> str:
        """Pattern of its files."""
        return f"%Y%m%d_{_safe(self.site.id)}_{_safe(self.instrument)}.nc"

    def at_portal(
        self, portal: CloudnetPortal, partners: Mapping[str, Partner], comment: str
    ) -> PortalSource:
        """Returns the source with what its catalogue entry and its terms of use state.

        Args:
            portal: The portal, which is asked for the terms of one file.
            partners: Names of its collocated sources by their role.
            comment: A line above the entry.
        """
        first = next(iter(self.files.values()))
        use, owners = portal.describe_use(first), ", ".join(self.owners)
        site = _plain(self.site.human_readable_name)
        stated = {
            "instrument": self.instrument_name,
            "site": f"{site}, {self.site.country}",
            "institution": owners,
            "creator": use.creator or owners,
            "publisher": use.publisher,
            "licence": LICENCE,
            "reference": (
                f"ACTRIS Cloudnet, cite each file's PID: {DATA_USE_FILE} next to the files"
            ),
        }
        stated = {key: _plain(value) for key, value in stated.items() if value}
        return PortalSource(
            name=self.name,
            title=f"{self.instrument_name} at {site}, Cloudnet {self.product.replace('-', ' ')}",
            files={
                day.strftime(self.pattern): CloudnetFile(portal=portal, about=file)
                for day, file in self.files.items()
            },
            pattern=self.pattern,
            reader=READERS[self.product],
            terms={
                "portal": portal.address,
                "site": self.site.id,
                "product": self.product,
                "instrument": self.instrument,
                "licence": LICENCE,
                "licence_address": LICENCE_ADDRESS,
                **asdict(use),
            },
            stated=stated,
            partners=partners,
            comment=comment,
        )


@dataclass(frozen=True, kw_only=True)
class CloudnetFile:
    """A file of the Cloudnet portal.

    Attributes:
        portal: The portal.
        about: What it states of the file.
    """

    portal: CloudnetPortal
    about: ProductMetadata

    @property
    def size(self) -> int:
        """Its size [bytes]."""
        return self.about.size

    def fetch(self, path: Path, on_bytes: OnBytes) -> bool:
        """Fetches the file unless it is there whole, and returns whether it was fetched."""
        return self.portal.fetch_file(self.about, path, on_bytes)

    def describe(self) -> dict[str, Any]:
        """Returns what the portal states of the file: identifiers, checksum, state."""
        return {
            "pid": self.about.pid,
            "uuid": str(self.about.uuid),
            "portal_name": self.about.filename,
            "sha256": self.about.checksum,
            "size": self.about.size,
            "volatile": self.about.volatile,
            "updated_at": self.about.updated_at.isoformat(),
            "instrument_pid": _find_pid(self.about),
        }


def group_sources(files: Iterable[ProductMetadata]) -> list[SiteSource]:
    """Returns the sources that files make, in the order of `READERS`, the fullest first."""
    groups: dict[tuple[str, str], list[ProductMetadata]] = {}
    for file in files:
        if file.product.id in READERS:
            groups.setdefault((file.product.id, _identify(file)), []).append(file)
    sources = [_make_source(group) for group in groups.values()]
    order = list(READERS)
    return sorted(
        sources,
        key=lambda source: (order.index(source.product), -len(source.files), source.instrument),
    )


def choose_sources(
    sources: Sequence[SiteSource], instruments: Sequence[str] = ()
) -> list[SiteSource]:
    """Returns of each product the instruments that are named, else the one with most days.

    Args:
        sources: The sources of a site, the fullest of each product first.
        instruments: Identifiers of instruments and models.

    Raises:
        FetchError: If an instrument that is named has no file.
    """
    known = {source.instrument for source in sources}
    absent = [name for name in instruments if name not in known]
    if absent:
        raise FetchError(
            f"no file of instrument or model {', '.join(absent)}; there are"
            f" {', '.join(sorted(known))}"
        )
    chosen: list[SiteSource] = []
    for product in READERS:
        ours = [source for source in sources if source.product == product]
        chosen += [source for source in ours if source.instrument in instruments] or ours[:1]
    return chosen


def find_partners(sources: Sequence[SiteSource]) -> dict[str, Partner]:
    """Returns the `partners` of a radar's entry among the sources of its site."""
    partners: dict[str, Partner] = {
        role: next(source.name for source in sources if source.product == product)
        for role, product in PARTNERS.items()
        if any(source.product == product for source in sources)
    }
    surface = [
        source.name
        for product in SURFACE_PRODUCTS
        for source in sources
        if source.product == product
    ]
    return partners | ({"surface": surface} if surface else {})


def _identify(file: ProductMetadata) -> str:
    if file.instrument is not None:
        return file.instrument.instrument_id
    return file.model.id if file.model is not None else file.product.id


def _make_source(files: Sequence[ProductMetadata]) -> SiteSource:
    """Returns the source of one instrument's files.

    Of two instruments of one kind at a site, the one with most days counts where both have a file.
    """
    days = Counter(_find_pid(file) for file in files)
    by_day: dict[date, ProductMetadata] = {}
    for file in sorted(files, key=lambda file: (days[_find_pid(file)], _find_pid(file))):
        by_day[file.measurement_date] = file
    main = max(files, key=lambda file: (days[_find_pid(file)], _find_pid(file)))
    instrument, model = main.instrument, main.model
    names = (
        instrument and instrument.model,
        model and model.name,
        main.product.human_readable_name,
    )
    return SiteSource(
        product=main.product.id,
        instrument=_plain(_identify(main)),
        instrument_name=_plain(next(name for name in names if name)),
        owners=instrument.owners if instrument else (),
        site=main.site,
        files=dict(sorted(by_day.items())),
    )


def _find_pid(file: ProductMetadata) -> str:
    return file.instrument.pid if file.instrument else ""


def _plain(text: str) -> str:
    """Returns a text of the portal on one line, without characters that a terminal obeys."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _safe(name: str) -> str:
    """Returns a name that is one of a source and of a file: the portal's may be anything."""
    return re.sub(r"[^A-Za-z0-9_.-]+|\.\.+", "_", name)
