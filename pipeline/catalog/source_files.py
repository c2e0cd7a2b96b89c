"""Files of a source, found by the dates in their names, in a folder or any store of fsspec.

A pattern is a path below the source's directory in which `%Y` (or `%y`), `%m` (or `%b`, `Jan` to
`Dec`) and `%d`, or `%Y` and `%j` (day of the year), stand for the UTC date, `%H`, `%M` and `%S` for
the time at which a granule starts, and `*` for anything but a slash. A field that occurs twice,
such as a year that is also a folder's name, must read the same both times. Files whose pattern has
no date each hold all days of the source.

A relative directory is below the data directory, and so must be every file that is found, links
followed. Files elsewhere on this machine need `outside: true` in the catalogue, and so does a URL
that leads inside this machine or its network (`hosts`).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from operator import itemgetter
from pathlib import Path, PurePosixPath

import fsspec

from blindzone.core.errors import CatalogError, SourceFileError
from blindzone.core.fence import refusing_as
from blindzone.core.granule import EARLIEST, LATEST, Granule
from blindzone.pipeline.catalog.hosts import open_options

Address = Path | str
"""A file in a folder, or the URL of one in another store."""

REMOTE = (
    "abfs",
    "abfss",
    "adl",
    "az",
    "ftp",
    "gcs",
    "gs",
    "hdfs",
    "http",
    "https",
    "memory",
    "oci",
    "oss",
    "s3",
    "s3a",
    "sftp",
    "smb",
    "ssh",
    "webhdfs",
)
"""Schemes of URLs that lead to another store and never to a file of this machine."""

_DIGITS = {"%Y": 4, "%y": 2, "%m": 2, "%d": 2, "%j": 3, "%H": 2, "%M": 2, "%S": 2}
_MONTHS = {
    name: f"{number:02d}"
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_FORMS = {field: rf"\d{{{count}}}" for field, count in _DIGITS.items()} | {
    "%b": f"(?i:{'|'.join(_MONTHS)})"
}
"""What each field stands for."""
_DATES = tuple(
    {year, *rest} for year in ("%Y", "%y") for rest in (("%m", "%d"), ("%b", "%d"), ("%j",))
)
_RANKS = {"%Y": 0, "%y": 0, "%m": 1, "%b": 1, "%d": 2, "%j": 2, "%H": 3, "%M": 4, "%S": 5}
"""Of each field: one of a lower rank decides before one of a higher."""
_SHORT_DAYS = 10
"""Longest range whose days are looked for one by one."""
_TIMES: tuple[set[str], ...] = (set(), {"%H"}, {"%H", "%M"}, {"%H", "%M", "%S"})


def check_pattern(pattern: str) -> str:
    """Returns the pattern if it names each day's files, or each granule, without doubt.

    Raises:
        ValueError: If a field is unknown or lacks, or the pattern leaves the source's directory.
    """
    fields = set(re.findall(r"%.", pattern))
    allowed = [set(), *(dates | times for dates in _DATES for times in _TIMES)]
    if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts or fields not in allowed:
        raise ValueError(
            f"{pattern!r} must be a path below the directory with %Y (or %y), %m (or %b) and %d, or"
            " %Y and %j, and for granules %H, %M and %S; '*' stands for anything else"
        )
    return pattern


def names_time(pattern: str) -> bool:
    """Returns whether a pattern names a time of day, so that each file is a granule."""
    return "%H" in pattern


def names_day(pattern: str) -> bool:
    """Returns whether a pattern names a date; if not, each file holds all days of its source."""
    return "%" in pattern


def is_url(directory: str) -> bool:
    """Returns whether a directory is a URL and no folder."""
    return re.match(r"[a-z][a-z0-9+.-]*://", directory) is not None


def leads_away(directory: str) -> bool:
    """Returns whether a directory may be on this machine outside of the data directory.

    An absolute one may, and so may a URL whose scheme is none of `REMOTE`, such as `file:///x` or
    `zip://x`, or that goes through another one (`::`).
    """
    if not is_url(directory):
        return directory.startswith("/")
    return "::" in directory or directory.split("://")[0] not in REMOTE


def find_by_day(
    directory: Address,
    pattern: str,
    *,
    root: Path | None = None,
    start: date | None = None,
    end: date | None = None,
) -> dict[date, tuple[Address, ...]]:
    """Returns the files of a pattern below a directory by UTC day, both in order.

    Where the pattern names a time of day, each file is a granule and the keys are `datetime`.

    Args:
        directory: The source's directory.
        pattern: Pattern of the files below it.
        root: Folder that no file may be outside of, links followed; none if they may be anywhere,
            and a URL may lead anywhere.
        start: First UTC day; the first that has a file by default.
        end: Last UTC day, inclusive; the last that has a file by default. In a folder, files of
            other days than those of a short range cost nothing.

    Raises:
        CatalogError: If the directory does not exist, or holds no file of the pattern and no range
            is given, or a file is outside.
    """
    form = _compile(pattern)
    found: dict[date, list[Address]] = {}
    for name, address in _list_files(directory, pattern, start, end, outside=root is None):
        unit = _read_date(form, name)
        if unit is not None and _is_between(unit, start, end):
            found.setdefault(unit, []).append(address)
    if not found and start is None and end is None:
        raise CatalogError(f"{directory}: no file is named like '{pattern}'")
    if root is not None:
        _check_inside(
            root, [path for paths in found.values() for path in paths if isinstance(path, Path)]
        )
    return {unit: tuple(found[unit]) for unit in sorted(found)}


def find_undated(
    directory: Address, pattern: str, *, root: Path | None = None
) -> tuple[Address, ...]:
    """Returns the files of a pattern without a date, in order; for the arguments see above.

    Raises:
        CatalogError: If the directory does not exist, or holds no file of the pattern, or a file
            is outside.
    """
    form = _compile(pattern)
    listed = _list_files(directory, pattern, outside=root is None)
    found = tuple(address for name, address in listed if form.fullmatch(name))
    if not found:
        raise CatalogError(f"{directory}: no file is named like '{pattern}'")
    if root is not None:
        _check_inside(root, [path for path in found if isinstance(path, Path)])
    return found


def find_newest(directory: Address, pattern: str, *, outside: bool = False) -> date:
    """Returns the last UTC day, or start of a granule, of which there is a file of a pattern.

    Args:
        directory: The source's directory.
        pattern: Pattern of the files below it.
        outside: Whether a URL may lead anywhere.

    Raises:
        CatalogError: If the directory does not exist or holds no file of the pattern.
    """
    form, parts = _compile(pattern), pattern.split("/")
    if isinstance(directory, Path) and _is_in_order(parts):
        _check_folder(directory)
        units = (_read_date(form, name) for name in _walk_back(str(directory), parts))
        if (newest := next((unit for unit in units if unit is not None), None)) is not None:
            return newest
        raise CatalogError(f"{directory}: no file is named like '{pattern}'")
    names = [name for name, _ in _list_files(directory, pattern, outside=outside)]
    fields = [field for field in "YymbdjHMS" if field in form.groupindex]
    # Digits of a fixed width are in order of time as they are, which saves thousands of dates.
    stated = (
        ([_to_digits(match[field]) for field in fields], name)
        for name in names
        if (match := form.fullmatch(name))
    )
    for _, name in sorted(stated, reverse=True):
        if (unit := _read_date(form, name)) is not None:
            return unit
    raise CatalogError(f"{directory}: no file is named like '{pattern}'")


def _is_in_order(parts: Sequence[str]) -> bool:
    """Returns whether names are in order of time by their digits, in each of a pattern's parts.

    A folder then holds no later file than one after it, and few are looked at for the last.
    """
    known, last = set[str](), -1
    for number, part in enumerate(parts, 1):
        fields = re.findall("%.", part)
        ranks = [_RANKS[field] for field in fields]
        new = [_RANKS[field] for field in fields if field not in known]
        fixed = part[: part.rfind("%")] if number == len(parts) else part
        if ranks != sorted(ranks) or min(new, default=last + 1) <= last:
            return False
        if "%b" in fields or "*" in fixed:  # no digits, or none at a fixed place
            return False
        known, last = known | set(fields), max(new, default=last)
    return True


def _walk_back(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Yields the paths below a folder that may fit a pattern in order of time, the last first."""
    first, *rest = parts
    names: Iterable[str] = [first]
    if "%" in first or "*" in first:
        start, end = first.find("%"), first.rfind("%") + 2
        width = sum(_DIGITS[field] - 2 for field in re.findall("%.", first))
        digits = slice(start, end + width) if start >= 0 else slice(None)
        names = _from_last(_list_folder(folder), itemgetter(digits))
    form = _compile(first)
    for name in names:
        if rest and form.fullmatch(name):
            yield from (f"{name}/{below}" for below in _walk_back(f"{folder}/{name}", rest))
        elif not rest and (name != first or os.path.lexists(f"{folder}/{name}")):
            yield name


