"""How much memory there is to work with: what is asked before a file's data are read."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from blindzone.core.errors import BlindzoneError

COPIES = 3
"""How often data are in memory at once: as read, as checked numbers, and as a curtain."""

_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "memory.stat",
        "total_inactive_file",
    ),
)
"""Of cgroups version 2 and 1: limit, usage, statistics, and the part of them that is cache."""


def find_available(cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Returns the memory that this process may still take [byte].

    It is the least of what the machine has, what the control groups of the process leave (Linux,
    versions 1 and 2), and what `ulimit -v` leaves.

    Args:
        cgroups: Where control groups are mounted.
        membership: The file that names those of the process.
    """
    left = [psutil.virtual_memory().available, *_find_left_in_cgroups(cgroups, membership)]
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        left.append(most - psutil.Process().memory_info().vms)
    return max(0, min(left))


def check_memory(size: int, what: str, kind: type[BlindzoneError]) -> None:
    """Checks that data can be worked on in memory.

    Args:
        size: Their size [byte].
        what: What they are, for the message.
        kind: The error.

    Raises:
        BlindzoneError: Of that kind, if there is too little memory for `COPIES` of them.
    """
    available = find_available()
    if size * COPIES > available:
        raise kind(
            f"{what} would take {size / 2**30:.3g} GiB of memory, {COPIES} times over;"
            f" {available / 2**30:.3g} GiB are free"
        )


def _find_left_in_cgroups(cgroups: Path, membership: Path) -> Iterator[int]:
    """Yields what each control group above the process leaves [byte]."""
    for folder in _list_groups(cgroups, membership):
        for limit_name, usage_name, statistics, cache in _CGROUP_FILES:
            limit, usage = (_read_number(folder / name) for name in (limit_name, usage_name))
            if limit is not None and usage is not None:
                yield limit - usage + _read_statistic(folder / statistics, cache)


def _list_groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """Yields the folders of the process's groups and of those above; in a container, the roots."""
    roots = {"": cgroups, "memory": cgroups / "memory"}  # by controller: versions 2 and 1
    yield from roots.values()
    try:
        lines = membership.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = next((roots[one] for one in controllers.split(",") if one in roots), None)
        if root is not None:
            group = root / path.strip("/")
            yield from (one for one in (group, *group.parents) if root in one.parents)


def _read_number(path: Path) -> int | None:
    """Returns the number in a file; None without the file, or where it says `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _read_statistic(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    found = (line.split() for line in lines)
    return next((int(words[1]) for words in found if words[:1] == [name]), 0)
