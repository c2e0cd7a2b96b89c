"""The environment is reported as it is, and each want of it is found with advice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import dask.system
import distributed.system
import pytest

from blindzone.flows.checks.environment import (
    MEMORY_BYTES,
    THREAD_VARIABLES,
    check_folder,
    check_memory,
    check_packages,
    check_prefect,
    check_threads,
)
from blindzone.flows.checks.findings import Finding, Level


def the_one(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_installed_packages_are_those_that_the_package_declares() -> None:
    found = the_one(check_packages())
    assert (found.level, found.advice) == (Level.OK, "")
    assert f"blindzone {metadata.version('blindzone')}" in found.found


@pytest.mark.parametrize(
    ("name", "version", "harm"),
    [
        ("fastapi", "0.155.0", "every Prefect flow fails"),
        ("sqlalchemy", "2.1.0", "Prefect's scheduler never creates a run"),
        ("zarr", "2.18.0", "is not"),
    ],
)
def test_version_that_is_not_declared_is_an_error_with_what_it_does(
    name: str, version: str, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda asked: version if asked == name else right(asked)
    )
    found = the_one(check_packages())
    assert (found.level, f"{name} {version} is not" in found.found, harm in found.found) == (
        Level.ERROR,
        True,
        True,
    )
    assert found.advice.startswith(f"pip install '{name}")


def test_missing_package_and_old_python_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "not-there-at-all>=1",
        "only-elsewhere; sys_platform == 'win32'",
        "only-on-request; extra == 'dev'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda package: needs)
    monkeypatch.setattr("platform.python_version", lambda: "3.10.2")
    assert [(finding.level, finding.found) for finding in check_packages()] == [
        (Level.ERROR, "Python 3.10.2; blindzone needs >=3.11"),
        (Level.ERROR, "not-there-at-all is not installed"),
    ]


@pytest.mark.parametrize(
    ("usable", "settings", "level", "advice"),
    [
        (8, {}, Level.OK, ""),
        (2, dict.fromkeys(THREAD_VARIABLES, "2"), Level.OK, ""),
        (
            2,
            {},
            Level.WARNING,
            f"set {', '.join(THREAD_VARIABLES)} to 2: libraries start 8 threads otherwise",
        ),
        (
            2,
            dict.fromkeys(THREAD_VARIABLES, "2") | {"OMP_NUM_THREADS": "4"},
            Level.WARNING,
            "set OMP_NUM_THREADS to 2",
        ),
        (8, {"OMP_NUM_THREADS": "all"}, Level.WARNING, "set OMP_NUM_THREADS to 8"),
        (8, {"OMP_NUM_THREADS": "4,2"}, Level.OK, ""),
    ],
)
def test_threads_are_compared_with_the_cores_that_may_be_used(
    usable: int,
    settings: dict[str, str],
    level: Level,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask.system, "CPU_COUNT", usable)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = the_one(check_threads())
    assert (found.level, found.advice[: len(advice)] if advice else found.advice) == (level, advice)
    assert found.found.startswith(f"{usable} of 8 cores usable")


@pytest.mark.parametrize(
    ("limit", "level"), [(MEMORY_BYTES, Level.OK), (MEMORY_BYTES - 1, Level.ERROR)]
)
def test_memory_below_what_a_run_needs_is_an_error(
    limit: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", limit)
    assert the_one(check_memory()).level is level


def test_folder_is_judged_by_who_may_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert the_one(check_folder("workspace", tmp_path)).level is Level.OK
    new = the_one(check_folder("workspace", tmp_path / "a" / "b"))
    assert (new.level, new.found) == (Level.OK, f"{tmp_path}/a/b: not there yet, can be made")
    tmp_path.chmod(0o777)
    found = the_one(check_folder("workspace", tmp_path))
    assert (found.level, found.advice) == (Level.WARNING, f"chmod o-w {tmp_path}")
    owner = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    found = the_one(check_folder("workspace", tmp_path))
    assert (found.level, f"belongs to user {owner}; this is user {owner + 1}" in found.found) == (
        Level.WARNING,
        True,
    )
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_an_error() -> None:
    found = the_one(check_folder("workspace", Path("/proc/blindzone")))  # read-only for everyone
    assert (found.level, "cannot be written to" in found.found) == (Level.ERROR, True)


class Answer(BaseHTTPRequestHandler):
    """Answers as a Prefect server, as one in trouble, or as something else."""

    def do_GET(self) -> None:
        content = {"/api/health": b"true", "/sick/health": b"false"}.get(self.path, b"<html>")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_prefect_server_is_asked_for_its_health(server: str) -> None:
    assert the_one(check_prefect(None)).level is Level.OK
    assert the_one(check_prefect(f"http://{server}/api")).level is Level.OK
    # A password in the address is not shown.
    found = the_one(check_prefect(f"http://me:secret@{server}/api"))
    assert (found.level, found.found) == (Level.OK, f"http://{server}/api: reached")
    for path in ("sick", "else"):
        assert the_one(check_prefect(f"http://{server}/{path}")).level is Level.ERROR


def test_server_that_does_not_respond_and_address_that_is_none_are_errors() -> None:
    # Nobody listens on port 1.
    found = the_one(check_prefect("http://127.0.0.1:1/api"))
    assert (found.level, "does not respond" in found.found) == (Level.ERROR, True)
    for address in ("file:///etc/passwd", "127.0.0.1:4200", "http://[x/api"):
        assert the_one(check_prefect(address)).level is Level.ERROR, address


def test_server_elsewhere_without_encryption_is_a_warning(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindzone.flows.checks.environment._LOOPBACK", ())
    assert the_one(check_prefect(f"http://{server}/api")).level is Level.WARNING
