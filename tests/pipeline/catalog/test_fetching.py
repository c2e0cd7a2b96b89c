"""Files from the Cloudnet portal: whole with the right checksum, or not there at all."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cloudnet_api_client.containers import ProductMetadata
from cloudnet_portal import Portal, serving_portal

from blindzone.core.errors import FetchError, FileUnavailableError
from blindzone.pipeline.catalog import fetching
from blindzone.pipeline.catalog.fetching import (
    MINIMUM_USE,
    CloudnetPortal,
    ask_within,
    is_whole,
    remove_leftovers,
)

DAY = date(2021, 3, 14)
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serving_portal() as served:
        yield served


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between attempts, which take no time here."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def ask(portal: Portal, **options: float) -> CloudnetPortal:
    return CloudnetPortal(portal.address, **{"timeout_s": 5.0, **options})  # type: ignore[arg-type]


def find_one(portal: Portal) -> ProductMetadata:
    (file,) = ask(portal).find_files("palaiseau", DAY, DAY, ["radar"])
    return file


def count(portal: Portal, path: str) -> int:
    return sum(asked.startswith(path) for asked in portal.asked)


def test_file_comes_with_its_content_and_only_once(portal: Portal, tmp_path: Path) -> None:
    path = portal.add("radar", DAY, CONTENT)
    received: list[int] = []
    target = tmp_path / "new" / "20210314.nc"
    file = find_one(portal)
    assert ask(portal).fetch_file(file, target, received.append)
    assert target.read_bytes() == CONTENT
    assert received[-1] == len(CONTENT)
    assert not ask(portal).fetch_file(file, target, received.append)
    assert count(portal, path) == 1
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("there", [CONTENT[:-1], bytes(len(CONTENT)), b""])
def test_file_that_is_not_what_the_portal_has_is_fetched_anew(
    portal: Portal, tmp_path: Path, there: bytes
) -> None:
    portal.add("radar", DAY, CONTENT)
    target = tmp_path / "20210314.nc"
    target.write_bytes(there)
    file = find_one(portal)
    assert not is_whole(target, file)
    assert ask(portal).fetch_file(file, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["cut", "wrong", 503, 429])
def test_what_may_pass_is_tried_again(
    portal: Portal, tmp_path: Path, waits: list[float], fault: int | str
) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.faults[path] = [fault, fault]
    assert ask(portal).fetch_file(find_one(portal), tmp_path / "a.nc")
    assert (tmp_path / "a.nc").read_bytes() == CONTENT
    assert waits == [2.0, 4.0]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (403, "refused /api/download/product/.*_palaiseau_basta.nc: 403 Forbidden"),
        (404, "404 Not Found"),
        ("wrong", f"{len(CONTENT)} bytes with the SHA-256 .* the portal states"),
    ],
)
def test_file_that_cannot_be_had_leaves_nothing_and_the_earlier_one_as_it_was(
    portal: Portal, tmp_path: Path, fault: int | str, says: str
) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.faults[path] = [fault] * 8
    file = find_one(portal)
    with pytest.raises(FileUnavailableError, match=says):
        ask(portal).fetch_file(file, tmp_path / "new.nc")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.nc").write_bytes(b"old")
    with pytest.raises(FileUnavailableError, match=says):
        ask(portal).fetch_file(file, tmp_path / "old.nc")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_redirect_to_another_host_is_not_followed(portal: Portal, tmp_path: Path) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.faults[path] = ["elsewhere"]
    with pytest.raises(FetchError, match="leads to another host, localhost"):
        ask(portal).fetch_file(find_one(portal), tmp_path / "a.nc")
    assert portal.asked[-1] == path


def test_refusal_is_not_asked_again(portal: Portal, tmp_path: Path, waits: list[float]) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.faults[path] = [403]
    with pytest.raises(FileUnavailableError):
        ask(portal).fetch_file(find_one(portal), tmp_path / "a.nc")
    assert (count(portal, path), waits) == (1, [])


def test_longer_file_than_stated_is_not_read_to_its_end(portal: Portal, tmp_path: Path) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.contents[path] = CONTENT + bytes(50_000_000)
    received: list[int] = []
    with pytest.raises(FileUnavailableError, match="the portal states"):
        ask(portal, attempts=1).fetch_file(find_one(portal), tmp_path / "a.nc", received.append)
    assert received == []


def test_file_without_a_checksum_is_not_fetched(portal: Portal, tmp_path: Path) -> None:
    path = portal.add("radar", DAY, CONTENT)
    portal.files[0]["checksum"] = ""
    with pytest.raises(FileUnavailableError, match="no checksum that can be verified"):
        ask(portal).fetch_file(find_one(portal), tmp_path / "a.nc")
    assert count(portal, path) == 0


def test_full_disk_ends_the_fetch_and_leaves_nothing(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.add("radar", DAY, CONTENT)
    file = find_one(portal)

    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("blindzone.core.files.sync_file", refuse)
    with pytest.raises(FetchError, match="the file cannot be written: No space left") as caught:
        ask(portal).fetch_file(file, tmp_path / "a.nc")
    assert not isinstance(caught.value, FileUnavailableError)
    assert not list(tmp_path.iterdir())


def test_interrupt_leaves_nothing(portal: Portal, tmp_path: Path) -> None:
    portal.add("radar", DAY, CONTENT)
    file = find_one(portal)

    def interrupt(received: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(portal).fetch_file(file, tmp_path / "a.nc", interrupt)
    assert not list(tmp_path.iterdir())


def test_portal_that_is_not_there_is_one_error() -> None:
    gone = CloudnetPortal("http://127.0.0.1:9/api", timeout_s=1)
    with pytest.raises(
        FetchError, match=r"127\.0\.0\.1:9/api/: cannot be reached; a machine that is"
    ):
        gone.find_site("palaiseau")


def test_portal_that_does_not_answer_is_one_error(portal: Portal) -> None:
    portal.faults["sites"] = ["hang"]
    with pytest.raises(FetchError, match="does not answer in time"):
        ask(portal, timeout_s=0.2, attempts=1).find_site("palaiseau")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (403, "refused /api/sites: 403 Forbidden"),
        (404, "it goes wrong"),
        ("text", "something that is no JSON"),
        ("odd", "in a form that its client does not know"),
    ],
)
def test_answer_that_is_none_is_one_error(portal: Portal, fault: int | str, says: str) -> None:
    portal.faults["sites"] = [fault] * 4
    with pytest.raises(FetchError, match=says):
        ask(portal).find_site("palaiseau")


def test_site_is_found_by_identifier_and_by_name(portal: Portal) -> None:
    portal.sites = {"palaiseau": "Palaiseau", "ny-alesund": "Ny-Ålesund"}
    assert ask(portal).find_site("PALAISEAU").id == "palaiseau"
    assert ask(portal).find_site("ny-ålesund").id == "ny-alesund"


def test_unknown_site_names_the_nearest(portal: Portal) -> None:
    portal.sites = {"palaiseau": "Palaiseau", "payerne": "Payerne", "hyytiala": "Hyytiälä"}
    with pytest.raises(FetchError, match=r"no site 'palaisau' among 3; nearest: palaiseau"):
        ask(portal).find_site("palaisau")
    with pytest.raises(FetchError, match="nearest: none is like it"):
        ask(portal).find_site("xyz")


def test_refused_question_has_the_words_of_the_portal(portal: Portal) -> None:
    with pytest.raises(FetchError, match=r"refused: Invalid site: elsewhere$"):
        ask(portal).find_files("elsewhere", DAY, DAY, ["radar"])


def test_range_includes_both_its_ends(portal: Portal) -> None:
    for number in (13, 14, 15, 16):
        portal.add("radar", date(2021, 3, number), CONTENT)
        portal.add("model", date(2021, 3, number), CONTENT, instrument="ecmwf")
    files = ask(portal).find_files("palaiseau", DAY, date(2021, 3, 15), ["radar", "model"])
    assert sorted((file.product.id, file.measurement_date.day) for file in files) == [
        ("model", 14),
        ("model", 15),
        ("radar", 14),
        ("radar", 15),
    ]


def test_terms_are_those_of_the_portal_or_the_minimum(portal: Portal) -> None:
    portal.add("radar", DAY, CONTENT)
    file = find_one(portal)
    use = ask(portal).describe_use(file)
    assert use.creator == "Julien Delanoe"
    assert use.citation == "Delanoe, J. (2021). Radar data from Palaiseau."
    assert use.acknowledgement == "We acknowledge ACTRIS for providing the data."
    assert use.stated_by_portal
    for fault in (500, "text", "odd"):
        portal.faults[f"reference/{file.uuid}/citation"] = [fault]
        assert ask(portal).describe_use(file) == MINIMUM_USE


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("https://cloudnet.fmi.fi", "https://cloudnet.fmi.fi/api/"),
        ("https://cloudnet.fmi.fi/api", "https://cloudnet.fmi.fi/api/"),
        ("http://127.0.0.1:8000/api/", "http://127.0.0.1:8000/api/"),
    ],
)
def test_address_ends_with_that_of_the_interface(address: str, base: str) -> None:
    assert CloudnetPortal(address).address == base


@pytest.mark.parametrize("address", ["ftp://a/api", "cloudnet", "https://me:secret@a/api"])
def test_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(FetchError, match="is no address of a portal") as caught:
        CloudnetPortal(address)
    assert "secret" not in str(caught.value)


def test_leftovers_of_ended_processes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    begun = f".20210314_a.{'0' * 32}.nc"
    for name in (begun, ".hidden", "20210314_a.nc"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / ".fetching-x").mkdir()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4  # another process may still be at work
    old = time.time() - 2 * fetching.LEFT_AFTER_S
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".hidden", "20210314_a.nc"}


def test_answer_has_a_limit_in_all() -> None:
    def fail() -> int:
        raise FetchError("an error")

    assert ask_within(5, lambda: 7) == 7
    with pytest.raises(FetchError, match="an error"):
        ask_within(5, fail)
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"no answer within 0.1 s"):
        ask_within(0.1, lambda: threading.Event().wait(3))
    assert time.monotonic() - started < 2
