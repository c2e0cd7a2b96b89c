"""The command `pretrain`: what reaches the flow, and what it says at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import TRAIN_REPORT, catch_flow, run


def test_plan_and_sources_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, TRAIN_REPORT)
    code, out, _ = run("pretrain", "one", "two", "--steps", 12, "--seed", 3)
    assert code == 0
    found = sent()
    assert (found["flow"], found["sources"]) == ("pretrain", ("one", "two"))
    assert [(stage.steps, stage.seed) for stage in found["stages"]] == [(12, 3)]
    assert out.endswith("begin with it: blindzone train SOURCE --pretrained a.keras\n")


def test_wrong_plan_is_one_error(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("windows: {holes: {cracks: 1}}\n")
    code, _, err = run("pretrain", "--config", plan)
    assert code == 1
    assert "cracks" in err
