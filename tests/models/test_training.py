"""Training: it learns, keeps its budget and the best weights, resumes, and names errors."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from blindzone.core.errors import CheckpointError, TrainingError
from blindzone.core.example import Example
from blindzone.models import training
from blindzone.models.families import build_network
from blindzone.models.losses import LossConfig
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training import TrainingContext, train_network
from blindzone.models.training_config import TrainingConfig
from blindzone.models.training_record import Progress, TrainingRecord, Validation
from blindzone.models.training_state import read_state, write_state
from blindzone.models.training_step import TrainingStep, training_scope
from blindzone.models.training_stream import ECHO_WITHIN

NETWORK = NetworkConfig(
    input_rows=8,
    input_profiles=16,
    channels=3,
    output_rows=2,
    depth=1,
    filters=8,
    dropout=0.1,
    l2=1e-4,
)


def make_window(random: np.random.Generator) -> Example:
    """A window whose targets follow from channel 2: echo where it is positive, intensity half.

    A tenth of the pixels is outside the mask.
    """
    curtain = random.normal(0, 1, (8, 16, 3)).astype(np.float32)
    curtain[:2, :, 0] = 0  # the row repeated downwards
    curtain[..., 1] = (np.arange(8) < 2)[:, None]  # the soft mask
    hint = curtain[:2, :, 2]
    echo, trusted = (hint > 0).astype(np.float32), (random.random((2, 16)) < 0.9).astype(np.float32)
    return Example(
        curtain,
        {
            "occurrence": np.stack([echo, trusted], axis=-1),
            "intensity": np.stack([hint / 2 * echo, echo * trusted], axis=-1),
            "value": np.stack([np.where(echo > 0, hint / 2, np.float32(-1)), trusted], axis=-1),
        },
    )


def draw_windows(first: int) -> Iterator[Example]:
    return (make_window(np.random.default_rng([7, number])) for number in itertools.count(first))


def contradict(example: Example) -> Example:
    """The same curtain with the opposite targets."""
    curtain, targets = example
    echo, trusted = np.moveaxis(targets["occurrence"], -1, 0)
    value = np.full_like(echo, -2)
    return Example(
        curtain,
        {
            "occurrence": np.stack([1 - echo, trusted], axis=-1),
            "intensity": np.stack([value, trusted], axis=-1),
            "value": np.stack([value, trusted], axis=-1),
        },
    )


def draw_validation(count: int = 8) -> list[Example]:
    random = np.random.default_rng(99)
    return [make_window(random) for _ in range(count)]


def batch_loss(network: keras.Model, examples: list[Example], *, in_training: bool) -> float:
    """The two likelihoods and, in training, the penalty, from the formulas in numpy."""
    heads = network(np.stack([curtain for curtain, _ in examples]), training=in_training)
    echo, trusted = np.moveaxis(np.stack([targets["occurrence"] for _, targets in examples]), -1, 0)
    value, mask = np.moveaxis(np.stack([targets["intensity"] for _, targets in examples]), -1, 0)
    logit = np.asarray(heads["occurrence"], dtype=float)[..., 0]
    location, log_scale = np.moveaxis(np.asarray(heads["intensity"], dtype=float), -1, 0)
    scale = np.exp(np.clip(log_scale, -5, 1))
    # -log p where there is an echo and -log(1 - p) where there is none, with p = 1 / (1 +
    # exp(-logit))
    total = (trusted * np.logaddexp(0, np.where(echo > 0, -logit, logit))).mean()
    total += (mask * (np.abs(value - location) / scale + np.log(2 * scale))).mean()
    return float(total + (sum(float(loss) for loss in network.losses) if in_training else 0))


@dataclasses.dataclass
class Run:
    network: keras.Model
    record: TrainingRecord
    progress: list[Progress]
    validations: list[Validation]

    @property
    def losses(self) -> list[float]:
        return [now.loss for now in self.progress]


def run(
    config: TrainingConfig,
    *,
    network: NetworkConfig = NETWORK,
    validation: list[Example] | None = None,
    windows: Any = draw_windows,
    **options: Any,
) -> Run:
    progress: list[Progress] = []
    validations: list[Validation] = []
    with training_scope(config):
        model = build_network(network)
        record = train_network(
            model,
            network,
            windows,
            draw_validation() if validation is None else validation,
            config,
            TrainingContext(
                **{"on_step": progress.append, "on_validation": validations.append} | options
            ),
        )
    return Run(model, record, progress, validations)


LONG = TrainingConfig(steps=60, batch_size=8, learning_rate=5e-2, steps_between_validations=20)
SHORT = TrainingConfig(steps=8, batch_size=4, learning_rate=1e-2, steps_between_validations=3)


@pytest.fixture(scope="module")
def long_run() -> Run:
    return run(LONG)


@pytest.fixture(scope="module")
def short_run() -> Run:
    with eagerly():
        return run(SHORT)


def test_the_loss_falls_below_that_of_knowing_only_how_often_and_how_strong(long_run: Run) -> None:
    # A network blind to the hint says p = 1/2 on the nine tenths of pixels inside the mask, 0.9 ln
    # 2 = 0.62. The intensity, half of a half-normal, deviates from its median by b = 0.237 in the
    # mean: 0.45 (1 + ln 2b) = 0.11.
    assert long_run.losses[0] > 0.74
    assert np.mean(long_run.losses[-10:]) < 0.74 - 0.3


def test_the_step_budget_is_obeyed(long_run: Run, short_run: Run) -> None:
    for found, steps in ((long_run, 60), (short_run, 8)):
        assert found.record.steps == steps
        assert [now.step for now in found.progress] == list(range(1, steps + 1))
        np.testing.assert_allclose(
            [now.share_done for now in found.progress], np.arange(1, steps + 1) / steps
        )


def test_the_learning_rate_warms_up_and_falls_as_a_cosine(long_run: Run) -> None:
    # Step s of 60 (from 0): 5e-2 x min(1, (s + 1) / 20) x (0.02 + 0.49 (1 + cos(pi s / 60)))
    expected = {
        0: 5e-2 / 20,
        30: 5e-2 * 0.51,
        59: 5e-2 * (0.02 + 0.49 * (1 + math.cos(math.pi * 59 / 60))),
    }
    for step, rate in expected.items():
        assert LONG.rate_at(step, step / 60) == pytest.approx(rate, rel=1e-9)
    assert long_run.validations[-1].learning_rate == pytest.approx(expected[59], rel=1e-9)


class SteppedClock:
    """A clock that only the steps of the training move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.usefixtures("eager")
