"""The data catalogue: which sources exist, where their files lie and how they are treated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from blindzone.pipeline.blind_zone import BlindZone
from blindzone.pipeline.errors import CatalogError, CurtainError
from blindzone.pipeline.gridding import Grid
from blindzone.pipeline.quality import ClutterRule, QualityRules
from blindzone.pipeline.readers import find_readers

_STRICT = ConfigDict(extra="forbid")
_ROOT = Path(__file__).resolve().parents[1]
_DATE_FIELDS = {"%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})"}


def _known_reader(name: str) -> str:
    known = ("auto", *sorted(find_readers()))
    if name not in known:
        raise ValueError(f"unknown reader {name!r}; known readers: {', '.join(known)}")
    return name


def _dated_pattern(pattern: str) -> str:
    fields = sorted(re.findall(r"%.", pattern))
    if "/" in pattern or fields not in (["%Y", "%d", "%m"], ["%d", "%m", "%y"]):
        raise ValueError(
            f"{pattern!r} must be a file name with %Y (or %y), %m and %d, each once; '*' stands for anything else"
        )
    return pattern


def _as_value_error(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Passes a refusal by a class's own checks on in the form that gets the line and the key in front of it."""
    try:
        return check(value)
    except CurtainError as error:
        raise ValueError(str(error)) from error


def _inside(directory: str) -> str:
    if Path(directory).is_absolute() or ".." in Path(directory).parts:
        raise ValueError(f"{directory!r} must be relative to the data directory and stay inside it")
    return directory


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
class Source:
    """One source of profiles.

    Attributes:
        title: What the source is, in a few words.
        reader: Name of the reader, one of `blindzone.pipeline.readers.find_readers()`, or `auto` to tell each file's
            from its content.
        directory: Folder of its files, relative to the data directory.
        files: File name pattern with `%Y` (or `%y`), `%m`, `%d` for the UTC day and `*` for anything.
        instrument: The instrument, as it should stand in a product.
        site: The site, likewise.
        grid: The model grid of its curtains.
        quality: Its quality rules.
        blind_zone: The blind zone to hide and fill.
        split: Days for training, validation and test.
        simulation: Set if its files are simulated.
        licence: Terms of use.
        reference: What to cite.
    """

    title: str
    reader: Annotated[str, AfterValidator(_known_reader)]
    directory: Annotated[str, AfterValidator(_inside)]
    files: Annotated[str, AfterValidator(_dated_pattern)]
    instrument: str
    site: str
    grid: Annotated[Grid, WrapValidator(_as_value_error)] = Grid()
    quality: QualityRules = QualityRules()
    blind_zone: Annotated[BlindZone, WrapValidator(_as_value_error)] = BlindZone()
    split: Split = Split()
    simulation: Simulation | None = None
    licence: str = "unknown"
    reference: str = ""

    @property
    def full_title(self) -> str:
        """The title, which says so if the source is simulated."""
        says_so = self.simulation is None or "simulated" in self.title
        return self.title if says_so else f"{self.title} (simulated)"

    def find_days(self, data_directory: Path) -> dict[date, tuple[Path, ...]]:
        """Returns the source's files by UTC day, in order.

        Raises:
            CatalogError: If the folder does not exist or holds no file of the pattern.
        """
        folder = data_directory / self.directory
        if not folder.is_dir():
            raise CatalogError(
                f"{folder}: no such folder; set BLINDZONE_DATA to the folder that holds '{self.directory}'"
            )
        found: dict[date, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            day = self._day_of(path.name)
            if day is not None:
                found.setdefault(day, []).append(path)
        if not found:
            raise CatalogError(f"{folder}: no file is named like '{self.files}'")
        return {day: tuple(found[day]) for day in sorted(found)}

    def _day_of(self, name: str) -> date | None:
        parts = re.split(r"(%[Yymd]|\*)", self.files)
        pattern = "".join(".*" if part == "*" else _DATE_FIELDS.get(part, re.escape(part)) for part in parts)
        match = re.fullmatch(pattern, name)
        if match is None:
            return None
        groups = match.groupdict()
        year = int(groups["Y"]) if "Y" in groups else 2000 + int(groups["y"])
        try:
            return date(year, int(groups["m"]), int(groups["d"]))
        except ValueError:  # digits that are no date, such as a month 13
            return None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _CatalogFile:
    version: Literal[1]
    sources: dict[str, Source]


class Catalog(Mapping[str, Source]):
    """The sources of a catalogue file by name."""

    def __init__(self, path: Path, sources: Mapping[str, Source]) -> None:
        self.path = path
        self._sources = dict(sources)

    def __getitem__(self, name: str) -> Source:
        if name not in self._sources:
            raise CatalogError(f"{self.path}: no source '{name}'; it has {', '.join(self._sources)}")
        return self._sources[name]

    def data_directory(self, name: str) -> Path:
        """Returns the folder that a source's `directory` is relative to.

        Simulated files are the project's own, so they lie in the user's cache, one folder a seed.
        """
        simulation = self[name].simulation
        if simulation is not None:
            return platformdirs.user_cache_path("blindzone") / f"seed{simulation.seed}"
        return find_data_directory(self.path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def describe_source(source: Source) -> str:
    """Returns a source's entry as YAML, defaults included."""
    content = TypeAdapter(Source).dump_python(source, mode="json")
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100))


