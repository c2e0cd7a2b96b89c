"""The command `evaluate`: names of schemes, and what is printed of a report."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

from blindzone.flows.commands.evaluate import parse_schemes

REPORT = SimpleNamespace(
    source="station",
    block="validation",
    days=(date(2000, 1, 2),),
    scores={
        "persistence": {"CSI": 0.5, "CRPS [dB]": 2.0, "coverage 90 %": float("nan")},
        "network": {"CSI": 0.75, "CRPS [dB]": 1.0, "coverage 90 %": 0.9},
    },
    table=Path("scores.csv"),
    record=Path("scores.json"),
    picture=Path("scores.png"),
    notes=("one day only",),
    fields={},
    fields_table=None,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("linear", ("linear",)),
        (" linear, climatology ,", ("linear", "climatology")),
        ("none", ()),
        ("repeat,repeat_bias", ("persistence", "persistence_bias")),
    ],
)
def test_schemes_are_named_with_commas(text: str, names: tuple[str, ...]) -> None:
    assert parse_schemes(text) == names


def test_old_name_of_a_scheme_is_accepted_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    code, _, err = run("evaluate", "station", "--schemes", "repeat", "--block", "test")
    assert code == 0
    assert err == "note: repeat is now called persistence\n"
    assert (sent()["schemes"], sent()["block"], sent()["passes"]) == (("persistence",), "test", 16)


def test_best_scheme_of_each_score_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    catch_flow(monkeypatch, REPORT)
    _, out, _ = run("evaluate", "station")
    (line,) = [line for line in out.splitlines() if line.startswith("│ CSI ")]
    assert [cell.strip() for cell in line.split("│")[1:4]] == ["CSI", "0.500", "0.750*"]
    assert out.endswith(
        "table:  scores.csv\nrecord: scores.json\npage:   scores.png\nnote: one day only\n"
    )


def test_json_is_all_that_is_on_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    catch_flow(monkeypatch, REPORT)
    code, out, _ = run("evaluate", "station", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["days"] == ["2000-01-02"]
    assert found["scores"]["network"]["CSI"] == 0.75
    assert found["scores"]["persistence"]["coverage 90 %"] is None
    assert found["record"] == "scores.json"


def test_scores_of_members_are_printed_and_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"network": {"energy score [dB]": 1.25}, "network_schaake": {"energy score [dB]": 1.5}}
    report = SimpleNamespace(
        **(vars(REPORT) | {"fields": fields, "fields_table": Path("members.csv")})
    )
    sent = catch_flow(monkeypatch, report)
    code, out, _ = run("evaluate", "station", "--members", 4)
    assert code == 0
    assert "1.250" in out
    assert "members: members.csv" in out
    assert sent()["members"] == 4
    assert json.loads(run("evaluate", "station", "--json")[1])["fields"] == fields
