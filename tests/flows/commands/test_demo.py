"""The command `demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = "short_days"


def test_demo_without_measured_data_says_so_and_takes_simulated_curtains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blindzone.flows.demo import choose_source

    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    source, reason = choose_source(None, Path(__file__).parents[3] / "data_catalog.yaml")

    assert source == "simulated"
    assert str(tmp_path) in reason
    assert "simulated" in reason
    assert "\n" not in reason
