"""The fence: whatever one file, source, picture, checkpoint or report does, it alone is set aside.

A library may raise anything on hostile input: MemoryError, RecursionError, errors of its own. Two
blocks stand between such a thing and the rest of a run:

    with refusing_as(SourceFileError, f"{path}: cannot be read"):      # says what it is about
        ...
    with Fence(lambda error: rejected.update({name: describe(error)})):    # the others go on
        ...

Only what ends a run passes them: the interpreter's own exits, and cancellation.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from blindzone.core.errors import BlindzoneError, LockedError, shorten
from blindzone.core.printable import to_line

LONGEST_QUOTE = 300
"""Most characters of what a message quotes: a value, or the words of a library."""

_ENDS_RUN = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
_ENDS_PREFECT_RUN = {"CancelledRun", "ExternalSignal", "PausedRun", "PrefectSignal"}
"""Classes of `prefect.exceptions`, which is not imported here."""
_PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOLCK,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""What a network file system, or a disk under load, may say now and not in a minute. A full disk
stays full."""
_UNMAPPED = "failed to map segment from shared object"
"""What the loader of glibc says where a library does not fit into what `ulimit -v` leaves."""
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of a server that is overloaded or away (RFC 9110, 6585, 8470)."""
_PASSING_NAMES = re.compile(r"Connection|Connect(Error|Timeout)|Disconnected|Timeout|Throttl")
"""In the names of errors that clients of stores raise besides Python's own."""

logger = logging.getLogger(__name__)


def ends_run(error: BaseException) -> bool:
    """Returns whether an error is no fault of what is worked on: the run itself is to end."""
    if isinstance(error, _ENDS_RUN):
        return True
    return any(
        kind.__module__ == "prefect.exceptions" and kind.__name__ in _ENDS_PREFECT_RUN
        for kind in type(error).__mro__
    )


class Fence:
    """Hands whatever its block raises to a function; the caller goes on after the block.

    An error that blindzone did not foresee goes to the log with its traceback.

    Args:
        set_aside: Takes the error, and notes it.
        unless: Returns whether an error is not to be set aside but raised.
    """

    def __init__(
        self,
        set_aside: Callable[[BaseException], object],
        *,
        unless: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        self._set_aside = set_aside
        self._unless = unless

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if error is None or ends_run(error) or self._unless(error):
            return False
        log_traceback(error)
        self._set_aside(error)
        return True


@contextmanager
def refusing_as(kind: type[BlindzoneError], what: str) -> Iterator[None]:
    """Turns whatever a library raises in the block into an error of blindzone; its own pass.

    Args:
        kind: The error.
        what: Beginning of its message: what could not be done, and with what.
    """
    try:
        yield
    except BaseException as error:
        if ends_run(error) or isinstance(error, BlindzoneError):
            raise
        raise kind(f"{what}: {describe(error)}") from error


def ignore(error: BaseException) -> None:
    """Takes an error that is met and noted elsewhere again."""


def log_traceback(error: BaseException) -> None:
    """Logs an error with its traceback, unless blindzone alone raised it.

    A traceback is for a log that is kept, whose level is `info`, and never for a terminal.
    """
    if all(isinstance(link, BlindzoneError) for link in follow_causes(error)):
        return
    logger.info("set aside: %s", describe(error), exc_info=error)


def describe(error: BaseException) -> str:
    """Returns an error as a message of one line, no longer than `errors.LONGEST_MESSAGE`."""
    return to_line(_describe(error))


def _describe(error: BaseException) -> str:
    if isinstance(error, BlindzoneError):
        return str(error)
    if is_out_of_memory(error):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = shorten(str(error), LONGEST_QUOTE)
    if isinstance(error, OSError | ValueError) and text:
        return text  # which says by itself what is wrong
    return f"{type(error).__name__}{': ' if text else ''}{text}"


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether memory lacked: for an object, or for a library that is to be loaded."""
    if isinstance(error, ImportError):
        return _UNMAPPED in str(error)
    return isinstance(error, MemoryError)


def quote(value: object) -> str:
    """Returns a value as a message quotes it, not longer than `LONGEST_QUOTE`."""
    return shorten(repr(value), LONGEST_QUOTE)


def can_pass(error: BaseException) -> bool:
    """Returns whether a step may succeed later.

    A lock was taken, a writer had the file, or a disk or network erred.
    """
    return any(map(_can_pass, follow_causes(error)))


def _can_pass(link: BaseException) -> bool:
    if isinstance(link, LockedError | ConnectionError | TimeoutError):
        return True
    if isinstance(link, OSError) and link.errno in _PASSING:
        return True
    if isinstance(link, BlindzoneError):
        return False
    stated = (getattr(link, name, None) for name in ("status", "status_code", "code"))
    return any(isinstance(code, int) and code in _PASSING_STATUS for code in stated) or (
        _PASSING_NAMES.search(type(link).__name__) is not None
    )


def follow_causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those that it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
