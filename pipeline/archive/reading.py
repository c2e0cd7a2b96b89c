"""Reading from the archive: the granules of a source, their records and their curtains."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import xarray as xr

from blindzone.core.errors import ArchiveError, DamagedError, UnwritableError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import (
    AbsentRecord,
    DayRecord,
    find_granules,
    record_name,
)
from blindzone.pipeline.archive.merging import ORIGIN
from blindzone.pipeline.archive.storage import LocalStorage, as_os_errors, open_storage
from blindzone.pipeline.archive.zarr_layout import DAMAGE, hash_content, open_curtain

_UNWRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EEXIST,
}
"""Errors on writing that every other granule meets, too. `EEXIST`: a file has a folder's name."""
_OPEN_TRIES = 3
"""How often a granule that writers replace meanwhile is opened again."""
_Result = TypeVar("_Result")


class ArchiveReader:
    """An archive below one folder or URL, to read from.

    Args:
        root: The folder, or a URL that fsspec knows, such as `s3://bucket/prefix`.
        storage_options: What fsspec needs to open the URL, such as credentials.

    Raises:
        ArchiveError: If the URL cannot be opened.
    """

    def __init__(self, root: Path | str, storage_options: Mapping[str, Any] | None = None) -> None:
        self.storage = open_storage(root, storage_options)
        self.root: Path | str = (
            self.storage.root if isinstance(self.storage, LocalStorage) else str(root)
        )

    def sources(self) -> tuple[str, ...]:
        """Returns the names of the sources that the archive has a ledger of."""
        with guard(str(self.root), "read"):
            return tuple(
                name
                for name in self.storage.list_names("")
                if not name.startswith(".") and self.storage.list_names(f"{name}/ledger")
            )

    def is_reachable(self, source: str) -> bool:
        """Returns whether records and stores of a source can be looked for at all."""
        try:
            self.storage.read_texts([f"{source}/ledger/none.json", f"{source}/stores/none"])
        except OSError:
            return False
        return True

    def days(self, source: str) -> tuple[date, ...]:
        """Returns the days, or granules, that hold a source's curtains, in order."""
        return tuple(granule.start for granule in find_granules(self._ledger(source)))

    def find_archived(self, source: str, granules: Iterable[date]) -> tuple[date, ...]:
        """Returns those of some granules that are archived, in their order; no other is read."""
        names = {record_name(source, granule): granule for granule in granules}
        texts, faults = self._read_each(source, names)
        return tuple(granule for name, granule in names.items() if name in texts or name in faults)

    def record(self, source: str, day: date) -> DayRecord:
        """Returns the ledger's record of a granule.

        Raises:
            ArchiveError: If the archive does not hold it, or its record is damaged.
        """
        text = self._read_text(record_name(source, day))
        if text is None:
            raise ArchiveError(self._describe_lack(source, day, day))
        return self._parse(source, day, text)

    def find_record(self, source: str, day: date) -> DayRecord | None:
        """Returns a granule's record, if there is one and it is not damaged; no other is read."""
        text = self._read_text(record_name(source, day))
        if text is None:
            return None
        try:
            return self._parse(source, day, text)
        except DamagedError:
            return None

    def _read_text(self, name: str) -> str | None:
        with guard(self.storage.locate(name), "read"):
            return self.storage.read_texts([name]).get(name)

    def read_records(
        self, source: str, days: Iterable[date] | None = None
    ) -> tuple[dict[date, DayRecord], dict[date, ArchiveError]]:
        """Returns the readable records of a source's granules, and the errors of the others.

        Args:
            source: Name of the source.
            days: Granules to read, as far as they are archived; all by default. The ledger's other
                records cost nothing.
        """
        asked = self.days(source) if days is None else days
        names = {record_name(source, day): day for day in asked}
        texts, unread = self._read_each(source, names)
        records = {}
        faults = {names[name]: error for name, error in unread.items()}
        for name, text in texts.items():
            try:
                records[names[name]] = self._parse(source, names[name], text)
            except ArchiveError as error:
                faults[names[name]] = error
        return records, faults

    def _read_each(
        self, source: str, names: Iterable[str]
    ) -> tuple[dict[str, str], dict[str, ArchiveError]]:
        """Returns the texts of existing names, and the errors of those that cannot be read.

        Raises:
            ArchiveError: If nothing of the source can be read.
        """
        asked = list(names)
        try:
            return self.storage.read_texts(asked), {}
        except OSError as error:
            if not self.is_reachable(source):
                where = self.storage.locate(source)
                raise ArchiveError(f"{where}: cannot be read: {error}") from error
        texts: dict[str, str] = {}
        faults: dict[str, ArchiveError] = {}
        for name in asked:
            try:
                with guard(self.storage.locate(name), "read"):
                    texts |= self.storage.read_texts([name])
            except ArchiveError as error:
                faults[name] = error
        return texts, faults

    def _parse(self, source: str, day: date, text: str) -> DayRecord:
        where = self.storage.locate(record_name(source, day))
        try:
            record = DayRecord.from_json(text)
            if (record.source, record.day) != (source, day):
                raise ValueError(f"it is that of {record.source} {record.day}")
            if record.store != PurePosixPath(record.store).name:
                raise ValueError(f"its store {record.store!r} is not in the archive")
        except ArchiveError as error:
            raise ArchiveError(f"{where}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(
                f"{where}: damaged ledger record: {error}; ingesting {day} anew replaces it"
            ) from error
        return record

    def absent(self, source: str) -> tuple[AbsentRecord, ...]:
        """Returns the records of granules without profiles, in order.

        Those that are damaged or cannot be read are left out.
        """
        names = self._ledger(source)
        archived = set(find_granules(names))
        noted = find_granules(names, ".absent.json")
        return self._read_absent(source, [one.start for one in noted if one not in archived])

    def find_absent(self, source: str, days: Iterable[date]) -> tuple[AbsentRecord, ...]:
        """Returns the records of those of some granules that have no profiles, in their order."""
        asked = list(days)
        archived = set(self.find_archived(source, asked))
        return self._read_absent(source, [day for day in asked if day not in archived])

    def _read_absent(self, source: str, days: Iterable[date]) -> tuple[AbsentRecord, ...]:
        asked = [record_name(source, day, "absent") for day in days]
        texts, _ = self._read_each(source, asked)
        found = []
        for name in asked:
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                found.append(AbsentRecord.from_json(texts[name]))
        return tuple(found)

    def store_path(self, source: str, day: date) -> Path:
        """Returns the path of a granule's zarr store.

        Raises:
            ArchiveError: If the archive does not hold that granule, or is in an object store.
        """
        if not isinstance(self.storage, LocalStorage):
            raise ArchiveError(
                f"{self.root}: no local folder; 'store_url' gives the address of a store"
            )
        return Path(self.store_url(source, day))

    def store_url(self, source: str, day: date) -> str:
        """Returns the path or URL of a granule's zarr store.

        `xr.open_zarr(..., consolidated=False)` opens it.

        Raises:
            ArchiveError: If the archive does not hold that granule.
        """
        record = self.record(source, day)
        self._check_there(record)
        return self.storage.locate(store_name(record))

    def open_day(self, source: str, day: date) -> xr.Dataset:
        """Returns a granule's curtain `(time, height)`, or swath `(ray, time, height)`, lazily.

        A chunk that turns out to be gone when it is read raises `ArchiveError`. Without this
        package, `xr.open_zarr(archive.store_path(source, day), consolidated=False)` opens the same
        data; there, a chunk that is gone reads as its fill value: -1 of a status, 255 of the flags.

        Raises:
            ArchiveError: If the archive does not hold that granule, or its store is damaged.
        """
        return self._open(source, day, lambda curtain, _: curtain)

    def read_day(self, source: str, day: date) -> xr.Dataset:
        """Returns a granule's curtain `(time, height)` or swath, every value as it was written.

        Raises:
            ArchiveError: If the archive does not hold that granule, or its store is damaged.
        """
        return self.read_granule(source, day)[0]

    def read_granule(self, source: str, day: date) -> tuple[xr.Dataset, DayRecord]:
        """Returns the curtain `(time, height)` of `read_day`, and the record that belongs to it.

        Raises:
            ArchiveError: If the archive does not hold that granule, or its store is damaged.
        """

        def read(curtain: xr.Dataset, record: DayRecord) -> tuple[xr.Dataset, DayRecord]:
            found: xr.Dataset = curtain.load()
            if record.content_hash and hash_content(found) != record.content_hash:
                raise ValueError("its content is not what was written")
            return found, record

        return self._open(source, day, read)

    def days_between(
        self, source: str, start: date | None = None, end: date | None = None
    ) -> tuple[date, ...]:
        """Returns the archived granules of a range, in order.

        A `date` at its end includes all granules of that day.

        Args:
            source: Name of the source.
            start: First day, or granule; the first that is archived by default.
            end: Last one, inclusive; the last that is archived by default.

        Raises:
            ArchiveError: If none is.
        """
        first, last = (None if limit is None else Granule.of(limit) for limit in (start, end))
        days = tuple(
            granule.start
            for granule in find_granules(_within(self._ledger(source), first, last))
            if granule.is_between(first, last)
        )
        if not days:
            raise ArchiveError(self._describe_lack(source, start, end))
        return days

    def open_range(
        self,
        source: str,
        start: date | None = None,
        end: date | None = None,
        *,
        variables: tuple[str, ...] | None = None,
    ) -> xr.Dataset:
        """Returns all profiles `(time, height)` of a range of days, lazily: a dask chunk a day.

        Days without profiles are gaps in time. The site of a fixed instrument is that of the first
        day. `source_file` is left out, since files are counted anew each day.

        Args:
            source: Name of the source.
            start: First day, or granule; the first that is archived by default.
            end: Last one, inclusive; the last that is archived by default.
            variables: Names of the variables to open, all by default.

        Raises:
            ArchiveError: If the range has no archived day, a store is damaged, or days differ in
                their variables.
        """

        def select(curtain: xr.Dataset, record: DayRecord) -> xr.Dataset:
            lacking = [name for name in variables or () if name not in curtain]
            if lacking:
                raise ArchiveError(
                    f"{source} {record.day} has no {', '.join(lacking)}; it has"
                    f" {_list_names(curtain)}"
                )
            kept = curtain.drop_vars(ORIGIN, errors="ignore")
            return kept if variables is None else kept[list(variables)]

        opened = {
            day: self._open(source, day, select, by_day=True)
            for day in self.days_between(source, start, end)
        }
        _check_same_variables(opened)
        joined: xr.Dataset = xr.concat(
            opened.values(),
            dim="time",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="override",
            combine_attrs="drop_conflicts",
        )
        return joined

    def is_whole(self, record: DayRecord) -> bool:
        """Returns whether a granule's store is there and nothing of it is gone or cut short."""
        with guard(self.storage.locate(store_name(record)), "read"):
            return self.storage.measure(store_name(record)) >= max(record.size, 1)

    def _open(
        self,
        source: str,
        day: date,
        use: Callable[[xr.Dataset, DayRecord], _Result],
        *,
        by_day: bool = False,
    ) -> _Result:
        """Returns the result of a function of a granule's opened store; tries again if replaced."""
        for _ in range(_OPEN_TRIES):
            record = self.record(source, day)
            place = self.storage.locate(store_name(record))
            try:
                self._check_there(record)
                with reading(place):
                    return use(
                        open_curtain(self.storage.open_folder(store_name(record)), by_day=by_day),
                        record,
                    )
            except DamagedError as error:
                failure = error
                if self.record(source, day).store == record.store:
                    break
        raise failure

    def _check_there(self, record: DayRecord) -> None:
        if not self.is_whole(record):
            raise DamagedError(
                f"{self.storage.locate(store_name(record))}: the ledger names this store and it is"
                f" gone, or not whole; ingest {record.day} of {record.source} anew"
            )

    def _ledger(self, source: str) -> tuple[str, ...]:
        with guard(self.storage.locate(f"{source}/ledger"), "read"):
            return self.storage.list_names(f"{source}/ledger")

    def _describe_lack(self, source: str, start: date | None, end: date | None) -> str:
        days = self.days(source)
        archived = f"{len(days)} days from {days[0]} to {days[-1]}" if days else "no day of it"
        span = (
            f" for {start}"
            if start == end
            else f" for {start or 'the beginning'} to {end or 'the end'}"
        )
        notes = self.find_absent(source, [start]) if start is not None and start == end else ()
        why = "".join(f" ({'; '.join(record.describe())})" for record in notes)
        options = [
            f" --{name} {Granule.of(limit).day}"
            for name, limit in (("start", start), ("end", end))
            if limit
        ]
        return (
            f"{self.root}: no {source}{span if start or end else ''}{why}; it holds {archived}. "
            f"'blindzone ingest {source}{''.join(options)}' would add it"
        )


