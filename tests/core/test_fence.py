"""The fence: whatever is raised is set aside with its traceback, and only the run's end passes."""

from __future__ import annotations

import asyncio
import errno
import logging

import pytest
from prefect.exceptions import CancelledRun, TerminationSignal

from blindzone.core.errors import LONGEST_MESSAGE, LockedError, ProductError, SourceFileError
from blindzone.core.fence import Fence, can_pass, describe, quote, refusing_as


class OddError(BaseException):
    """As a library written in another language raises it: no Exception."""


FAULTS = [MemoryError(), RecursionError("deep"), OddError("panic"), AssertionError(), OSError(28)]
ENDS = [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError()]
CANCELLED = [CancelledRun("run"), TerminationSignal(15)]


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_whatever_is_raised_is_set_aside_and_what_follows_is_done(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    aside: list[BaseException] = []
    with caplog.at_level(logging.INFO), Fence(aside.append):
        raise error
    assert aside == [error]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [*ENDS, *CANCELLED], ids=repr)
def test_what_ends_a_run_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), Fence(lambda _: pytest.fail("it is set aside")):
        raise error
    with pytest.raises(type(error)), refusing_as(SourceFileError, "a file"):
        raise error


def test_library_that_does_not_fit_into_memory_is_a_want_of_memory() -> None:
    unmapped = ImportError("libtensorflow_cc.so.2: failed to map segment from shared object")
    assert describe(unmapped) == describe(MemoryError()) == "it needs more memory than there is"
    assert describe(ImportError("no module")) == "ImportError: no module"


def test_own_refusal_needs_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with Fence(lambda error: None):
        raise SourceFileError("no profile")
    assert not caplog.records


def test_error_that_concerns_everything_is_raised() -> None:
    with (
        pytest.raises(LockedError),
        Fence(lambda error: None, unless=lambda error: isinstance(error, LockedError)),
    ):
        raise LockedError("taken")


def test_error_of_a_library_becomes_ours_and_our_own_stays() -> None:
    with (
        pytest.raises(SourceFileError, match=r"^a\.nc: cannot be read: it needs more") as raised,
        refusing_as(SourceFileError, "a.nc: cannot be read"),
    ):
        raise MemoryError
    assert isinstance(raised.value.__cause__, MemoryError)
    with pytest.raises(ProductError, match=r"^ours$"), refusing_as(SourceFileError, "a.nc"):
        raise ProductError("ours")


def test_messages_are_bounded_and_keep_both_ends() -> None:
    message = str(SourceFileError("begin " + "x" * 5_000_000 + " end"))
    assert len(message) == LONGEST_MESSAGE
    assert message.startswith("begin x")
    assert message.endswith("x end")
    assert "(5000010 characters)" in message
    assert len(quote(["x" * 10_000])) == len(describe(ValueError("x" * 10_000))) == 300
    assert describe(KeyError("time")) == "KeyError: 'time'"


class ClientResponseError(Exception):
    """As aiohttp's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status}, message=''")
        self.status = status


class ServerDisconnectedError(Exception):
    """As aiohttp's."""


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ClientResponseError(503), True),
        (ClientResponseError(429), True),
        (ClientResponseError(403), False),
        (ClientResponseError(404), False),
        (ServerDisconnectedError(), True),
        (BlockingIOError(errno.EAGAIN, "unable to lock file"), True),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_servers_that_are_away_and_files_in_use_can_pass(error: Exception, passes: bool) -> None:
    assert can_pass(error) is passes
