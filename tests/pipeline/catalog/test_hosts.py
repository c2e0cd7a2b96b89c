"""A catalogue from elsewhere leads to no service inside this machine or its network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog import hosts
from blindzone.pipeline.catalog.hosts import is_public, open_options
from blindzone.pipeline.catalog.source_files import fetch, find_by_day


class Server(ThreadingHTTPServer):
    """A service of this machine that notes what it is asked."""

    asked: list[str]
    redirect: str


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", f"{self.server.redirect}{self.path.removeprefix('/away')}")
            self.end_headers()
            return
        body = b'<a href="20210314.nc">20210314.nc</a>'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keeps the terminal clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.redirect = [], ""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "::",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_inner_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "user@127.0.0.1",
        "0",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "sftp", "webhdfs"])
def test_loopback_however_it_is_written_is_refused(host: str, scheme: str) -> None:
    with pytest.raises(CatalogError, match=r"leads to .*'outside: true'.*BLINDZONE_HOSTS"):
        open_options(f"{scheme}://{host}:9/radar", outside=False)


def test_name_of_an_inner_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 0))
        for place in ("93.184.216.34", "10.0.0.7")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    with pytest.raises(CatalogError, match=r"leads to 10.0.0.7"):
        open_options("https://data.example.org/radar", outside=False)


def test_buckets_and_what_is_allowed_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("s3://127.0.0.1/radar", "memory://bucket/radar"):
        assert open_options(url, outside=False) == {}
    assert open_options("http://127.0.0.1/radar", outside=True) == {}
    monkeypatch.setenv("BLINDZONE_HOSTS", "store.example.org, LocalHost,[::1]")
    for host in ("localhost", "[::1]"):
        assert open_options(f"http://{host}:8000/radar", outside=False) == {}
    with pytest.raises(CatalogError, match=r"leads to 127.0.0.1"):
        open_options("http://127.0.0.1/radar", outside=False)


def test_service_of_this_machine_is_never_asked_without_permission(
    server: Server, tmp_path: Any
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/radar"
    with pytest.raises(CatalogError, match=r"leads to 127.0.0.1, inside this machine"):
        find_by_day(url, "%Y%m%d.nc", root=tmp_path)
    with pytest.raises(CatalogError, match="inside this machine"), fetch(f"{url}/20210314.nc"):
        pass
    assert server.asked == []
    assert find_by_day(url, "%Y%m%d.nc") == {date(2021, 3, 14): (f"{url}/20210314.nc",)}
    with fetch(f"{url}/20210314.nc", outside=True) as path:
        assert path.read_bytes().startswith(b"<a href")


def test_redirect_into_this_machine_is_not_followed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is a public one for the first connection, as far as we can see, and none later."""
    server.redirect = f"http://127.0.0.1:{server.server_port}/inner"
    seen: list[str] = []

    def is_first(address: str) -> bool:
        seen.append(address)
        return len(seen) <= 2  # when it is opened, and for the first connection

    monkeypatch.setattr(hosts, "is_public", is_first)
    server.redirect = f"http://localhost:{server.server_port}/inner"
    url = f"http://127.0.0.1:{server.server_port}/away/20210314.nc"
    with pytest.raises(CatalogError, match="inside this machine"), fetch(url):
        pass
    assert not [path for path in server.asked if path.startswith("/inner")]
