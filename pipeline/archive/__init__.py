"""The zarr archive of gridded curtains: one store per granule, made visible by a ledger record.

    ROOT/SOURCE/stores/KEY-XXXXXXXXXXXX.zarr    a granule's curtain, zarr v3; a new name each write
    ROOT/SOURCE/ledger/KEY.json                 the record that names the granule's current store

A granule is a UTC day of a source, or a granule of a spaceborne radar (`core.granule`). It is
written to a new store; then its record is replaced in one atomic step. A process killed at any
instant leaves the last good state. The granule's next writer removes what has no record. Writers of
one source (threads, processes or machines) take turns by a lock. Only `writing`, and `care` for
repairs, write to the archive. ROOT is a folder, or a URL of an object store.

A range of days is one line, and so is one day without this package:

    Archive(root).open_range("palaiseau_basta", date(2021, 2, 1), date(2021, 3, 30))
    xr.open_zarr(path, consolidated=False)
"""

from blindzone.pipeline.archive.ledger import (
    AbsentRecord,
    DayRecord,
    FileRecord,
    Verdict,
    describe_file,
)
from blindzone.pipeline.archive.writing import Archive, Change, Outcome

__all__ = [
    "AbsentRecord",
    "Archive",
    "Change",
    "DayRecord",
    "FileRecord",
    "Outcome",
    "Verdict",
    "describe_file",
]
