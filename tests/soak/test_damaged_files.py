"""Every damaged and deceptive file of every layout: ingested right or rejected by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage.other_kinds import KINDS
from damage.radar_layouts import LAYOUT_NAMES, make_layout
from damage.running import run_other_cases, run_radar_cases

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_changed_radar_file_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    layout = make_layout(name, tmp_path)
    first_gate_m = 15.0 if layout.reader == "mrr" else None
    run_radar_cases(layout, tmp_path, monkeypatch, first_gate_m=first_gate_m)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", KINDS)
def test_changed_other_file_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_other_cases(KINDS[name], KINDS[name].write(), tmp_path, monkeypatch)
    assert capfd.readouterr().err == ""
