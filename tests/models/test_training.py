"""Training: it learns, keeps its budget, keeps the best weights, and stops when the numbers are no longer finite."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from blindzone.models import training
from blindzone.models.errors import ModelError, TrainingError
from blindzone.models.training import (
    Example,
    Progress,
    TrainingConfig,
    TrainingRecord,
    seed_everything,
    train_network,
)
from blindzone.models.unet3plus import UNet3PlusConfig, build_unet3plus

# TensorFlow reminds us that the stream of windows stays a graph.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")

NETWORK = UNet3PlusConfig(
    input_rows=8, input_profiles=16, channels=2, output_rows=2, depth=1, filters=8, dropout=0.1, l2=1e-4
)


def make_window(random: np.random.Generator) -> Example:
    """A window whose answer can be read off the second channel: echo where it is positive, intensity half of it.

    A tenth of the pixels is outside the mask.
    """
    curtain = random.normal(0, 1, (8, 16, 2)).astype(np.float32)
    curtain[:2, :, 0] = 0  # the row repeated downwards
    hint = curtain[:2, :, 1]
    echo, trusted = (hint > 0).astype(np.float32), (random.random((2, 16)) < 0.9).astype(np.float32)
    return curtain, {
        "occurrence": np.stack([echo, trusted], axis=-1),
        "intensity": np.stack([hint / 2 * echo, echo * trusted], axis=-1),
    }


def draw_windows() -> Iterator[Example]:
    random = np.random.default_rng(7)
    while True:
        yield make_window(random)


def contradict(example: Example) -> Example:
    """The same curtain with the opposite answer."""
    curtain, answer = example
    echo, trusted = np.moveaxis(answer["occurrence"], -1, 0)
    value = np.full_like(echo, -2)
    return curtain, {
        "occurrence": np.stack([1 - echo, trusted], axis=-1),
        "intensity": np.stack([value, trusted], axis=-1),
    }


def draw_validation(count: int = 8) -> list[Example]:
    random = np.random.default_rng(99)
    return [make_window(random) for _ in range(count)]


def batch_loss(network: keras.Model, examples: list[Example], *, in_training: bool) -> float:
    """The two likelihoods and, in training, the penalty, from the formulas in numpy."""
    heads = network(np.stack([curtain for curtain, _ in examples]), training=in_training)
    echo, trusted = np.moveaxis(np.stack([answer["occurrence"] for _, answer in examples]), -1, 0)
    value, mask = np.moveaxis(np.stack([answer["intensity"] for _, answer in examples]), -1, 0)
    logit = np.asarray(heads["occurrence"], dtype=float)[..., 0]
    location, log_scale = np.moveaxis(np.asarray(heads["intensity"], dtype=float), -1, 0)
    scale = np.exp(np.clip(log_scale, -5, 1))
    # -log p where there is an echo and -log(1 - p) where there is none, with p = 1 / (1 + exp(-logit))
    total = (trusted * np.logaddexp(0, np.where(echo > 0, -logit, logit))).mean()
    total += (mask * (np.abs(value - location) / scale + np.log(2 * scale))).mean()
    return float(total + (sum(float(loss) for loss in network.losses) if in_training else 0))


@dataclasses.dataclass
class Run:
    network: keras.Model
    record: TrainingRecord
    progress: list[Progress]
    rates: list[float]

    @property
    def losses(self) -> list[float]:
        return [now.loss for now in self.progress]


def run(
    config: TrainingConfig,
    *,
    network: UNet3PlusConfig = NETWORK,
    validation: list[Example] | None = None,
    windows: Any = draw_windows,
) -> Run:
    seed_everything(config.seed)
    model = build_unet3plus(network)
    progress: list[Progress] = []
    rates: list[float] = []

    def on_step(now: Progress) -> None:
        progress.append(now)
        rates.append(float(model.optimizer.learning_rate))

    record = train_network(model, windows, draw_validation() if validation is None else validation, config, on_step)
    return Run(model, record, progress, rates)


LONG = TrainingConfig(steps=60, batch_size=8, learning_rate=5e-2, steps_between_validations=20)
SHORT = TrainingConfig(steps=8, batch_size=4, learning_rate=1e-2, steps_between_validations=3)


@pytest.fixture(scope="module")
def long_run() -> Run:
    return run(LONG)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Runs a few steps in a tenth of the time that it takes to trace their graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def short_run() -> Run:
    tf.config.run_functions_eagerly(True)
    try:
        return run(SHORT)
    finally:
        tf.config.run_functions_eagerly(False)


def test_the_loss_falls_below_that_of_knowing_only_how_often_and_how_strong(long_run: Run) -> None:
    # A network blind to the hint says p = 1/2 on the nine tenths of pixels inside the mask, 0.9 ln 2 = 0.62. The
    # intensity, half of a half-normal, deviates from its median by b = 0.237 in the mean: 0.45 (1 + ln 2b) = 0.11.
    assert long_run.losses[0] > 0.74
    assert np.mean(long_run.losses[-10:]) < 0.74 - 0.3


def test_the_step_budget_is_obeyed(long_run: Run, short_run: Run) -> None:
    for found, steps in ((long_run, 60), (short_run, 8)):
        assert found.record.steps == steps
        assert [now.step for now in found.progress] == list(range(1, steps + 1))
        np.testing.assert_allclose([now.share_done for now in found.progress], np.arange(1, steps + 1) / steps)


def test_the_learning_rate_warms_up_and_falls_as_a_cosine(long_run: Run) -> None:
    # Step s of 60 (from 0): 5e-2 x min(1, (s + 1) / 20) x (0.02 + 0.49 (1 + cos(pi s / 60)))
    expected = {0: 5e-2 / 20, 30: 5e-2 * 0.51, 59: 5e-2 * (0.02 + 0.49 * (1 + math.cos(math.pi * 59 / 60)))}
    for step, rate in expected.items():
        assert long_run.rates[step] == pytest.approx(rate, rel=1e-5)
    assert max(long_run.rates) <= 5e-2


class SteppedClock:
    """A clock that only the steps of the training move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.usefixtures("eagerly")