def _from_last(names: list[str], key: Callable[[str], str]) -> Iterator[str]:
    """Yields names from the last by a key on; mostly the first is asked for, and no order."""
    if names:
        yield max(names, key=key)
        yield from sorted(names, key=key, reverse=True)


def _is_between(unit: date, start: date | None, end: date | None) -> bool:
    day = Granule.of(unit).day
    return (start is None or day >= start) and (end is None or day <= end)


def _narrow(pattern: str, start: date | None, end: date | None) -> list[str]:
    """Returns the pattern once for each day of a short range, with the day's digits in it."""
    if start is None or end is None or not 0 <= (end - start).days < _SHORT_DAYS:
        return [pattern]
    return [
        re.sub("%[Yymdj]", partial(_write_digits, start + timedelta(days=number)), pattern)
        for number in range((end - start).days + 1)
    ]


def _write_digits(day: date, field: re.Match[str]) -> str:
    return f"{day:{field[0]}}".zfill(_DIGITS[field[0]])


def _check_inside(root: Path, files: Iterable[Path]) -> None:
    """Checks that no link, of a file or of a folder above it, leads out of a folder.

    Raises:
        CatalogError: If one does.
    """
    top = os.path.realpath(root)
    folders: dict[Path, str] = {}  # followed once: an archive has thousands of files in a folder
    for file in files:
        if file.parent not in folders:
            folders[file.parent] = os.path.realpath(file.parent)
        real = (
            os.path.realpath(file) if file.is_symlink() else f"{folders[file.parent]}/{file.name}"
        )
        if not Path(real).is_relative_to(top):
            raise CatalogError(
                f"{file}: leads out of the data directory {root}, to {real}; if that is meant,"
                " 'outside: true' in the source's entry of the catalogue allows it"
            )


