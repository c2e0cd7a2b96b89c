"""The data catalogue: which sources exist, where their files are and how they are treated.

A source's name becomes the name of a folder, in the archive and elsewhere, so only safe names are
accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, TypeAdapter

from blindzone.core.configuration import (
    LONGEST_TEXT,
    configuration,
    line_of,
    parse_yaml,
    read_plain,
)
from blindzone.core.errors import CatalogError
from blindzone.core.granule import ObservedDay
from blindzone.pipeline.catalog.places import find_catalog, find_data_directory, find_in_cache
from blindzone.pipeline.catalog.source_files import (
    Address,
    check_pattern,
    find_by_day,
    find_newest,
    is_url,
    leads_away,
    names_time,
)
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import QualityRules
from blindzone.pipeline.readers import find_readers

UNKNOWN_LICENCE = "unknown"
"""The licence of a source whose entry states none."""
_FREQUENCY = re.compile(r"(\d+(?:\.\d+)?)[ -]?GHz")


def _known_reader(name: str) -> str:
    known = ("auto", *sorted(find_readers()))
    if name not in known:
        raise ValueError(f"unknown reader {name!r}; known readers: {', '.join(known)}")
    return name


def _known_place(directory: str) -> str:
    if ".." in Path(directory).parts:
        raise ValueError(
            f"{directory!r} must stay inside the data directory; with 'outside: true' it may be"
            " absolute instead"
        )
    return directory


def _safe_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"{name!r} cannot name a source: letters, digits, '_', '-' and '.' are right, and no"
            " '-' or '.' in front"
        )
    return name


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


@configuration(error=CatalogError, what="position")
class Position:
    """Where an instrument is, for files that do not say; and the column to take from an area."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    """Latitude [degrees_north]."""
    longitude: Annotated[float, Field(ge=-180, le=360)]
    """Longitude [degrees_east]."""
    altitude: Annotated[float, Field(ge=-500, le=9000)] | None = None
    """Altitude above mean sea level [m]; unknown by default."""


@configuration(error=CatalogError, what="partners")
class CollocatedSources:
    """Names of other sources at the same place, whose curtains are put on this one's pixels."""

    state: str | None = None
    """Source of atmospheric state."""
    lidar: str | None = None
    """Source of a lidar's backscatter."""


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


@configuration(error=CatalogError, what="catalogue entry")
class SourceEntry:
    """A source of profiles as the catalogue file states it.

    What is left out of title, instrument, site, institution, creator, publisher, licence, reference
    and frequency is taken from the source's files, where they state it.
    """

    directory: Annotated[str, AfterValidator(_known_place)]
    """Folder of its files, relative to the data directory, or the URL of one (`s3://...`); with
    `outside` also absolute."""
    files: Annotated[str, AfterValidator(check_pattern)]
    """Pattern of the files below it, with `%Y` (or `%y`), `%m`, `%d` for the UTC day (or `%j`, the
    day of the year) and `*` for anything but a slash. For granules with `%H`, `%M`, `%S` too."""
    title: str = ""
    """What the source is, in a few words."""
    instrument: str = ""
    """The instrument, as a product names it."""
    site: str = ""
    """The site, likewise."""
    institution: str = ""
    """Where the data are produced."""
    creator: str = ""
    """Who made the data."""
    publisher: str = ""
    """Who offers the data."""
    licence: str = UNKNOWN_LICENCE
    """Terms of use."""
    reference: str = ""
    """What to cite."""
    frequency_ghz: Annotated[float, Field(gt=0)] | None = None
    """Radar frequency [GHz]."""
    outside: bool = False
    """Whether its files may be anywhere on this machine: in an absolute directory, behind links
    that lead out of the data directory, behind a URL of files here (`file://...`), or of a host
    inside this machine or its network."""
    reader: Annotated[str, AfterValidator(_known_reader)] = "auto"
    """Name of the reader, one of `blindzone.pipeline.readers.find_readers()`, or `auto` to
    recognise each file's by its content."""
    unit: Literal["day", "granule"] = "day"
    """What one store of the archive holds: a UTC day, or a `granule` (a file of a spaceborne radar,
    or one that covers several days)."""
    position: Position | None = None
    """Where it is, if its files do not say."""
    first_gate_m: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """Height of the lowest gate above the instrument [m], if its files' heights are wrong."""
    period: Period | None = None
    """Its days; a day in it without a file is recorded as missing."""
    partners: CollocatedSources = CollocatedSources()
    """Sources of state and lidar that belong to it."""
    grid: Grid = Grid()
    """The model grid of its curtains."""
    quality: QualityRules = QualityRules()
    """Its quality rules."""
    blind_zone: BlindZone = BlindZone()
    """The blind zone to hide and fill."""
    split: Split = Split()
    """Days for training, validation and test."""
    simulation: Simulation | None = None
    """Set if its files are simulated."""

    def __post_init__(self) -> None:
        if names_time(self.files) != (self.unit == "granule"):
            raise ValueError(
                f"files: {self.files!r} is wrong for 'unit: {self.unit}': the name of a granule"
                " states its time with %H, %M and %S; among the files of a day '*' stands for the"
                " time"
            )
        if self.simulation is not None and (
            self.outside or is_url(self.directory) or leads_away(self.directory)
        ):
            raise ValueError(
                f"directory: {self.directory!r} is wrong for a simulated source: its files are"
                " written to the cache; a relative directory is right, and no 'outside'"
            )
        if leads_away(self.directory) and not self.outside:
            raise ValueError(
                f"directory: {self.directory!r} may lead out of the data directory; a folder"
                " relative to it is right, or the URL of another store, or 'outside: true' next to"
                " it if it is meant so"
            )


