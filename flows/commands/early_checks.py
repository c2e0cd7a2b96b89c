"""What can be checked before the libraries of a command load, which takes seconds.

Each check raises what the command itself would raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def check_file(path: Path, right: str = "the path of a radar file") -> None:
    """Checks that there is something to read under a path.

    Args:
        path: The path.
        right: What would be right, for the message.

    Raises:
        SourceFileError: If not.
    """
    from blindzone.core.errors import SourceFileError

    if not path.exists():
        raise SourceFileError(f"{path}: no such file; {right} is right")


def check_sources(names: Sequence[str], catalog: Path | None, *, any_will_do: bool = False) -> None:
    """Checks that a catalogue has sources, with entries that are right.

    Args:
        names: Their names.
        catalog: The catalogue's file; by default the one that is found.
        any_will_do: Whether the command does what it can where others are not known.

    Raises:
        CatalogError: If the catalogue cannot be used, or lacks them.
    """
    from blindzone.pipeline.catalog.catalog import read_catalog

    found = read_catalog(catalog)
    if any_will_do and any(name in found for name in names):
        return
    for name in names:
        found.check_known(name)


def check_checkpoints(paths: Iterable[Path | None]) -> None:
    """Checks that checkpoints are there, whole, and of a format that is read.

    Raises:
        CheckpointError: If one is not.
    """
    from blindzone.models.checkpoint_record import open_record

    for path in paths:
        if path is not None:
            open_record(path)
