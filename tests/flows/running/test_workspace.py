"""Default places: in the workspace that the environment names, and the network of a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.flows.running.workspace import (
    SHIPPED_WEIGHTS,
    archive_folder,
    checkpoint_file,
    product_folder,
    report_folder,
    trained_checkpoint,
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


def test_source_is_filled_by_its_own_checkpoint_or_the_weights_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path))
    assert trained_checkpoint("station") == SHIPPED_WEIGHTS
    assert SHIPPED_WEIGHTS.is_file()
    own = tmp_path / "checkpoints" / "station.keras"
    own.parent.mkdir()
    own.touch()
    assert trained_checkpoint("station") == own
    assert trained_checkpoint("another") == SHIPPED_WEIGHTS
