"""The data catalogue: which sources exist, where their files lie and how they are treated.

Names of sources become names of folders, in the archive and elsewhere, and are held to what is safe
there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from blindzone.core.errors import CatalogError, CurtainError
from blindzone.pipeline.catalog.source_files import (
    Address,
    check_pattern,
    find_by_day,
    is_url,
    leads_away,
    names_time,
)
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import (
    AttenuationRule,
    ClutterRule,
    InsectRule,
    QualityRules,
)
from blindzone.pipeline.readers import find_readers

_STRICT = ConfigDict(extra="forbid")
_ROOT = Path(str(files("blindzone"))).resolve()


def _known_reader(name: str) -> str:
    known = ("auto", *sorted(find_readers()))
    if name not in known:
        raise ValueError(f"unknown reader {name!r}; known readers: {', '.join(known)}")
    return name


def _as_value_error(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Passes a refusal by a class's own checks on in the form that gets the line and the key in front of it."""
    try:
        return check(value)
    except CurtainError as error:
        raise ValueError(str(error)) from error


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


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Split:
    """Blocks of whole UTC days: a window for testing never touches a window for training."""

    training: tuple[date, ...] = ()
    validation: tuple[date, ...] = ()
    test: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        days = [*self.training, *self.validation, *self.test]
        shared = sorted({str(day) for day in days if days.count(day) > 1})
        if shared:
            raise ValueError(f"each day belongs to one block; in several: {', '.join(shared)}")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Simulation:
    """A source whose files the project's own generator writes.

    Attributes:
        seed: Seed of the random curtains; a day depends on it and on its date alone.
        start: First day.
        days: Number of days.
    """

    seed: int = 0
    start: date = date(2000, 1, 1)
    days: int = 8

    def list_days(self) -> tuple[date, ...]:
        """Returns the simulated days."""
        return tuple(self.start + timedelta(days=number) for number in range(self.days))


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Period:
    """The UTC days of a source, both ends included; without an end it still measures."""

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ValueError(
                f"starts on {self.start} and ends on {self.end}; start must not be after end"
            )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Position:
    """Where an instrument stands, for files that do not say, and which column to take from files of an area.

    Attributes:
        latitude: [degrees_north].
        longitude: [degrees_east], from -180 to 360.
        altitude: Above mean sea level [m]; unknown by default.
    """

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=360)]
    altitude: Annotated[float, Field(ge=-500, le=9000)] | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Partners:
    """Other sources whose curtains stand beside this one's: its state, and a lidar at the same site."""

    state: str | None = None
    lidar: str | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Source:
    """One source of profiles.

    Attributes:
        title: What the source is, in a few words.
        reader: Name of the reader, one of `blindzone.pipeline.readers.find_readers()`, or `auto` to
            tell each file's from its content.
        directory: Folder of its files, relative to the data directory, or the URL of one
            (`s3://...`); with `outside` also absolute.
        files: Pattern of the files below it, with `%Y` (or `%y`), `%m`, `%d` for the UTC day (or
            `%j`, the day of the year) and `*` for anything but a slash. For granules with `%H`,
            `%M`, `%S` too.
        outside: Whether its files may lie anywhere on this machine: in an absolute directory,
            behind links that lead out of the data directory, or behind a URL that leads to files
            here (`file://...`).
        unit: What one store of the archive holds: a UTC day, or a `granule` (a file of a spaceborne
            radar, or one that covers several days).
        instrument: The instrument, as it should stand in a product.
        site: The site, likewise.
        position: Where it stands, if its files do not say.
        period: Its days; a day in it without a file is recorded as missing.
        partners: Sources of state and lidar that belong to it.
        grid: The model grid of its curtains.
        quality: Its quality rules.
        blind_zone: The blind zone to hide and fill.
        split: Days for training, validation and test.
        simulation: Set if its files are simulated.
        licence: Terms of use.
        reference: What to cite.
    """

    title: str
    directory: Annotated[str, AfterValidator(_known_place)]
    files: Annotated[str, AfterValidator(check_pattern)]
    instrument: str
    site: str
    outside: bool = False
    reader: Annotated[str, AfterValidator(_known_reader)] = "auto"
    unit: Literal["day", "granule"] = "day"
    position: Position | None = None
    period: Period | None = None
    partners: Partners = Partners()
    grid: Annotated[Grid, WrapValidator(_as_value_error)] = Grid()
    quality: Annotated[QualityRules, WrapValidator(_as_value_error)] = QualityRules()
    blind_zone: Annotated[BlindZone, WrapValidator(_as_value_error)] = BlindZone()
    split: Split = Split()
    simulation: Simulation | None = None
    licence: str = "unknown"
    reference: str = ""

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
                f"directory: {self.directory!r} may lie outside the data directory; a folder"
                " relative to it is right, or the URL of another store, or 'outside: true' beside"
                " it if it is meant so"
            )

    @property
    def full_title(self) -> str:
        """The title, which says so if the source is simulated."""
        says_so = self.simulation is None or "simulated" in self.title
        return self.title if says_so else f"{self.title} (simulated)"

    def find_days(self, data_directory: Path) -> dict[date, tuple[Address, ...]]:
        """Returns the source's files by UTC day, or one by one for granules, in order.

        Raises:
            CatalogError: If the folder does not exist or holds no file of the pattern, or a file
                lies outside the data directory and the entry does not say so.
        """
        return find_by_day(
            self.locate(data_directory), self.files, root=None if self.outside else data_directory
        )

    def locate(self, data_directory: Path) -> Address:
        """Returns the folder or the URL of the source's files."""
        return self.directory if is_url(self.directory) else data_directory / self.directory


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _CatalogFile:
    version: Literal[1]
    sources: dict[Annotated[str, AfterValidator(_safe_name)], Source]


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

        Simulated files are the project's own, so they lie in the user's cache, one folder a seed.

        Raises:
            CatalogError: If the cache is that of another user, or anyone may write to it.
        """
        simulation = self[name].simulation
        if simulation is not None:
            return find_in_cache(f"seed{simulation.seed}")
        return find_data_directory(self.path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def plain_source(source: Source) -> dict[str, Any]:
    """Returns a source's entry as plain values, defaults included."""
    return dict(TypeAdapter(Source).dump_python(source, mode="json"))


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


