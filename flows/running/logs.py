"""Logs: one JSON object a record in a file, one plain line on the terminal, with Prefect or not.

    with keep_logs(folder / "log.jsonl"), log_context(run=run, flow="reprocess"):
        with log_context(source=source, day=day):
            logger.info("filled", extra={"seconds": 24.1})

A task on a Dask worker opens the same file as its flow; it goes by the worker's name there
(`log-WORKER.jsonl`): no two machines write to one file. Within a Prefect run the records go to
Prefect's server too. A log that cannot be written stops no run.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, date, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.json import JsonFormatter

from blindzone.core import fence
from blindzone.core.printable import to_line

if TYPE_CHECKING:
    from blindzone.flows.running.records import DayReport

PACKAGE = "blindzone"
"""The logger above all of the package's own."""

LEVELS: Mapping[str, int] = {
    "created": logging.INFO,
    "unchanged": logging.INFO,
    "rejected": logging.WARNING,
    "failed": logging.ERROR,
}
"""Level at which the outcome of a day is logged."""

_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar(
    "blindzone_log_context", default=MappingProxyType({})
)
_FILE: ContextVar[Path | None] = ContextVar("blindzone_log_file", default=None)

_LOCK = Lock()
_OPEN: dict[Path, tuple[_Kept, int]] = {}
"""The files that are open, and how many blocks keep them so."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def name_run(begun: datetime) -> str:
    """Returns a name for a run: when it began, UTC, and a random id."""
    return f"{begun:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


@contextmanager
def log_context(
    *, run: str = "", flow: str = "", source: str = "", day: date | None = None
) -> Iterator[None]:
    """Adds run, flow, source and day to every record of the block; what is not given stays.

    It reaches into tasks of this process, not into those on Dask workers: there it is to be set
    again.
    """
    given = {
        "run": run,
        "flow": flow,
        "source": source,
        "day": "" if day is None else day.isoformat(),
    }
    token = _CONTEXT.set(
        {**_CONTEXT.get(), **{name: value for name, value in given.items() if value}}
    )
    try:
        yield
    finally:
        _CONTEXT.reset(token)


@contextmanager
def keep_logs(path: Path, *, level: int = logging.INFO, terminal: bool = True) -> Iterator[Path]:
    """Writes the package's records of the block to a file, one JSON object a line, and yields it.

    Blocks may be nested and may overlap between threads; a record of one file's block does not go
    to another's.

    Args:
        path: The file; records are added at its end. It may be moved away meanwhile, as logrotate
            does.
        level: Level from which records are kept.
        terminal: Whether they go to the terminal too.
    """
    worker = _find_worker()
    own = (
        path
        if worker is None
        else path.with_name(f"{path.stem}-{_UNSAFE.sub('_', worker)}{path.suffix}")
    )
    own = own.absolute()
    _open(own, level, terminal=terminal)
    token = _FILE.set(own)
    try:
        yield own
    finally:
        _FILE.reset(token)
        _close(own)


def log_day(report: DayReport) -> None:
    """Logs the outcome of a day in one record."""
    words = f"{report.status}: {report.reason}" if report.reason else report.status
    fields = {
        "status": report.status,
        "seconds": round(report.seconds, 3),
        "profiles": report.profiles,
    }
    with log_context(source=report.source, day=report.day):
        logging.getLogger(f"{PACKAGE}.flows").log(LEVELS[report.status], "%s", words, extra=fields)


def announce(text: str) -> None:
    """Logs a line that people are to see, or writes it to stderr where no log is kept."""
    if _FILE.get() is None:
        print(text, file=sys.stderr)
    else:
        logging.getLogger(f"{PACKAGE}.flows").info("%s", text)


class _Kept:
    """The handlers of one open file, and what they replace while they are there."""

    def __init__(self, path: Path, level: int, *, terminal: bool) -> None:
        self.handlers: list[logging.Handler] = [_JsonLines(path)]
        if terminal:
            self.handlers.append(_Terminal())
        if _is_in_prefect_run():
            from prefect.logging.handlers import APILogHandler

            self.handlers.append(APILogHandler())
            self.handlers[-1].setFormatter(_Line())
        for handler in self.handlers:
            handler.setLevel(level)
            handler.addFilter(_Context(path))
        self.level = level

    def attach(self) -> None:
        package = logging.getLogger(PACKAGE)
        for handler in self.handlers:
            package.addHandler(handler)

    def detach(self) -> None:
        package = logging.getLogger(PACKAGE)
        for handler in self.handlers:
            package.removeHandler(handler)
            handler.close()


class _Context(logging.Filter):
    """Adds the context to each record of a file's block, and drops those of other blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def filter(self, record: logging.LogRecord) -> bool:
        if _FILE.get() not in (None, self.path):
            return False
        for name, value in _CONTEXT.get().items():
            setattr(record, name, value)
        if (worker := _find_worker()) is not None:
            record.worker = worker
        return True


