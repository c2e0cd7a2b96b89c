"""The command `doctor`: how findings are printed, and the exit status."""

from __future__ import annotations

import json

import pytest
from commands import one_line, run

from blindzone.flows.checks.doctor import DoctorConfig
from blindzone.flows.checks.findings import Finding, Level

ROOM = Finding(check="disk", level=Level.OK, found="[much] free")
BEHIND = Finding(
    check="source a",
    level=Level.WARNING,
    found="the archive is behind",
    advice="'blindzone ingest a'",
)
BROKEN = Finding(check="archive", level=Level.ERROR, found="no archive")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DoctorConfig]:
    """The configurations that the doctor was called with."""
    return []


def let_find(
    monkeypatch: pytest.MonkeyPatch, asked: list[DoctorConfig], *findings: Finding
) -> None:
    def examine(config: DoctorConfig) -> list[Finding]:
        asked.append(config)
        return [*findings]

    monkeypatch.setattr("blindzone.flows.checks.doctor.examine", examine)


@pytest.mark.parametrize(
    ("findings", "status"),
    [((ROOM,), 0), ((ROOM, BEHIND), 2), ((BROKEN, BEHIND), 1)],
    ids=["ok", "warning", "error"],
)
def test_exit_status_is_that_of_the_worst_finding(
    findings: tuple[Finding, ...],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[DoctorConfig],
) -> None:
    let_find(monkeypatch, asked, *findings)
    assert run("doctor")[0] == status


def test_advice_names_the_catalogue_and_archive_that_were_looked_at(
    monkeypatch: pytest.MonkeyPatch, asked: list[DoctorConfig]
) -> None:
    let_find(monkeypatch, asked, ROOM, BEHIND)
    _, out, err = run("doctor", "--archive", "mine", "--deep")
    assert err == ""
    assert "[much] free" in out
    assert "-> 'blindzone ingest a --archive mine'" in one_line(out)
    assert asked == [DoctorConfig(archive="mine", deep=True)]


def test_json_has_level_and_findings(
    monkeypatch: pytest.MonkeyPatch, asked: list[DoctorConfig]
) -> None:
    let_find(monkeypatch, asked, BROKEN)
    code, out, _ = run("doctor", "--json")
    assert code == 1
    assert json.loads(out) == {
        "level": "error",
        "findings": [{"check": "archive", "level": "error", "found": "no archive", "advice": ""}],
    }
