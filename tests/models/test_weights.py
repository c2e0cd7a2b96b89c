"""The weights of the package: whole, small, described, and of their configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from blindzone import models
from blindzone.models.checkpoint import Checkpoint, read_checkpoint

WEIGHTS = Path(models.__file__).parent / "weights"


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return read_checkpoint(WEIGHTS / "palaiseau.keras")


def test_all_together_are_small_enough_to_be_cloned_by_everyone() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 15e6


def test_their_hash_is_in_their_folder_and_verified(shipped: Checkpoint) -> None:
    digest = hashlib.sha256((WEIGHTS / "palaiseau.keras").read_bytes()).hexdigest()
    assert f"{digest}  palaiseau.keras" in (WEIGHTS / "SHA256SUMS").read_text().splitlines()
    assert shipped.sha256 == digest


def test_they_saw_no_day_of_the_test_block(shipped: Checkpoint) -> None:
    looked_at = {*shipped.training["training_days"], *shipped.training["validation_days"]}
    assert shipped.training["source"] == "palaiseau_basta"
    # The test block of the catalogue.
    assert not looked_at & {"2021-03-14", "2021-03-19", "2021-03-21", "2021-03-27", "2021-03-30"}


def test_their_card_names_its_file_and_names_no_place_on_a_machine(
    shipped: Checkpoint,
) -> None:
    card = (WEIGHTS / "palaiseau.md").read_text()
    assert shipped.sha256 in card
    for heading in ("## Data", "## Training", "## Scores", "## Limits", "## Configuration"):
        assert heading in card
    assert "/home/" not in card
    assert "workspace" not in card.split("## Configuration")[1]
