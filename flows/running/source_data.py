"""One source's archived days, opened once: what steps of flows pass on as one value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import xarray as xr

from blindzone.flows.running.plans import DataPlaces
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import open_collocated
from blindzone.pipeline.catalog.catalog import Catalog, Source, read_catalog
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.verification.visible_layer import LayerView

if TYPE_CHECKING:  # an ingest needs no preprocessing, and its import takes time
    from blindzone.pipeline.network_input.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class SourceData:
    """A source of a catalogue, and the archive that holds its days.

    Attributes:
        name: Name of the source.
        catalog: The catalogue.
        archive: The archive.
        view: The layer that is hidden and scored, if curtains are read for that.
    """

    name: str
    catalog: Catalog
    archive: Archive
    view: LayerView | None = None

    @property
    def entry(self) -> Source:
        """The catalogue's entry of the source, its blind zone as deep as the view's layer."""
        entry = self.catalog[self.name]
        if self.view is None or self.view.depth_m is None:
            return entry
        return replace(entry, blind_zone=replace(entry.blind_zone, top_m=self.view.depth_m))

    @property
    def ground(self) -> Source:
        """The entry that its files are read by: of an emulated source, that of the ground radar."""
        emulation = self.entry.emulate
        return self.entry if emulation is None else self.catalog[emulation.of]

    @property
    def days(self) -> tuple[date, ...]:
        """The days, or granules, that are archived, in order."""
        return self.archive.days(self.name)

    def where(self, day: date) -> str:
        """Returns what a day is called in messages."""
        return f"{self.name} {day}"

    def read(self, day: date) -> xr.Dataset:
        """Returns the curtain of a day `(time, height)`.

        Raises:
            ArchiveError: If the archive lacks the day.
            CurtainError: If it holds no radar echo.
        """
        curtain, _ = self.archive.read_granule(self.name, day)
        check_radar(curtain, where=self.where(day))
        return self._view(curtain)

    def _view(self, curtain: xr.Dataset) -> xr.Dataset:
        return curtain if self.view is None else self.view.apply(curtain, self.entry.grid)

    def read_input(
        self, day: date, preprocessing: Preprocessing, curtain: xr.Dataset | None = None
    ) -> xr.Dataset:
        """Returns a day's curtain `(time, height)` with collocated fields, if a network uses them.

        Args:
            day: UTC day, or start of the granule.
            preprocessing: How curtains become input of the network.
            curtain: The curtain without these fields, if it has been read.

        Raises:
            ArchiveError: If the archive lacks the day.
        """
        if preprocessing.uses_collocated:
            return self._view(open_collocated(self.archive, self.catalog, self.name, day).load())
        if curtain is None:
            return self._view(self.archive.read_granule(self.name, day)[0])
        return curtain

    def hash_content(self, days: Iterable[date]) -> str:
        """Returns one SHA-256 over the content of days according to the archive's ledger."""
        records = {day: self.archive.record(self.name, day) for day in sorted(days)}
        content = {str(day): record.content_hash or record.store for day, record in records.items()}
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def open_source(name: str, places: DataPlaces, view: LayerView | None = None) -> SourceData:
    """Returns the data of a source.

    Args:
        name: Its name in the catalogue.
        places: Where catalogue and archive are.
        view: The layer that is hidden and scored, if curtains are read for that.

    Raises:
        CatalogError: If the catalogue cannot be used, or lacks the source.
    """
    catalog = read_catalog(places.catalog)
    catalog.check_known(name)
    archive = Archive(places.archive_address)
    return SourceData(name=name, catalog=catalog, archive=archive, view=view)
