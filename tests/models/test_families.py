"""Every family of networks: built, trained, stored, and run by who knows the registry alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from blindzone.models.families import (
    FAMILIES,
    build_network,
    connect_network,
    dropout_channels,
    find_family,
    for_inference,
)
from blindzone.models.heads import LOG_SCALE_LIMITS
from blindzone.models.layers import TrainingLayers
from blindzone.models.losses import LossConfig, route_targets
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import TITLES, Family, NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights
from blindzone.models.stored_network import StoredNetwork
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import TrainingStep

pytestmark = pytest.mark.usefixtures("eager")

RandomNetwork = Callable[..., Any]


TESTED_ELSEWHERE = ("unet3plus", "column")
"""Families of the package's networks, whose trunks and heads have quick tests of their own."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(family, marks=pytest.mark.soak if family in TESTED_ELSEWHERE else ())
        for family in get_args(Family)
    ],
)
def config(request: pytest.FixtureRequest, tiny: NetworkConfig) -> NetworkConfig:
    """A tiny network of each family: 16 x 32 pixels, three rows predicted."""
    return of_family(tiny, request.param, dropout=0.2)


@pytest.fixture(scope="module")
def whole(config: NetworkConfig) -> NetworkConfig:
    """The same for all rows, with all else that may differ; column paths need visible rows."""
    changes: dict[str, Any] = {"depth": 1, "normalization": "none", "interpolation": "nearest"}
    if config.family != "column":
        changes |= {"output_rows": 16, "deep_supervision": True, "classification_guided": True}
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="module")
def trained(config: NetworkConfig, random_network: RandomNetwork) -> keras.Model:
    return random_network(config)


@pytest.fixture(scope="module")
def trained_whole(whole: NetworkConfig, random_network: RandomNetwork) -> keras.Model:
    return random_network(whole)


@pytest.fixture(scope="module")
def plain_whole(whole: NetworkConfig, trained_whole: keras.Model) -> keras.Model:
    return for_inference(trained_whole, whole)


@pytest.fixture(scope="module")
def engine(config: NetworkConfig, trained: keras.Model) -> MonteCarloNetwork:
    return MonteCarloNetwork(trained, config)


@pytest.fixture(scope="module")
def engine_of_whole(whole: NetworkConfig, trained_whole: keras.Model) -> MonteCarloNetwork:
    return MonteCarloNetwork(trained_whole, whole)


def of_family(tiny: NetworkConfig, family: Family, **changes: Any) -> NetworkConfig:
    column: dict[str, Any] = {"base": "column", "column_filters": 3, "column_depth": 1}
    return dataclasses.replace(
        tiny, family=family, **((column if family == "column" else {}) | changes)
    )


def draw_curtain(config: NetworkConfig, batch: int = 1) -> np.ndarray:
    """All output rows hidden, but for profiles 3 and 4."""
    shape = (batch, config.input_rows, config.input_profiles, config.channels)
    curtain = np.random.default_rng(11).normal(0.3, 0.5, shape).astype(np.float32)
    curtain[..., 1] = 0
    curtain[:, : config.output_rows, :, 1] = 1
    curtain[:, :, 3:5, 1] = 0
    return curtain


def test_registry_and_configuration_have_the_same_families() -> None:
    assert set(FAMILIES) == set(TITLES) == set(get_args(Family))
    assert all(family.source for family in FAMILIES.values())


def test_without_filters_every_family_is_its_column_paths_alone(tiny: NetworkConfig) -> None:
    paths = dataclasses.replace(tiny, filters=0, base="column")
    assert find_family(paths) is FAMILIES["column"]
    assert paths.title == "column paths"
    assert find_family(dataclasses.replace(paths, filters=2)) is FAMILIES["unet3plus"]


def test_outputs_have_the_promised_shapes(trained: keras.Model) -> None:
    shapes = {name: head.shape for name, head in trained.output.items()}
    assert shapes == {"occurrence": (None, 3, 32, 1), "intensity": (None, 3, 32, 2)}


def test_dropout_is_applied_to_each_map_in_the_order_that_masks_are_drawn_in(
    config: NetworkConfig,
) -> None:
    applied: dict[str, int] = {}

    class Noting(TrainingLayers):
        def dropout(self, x: Any, name: str) -> Any:
            applied[name] = x.shape[-1]
            return x

    shape = (config.input_rows, config.input_profiles, config.channels)
    connect_network(keras.Input(shape), Noting(config=config))
    assert list(applied.items()) == list(dropout_channels(config).items())


def test_a_step_of_training_changes_every_layer(config: NetworkConfig) -> None:
    network = build_network(config)
    before = {weight.path: weight.numpy() for weight in network.trainable_variables}
    curtain = draw_curtain(config, batch=2)
    truth = np.random.default_rng(2).normal(0.3, 0.2, (2, 3, 32, 1)).astype(np.float32)
    target = np.concatenate([truth, np.ones_like(truth)], axis=-1)
    targets = route_targets(
        {"occurrence": (target > 0.3).astype(np.float32), "intensity": target}, main_heads(config)
    )
    training = TrainingConfig(steps=2, batch_size=2, loss=LossConfig())
    step = TrainingStep(network, config, training)
    # Heads on a start begin at zero: what is before them moves from the second step on.
    assert all(np.isfinite(step((curtain, targets))) for _ in range(2))
    unchanged = {
        weight.path
        for weight in network.trainable_variables
        if np.array_equal(weight.numpy(), before[weight.path])
    }
    assert not unchanged