def test_the_minutes_budget_ends_with_the_first_step_beyond_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SteppedClock()
    monkeypatch.setattr(training, "time", clock)
    progress: list[Progress] = []

    def on_step(now: Progress) -> None:
        progress.append(now)
        clock.now += 1.0

    # A second a step and 0.05 minutes: step k ends at k - 1 seconds, so that the fourth ends at 3
    # s. 100 steps are not.
    config = dataclasses.replace(SHORT, minutes=0.05, steps=100)
    record = run(config, validation=draw_validation(1), on_step=on_step).record
    assert record.steps == 4
    assert record.seconds == 4.0
    np.testing.assert_allclose(
        [now.share_done for now in progress], [0.01, 1 / 3, 2 / 3, 1.0], rtol=1e-6
    )


def test_a_budget_in_minutes_alone_ends_in_time() -> None:
    found = run(TrainingConfig(minutes=0.02, batch_size=4))
    assert all(now.share_done < 1 for now in found.progress[:-1])
    assert found.progress[-1].share_done == 1
    # 1.2 s, and what was under way: the first step, which traces the graph, and a validation.
    assert found.record.seconds < 1.2 + 20
    assert math.isfinite(found.record.validation_loss)


@pytest.mark.usefixtures("eager")
def test_the_same_seed_gives_the_same_losses(short_run: Run) -> None:
    again = run(SHORT)
    np.testing.assert_allclose(
        [now.loss for now in again.progress], [now.loss for now in short_run.progress], atol=1e-4
    )
    assert again.record.validation_loss == pytest.approx(short_run.record.validation_loss, abs=1e-4)


