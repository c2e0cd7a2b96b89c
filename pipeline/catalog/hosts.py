"""Which hosts the URL of a catalogue may lead to: none inside this machine or its network.

A catalogue from elsewhere must not have this machine ask services that trust it: its own, those of
its network, and the metadata service of a cloud. `outside: true` in the entry allows them, and so
does whoever runs blindzone by `BLINDZONE_HOSTS`.

The address counts and not the name: it is looked at when the catalogue's URL is opened, and over
HTTP again at each connection, so that neither a redirect nor a name that changes leads inside.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.places import find_allowed_hosts

_SCHEMES = ("ftp", "hdfs", "http", "https", "sftp", "smb", "ssh", "webhdfs")
"""Schemes whose URLs name a host; those of the others name a bucket, and the host is of the
operator's settings."""
_METADATA = ipaddress.ip_address("168.63.129.16")
"""Azure's service for its machines, the one such address in a public range
(https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16)."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses in those of IPv6 (RFC 6052)."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def open_options(url: str, *, outside: bool) -> dict[str, Any]:
    """Returns the options with which fsspec opens a URL, after a look at where it leads.

    Args:
        url: The URL.
        outside: Whether it may lead anywhere.

    Raises:
        CatalogError: If it leads inside this machine or its network and may not.
    """
    parts = urlsplit(url)
    if outside or parts.scheme not in _SCHEMES or parts.hostname is None:
        return {}
    if parts.hostname in find_allowed_hosts():
        return {}
    for address in _resolve(parts.hostname):
        _check_public(address, url)
    return {"get_client": _guard_client(url)} if parts.scheme in ("http", "https") else {}


def _resolve(host: str) -> list[str]:
    """Returns the addresses of a host, whichever way it is written; none if it has none."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):  # opening it says why
        return []


def _check_public(address: str, url: str) -> None:
    if not is_public(address):
        raise CatalogError(
            f"{url}: leads to {address}, inside this machine or its network; if that is meant,"
            " 'outside: true' in the source's entry of the catalogue allows it, or the host's name"
            " in BLINDZONE_HOSTS"
        )


def is_public(address: str) -> bool:
    """Returns whether an IP address is one of the public internet, and no machine's inner one."""
    found = _find_embedded(ipaddress.ip_address(address.partition("%")[0]))
    return found.is_global and not found.is_multicast and found != _METADATA


def _find_embedded(address: _Address) -> _Address:
    """Returns the IPv4 address that one of IPv6 stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _guard_client(url: str) -> Callable[..., Any]:
    """Returns what makes a client of HTTP that looks at the address of each connection."""

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = info
        _check_public(str(place[0]), url)
        return socket.socket(family=family, type=kind, proto=protocol)

    async def make_client(**options: Any) -> Any:
        import aiohttp  # of fsspec's extra, and not needed without such a URL

        connector = aiohttp.TCPConnector(socket_factory=make_socket)
        return aiohttp.ClientSession(connector=connector, **options)

    return make_client