def find_catalog() -> Path:
    """Returns the catalogue file: `$BLINDZONE_CATALOG`, `data_catalog.yaml` here, or the one of the package."""
    named = os.environ.get("BLINDZONE_CATALOG")
    if named:
        return Path(named)
    here = Path("data_catalog.yaml")
    return here if here.is_file() else _ROOT / "data_catalog.yaml"


def find_data_directory(catalog_path: Path) -> Path:
    """Returns the data directory: `$BLINDZONE_DATA`, else `../shared/data` seen from the catalogue, else the cache."""
    named = os.environ.get("BLINDZONE_DATA")
    if named:
        return Path(named)
    beside = catalog_path.resolve().parent.parent / "shared" / "data"
    return beside if beside.is_dir() else platformdirs.user_cache_path("blindzone") / "data"


def read_catalog(path: Path | None = None) -> Catalog:
    """Returns the checked catalogue.

    Raises:
        CatalogError: If the file is missing, no YAML, or has an unknown key, an unknown reader or a wrong value; the
            message quotes the line, the key and what would be right.
    """
    path = find_catalog() if path is None else path
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"{path}: the catalogue cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: the catalogue is not UTF-8 text: {error}") from error
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # PyYAML lets the ValueError of a date such as 2021-02-30 through
        raise CatalogError(f"{path}: not valid YAML: {error}") from error
    try:
        checked = TypeAdapter(_CatalogFile).validate_python(content)
    except ValidationError as error:
        raise CatalogError("\n".join(_explain(detail, path, text) for detail in error.errors())) from error
    return Catalog(path, checked.sources)


def _explain(detail: Any, path: Path, text: str) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location) or "the file"
    message = {
        "unexpected_keyword_argument": "unknown key",
        "missing": "this key is missing",
        "value_error": detail["msg"].removeprefix("Value error, "),  # our own checks quote what they found
        "dataclass_type": f"must be a mapping of keys, found {detail['input']!r}",
    }.get(detail["type"], f"{detail['msg']} (found {detail['input']!r})")
    if detail["type"] == "unexpected_keyword_argument":
        message += f"; known keys here: {', '.join(_known_keys(location[:-1]))}"
    return f"{path}, line {_line_of(text, location)}: {key}: {message}"


def _known_keys(location: list[str]) -> list[str]:
    kinds: dict[str, Any] = {
        "grid": Grid, "quality": QualityRules, "blind_zone": BlindZone, "split": Split, "simulation": Simulation,
    }  # fmt: skip
    if "clutter" in location:
        return sorted(ClutterRule.__dataclass_fields__)
    kind = _CatalogFile if not location else kinds.get(location[-1], Source)
    return sorted(kind.__dataclass_fields__)


def _line_of(text: str, location: list[str]) -> int:
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