@pytest.mark.usefixtures("eager")
def test_another_seed_gives_other_losses(short_run: Run) -> None:
    other = run(dataclasses.replace(SHORT, seed=1))
    assert np.abs(np.subtract(other.losses, short_run.losses)).max() > 1e-2


@pytest.mark.usefixtures("eager")
def test_validation_windows_never_enter_the_training(short_run: Run) -> None:
    # Other validation windows, looked at after every step: the losses of the training stay the
    # same.
    validation = [contradict(example) for example in draw_validation(3)]
    other = run(dataclasses.replace(SHORT, steps_between_validations=1), validation=validation)
    np.testing.assert_allclose(
        [now.loss for now in other.progress], [now.loss for now in short_run.progress], atol=1e-4
    )
    assert other.record.validation_loss != pytest.approx(short_run.record.validation_loss, abs=1e-2)


def test_the_best_weights_are_restored() -> None:
    # What is learned makes the contradicting targets worse, so that the first look at them finds
    # the best weights.
    validation = [contradict(example) for example in draw_validation()]
    found = run(dataclasses.replace(LONG, steps=45), validation=validation)
    assert found.record.best_step == 20
    assert found.progress[-1].best_score == pytest.approx(found.record.validation_loss)
    assert batch_loss(found.network, validation, in_training=False) == pytest.approx(
        found.record.validation_loss, rel=1e-4
    )


def test_the_record_is_of_the_network_that_is_left(long_run: Run) -> None:
    validation = draw_validation()
    loss = batch_loss(long_run.network, validation, in_training=False)
    assert loss == pytest.approx(long_run.record.validation_loss, rel=1e-4)
    location = np.asarray(
        long_run.network(np.stack([curtain for curtain, _ in validation]))["intensity"]
    )[..., 0]
    value, mask = np.moveaxis(np.stack([targets["intensity"] for _, targets in validation]), -1, 0)
    error = (mask * np.abs(value - location)).sum() / mask.sum()
    assert long_run.record.validation_absolute_error_units == pytest.approx(error, rel=1e-4)
    assert long_run.record.loss == long_run.progress[-1].loss
    assert long_run.record.best_step in (20, 40, 60)


@pytest.mark.usefixtures("eager")
def test_each_step_reports_the_loss_of_its_own_batch() -> None:
    # One window for ever and no dropout: the loss of step k is that of the weights left by step k -
    # 1.
    window, config = draw_validation(1)[0], dataclasses.replace(SHORT, steps=4)
    shape = dataclasses.replace(NETWORK, dropout=0.0)
    batch = [window] * 4
    reported: list[float] = []
    with training_scope(config):
        network = build_network(shape)
        expected = [batch_loss(network, batch, in_training=True)]

        def on_step(now: Progress) -> None:
            reported.append(now.loss)
            expected.append(batch_loss(network, batch, in_training=True))

        train_network(
            network,
            shape,
            lambda first: itertools.repeat(window),
            [window],
            config,
            TrainingContext(on_step=on_step),
        )
    np.testing.assert_allclose(reported, expected[:-1], rtol=1e-3)
    assert reported[-1] < reported[0]


@pytest.mark.usefixtures("eager")
def test_a_window_that_is_not_finite_is_named_with_its_number_and_place() -> None:
    def spoilt(first: int) -> Iterator[Example]:
        for number, (curtain, targets) in enumerate(draw_windows(first), start=first):
            if number == 9:
                curtain[4, 5, 2] = np.nan
            yield Example(curtain, targets)

    message = (
        r"broke off after 2 steps: window 9 .*not finite: network input, row 4, profile 5, channel"
        r" 2 is nan"
    )
    with pytest.raises(TrainingError, match=message):
        run(SHORT, windows=spoilt)


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite_ends_the_training_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TrainingStep, "__call__", lambda step, batch: math.nan)
    message = (
        r"the loss is nan after 1 steps: training diverged; a learning rate below 0\.01, .* is"
        r" right"
    )
    with pytest.raises(TrainingError, match=message):
        run(SHORT)


