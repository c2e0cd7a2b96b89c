"""The sweep: one score for every head, trials that survive a kill, and what it writes."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from eager import eagerly

from blindzone.core.errors import PlanError, TrainingError
from blindzone.flows import sweep as flows
from blindzone.flows.experiments.runs import RunError
from blindzone.flows.experiments.search_space import Space
from blindzone.flows.experiments.training_plan import (
    RECIPE,
    TrainingPlan,
    ValidationPlan,
    read_plan,
)
from blindzone.flows.running.plans import DataPlaces
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import TrainingRecord, Validation

SOURCE = "short_days"
PLAN = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2),
    training=TrainingConfig(steps=4),
    validation=ValidationPlan(windows=2),
)
SMALL: Space = {"depth": (1,), "filters": (2,), "batch_size": (1,), "head": ("two_part", "single")}


class Killed(BaseException):
    pass


class PretendedTrainings:
    """Trainings whose score is the distance of their rate from 1e-3, except in named calls."""

    def __init__(self) -> None:
        self.plans: list[TrainingPlan] = []
        self.otherwise: dict[int, BaseException] = {}

    def __call__(self, data: Any, plan: TrainingPlan, *, on_validation: Any) -> Any:
        self.plans.append(plan)
        if failure := self.otherwise.get(len(self.plans)):
            raise failure
        score = abs(plan.training.learning_rate - 1e-3)
        for number in range(1, flows.LOOKS + 1):
            on_validation(
                Validation(
                    number=number,
                    step=number,
                    seconds=1.0,
                    learning_rate=1e-3,
                    loss=1.0,
                    validation_loss=1.0,
                    score=score,
                    wait_share=0.0,
                )
            )
        record = TrainingRecord(
            steps=4,
            seconds=1.0,
            ended="budget",
            best_step=4,
            loss=1.0,
            validation_loss=1.0,
            validation_score=score,
            validation_absolute_error_units=0.1,
            wait_share=0.0,
        )
        return None, record


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> PretendedTrainings:
    trainings = PretendedTrainings()
    monkeypatch.setattr(flows, "fit_plan", trainings)
    return trainings


def sweep(catalog: Path, archive: Path, trials: int, **options: Any) -> flows.SweepReport:
    plan = flows.SweepPlan(
        source=SOURCE,
        trials=trials,
        training_plan=options.pop("plan", PLAN),
        places=DataPlaces(catalog=catalog, archive=str(archive)),
        **options,
    )
    return flows.sweep.fn(plan)


def test_real_trials_of_both_heads_share_one_score(
    catalog: Path, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = iter(["two_part", "single"])
    suggest = flows.plan_trial
    monkeypatch.setattr(
        flows,
        "plan_trial",
        lambda plan, space, values: suggest(plan, space, values | {"head": next(heads)}),
    )
    with eagerly():
        report = sweep(catalog, trained[0], 2, space=SMALL)
    scores = [float(row[report.columns.index("CRPS [dB]")]) for row in report.rows]
    assert [row[1] for row in report.rows] == ["complete", "complete"]
    assert all(0 < score < 60 for score in scores)  # dB
    assert report.picture is not None
    assert report.picture.stat().st_size > 5_000


def test_a_killed_sweep_loses_one_trial_and_goes_on(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    pretended.otherwise = {3: Killed()}
    with pytest.raises(Killed):
        sweep(catalog, trained[0], 5)
    report = sweep(catalog, trained[0], 5)
    states = sorted(row[1] for row in report.rows)
    assert states.count("fail") == 1
    assert len(states) == 6
    # The trials after the kill are not those before it over again.
    rates = [plan.training.learning_rate for plan in pretended.plans]
    assert len(set(rates)) == len(rates) == 6


def test_a_trial_that_diverges_counts_and_the_others_go_on(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    pretended.otherwise = {2: TrainingError("the loss is nan")}
    report = sweep(catalog, trained[0], 3)
    assert sorted(row[1] for row in report.rows) == ["complete", "complete", "fail"]


def test_poor_trials_are_ended_early_and_the_table_begins_with_the_best(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    report = sweep(catalog, trained[0], 12)
    assert {row[1] for row in report.rows} == {"complete", "pruned"}
    scores = [float(row[2]) for row in report.rows if row[1] == "complete"]
    assert scores == sorted(scores)
    with report.table.open(newline="") as stream:
        assert [tuple(row) for row in csv.reader(stream)] == [report.columns, *report.rows]


def test_a_study_begun_with_another_plan_is_refused(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    sweep(catalog, trained[0], 1)
    other = TrainingPlan(
        network=PLAN.network, training=TrainingConfig(steps=5), validation=PLAN.validation
    )
    with pytest.raises(RunError, match="begun with another plan or other data"):
        sweep(catalog, trained[0], 2, plan=other)
    assert len(sweep(catalog, trained[0], 1, plan=other, name="another").rows) == 1


def test_a_study_begun_before_there_were_stages_goes_on(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    report = sweep(catalog, trained[0], 1)
    storage = f"sqlite:///{report.table.with_suffix('.db')}"
    study = optuna.load_study(study_name="sweep", storage=storage)
    begun = json.loads(study.user_attrs["begun_with"])
    (stage,) = begun["plan"].pop("stages")
    former = {key: stage[key] for key in ("steps", "batch_size", "learning_rate")}
    text = json.dumps(begun | {"plan": begun["plan"] | {"training": former}})
    study.set_user_attr("begun_with", text)
    assert len(sweep(catalog, trained[0], 2).rows) == 2


def test_a_plan_with_column_paths_is_searched_with_all_its_stages(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    shipped = read_plan(RECIPE, {"training": {"steps": 4}})
    small = dataclasses.replace(
        shipped,
        channels=PLAN.channels,
        window_profiles=128,
        validation=PLAN.validation,
    )
    space: Space = {"network.column_paths": (1, 2), "stages.column paths.learning_rate": (1e-3,)}
    report = sweep(catalog, trained[0], 2, plan=small, space=space)
    assert {row[1] for row in report.rows} == {"complete"}
    assert report.columns[3:5] == tuple(space)
    for plan in pretended.plans:
        paths, whole = plan.stages
        assert (paths.learning_rate, whole.learning_rate) == (1e-3, 3e-4)
        assert (paths.validations, whole.validations) == (None, flows.LOOKS)


def test_a_trial_whose_values_do_not_go_together_counts_as_failed(
    catalog: Path, trained: tuple[Path, Path], pretended: PretendedTrainings
) -> None:
    space: Space = {"window_profiles": (128, 130)}  # 130 cannot be halved twice
    report = sweep(catalog, trained[0], 6, space=space)
    assert {row[1] for row in report.rows} == {"complete", "fail"}


def test_windows_are_drawn_anew_for_a_trial_that_has_others_alone(
    catalog: Path,
    trained: tuple[Path, Path],
    pretended: PretendedTrainings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[TrainingPlan] = []
    prepare = flows.prepare_data

    def count(source: Any, plan: TrainingPlan) -> Any:
        drawn.append(plan)
        return prepare(source, plan)

    monkeypatch.setattr(flows, "prepare_data", count)
    sweep(catalog, trained[0], 2, space={"network.filters": (2, 3)})
    assert len(drawn) == 1
    sweep(catalog, trained[0], 2, space={"windows.flip_share": (0.1,)}, name="windows")
    assert len(drawn) == 3  # the plan's own, then those of both trials


def test_a_key_that_no_plan_has_is_refused_before_any_trial(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"^network\.filter: the plan has no such key; known"):
        flows.run_sweep(
            flows.SweepPlan(source="any", training_plan=PLAN, space={"network.filter": (2,)}),
            tmp_path,
        )
