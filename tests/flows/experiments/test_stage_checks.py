"""Stages that cannot be trained are refused before anything is, with line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import PlanError
from blindzone.flows.experiments.stage_checks import check_stages
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.models.network_config import NetworkConfig

NETWORK = "network: {filters: 2, depth: 2, base: %s}\n"


@pytest.mark.parametrize(
    ("base", "stages", "message"),
    [
        ("repeat", "stages: []", r"line 2: stages: .*found no stage"),
        ("repeat", "stages: [{name: a}]", r"line 2: stages\.0: a budget is needed"),
        ("repeat", "stages: [{steps: 2}]", r"line 2: stages\.0\.name: this key is missing"),
        (
            "repeat",
            "stages:\n- {name: a, steps: 2}\n- {name: b, step: 2}",
            r"line 4: stages\.1\.step: unknown key; known keys here: batch_size",
        ),
        (
            "repeat",
            "stages: [{name: a, steps: 2}, {name: a, steps: 2}]",
            "line 2: stages: each stage needs a name of its own; found a, a",
        ),
        (
            "column",
            "stages: [{name: a, steps: 2}, {name: b, steps: 2, part: column_paths}]",
            "stages of column_paths come first, .* found all, column_paths",
        ),
        (
            "repeat",
            "stages: [{name: b, steps: 2, part: column_paths}, {name: a, steps: 2}]",
            "training column paths alone needs .*found base 'repeat'",
        ),
        (
            "repeat",
            "stages: [{name: a, steps: 2, share: 1}, {name: b, steps: 2}]",
            r"together at most 1, and leave something.*found 1\.0, None",
        ),
        (
            "repeat",
            "stages: [{name: a, steps: 2, window_profiles: 48}, {name: b, steps: 2}]",
            "window_profiles of a stage must be divisible by 4, .* of the plan, 128; found 48",
        ),
        (
            "repeat",
            "stages: [{name: a, steps: 2, window_profiles: 64},"
            " {name: b, steps: 2, window_profiles: 32}, {name: c, steps: 2}]",
            "window_profiles of a stage must .* divide those of the next stage .*found 64",
        ),
        (
            "repeat",
            "stages: [{name: a, steps: 2, window_profiles: 64}]",
            "the last stage must have the plan's window_profiles, 128; found 64",
        ),
        (
            "repeat",
            "stages:\n- {name: a, steps: 2}\n- name: b\n  steps: 2\n  frozen: ['']",
            r"line 6: stages\.1\.frozen: \[''\] leaves nothing to train",
        ),
        (
            "repeat",
            "stages:\n- {name: a, steps: 2, rates: {column: 0.1}}",
            r"line 3: stages\.0\.rates: no layer .* begins with 'column'; these do: change, dec",
        ),
        (
            "column",
            "stages:\n- {name: p, steps: 2, part: column_paths, frozen: [encoder]}\n"
            "- {name: a, steps: 2, frozen: [encoder]}",
            r"line 3: stages\.0\.frozen: no layer .* begins with 'encoder'; these do: column",
        ),
    ],
)
def test_stages_that_cannot_be_trained_are_refused(
    tmp_path: Path, base: str, stages: str, message: str
) -> None:
    (path := tmp_path / "plan.yaml").write_text(NETWORK % base + stages + "\n")
    with pytest.raises(PlanError, match=message) as refused:
        read_plan(path)
    assert str(refused.value).count("\n") == 0


def test_plan_from_code_is_checked_too() -> None:
    plan = TrainingPlan(
        network=NetworkConfig(filters=2, depth=2),
        stages=(Stage(name="a", steps=2), Stage(name="b", steps=2, freeze_statistics=("head",))),
    )
    with pytest.raises(PlanError, match=r"^stages\.1\.freeze_statistics: no layer with batch"):
        check_stages(plan)
