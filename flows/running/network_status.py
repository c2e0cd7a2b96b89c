"""Which networks of the package are experimental: a table with the weights says so, and why."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from blindzone.core.configuration import read_plain
from blindzone.core.errors import CheckpointError
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint_record import read_sums

TABLE = SHIPPED_WEIGHTS.with_name("experimental.yaml")
"""Reason of each experimental network, by the name of its file."""


def find_experimental(sha256: str) -> str:
    """Returns why a network of the package is experimental; empty if it, or its file, is not one.

    It is known by its hash, so that a copy under another name is what it was.

    Args:
        sha256: Hash of the checkpoint.

    Raises:
        CheckpointError: If the table cannot be read.
    """
    return read_reasons(TABLE).get(sha256, "")


@cache
def read_reasons(table: Path) -> dict[str, str]:
    """Returns the reasons of a table by the hashes of the checkpoints next to it.

    Raises:
        CheckpointError: If it cannot be read, or names no checkpoint there.
    """
    content = yaml.safe_load(table.read_text(encoding="utf-8"))
    reasons = read_plain(dict[str, str], content, where=str(table), error=CheckpointError)
    hashes = {name: sha256 for sha256, name in read_sums(table)}
    unknown = sorted(reasons.keys() - hashes.keys())
    if unknown:
        raise CheckpointError(f"{table}: no weights of the package: {', '.join(unknown)}")
    return {hashes[name]: reason for name, reason in reasons.items()}
