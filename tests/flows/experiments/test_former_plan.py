"""Plans from before a training had stages: the same plan in its present form."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from blindzone.core.errors import PlanError
from blindzone.flows.experiments.former_plan import translate_plan
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig

NETWORK = "network: {base: column, filters: 2, depth: 2, column_paths: 2}\n"
FORMER = (
    NETWORK
    + """
path_training: {steps: 9, learning_rate: 0.1, seed: 3, devices: all}
training: {steps: 4, seed: 5, precision: mixed_float16, frozen: [column]}
"""
)
PRESENT = (
    NETWORK
    + """
stages:
- {name: column paths, part: column_paths, share: 0.8, steps: 9, learning_rate: 0.1, seed: 5,
   precision: mixed_float16}
- {name: whole, share: 0.2, steps: 4, seed: 5, precision: mixed_float16, frozen: [column]}
"""
)


def read(folder: Path, text: str, **overrides: Any) -> TrainingPlan:
    (path := folder / "plan.yaml").write_text(text)
    return read_plan(path, {"training": overrides})


def test_former_sections_are_two_stages_of_which_the_last_gives_seed_and_devices(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, FORMER) == read(tmp_path, PRESENT)


@pytest.mark.parametrize("overrides", [{"minutes": 15.0, "seed": 7}, {"steps": 3}])
def test_both_forms_take_the_command_line_alike(tmp_path: Path, overrides: dict[str, Any]) -> None:
    former, present = (read(tmp_path, text, **overrides) for text in (FORMER, PRESENT))
    assert former == present


def test_plan_from_code_may_have_the_former_section() -> None:
    training = TrainingConfig(steps=3, seed=5)
    plan = TrainingPlan(network=NetworkConfig(), training=training)  # type: ignore[call-arg]
    assert plan.training == training
    assert [stage.name for stage in plan.stages] == ["whole"]


def test_plan_without_either_is_one_stage_of_its_budget() -> None:
    assert translate_plan({"minutes": 3.0})["stages"] == [{"name": "whole", "minutes": 3.0}]
    assert TrainingPlan().training.minutes == 20


def test_a_stage_of_today_is_left_as_it_is() -> None:
    content = {"stages": [{"name": "a"}]}
    assert translate_plan(content) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRESENT + "training: {steps: 3}\n", "an older form of stages; found both"),
        (FORMER.replace("steps: 9", "step: 9"), r"line 3: path_training\.step: unknown key"),
        (FORMER.replace("steps: 9", "steps: 0"), r"line 3: path_training\.steps: .*found 0"),
        (FORMER.replace("seed: 5", "seed: -5"), r"line 4: training\.seed: .*found -5"),
        (FORMER.replace("steps: 9, ", ""), r"line 3: path_training: a budget is needed"),
        (NETWORK + "training: 3\n", r"line 2: training: must be a mapping of keys, found 3"),
        (NETWORK + "path_training: 3\n", r"line 2: path_training: must be a mapping"),
        (
            NETWORK + "training: {steps: 3, frozen: [columns]}\n",
            r"line 2: training\.frozen: no layer .* begins with 'columns'",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_former_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=rf"plan\.yaml, {message}|plan\.yaml.*{message}"):
        read(tmp_path, text)


def test_written_plan_has_stages_alone(tmp_path: Path) -> None:
    written = read(tmp_path, FORMER).to_dict()
    assert not {"training", "path_training"} & written.keys()
    assert [stage["part"] for stage in written["stages"]] == ["column_paths", "all"]
    # A replaced section leaves the stages alone.
    plan = read(tmp_path, FORMER)
    assert dataclasses.replace(plan, minutes=None) == plan
