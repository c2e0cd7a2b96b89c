"""Default places: in the workspace that the environment names, and the network of a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.flows.running.workspace import (
    archive_folder,
    checkpoint_file,
    product_folder,
    report_folder,
    workspace,
)


def test_all_places_are_in_the_workspace_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path))
    assert workspace() == tmp_path
    assert archive_folder() == tmp_path / "archive"
    assert product_folder() == tmp_path / "products"
    assert report_folder() == tmp_path / "reports"
    assert checkpoint_file("station") == tmp_path / "checkpoints" / "station.keras"


def test_without_a_name_it_is_a_folder_of_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLINDZONE_WORKSPACE")
    assert workspace() == Path("workspace")
