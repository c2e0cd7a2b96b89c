"""2240 random changes of every kind of file, with every quality rule on."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage.fuzz import list_kinds, run_cases
from damage.other_kinds import KINDS
from damage.radar_layouts import LAYOUT_NAMES

pytestmark = pytest.mark.soak

NAMES = [*LAYOUT_NAMES, *KINDS]
CASES = 2240


@pytest.mark.parametrize("name", NAMES)
def test_changed_file_is_read_soundly_or_rejected_by_name(name: str, tmp_path: Path) -> None:
    seeds = range(CASES // len(NAMES))
    counts = run_cases(list_kinds(tmp_path)[name], seeds, tmp_path)
    assert min(counts["read"], counts["rejected"]) > len(seeds) // 20
