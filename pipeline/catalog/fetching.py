"""Files of a Cloudnet site from the data portal of ACTRIS (https://cloudnet.fmi.fi).

What the portal has is asked by its official client. The client's own download verifies no checksum
after it and ends a file after five minutes; files are therefore fetched here, over the client's
session. A file bears its name once it is whole, has the SHA-256 that the portal states, and is on
the disk. A file that is there and has it is not fetched again.

Interface: https://docs.cloudnet.fmi.fi/api/data-portal.html; texts to cite come from the portal's
`reference/UUID/TYPE`.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from cloudnet_api_client import APIClient, CloudnetAPIError
from cloudnet_api_client.containers import ProductMetadata, Site
from cloudnet_api_client.version import __version__ as client_version
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential

from blindzone.core.errors import FetchError, FileUnavailableError
from blindzone.core.files import sha256_file, write_atomically

logger = logging.getLogger(__name__)

T = TypeVar("T")

PORTAL = "https://cloudnet.fmi.fi/api/"
TIMEOUT_S = 60.0
"""How long the portal may be silent [s]."""
ATTEMPTS = 4
"""How often the portal is asked before an error that may pass ends the fetch."""
BACKOFF_S = 2.0
"""How long to wait before the second attempt [s]; twice as long each time."""
LEFT_AFTER_S = 3600.0
"""Age [s] after which a file that was begun is what an ended process left: a running one writes at
least once in `TIMEOUT_S`."""

TEMPORARY = ".fetching-"
"""How the names of folders begin that exist during a fetch."""

_CHUNK = 1 << 18
_PASSING_STATUS = frozenset({429, 500, 502, 503, 504, 524})
"""Answers of servers under load, or behind a proxy that waits in vain (524)."""
_BEGUN = re.compile(r"\..+\.[0-9a-f]{32}(\.\w+)?")
"""Names of files that `write_atomically` has begun."""
_UNNAMED = "the portal states no checksum that can be verified"


@dataclass(frozen=True, kw_only=True)
class DataUse:
    """Terms of files, and what their use asks for.

    Attributes:
        creator: Who made the data; empty if the portal does not say.
        publisher: Who offers the data.
        citation: How to cite a file.
        acknowledgement: What to acknowledge.
        stated_by_portal: Whether these are the portal's words and not the minimum.
    """

    creator: str
    publisher: str
    citation: str
    acknowledgement: str
    stated_by_portal: bool


MINIMUM_USE = DataUse(
    creator="",
    publisher="ACTRIS Cloud remote sensing data centre unit (CLU)",
    citation="ACTRIS Cloudnet data: cite the persistent identifier of each file",
    acknowledgement="ACTRIS and the Finnish Meteorological Institute provided the data",
    stated_by_portal=False,
)
"""What is kept with files whose terms the portal does not give."""


class _BoundedAdapter(HTTPAdapter):  # type: ignore[misc]  # requests has no types
    """Transport to one host that waits as long as it is told to, not as long as the client asks."""

    def __init__(self, host: str | None, timeout_s: float) -> None:
        super().__init__()
        self._host = host
        self._timeout_s = timeout_s

    def send(self, request: Any, **options: Any) -> Any:
        """Sends a request, also one that another was redirected to."""
        host = urlsplit(request.url).hostname
        if host != self._host:
            raise requests.exceptions.InvalidURL(f"leads to another host, {host}")
        return super().send(request, **(options | {"timeout": self._timeout_s}))


class CloudnetPortal:
    """The data portal of Cloudnet, or a server that speaks its interface.

    Args:
        address: Base URL of the interface.
        timeout_s: How long it may be silent [s].
        attempts: How often it is asked.

    Raises:
        FetchError: If the address is no URL of a web server.
    """

    def __init__(
        self, address: str = PORTAL, *, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS
    ) -> None:
        self.address = _check_address(address)
        self._attempts = attempts
        session = requests.Session()
        session.headers["User-Agent"] = f"cloudnet-api-client/{client_version} (blindzone)"
        for scheme in ("http://", "https://"):
            session.mount(scheme, _BoundedAdapter(urlsplit(self.address).hostname, timeout_s))
        self._client = APIClient(self.address, session)

    def find_site(self, name: str) -> Site:
        """Returns a site by its identifier or its name.

        Raises:
            FetchError: If there is none; the message names the nearest.
        """
        sites = self._ask(self._client.sites)
        wanted = name.strip().lower()
        for site in sites:
            if wanted in (site.id.lower(), site.human_readable_name.lower()):
                return site
        names = {known.lower(): site.id for site in sites for known in _names_of(site)}
        near = [names[found] for found in difflib.get_close_matches(wanted, names, n=6)]
        nearest = ", ".join(dict.fromkeys(near)) or "none is like it"
        raise FetchError(f"{self.address}: no site '{name}' among {len(sites)}; nearest: {nearest}")

    def find_files(
        self, site_id: str, start: date, end: date, products: Iterable[str]
    ) -> list[ProductMetadata]:
        """Returns what the portal has of a site's products in a range of days, both included.

        Raises:
            FetchError: If the portal does not answer or refuses the question.
        """
        return self._ask(
            lambda: self._client.files(
                site_id=site_id, date_from=start, date_to=end, product_id=list(products)
            )
        )

    def describe_use(self, file: ProductMetadata) -> DataUse:
        """Returns the terms of a file in the portal's words, or the minimum if it gives none."""
        try:
            cited = self._ask(lambda: self._get_reference(file, "citation").json(), attempts=1)
            authors = [f"{person['firstName']} {person['lastName']}" for person in cited["authors"]]
            return DataUse(
                creator=", ".join(" ".join(author.split()) for author in authors),
                publisher=str(cited["publisher"]),
                citation=self._read_reference(file, "citation"),
                acknowledgement=self._read_reference(file, "acknowledgements"),
                stated_by_portal=True,
            )
        except (FetchError, KeyError, TypeError) as error:
            logger.warning("%s: the portal gives no terms of use: %s", file.filename, error)
            return MINIMUM_USE

    def _read_reference(self, file: ProductMetadata, kind: str) -> str:
        found = self._ask(lambda: self._get_reference(file, kind, format="txt"), attempts=1)
        return " ".join(found.text.split())

    def _get_reference(self, file: ProductMetadata, kind: str, **options: str) -> Any:
        address = f"{self.address}reference/{file.uuid}/{kind}"
        response = self._client.session.get(address, params=options)
        response.raise_for_status()
        return response

    def fetch_file(
        self,
        file: ProductMetadata,
        path: Path,
        on_bytes: Callable[[int], None] = lambda received: None,
    ) -> bool:
        """Fetches a file unless it is there already, and returns whether it was fetched.

        Args:
            file: What the portal states of it.
            path: Where it is put.
            on_bytes: Called with the number of its bytes that are here.

        Raises:
            FileUnavailableError: If the portal refuses it, or sends what has another checksum.
            FetchError: If the portal does not answer, or nothing can be written.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", file.checksum):
            raise FileUnavailableError(f"{file.filename}: {_UNNAMED}; found {file.checksum!r}")
        if is_whole(path, file):
            on_bytes(file.size)
            return False
        with write_atomically(path, error=FetchError, what="the file") as partial:
            self._ask(lambda: self._receive(file, partial, on_bytes), error=FileUnavailableError)
        return True

    def _receive(
        self, file: ProductMetadata, partial: Path, on_bytes: Callable[[int], None]
    ) -> None:
        # The client builds the address likewise: what the portal states is read on its own server.
        address = f"{self.address}{file.download_url.split('/api/')[-1]}"
        digest, received = hashlib.sha256(), 0
        with self._client.session.get(address, stream=True) as response:
            response.raise_for_status()
            with partial.open("wb") as stream:
                for chunk in response.iter_content(_CHUNK):
                    received += len(chunk)
                    if received > file.size:
                        break
                    digest.update(chunk)
                    stream.write(chunk)
                    on_bytes(received)
        if received != file.size or digest.hexdigest() != file.checksum:
            raise _ChangedError(
                f"{file.filename}: {received} bytes with the SHA-256 {digest.hexdigest()[:12]}...;"
                f" the portal states {file.size} bytes and {file.checksum[:12]}..."
            )

    def _ask(
        self,
        question: Callable[[], T],
        *,
        error: type[FetchError] = FetchError,
        attempts: int | None = None,
    ) -> T:
        """Returns the answer to a question that is asked again if what went wrong may pass.

        Raises:
            FetchError: If there is no answer; of the type `error` if it is a refusal.
        """
        trying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(attempts or self._attempts),
            wait=wait_exponential(multiplier=BACKOFF_S),
            before_sleep=_report_retry,
            reraise=True,
        )
        try:
            return trying(question)
        except requests.HTTPError as refused:
            raise error(f"{self.address}: {_describe_refusal(refused)}") from refused
        except _ChangedError as changed:
            raise error(f"{changed}; fetching it later is right") from None
        except requests.RequestException as failed:
            raise FetchError(f"{self.address}: {_describe_failure(failed)}") from failed
        except CloudnetAPIError as refused:
            (reasons,) = refused.args  # a text, or a list of them
            text = "; ".join(map(str, reasons)) if isinstance(reasons, list) else reasons
            raise FetchError(f"{self.address}: refused: {text}") from refused
        except (LookupError, TypeError, ValueError, AttributeError) as odd:
            # The client checks nothing of what it is answered.
            raise FetchError(
                f"{self.address}: answers in a form that its client does not know"
                f" ({type(odd).__name__}: {odd}); the address of a Cloudnet portal's interface is"
                f" right, such as {PORTAL}"
            ) from odd


class _ChangedError(Exception):
    """A file that came is not the one that the portal has described."""


def _check_address(address: str) -> str:
    """Returns the base URL of an interface, with `api/` at its end."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise FetchError(
            f"portal: {parts.scheme}://{parts.hostname or ''} is no address of a portal; one such"
            f" as {PORTAL} is right, without a name or password"
        )
    base = address.rstrip("/")
    return f"{base}/" if base.endswith("/api") else f"{base}/api/"


