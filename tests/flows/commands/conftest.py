"""A product for the commands that look at products."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run


@pytest.fixture(scope="session")
def product(
    trained: tuple[Path, Path], catalog: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A product of one short day, with two ensemble members."""
    folder = tmp_path_factory.mktemp("products")
    options = ["--archive", trained[0], "--checkpoint", trained[1], "--catalog", catalog]
    span = [
        "--start",
        "2000-01-02",
        "--end",
        "2000-01-02",
        "--passes",
        2,
        "--members",
        2,
        "--seed",
        5,
    ]
    code, out, err = run("inpaint", "short_days", *span, *options, "--output", folder)
    assert code == 0, err
    return Path(out.strip())
