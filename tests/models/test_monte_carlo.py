"""Monte Carlo dropout: each realization is the network's own answer, and only seed and window decide it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.models.errors import ModelError
from blindzone.models.monte_carlo import MonteCarloNetwork, Realizations, _summarize_values
from blindzone.models.unet3plus import UNet3PlusConfig, for_inference

RandomNetwork = Callable[..., Any]


@pytest.fixture
def dropping(tiny: UNet3PlusConfig) -> UNet3PlusConfig:
    return dataclasses.replace(tiny, dropout=0.3)


def draw_windows(count: int) -> list[np.ndarray]:
    windows = np.random.default_rng(5).normal(0.3, 0.5, (count, 16, 32, 2)).astype(np.float32)
    windows[:, :3, :, 1] = 1  # the three rows that are answered for are hidden
    return list(windows)


def realize(
    network: MonteCarloNetwork, windows: dict[int, np.ndarray], count: int = 4, seed: int = 0
) -> dict[int, Realizations]:
    answers = network.realize(iter(windows.items()), realizations=count, seed=seed)
    return dict(zip(windows, answers, strict=True))


def set_head(network: keras.Model, name: str, bias: float) -> None:
    kernel, _ = network.get_layer(name).get_weights()
    network.get_layer(name).set_weights([np.zeros_like(kernel), np.array([bias])])


def laplace_quantile(level: np.ndarray) -> np.ndarray:
    return np.asarray(-np.sign(level - 0.5) * np.log(1 - 2 * np.abs(level - 0.5)))


def assert_same(one: Realizations, other: Realizations) -> None:
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
    np.testing.assert_allclose(one.intensity, other.intensity, atol=1e-5)


def test_without_dropout_every_realization_is_the_plain_network(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = random_network(tiny)
    (window,) = draw_windows(1)
    answer = realize(MonteCarloNetwork(network, tiny), {0: window}, count=5)[0]
    plain = {name: np.asarray(head)[0] for name, head in network(window[None]).items()}
    np.testing.assert_allclose(answer.probability, 1 / (1 + np.exp(-plain["occurrence"][..., 0])), atol=1e-6)
    # In increasing order, realization i of 5 stands at the level (i + 1/2) / 5 of the Laplace distribution.
    location, scale = plain["intensity"][..., :1], np.exp(np.clip(plain["intensity"][..., 1:], -5, 1))
    residual = laplace_quantile((np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(residual, [np.log(0.2), np.log(0.6), 0, -np.log(0.6), -np.log(0.2)], atol=1e-12)
    assert answer.intensity.shape == (3, 32, 5)
    np.testing.assert_allclose(answer.intensity - scale * residual, np.repeat(location, 5, axis=-1), atol=1e-5)


@pytest.mark.parametrize("depth", [1, 3])
def test_keeping_every_channel_gives_the_plain_network(
    dropping: UNet3PlusConfig, depth: int, random_network: RandomNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every weight has reached its own layer only if masks of one change nothing.
    config = dataclasses.replace(dropping, depth=depth)
    network = random_network(config)
    (window,) = draw_windows(1)
    draw = MonteCarloNetwork._draw_masks
    monkeypatch.setattr(MonteCarloNetwork, "_draw_masks", lambda *given: [np.ones_like(mask) for mask in draw(*given)])
    answer = realize(MonteCarloNetwork(network, config), {0: window}, count=3)[0]
    plain = network(window[None])
    np.testing.assert_allclose(answer.intensity[..., 1], plain["intensity"][0, ..., 0], atol=1e-5)


def test_masks_drop_the_configured_share_and_keep_the_mean(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = MonteCarloNetwork(random_network(dropping), dropping)
    masks = np.concatenate([mask.ravel() for mask in network._draw_masks(np.random.default_rng(0), 4000)])
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / np.float32(0.7))}
    # One number a channel behind the six resamplings of depth 2 with two filters. Encoder: 2 and 4; stage 0: 6 from
    # stage 1, 8 from the bottom; stage 1: 2 from the encoder, 8 from the bottom.
    assert masks.size == 4000 * (2 + 4 + 6 + 8 + 2 + 8)
    share = (masks == 0).mean()
    assert share == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / masks.size))


def test_realizations_are_spread_as_keras_dropout_spreads_the_network(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = random_network(dropping)
    set_head(network, "log_scale", -50.0)  # clipped to -5: next to nothing but dropout spreads the intensity
    (window,) = draw_windows(1)
    count = 600
    answer = realize(MonteCarloNetwork(network, dropping), {0: window}, count=count)[0]
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # training=True is then for dropout alone
    drawn = network(np.repeat(window[None], count, axis=0), training=True)
    probability = 1 / (1 + np.exp(-np.asarray(drawn["occurrence"])[..., 0]))
    location = np.asarray(drawn["intensity"])[..., 0]
    spread = location.std(axis=0)
    assert spread.min() > 0.05  # far above the 0.0095 of a Laplace distribution with b = e^-5
    # Two means of 600 draws differ by their standard errors; 96 pixels stay within five of them.
    for found, draws in ((answer.probability, probability), (answer.intensity.mean(axis=-1), location)):
        error = draws.std(axis=0) * np.sqrt(2 / count)
        np.testing.assert_array_less(np.abs(found - draws.mean(axis=0)), 5 * error)
    # A spread of 600 draws is known to about 1 / sqrt(1200) = 3 %; of its mean over pixels, less.
    assert answer.intensity.std(axis=-1).mean() == pytest.approx(spread.mean(), rel=0.08)


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = MonteCarloNetwork(random_network(dropping), dropping)
    (window,) = draw_windows(1)
    first, again, other = (realize(network, {0: window}, seed=seed)[0] for seed in (1, 1, 2))
    assert_same(first, again)
    assert np.abs(first.probability - other.probability).max() > 1e-3
    assert np.abs(first.intensity - other.intensity).max() > 1e-3


def test_a_window_is_answered_alike_in_any_company_and_order(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    network = MonteCarloNetwork(random_network(dropping), dropping)
    windows = dict(zip((3, 70, 912), draw_windows(3), strict=True))
    together = realize(network, windows)
    reverse = realize(network, dict(reversed(windows.items())))
    for number, window in windows.items():
        assert_same(together[number], reverse[number])
        assert_same(together[number], realize(network, {number: window})[number])


def test_windows_of_the_same_content_draw_their_own_masks(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    (window,) = draw_windows(1)
    answers = realize(MonteCarloNetwork(random_network(dropping), dropping), {0: window, 1: window})
    assert np.abs(answers[0].probability - answers[1].probability).max() > 1e-3


def test_probabilities_are_probabilities_and_intensities_ordered(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    windows = dict(enumerate(100 * window for window in draw_windows(3)))  # far from anything seen
    network = MonteCarloNetwork(random_network(dropping), dropping)
    for answer in realize(network, windows, count=7).values():
        assert answer.probability.shape == (3, 32)
        assert answer.intensity.shape == (3, 32, 7)
        assert (answer.probability >= 0).all()
        assert (answer.probability <= 1).all()
        assert (np.diff(answer.intensity, axis=-1) >= 0).all()


@pytest.mark.parametrize(("bias", "expected"), [(-200.0, 0.0), (200.0, 1.0), (np.log(3.0), 0.75)])
def test_a_network_that_is_very_sure_raises_no_warning(
    tiny: UNet3PlusConfig, random_network: RandomNetwork, bias: float, expected: float
) -> None:
    network = random_network(tiny)
    set_head(network, "occurrence", bias)
    monte_carlo = MonteCarloNetwork(network, tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (answer,) = monte_carlo.realize(iter([(0, draw_windows(1)[0])]), realizations=2, seed=0)
    np.testing.assert_allclose(answer.probability, np.full((3, 32), expected), atol=1e-6)


def test_fewer_than_two_realizations_make_no_interval(tiny: UNet3PlusConfig, random_network: RandomNetwork) -> None:
    network = MonteCarloNetwork(random_network(tiny), tiny)
    for count in (1, 0, -3):
        with pytest.raises(ModelError, match=f"at least 2 realizations; found {count}"):
            realize(network, {0: draw_windows(1)[0]}, count=count)


def test_a_negative_seed_is_refused(tiny: UNet3PlusConfig, random_network: RandomNetwork) -> None:
    with pytest.raises(ModelError, match="must not be negative; found -1"):
        realize(MonteCarloNetwork(random_network(tiny), tiny), {0: draw_windows(1)[0]}, seed=-1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("layer", "index"),
    # kernel, offset and moving mean; before a ReLU, an infinite offset need not show in the answer
    [("encoder0a_convolution", 0), ("encoder2b_normalization", 1), ("decoder0_normalization", 2), ("occurrence", 1)],
)
def test_weights_that_are_not_finite_are_refused(
    tiny: UNet3PlusConfig, random_network: RandomNetwork, layer: str, index: int, value: float
) -> None:
    network = random_network(tiny)
    weights = network.get_layer(layer).get_weights()
    weights[index].flat[0] = value
    network.get_layer(layer).set_weights(weights)
    with pytest.raises(ModelError, match="weights are not finite"):
        MonteCarloNetwork(network, tiny)


def test_a_window_that_is_not_finite_is_named(tiny: UNet3PlusConfig, random_network: RandomNetwork) -> None:
    good, bad = draw_windows(2)
    bad[2, 4, 0] = np.nan
    with pytest.raises(ModelError, match="window 17: the network gives values that are not finite"):
        realize(MonteCarloNetwork(random_network(tiny), tiny), {16: good, 17: bad})


@pytest.mark.parametrize("changes", [{"filters": 3}, {"depth": 1}, {"channels": 1}, {"kernel_size": 5}])
def test_weights_of_another_configuration_are_refused(
    tiny: UNet3PlusConfig, random_network: RandomNetwork, changes: Any
) -> None:
    with pytest.raises(ModelError, match="the weights do not fit their configuration"):
        MonteCarloNetwork(random_network(tiny), dataclasses.replace(tiny, **changes))


def test_single_values_become_a_probability_and_ordered_intensities(
    tiny: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head="single", dropout=0.3)
    network = MonteCarloNetwork(random_network(config), config)
    (answer,) = realize(network, {0: draw_windows(1)[0]}, count=8).values()
    assert answer.probability.shape == (3, 32)
    assert answer.intensity.shape == (3, 32, 8)
    np.testing.assert_array_equal(answer.probability * 8, np.round(answer.probability * 8))
    assert 0 < answer.probability.mean() < 1
    assert (np.diff(answer.intensity, axis=-1) >= 0).all()
    has_echo = answer.probability > 0
    assert (answer.intensity[has_echo] > 0).all()
    np.testing.assert_array_equal(answer.intensity[~has_echo], 0)  # the floor


@pytest.mark.parametrize(
    ("values", "probability", "intensity"),
    [
        ([-1, 0.2, 0.6, -0.3], 0.5, [0.2, 0.3, 0.5, 0.6]),  # two of four, at (1 .. 4 - 1/2) / 4 x 2 - 1/2: 0, 1/4, ...
        ([0.4, 0.1, 0.3, 0.2], 1.0, [0.1, 0.2, 0.3, 0.4]),
        ([-1, -1, 0.7, 0.0], 0.25, [0.7, 0.7, 0.7, 0.7]),  # the floor itself is no echo
        ([-1, -1, -1, -0.2], 0.0, [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_the_share_above_the_floor_is_the_probability(
    values: list[float], probability: float, intensity: list[float]
) -> None:
    heads = {"value": np.array(values, np.float32)[:, None, None, None]}
    answer = _summarize_values(heads, 4, 0.0)
    assert answer.probability.tolist() == [[probability]]
    # 0.2 + 0.4 x (0, 0.25, 0.75, 1), the ends held
    np.testing.assert_allclose(answer.intensity[0, 0], intensity, atol=1e-6)


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_single_pixels_are_dropped_as_keras_drops_them(
    tiny: UNet3PlusConfig, head: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(tiny, head=head, dropout=0.3, dropout_kind="element", classification_guided=True)
    trained = random_network(config)
    count, (window,) = 400, draw_windows(1)
    network = MonteCarloNetwork(trained, config)
    heads = network._forward(
        [window[None], np.ones((count, 1, 1, 1), np.float32), np.tile(np.int32([[3, 4]]), (count, 1))], training=False
    )
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    drawn = trained(np.repeat(window[None], count, axis=0), training=True)
    for name, found in heads.items():
        expected = np.asarray(drawn[name])[..., 0]
        error = expected.std(axis=0) * np.sqrt(2 / count)
        assert error.min() > 0
        difference = np.abs(np.asarray(found)[..., 0].mean(axis=0) - expected.mean(axis=0))
        np.testing.assert_array_less(difference, 5 * error)
        assert np.asarray(found)[..., 0].std(axis=0).mean() == pytest.approx(expected.std(axis=0).mean(), rel=0.1)


@pytest.mark.parametrize("changes", [{"dropout_kind": "element"}, {"head": "single"}, {"limit_rows": False}])
def test_whatever_the_configuration_only_seed_and_window_decide(
    dropping: UNet3PlusConfig, changes: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(dropping, **changes)
    network = MonteCarloNetwork(random_network(config), config)
    first, second = draw_windows(2)
    together = realize(network, {7: first, 8: second})
    assert_same(together[8], realize(network, {8: second})[8])
    again, other = (realize(network, {8: second}, seed=seed)[8] for seed in (0, 1))
    assert_same(together[8], again)
    assert np.abs(again.intensity - other.intensity).max() > 1e-3


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_observed_pixels_are_the_same_in_every_realization(
    dropping: UNet3PlusConfig, head: Any, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(dropping, head=head)
    (window,) = draw_windows(1)
    window[2, 4:6] = [[0.25, 0.5], [-1.0, 0.0]]  # row 2 was seen in two profiles: echo, clear
    answer = realize(MonteCarloNetwork(random_network(config), config), {0: window})[0]
    np.testing.assert_array_equal(answer.probability[2, 4:6], [1, 0])
    np.testing.assert_array_equal(answer.intensity[2, 4], np.full(4, 0.25))
    assert np.ptp(answer.intensity[2, 6]) > 0


def test_other_weights_can_be_taken(dropping: UNet3PlusConfig, random_network: RandomNetwork) -> None:
    one, other = random_network(dropping, seed=1), random_network(dropping, seed=2)
    (window,) = draw_windows(1)
    network = MonteCarloNetwork(one, dropping)
    before = realize(network, {0: window})[0]
    network.take_weights(other)
    after = realize(network, {0: window})[0]
    assert np.abs(before.probability - after.probability).max() > 1e-3
    assert_same(after, realize(MonteCarloNetwork(other, dropping), {0: window})[0])


def test_the_heads_that_are_for_training_only_are_left_out(
    dropping: UNet3PlusConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(dropping, deep_supervision=True, classification_guided=True, joint_forecast=True)
    trained = random_network(config)
    (window,) = draw_windows(1)
    whole = realize(MonteCarloNetwork(trained, config), {0: window})[0]
    assert_same(whole, realize(MonteCarloNetwork(for_inference(trained, config), config), {0: window})[0])
