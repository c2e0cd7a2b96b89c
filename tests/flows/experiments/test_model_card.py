"""Model cards: data, training, scores and limits of a run as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blindzone.flows.experiments.model_card import format_card, write_card
from blindzone.flows.experiments.runs import Run, begin_run
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig

CONFIG = NetworkConfig(filters=4, depth=2)
ABOUT: dict[str, Any] = {
    "source": "station",
    "title": "A radar",
    "licence": "CC0",
    "reference": "",
    "simulated": True,
    "begun": "2026-03-02T02:00:00Z",
    "training_days": ["2021-03-14", "2021-03-15"],
    "validation_days": ["2021-03-16"],
    "data_sha256": "ab" * 32,
    "start_from_sha256": [],
    "software": {"keras": "3.12", "git": None},
    "devices": ["CPU"],
    "preprocessing": {
        "blind_zone": {"top_m": 1250.0},
        "floor_dbz": -30.0,
        "lowest_trusted_m": 234.0,
        "grid": {"rows": 128, "row_depth_m": 78.125},
        "channels": ["reflectivity", "mask"],
    },
}
RECORD = {
    "seconds": 90.0,
    "steps": 40,
    "ended": "budget",
    "best_step": 30,
    "wait_share": 0.015,
    "resumed_at": [],
    "notes": [],
}
RESULT = {"sha256": "cd" * 32, "minutes": 1.5, "scores": {"CRPS [dB]": 2.3456, "CSI": 0.5}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    plan = TrainingPlan(
        network=CONFIG, training=TrainingConfig(steps=40), validation=ValidationPlan(windows=12)
    )
    return begin_run(tmp_path, "station", plan, ABOUT)


def finish(run: Run, **changes: Any) -> str:
    run.write("result.json", RESULT | {"record": RECORD | changes})
    return format_card(run, CONFIG)


def test_card_states_days_time_scores_and_hashes(run: Run) -> None:
    card = finish(run)
    for text in (
        "A radar, simulated. Fills the lowest 1250 m of radar curtains; sensitivity floor -30 dBZ.",
        "| training days (2) | 2021-03-14, 2021-03-15 |",
        "40 steps in 1.5 min (budget spent), the best after 30; 1.5% of the time",
        "Over 12 fixed windows of the validation days",
        "| CRPS [dB] | 2.346 |",
        f"SHA-256 `{'cd' * 32}`",
        "128 rows of 78.125 m, channels reflectivity, mask",
        "| reference | none stated |",
        "Software: keras 3.12.",  # no version of git outside a checkout
        '"filters": 4',
    ):
        assert text in card
    assert "Resumed" not in card
    assert "Started from" not in card


def test_card_names_checkpoints_notes_and_resumptions(run: Run) -> None:
    run.write("about.json", ABOUT | {"start_from_sha256": ["12" * 32]})
    card = finish(run, resumed_at=[10, 20], notes=["the disk was full"])
    assert f"Started from the checkpoints with the SHA-256 {'12' * 32}." in card
    assert "Resumed at step 10, 20." in card
    assert "Note: the disk was full." in card


def test_card_counts_the_paths_that_were_trained_alone(run: Run) -> None:
    for name in ("column", "column1"):
        (run.path / name).mkdir()
        (run.path / name / "result.json").write_text('{"minutes": 1.0}')
    run.write("result.json", RESULT | {"minutes": 3.5, "record": RECORD})
    assert "each of its 2 column paths was trained alone, in 2.0 min together" in format_card(
        run, CONFIG
    )


def test_card_is_a_file_of_the_run(run: Run) -> None:
    card = finish(run)
    write_card(run, CONFIG)
    assert (run.path / "card.md").read_text() == card
