"""The learning-rate finder: where a loss falls most steeply, and no trace of the search."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from echo_windows import make_echo_window

from blindzone.core.errors import TrainingError
from blindzone.core.example import Example
from blindzone.models import rate_finder
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.network_weights import copy_variables
from blindzone.models.rate_finder import find_rate, rate_of, smooth, suggest_rate
from blindzone.models.training import train_network
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_step import TrainingStep, training_scope

NETWORK = NetworkConfig(
    input_rows=8, input_profiles=16, channels=2, output_rows=2, depth=1, filters=4, dropout=0.1
)
CONFIG = TrainingConfig(steps=1, batch_size=2, steps_between_validations=1, learning_rate=1e-2)


def draw(first: int) -> Iterator[Example]:
    return map(make_echo_window, itertools.count(first))


def train(*, searches: bool) -> list[np.ndarray]:
    """Returns the weights of a short training, perhaps after a search for its rate."""
    with training_scope(CONFIG):
        network = build_network(NETWORK)
        if searches:
            before = copy_variables(network.variables)
            sweep = find_rate(network, NETWORK, draw, CONFIG)
            assert sweep.losses.size == 3
            for one, other in zip(before, copy_variables(network.variables), strict=True):
                np.testing.assert_array_equal(one, other)
        train_network(network, NETWORK, draw, [make_echo_window(1000)], CONFIG)
    return [np.array(weights) for weights in network.get_weights()]


def test_training_after_a_search_is_as_one_without(
    eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_finder, "STEPS", 3)
    monkeypatch.setattr(rate_finder, "_AT_LEAST", 2)
    for one, other in zip(train(searches=True), train(searches=False), strict=True):
        np.testing.assert_array_equal(one, other)


def sweep_over(losses: list[float], monkeypatch: pytest.MonkeyPatch) -> rate_finder.RateSweep:
    """Returns the sweep of a network whose losses are made up."""
    found = iter(losses)
    monkeypatch.setattr(TrainingStep, "__call__", lambda step, batch: next(found))
    with training_scope(CONFIG):
        return find_rate(build_network(NETWORK), NETWORK, draw, CONFIG)


def test_sweep_ends_when_the_loss_is_four_times_the_best(
    eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Flat at 8 for 50 steps, then falls to 2 within 20, then explodes.
    losses = [8.0] * 50 + list(np.linspace(8, 2, 20)) + [2.0] * 5 + [100.0] * 25
    sweep = sweep_over(losses, monkeypatch)
    # Some 100s after step 75 the mean of the steps before is above four times the lowest, about 2.
    assert 75 < sweep.losses.size < 80
    assert sweep.suggested is not None
    assert rate_of(50) < sweep.suggested < rate_of(70)
    assert sweep.rates[0] == pytest.approx(1e-7)
    assert rate_of(99) == pytest.approx(10.0)


def test_sweep_of_a_loss_that_is_no_number_at_first_is_refused(
    eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="the loss was nan after 3 steps"):
        sweep_over([1.0, 1.0, float("nan")], monkeypatch)


def test_negative_losses_end_a_sweep_by_how_far_they_fell(
    eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From 1 to -1, so that the sweep ends above 1 + 4 x 2 = 9.
    sweep = sweep_over([1.0] * 20 + [-1.0] * 30 + [5.0] * 20 + [50.0] * 30, monkeypatch)
    assert 70 < sweep.losses.size < 75


def test_smoothing_lags_neither_way() -> None:
    # A valley stays where it is, and a constant is its own mean.
    valley = np.abs(np.arange(41.0) - 20)
    assert np.argmin(smooth(valley)) == 20
    np.testing.assert_allclose(smooth(np.full(9, 3.0)), 3.0)


def test_the_steepest_fall_is_suggested_and_none_where_a_loss_only_rises() -> None:
    rates = np.geomspace(1e-4, 1, 5)
    assert suggest_rate(rates, np.array([5.0, 4.9, 3.0, 1.0, 9.0])) == pytest.approx(1e-2)
    assert suggest_rate(rates, np.arange(5.0)) is None
