"""The command `sweep`: the budget of a trial, and what is printed of a report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

REPORT = SimpleNamespace(
    columns=("trial", "CRPS [dB]"), rows=(("0", "1.25"),), table=Path("a.csv"), picture=None
)


@pytest.mark.parametrize(
    ("options", "minutes", "steps"),
    [
        ((), 5.0, None),
        (("--trial-minutes", 2), 2.0, None),
        (("--trial-steps", 40), None, 40),
    ],
    ids=["default", "minutes", "steps"],
)
def test_trial_has_a_budget_of_minutes_or_steps(
    options: tuple[object, ...],
    minutes: float | None,
    steps: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    code, out, _ = run("sweep", "station", "--trials", 3, *options)
    assert code == 0
    (stage,) = sent()["stages"]
    assert (sent()["trials"], stage.minutes, stage.steps) == (3, minutes, steps)
    assert "CRPS [dB]" in out
    assert out.endswith("table: a.csv\n")


def test_keys_to_search_over_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    code, _, _ = run("sweep", "station", "--vary", "network.family=unet,unet++", "--vary", "seed=1")
    assert code == 0
    assert sent()["space"] == {"network.family": ("unet", "unet++"), "seed": (1,)}
    code, _, err = run("sweep", "station", "--vary", "depth")
    assert code == 1
    assert "KEY=LOW..HIGH" in err


def test_no_trial_is_too_few() -> None:
    assert run("sweep", "station", "--trials", 0)[0] == 2