@contextmanager
def guard(place: str, what: str) -> Iterator[None]:
    """Turns an error of the storage into one with the place and what was done there.

    Args:
        place: Path or URL.
        what: What is done: `read`, `written` or `locked`.

    Raises:
        UnwritableError: If nothing can be written there, whatever it is.
        ArchiveError: If the storage fails in another way.
    """
    try:
        yield
    except OSError as error:
        message = f"{place}: cannot be {what}: {error}"
        if what == "read":
            raise ArchiveError(message) from error
        message += "; the archive stays as it was"
        if error.errno in _UNWRITABLE:
            raise UnwritableError(
                f"{message}: a folder with write permission and free space is right"
            ) from error
        raise ArchiveError(message) from error


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turns errors of reading a store into damage, or into a place that cannot be reached.

    Raises:
        DamagedError: If the store is damaged, or part of it is gone.
        ArchiveError: If it cannot be read for another reason.
    """
    try:
        with as_os_errors():
            yield
    except DAMAGE as error:
        raise DamagedError(
            f"{place}: damaged, it cannot be read: {error}; 'blindzone archive repair' sets such"
            " days aside, to be ingested anew"
        ) from error
    except OSError as error:
        raise ArchiveError(f"{place}: cannot be read: {error}") from error


def is_of_one_file(error: ArchiveError) -> bool:
    """Returns whether a record or store is damaged or cannot be read, which says nothing of others.

    A record of a newer version is no such error.
    """
    return isinstance(error, DamagedError) or isinstance(error.__cause__, OSError)


def store_name(record: DayRecord) -> str:
    """Returns the name of a granule's store below the archive's root."""
    return f"{record.source}/stores/{record.store}"


def _check_same_variables(opened: Mapping[date, xr.Dataset]) -> None:
    first = next(iter(opened))
    kinds = {
        day: {name: variable.dims for name, variable in found.variables.items()}
        for day, found in opened.items()
    }
    for day in opened:
        if kinds[day] != kinds[first]:
            lists = [f"{one} holds {_list_names(opened[one])}" for one in (first, day)]
            raise ArchiveError(
                f"the days hold other variables: {'; '.join(lists)}; open a range that holds the"
                " same, or name what all have with 'variables'"
            )


def _list_names(curtain: xr.Dataset) -> str:
    return ", ".join(
        sorted(f"{name} {variable.dims}" for name, variable in curtain.variables.items())
    )


def _within(names: Sequence[str], first: Granule | None, last: Granule | None) -> list[str]:
    """Returns those names of a ledger that begin with a day of a range, which are few to parse."""
    low, high = (None if limit is None else limit.key[:8] for limit in (first, last))
    return [
        name
        for name in names
        if (low is None or low <= name[:8]) and (high is None or name[:8] <= high)
    ]
