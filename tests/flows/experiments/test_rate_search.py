"""The learning-rate finder on a source: which stage it sweeps, and what it draws."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blindzone.flows.experiments import rate_search
from blindzone.flows.experiments.rate_search import search_rate
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.flows.experiments.training_run import TrainingTask
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.running.plans import DataPlaces
from blindzone.models.network_config import NetworkConfig
from blindzone.models.rate_finder import RateSweep
from blindzone.models.training_config import TrainingConfig

PLAN = TrainingPlan(
    network=NetworkConfig(filters=1, depth=1, base="column", column_filters=2, column_depth=1),
    stages=(
        Stage(name="paths", part="column_paths", steps=3, batch_size=2, window_profiles=32, seed=4),
        Stage(name="rest", steps=3, batch_size=2, seed=6),
    ),
    validation=ValidationPlan(windows=2),
)
RATES = np.geomspace(1e-4, 1, 5)


@pytest.fixture
def task(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> TrainingTask:
    return TrainingTask(
        source="short_days",
        places=DataPlaces(catalog=catalog, archive=str(trained[0])),
        checkpoint=tmp_path / "mine.keras",
    )


def test_the_first_stage_is_swept_with_its_own_network_and_windows(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    def sweep(
        network: Any, config: NetworkConfig, windows: Any, training: TrainingConfig, on_step: Any
    ) -> RateSweep:
        on_step(1, 0.5)
        found.append((config.filters, next(windows(0)).inputs.shape, training.seed))
        return RateSweep(rates=RATES, losses=RATES, smoothed=RATES, suggested=0.1)

    monkeypatch.setattr(rate_search, "find_rate", sweep)
    report = search_rate(task, PLAN)
    whole = search_rate(task, dataclasses.replace(PLAN, stages=PLAN.whole_stages))
    assert found == [(0, (128, 32, 3), 4), (1, (128, 128, 3), 6)]
    assert (report.stage, whole.stage) == ("paths", "rest")
    assert (report.planned, report.suggested) == (0.002, 0.1)
    assert report.picture.stat().st_size > 5_000
    assert not task.checkpoint.exists()
