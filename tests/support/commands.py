"""Runs commands as a user does, and looks at what they hand to a flow without running it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from blindzone.flows.commands.cli import app

TRAIN_REPORT = SimpleNamespace(
    checkpoint=Path("a.keras"),
    steps=12,
    minutes=0.5,
    training_days=2,
    validation_loss=0.25,
    validation_days=1,
    wait_share=0.125,
    scores={"CSI": 0.7},
    notes=("few days",),
    run=Path("runs/station/a"),
    all_minutes=None,
    contest=None,
    in_use=True,
    kept=None,
)
"""Stands in for what a training reports."""


def run(*arguments: object) -> tuple[int, str, str]:
    """Returns exit status, standard output and standard error of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    # Anything but a clean exit would reach the user as a traceback.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def one_line(text: str) -> str:
    """Returns a text without its line breaks."""
    return " ".join(text.split())


def catch_flow(monkeypatch: pytest.MonkeyPatch, report: object) -> Callable[[], dict[str, Any]]:
    """Has the next command get a report without a run; returns what gives the flow's parameters.

    Those of a plan and of its sections are among them, by their own names. Sources and checkpoints
    need not be there.
    """
    for name in ("train", "pretrain", "calibrate", "evaluate", "sweep"):
        for check in ("check_sources", "check_checkpoints"):
            place = f"blindzone.flows.commands.{name}.{check}"
            monkeypatch.setattr(place, lambda *args: None, raising=False)
    caught: dict[str, Any] = {}

    def answer(flow: Any, *, recorded: bool, **parameters: Any) -> object:
        caught.clear()
        caught.update(flow=flow.name, recorded=recorded, **_flatten(parameters))
        return report

    monkeypatch.setattr("blindzone.flows.running.prefect_steps.run_flow", answer)
    return lambda: caught


def _flatten(parameters: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            inner = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            flat |= _flatten(inner)
        flat[name] = value
    return flat
