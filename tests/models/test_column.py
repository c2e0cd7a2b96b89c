"""The column path: what it sees, what it cannot see, and how the network starts from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models.column import find_band_edges, summarize_bands
from blindzone.models.families import build_network, for_inference
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import warm_start

RandomNetwork = Callable[..., Any]


@pytest.fixture
def config(tiny: NetworkConfig) -> NetworkConfig:
    return replace(tiny, base="column", column_filters=4, column_depth=2, normalization="none")


def draw_curtain(config: NetworkConfig) -> np.ndarray:
    shape = (1, config.input_rows, config.input_profiles, config.channels)
    curtain = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    curtain[..., 1] = 1  # soft mask: nothing that is predicted was observed
    return curtain


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(1, (0, 1)), (2, (0, 1, 2)), (8, (0, 1, 2, 4, 8)), (11, (0, 1, 2, 4, 8, 11))],
)
def test_bands_double_in_depth(rows: int, expected: tuple[int, ...]) -> None:
    assert find_band_edges(rows) == expected


def test_bands_are_summed_up_by_mean_and_maximum() -> None:
    visible = np.array([1.0, 2.0, 3.0, 7.0], dtype=np.float32).reshape(1, 4, 1, 1)
    # Rows 0, 1 and 2-3: one row is its own mean and maximum; (3 + 7) / 2 = 5, max 7.
    assert np.asarray(summarize_bands(visible)).ravel().tolist() == [1.0, 2.0, 5.0, 7.0]


def test_an_untrained_network_predicts_as_its_column_path(config: NetworkConfig) -> None:
    network, curtain = build_network(config), draw_curtain(config)
    before = {name: np.asarray(head) for name, head in network(curtain).items()}
    for layer in network.layers:  # whatever the two-dimensional part holds
        if layer.name.startswith("decoder0") and layer.weights:
            layer.set_weights([weight + 1.0 for weight in layer.get_weights()])
    for name, head in network(curtain).items():
        assert np.asarray(head) == pytest.approx(before[name], abs=1e-5)
    assert np.ptp(before["occurrence"]) > 0


def test_the_column_path_sees_as_far_in_time_as_its_depth_says_and_nothing_below_the_top(
    config: NetworkConfig,
) -> None:
    network, curtain = build_network(config), draw_curtain(config)
    before = np.asarray(network(curtain)["occurrence"])[0, :, :, 0]
    changed = curtain.copy()
    changed[:, config.output_rows :, 0] += 1.0
    moved = np.abs(np.asarray(network(changed)["occurrence"])[0, :, :, 0] - before).max(axis=0) > 0
    # Two convolutions of three taps, 1 and 2 profiles apart: 3 profiles to either side.
    assert moved[:4].any()
    assert not moved[4:].any()
    below = curtain.copy()
    below[:, : config.output_rows, :, 0] += 1.0
    assert np.asarray(network(below)["occurrence"])[0, :, :, 0] == pytest.approx(before, abs=1e-5)


def test_a_path_of_zones_of_many_depths_sees_each_row_of_the_output_too(
    config: NetworkConfig,
) -> None:
    network, curtain = build_network(replace(config, column_rows="all")), draw_curtain(config)
    before = np.asarray(network(curtain)["occurrence"])[0, :, :, 0]
    for row in range(config.output_rows):
        changed = curtain.copy()
        changed[:, row, :4, 0] += 1.0
        after = np.asarray(network(changed)["occurrence"])[0, :, :, 0]
        assert np.abs(after - before).max() > 1e-4, row


def test_for_inference_and_passes_take_the_column_path_along(
    config: NetworkConfig, random_network: RandomNetwork
) -> None:
    network, curtain = random_network(config), draw_curtain(config)
    inference = for_inference(network, config)
    for name, head in inference(curtain).items():
        assert np.asarray(head) == pytest.approx(np.asarray(network(curtain)[name]), abs=1e-4)
    sure = MonteCarloNetwork(inference, config)
    (prediction,) = sure.predict(iter([(0, curtain[0])]), passes=4, seed=0)
    assert prediction.intensity.shape == (config.output_rows, config.input_profiles, 4)


def test_a_single_value_has_no_column_path(config: NetworkConfig) -> None:
    with pytest.raises(ModelError, match="base column needs the two-part head"):
        replace(config, head="single")


def test_a_column_path_alone_starts_a_whole_network(config: NetworkConfig) -> None:
    alone = build_network(replace(config, filters=0))
    network, curtain = build_network(config), draw_curtain(config)
    warm_start(network, for_inference(alone, replace(config, filters=0)))
    for name, head in network(curtain).items():
        assert np.asarray(head) == pytest.approx(np.asarray(alone(curtain)[name]), abs=1e-5)
    (prediction,) = MonteCarloNetwork(alone, replace(config, filters=0, dropout=0.5)).predict(
        iter([(0, curtain[0])]), passes=3, seed=0
    )
    assert np.ptp(prediction.intensity, axis=-1).max() > 0


def test_paths_of_their_own_trainings_become_an_ensemble(config: NetworkConfig) -> None:
    one = replace(config, filters=0)
    members = [build_network(one), build_network(one)]
    both, curtain = build_network(replace(config, column_paths=2)), draw_curtain(config)
    warm_start(both, *members)
    prediction = [
        {name: np.asarray(head) for name, head in member(curtain).items()} for member in members
    ]
    for name, head in both(curtain).items():
        assert np.asarray(head) == pytest.approx(
            (prediction[0][name] + prediction[1][name]) / 2, abs=1e-5
        )
    with pytest.raises(ModelError, match="one trained column path for each"):
        warm_start(both, members[0])


@pytest.mark.parametrize(
    "changes", [{"filters": 0, "base": "repeat"}, {"filters": 0, "deep_supervision": True}]
)
def test_nothing_at_all_cannot_predict(config: NetworkConfig, changes: Any) -> None:
    with pytest.raises(ModelError, match=r"a column path alone (needs|has neither)"):
        replace(config, **changes)
