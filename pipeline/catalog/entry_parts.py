"""Parts of a catalogue entry: its days, its simulation, and the sources at the same place."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CatalogError
from blindzone.core.granule import ObservedDay


@configuration(error=CatalogError, what="split")
class Split:
    """Blocks of whole UTC days: a window for testing never touches a window for training."""

    training: tuple[date, ...] = ()
    """Days to train on."""
    validation: tuple[date, ...] = ()
    """Days to choose among trained states."""
    test: tuple[date, ...] = ()
    """Days to score."""

    def __post_init__(self) -> None:
        days = [*self.training, *self.validation, *self.test]
        shared = sorted({str(day) for day in days if days.count(day) > 1})
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
    """Names of other sources at the same place, whose curtains are put on this one's pixels."""

    state: str | None = None
    """Source of atmospheric state."""
    lidar: str | None = None
    """Source of a lidar's backscatter."""
