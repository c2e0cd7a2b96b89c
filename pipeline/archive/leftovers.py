"""Files of an archive that no record names: what killed writers left behind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import find_granules
from blindzone.pipeline.archive.reading import ArchiveReader, guard

_KEY = r"(\d{8}(?:T\d{6})?)"
_STORE = re.compile(rf"\.?{_KEY}-.*\.(zarr|partial)")
_PARTIAL = re.compile(rf"\.{_KEY}\..*partial")
_NOTE = re.compile(rf"{_KEY}\.(absent|damaged)\.json")


def find_leftovers(archive: ArchiveReader, source: str) -> dict[str, Granule]:
    """Returns the names of files that no record names, each with its granule.

    Stores of a damaged record, and those next to a record whose store is lost, are none: they may
    hold the last copy of its data. What a living writer is writing is among them, so that they may
    be removed under the source's lock alone.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    with guard(archive.storage.locate(source), "read"):
        ledger = archive.storage.list_names(f"{source}/ledger")
        stores = archive.storage.list_names(f"{source}/stores")
    archived = {granule.key for granule in find_granules(ledger)}
    keys = {name: match[1] for name in stores if (match := _STORE.fullmatch(name))}
    counts = Counter(keys.values())
    # The only store of a record is its own, or the last copy: no record need be read for it.
    doubted = {key for key in counts if counts[key] > 1 or key not in archived}
    own, spared = _read_own(archive, source, doubted & archived, set(stores))
    spared |= {granule.key for granule in find_granules(ledger, ".damaged.json")}
    found = {
        f"{source}/stores/{name}": key
        for name, key in keys.items()
        if key in doubted - spared and name not in own
    }
    for name in ledger:
        match = _PARTIAL.fullmatch(name) or _NOTE.fullmatch(name)
        if match and (match.re is _PARTIAL or match[1] in archived):
            found[f"{source}/ledger/{name}"] = match[1]
    return {name: Granule.parse(key) for name, key in found.items()}


def _read_own(
    archive: ArchiveReader, source: str, keys: Iterable[str], stores: set[str]
) -> tuple[set[str], set[str]]:
    """Returns the stores that records name, and the keys without a readable record or its store."""
    days = [Granule.parse(key).start for key in keys]
    records, _ = archive.read_records(source, days)
    whole = {day: record.store for day, record in records.items() if record.store in stores}
    return set(whole.values()), {Granule.of(day).key for day in days if day not in whole}