def _names_of(site: Site) -> Sequence[str]:
    return (site.id, site.human_readable_name)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _PASSING_STATUS
    lost = requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
    return isinstance(error, lost | _ChangedError)


def _report_retry(state: RetryCallState) -> None:
    if state.outcome is not None and state.next_action is not None:
        wait_s = state.next_action.sleep
        logger.warning("tried again in %.0f s: %s", wait_s, state.outcome.exception())


def _describe_refusal(error: requests.HTTPError) -> str:
    response = error.response
    if response is None:
        return f"refused: {error}"
    return f"refused {urlsplit(response.url).path}: {response.status_code} {response.reason}"


def _describe_failure(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "does not answer in time; trying again later is right"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate cannot be verified: {error}"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached; a machine that is online is right, or another --portal"
    if isinstance(error, requests.exceptions.InvalidURL):
        return str(error)
    if isinstance(error, requests.exceptions.InvalidJSONError):
        return f"answers with something that is no JSON; {PORTAL} is an address that is right"
    return f"the transfer broke off: {type(error).__name__}: {error}"


def is_whole(path: Path, file: ProductMetadata) -> bool:
    """Returns whether a file is there just as the portal describes it.

    Raises:
        FetchError: If it is there and cannot be read.
    """
    try:
        return path.stat().st_size == file.size and sha256_file(path) == file.checksum
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FetchError(f"{path}: cannot be read: {error.strerror}") from error


def remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed have begun to write into a folder of fetched files.

    What another process may still be writing is left alone.
    """
    for path in folder.glob(".*"):
        is_ours = path.name.startswith(TEMPORARY) or _BEGUN.fullmatch(path.name)
        with suppress(OSError):
            written = max(part.stat().st_mtime for part in (path, *path.rglob("*")))
            if is_ours and time.time() - written > LEFT_AFTER_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def ask_within(seconds: float, question: Callable[[], T]) -> T:
    """Returns the answer to a question, which may take so long in all [s].

    Looking a server's name up may take longer than any timeout of a connection. The question is
    therefore asked on a thread of its own, which ends with the process at the latest.

    Raises:
        FetchError: If there is no answer in time, or as the question raises it.
    """
    answers: list[T] = []
    errors: list[FetchError] = []

    def ask() -> None:
        try:
            answers.append(question())
        except FetchError as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise FetchError(f"no answer within {seconds:g} s")
    return answers[0]
