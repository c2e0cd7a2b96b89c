"""Granule: one UTC day, or one granule of a spaceborne radar, with its key for file names.

A day is a `date`; a satellite granule is a `datetime`, its start to the second, UTC without a
time zone.
`datetime` is a subclass of `date`, so functions that take either say `date`. They call `Granule.of`
at the door and use the granule from there on.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from blindzone.core.errors import ArchiveError

EARLIEST, LATEST = date(1950, 1, 1), date(2100, 1, 1)
"""No profile was measured before the first cloud radars of the 1950s (Kollias et al. 2007, doi
10.1175/BAMS-88-10-1608), and none after the second date yet: another year is a slip."""
ObservedDay = Annotated[date, Field(ge=EARLIEST, le=LATEST)]
"""A UTC day on which something may have been measured."""

_KEY = re.compile(r"\d{8}(T\d{6})?")


@functools.total_ordering
@dataclass(frozen=True)
class Granule:
    """One UTC day or one satellite granule, ordered by time; a day precedes the granules on it.

    Attributes:
        kind: `day`, or `granule` for one of a satellite.
        start: The UTC day, or the start to the second, UTC without a time zone.
    """

    kind: Literal["day", "granule"]
    start: date

    @classmethod
    def of(cls, start: date) -> Granule:
        """Returns the granule of a `date` (a day) or a `datetime` (a start, kept to the second).

        Raises:
            ArchiveError: If a start has a time zone.
        """
        if not isinstance(start, datetime):
            return cls("day", start)
        if start.tzinfo is not None:
            raise ArchiveError(
                f"{start.isoformat()}: a granule's start is a UTC time without a time zone"
            )
        return cls("granule", start.replace(microsecond=0))

    @classmethod
    def parse(cls, key: str) -> Granule:
        """Returns the granule of a key.

        Raises:
            ValueError: If the text is no key.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a day (YYYYMMDD) or granule (YYYYMMDDTHHMMSS)")
        day = int(key[:4]), int(key[4:6]), int(key[6:8])
        if len(key) == 8:
            return cls("day", date(*day))
        return cls("granule", datetime(*day, int(key[9:11]), int(key[11:13]), int(key[13:])))

    @property
    def key(self) -> str:
        """The granule in a file name: `YYYYMMDD` of a day, `YYYYMMDDTHHMMSS` of others."""
        if self.kind == "day":
            return f"{self.start:%Y%m%d}".zfill(8)
        return f"{self.start:%Y%m%dT%H%M%S}".zfill(15)

    @property
    def day(self) -> date:
        """The UTC day, or the one on which the satellite granule starts."""
        return self.start.date() if isinstance(self.start, datetime) else self.start

    def is_between(self, first: Granule | None, last: Granule | None) -> bool:
        """Returns whether the granule is in a range, both ends included.

        A day and a satellite granule are compared by the day alone: a range that ends with a day
        includes all granules on it.

        Args:
            first: First granule of the range; open if `None`.
            last: Last granule of the range; open if `None`.
        """
        return (first is None or not self._precedes(first)) and (
            last is None or not last._precedes(self)
        )

    def _precedes(self, other: Granule) -> bool:
        shared = min(len(self.key), len(other.key))
        return self.key[:shared] < other.key[:shared]

    def __lt__(self, other: Granule) -> bool:
        return self.key < other.key