@configuration(error=CatalogError, what="source")
class Source(SourceEntry):
    """One source of profiles: its catalogue entry under its name."""

    name: str = ""
    """Its name in the catalogue, which is no key of the entry."""

    @property
    def full_title(self) -> str:
        """The title, without help from files; it says so if the source is simulated."""
        return self._mark_simulated(self.title or self.name)

    def _mark_simulated(self, title: str) -> str:
        marked = self.simulation is None or "simulated" in title.lower()
        return title if marked else f"{title} (simulated)"

    def describe(self, attributes: Mapping[str, Any] = MappingProxyType({})) -> SourceDescription:
        """Returns origin and terms of the source.

        Args:
            attributes: Global attributes of one of its curtains, native or archived.
        """
        stated = {key: str(value).strip() for key, value in attributes.items()}
        licence = "" if self.licence == UNKNOWN_LICENCE else self.licence
        return SourceDescription(
            title=self._mark_simulated(self.title or stated.get("title") or self.name),
            instrument=(
                self.instrument or stated.get("instrument") or stated.get("source") or self.name
            ),
            site=self.site or stated.get("site") or self.name,
            institution=self.institution or stated.get("institution", ""),
            creator=self.creator or stated.get("creator", ""),
            publisher=self.publisher or stated.get("publisher", ""),
            licence=licence or stated.get("license") or UNKNOWN_LICENCE,
            reference=self.reference or stated.get("references", ""),
            frequency_ghz=self.find_frequency(attributes),
        )

    def find_frequency(self, attributes: Mapping[str, Any] = MappingProxyType({})) -> float | None:
        """Returns the radar frequency [GHz]: of the entry, else of the files, if either states it.

        Entries written before there was a key for it state it in title or instrument.

        Args:
            attributes: Global attributes of one of its curtains.
        """
        stated = self.frequency_ghz or attributes.get("frequency_ghz")
        if stated is not None:
            return float(stated)
        found = _FREQUENCY.search(f"{self.title}; {self.instrument}")
        return float(found[1]) if found else None

    def find_days(
        self, data_directory: Path, start: date | None = None, end: date | None = None
    ) -> dict[date, tuple[Address, ...]]:
        """Returns the source's files by UTC day, or one by one for granules, in order.

        Args:
            data_directory: Folder that `directory` is relative to.
            start: First UTC day; the first that has a file by default.
            end: Last UTC day, inclusive; the last that has a file by default.

        Raises:
            CatalogError: If the folder does not exist or has no file of the pattern, or a file
                is outside the data directory and the entry does not say so.
        """
        return find_by_day(
            self.locate(data_directory),
            self.files,
            root=None if self.outside else data_directory,
            start=start,
            end=end,
        )

    def find_newest(self, data_directory: Path) -> date:
        """Returns the last UTC day, or start of a granule, of which there is a file.

        Raises:
            CatalogError: If the folder does not exist or has no file of the pattern.
        """
        return find_newest(self.locate(data_directory), self.files, outside=self.outside)

    def locate(self, data_directory: Path) -> Address:
        """Returns the folder or the URL of the source's files."""
        return self.directory if is_url(self.directory) else data_directory / self.directory


