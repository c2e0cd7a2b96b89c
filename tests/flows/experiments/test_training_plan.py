"""Plans of trainings: read with defaults, changed by the command line, wrong keys named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blindzone.core.errors import PlanError
from blindzone.flows.experiments.training_plan import RECIPE, read_plan
from blindzone.models.network_config import NetworkConfig

PLAN = """
network: {filters: 2, depth: 2}
training:
  steps: 3
  batch_size: 2
  steps_between_validations: 2
  loss: {occurrence_weight: 2}
windows: {clear_share: 0.2, zone: {}}
validation: {windows: 4}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def test_a_plan_is_read_with_defaults_for_what_it_leaves_out(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    assert (plan.network.filters, plan.network.depth, plan.training.steps) == (2, 2, 3)
    assert plan.training.loss.occurrence_weight == 2
    assert plan.training.minutes is None
    assert plan.windows.clear_share == 0.2
    assert plan.network.kernel_size == NetworkConfig().kernel_size


def test_a_plan_survives_being_written_and_read(plan_file: Path, tmp_path: Path) -> None:
    plan = read_plan(plan_file)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan.to_dict()))
    assert read_plan(path) == plan


def test_the_command_line_overrides_the_file(plan_file: Path) -> None:
    plan = read_plan(
        plan_file, {"training": {"minutes": 5.0, "steps": None}, "network": {"depth": 3}}
    )
    assert (plan.training.minutes, plan.training.steps, plan.training.batch_size) == (5.0, None, 2)
    assert (plan.network.filters, plan.network.depth) == (2, 3)
    assert read_plan().training.minutes == 20


def test_a_budget_on_the_command_line_is_shared_out_among_paths_and_what_is_on_top() -> None:
    plan = read_plan(
        RECIPE, {"training": {"minutes": 15.0, "batch_size": 4, "seed": 7, "devices": "all"}}
    )
    alone = plan.of_paths()
    # Four fifths of fifteen minutes for six paths are two minutes each.
    assert plan.network.column_paths == len(alone) == 6
    assert [path.training.minutes for path in alone] == pytest.approx([2.0] * 6)
    assert plan.training.minutes == pytest.approx(3.0)
    assert [path.training.seed for path in alone] == [7, 8, 9, 10, 11, 12]
    for path in alone:
        assert (path.training.steps, path.training.batch_size, path.training.devices) == (
            None,
            4,
            "all",
        )
        assert (path.network.filters, path.network.column_paths, path.path_stages) == (0, 1, ())
        assert (path.windows, path.validation, path.channels) == (
            plan.windows,
            plan.validation,
            plan.channels,
        )


def test_a_plan_without_paths_to_train_trains_none(plan_file: Path) -> None:
    assert read_plan(plan_file).of_paths() == []
    plan_file.write_text(PLAN + "path_training: {steps: 2}\n")
    with pytest.raises(
        PlanError, match=r"training column paths alone needs .* base 'column'.*found base 'repeat'"
    ):
        read_plan(plan_file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_size: 2", "batchsize: 2", r"line 5: training\.batchsize: unknown key"),
        (
            "{filters: 2, depth: 2}",
            "{filters: 2, depths: 2}",
            r"line 2: network\.depths: unknown key",
        ),
        ("occurrence_weight: 2", "occurence: 2", r"line 7: training\.loss\.occurence: unknown key"),
        ("validation: {windows: 4}", "valid: {windows: 4}", r"line 9: valid: unknown key"),
        ("zone: {}", "zone: {dept: 2}", r"line 8: windows\.zone\.dept: unknown key"),
        ("steps: 3", "steps: many", r"line 4: training\.steps: .*found 'many'"),
        (
            "depth: 2",
            "depth: 9",
            r"line 2: network\.depth: .*less than or equal to 6 \(found 9\)",
        ),
        ("windows: 4}", "windows: 0}", r"line 9: validation\.windows: .*found 0"),
        ("training:", "training: [", r"not valid YAML"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named_with_its_line(
    plan_file: Path, old: str, new: str, message: str
) -> None:
    plan_file.write_text(PLAN.replace(old, new))
    with pytest.raises(PlanError, match=rf"plan\.yaml(, |: ){message}"):
        read_plan(plan_file)


def test_a_plan_that_is_not_there_is_said_to_be_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"absent\.yaml: the plan cannot be read"):
        read_plan(tmp_path / "absent.yaml")
