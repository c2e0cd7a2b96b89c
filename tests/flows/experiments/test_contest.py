"""A trained network replaces what is in use only if it is no worse, or by hand."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run
from eager import eagerly

from blindzone.core.errors import CheckpointError
from blindzone.flows.experiments import training_run
from blindzone.flows.experiments.contest import (
    Contest,
    find_rival,
    hold_contest,
    is_used,
    put_in_use,
    use_network,
)
from blindzone.flows.experiments.runs import find_run, runs_folder
from blindzone.flows.experiments.training_data import TrainingData, fit_config, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.flows.experiments.training_run import TrainingTask, run_training
from blindzone.flows.experiments.window_scores import SCORE, WindowScorer
from blindzone.flows.running.network_choice import CurtainKind, trained_checkpoint
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, checkpoint_file
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from blindzone.models.families import build_network, for_inference
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig

# TensorFlow reminds us that the stream of windows stays a graph.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")

SOURCE = "short_days"
PLAN = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2),
    training=TrainingConfig(steps=1, batch_size=2, validation_realizations=2),
    validation=ValidationPlan(windows=4),
)


@pytest.fixture
def data(catalog: Path, trained: tuple[Path, Path]) -> TrainingData:
    places = DataPlaces(catalog=catalog, archive=str(trained[0]))
    return prepare_data(open_source(SOURCE, places), PLAN)


@pytest.fixture
def tiny(trained: tuple[Path, Path]) -> Checkpoint:
    return read_checkpoint(trained[1])


def make_scorer(data: TrainingData, tiny: Checkpoint) -> WindowScorer:
    return WindowScorer(data.validation, tiny.config, data.preprocessing, passes=2)


def test_no_worse_wins_and_a_score_that_is_none_loses() -> None:
    contests = [
        Contest(score=score, rival="x", rival_score=1.5, windows=4)
        for score in (1.4, 1.5, 1.6, np.nan)
    ]
    assert [contest.is_won for contest in contests] == [True, True, False, False]
    assert "1.600 against 1.500 of x, on the same 4 validation windows" in str(contests[2])


GROUND = CurtainKind(frequency_ghz=95, looks_down=False, row_depth_m=75)
ABOVE = CurtainKind(frequency_ghz=94, looks_down=True, row_depth_m=240, spacing_m=1090)


def test_rival_is_the_network_of_the_source_else_that_of_the_package_for_its_kind() -> None:
    own = checkpoint_file(SOURCE)
    assert find_rival(SOURCE, GROUND) == SHIPPED_WEIGHTS
    assert find_rival(SOURCE, ABOVE) == SHIPPED_WEIGHTS.with_name("cloudsat.keras")
    assert find_rival(SOURCE, replace(ABOVE, frequency_ghz=300)) is None
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_rival(SOURCE, ABOVE) == own


def test_only_the_place_of_a_source_is_used_by_later_runs(tmp_path: Path) -> None:
    assert is_used(SOURCE, checkpoint_file(SOURCE).absolute())
    assert not is_used(SOURCE, tmp_path / "by_name.keras")


def test_without_any_network_for_its_kind_the_rival_is_persistence(
    data: TrainingData, tiny: Checkpoint
) -> None:
    contest = hold_contest(make_scorer(data, tiny), 1.0, None, data, passes=2)
    assert contest.rival == "persistence (no network in use is for such curtains)"


def test_same_weights_score_the_same(
    data: TrainingData, tiny: Checkpoint, trained: tuple[Path, Path]
) -> None:
    scorer = make_scorer(data, tiny)
    score = scorer.scores(scorer.fill(tiny.network))[SCORE]
    contest = hold_contest(scorer, score, trained[1], data, passes=2)
    assert contest.rival_score == pytest.approx(score, abs=1e-6)
    assert str(trained[1]) in contest.rival


def test_network_that_cannot_fill_the_windows_is_replaced_by_persistence(
    data: TrainingData, tiny: Checkpoint, tmp_path: Path
) -> None:
    scorer = make_scorer(data, tiny)
    other = tmp_path / "other.keras"
    write_checkpoint(other, replace(tiny, preprocessing=tiny.preprocessing | {"floor_dbz": -20.0}))
    contest = hold_contest(scorer, 1.0, other, data, passes=2)
    assert "persistence" in contest.rival
    assert "another floor_dbz" in contest.rival
    # The lowest visible row, against the truth: both at least at the floor.
    shown = np.concatenate([window[0][16, :, 0] for window in data.validation])
    scaling, floor = data.preprocessing.scaling, -30.0
    visible = np.nan_to_num(scaling.restore(shown), nan=floor)[:, None]
    truth = np.nan_to_num(scorer.truth, nan=floor)
    expected = np.abs(visible - truth)[scorer.counts].mean()
    assert contest.rival_score == pytest.approx(expected, rel=1e-5)
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"no network")
    assert "persistence" in hold_contest(scorer, 1.0, damaged, data, passes=2).rival


def test_network_of_narrower_windows_fills_wider_ones(data: TrainingData) -> None:
    narrow = replace(fit_config(PLAN.network, data.preprocessing), input_profiles=64)
    network = build_network(narrow)
    scorer = WindowScorer(data.validation[:1], narrow, data.preprocessing, passes=2)
    filled = scorer.fill(for_inference(network, narrow))
    assert filled["hydrometeor_probability"].shape == scorer.truth.shape == (128, 16)
    # Windows of 64 profiles from -32, 0, 32, 64 and 96 on.
    assert len(list(scorer._list_inputs())) == 5
    assert np.isfinite(scorer.scores(filled)[SCORE])


def test_training_that_does_worse_is_kept_and_used_by_hand_alone(
    catalog: Path, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals = []

    def lose(scorer: WindowScorer, score: float, rival: Path, *_: object) -> Contest:
        rivals.append(rival)
        return Contest(score=score, rival="what is in use", rival_score=score / 2, windows=4)

    monkeypatch.setattr(training_run, "hold_contest", lose)
    target = checkpoint_file(SOURCE)
    task = TrainingTask(
        source=SOURCE,
        places=DataPlaces(catalog=catalog, archive=str(trained[0])),
        checkpoint=target,
    )
    with eagerly():
        report = run_training(task, PLAN)
    assert rivals == [SHIPPED_WEIGHTS]
    assert report.contest is not None
    assert report.contest.score == report.scores[SCORE]
    assert not report.in_use
    assert not target.exists()
    assert trained_checkpoint(SOURCE) == SHIPPED_WEIGHTS
    found = find_run(runs_folder(), SOURCE)
    assert report.checkpoint == found.checkpoint
    assert found.result()["in_use"] is False
    assert str(report.contest) == found.result()["contest"]

    code, out, _ = run("runs", "use", SOURCE)
    assert code == 0
    assert target.read_bytes() == found.checkpoint.read_bytes()
    assert "replaces network: palaiseau.keras of the package" in out
    undo = out.partition("undo: 'blindzone ")[2].rstrip().rstrip("'").split()
    assert run(*undo)[0] == 0
    assert target.read_bytes() == SHIPPED_WEIGHTS.read_bytes()


def test_replaced_checkpoint_is_kept(trained: tuple[Path, Path], tmp_path: Path) -> None:
    target = checkpoint_file(SOURCE)
    assert put_in_use(trained[1], target) is None
    before = target.read_bytes()
    kept = put_in_use(SHIPPED_WEIGHTS, target)
    assert kept is not None
    assert kept.parent.name == "replaced"
    assert kept.read_bytes() == before
    change = use_network(kept)
    assert (change.source, change.target) == (SOURCE, target)
    assert target.read_bytes() == before


def test_checkpoint_without_a_source_needs_one(tiny: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "nameless.keras"
    write_checkpoint(path, replace(tiny, training={}))
    with pytest.raises(CheckpointError, match="--source SOURCE is right"):
        use_network(path)
    shutil.copy(path, tmp_path / "again.keras")
    assert use_network(tmp_path / "again.keras", SOURCE).source == SOURCE
