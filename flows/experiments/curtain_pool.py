"""The pool of curtains that a trunk is pretrained on: all radars' days on one grid."""

from __future__ import annotations

from collections.abc import Iterator

from blindzone.core.errors import ArchiveError, WindowError
from blindzone.flows.experiments.training_data import find_differences
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import SourceData
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog


def find_pool(places: DataPlaces, window_profiles: int) -> tuple[str, ...]:
    """Returns the names of the measured radar sources to be pooled, the one with most days first.

    The others have its grid, spacing of profiles and sensitivity floor. A source without a whole
    window is left out.

    Args:
        places: Where catalogue and archive are.
        window_profiles: Width of a window.

    Raises:
        CatalogError: If the catalogue cannot be used.
        WindowError: If no measured radar is archived.
    """
    catalog, archive = read_catalog(places.catalog), Archive(places.archive_address)
    found = sorted(
        _list_radars(
            [SourceData(name=name, catalog=catalog, archive=archive) for name in catalog],
            window_profiles,
        ),
        key=lambda source: -len(source.days),
    )
    if not found:
        raise WindowError(
            "no measured radar is archived with a window of"
            f" {window_profiles} profiles: 'blindzone ingest SOURCE' archives one"
        )
    first = found[0]
    return tuple(source.name for source in found if not find_differences(first, source))


def _list_radars(sources: list[SourceData], window_profiles: int) -> Iterator[SourceData]:
    for source in sources:
        if source.entry.simulation is None and source.entry.emulate is None and source.days:
            try:
                curtain = source.archive.open_day(source.name, source.days[0])
            except ArchiveError:  # training meets it again, and reports it
                continue
            if "reflectivity" in curtain and curtain.sizes["time"] >= window_profiles:
                yield source
