"""Random changes of every kind of file, with every quality rule on: read soundly or rejected."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage.fuzz import list_kinds, run_cases
from damage.other_kinds import KINDS
from damage.radar_layouts import LAYOUT_NAMES

SEEDS = range(8)
"""The first of those that `make soak` runs."""


@pytest.mark.parametrize("name", [*LAYOUT_NAMES, *KINDS])
def test_changed_file_is_read_soundly_or_rejected_by_name(name: str, tmp_path: Path) -> None:
    counts = run_cases(list_kinds(tmp_path)[name], SEEDS, tmp_path)
    assert counts["read"] > 0
    assert counts["rejected"] > 0