def test_validation_windows_that_are_not_finite_are_refused_before_the_first_step() -> None:
    validation = draw_validation(2)
    validation[1][0][0, 0, 1] = np.nan
    with pytest.raises(
        TrainingError, match="of the validation windows: window 1 holds values that are not finite"
    ):
        run(dataclasses.replace(SHORT, steps=2), validation=validation)


def test_a_source_without_any_echo_is_refused() -> None:
    def clear(first: int) -> Iterator[Example]:
        for curtain, targets in draw_windows(first):
            yield Example(
                curtain, {name: targets * np.float32([0, 1]) for name, targets in targets.items()}
            )

    config = dataclasses.replace(SHORT, batch_size=ECHO_WITHIN + 100)
    with pytest.raises(
        TrainingError,
        match=f"none of {ECHO_WITHIN} windows holds any echo where the truth is trusted",
    ):
        run(config, windows=clear)


def test_windows_that_break_off_end_the_training_with_their_reason() -> None:
    def broken(first: int) -> Iterator[Example]:
        yield from itertools.islice(draw_windows(first), 2)
        raise RuntimeError("the archive is gone")

    with pytest.raises(TrainingError, match=r"(?s)broke off after 0 steps: .*the archive is gone"):
        run(SHORT, windows=broken)
    with pytest.raises(
        TrainingError, match="the stream of windows ended; one without end is right"
    ):
        run(SHORT, windows=lambda first: itertools.islice(draw_windows(first), 2))


def test_training_without_validation_windows_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least one validation window"):
        run(SHORT, validation=[])


def test_training_ends_when_its_patience_is_spent() -> None:
    # Contradicting targets: the first look finds the best weights, the second and third no gain.
    validation = [contradict(example) for example in draw_validation()]
    config = dataclasses.replace(
        LONG, steps=60, steps_between_validations=5, patience=2, warm_up_steps=0
    )
    found = run(config, validation=validation)
    assert found.record.ended == "patience"
    assert found.record.steps == found.record.best_step + 2 * 5


@pytest.mark.usefixtures("eager")
def test_validations_can_be_spread_over_the_budget() -> None:
    found = run(dataclasses.replace(SHORT, validations=4))
    assert [(look.number, look.step) for look in found.validations] == [
        (1, 2),
        (2, 4),
        (3, 6),
        (4, 8),
    ]
    # Each tells the mean loss of the batches since the one before.
    assert found.validations[1].loss == pytest.approx(np.mean(found.losses[2:4]), rel=1e-6)
    assert 0 <= found.record.wait_share <= 1


@pytest.mark.usefixtures("eager")
def test_weights_are_chosen_by_a_score_where_one_is_given() -> None:
    scores = iter([0.4, 0.1, 0.3])
    found = run(
        dataclasses.replace(SHORT, validation="monte_carlo"), score=lambda network: next(scores)
    )
    # Looked at after steps 3 and 6, and at the end.
    assert (found.record.best_step, found.record.validation_score) == (6, 0.1)
    assert found.record.validation_loss == pytest.approx(found.validations[1].validation_loss)
    with pytest.raises(TrainingError, match="validation is 'monte_carlo' and a score lacks"):
        run(dataclasses.replace(SHORT, validation="monte_carlo"))


class Stop(Exception):  # noqa: N818  (no error: it stands for a kill)
    pass


@pytest.mark.usefixtures("eager")
def test_a_training_that_was_broken_off_resumes_as_if_it_had_not_been(tmp_path: Path) -> None:
    # With all that holds a state of its own: averaged weights, and a loss that draws.
    loss = LossConfig(forecast="fair_crps", realizations=2)
    config = dataclasses.replace(SHORT, weight_average=0.9, optimizer="adamw", loss=loss)
    network = dataclasses.replace(NETWORK, joint_forecast=True)
    state = tmp_path / "state.npz"

    def stop(now: Progress) -> None:
        if now.step == 5:
            raise Stop

    whole = run(config, network=network)
    with pytest.raises(Stop):
        run(config, network=network, state_file=state, state_every_s=0, on_step=stop)
    resumed = run(config, network=network, state_file=state, state_every_s=0)
    assert [now.step for now in resumed.progress] == [6, 7, 8]
    assert resumed.record.resumed_at == (5,)
    # Two threads add in an order of their own.
    np.testing.assert_allclose(resumed.losses, whole.losses[5:], atol=1e-4)
    assert resumed.record.validation_score == pytest.approx(whole.record.validation_score, abs=1e-4)
    assert resumed.record.best_step == whole.record.best_step


