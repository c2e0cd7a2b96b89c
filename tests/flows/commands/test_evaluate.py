"""The command `evaluate`: names of schemes, and what is printed of a report."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

from blindzone.flows.commands.evaluate import parse_schemes
from blindzone.flows.experiments.ground_scoring import GroundPlan, GroundReport
from blindzone.pipeline.verification.bootstrap import Estimate

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
    bounds={"network": {"CSI": Estimate(value=0.75, low=0.7, high=0.8)}},
    leaders={"CSI": "network"},
    figures=(),
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


def test_scheme_that_leads_by_more_than_chance_is_marked_and_bounds_are_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catch_flow(monkeypatch, REPORT)
    _, out, _ = run("evaluate", "station")
    (line,) = [line for line in out.splitlines() if line.startswith("│ CSI ")]
    assert [cell.strip() for cell in line.split("│")[1:4]] == ["CSI", "0.500", "0.750*"]
    below = out.splitlines()[out.splitlines().index(line) + 1]
    assert [cell.strip() for cell in below.split("│")[1:4]] == ["", "", "0.700 to 0.800"]
    (crps,) = [line for line in out.splitlines() if line.startswith("│ CRPS ")]
    assert "*" not in crps  # the better one may be so by chance
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
    assert found["bounds"] == {"network": {"CSI": [0.7, 0.8]}}
    assert found["leaders"] == {"CSI": "network"}


def test_scores_of_members_are_printed_and_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"network": {"energy score [dB]": 1.25}, "network_schaake": {"energy score [dB]": 1.5}}
    fields = {
        name: {"energy score [dB]": Estimate(value=of["energy score [dB]"], low=1.0, high=2.0)}
        for name, of in values.items()
    }
    report = SimpleNamespace(
        **(vars(REPORT) | {"fields": fields, "fields_table": Path("members.csv")})
    )
    sent = catch_flow(monkeypatch, report)
    code, out, _ = run("evaluate", "station", "--members", 4)
    assert code == 0
    assert "1.250 (1.000 to 2.000)" in out
    assert "members: members.csv" in out
    assert sent()["members"] == 4
    found = json.loads(run("evaluate", "station", "--json")[1])
    assert found["fields"] == values
    assert found["field_bounds"]["network"] == {"energy score [dB]": [1.0, 2.0]}


GROUND_SCORES = {"rain: CSI": Estimate(value=0.5, low=0.4, high=0.6)}


@pytest.fixture
def at_ground(monkeypatch: pytest.MonkeyPatch) -> list[GroundPlan]:
    """The plans of evaluations at the ground, none of which is made."""
    plans: list[GroundPlan] = []

    def score(plan: GroundPlan, on_progress: object) -> GroundReport:
        plans.append(plan)
        scores = {"filled": GROUND_SCORES, "persistence": GROUND_SCORES}
        gains = {"rain: CSI": Estimate(value=0.1, low=float("nan"), high=0.2)}
        return GroundReport(source="a", block="test", days={}, scores=scores, gains=gains)

    monkeypatch.setattr("blindzone.flows.experiments.ground_scoring.score_at_ground", score)
    monkeypatch.setattr(
        "blindzone.flows.experiments.ground_tables.write_ground_tables",
        lambda report, folder: (folder / "at_ground.csv", folder / "at_ground.md"),
    )
    return plans


def test_products_are_scored_at_the_ground(at_ground: list[GroundPlan], tmp_path: Path) -> None:
    options = ("--at-ground", "--block", "test", "--products", tmp_path, "--output", tmp_path)
    code, out, _ = run("evaluate", "palaiseau_basta", *options)
    assert code == 0
    assert at_ground == [
        GroundPlan(
            source="palaiseau_basta",
            block="test",
            members=50,
            products=str(tmp_path),
            output=tmp_path,
        )
    ]
    (line,) = [line for line in out.splitlines() if "rain: CSI" in line]
    assert [cell.strip() for cell in line.split("│")[1:4]] == ["rain: CSI", "0.5", "0.5"]
    assert str(tmp_path / "at_ground.md") in out.replace("\n", "")
    code, out, _ = run("evaluate", "palaiseau_basta", *options, "--json")
    found = json.loads(out)["scores"]
    assert found["filled"]["rain: CSI"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert found["filled less persistence"]["rain: CSI"]["low"] is None


def test_options_of_networks_do_not_go_with_the_ground(at_ground: list[GroundPlan]) -> None:
    for option, value in (("--schemes", "linear"), ("--passes", "3")):
        code, _, err = run("evaluate", "palaiseau_basta", "--at-ground", option, value)
        assert code == 1
        assert f"--at-ground: {option} cannot be used with it" in err
    assert not at_ground
