"""The space of a sweep: any key of a plan, with choices or a range."""

from __future__ import annotations

import dataclasses
from typing import Any

import optuna
import pytest

from blindzone.core.errors import PlanError
from blindzone.flows.experiments.search_space import (
    DEFAULT_SPACE,
    Range,
    check_space,
    choose_space,
    distribute,
    parse_space,
    vary_plan,
)
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.models.network_config import NetworkConfig

PLAN = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2, joint_forecast=True),
    stages=(Stage(name="first", steps=3), Stage(name="rest", steps=4)),
)


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("network.family=unet,unet++", "network.family", ("unet", "unet++")),
        ("network.depth=2..4", "network.depth", Range(low=2, high=4)),
        ("stages.seed = 1, 2", "stages.seed", (1, 2)),
        ("learning_rate=1e-4..1e-2:log", "learning_rate", Range(low=1e-4, high=1e-2, log=True)),
        ("channels=[a, b],[a]", "channels", (["a", "b"], ["a"])),
        ("stages.rest.frozen=[],[encoder]", "stages.rest.frozen", ([], ["encoder"])),
        ("network.deep_supervision=true,false", "network.deep_supervision", (True, False)),
    ],
)
def test_words_of_the_command_line_are_choices_or_ranges(text: str, key: str, what: Any) -> None:
    assert parse_space([text]) == {key: what}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth", r"'depth': KEY=A,B,\.\.\., KEY=LOW\.\.HIGH or KEY=LOW\.\.HIGH:log is right"),
        ("depth=", "'depth=': KEY=A"),
        ("depth=2..x", "'depth=2..x': KEY=A"),
        ("depth=4..2", "depth: .*a range goes up; found 4 to 2"),
        ("l2=0..1:log", "l2: .*a range goes up, from above 0; found 0 to 1"),
        ("l2=1..2:lin", "KEY=LOW"),
        ("a=[1", "KEY=A"),
    ],
)
def test_words_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_space([text])


def test_values_are_drawn_as_their_kind_is() -> None:
    space = {"a": Range(low=1, high=3), "b": Range(low=1.0, high=3, log=True), "c": ([1], None)}
    found = distribute(space)  # type: ignore[arg-type]
    assert found == {
        "a": optuna.distributions.IntDistribution(1, 3),
        "b": optuna.distributions.FloatDistribution(1, 3, log=True),
        "c": optuna.distributions.CategoricalDistribution(("[1]", None)),
    }


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("filters", 4, lambda plan: plan.network.filters),
        ("network.family", "unet", lambda plan: plan.network.family),
        ("batch_size", 4, lambda plan: {stage.batch_size for stage in plan.stages}.pop()),
        ("stages.seed", 4, lambda plan: sum(stage.seed for stage in plan.stages) / 2),
        ("stages.rest.seed", 4, lambda plan: sum(stage.seed for stage in plan.stages)),
        ("stages.0.loss.occurrence_weight", 4, lambda plan: plan.stages[0].loss.occurrence_weight),
        ("windows.zone.terrain_m", 4, lambda plan: plan.windows.zone.terrain_m),
        ("window_profiles", 64, lambda plan: plan.window_profiles),
    ],
)
def test_any_key_of_the_plan_can_be_varied(key: str, value: Any, found: Any) -> None:
    assert found(vary_plan(PLAN, {key: (value,)}, {key: value})) == value


def test_choices_that_are_lists_come_back_as_such() -> None:
    space = {"channels": (["reflectivity", "soft_mask"],)}
    plan = vary_plan(PLAN, space, {"channels": '["reflectivity", "soft_mask"]'})  # type: ignore[arg-type]
    assert plan.channels == ("reflectivity", "soft_mask")


def test_single_head_has_no_joint_forecast() -> None:
    heads = [vary_plan(PLAN, DEFAULT_SPACE, {"head": head}) for head in ("two_part", "single")]
    assert [plan.network.joint_forecast for plan in heads] == [True, False]


def test_default_space_suits_the_network() -> None:
    column = dataclasses.replace(PLAN, network=NetworkConfig(base="column"))
    assert "head" in choose_space(PLAN)
    assert "head" not in choose_space(column)
    check_space(PLAN, DEFAULT_SPACE)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("filter", "filter: the plan has no such key; known here: channels, minutes, network"),
        ("network.filter", r"network\.filter: .* known here: base, channels"),
        ("stages.seeds", r"stages\.seeds: .*known here: 0, 1, first, rest"),
        ("stages.last.seed", r"stages\.last\.seed: .*known here: 0, 1, first, rest"),
        ("window_profiles.a", "known here: none"),
        ("validation.windows", "compared on the same windows and budgets"),
        ("minutes", "compared on the same windows and budgets"),
    ],
)
def test_keys_that_are_none_are_refused(key: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_space(PLAN, {key: (1,)})


def test_values_that_the_plan_may_not_have_are_refused() -> None:
    with pytest.raises(PlanError, match=r"the plan of a trial: network\.depth"):
        vary_plan(PLAN, {"depth": (9,)}, {"depth": 9})
