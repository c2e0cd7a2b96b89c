"""The command `pretrain`: what reaches the flow, and what it says at the end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

REPORT = SimpleNamespace(
    checkpoint=Path("pretrained.keras"),
    steps=12,
    minutes=0.5,
    training_days=2,
    validation_loss=0.25,
    validation_days=1,
    wait_share=0.125,
    scores={},
    notes=(),
    run=Path("runs/station/a"),
    all_minutes=None,
    contest=None,
)


def test_plan_and_sources_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    code, out, _ = run("pretrain", "one", "two", "--steps", 12, "--seed", 3)
    assert code == 0
    found = sent()
    assert (found["flow"], found["sources"]) == ("pretrain", ("one", "two"))
    assert [(stage.steps, stage.seed) for stage in found["stages"]] == [(12, 3)]
    assert out.endswith("begin with it: blindzone train SOURCE --pretrained pretrained.keras\n")


def test_wrong_plan_is_one_error(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("windows: {holes: {cracks: 1}}\n")
    code, _, err = run("pretrain", "--config", plan)
    assert code == 1
    assert "cracks" in err
