"""A stage: a training with a name, and its share of a budget."""

from __future__ import annotations

import dataclasses

import pytest

from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_stage import Stage, find_shares
from blindzone.models.training_config import TrainingConfig


def test_a_stage_trains_as_its_own_keys_say() -> None:
    config = TrainingConfig(steps=3, rates={"encoder": 0.1}, frozen=("head",))
    stage = Stage(
        name="a", window_profiles=64, **dataclasses.asdict(config) | {"loss": config.loss}
    )
    assert stage.training == config
    assert type(stage.training) is TrainingConfig


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([None], [1.0]),
        ([0.8, 0.2], [0.8, 0.2]),
        ([0.5, None, None], [0.5, 0.25, 0.25]),
        ([0.1, 0.1], [0.1, 0.1]),
    ],
)
def test_stages_without_a_share_get_equal_parts_of_what_is_left(
    shares: list[float | None], expected: list[float]
) -> None:
    assert find_shares(shares) == pytest.approx(expected)


def test_stages_without_a_budget_get_their_shares_of_the_plan() -> None:
    content = {
        "network": {"base": "column", "filters": 2, "column_paths": 3},
        "minutes": 10,
        "stages": [
            {"name": "paths", "part": "column_paths", "share": 0.6},
            {"name": "a", "steps": 5},
            {"name": "b", "share": 0.1},
        ],
    }
    plan = TrainingPlan(**content)  # type: ignore[arg-type]
    # Three paths share six minutes; b has a tenth; a has a budget of its own.
    minutes = [stage.minutes for stage in plan.stages]
    assert minutes == [pytest.approx(2.0), None, pytest.approx(1.0)]
    assert plan.stages[1].steps == 5
