"""The data catalogue: which sources exist, where their files are and how they are treated.

A source's name becomes the name of a folder, in the archive and elsewhere, so only safe names are
accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
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
from blindzone.core.fence import refusing_as
from blindzone.pipeline.catalog.emulated_entry import Emulation, complete_entry
from blindzone.pipeline.catalog.entry_parts import (
    CollocatedSources,
    Period,
    Position,
    Simulation,
    SourceDescription,
    Split,
)
from blindzone.pipeline.catalog.entry_texts import drop_broken_entries
from blindzone.pipeline.catalog.places import find_catalog, find_data_directory, find_in_cache
from blindzone.pipeline.catalog.source_files import (
    Address,
    check_pattern,
    find_by_day,
    find_newest,
    find_undated,
    is_url,
    leads_away,
    names_day,
    names_time,
)
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import QualityRules
from blindzone.pipeline.readers import find_reader_names

UNKNOWN_LICENCE = "unknown"
"""The licence of a source whose entry states none."""
_FREQUENCY = re.compile(r"(\d+(?:\.\d+)?)[ -]?GHz")


def _known_reader(name: str) -> str:
    known = ("auto", *sorted(find_reader_names()))
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
    """Pattern of the files below it, with `%Y` (or `%y`), `%m` (or `%b`, such as `Jan`), `%d` for
    the UTC day (or `%j`, the day of the year) and `*` for anything but a slash. For granules with
    `%H`, `%M`, `%S` too. Without a date, each file holds all days of `period`."""
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
    """Radar frequency [GHz]. Of a file with several radars, the one of this frequency is read."""
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
    profile_spacing_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Distance between profiles [m] along the track of a radar that looks down. Networks are made
    for one such distance; finer profiles are averaged to it."""
    quality: QualityRules = QualityRules()
    """Its quality rules."""
    blind_zone: BlindZone = BlindZone()
    """The blind zone to hide and fill."""
    selected_for_echo: bool = False
    """Whether its days or scenes were chosen because they have echo. Then they do not tell how
    often there is echo below a clear sky, and no network learns that from them."""
    split: Split = Split()
    """Days for training, validation and test."""
    simulation: Simulation | None = None
    """Set if its files are simulated."""
    emulate: Emulation | None = None
    """Set if it is emulated from another source, whose files, place and days are its own."""

    def __post_init__(self) -> None:
        if names_time(self.files) != (self.unit == "granule"):
            raise ValueError(
                f"files: {self.files!r} is wrong for 'unit: {self.unit}': the name of a granule"
                " states its time with %H, %M and %S; among the files of a day '*' stands for the"
                " time"
            )
        if self.shares_files and (self.simulation or not (self.period and self.period.end)):
            raise ValueError(
                f"files: {self.files!r} names no day, so that each file holds all days of the"
                " source; '%Y%m%d' in it is right, or 'period' with start and end next to it (and"
                " no 'simulation')"
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

    @property
    def shares_files(self) -> bool:
        """Whether each file holds all days of the source, and its name states none."""
        return not names_day(self.files)


@configuration(error=CatalogError, what="source")
class Source(SourceEntry):
    """One source of profiles: its catalogue entry under its name."""

    name: str = ""
    """Its name in the catalogue, which is no key of the entry."""

    @property
    def full_title(self) -> str:
        """The title, without help from files; it says if the source is simulated or emulated."""
        return self._mark(self.title or self.name)

    def _mark(self, title: str) -> str:
        """Returns a title that says what is not measured as it stands."""
        kinds = {"simulated": self.simulation, "emulated": self.emulate}
        made = [kind for kind, how in kinds.items() if how and kind not in title.lower()]
        return f"{title} ({', '.join(made)})" if made else title

    def describe(self, attributes: Mapping[str, Any] = MappingProxyType({})) -> SourceDescription:
        """Returns origin and terms of the source.

        Args:
            attributes: Global attributes of one of its curtains, native or archived.
        """
        stated = {key: str(value).strip() for key, value in attributes.items()}
        licence = "" if self.licence == UNKNOWN_LICENCE else self.licence
        return SourceDescription(
            title=self._mark(self.title or stated.get("title") or self.name),
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
        folder, root = self.locate(data_directory), None if self.outside else data_directory
        if self.shares_files:
            files = find_undated(folder, self.files, root=root)
            return dict.fromkeys(self._list_period(start, end), files)
        return find_by_day(folder, self.files, root=root, start=start, end=end)

    def _list_period(self, start: date | None, end: date | None) -> Iterator[date]:
        """Yields the days of the period that are in a range, both ends included."""
        assert self.period is not None
        assert self.period.end is not None
        first = max(start or self.period.start, self.period.start)
        last = min(end or self.period.end, self.period.end)
        for number in range((last - first).days + 1):
            yield first + timedelta(days=number)

    def find_newest(self, data_directory: Path) -> date:
        """Returns the last UTC day, or start of a granule, of which there is a file.

        Raises:
            CatalogError: If the folder does not exist or has no file of the pattern.
        """
        if self.shares_files:
            return max(self.find_days(data_directory))
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
    """The sources of a catalogue file by name; an entry with a fault costs its source alone.

    Attributes:
        path: The file.
        faults: Why a source cannot be used, by its name: file, line, key and what would be right.
            It is none of the mapping's, and asking for it raises that.
    """

    def __init__(
        self,
        path: Path,
        sources: Mapping[str, Source],
        faults: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.faults = MappingProxyType(dict(faults))
        self._sources = {name: source for name, source in sources.items() if name not in faults}

    def __getitem__(self, name: str) -> Source:
        self.check_known(name)
        return self._sources[name]

    def check_known(self, name: str) -> None:
        """Raises `CatalogError` unless there is a source of that name, and its entry is right."""
        if name in self.faults:
            raise CatalogError(self.faults[name])
        if name not in self._sources:
            names = ", ".join([*self._sources, *self.faults])
            raise CatalogError(f"{self.path}: no source '{name}'; it has {names}")

    def check_entries(self) -> None:
        """Raises `CatalogError` with all that is wrong if any entry is."""
        if self.faults:
            raise CatalogError("\n".join(self.faults.values()))

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
    """Returns the catalogue. What is wrong with one source's entry is among its faults.

    Raises:
        CatalogError: If the file is missing, no YAML or no catalogue; the message quotes the line,
            the key and what would be right.
    """
    path = find_catalog() if path is None else path
    try:
        return parse_catalog(path, read_text(path, keep_odd=True))
    except CatalogError:
        read_text(path)  # where no entry is at fault, this says so of the file
        raise


def read_text(path: Path, *, keep_odd: bool = False) -> str:
    """Returns the text of a catalogue file, line breaks as they are.

    Args:
        path: The file.
        keep_odd: Whether bytes that are no UTF-8 become characters that no YAML has, for their
            entry to be refused.

    Raises:
        CatalogError: If it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(4 * LONGEST_TEXT)  # a device has no end
        return content.decode("utf-8", "surrogateescape" if keep_odd else "strict")
    except OSError as error:
        raise CatalogError(f"{path}: the catalogue cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: the catalogue is not UTF-8 text: {error}") from error


@lru_cache(maxsize=8)
def parse_catalog(path: Path, text: str) -> Catalog:
    """Returns the catalogue of a text, as `read_catalog` does.

    A flow asks for it once a day of data, and parsing takes longer than an unchanged day.
    """
    content, text, broken = _parse_sound(path, text)
    entries, faults = _check_entries(content, path, text)
    faults = broken | faults
    for name, entry in entries.items():
        if fault := _find_fault_of_partners(name, entry, {*entries, *faults}, path, text):
            faults[name] = fault
    sources = {name: Source(name=name, **vars(entry)) for name, entry in entries.items()}
    return Catalog(path, sources, faults)


def _parse_sound(path: Path, text: str) -> tuple[Any, str, dict[str, str]]:
    """Returns content and text of a catalogue without the entries that are no YAML, and why not.

    Raises:
        CatalogError: If it is no YAML without them, or has no other.
    """
    try:
        return parse_yaml(text, where=str(path), error=CatalogError, keep_odd=True), text, {}
    except CatalogError as error:
        sound, faults = drop_broken_entries(text, str(path))
        with suppress(CatalogError):
            content = parse_yaml(sound, where=str(path), error=CatalogError, keep_odd=True)
            if faults and isinstance(content, dict) and content.get("sources"):
                return content, sound, faults
        raise error from None


def _check_entries(
    content: Any, path: Path, text: str
) -> tuple[dict[str, SourceEntry], dict[str, str]]:
    """Returns the entries of a catalogue's content, and what is wrong with those that are not.

    Raises:
        CatalogError: If it is no catalogue.
    """

    def check(part: Any) -> dict[str, SourceEntry]:
        return read_plain(
            _CatalogFile, part, where=str(path), error=CatalogError, text=text
        ).sources

    stated = content.get("sources") if isinstance(content, dict) else None
    if not isinstance(stated, dict):
        return check(content), {}
    check({**content, "sources": {}})
    entries: dict[str, SourceEntry] = {}
    faults: dict[str, str] = {}
    for name in stated:
        try:
            with refusing_as(CatalogError, f"{path}: sources.{name}: cannot be checked"):
                complete = complete_entry(str(name), stated, where=str(path), text=text)
                entries |= check({**content, "sources": {name: complete}})
        except CatalogError as error:
            faults[str(name)] = str(error)
    return entries, faults


def _find_fault_of_partners(
    name: str, entry: SourceEntry, known: Set[str], path: Path, text: str
) -> str:
    """Returns which partners of a source are none, a line each; empty if all are.

    A partner whose own entry has a fault is one all the same: it is met where it is needed.
    """
    others = sorted(known - {name})
    lines = []
    partners = entry.partners
    named = [("state", partners.state), ("lidar", partners.lidar)]
    named += [("surface", other) for other in partners.surface]
    for role, other in named:
        if other is not None and other not in others:
            location = ["sources", name, "partners", role]
            lines.append(
                f"{path}, line {line_of(text, location)}: {'.'.join(location)}: no other source"
                f" {other!r}; others are {', '.join(others)}"
            )
    return "\n".join(lines)
