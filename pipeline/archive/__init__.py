"""The zarr archive of gridded curtains: one store a source and unit, made visible by a ledger record.

    ROOT/SOURCE/stores/KEY-XXXXXXXXXXXX.zarr     the unit's curtain, zarr v3, under a name of its
    own for each write ROOT/SOURCE/ledger/KEY.json                  the record that names the unit's
    current store

A unit is a UTC day, or a granule of a spaceborne radar (`ledger`). It is written to a store that
nothing points to; the record is then replaced in one atomic step. A process killed at any instant
therefore leaves the last good state, and what it left without a record is swept away by the unit's
next writer. Writers of one source, threads, processes or machines, take turns by a lock. No other
module writes to the archive, but `care` that mends it. ROOT is a folder, or a URL of an object
store.

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