def test_a_checkpoint_gives_it_back_to_keras_and_to_who_fills(
    whole: NetworkConfig,
    plain_whole: keras.Model,
    engine_of_whole: MonteCarloNetwork,
    tmp_path: Path,
) -> None:
    network = plain_whole
    kinds = {type(layer).__module__.partition(".")[0] for layer in network.layers}
    assert kinds == {"keras"}
    path = tmp_path / "network.keras"
    write_checkpoint(path, Checkpoint(network=network, config=whole, preprocessing={}))
    found, stored = read_checkpoint(path), read_checkpoint(path, to_fill=True)
    assert found.config == stored.config == whole
    assert isinstance(stored.network, StoredNetwork)
    curtain = draw_curtain(whole)
    expected = network(curtain)
    for name, values in found.network(curtain).items():
        np.testing.assert_array_equal(values, expected[name])
    before = predict_single(engine_of_whole, curtain)
    engine_of_whole.set_weights(stored.network)
    np.testing.assert_array_equal(predict_single(engine_of_whole, curtain), before)


def predict_single(engine: MonteCarloNetwork, curtain: np.ndarray) -> np.ndarray:
    """What a single pass of the engine gives of one window: probability, location, scale."""
    (found,) = engine.predict(iter([(0, curtain[0])]), passes="single", seed=0)
    assert found.scale is not None
    return np.stack([found.probability, found.intensity[..., 0], found.scale])


def check_engine(
    config: NetworkConfig, trained: keras.Model, plain: keras.Model, engine: MonteCarloNetwork
) -> None:
    """Checks that engine, plain Keras and the layers of training give the same numbers."""
    curtain = draw_curtain(config)
    heads = {name: np.asarray(head)[0] for name, head in plain(curtain).items()}
    of_training = trained(curtain, training=False)
    for name, head in heads.items():
        np.testing.assert_allclose(head, np.asarray(of_training[name])[0], atol=1e-5, rtol=1e-5)
    hidden = curtain[0, : config.output_rows, :, 1] == 1
    log_scale = np.clip(heads["intensity"][..., 1], *LOG_SCALE_LIMITS)
    logistic = 1 / (1 + np.exp(-heads["occurrence"][..., 0]))
    expected = np.stack([logistic, heads["intensity"][..., 0], np.exp(log_scale)])[:, hidden]
    assert expected.std() > 0.01
    found = predict_single(engine, curtain)[:, hidden]
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-5)


def test_the_engine_without_dropout_is_plain_keras(
    config: NetworkConfig, trained: keras.Model, engine: MonteCarloNetwork
) -> None:
    check_engine(config, trained, for_inference(trained, config), engine)


def test_so_it_is_of_all_rows(
    whole: NetworkConfig,
    trained_whole: keras.Model,
    plain_whole: keras.Model,
    engine_of_whole: MonteCarloNetwork,
) -> None:
    check_engine(whole, trained_whole, plain_whole, engine_of_whole)


def test_masks_of_passes_reach_the_engine(config: NetworkConfig, engine: MonteCarloNetwork) -> None:
    curtain = draw_curtain(config)
    found = [
        next(engine.predict(iter([(0, curtain[0])]), passes=4, seed=seed)).probability
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_fewer_rows_are_the_lowest_rows_of_all(config: NetworkConfig, trained: keras.Model) -> None:
    if config.family == "column":
        pytest.skip("its column paths see the rows above the output alone")
    unlimited = build_network(dataclasses.replace(config, output_rows=16, limit_rows=False))
    copy_weights(trained, unlimited)
    curtain = draw_curtain(config)
    expected = unlimited(curtain)
    for name, values in trained(curtain).items():
        np.testing.assert_allclose(values, expected[name][:, :3], atol=2e-5)
        assert np.std(values) > 0.01


def test_of_all_rows_whatever_is_hidden_is_predicted_and_the_rest_repeated(
    whole: NetworkConfig, engine_of_whole: MonteCarloNetwork
) -> None:
    if whole.family == "column":
        pytest.skip("its column paths need visible rows")
    curtain = draw_curtain(whole)
    hidden = np.random.default_rng(3).random((16, 32)) < 0.3
    curtain[0, :, :, 1] = hidden
    probability, location, scale = predict_single(engine_of_whole, curtain)
    np.testing.assert_array_equal(location[~hidden], curtain[0, ..., 0][~hidden])
    np.testing.assert_array_equal(probability[~hidden], curtain[0, ..., 0][~hidden] > -0.75)
    assert not scale[~hidden].any()
    assert scale[hidden].min() > 0
    assert np.abs(location - curtain[0, ..., 0])[hidden].min() > 0


def test_weights_of_another_family_are_refused(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    with pytest.raises(ModelError, match="the weights do not fit their configuration"):
        for_inference(random_network(tiny), of_family(tiny, "unet"))
