"""Training runs: what a run's directory says of how it went, well or not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from blindzone.core.errors import TrainingError
from blindzone.flows.experiments import staged_training, training_run
from blindzone.flows.experiments.runs import Run, RunError, list_runs
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.flows.experiments.training_run import (
    TrainingTask,
    TrainReport,
    continue_training,
    run_training,
)
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.running.plans import DataPlaces
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import TrainingRecord

# TensorFlow reminds us that the stream of windows stays a graph.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")

PLAN = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2),
    training=TrainingConfig(steps=2, batch_size=2, steps_between_validations=1),
    validation=ValidationPlan(windows=2),
)


@pytest.fixture
def task(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> TrainingTask:
    return TrainingTask(
        source="short_days",
        places=DataPlaces(catalog=catalog, archive=str(trained[0])),
        checkpoint=tmp_path / "out" / "mine.keras",
        runs=tmp_path / "runs",
    )


def find_run(task: TrainingTask) -> Run:
    assert task.runs is not None
    (run,) = list_runs(task.runs)
    return run


RECORD = TrainingRecord(
    steps=2,
    seconds=90.0,
    ended="budget",
    best_step=1,
    loss=0.5,
    validation_loss=0.4,
    validation_score=0.3,
    validation_absolute_error_units=0.2,
    wait_share=0.1,
    notes=("a note",),
)


def test_report_run_and_checkpoint_say_the_same(
    task: TrainingTask, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = read_checkpoint(trained[1]).network
    monkeypatch.setattr(staged_training, "fit_network", lambda *_, **__: (network, RECORD))
    report = run_training(task, PLAN)
    run = find_run(task)
    result = run.result()
    assert (report.run, report.steps, report.checkpoint) == (run.path, 2, task.checkpoint)
    assert (report.training_days, report.validation_days) == (1, 1)
    assert (report.minutes, report.validation_loss, report.notes) == (1.5, 0.4, ("a note",))
    assert result["status"] == "finished"
    assert result["scores"] == report.scores
    checkpoint = read_checkpoint(run.checkpoint)
    assert checkpoint.sha256 == result["sha256"] == report.sha256
    assert checkpoint.training["data_sha256"] == run.about()["data_sha256"]
    assert checkpoint.training["validation_scores"] == pytest.approx(report.scores)
    assert not run.state_file.exists()  # it is done


def test_run_that_fails_says_why_and_writes_no_checkpoint(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise TrainingError("the loss is no number")

    monkeypatch.setattr(staged_training, "fit_network", diverge)
    with pytest.raises(TrainingError, match="no number"):
        run_training(task, PLAN)
    assert find_run(task).result() == {"status": "failed", "reason": "the loss is no number"}
    assert not task.checkpoint.exists()


@pytest.fixture
def begun(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that was ended before its first step."""

    class Killed(BaseException):
        pass

    def end(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(staged_training, "fit_network", end)
        with pytest.raises(Killed):
            run_training(task, PLAN)
    return find_run(task)


def test_run_writes_down_what_it_is_made_from_before_it_trains(
    begun: Run, task: TrainingTask
) -> None:
    about = begun.about()
    assert about["source"] == "short_days"
    assert about["training_days"] == ["2000-01-01"]
    assert about["checkpoint"] == str(task.checkpoint.resolve())
    assert about["simulated"] is False  # the entry does not say so
    assert json.loads(begun.plan_file.read_text()) == PLAN.to_dict()


def test_run_that_was_ended_is_continued_with_its_own_plan(
    begun: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def record(run: Run, data: Any, plan: TrainingPlan, *_: object) -> TrainReport | None:
        given.append((run, plan))
        return None

    monkeypatch.setattr(training_run, "_record_end", record)
    continue_training(begun)
    assert given == [(begun, PLAN)]


def test_run_of_days_that_have_changed_since_is_not_continued(begun: Run) -> None:
    begun.write("about.json", begun.about() | {"data_sha256": "0" * 64})
    with pytest.raises(RunError, match="have changed since the run was begun"):
        continue_training(begun)


def test_training_from_a_checkpoint_trains_no_paths_before(
    task: TrainingTask, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[TrainingPlan] = []

    def record(run: Run, data: Any, plan: TrainingPlan, *_: object) -> TrainReport | None:
        plans.append(plan)
        return None

    monkeypatch.setattr(training_run, "_record_end", record)
    network = NetworkConfig(filters=2, depth=2, base="column")
    before = Stage(name="paths", part="column_paths", steps=1)
    plan = dataclasses.replace(PLAN, network=network, stages=(before, *PLAN.stages))
    run_training(task, plan)
    run_training(dataclasses.replace(task, start_from=(trained[1],)), plan)
    assert [found.path_stages for found in plans] == [(before,), ()]
