"""Training as a flow: its run directory, and a run that is continued."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eager import eagerly
from typer.testing import CliRunner

from blindzone.core.errors import CheckpointError
from blindzone.flows import train as flows
from blindzone.flows.commands.cli import app
from blindzone.flows.experiments import fitting, training_data, training_run
from blindzone.flows.experiments.runs import Run, RunError, list_runs, runs_folder
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.training_run import TrainReport
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.catalog.catalog import read_catalog

SOURCE = "short_days"
PLAN = """
network: {filters: 2, depth: 2}
training:
  steps: 3
  batch_size: 2
  steps_between_validations: 2
  loss: {occurrence_weight: 2}
windows: {clear_share: 0.2, zone: {}}
validation: {windows: 4}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def finished(
    catalog: Path, trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The run that made the checkpoint which all tests of flows share."""
    (run,) = list_runs(trained[1].parent / "runs")
    return run


def test_a_run_keeps_all_that_it_was_and_how_it_went(
    finished: Run, trained: tuple[Path, Path]
) -> None:
    checkpoint = trained[1]
    names = {
        "plan.json",
        "about.json",
        "metrics.jsonl",
        "pictures",
        "checkpoint.keras",
        "card.md",
        "result.json",
    }
    assert {path.name for path in finished.path.iterdir()} == names
    about, result = finished.about(), finished.result()
    assert about["training_days"] == ["2000-01-01"]
    assert about["validation_days"] == ["2000-01-02"]
    assert about["software"]["keras"]
    assert [(look["number"], look["step"]) for look in finished.metrics()] == [(1, 2), (2, 4)]
    assert set(result["scores"]) >= {"CRPS [dB]", "MAE [dB]", "CSI"}
    assert result["record"]["steps"] == 4
    # The checkpoint of the run and that of the source are one file, whose hash the run knows.
    assert finished.checkpoint.read_bytes() == checkpoint.read_bytes()
    assert read_checkpoint(checkpoint).sha256 == result["sha256"]
    assert read_checkpoint(checkpoint).training["data_sha256"] == about["data_sha256"]
    assert (finished.path / "pictures" / "trained.webp").stat().st_size > 5_000


def test_a_card_tells_data_training_scores_and_limits(finished: Run) -> None:
    card = (finished.path / "card.md").read_text()
    score = f"| CRPS [dB] | {finished.result()['scores']['CRPS [dB]']:.3f} |"
    for prediction in (
        "2000-01-01",
        "2000-01-02",
        "4 steps in",
        score,
        finished.result()["sha256"],
        "Truth below 234 m",
    ):
        assert prediction in card


def test_the_hash_of_the_data_changes_with_the_data(
    trained: tuple[Path, Path], catalog: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "archive")
    plan = TrainingPlan(network=NetworkConfig(filters=2, depth=2), training=TrainingConfig(steps=1))
    archived = [
        open_source(SOURCE, DataPlaces(catalog=catalog, archive=str(archive)))
        for archive in (trained[0], tmp_path / "archive")
    ]
    first, same = (training_data.prepare_data(data, plan).sha256 for data in archived)
    assert first == same
    for record in (tmp_path / "archive" / SOURCE / "ledger").glob("20000102.json"):
        content = json.loads(record.read_text())
        record.write_text(json.dumps(content | {"content_hash": "0" * 64}))
    assert training_data.prepare_data(archived[1], plan).sha256 != first


def train(catalog: Path, archive: Path, plan: TrainingPlan, **options: Any) -> TrainReport:
    places = DataPlaces(catalog=catalog, archive=str(archive))
    return flows.train.fn(
        flows.TrainPlan(source=SOURCE, training_plan=plan, places=places, **options)
    )


class Killed(BaseException):
    pass


def test_a_killed_run_is_resumed_by_its_name(
    catalog: Path,
    trained: tuple[Path, Path],
    plan_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(trained[0], archive := tmp_path / "archive")
    looks = []
    write = Run.log

    def log(run: Run, validation: Any) -> None:
        write(run, validation)
        looks.append(validation)
        if len(looks) == 1:
            raise Killed

    monkeypatch.setattr(Run, "log", log)
    fit = fitting.train_network

    # Eagerly it takes less time than to trace the graph.
    def train_eagerly(*arguments: Any) -> Any:
        *others, context = arguments
        with eagerly():
            return fit(*others, dataclasses.replace(context, state_every_s=0))

    monkeypatch.setattr(fitting, "train_network", train_eagerly)
    target = tmp_path / "network.keras"
    plan = read_plan(plan_file)
    with pytest.raises(Killed):
        train(catalog, archive, plan, checkpoint=target)
    (found,) = list_runs(runs_folder())
    assert found.status == "unfinished"
    assert found.state_file.is_file()
    assert not target.exists()

    code, out, err = run("train", "--resume", found.path.name[-6:])
    assert code == 0, err
    assert f"{target}: 3 steps" in out
    assert found.status == "finished"
    assert found.result()["record"]["resumed_at"] == [1]
    assert [look["step"] for look in found.metrics()] == [2, 3]
    assert not found.state_file.exists()

    assert run("train", "--resume", found.name)[0] == 1
    with pytest.raises(RunError, match="is finished; 'blindzone train --start-from"):
        flows.resume.fn(found.name)
    with pytest.raises(RunError, match="nowhere: no such run; the last in"):
        flows.resume.fn("nowhere")


PATHS = """
network:
  {filters: 2, depth: 2, base: column, column_paths: 2, column_filters: 2, column_depth: 1,
   normalization: none}
training: {steps: 2, batch_size: 2, steps_between_validations: 2, seed: 5, frozen: [column]}
path_training: {steps: 2, batch_size: 2, steps_between_validations: 1}
validation: {windows: 2}
"""


def test_each_column_path_is_trained_alone_once_and_stays_as_it_is(
    catalog: Path,
    trained: tuple[Path, Path],
    plan_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan_file.write_text(PATHS)
    fit, begun = fitting.train_network, []

    def train_eagerly(network: Any, config: Any, *arguments: Any, **named: Any) -> Any:
        begun.append((config.filters, arguments[2].seed))
        if len(begun) == 2:
            raise Killed
        with eagerly():
            return fit(network, config, *arguments, **named)

    monkeypatch.setattr(fitting, "train_network", train_eagerly)
    target = tmp_path / "network.keras"
    with pytest.raises(Killed):
        train(catalog, trained[0], read_plan(plan_file), checkpoint=target)
    (found,) = list_runs(runs_folder())
    assert (found.status, found.part("column").status, found.part("column1").status) == (
        "unfinished",
        "finished",
        "unfinished",
    )

    code, _, err = run("train", "--resume", found.name)
    assert code == 0, err
    # The first path is not trained again; the second, and then the rest, are.
    assert begun == [(0, 5), (0, 6), (0, 6), (2, 5)]
    parts = [found.part(name) for name in ("column", "column1")]
    assert found.about()["start_from_sha256"] == [part.result()["sha256"] for part in parts]
    whole = read_checkpoint(target).network
    for number, part in enumerate(parts):
        alone = read_checkpoint(part.checkpoint).network
        for weights, kept in zip(
            alone.get_layer("column_rows").get_weights(),
            whole.get_layer(f"column{number or ''}_rows").get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(weights, kept)
    minutes = [part.result()["minutes"] for part in parts]
    assert found.result()["minutes"] == pytest.approx(
        sum(minutes) + found.result()["record"]["seconds"] / 60
    )
    assert "each of its 2 column paths was trained alone" in (found.path / "card.md").read_text()
    assert list_runs(runs_folder()) == [found]  # parts are no runs of their own


def test_a_run_whose_days_have_changed_is_not_resumed(
    catalog: Path, trained: tuple[Path, Path], finished: Run, tmp_path: Path
) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    other = Run(tmp_path / "run")
    other.write("about.json", other.about() | {"data_sha256": "0" * 64})
    with pytest.raises(
        RunError, match="the archive's days, or how the catalogue treats them, have changed"
    ):
        training_run.continue_training(other)


def test_a_failed_run_says_why_and_leaves_the_earlier_checkpoint(
    catalog: Path,
    trained: tuple[Path, Path],
    plan_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise CheckpointError("no space left")

    monkeypatch.setattr(fitting, "train_network", fail)
    target = tmp_path / "network.keras"
    target.write_bytes(b"the last good one")
    with pytest.raises(CheckpointError, match="no space left"):
        train(catalog, trained[0], read_plan(plan_file), checkpoint=target)
    (found,) = list_runs(runs_folder())
    assert found.result() == {"status": "failed", "reason": "no space left"}
    assert target.read_bytes() == b"the last good one"


def test_a_warm_start_begins_with_the_weights_of_a_checkpoint(
    catalog: Path,
    trained: tuple[Path, Path],
    plan_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: list[list[np.ndarray]] = []

    def look(network: Any, *arguments: Any, **named: Any) -> None:
        began.append(network.get_weights())
        raise Killed

    monkeypatch.setattr(fitting, "train_network", look)
    with pytest.raises(Killed):
        train(catalog, trained[0], read_plan(plan_file), start_from=(trained[1],))
    for weights, expected in zip(
        began[0], read_checkpoint(trained[1]).network.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "a source is needed, or --resume RUN"),
        (
            ["train", SOURCE, "--resume", "x"],
            "a run is resumed with the options that it was begun with",
        ),
        (
            ["train", "--resume", "x", "--steps", "3"],
            "a run is resumed with the options that it was begun with",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments: list[str], message: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())


def test_losses_learn_of_the_sensitivity_floor(catalog: Path) -> None:
    # -30 dBZ: -0.5 + (-30 + 60) x 1.5 / 90 = 0; at -40 dBZ it is -0.1667.
    preprocessing = training_data.preprocess_for(read_catalog(catalog)[SOURCE])
    deeper = dataclasses.replace(preprocessing, floor_dbz=-40.0)
    floors = [
        training_data.fit_training(TrainingConfig(steps=1), found).loss.floor_unit
        for found in (preprocessing, deeper)
    ]
    np.testing.assert_allclose(floors, [0.0, -1 / 6], atol=1e-6)
