"""A server on loopback that speaks the interface of the Cloudnet data portal.

Its answers have the form that https://docs.cloudnet.fmi.fi/api/data-portal.html describes, as far
as the official client reads them.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PRODUCTS = {
    "radar": "Radar",
    "lidar": "Lidar",
    "model": "Model",
    "weather-station": "Weather station",
    "disdrometer": "Disdrometer",
    "mwr": "Microwave radiometer",
}


@dataclass
class Portal:
    """What a portal has, what goes wrong with it, and what it was asked.

    Attributes:
        sites: Names of its sites by identifier.
        files: Its files as the interface describes them.
        contents: Contents by the address below `download/`.
        faults: What happens to the next requests of a path, first come first served: a status,
            `cut` (the transfer breaks off), `wrong` (other bytes), `text` (no JSON), `odd` (other
            JSON), `drop` (no answer), `elsewhere` (a
            redirect to another host), `hang` (neither until the server ends).
        asked: Paths of the requests so far, with queries.
        address: Base URL of the interface.
    """

    sites: dict[str, str] = field(default_factory=lambda: {"palaiseau": "Palaiseau"})
    files: list[dict[str, Any]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def add(
        self,
        product: str,
        day: date,
        content: bytes,
        *,
        instrument: str = "basta",
        name: str = "BASTA",
        site: str = "palaiseau",
        filename: str | None = None,
        pid: str = "",
    ) -> str:
        """Adds a file and returns the path below the base URL where it is fetched."""
        filename = filename or f"{day:%Y%m%d}_{site}_{instrument}.nc"
        number = uuid.uuid5(uuid.NAMESPACE_URL, f"{product}{day}{instrument}{site}{pid}")
        path = f"download/product/{number}/{filename}"
        is_model = product == "model"
        entry = {
            "uuid": str(number),
            "pid": f"https://hdl.handle.net/21.12132/1.{number.hex[:16]}",
            "dvasId": None,
            "volatile": False,
            "legacy": False,
            "measurementDate": day.isoformat(),
            "checksum": hashlib.sha256(content).hexdigest(),
            "size": str(len(content)),
            "coverage": 0.9,
            "format": "HDF5 (NetCDF4)",
            "errorLevel": "pass",
            "timeliness": "scheduled",
            "s3key": None,
            "createdAt": f"{day}T01:21:05.694Z",
            "updatedAt": f"{day}T14:21:07.303Z",
            "startTime": None,
            "stopTime": None,
            "site": self._describe_site(site),
            "product": {
                "id": product,
                "humanReadableName": PRODUCTS[product],
                "type": ["model" if is_model else "instrument"],
                "experimental": False,
            },
            "filename": filename,
            # The portal names its own host, whatever address it is reached by.
            "downloadUrl": f"https://cloudnet.fmi.fi/api/{path}",
        }
        self.files.append(entry | self._describe_origin(instrument, name, pid, is_model=is_model))
        self.contents[path] = content
        return path

    @staticmethod
    def _describe_origin(instrument: str, name: str, pid: str, *, is_model: bool) -> dict[str, Any]:
        if is_model:
            model = {"id": instrument, "humanReadableName": name, "optimumOrder": 0}
            return {
                "model": model | dict.fromkeys(("sourceModelId", "forecastStart", "forecastEnd"))
            }
        number = uuid.uuid5(uuid.NAMESPACE_URL, f"{instrument}{pid}")
        return {
            "instrument": {
                "uuid": str(number),
                "instrumentId": instrument,
                "pid": pid or f"https://hdl.handle.net/21.12132/3.{number.hex[:16]}",
                "name": f"SIRTA {name}",
                "owners": ["Institut Pierre Simon Laplace (IPSL)"],
                "model": name,
                "type": "an instrument",
                "serialNumber": None,
            }
        }

    def _describe_site(self, site: str) -> dict[str, Any]:
        return {
            "id": site,
            "humanReadableName": self.sites[site],
            "stationName": None,
            "type": ["cloudnet"],
            "latitude": 48.717,
            "longitude": 2.209,
            "altitude": 156,
            "gaw": None,
            "dvasId": None,
            "actrisId": None,
            "country": "France",
            "countryCode": "FR",
            "countrySubdivisionCode": None,
        }

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """Returns the content of an answer: bytes, text, or what becomes JSON; a status if none."""
        if path == "sites":
            return [self._describe_site(site) for site in self.sites]
        if path in ("files", "model-files"):
            return self._select(query, models=path == "model-files")
        if path in self.contents:
            return self.contents[path]
        match = re.fullmatch(r"reference/([0-9a-f-]+)/(citation|acknowledgements)", path)
        if match is None or match[1] not in {file["uuid"] for file in self.files}:
            return 404
        if match[2] == "acknowledgements":
            return "We acknowledge ACTRIS  for providing the data."
        if query.get("format") == ["txt"]:
            return "Delanoe, J. (2021). Radar data from Palaiseau."
        return {
            "authors": [{"firstName": "Julien", "lastName": "Delanoe"}],
            "publisher": "ACTRIS Cloud remote sensing data centre unit (CLU)",
            "title": "Radar data from Palaiseau",
        }

    def _select(self, query: dict[str, list[str]], *, models: bool) -> Any:
        if unknown := set(query.get("site", [])) - set(self.sites):
            return {"status": 400, "errors": [f"Invalid site: {', '.join(unknown)}"]}
        (start,), (end,) = query["dateFrom"], query["dateTo"]
        return [
            file
            for file in self.files
            if ("model" in file) == models
            and file["site"]["id"] in query["site"]
            and start <= file["measurementDate"] <= end
            and (models or file["product"]["id"] in query.get("product", PRODUCTS))
        ]


class _Handler(BaseHTTPRequestHandler):
    portal: Portal

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/")
        self.portal.asked.append(self.path.removeprefix("/api/"))
        faults = self.portal.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        if fault == "hang":
            self.portal.ended.wait()
        if fault in ("hang", "drop"):
            return
        if fault == "elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/api/")
            self.end_headers()
            return
        found = fault if isinstance(fault, int) else self.portal.answer(path, parse_qs(parts.query))
        status = 200
        if isinstance(found, int):
            status, found = found, {"status": found, "errors": ["it goes wrong"]}
        elif isinstance(found, dict) and "status" in found:
            status = found["status"]
        if fault == "text":
            found = "<html>Welcome</html>"
        elif fault == "odd":
            found = [{"name": "of another interface"}]
        content = found if isinstance(found, bytes) else _encode(found)
        if fault == "wrong":
            content = bytes(len(content))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)


def _encode(found: Any) -> bytes:
    return (found if isinstance(found, str) else json.dumps(found)).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Says nothing of clients that go before they have read all."""


@contextmanager
def serving_portal() -> Iterator[Portal]:
    """Yields a portal without files, served on loopback."""
    portal = Portal()
    handler = type("Handler", (_Handler,), {"portal": portal})
    server = _Server(("127.0.0.1", 0), handler)
    portal.address = f"http://127.0.0.1:{server.server_address[1]}/api/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield portal
    finally:
        portal.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
