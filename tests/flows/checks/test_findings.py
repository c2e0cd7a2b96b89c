"""Findings: the worst of several counts."""

from __future__ import annotations

import pytest

from blindzone.flows.checks.findings import Finding, Level, worst


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((), Level.OK),
        ((Level.OK, Level.OK), Level.OK),
        ((Level.OK, Level.WARNING), Level.WARNING),
        ((Level.ERROR, Level.WARNING, Level.OK), Level.ERROR),
    ],
    ids=["none", "ok", "warning", "error"],
)
def test_worst_level_counts(levels: tuple[Level, ...], expected: Level) -> None:
    findings = [Finding(check="disk", level=level, found="") for level in levels]
    assert worst(findings) is expected


def test_finding_without_advice_needs_nothing_to_be_done() -> None:
    assert Finding(check="disk", level=Level.OK, found="room").advice == ""