def _list_files(
    directory: Address,
    pattern: str,
    start: date | None = None,
    end: date | None = None,
    *,
    outside: bool,
) -> Iterator[tuple[str, Address]]:
    """Yields the files that may fit a pattern, each by its path below the directory, in order.

    There are few of other days than those of a short range.
    """
    if isinstance(directory, Path):
        for name in _list_names(directory, _narrow(pattern, start, end)):
            yield name, directory / name
        return
    wild = re.sub(
        r"(%.|\*)+", "*", re.sub(r"[\[\]]", "?", pattern)
    )  # to glob, a bracket means something else
    with refusing_as(CatalogError, f"{directory}: cannot be listed"):
        files, root = fsspec.core.url_to_fs(directory, **open_options(directory, outside=outside))
        names = sorted(files.glob(f"{root.rstrip('/')}/{wild}"))
    for name in names:
        yield name.removeprefix(root).lstrip("/"), files.unstrip_protocol(name)


def _list_names(directory: Path, patterns: Iterable[str]) -> list[str]:
    """Returns the paths below a directory that may fit a pattern, in order."""
    _check_folder(directory)
    return sorted(_walk(str(directory), {tuple(pattern.split("/")) for pattern in patterns}))


def _check_folder(directory: Path) -> None:
    if not directory.is_dir():
        raise CatalogError(
            f"{directory}: no such folder; set BLINDZONE_DATA to the folder that holds"
            f" '{directory.name}'"
        )


