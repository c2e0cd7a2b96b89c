"""Monte Carlo dropout: each pass is the network's own, and only seed and window decide it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import ModelError
from blindzone.core.network_units import DB_PER_UNIT
from blindzone.core.window_prediction import WindowPrediction
from blindzone.models.families import for_inference
from blindzone.models.monte_carlo import AT_ONCE, MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig

pytestmark = pytest.mark.usefixtures("eager")

RandomNetwork = Callable[..., Any]
MakeNetwork = Callable[[NetworkConfig], MonteCarloNetwork]


@pytest.fixture
def dropping(tiny: NetworkConfig) -> NetworkConfig:
    return dataclasses.replace(tiny, dropout=0.3)


@pytest.fixture(scope="module")
def monte_carlo(random_network: RandomNetwork) -> MakeNetwork:
    """Makes the network of a configuration once: predictions leave nothing in it."""
    made: dict[NetworkConfig, MonteCarloNetwork] = {}

    def make(config: NetworkConfig) -> MonteCarloNetwork:
        if config not in made:
            made[config] = MonteCarloNetwork(random_network(config), config)
        made[config].at_once = AT_ONCE
        return made[config]

    return make


def draw_windows(count: int) -> list[np.ndarray]:
    windows = np.random.default_rng(5).normal(0.3, 0.5, (count, 16, 32, 2)).astype(np.float32)
    windows[:, :3, :, 1] = 1  # the three rows that are predicted are hidden
    return list(windows)


def predict(
    network: MonteCarloNetwork, windows: dict[int, np.ndarray], count: int = 4, seed: int = 0
) -> dict[int, WindowPrediction]:
    predictions = network.predict(iter(windows.items()), passes=count, seed=seed)
    return dict(zip(windows, predictions, strict=True))


def set_head(network: keras.Model, name: str, bias: float) -> None:
    kernel, _ = network.get_layer(name).get_weights()
    network.get_layer(name).set_weights([np.zeros_like(kernel), np.array([bias])])


def laplace_quantile(level: np.ndarray) -> np.ndarray:
    return np.asarray(-np.sign(level - 0.5) * np.log(1 - 2 * np.abs(level - 0.5)))


def assert_same(one: WindowPrediction, other: WindowPrediction) -> None:
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
    np.testing.assert_allclose(one.intensity, other.intensity, atol=1e-5)


def test_without_dropout_every_pass_is_the_plain_network(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    network = random_network(tiny)
    (window,) = draw_windows(1)
    prediction = predict(MonteCarloNetwork(network, tiny), {0: window}, count=5)[0]
    plain = {name: np.asarray(head)[0] for name, head in network(window[None]).items()}
    np.testing.assert_allclose(
        prediction.probability, 1 / (1 + np.exp(-plain["occurrence"][..., 0])), atol=1e-6
    )
    # In increasing order, pass i of 5 stands at the level (i + 1/2) / 5 of the Laplace
    # distribution.
    location, scale = (
        plain["intensity"][..., :1],
        np.exp(np.clip(plain["intensity"][..., 1:], -5, 1)),
    )
    residual = laplace_quantile((np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(
        residual, [np.log(0.2), np.log(0.6), 0, -np.log(0.6), -np.log(0.2)], atol=1e-12
    )
    assert prediction.intensity.shape == (3, 32, 5)
    np.testing.assert_allclose(
        prediction.intensity - scale * residual, np.repeat(location, 5, axis=-1), atol=1e-5
    )


@pytest.mark.parametrize("depth", [1, 3])
def test_keeping_every_channel_gives_the_plain_network(
    dropping: NetworkConfig,
    depth: int,
    random_network: RandomNetwork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every weight has reached its own layer only if masks of one change nothing.
    config = dataclasses.replace(dropping, depth=depth)
    network = random_network(config)
    (window,) = draw_windows(1)
    draw = MonteCarloNetwork._draw_masks
    monkeypatch.setattr(
        MonteCarloNetwork,
        "_draw_masks",
        lambda *given: tuple(np.ones_like(drawn) for drawn in draw(*given)),
    )
    prediction = predict(MonteCarloNetwork(network, config), {0: window}, count=3)[0]
    plain = network(window[None])
    np.testing.assert_allclose(
        prediction.intensity[..., 1], plain["intensity"][0, ..., 0], atol=1e-5
    )


def test_masks_drop_the_configured_share_and_keep_the_mean(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(dropping)
    _, masks = network._draw_masks(np.random.default_rng(0), 4000)
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / np.float32(0.7))}
    # One number a channel behind the six resamplings of depth 2 with two filters. Encoder: 2 and 4;
    # stage 0: 6 from stage 1, 8 from the bottom; stage 1: 2 from the encoder, 8 from the bottom.
    assert masks.size == 4000 * (2 + 4 + 6 + 8 + 2 + 8)
    share = (masks == 0).mean()
    assert share == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / masks.size))


def test_passes_are_spread_as_keras_dropout_spreads_the_network(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    network = random_network(dropping)
    set_head(
        network, "log_scale", -50.0
    )  # clipped to -5: next to nothing but dropout spreads the intensity
    (window,) = draw_windows(1)
    count = 600
    prediction = predict(MonteCarloNetwork(network, dropping), {0: window}, count=count)[0]
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # training=True is then for dropout alone
    drawn = network(np.repeat(window[None], count, axis=0), training=True)
    probability = 1 / (1 + np.exp(-np.asarray(drawn["occurrence"])[..., 0]))
    location = np.asarray(drawn["intensity"])[..., 0]
    spread = location.std(axis=0)
    assert spread.min() > 0.05  # far above the 0.0095 of a Laplace distribution with b = e^-5
    # Two means of 600 draws differ by their standard errors; 96 pixels stay within five of them.
    for found, draws in (
        (prediction.probability, probability),
        (prediction.intensity.mean(axis=-1), location),
    ):
        error = draws.std(axis=0) * np.sqrt(2 / count)
        np.testing.assert_array_less(np.abs(found - draws.mean(axis=0)), 5 * error)
    # A spread of 600 draws is known to about 1 / sqrt(1200) = 3 %; of its mean over pixels, less.
    assert prediction.intensity.std(axis=-1).mean() == pytest.approx(spread.mean(), rel=0.08)


@pytest.mark.usefixtures("as_graph")
def test_the_same_seed_gives_the_same_prediction_and_another_seed_another(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(dropping)
    (window,) = draw_windows(1)
    first, again, other = (predict(network, {0: window}, seed=seed)[0] for seed in (1, 1, 2))
    assert_same(first, again)
    assert np.abs(first.probability - other.probability).max() > 1e-3
    assert np.abs(first.intensity - other.intensity).max() > 1e-3


def test_a_window_is_predicted_alike_in_any_company_and_order(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(dropping)
    windows = dict(zip((3, 70, 912), draw_windows(3), strict=True))
    together = predict(network, windows)
    reverse = predict(network, dict(reversed(windows.items())))
    for number, window in windows.items():
        assert_same(together[number], reverse[number])
        assert_same(together[number], predict(network, {number: window})[number])


@pytest.mark.usefixtures("as_graph")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout_kind": "element"},
        {"base": "column", "column_filters": 4, "column_depth": 2, "column_paths": 2},
        {"base": "column", "column_filters": 4, "column_depth": 2, "filters": 0},
        {"classification_guided": True, "head": "single"},
    ],
)
def test_it_does_not_matter_how_many_are_computed_at_once(
    dropping: NetworkConfig, monte_carlo: MakeNetwork, changes: Any
) -> None:
    network = monte_carlo(dataclasses.replace(dropping, **changes))
    windows = dict(zip((3, 70, 912), draw_windows(3), strict=True))
    network.at_once = 21  # all three windows together
    together = predict(network, windows, count=7)
    network.at_once = 3  # one window, in parts of 3, 2 and 2 passes
    for number, prediction in predict(network, windows, count=7).items():
        assert_same(prediction, together[number])
        assert prediction.used == 7


@pytest.mark.usefixtures("as_graph")
def test_all_windows_and_passes_share_one_graph(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    network = MonteCarloNetwork(random_network(dropping), dropping, at_once=6)
    windows = dict(enumerate(draw_windows(3)))
    for count in (2, 3, 7):
        predict(network, windows, count=count)
    assert network._network.graph.experimental_get_tracing_count() == 1


def adapt(
    network: MonteCarloNetwork,
    windows: dict[int, np.ndarray],
    adaptive: AdaptiveSampling,
    seed: int = 0,
) -> dict[int, WindowPrediction]:
    predictions = network.predict(iter(windows.items()), passes=adaptive, seed=seed)
    return dict(zip(windows, predictions, strict=True))


def test_adaptive_passes_end_when_the_bounds_are_known(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(dropping)
    windows = dict(enumerate(draw_windows(2)))
    used = []
    for tolerance in (100.0, 0.5, 1e-6):
        predictions = adapt(
            network,
            windows,
            AdaptiveSampling(
                tolerance_db=DB_PER_UNIT * tolerance,
                least=4,
                most=90,
                values=9,
                levels=(0.25, 0.75),
            ),
        )
        assert all(prediction.intensity.shape == (3, 32, 9) for prediction in predictions.values())
        used.append([prediction.used for prediction in predictions.values()])
    assert used[0] == [4, 4]
    assert all(4 < count < 90 for count in used[1])
    assert used[2] == [90, 90]


def test_a_window_ended_early_is_predicted_as_with_that_number(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(dropping)
    windows = dict(enumerate(draw_windows(3)))
    adaptive = AdaptiveSampling(tolerance_db=DB_PER_UNIT * 0.3, least=4, most=40, values=4)
    together = adapt(network, windows, adaptive)
    network.at_once = 5
    for number, prediction in adapt(network, windows, adaptive).items():
        assert prediction.used == together[number].used
        assert_same(prediction, together[number])
        fixed = predict(network, {number: windows[number]}, count=prediction.used)[number]
        np.testing.assert_allclose(prediction.probability, fixed.probability, atol=1e-6)
        if prediction.used == 4:
            assert_same(prediction, fixed)


def test_windows_of_the_same_content_draw_their_own_masks(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    (window,) = draw_windows(1)
    predictions = predict(monte_carlo(dropping), {0: window, 1: window})
    assert np.abs(predictions[0].probability - predictions[1].probability).max() > 1e-3


def test_probabilities_are_probabilities_and_intensities_ordered(
    dropping: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    windows = dict(enumerate(100 * window for window in draw_windows(3)))  # far from anything seen
    network = monte_carlo(dropping)
    for prediction in predict(network, windows, count=7).values():
        assert prediction.probability.shape == (3, 32)
        assert prediction.intensity.shape == (3, 32, 7)
        assert (prediction.probability >= 0).all()
        assert (prediction.probability <= 1).all()
        assert (np.diff(prediction.intensity, axis=-1) >= 0).all()


@pytest.mark.parametrize(("bias", "expected"), [(-200.0, 0.0), (200.0, 1.0), (np.log(3.0), 0.75)])
def test_a_network_that_is_very_sure_raises_no_warning(
    tiny: NetworkConfig, random_network: RandomNetwork, bias: float, expected: float
) -> None:
    network = random_network(tiny)
    set_head(network, "occurrence", bias)
    monte_carlo = MonteCarloNetwork(network, tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (prediction,) = monte_carlo.predict(iter([(0, draw_windows(1)[0])]), passes=2, seed=0)
    np.testing.assert_allclose(prediction.probability, np.full((3, 32), expected), atol=1e-6)


def test_fewer_than_two_passes_make_no_interval(
    tiny: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(tiny)
    for count in (1, 0, -3):
        with pytest.raises(ModelError, match=f"at least 2 forward passes; found {count}"):
            predict(network, {0: draw_windows(1)[0]}, count=count)


def test_a_negative_seed_is_refused(tiny: NetworkConfig, monte_carlo: MakeNetwork) -> None:
    with pytest.raises(ModelError, match="must not be negative; found -1"):
        predict(monte_carlo(tiny), {0: draw_windows(1)[0]}, seed=-1)


def test_a_window_of_another_shape_is_refused(
    tiny: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    network = monte_carlo(tiny)
    with pytest.raises(
        ModelError, match=r"window 4: its shape is \(16, 30, 2\); \(16, 32, 2\) is right"
    ):
        predict(network, {4: draw_windows(1)[0][:, :30]})


def test_weights_that_overflow_are_named(
    tiny: NetworkConfig, random_network: RandomNetwork
) -> None:
    network = random_network(tiny)
    for layer in ("encoder0a_convolution", "encoder0b_convolution", "decoder0_convolution"):
        network.get_layer(layer).set_weights(
            [np.full_like(network.get_layer(layer).get_weights()[0], 1e15)]
        )
    with pytest.raises(ModelError, match="window 6: the network gives values that are not finite"):
        predict(MonteCarloNetwork(network, tiny), {6: draw_windows(1)[0]})


def test_a_window_that_is_not_finite_is_named(
    tiny: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    good, bad = draw_windows(2)
    bad[2, 4, 0] = np.nan
    with pytest.raises(ModelError, match="window 17: 1 of 1024 input values are not finite"):
        predict(monte_carlo(tiny), {16: good, 17: bad})


def test_single_values_become_a_probability_and_ordered_intensities(
    tiny: NetworkConfig, monte_carlo: MakeNetwork
) -> None:
    config = dataclasses.replace(tiny, head="single", dropout=0.3)
    network = monte_carlo(config)
    (prediction,) = predict(network, {0: draw_windows(1)[0]}, count=8).values()
    assert prediction.probability.shape == (3, 32)
    assert prediction.intensity.shape == (3, 32, 8)
    np.testing.assert_array_equal(prediction.probability * 8, np.round(prediction.probability * 8))
    assert 0 < prediction.probability.mean() < 1
    assert (np.diff(prediction.intensity, axis=-1) >= 0).all()
    has_echo = prediction.probability > 0
    assert (prediction.intensity[has_echo] > 0).all()
    np.testing.assert_array_equal(prediction.intensity[~has_echo], 0)  # the floor


@pytest.mark.parametrize(
    "changes", [{"dropout_kind": "element"}, {"head": "single"}, {"limit_rows": False}]
)
def test_whatever_the_configuration_only_seed_and_window_decide(
    dropping: NetworkConfig, changes: Any, monte_carlo: MakeNetwork
) -> None:
    config = dataclasses.replace(dropping, **changes)
    network = monte_carlo(config)
    first, second = draw_windows(2)
    together = predict(network, {7: first, 8: second})
    assert_same(together[8], predict(network, {8: second})[8])
    again, other = (predict(network, {8: second}, seed=seed)[8] for seed in (0, 1))
    assert_same(together[8], again)
    assert np.abs(again.intensity - other.intensity).max() > 1e-3


@pytest.mark.parametrize("head", ["two_part", "single"])
def test_observed_pixels_are_the_same_in_every_pass(
    dropping: NetworkConfig, head: Any, monte_carlo: MakeNetwork
) -> None:
    config = dataclasses.replace(dropping, head=head)
    (window,) = draw_windows(1)
    window[2, 4:6] = [[0.25, 0.5], [-1.0, 0.0]]  # row 2 was seen in two profiles: echo, clear
    prediction = predict(monte_carlo(config), {0: window})[0]
    np.testing.assert_array_equal(prediction.probability[2, 4:6], [1, 0])
    np.testing.assert_array_equal(prediction.intensity[2, 4], np.full(4, 0.25))
    assert np.ptp(prediction.intensity[2, 6]) > 0


def test_other_weights_can_be_taken(dropping: NetworkConfig, random_network: RandomNetwork) -> None:
    one, other = random_network(dropping, seed=1), random_network(dropping, seed=2)
    (window,) = draw_windows(1)
    network = MonteCarloNetwork(one, dropping)
    before = predict(network, {0: window})[0]
    network.set_weights(other)
    after = predict(network, {0: window})[0]
    assert np.abs(before.probability - after.probability).max() > 1e-3
    assert_same(after, predict(MonteCarloNetwork(other, dropping), {0: window})[0])


def test_the_heads_that_are_for_training_only_are_left_out(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(
        dropping, deep_supervision=True, classification_guided=True, joint_forecast=True
    )
    trained = random_network(config)
    (window,) = draw_windows(1)
    whole = predict(MonteCarloNetwork(trained, config), {0: window})[0]
    assert_same(
        whole, predict(MonteCarloNetwork(for_inference(trained, config), config), {0: window})[0]
    )


def test_single_pass_is_the_plain_network_whatever_its_dropout(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    windows = dict(enumerate(draw_windows(3)))
    windows[1][2, 4:6] = [[0.25, 0.5], [-1.0, 0.0]]  # seen: echo, clear
    for kind in ("spatial", "element"):
        config = dataclasses.replace(dropping, dropout_kind=kind)
        network = random_network(config)
        found = list(
            MonteCarloNetwork(network, config, at_once=2).predict(
                iter(windows.items()), passes="single", seed=0
            )
        )
        plain = {
            name: np.asarray(head) for name, head in network(np.stack(draw_windows(3))).items()
        }
        for number in (0, 2):
            logit, intensity = plain["occurrence"][number], plain["intensity"][number]
            np.testing.assert_allclose(
                found[number].probability, 1 / (1 + np.exp(-logit[..., 0])), atol=1e-6
            )
            np.testing.assert_allclose(found[number].intensity, intensity[..., :1], atol=1e-5)
            scale = found[number].scale
            assert scale is not None
            np.testing.assert_allclose(scale, np.exp(np.clip(intensity[..., 1], -5, 1)), rtol=1e-5)
            assert found[number].used == 1
        seen = found[1]
        assert seen.scale is not None
        np.testing.assert_array_equal(seen.probability[2, 4:6], [1, 0])
        np.testing.assert_array_equal(seen.intensity[2, 4:6, 0], [0.25, -1])
        np.testing.assert_array_equal(seen.scale[2, 4:6], [0, 0])


def test_single_pass_of_a_single_value_is_certain(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    config = dataclasses.replace(dropping, head="single")
    network = random_network(config)
    (window,) = draw_windows(1)
    (found,) = MonteCarloNetwork(network, config, floor_unit=0.1).predict(
        iter([(0, window)]), passes="single", seed=0
    )
    value = np.asarray(network(window[None])["value"])[0, ..., 0]
    assert found.scale is not None
    assert not found.scale.any()
    np.testing.assert_array_equal(found.probability, found.intensity[..., 0] > np.float32(0.1))
    np.testing.assert_allclose(found.intensity[..., 0], np.maximum(value, 0.1), atol=1e-5)


def test_single_pass_takes_other_weights_and_names_what_is_not_finite(
    dropping: NetworkConfig, random_network: RandomNetwork
) -> None:
    one, other = random_network(dropping, seed=1), random_network(dropping, seed=2)
    (window,) = draw_windows(1)

    def pass_once(network: MonteCarloNetwork, window: np.ndarray) -> WindowPrediction:
        return next(network.predict(iter([(6, window)]), passes="single", seed=0))

    network = MonteCarloNetwork(one, dropping)
    before = pass_once(network, window)
    network.set_weights(other)
    after = pass_once(network, window)
    assert np.abs(before.probability - after.probability).max() > 1e-3
    assert_same(after, pass_once(MonteCarloNetwork(other, dropping), window))
    window[2, 4, 0] = np.nan
    with pytest.raises(ModelError, match="window 6: 1 of 1024 input values are not finite"):
        pass_once(network, window)
