"""The commands of `runs`: what runs there are, and what differs between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one finished and one not."""
    runs = tmp_path / "workspace" / "runs" / "station"
    for name, filters in (("20240101T000000-aaaaaa", 8), ("20240102T000000-bbbbbb", 16)):
        (runs / name).mkdir(parents=True)
        plan = {"network": {"filters": filters, "depth": 4}}
        (runs / name / "plan.json").write_text(json.dumps(plan))
        (runs / name / "about.json").write_text(json.dumps({"data_sha256": "ab" * 32}))
    result = {
        "status": "finished",
        "minutes": 12.34,
        "record": {"steps": 700},
        "scores": {"CSI": 0.5, "CRPS [dB]": 1.25},
    }
    (runs / "20240101T000000-aaaaaa" / "result.json").write_text(json.dumps(result))
    (runs / "20240102T000000-bbbbbb" / "metrics.jsonl").write_text('{"step": 50}\n{"step": 100}\n')
    return runs


def test_list_shows_how_each_run_ended(folder: Path) -> None:
    code, out, _ = run("runs", "list")
    assert code == 0
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in out.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        [
            "station/20240101T000000-aaaaaa",
            *("finished", "700", "12.3", "8", "4"),
            *("1.250", "-", "0.500"),
        ],
        ["station/20240102T000000-bbbbbb", "unfinished", "100", "-", "16", "4", "-", "-", "-"],
    ]


def test_list_as_json_has_all_scores(folder: Path) -> None:
    code, out, err = run("runs", "list", "station", "--json")
    assert (code, err) == (0, "")
    first, second = json.loads(out)
    assert (first["status"], first["minutes"], first["scores"]["CSI"]) == ("finished", 12.34, 0.5)
    assert (second["steps"], second["minutes"], second["scores"]) == (100, None, {})
    assert Path(first["directory"]) == folder / "20240101T000000-aaaaaa"


def test_list_of_a_source_without_runs_is_an_error(folder: Path) -> None:
    code, out, err = run("runs", "list", "nowhere")
    assert (code, out) == (1, "")
    assert "no run of nowhere" in err
    assert "'blindzone train nowhere' begins one" in err


def test_list_before_the_first_run_says_so() -> None:
    code, out, err = run("runs", "list", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert "no runs" in err


def test_compare_shows_the_choices_that_differ(folder: Path) -> None:
    code, out, _ = run("runs", "compare", "aaaaaa", "bbbbbb")
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("│")]
    (filters,) = [line for line in lines if "plan.network.filters" in line]
    assert [cell.strip() for cell in filters.split("│")[2:4]] == ["8", "16"]
    assert not any("plan.network.depth" in line for line in lines)


def test_compare_of_an_unknown_run_names_those_there_are(folder: Path) -> None:
    code, _, err = run("runs", "compare", "cccccc")
    assert code == 1
    assert "no such run" in err
    assert "20240102T000000-bbbbbb" in err