def _walk(folder: str, patterns: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yields the paths below a folder that may fit patterns, each given by its parts.

    A folder is listed once, and not at all if no pattern leaves anything open in it.
    """
    rests: dict[str, set[tuple[str, ...]]] = {}
    for first, *rest in patterns:
        rests.setdefault(first, set()).add(tuple(rest))
    wild = {first: _compile(first) for first in rests if re.search(r"%.|\*", first)}
    found = {
        name: rests[name] for name in rests.keys() - wild if os.path.lexists(f"{folder}/{name}")
    }
    for name in _list_folder(folder) if wild else ():
        for first, form in wild.items():
            if form.fullmatch(name):
                found[name] = found.get(name, set()) | rests[first]
    for name, below in found.items():
        if () in below:
            yield name
        if deeper := below - {()}:
            yield from (f"{name}/{one}" for one in _walk(f"{folder}/{name}", deeper))


def _list_folder(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - without a path object each
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    parts, seen = [], set()
    for part in re.split(r"(%.|\*)", pattern):
        if part == "*":
            parts.append("[^/]*")
        elif part in _FORMS:
            parts.append(f"(?P={part[1]})" if part in seen else f"(?P<{part[1]}>{_FORMS[part]})")
            seen.add(part)
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts))


def _read_date(form: re.Pattern[str], name: str) -> date | None:
    """Returns the day or start of a granule that a name states; `None` if it states none."""
    match = form.fullmatch(name)
    if match is None:
        return None
    fields = {
        "m" if key == "b" else key: int(_to_digits(text)) for key, text in match.groupdict().items()
    }
    year = fields["Y"] if "Y" in fields else 2000 + fields["y"]
    if not EARLIEST.year <= year <= LATEST.year:
        return None
    try:
        if "j" in fields:
            day = date(year, 1, 1) + timedelta(days=fields["j"] - 1)
            if day.year != year:
                return None
        else:
            day = date(year, fields["m"], fields["d"])
        if "H" not in fields:
            return day
        return datetime(
            day.year, day.month, day.day, fields["H"], fields.get("M", 0), fields.get("S", 0)
        )
    except ValueError:  # digits that are no date, such as a month 13, are no day either
        return None


def _to_digits(text: str) -> str:
    """Returns the digits of a field; of the name of a month, those of its number."""
    return _MONTHS.get(text.lower(), text)


def name_of(address: Address) -> str:
    """Returns the name of a file without its folder."""
    return address.name if isinstance(address, Path) else address.rstrip("/").rsplit("/", 1)[-1]


@contextmanager
def fetch(address: Address, *, outside: bool = False) -> Iterator[Path]:
    """Gives a file as one of this machine: itself, or a copy that is gone afterwards.

    Args:
        address: The file.
        outside: Whether a URL may lead anywhere.

    Raises:
        CatalogError: If a URL leads inside this machine or its network and may not.
        SourceFileError: If the copy cannot be made.
    """
    if isinstance(address, Path):
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="blindzone-") as folder:
        copy = Path(folder) / name_of(address)
        with refusing_as(SourceFileError, f"{address}: cannot be fetched"):
            files, name = fsspec.core.url_to_fs(address, **open_options(address, outside=outside))
            files.get_file(name, str(copy))
        yield copy