class _JsonLines(WatchedFileHandler):
    """Appends one JSON object a record to a file that processes may share: each by one write."""

    def __init__(self, path: Path) -> None:
        # Names of files need not be UTF-8.
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setFormatter(
            JsonFormatter(
                ["levelname", "name", "message", "process"],
                rename_fields={"levelname": "level", "name": "logger"},
                timestamp="time",
                json_ensure_ascii=False,
            )
        )
        self.has_reported = False

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        with self._surviving():  # the file cannot be opened
            super().emit(record)

    def close(self) -> None:
        with self._surviving():  # what a full disk did not take is tried once more
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (its name in logging)
        self._report()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Reports once that the log cannot be written, and goes on: a full disk stops no run."""
        try:
            yield
        except OSError:
            self._report()

    def _report(self) -> None:
        if not self.has_reported:
            self.has_reported = True
            print(
                f"{self.baseFilename}: the log cannot be written: {sys.exc_info()[1]}",
                file=sys.stderr,
            )


class _Line(logging.Formatter):
    """Makes one line of a record: source, day and message."""

    def format(self, record: logging.LogRecord) -> str:
        where = " ".join(
            str(getattr(record, name)) for name in ("source", "day") if hasattr(record, name)
        )
        text = f"{where}{': ' if where else ''}{record.getMessage()}"
        return to_line(text)


class _Terminal(logging.StreamHandler[Any]):
    """Shows a record as one line on the present stderr: a progress bar replaces that."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_Line())
        # What is set aside is reported when the run ends; its traceback is for the file.
        self.addFilter(lambda record: record.name != fence.__name__)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        return f"{time:%H:%M:%S} {record.levelname.lower():<7} {super().format(record)}"


def _open(path: Path, level: int, *, terminal: bool) -> None:
    package = logging.getLogger(PACKAGE)
    with _LOCK:
        if path in _OPEN:
            kept, count = _OPEN[path]
        else:
            kept, count = _Kept(path, level, terminal=terminal), 0
            kept.attach()
        _OPEN[path] = kept, count + 1
        _set_levels(package)


def _close(path: Path) -> None:
    with _LOCK:
        kept, count = _OPEN[path]
        if count > 1:
            _OPEN[path] = kept, count - 1
            return
        del _OPEN[path]
        _set_levels(logging.getLogger(PACKAGE))
    kept.detach()


def _set_levels(package: logging.Logger) -> None:
    """Lets through the records of any open file; others' handlers get them while none is open."""
    package.setLevel(min((kept.level for kept, _ in _OPEN.values()), default=logging.NOTSET))
    package.propagate = not _OPEN


def _is_in_prefect_run() -> bool:
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _find_worker() -> str | None:
    """Returns the name of the Dask worker that runs this, with its machine; None elsewhere."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    with suppress(ValueError):
        return f"{os.uname().nodename}-{distributed.get_worker().name}"
    return None
