"""Checks of the environment: installed packages, cores, memory, disk, Prefect server."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import dask.system
import distributed.system
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from blindzone.flows.checks.findings import Finding, Level

THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Numbers of threads of numerical libraries and TensorFlow; by default the number of cores."""

MEMORY_BYTES = 2 * 2**30
"""Memory that a run needs: 1.2 GiB at the peak, measured with a day of 9529 profiles, and some
for longer days."""

DAYS_AHEAD = 30
"""Number of days that the disk should have room for: a month of nightly runs."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEALTH_S = 2.0
_HARM = {
    "fastapi": "every Prefect flow fails",
    "sqlalchemy": "Prefect's scheduler never creates a run",
}
"""What happens with a version that is not among those declared."""


def check_packages(package: str = "blindzone") -> Iterator[Finding]:
    """Yields what of Python and the installed packages is not as a package declares."""
    declared = metadata.metadata(package)["Requires-Python"]
    if declared and platform.python_version() not in SpecifierSet(declared, prereleases=True):
        found = f"Python {platform.python_version()}; {package} needs {declared}"
        yield Finding(
            check="packages",
            level=Level.ERROR,
            found=found,
            advice="make install with another PYTHON",
        )
    requirements = [Requirement(text) for text in metadata.requires(package) or ()]
    needed = [
        entry
        for entry in requirements
        if entry.marker is None or entry.marker.evaluate({"extra": ""})
    ]
    wrong = [finding for entry in needed if (finding := _check_package(entry))]
    yield from wrong
    if not wrong:
        found = (
            f"Python {platform.python_version()}, {package} {metadata.version(package)},"
            f" {len(needed)} packages"
        )
        yield Finding(check="packages", level=Level.OK, found=f"{found} of versions as declared")


def _check_package(needed: Requirement) -> Finding | None:
    advice = f"pip install '{needed}'"
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        found = f"{needed.name} is not installed"
        return Finding(check="packages", level=Level.ERROR, found=found, advice=advice)
    if needed.specifier.contains(version, prereleases=True):
        return None
    harm = f": {_HARM[needed.name.lower()]}" if needed.name.lower() in _HARM else ""
    found = f"{needed.name} {version} is not {needed.specifier}{harm}"
    return Finding(check="packages", level=Level.ERROR, found=found, advice=advice)


def check_threads() -> Iterator[Finding]:
    """Yields how many cores this process may use, and settings of more threads than that."""
    there, usable = os.cpu_count() or 1, dask.system.CPU_COUNT  # by affinity and control group too
    settings = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    set_to = ", ".join(f"{name}={value}" for name, value in settings.items()) or "threads not set"
    cores = f"{usable} of {there} cores usable; {set_to}"
    firsts = {
        name: value.split(",")[0] for name, value in settings.items()
    }  # OpenMP takes one number a nested level
    wrong = [name for name, first in firsts.items() if not first.isdecimal() or int(first) > usable]
    if wrong:
        advice = (
            f"set {', '.join(wrong)} to {usable} or less: more threads than cores hinder each other"
        )
        yield Finding(check="threads", level=Level.WARNING, found=cores, advice=advice)
    elif usable < there and len(settings) < len(THREAD_VARIABLES):
        lacking = ", ".join(name for name in THREAD_VARIABLES if name not in settings)
        advice = f"set {lacking} to {usable}: libraries start {there} threads otherwise"
        yield Finding(check="threads", level=Level.WARNING, found=cores, advice=advice)
    else:
        yield Finding(check="threads", level=Level.OK, found=cores)


def check_memory() -> Iterator[Finding]:
    """Yields how much memory this process may use, by limits and control group too."""
    limit = int(distributed.system.MEMORY_LIMIT)
    found = f"{_gib(limit)} may be used, a run takes up to {_gib(MEMORY_BYTES)}"
    if limit >= MEMORY_BYTES:
        yield Finding(check="memory", level=Level.OK, found=found)
    else:
        advice = "raise the limit of the container or machine: a run may be killed"
        yield Finding(check="memory", level=Level.ERROR, found=found, advice=advice)


def check_folder(name: str, folder: Path) -> Iterator[Finding]:
    """Yields whether this user alone can write to a folder, or make it."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):  # has no name, or loses it at once
            pass
        found = there.stat()
    except OSError as error:
        advice = (
            f"give user {os.getuid()} the right to write to {there}, or name another folder by"
            " BLINDZONE_WORKSPACE"
        )
        problem = f"{folder}: cannot be written to: {error.strerror}"
        yield Finding(check=name, level=Level.ERROR, found=problem, advice=advice)
        return
    if there != folder.absolute():
        yield Finding(check=name, level=Level.OK, found=f"{folder}: not there yet, can be made")
    elif found.st_uid != os.getuid():
        problem = f"{folder}: belongs to user {found.st_uid}; this is user {os.getuid()}"
        advice = "run as that user: what two users write, one cannot mend for the other"
        yield Finding(check=name, level=Level.WARNING, found=problem, advice=advice)
    elif found.st_mode & 0o002:
        problem = (
            f"{folder}: everyone on this machine may replace its checkpoints, archive and products"
        )
        yield Finding(check=name, level=Level.WARNING, found=problem, advice=f"chmod o-w {folder}")
    else:
        yield Finding(check=name, level=Level.OK, found=f"{folder}: writable, of this user")


