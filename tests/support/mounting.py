"""File systems that are mounted for the time of a test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounting(folder: Path) -> Iterator[Callable[..., Path]]:
    """Yields a function that mounts a file system in a folder; skips the test if not allowed."""
    mounted: list[Path] = []

    def call(*options: str) -> Path:
        place = folder / f"mount{len(mounted)}"
        place.mkdir()
        try:
            done = subprocess.run(
                ["mount", *options, str(place)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("there is no 'mount'")
        if done.returncode:
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield call
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
