"""The weights of the package: whole, small, described, and of their configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from blindzone import models
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.checkpoint_record import TRUNK_KEY
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.inpainting.calibration_verdict import describe_calibration
from blindzone.pipeline.network_input.preprocessing import Preprocessing

WEIGHTS = Path(models.__file__).parent / "weights"


FILLING = ("palaiseau", "cloudsat", "earthcare", "gpm_ku", "repair")
NAMES = (*FILLING, "trunk")


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shipped(name: str) -> Checkpoint:
    return read_checkpoint(WEIGHTS / f"{name}.keras")


def test_every_file_is_tested() -> None:
    assert {path.stem for path in WEIGHTS.glob("*.keras")} == {*NAMES}


def test_all_together_are_small_enough_to_be_cloned_by_everyone() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 40e6


def test_their_hash_is_in_their_folder_and_verified(shipped: Checkpoint, name: str) -> None:
    digest = hashlib.sha256((WEIGHTS / f"{name}.keras").read_bytes()).hexdigest()
    assert f"{digest}  {name}.keras" in (WEIGHTS / "SHA256SUMS").read_text().splitlines()
    assert shipped.sha256 == digest


def test_they_saw_no_day_of_the_test_block(shipped: Checkpoint) -> None:
    training = shipped.training
    days = {training["source"]: training} | training.get("pooled", {})
    catalog = read_catalog()
    for source, of_source in days.items():
        looked_at = {*of_source["training_days"], *of_source["validation_days"]}
        assert looked_at
        assert not looked_at & {str(day) for day in catalog[source].split.test}


def test_trunk_is_marked_and_the_others_are_calibrated(shipped: Checkpoint, name: str) -> None:
    assert shipped.training.get(TRUNK_KEY, False) == (name not in FILLING)
    assert (shipped.calibration is not None) == (name in FILLING)


@pytest.mark.parametrize("name", FILLING, indirect=True)
def test_their_intervals_held_on_days_withheld(shipped: Checkpoint) -> None:
    hidden_rows = Preprocessing.from_dict(shipped.preprocessing).hidden_rows
    status = describe_calibration(shipped.calibration, hidden_rows=hidden_rows)
    assert status.state == "holds", status.text


def test_their_card_names_its_file_and_names_no_place_on_a_machine(
    shipped: Checkpoint, name: str
) -> None:
    card = (WEIGHTS / f"{name}.md").read_text()
    assert shipped.sha256 in card
    for heading in ("## Data", "## Training", "## Scores", "## Limits", "## Configuration"):
        assert heading in card
    assert "/home/" not in card
    assert "workspace" not in card.split("## Configuration")[1]
