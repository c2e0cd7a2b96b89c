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
from blindzone.models.network_config import Family, NetworkConfig, main_heads
from blindzone.models.network_weights import copy_weights
from blindzone.models.stored_network import StoredNetwork
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import TrainingStep

pytestmark = pytest.mark.usefixtures("eager")

RandomNetwork = Callable[..., Any]


@pytest.fixture(scope="module", params=get_args(Family))
def config(request: pytest.FixtureRequest, tiny: NetworkConfig) -> NetworkConfig:
    """A tiny network of each family: 16 x 32 pixels, three rows predicted."""
    return of_family(tiny, request.param)


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
    assert set(FAMILIES) == set(get_args(Family))
    assert all(family.title and family.source for family in FAMILIES.values())


def test_without_filters_every_family_is_its_column_paths_alone(tiny: NetworkConfig) -> None:
    paths = dataclasses.replace(tiny, filters=0, base="column")
    assert find_family(paths) is FAMILIES["column"]
    assert find_family(dataclasses.replace(paths, filters=2)) is FAMILIES["unet3plus"]


def test_outputs_have_the_promised_shapes(config: NetworkConfig) -> None:
    shapes = {name: head.shape for name, head in build_network(config).output.items()}
    assert shapes == {"occurrence": (None, 3, 32, 1), "intensity": (None, 3, 32, 2)}


def test_dropout_is_applied_to_each_map_in_the_order_that_masks_are_drawn_in(
    config: NetworkConfig,
) -> None:
    config = dataclasses.replace(config, dropout=0.2)
    applied: dict[str, int] = {}

    class Noting(TrainingLayers):
        def dropout(self, x: Any, name: str) -> Any:
            applied[name] = x.shape[-1]
            return x

    shape = (config.input_rows, config.input_profiles, config.channels)
    connect_network(keras.Input(shape), Noting(config=config))
    assert list(applied.items()) == list(dropout_channels(config).items())


def test_a_step_of_training_changes_every_layer(config: NetworkConfig) -> None:
    config = dataclasses.replace(config, dropout=0.1)
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
    config: NetworkConfig, random_network: RandomNetwork, tmp_path: Path
) -> None:
    config = dataclasses.replace(config, normalization="none", dropout=0.1)
    network = for_inference(random_network(config), config)
    kinds = {type(layer).__module__.partition(".")[0] for layer in network.layers}
    assert kinds == {"keras"}
    path = tmp_path / "network.keras"
    write_checkpoint(path, Checkpoint(network=network, config=config, preprocessing={}))
    found, stored = read_checkpoint(path), read_checkpoint(path, to_fill=True)
    assert found.config == stored.config == config
    assert isinstance(stored.network, StoredNetwork)
    curtain = draw_curtain(config)
    expected = network(curtain)
    for name, values in found.network(curtain).items():
        np.testing.assert_array_equal(values, expected[name])
    filled = [predict_single(each.network, config, curtain) for each in (found, stored)]
    np.testing.assert_array_equal(*filled)


def predict_single(network: Any, config: NetworkConfig, curtain: np.ndarray) -> np.ndarray:
    """What a single pass of the engine gives of one window: probability, location, scale."""
    engine = MonteCarloNetwork(network, config)
    (found,) = engine.predict(iter([(0, curtain[0])]), passes="single", seed=0)
    assert found.scale is not None
    return np.stack([found.probability, found.intensity[..., 0], found.scale])


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.2, "classification_guided": True, "channels": 3},
        {
            "normalization": "none",
            "interpolation": "nearest",
            "output_rows": 16,
            "deep_supervision": True,
        },
    ],
)
def test_the_engine_without_dropout_is_plain_keras(
    config: NetworkConfig, changes: Any, random_network: RandomNetwork
) -> None:
    if config.family == "column":
        changes = {name: changes[name] for name in {"dropout", "normalization"} & changes.keys()}
    config = dataclasses.replace(config, **changes)
    trained = random_network(config)
    plain = for_inference(trained, config)
    curtain = draw_curtain(config)
    heads = {name: np.asarray(head)[0] for name, head in plain(curtain).items()}
    of_training = trained(curtain, training=False)
    for name, head in heads.items():
        np.testing.assert_allclose(head, np.asarray(of_training[name])[0], atol=1e-5, rtol=1e-5)
    probability, location, scale = predict_single(trained, config, curtain)
    hidden = curtain[0, : config.output_rows, :, 1] == 1
    log_scale = np.clip(heads["intensity"][..., 1], *LOG_SCALE_LIMITS)
    logistic = 1 / (1 + np.exp(-heads["occurrence"][..., 0]))
    expected = np.stack([logistic, heads["intensity"][..., 0], np.exp(log_scale)])
    assert expected[:, hidden].std() > 0.01
    found = np.stack([probability, location, scale])
    np.testing.assert_allclose(found[:, hidden], expected[:, hidden], atol=2e-5, rtol=1e-5)


def test_masks_of_passes_reach_the_engine_and_single_passes_do_not_depend_on_them(
    config: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(config, dropout=0.3)
    engine = MonteCarloNetwork(random_network(config), config)
    curtain = draw_curtain(config)
    found = [
        next(engine.predict(iter([(0, curtain[0])]), passes=4, seed=seed)).probability
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_fewer_rows_are_the_lowest_rows_of_all(
    config: NetworkConfig, random_network: RandomNetwork
) -> None:
    if config.family == "column":
        pytest.skip("its column paths see the rows above the output alone")
    whole = dataclasses.replace(config, output_rows=16, limit_rows=False)
    network = random_network(whole)
    limited = build_network(config)
    copy_weights(network, limited)
    curtain = draw_curtain(config)
    expected = network(curtain)
    for name, values in limited(curtain).items():
        np.testing.assert_allclose(values, expected[name][:, :3], atol=2e-5)
        assert np.std(values) > 0.01


def test_of_all_rows_whatever_is_hidden_is_predicted_and_the_rest_repeated(
    config: NetworkConfig, random_network: RandomNetwork
) -> None:
    if config.family == "column":
        pytest.skip("its column paths need visible rows")
    config = dataclasses.replace(config, output_rows=16)
    curtain = draw_curtain(config)
    hidden = np.random.default_rng(3).random((16, 32)) < 0.3
    curtain[0, :, :, 1] = hidden
    probability, location, scale = predict_single(random_network(config), config, curtain)
    np.testing.assert_array_equal(location[~hidden], curtain[0, ..., 0][~hidden])
    np.testing.assert_array_equal(probability[~hidden], curtain[0, ..., 0][~hidden] > -0.75)
    assert not scale[~hidden].any()
    assert scale[hidden].min() > 0
    assert np.abs(location - curtain[0, ..., 0])[hidden].min() > 0


def test_weights_of_another_family_are_refused(
    config: NetworkConfig, random_network: RandomNetwork, tiny: NetworkConfig
) -> None:
    other = of_family(tiny, "unet" if config.family == "unet3plus" else "unet3plus")
    with pytest.raises(ModelError, match="the weights do not fit their configuration"):
        for_inference(random_network(other), config)