def test_the_minutes_budget_ends_with_the_first_step_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock()
    monkeypatch.setattr(training, "time", clock)
    progress: list[Progress] = []

    def on_step(now: Progress) -> None:
        progress.append(now)
        clock.now += 1.0

    # A second a step and 0.05 minutes: step k ends at k - 1 seconds, so that the fourth ends at 3 s. 100 steps are not.
    config = dataclasses.replace(SHORT, minutes=0.05, steps=100)
    record = train_network(build_unet3plus(NETWORK), draw_windows, draw_validation(1), config, on_step)
    assert record.steps == 4
    assert record.seconds == 4.0
    np.testing.assert_allclose([now.share_done for now in progress], [0.01, 1 / 3, 2 / 3, 1.0], rtol=1e-6)


def test_a_budget_in_minutes_alone_ends_in_time() -> None:
    found = run(TrainingConfig(minutes=0.02, batch_size=4))
    assert all(now.share_done < 1 for now in found.progress[:-1])
    assert found.progress[-1].share_done == 1
    # 1.2 s, and what was under way: the first step, which traces the graph, and a validation.
    assert found.record.seconds < 1.2 + 20
    assert math.isfinite(found.record.validation_loss)


@pytest.mark.usefixtures("eagerly")
def test_the_same_seed_gives_the_same_losses(short_run: Run) -> None:
    again = run(SHORT)
    np.testing.assert_allclose(
        [now.loss for now in again.progress], [now.loss for now in short_run.progress], atol=1e-4
    )
    assert again.record.validation_loss == pytest.approx(short_run.record.validation_loss, abs=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_another_seed_gives_other_losses(short_run: Run) -> None:
    other = run(dataclasses.replace(SHORT, seed=1))
    assert np.abs(np.subtract(other.losses, short_run.losses)).max() > 1e-2


@pytest.mark.usefixtures("eagerly")
def test_validation_windows_never_enter_the_training(short_run: Run) -> None:
    # Other validation windows, looked at after every step: the losses of the training stay the same.
    validation = [contradict(example) for example in draw_validation(3)]
    other = run(dataclasses.replace(SHORT, steps_between_validations=1), validation=validation)
    np.testing.assert_allclose(
        [now.loss for now in other.progress], [now.loss for now in short_run.progress], atol=1e-4
    )
    assert other.record.validation_loss != pytest.approx(short_run.record.validation_loss, abs=1e-2)


def test_the_best_weights_are_restored() -> None:
    # What is learned makes the contradicting answers worse, so that the first look at them finds the best weights.
    validation = [contradict(example) for example in draw_validation()]
    found = run(dataclasses.replace(LONG, steps=45), validation=validation)
    assert found.record.best_step == 20
    assert found.progress[-1].validation_loss == pytest.approx(found.record.validation_loss)
    assert batch_loss(found.network, validation, in_training=False) == pytest.approx(
        found.record.validation_loss, rel=1e-4
    )


def test_the_record_tells_of_the_network_that_is_left(long_run: Run) -> None:
    validation = draw_validation()
    loss = batch_loss(long_run.network, validation, in_training=False)
    assert loss == pytest.approx(long_run.record.validation_loss, rel=1e-4)
    location = np.asarray(long_run.network(np.stack([curtain for curtain, _ in validation]))["intensity"])[..., 0]
    value, mask = np.moveaxis(np.stack([answer["intensity"] for _, answer in validation]), -1, 0)
    error = (mask * np.abs(value - location)).sum() / mask.sum()
    assert long_run.record.validation_absolute_error_units == pytest.approx(error, rel=1e-4)
    assert long_run.record.loss == long_run.progress[-1].loss
    assert long_run.record.best_step in (20, 40, 60)


@pytest.mark.usefixtures("eagerly")
def test_each_step_reports_the_loss_of_its_own_batch() -> None:
    # One window for ever and no dropout: the loss of step k is that of the weights left by step k - 1.
    window = draw_validation(1)[0]
    seed_everything(0)
    network = build_unet3plus(dataclasses.replace(NETWORK, dropout=0.0))
    batch = [window] * 4
    expected = [batch_loss(network, batch, in_training=True)]
    reported: list[float] = []

    def on_step(now: Progress) -> None:
        reported.append(now.loss)
        expected.append(batch_loss(network, batch, in_training=True))

    train_network(network, lambda: itertools.repeat(window), [window], dataclasses.replace(SHORT, steps=4), on_step)
    np.testing.assert_allclose(reported, expected[:-1], rtol=1e-3)
    assert reported[-1] < reported[0]


@pytest.mark.usefixtures("eagerly")
def test_values_that_are_not_finite_end_the_training() -> None:
    def spoilt() -> Iterator[Example]:
        for curtain, answer in draw_windows():
            curtain[4, 4, 1] = np.nan
            yield curtain, answer

    with pytest.raises(TrainingError, match=r"loss is nan after 1 steps: .*windows hold values that are not finite"):
        run(SHORT, windows=spoilt)


@pytest.mark.usefixtures("eagerly")
def test_validation_windows_that_are_not_finite_are_no_best() -> None:
    validation = draw_validation(2)
    validation[1][0][0, 0, 1] = np.nan
    with pytest.raises(TrainingError, match="validation windows hold values that are not finite"):
        run(dataclasses.replace(SHORT, steps=2), validation=validation)


def test_windows_that_break_off_end_the_training_with_their_reason() -> None:
    def broken() -> Iterator[Example]:
        yield from itertools.islice(draw_windows(), 2)
        raise RuntimeError("the archive is gone")

    with pytest.raises(TrainingError, match=r"(?s)broke off after 0 steps: .*the archive is gone"):
        run(SHORT, windows=broken)


def test_training_without_validation_windows_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least one validation window"):
        run(SHORT, validation=[])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "a budget is needed, minutes or steps"),
        ({"minutes": 0.0}, "the budget must be positive; found 0.0 minutes, None steps"),
        ({"minutes": -1.0, "steps": 5}, "the budget must be positive; found -1.0 minutes, 5 steps"),
        ({"minutes": math.nan}, "the budget must be positive; found nan minutes"),
        ({"steps": 0}, "the budget must be positive; found None minutes, 0 steps"),
        ({"steps": 5, "batch_size": 0}, "must be positive; found .*batch_size=0"),
        ({"steps": 5, "learning_rate": 0.0}, r"must be positive; found .*learning_rate=0\.0"),
        ({"steps": 5, "learning_rate": math.nan}, "must be positive; found .*learning_rate=nan"),
        ({"steps": 5, "steps_between_validations": 0}, "must be positive; found .*steps_between_validations=0"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(values: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^training: .*{message}"):
        TrainingConfig(**values)


def test_configuration_and_record_are_plain_values(short_run: Run) -> None:
    assert TrainingConfig(**SHORT.to_dict()) == SHORT
    assert TrainingRecord(**short_run.record.to_dict()) == short_run.record
