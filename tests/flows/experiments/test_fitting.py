"""The training of one network: what it begins with, what it is told, and what comes back.

The training itself has tests with the models; here it is a stand-in that keeps its arguments.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import CheckpointError, ModelError
from blindzone.flows.experiments import fitting
from blindzone.flows.experiments.fitting import fit_network, fit_plan
from blindzone.flows.experiments.training_data import TrainingData, fit_config, prepare_data
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training import TrainingContext
from blindzone.models.training_config import TrainingConfig

PLAN = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2),
    training=TrainingConfig(steps=3, seed=5),
    validation=ValidationPlan(windows=2),
)


@pytest.fixture(scope="module")
def data(catalog: Path, trained: tuple[Path, Path], simulated_days: Path) -> TrainingData:
    source = open_source("short_days", DataPlaces(catalog=catalog, archive=str(trained[0])))
    return prepare_data(source, PLAN)


class StandIn:
    """Stands in for the training: keeps its arguments, and adds 1 to every weight."""

    def __init__(self) -> None:
        self.started_with: list[np.ndarray] = []
        self.arguments: tuple[Any, ...] = ()

    def __call__(self, network: keras.Model, *arguments: Any) -> str:
        self.started_with = network.get_weights()
        self.arguments = arguments
        network.set_weights([weights + 1 for weights in self.started_with])
        return "the record"

    @property
    def context(self) -> TrainingContext:
        context: TrainingContext = self.arguments[-1]
        return context


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(fitting, "train_network", stand_in)
    return stand_in


def sum_weights(network: keras.Model) -> float:
    return float(sum(np.abs(weights).sum() for weights in network.get_weights()))


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A training that has ended, and what it was called with."""

    training: StandIn
    network: keras.Model
    record: object
    steps: list[object]
    looks: list[object]
    state_file: Path


@pytest.fixture(scope="module")
def fitted(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    steps: list[object] = []
    looks: list[object] = []
    state_file = tmp_path_factory.mktemp("state") / "state.npz"
    stand_in = StandIn()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "train_network", stand_in)
        network, record = fit_network(
            data, PLAN, on_step=steps.append, on_validation=looks.append, state_file=state_file
        )
    return Fitted(stand_in, network, record, steps, looks, state_file)


def test_trained_weights_come_back_in_a_network_for_inference(
    data: TrainingData, fitted: Fitted
) -> None:
    assert fitted.record == "the record"
    config = fit_config(PLAN.network, data.preprocessing)
    shape = (config.input_rows, config.input_profiles, config.channels)
    assert fitted.network.input_shape == (None, *shape)
    assert {weight.dtype for weight in fitted.network.weights} == {"float32"}
    # Its weights are among those that the training ended with.
    ended_with = {(weights + 1).tobytes() for weights in fitted.training.started_with}
    assert {weights.tobytes() for weights in fitted.network.get_weights()} <= ended_with


def test_training_has_the_windows_of_its_seed_and_losses_that_know_the_floor(
    data: TrainingData, fitted: Fitted
) -> None:
    _, draw, validation, config, _ = fitted.training.arguments
    assert validation is data.validation
    np.testing.assert_array_equal(next(draw(3)).inputs, next(data.windows.draw(5, 3)).inputs)
    assert (config.steps, config.seed) == (3, 5)
    assert config.loss.floor_unit == data.preprocessing.floor_unit


def test_callbacks_and_the_file_of_the_state_are_handed_on(fitted: Fitted) -> None:
    context = fitted.training.context
    context.on_step("a step")  # type: ignore[arg-type]
    context.on_validation("a look")  # type: ignore[arg-type]
    assert (fitted.steps, fitted.looks) == (["a step"], ["a look"])
    assert context.state_file == fitted.state_file


def test_weights_are_scored_by_forward_passes_if_the_plan_says_so(
    data: TrainingData, fitted: Fitted, training: StandIn
) -> None:
    assert fitted.training.context.score is None
    scored = dataclasses.replace(PLAN.stages[0], validation="monte_carlo")
    fit_network(data, dataclasses.replace(PLAN, stages=(scored,)))
    assert training.context.score is not None


@pytest.fixture(scope="module")
def start(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a network whose weights are all 0.25."""
    config = fit_config(PLAN.network, data.preprocessing)
    network = build_network(config)
    network.set_weights([np.full_like(weights, 0.25) for weights in network.get_weights()])
    path = tmp_path_factory.mktemp("start") / "start.keras"
    preprocessing = data.preprocessing.to_dict()
    write_checkpoint(
        path,
        Checkpoint(network=network, config=config, preprocessing=preprocessing, training={}),
    )
    return path


def test_training_begins_with_the_weights_of_a_checkpoint(
    data: TrainingData, fitted: Fitted, training: StandIn, start: Path
) -> None:
    expected = sum_weights(read_checkpoint(start).network)
    fit_network(data, PLAN, start_from=(start,))
    quarters = sum(np.count_nonzero(weights == 0.25) for weights in training.started_with)
    assert quarters * 0.25 == expected
    assert not any(np.any(weights == 0.25) for weights in fitted.training.started_with)


def test_resumed_training_takes_its_state_and_no_checkpoint(
    data: TrainingData, training: StandIn, tmp_path: Path
) -> None:
    absent, state = tmp_path / "absent.keras", tmp_path / "state.npz"
    with pytest.raises(CheckpointError, match="absent"):
        fit_network(data, PLAN, start_from=(absent,), state_file=state)
    assert training.arguments == ()
    state.touch()
    fit_network(data, PLAN, start_from=(absent,), state_file=state)
    assert training.context.state_file == state


def test_checkpoint_of_another_shape_is_refused(
    data: TrainingData, training: StandIn, start: Path
) -> None:
    wider = dataclasses.replace(PLAN, network=NetworkConfig(filters=4, depth=2))
    with pytest.raises(ModelError):
        fit_network(data, wider, start_from=(start,))
    assert training.arguments == ()


def test_stages_go_on_from_each_other_and_from_the_column_paths(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[tuple[int, int, float]] = []

    def train(network: keras.Model, config: NetworkConfig, *arguments: Any) -> Any:
        training, (*_, last) = arguments[2], network.get_weights()
        began.append((config.filters, training.seed, float(last.ravel()[0])))
        network.set_weights([weights + 1 for weights in network.get_weights()])
        return SimpleNamespace(steps=training.steps)

    monkeypatch.setattr(fitting, "train_network", train)
    column = NetworkConfig(
        filters=1, depth=1, base="column", column_paths=2, column_filters=2, column_depth=1
    )
    paths = Stage(name="paths", part="column_paths", steps=2, seed=3, window_profiles=64)
    whole = Stage(name="narrow", steps=2, window_profiles=32), Stage(name="all", steps=2)
    plan = dataclasses.replace(PLAN, network=column, stages=(paths, *whole))
    network, _ = fit_plan(data, plan)
    assert network.input_shape == (None, 128, 128, 3)
    # Each path alone, then the whole network twice, whose last bias is that of a path's head.
    assert [(filters, seed) for filters, seed, _ in began] == [(0, 3), (0, 4), (1, 0), (1, 0)]
    first, second = (value for *_, value in began[2:])
    assert second == first + 1