def check_disk(folder: Path, day_bytes: int) -> Iterator[Finding]:
    """Yields whether a folder's disk has room for days of so many bytes."""
    free = shutil.disk_usage(_nearest(folder)).free
    found = f"{folder}: {_gib(free)} free; a day takes up to {day_bytes / 2**20:.0f} MiB"
    if free < 2 * day_bytes:  # what is replaced stays until what is new is whole
        advice = "free some, or name another workspace by BLINDZONE_WORKSPACE"
        yield Finding(check="disk", level=Level.ERROR, found=found, advice=advice)
    elif free < DAYS_AHEAD * day_bytes:
        advice = f"free some soon: there is no room for {DAYS_AHEAD} days"
        yield Finding(check="disk", level=Level.WARNING, found=found, advice=advice)
    else:
        yield Finding(check="disk", level=Level.OK, found=found)


def check_prefect(url: str | None) -> Iterator[Finding]:
    """Yields whether the Prefect server that records runs can be reached."""
    if not url:
        found = "PREFECT_API_URL is not set: runs are not recorded"
        yield Finding(check="prefect", level=Level.OK, found=found)
        return
    scheme, _, rest = url.partition("://")
    address = f"{scheme}://{rest.rpartition('@')[2]}"  # without a password
    problem = _find_problem(address)
    if problem:
        advice = "start it ('blindzone serve'), or unset PREFECT_API_URL: no run starts without it"
        yield Finding(
            check="prefect", level=Level.ERROR, found=f"{address}: {problem}", advice=advice
        )
    elif scheme == "http" and urlsplit(address).hostname not in _LOOPBACK:
        advice = "use https, or a tunnel: whoever reads along can start runs"
        yield Finding(
            check="prefect",
            level=Level.WARNING,
            found=f"{address}: reached, unencrypted",
            advice=advice,
        )
    else:
        yield Finding(check="prefect", level=Level.OK, found=f"{address}: reached")


def _find_problem(url: str) -> str:
    """Returns what is wrong with a Prefect server; an empty text if it is healthy."""
    if not url.startswith(("http://", "https://")):  # urlopen would open files too
        return "no http address"
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=_HEALTH_S) as response:
            is_healthy = json.load(response) is True
            return "" if is_healthy else "responds, but not as a healthy Prefect server"
    except (URLError, HTTPException, OSError, ValueError) as error:
        return f"does not respond: {getattr(error, 'reason', error)}"


def _nearest(folder: Path) -> Path:
    """Returns the folder, or the nearest one above it that is there."""
    absolute = folder.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.is_dir()), Path("/"))


def _gib(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
