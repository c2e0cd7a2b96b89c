"""Stages of a run: each begins where the last one ended, and none is trained twice.

The training itself is a stand-in that adds 1 to every weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.flows.experiments import fitting
from blindzone.flows.experiments.runs import Run, list_runs
from blindzone.flows.experiments.staged_training import finish_run, fit_stages
from blindzone.flows.experiments.training_budget import Budget
from blindzone.flows.experiments.training_data import TrainingData, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan, read_plan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_record import TrainingRecord

PLAN = TrainingPlan(
    network=NetworkConfig(filters=1, depth=1, deep_supervision=True, normalization="none"),
    stages=(
        Stage(name="narrow", steps=3, batch_size=2, window_profiles=32, seed=5),
        Stage(name="encoder", steps=4, batch_size=2, frozen=("decoder",), seed=5),
        Stage(name="all", steps=2, batch_size=1, rates={"encoder": 0.1}, seed=5),
    ),
    validation=ValidationPlan(windows=2),
)


class Killed(BaseException):
    pass


class StandIn:
    """Stands in for the training; ends the process in named calls."""

    def __init__(self) -> None:
        self.began: list[list[np.ndarray]] = []
        self.stages: list[Any] = []
        self.first: list[np.ndarray] = []
        self.widths: list[int] = []
        self.killed_in: set[int] = set()

    def __call__(self, network: keras.Model, config: NetworkConfig, *arguments: Any) -> Any:
        draw, _, training, _ = arguments
        if len(self.stages) + 1 in self.killed_in:
            self.killed_in.clear()
            raise Killed
        self.stages.append(training)
        self.began.append(network.get_weights())
        self.widths.append(config.input_profiles)
        self.first.append(next(draw(0)).inputs)
        network.set_weights([weights + 1 for weights in network.get_weights()])
        return TrainingRecord(
            steps=training.steps or 1,
            seconds=60.0,
            ended="budget",
            best_step=1,
            loss=0.5,
            validation_loss=0.4,
            validation_score=0.3,
            validation_absolute_error_units=0.2,
            wait_share=0.1,
        )


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(fitting, "train_network", stand_in)
    return stand_in


@pytest.fixture(scope="module")
def data(catalog: Path, trained: tuple[Path, Path], simulated_days: Path) -> TrainingData:
    source = open_source("short_days", DataPlaces(catalog=catalog, archive=str(trained[0])))
    return prepare_data(source, PLAN)


@pytest.fixture
def run(trained: tuple[Path, Path], tmp_path: Path) -> Run:
    """A run that is begun and has taken no step."""
    (other,) = list_runs(trained[1].parent / "runs")
    run = Run(tmp_path / "short_days" / "run")
    run.begin(PLAN, other.about())
    return run


def check_weights_go_on(training: StandIn) -> None:
    assert training.stages == [stage.training for stage in PLAN.stages]
    for before, after in zip(training.began, training.began[1:], strict=False):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one + 1, other)


def test_each_stage_begins_with_all_weights_of_the_last_and_with_new_windows(
    run: Run, data: TrainingData, training: StandIn
) -> None:
    fitted = fit_stages(run, data, PLAN)
    # Heads on decoder stages go on too, though no checkpoint has them.
    check_weights_go_on(training)
    assert training.widths == [32, 128, 128]
    # Six windows of the first stage, then eight of the second; of the first one part each.
    expected = [data.windows.draw_one(5, number).inputs for number in (0, 6, 14)]
    for found, wide in zip(training.first, expected, strict=True):
        np.testing.assert_array_equal(found, wide[:, : found.shape[1]])
    assert fitted.minutes == pytest.approx(3.0)
    assert fitted.config.input_profiles == 128
    assert [run.part(name).status for name in ("stage1", "stage2")] == ["finished"] * 2
    assert read_checkpoint(run.part("stage1").checkpoint).config.input_profiles == 32


@pytest.mark.parametrize("killed_in", [1, 2, 3])
def test_a_run_killed_in_any_stage_goes_on_there(
    run: Run, data: TrainingData, training: StandIn, killed_in: int
) -> None:
    training.killed_in = {killed_in}
    with pytest.raises(Killed):
        fit_stages(run, data, PLAN)
    assert len(training.stages) == killed_in - 1
    fit_stages(run, data, PLAN)
    check_weights_go_on(training)


def test_a_stage_that_had_its_share_of_a_budget_goes_on_with_it(
    run: Run, data: TrainingData, training: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.killed_in = {2}
    with pytest.raises(Killed):
        fit_stages(run, data, PLAN, Budget(10.0))
    begun = read_plan(run.part("stage2").plan_file).training
    assert begun.steps is None  # the budget in minutes takes their place
    # The end of the ten minutes has one; of the rest half, as two of three stages are left.
    assert begun.minutes == pytest.approx(4.5, abs=0.2)
    fit_stages(run, data, PLAN)
    assert training.stages[1] == begun


def test_card_tells_of_earlier_stages(run: Run, data: TrainingData, training: StandIn) -> None:
    fitted = fit_stages(run, data, PLAN)
    finish_run(run, fitted, {"sha256": "0", "scores": {}, "minutes": 3.0}, ())
    card = (run.path / "card.md").read_text()
    assert "2 earlier stages of the whole network took 2.0 min" in card