@pytest.mark.usefixtures("eager")
def test_a_state_of_another_training_is_refused_with_what_differs(tmp_path: Path) -> None:
    state = tmp_path / "state.npz"
    config = dataclasses.replace(SHORT, steps=1)
    run(config, state_file=state, state_every_s=0)
    older = read_state(state)  # of a version that had neither key
    del (
        older.configuration["network"]["family"],
        older.configuration["training"]["loss"]["restored"],
    )
    write_state(state, older)
    assert run(config, state_file=state).record.resumed_at == (1,)
    with pytest.raises(
        CheckpointError, match=r"which differs in training\.learning_rate, training\.seed; "
    ):
        run(dataclasses.replace(config, seed=1, learning_rate=1e-3), state_file=state)
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short, damaged or no state"):
        run(config, state_file=state)


@pytest.mark.usefixtures("eager")
def test_a_full_disk_costs_a_state_but_not_the_training(tmp_path: Path) -> None:
    state = tmp_path / "state.npz"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    contents: list[bytes] = []

    def fill_disk(now: Progress) -> None:
        contents.append(state.read_bytes())
        if now.step == 3:  # from here on no file can grow beyond 4 kB
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    try:
        found = run(
            dataclasses.replace(SHORT, steps=5),
            state_file=state,
            state_every_s=0,
            on_step=fill_disk,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.record.steps == 5
    assert [note.split(":")[0] for note in found.record.notes] == ["after 4 steps", "after 5 steps"]
    assert "cannot be written" in found.record.notes[0]
    assert contents[3] == contents[4] == contents[2] == state.read_bytes()
    assert list(tmp_path.iterdir()) == [state]


@pytest.mark.usefixtures("eager")
def test_a_batch_too_large_for_the_memory_is_taken_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without batch normalisation and dropout the mean over halves is that over the whole, but for
    # masked means.
    shape = dataclasses.replace(NETWORK, dropout=0.0, normalization="none")
    config = dataclasses.replace(SHORT, steps=4)
    whole = run(config, network=shape)

    def fail(step: TrainingStep, *batch: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(TrainingStep, "_step_on_all", fail)
    parts = run(config, network=shape)
    assert parts.record.notes == ("memory was short: each batch was taken in 2 parts",)
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-4)
    monkeypatch.setattr(TrainingStep, "_find_gradients", fail)
    with pytest.raises(TrainingError, match="out of memory with 1 windows at a time"):
        run(config, network=shape)


@pytest.mark.usefixtures("eager")
def test_half_precision_trains_weights_that_stay_single() -> None:
    config, shape = dataclasses.replace(SHORT, steps=2), dataclasses.replace(NETWORK, dropout=0.0)
    single = run(config, network=shape)
    found = run(dataclasses.replace(config, precision="mixed_float16"), network=shape)
    assert found.network.get_layer("encoder0a_convolution").compute_dtype == "float16"
    assert {weight.dtype for weight in found.network.get_weights()} == {np.dtype("float32")}
    # Half precision has 11 bits: three digits.
    np.testing.assert_allclose(found.losses, single.losses, rtol=2e-2)
    assert found.losses != single.losses
    assert keras.mixed_precision.dtype_policy().name == "float32"  # as it was before


def test_a_killed_training_resumes_bit_for_bit_and_two_devices_train(tmp_path: Path) -> None:
    # That two processes agree to the last bit also shows that a seed settles everything.
    program = [
        sys.executable,
        str(Path(__file__).with_name("train_in_a_process.py")),
        str(tmp_path),
    ]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"resumed at": [3], "largest difference": 0.0, "on two devices": True}
