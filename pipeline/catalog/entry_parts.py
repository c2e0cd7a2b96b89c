"""Parts of a catalogue entry, such as its days and position, and what it says of a source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WrapValidator

from blindzone.core.configuration import configuration
from blindzone.core.errors import CatalogError
from blindzone.core.granule import ObservedDay

_INTERVAL = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{4}-\d\d-\d\d)")
_LONGEST_INTERVAL_DAYS = 3653


def _list_days(stated: Any) -> Any:
    """Returns the days of a list, in which an interval, `START/END` (ISO 8601), is all of its days.

    Raises:
        ValueError: If an interval is none.
    """
    if not isinstance(stated, list | tuple):
        return stated
    return tuple(day for one in stated for day in _list_interval(one))


def _list_interval(stated: Any) -> Iterable[Any]:
    match = _INTERVAL.fullmatch(stated) if isinstance(stated, str) else None
    if match is None:
        return (stated,)
    first, last = map(date.fromisoformat, match.groups())
    if not 0 <= (last - first).days < _LONGEST_INTERVAL_DAYS:
        raise ValueError(
            f"{stated!r} has {(last - first).days + 1} days; START/END with 1 to"
            f" {_LONGEST_INTERVAL_DAYS} days is right"
        )
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _keep_start(stated: Any, check: Callable[[Any], date]) -> date:
    """Returns a day, or a start to the second as it is."""
    if isinstance(stated, str) and "T" in stated:
        stated = datetime.fromisoformat(stated)
    if isinstance(stated, datetime) and stated.tzinfo is None and not stated.microsecond:
        return stated
    return check(stated)


_Start = Annotated[
    date,
    WrapValidator(_keep_start),
    PlainSerializer(lambda start: start.isoformat(), return_type=str, when_used="json"),
]
Days = Annotated[tuple[_Start, ...], BeforeValidator(_list_days)]
"""Days one by one, and intervals of them, `2021-02-01/2021-02-14`; of granules their starts,
`2014-12-06T09:50:02`. A start within a granule is that of a block of it, up to the next one that is
named or its end."""


@configuration(error=CatalogError, what="split")
class Split:
    """Blocks of whole UTC days or granules, or of parts of one along its track.

    A window for testing never touches a window for training.
    """

    training: Days = ()
    """Days to train on."""
    validation: Days = ()
    """Days to choose among trained states."""
    test: Days = ()
    """Days to score."""

    def __post_init__(self) -> None:
        days = [*self.training, *self.validation, *self.test]
        shared = sorted(str(day) for day, count in Counter(days).items() if count > 1)
        if shared:
            raise ValueError(f"each day belongs to one block; in several: {', '.join(shared)}")


@configuration(error=CatalogError, what="simulation")
class Simulation:
    """A source whose files the project's own generator writes."""

    seed: int = 0
    """Seed of the random curtains; a day depends on it and on its date alone."""
    start: ObservedDay = date(2000, 1, 1)
    """First day."""
    days: Annotated[int, Field(ge=0, le=3653)] = 8
    """Number of days."""

    def list_days(self) -> tuple[date, ...]:
        """Returns the simulated days."""
        return tuple(self.start + timedelta(days=number) for number in range(self.days))


@configuration(error=CatalogError, what="period")
class Period:
    """The UTC days of a source, both ends included."""

    start: ObservedDay
    """First day."""
    end: ObservedDay | None = None
    """Last day; none of a source that still measures."""

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ValueError(
                f"starts on {self.start} and ends on {self.end}; start must not be after end"
            )


@configuration(error=CatalogError, what="partners")
class CollocatedSources:
    """Names of other sources at the same place.

    State and lidar are put on this one's pixels; what is measured at the surface on its profiles.
    """

    state: str | None = None
    """Source of atmospheric state."""
    lidar: str | None = None
    """Source of a lidar's backscatter."""
    surface: tuple[str, ...] = ()
    """Sources of surface series, such as a weather station and a disdrometer. Of a quantity that
    several measure, the first counts."""


@configuration(error=CatalogError, what="position")
class Position:
    """Where an instrument is, for files that do not say; and the column to take from an area."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    """Latitude [degrees_north]."""
    longitude: Annotated[float, Field(ge=-180, le=360)]
    """Longitude [degrees_east]."""
    altitude: Annotated[float, Field(ge=-500, le=9000)] | None = None
    """Altitude above mean sea level [m]; unknown by default."""


@dataclass(frozen=True, kw_only=True)
class SourceDescription:
    """Origin and terms of a source: as its entry states them, else as its files do.

    Attributes:
        title: What the source is, in a few words.
        instrument: The instrument.
        site: The site.
        institution: Where the data were produced; empty if not stated.
        creator: Who made the data; empty if not stated.
        publisher: Who offers the data; empty if not stated.
        licence: Terms of use.
        reference: What to cite; empty if not stated.
        frequency_ghz: Radar frequency [GHz]; none if not stated.
    """

    title: str
    instrument: str
    site: str
    institution: str
    creator: str
    publisher: str
    licence: str
    reference: str
    frequency_ghz: float | None