@configuration(error=CatalogError, what="catalogue")
class _CatalogFile:
    """The content of a catalogue file."""

    version: Literal[1]
    sources: dict[Annotated[str, AfterValidator(_safe_name)], SourceEntry]


class Catalog(Mapping[str, Source]):
    """The sources of a catalogue file by name."""

    def __init__(self, path: Path, sources: Mapping[str, Source]) -> None:
        self.path = path
        self._sources = dict(sources)

    def __getitem__(self, name: str) -> Source:
        self.check_known(name)
        return self._sources[name]

    def check_known(self, name: str) -> None:
        """Raises `CatalogError` unless there is a source of that name."""
        if name not in self._sources:
            raise CatalogError(
                f"{self.path}: no source '{name}'; it has {', '.join(self._sources)}"
            )

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def data_directory(self, name: str) -> Path:
        """Returns the folder that a source's `directory` is relative to.

        Simulated files are the project's own, so they are in the user's cache, one folder a seed.

        Raises:
            CatalogError: If others could have put files there.
        """
        simulation = self[name].simulation
        if simulation is not None:
            return find_in_cache(f"seed{simulation.seed}")
        return find_data_directory()

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def plain_source(source: Source) -> dict[str, Any]:
    """Returns a source's entry as plain values, defaults included."""
    return dict(TypeAdapter(SourceEntry).dump_python(source, mode="json"))


def describe_source(source: Source) -> str:
    """Returns a source's entry as YAML, defaults included."""
    return str(
        yaml.safe_dump(
            plain_source(source),
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=100,
        )
    )


def read_catalog(path: Path | None = None) -> Catalog:
    """Returns the checked catalogue.

    Raises:
        CatalogError: If the file is missing, no YAML, or has an unknown key, an unknown reader or a
            wrong value; the message quotes the line, the key and what would be right.
    """
    path = find_catalog() if path is None else path
    return parse_catalog(path, read_text(path))


def read_text(path: Path) -> str:
    """Returns the text of a catalogue file, line breaks as they are.

    Raises:
        CatalogError: If it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(4 * LONGEST_TEXT)  # a device has no end
        return content.decode("utf-8")
    except OSError as error:
        raise CatalogError(f"{path}: the catalogue cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: the catalogue is not UTF-8 text: {error}") from error


@lru_cache(maxsize=8)
def parse_catalog(path: Path, text: str) -> Catalog:
    """Returns the checked catalogue of a text, as `read_catalog` does.

    A flow asks for it once a day of data, and parsing takes longer than an unchanged day.
    """
    content = parse_yaml(text, where=str(path), error=CatalogError)
    checked = read_plain(_CatalogFile, content, where=str(path), error=CatalogError, text=text)
    _check_collocated(checked.sources, path, text)
    return Catalog(
        path,
        {name: Source(name=name, **vars(entry)) for name, entry in checked.sources.items()},
    )


def _check_collocated(sources: Mapping[str, SourceEntry], path: Path, text: str) -> None:
    for name, entry in sources.items():
        for role, other in (("state", entry.partners.state), ("lidar", entry.partners.lidar)):
            if other is not None and (other not in sources or other == name):
                location = ["sources", name, "partners", role]
                others = ", ".join(known for known in sources if known != name)
                raise CatalogError(
                    f"{path}, line {line_of(text, location)}: {'.'.join(location)}: no other source"
                    f" {other!r}; others are {others}"
                )
