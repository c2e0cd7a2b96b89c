"""Groups of weights: frozen, with rates of their own, with fixed statistics; slips are named."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import TrainingError
from blindzone.models.parameter_groups import choose_trained, find_factors
from blindzone.models.training_config import TrainingConfig


@pytest.fixture
def network() -> keras.Model:
    """Two convolutions, the first of which is normalised."""
    x = curtain = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="encoder0_convolution")(x)
    x = keras.layers.BatchNormalization(momentum=0.5, name="encoder0_normalization")(x)
    return keras.Model(curtain, keras.layers.Conv2D(1, 1, name="head")(x))


def choose(network: keras.Model, **choices: Any) -> list[str]:
    return [
        variable.path for variable in choose_trained(network, TrainingConfig(steps=1, **choices))
    ]


def test_frozen_layers_are_left_out(network: keras.Model) -> None:
    assert choose(network, frozen=("encoder",)) == ["head/kernel", "head/bias"]
    assert choose(network) == [variable.path for variable in network.trainable_variables]
    assert len(network.trainable_variables) == 5  # what was frozen before is so no longer


def test_fixed_statistics_stay_and_normalise_while_scale_and_offset_are_trained(
    network: keras.Model,
) -> None:
    trained = choose(network, freeze_statistics=("encoder",))
    assert sorted(trained) == sorted(
        [
            "encoder0_convolution/kernel",
            "encoder0_normalization/gamma",
            "encoder0_normalization/beta",
            "head/kernel",
            "head/bias",
        ]
    )
    layer = network.get_layer("encoder0_normalization")
    curtain = np.full((1, 4, 4, 2), 3.0, np.float32)
    fixed = layer(curtain, training=True)
    np.testing.assert_allclose(fixed, 3.0, rtol=1e-3)  # moving mean 0, variance 1
    np.testing.assert_array_equal(layer.moving_mean, 0)
    choose(network)
    np.testing.assert_allclose(layer(curtain, training=True), 0, atol=1e-6)  # less its own mean
    np.testing.assert_allclose(layer.moving_mean, 1.5)  # half of 0 and half of 3


def test_a_frozen_layer_with_fixed_statistics_stays_frozen(network: keras.Model) -> None:
    trained = choose(network, frozen=("encoder",), freeze_statistics=("encoder",))
    assert trained == ["head/kernel", "head/bias"]


def test_the_longest_beginning_gives_the_factor(network: keras.Model) -> None:
    rates = {"encoder": 0.1, "encoder0_norm": 0.01}
    factors = find_factors(network, network.trainable_variables, rates)
    assert factors == [0.1, 0.01, 0.01, 1.0, 1.0]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"frozen": ("encodr",)},
            "^frozen: no layer with weights has a name that begins with 'encodr'; these do:"
            " encoder, head",
        ),
        ({"rates": {"decoder": 0.1}}, "^rates: no layer with weights .* 'decoder'"),
        (
            {"freeze_statistics": ("head",)},
            "^freeze_statistics: no layer with batch statistics .* 'head'; these do: encoder",
        ),
        ({"frozen": ("encoder", "head")}, "^frozen: .*leaves nothing to train.*encoder, head are"),
        ({"frozen": ("",)}, "^frozen: .*leaves nothing to train"),
    ],
)
def test_a_slip_is_named_with_its_key(
    network: keras.Model, choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        choose(network, **choices)