def find_catalog() -> Path:
    """Returns the catalogue file: `$BLINDZONE_CATALOG`, `data_catalog.yaml` here, or the one of the package."""
    named = os.environ.get("BLINDZONE_CATALOG")
    if named:
        return Path(named)
    here = Path("data_catalog.yaml")
    return here if here.is_file() else _ROOT / "data_catalog.yaml"


def find_data_directory(catalog_path: Path) -> Path:
    """Returns the data directory: `$BLINDZONE_DATA`, else `../shared/data` seen from the catalogue, else the cache.

    Raises:
        CatalogError: If it is the cache, and that is not this user's own.
    """
    named = os.environ.get("BLINDZONE_DATA")
    if named:
        return Path(named)
    beside = catalog_path.resolve().parent.parent / "shared" / "data"
    return beside if beside.is_dir() else find_in_cache("data")


def find_in_cache(name: str) -> Path:
    """Returns a folder of the user's cache, which need not exist.

    Raises:
        CatalogError: If others could have put files there: the cache or the folder is another
            user's, or anyone may write to it.
    """
    cache = platformdirs.user_cache_path("blindzone")
    for folder in (cache, cache / name):
        try:
            found = folder.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CatalogError(f"{folder}: the cache cannot be read: {error.strerror}") from error
        if found.st_uid != os.getuid() or found.st_mode & stat.S_IWOTH:
            raise CatalogError(
                f"{folder}: others may write to this cache, so that its files are not trusted: it"
                f" belongs to user {found.st_uid}, {stat.filemode(found.st_mode)}; one that belongs"
                f" to user {os.getuid()} and that not everyone may write to is right, and"
                " XDG_CACHE_HOME names another place"
            )
    return cache / name


def read_catalog(path: Path | None = None) -> Catalog:
    """Returns the checked catalogue.

    Raises:
        CatalogError: If the file is missing, no YAML, or has an unknown key, an unknown reader or a
            wrong value; the message quotes the line, the key and what would be right.
    """
    path = find_catalog() if path is None else path
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"{path}: the catalogue cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: the catalogue is not UTF-8 text: {error}") from error
    return _parse_catalog(path, text)


@lru_cache(maxsize=8)
def _parse_catalog(path: Path, text: str) -> Catalog:
    """Returns the catalogue of a text, which a flow asks for once a day: parsing takes longer than an unchanged day."""
    try:
        content = yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # PyYAML lets the ValueError of a date such as 2021-02-30 through
        raise CatalogError(f"{path}: not valid YAML: {error}") from error
    try:
        checked = TypeAdapter(_CatalogFile).validate_python(content)
    except ValidationError as error:
        raise CatalogError(
            "\n".join(_explain(detail, path, text) for detail in error.errors())
        ) from error
    _check_partners(checked.sources, path, text)
    return Catalog(path, checked.sources)


def _check_partners(sources: Mapping[str, Source], path: Path, text: str) -> None:
    for name, source in sources.items():
        for role, partner in (("state", source.partners.state), ("lidar", source.partners.lidar)):
            if partner is not None and (partner not in sources or partner == name):
                location = ["sources", name, "partners", role]
                others = ", ".join(other for other in sources if other != name)
                raise CatalogError(
                    f"{path}, line {line_of(text, location)}: {'.'.join(location)}: no other source"
                    f" {partner!r}; others are {others}"
                )


def _explain(detail: Any, path: Path, text: str) -> str:
    location = [
        str(part) for part in detail["loc"] if part != "[key]"
    ]  # so pydantic marks a name that is refused
    key = ".".join(location) or "the file"
    message = {
        "unexpected_keyword_argument": "unknown key",
        "missing": "this key is missing",
        "value_error": (
            detail["msg"].removeprefix("Value error, ")
        ),  # our own checks quote what they found
        "dataclass_type": f"must be a mapping of keys, found {detail['input']!r}",
    }.get(detail["type"], f"{detail['msg']} (found {detail['input']!r})")
    if detail["type"] == "unexpected_keyword_argument":
        message += f"; known keys here: {', '.join(_known_keys(location[:-1]))}"
    return f"{path}, line {line_of(text, location)}: {key}: {message}"


def _known_keys(location: list[str]) -> list[str]:
    kinds: dict[str, Any] = {
        "grid": Grid,
        "quality": QualityRules,
        "blind_zone": BlindZone,
        "split": Split,
        "simulation": Simulation,
        "period": Period,
        "position": Position,
        "partners": Partners,
        "clutter": ClutterRule,
        "insects": InsectRule,
        "attenuation": AttenuationRule,
    }
    deepest = next((part for part in reversed(location) if not part.isdigit()), None)
    kind = _CatalogFile if deepest is None else kinds.get(deepest, Source)
    return sorted(kind.__dataclass_fields__)


def line_of(text: str, location: list[str]) -> int:
    """Returns the line number of the deepest part of a key path that the file holds."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entries = {key.value: (key, value) for key, value in node.value}
            if part not in entries:
                break
            key, node = entries[part]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and part.isdigit():
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return line
