"""EarthCARE frames through their downloader, whose servers stand on loopback here."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from blindzone.core.errors import FetchError, FileUnavailableError
from blindzone.pipeline.catalog import earthcare_portal
from blindzone.pipeline.catalog.earthcare_portal import Area, check_token, find_frames
from blindzone.pipeline.catalog.portal_source import PortalFile, PortalSource

pytest.importorskip("earthcare_downloader", reason="needs the extra earthcare")

DAY = date(2026, 1, 8)
NAME = "ECA_EXBC_CPR_FMR_2A_20260108T030403Z_20260108T042349Z_09167F.h5"
TOKEN = "a-secret-token"


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What tells a C-FMR frame: its variables."""
    path = tmp_path_factory.mktemp("frame") / NAME
    with h5py.File(path, "w") as file:
        for name in ("reflectivity_corrected", "height"):
            file[f"ScienceData/{name}"] = np.zeros((4, 3), dtype=np.float32)
        for name in ("latitude", "longitude", "surface_elevation", "time"):
            file[f"ScienceData/{name}"] = np.zeros(4)
    return path.read_bytes()


class Maap:
    """What ESA's servers have, and what they were asked."""

    def __init__(self, frame: bytes) -> None:
        self.content = frame
        self.size: int | None = len(frame)
        self.name = NAME
        self.token_status = 200
        self.file_status = 200
        self.searched: list[dict[str, Any]] = []
        self.downloads: list[str | None] = []
        self.address = ""

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        self.searched.append(body)
        feature = {
            "id": self.name,
            "properties": {
                "datetime": "2026-01-08T03:04:03.000000Z",
                "product:type": "CPR_FMR_2A",
                "version": "BC",
            },
            "assets": {"product": {"href": f"{self.address}/{self.name}", "file:size": self.size}},
        }
        return {"features": [feature] if "CPR_FMR_2A" in body["filter"] else []}


@contextmanager
def serving(maap: Maap) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/search":
                self.reply(200, json.dumps(maap.search(json.loads(body))).encode())
            else:
                found = {"access_token": "short"} if maap.token_status == 200 else {"is": TOKEN}
                self.reply(maap.token_status, json.dumps(found).encode())

        def do_GET(self) -> None:
            maap.downloads.append(self.headers["Authorization"])
            self.reply(maap.file_status, maap.content)

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    maap.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def maap(frame: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Maap]:
    from earthcare_downloader import dl, metadata

    served = Maap(frame)

    async def wait_no_time(seconds: float) -> None: ...

    with serving(served):
        monkeypatch.setattr(metadata, "BASE_URL", served.address)
        monkeypatch.setattr(dl, "TOKEN_URL", f"{served.address}/token")
        monkeypatch.setattr(dl, "TOKEN_PATH", tmp_path / "home" / "token")
        monkeypatch.setattr("asyncio.sleep", wait_no_time)
        monkeypatch.setenv("MAAP_TOKEN", TOKEN)
        yield served


def find_source() -> PortalSource:
    (source,) = find_frames(["CPR_FMR_2A", "CPR_NOM_1B"], DAY, DAY)
    return source


def find_file() -> PortalFile:
    return find_source().files[NAME]


def test_frames_of_a_day_become_a_source_of_granules(maap: Maap) -> None:
    source = find_source()
    assert list(source.files) == [NAME]
    assert (source.name, source.size) == ("earthcare_cpr_fmr_2a", len(maap.content))
    form = re.sub(r"%.", r"\\d+", source.pattern.replace("*", r"[^/]*"))
    assert re.fullmatch(form, NAME)
    assert source.stated["unit"] == "granule"
    # Searching takes no token.
    assert maap.downloads == []


def test_area_is_asked_for(maap: Maap) -> None:
    find_frames(["CPR_FMR_2A"], DAY, DAY, Area(latitude=0, longitude=10, radius_km=111.32))
    # 111.32 km are a degree at the equator.
    assert maap.searched[0]["bbox"] == [9.0, -1.0, 11.0, 1.0]


def test_frame_comes_once(maap: Maap, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "frames" / NAME
    received: list[int] = []
    assert find_file().fetch(path, received.append)
    assert path.read_bytes() == maap.content
    assert received == [len(maap.content)]
    assert list(path.parent.iterdir()) == [path]
    assert not find_file().fetch(path, received.append)
    assert maap.downloads == ["Bearer short"]
    assert capsys.readouterr().out == ""


def test_frame_that_came_before_its_end_is_fetched_anew(maap: Maap, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(maap.content[:-100])
    assert find_file().fetch(tmp_path / NAME, lambda received: None)
    assert (tmp_path / NAME).read_bytes() == maap.content


def test_frame_that_is_none_leaves_nothing(maap: Maap, tmp_path: Path) -> None:
    maap.content = bytes(len(maap.content))
    with pytest.raises(FileUnavailableError, match=f"{NAME}: came damaged or cut short"):
        find_file().fetch(tmp_path / NAME, lambda received: None)
    assert not list(tmp_path.iterdir())


def test_refused_frame_is_told_with_its_status(maap: Maap, tmp_path: Path) -> None:
    maap.file_status = 403
    with pytest.raises(FileUnavailableError, match=f"{NAME}: refused: 403 Forbidden"):
        find_file().fetch(tmp_path / NAME, lambda received: None)
    assert not list(tmp_path.iterdir())


def test_refused_token_is_told_without_it(maap: Maap, tmp_path: Path) -> None:
    maap.token_status = 400
    with pytest.raises(FetchError, match=r"the token is refused \(400\); a new one") as caught:
        find_file().fetch(tmp_path / NAME, lambda received: None)
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__  # nor in a traceback
    assert not list(tmp_path.iterdir())


def test_names_of_the_portal_lead_nowhere_else(maap: Maap) -> None:
    maap.name = "..%2f..%2fECA.h5"
    with pytest.raises(FetchError, match="no frame of CPR_FMR_2A"):
        find_frames(["CPR_FMR_2A"], DAY, DAY)


def test_range_without_frames_is_one_error(maap: Maap) -> None:
    with pytest.raises(FetchError, match="no frame of CPR_NOM_1B from 2026-01-08 to 2026-01-08"):
        find_frames(["CPR_NOM_1B"], DAY, DAY)


def test_portal_that_is_not_there_is_one_error(maap: Maap, monkeypatch: pytest.MonkeyPatch) -> None:
    from earthcare_downloader import metadata

    monkeypatch.setattr(metadata, "BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match="ESA MAAP: cannot be asked: ClientConnectorError"):
        find_frames(["CPR_FMR_2A"], DAY, DAY)


def test_token_of_the_environment_or_the_downloader_is_needed(maap: Maap, tmp_path: Path) -> None:
    check_token({"MAAP_TOKEN": TOKEN})
    with pytest.raises(FetchError, match=f"MAAP_TOKEN is not set and {tmp_path}/home/token does"):
        check_token({})
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text(TOKEN)
    check_token({})


def test_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "earthcare_downloader", None)
    with pytest.raises(FetchError, match=r"pip install 'blindzone\[earthcare\]' adds it"):
        find_frames(list(earthcare_portal.PRODUCTS), DAY, DAY)
