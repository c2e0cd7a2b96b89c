"""Run directories: told apart, found by a part of their name, and shown side by side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from blindzone.flows.commands.cli import app
from blindzone.flows.experiments.runs import (
    Run,
    RunError,
    begin_run,
    compare_runs,
    describe_software,
    find_run,
    list_runs,
)
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import Validation


def make_run(
    folder: Path, *, filters: int = 8, score: float | None = None, source: str = "radar"
) -> Run:
    plan = TrainingPlan(network=NetworkConfig(filters=filters), training=TrainingConfig(steps=3))
    run = begin_run(
        folder,
        source,
        plan,
        {"source": source, "data_sha256": "ab" * 32, "software": {"keras": "3"}},
    )
    if score is not None:
        record = {
            "steps": 3,
            "best_step": 2,
            "seconds": 90.0,
            "ended": "budget",
            "wait_share": 0.01,
        }
        result = {
            "status": "finished",
            "minutes": 1.5,
            "scores": {"CRPS [dB]": score},
            "record": record,
        }
        run.write("result.json", result)
    return run


def look(step: int, score: float = 1.0) -> Validation:
    return Validation(
        number=1,
        step=step,
        seconds=1.0,
        learning_rate=1e-3,
        loss=1.0,
        validation_loss=score,
        score=score,
        wait_share=0.0,
    )


def test_every_run_has_a_directory_of_its_own(tmp_path: Path) -> None:
    runs = [make_run(tmp_path) for _ in range(3)]
    assert len({run.name for run in runs}) == 3
    assert {run.path for run in list_runs(tmp_path)} == {run.path for run in runs}
    assert list_runs(tmp_path, "another") == []


def test_a_run_is_found_by_its_name_its_id_or_its_directory(tmp_path: Path) -> None:
    wanted, _ = make_run(tmp_path), make_run(tmp_path)
    for name in (wanted.name, wanted.path.name[-6:], str(wanted.path)):
        assert find_run(tmp_path, name) == wanted


def test_a_name_that_fits_no_run_or_several_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"x: no such run; the last in .*: none"):
        find_run(tmp_path, "x")
    first, second = make_run(tmp_path), make_run(tmp_path)
    with pytest.raises(RunError, match="radar: 2 runs are called so") as refused:
        find_run(tmp_path, "radar")
    assert first.name in str(refused.value)
    assert second.name in str(refused.value)


def test_runs_side_by_side_show_scores_and_what_differs(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, filters=8, score=1.5),
        make_run(tmp_path, filters=16, score=1.25),
        make_run(tmp_path),
    ]
    table = dict(compare_runs(runs))
    assert table["score: CRPS [dB]"] == ["1.5", "1.25", "-"]
    assert table["plan.network.filters"] == ["8", "16", "8"]
    assert table["status"] == ["finished", "finished", "unfinished"]
    assert table["minutes"] == ["1.5", "1.5", "-"]
    assert (
        not {"plan.network.depth", "data hash", "software.keras"} & table.keys()
    )  # the same in all


def test_a_look_taken_again_by_a_resumed_run_replaces_the_first(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for validation in (look(2), look(4, 9.0), look(4, 3.0), look(6)):
        run.log(validation)
    assert [(line["step"], line["score"]) for line in run.metrics()] == [
        (2, 1.0),
        (4, 3.0),
        (6, 1.0),
    ]


def test_a_record_that_is_damaged_is_said_to_be_the_reason(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / "about.json").write_text("{")
    with pytest.raises(RunError, match=r"about\.json: cannot be read"):
        run.about()


def test_a_directory_that_cannot_be_made_is_said_to_be_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="the run's directory cannot be made"):
        make_run(tmp_path / "file")


def test_software_is_told_with_its_versions() -> None:
    told = describe_software()
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"blindzone", "tensorflow", "keras", "numpy", "git"} <= told.keys()


def test_the_commands_list_and_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path))
    first, second = (
        make_run(tmp_path / "runs", score=1.5),
        make_run(tmp_path / "runs", filters=16, score=1.25),
    )

    def run(*arguments: Any) -> str:
        result = CliRunner().invoke(app, ["runs", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    listed = run("list")
    assert first.name in listed
    assert "1.250" in listed
    compared = run("compare", first.path.name, second.path.name)
    assert "plan.network.filters" in compared
    assert "1.25" in compared
    assert CliRunner().invoke(app, ["runs", "compare", "nowhere"]).exit_code == 1


def test_looking_at_runs_loads_no_tensorflow(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", score=1.5)
    program = (
        "import sys; from blindzone.flows.commands.cli import app\n"
        "try: app(['runs', 'list'])\n"
        "except SystemExit: pass\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    environment = {"BLINDZONE_WORKSPACE": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        timeout=60,
        env=environment,
    )
