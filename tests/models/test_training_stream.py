"""The stream of training windows: what is refused, and how examples become a batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from blindzone.core.errors import TrainingError
from blindzone.core.example import Example
from blindzone.models.training_stream import (
    ECHO_WITHIN,
    batch_windows,
    check_windows,
    stack_examples,
)


def make_example(number: int, *, has_echo: bool = True) -> Example:
    echo = np.full((1, 2), float(has_echo), np.float32)
    occurrence = np.stack([echo, np.ones_like(echo)], axis=-1)
    inputs = np.full((3, 2, 1), number, np.float32)
    return Example(inputs, {"occurrence": occurrence, "value": occurrence * number})


def draw(first: int) -> Iterator[Example]:
    return (make_example(number) for number in itertools.count(first))


def test_windows_pass_in_their_order() -> None:
    passed = [
        example.inputs[0, 0, 0] for example in check_windows(iter([*map(make_example, (4, 7))]), 0)
    ]
    assert passed == [4, 7]


def test_a_value_that_is_not_finite_is_named_with_window_and_place() -> None:
    spoilt = make_example(1)
    spoilt.targets["value"][0, 1, 0] = np.inf
    with pytest.raises(
        TrainingError, match=r"window 6 .*: value, row 0, profile 1, channel 0 is inf"
    ):
        list(check_windows(iter([make_example(0), spoilt]), 5))


def test_windows_without_echo_end_the_stream() -> None:
    clear = (make_example(0, has_echo=False) for _ in itertools.count())
    with pytest.raises(TrainingError, match=f"none of {ECHO_WITHIN} windows holds any echo"):
        list(check_windows(clear, 0))


def test_examples_are_stacked_with_the_target_of_each_output() -> None:
    inputs, targets = stack_examples([make_example(1), make_example(3)], ("value_1", "scene"))
    np.testing.assert_array_equal(inputs[:, 0, 0, 0], [1, 3])
    np.testing.assert_array_equal(targets["value_1"][:, 0, 0, 0], [1, 3])
    np.testing.assert_array_equal(targets["scene"], [[1, 1], [1, 1]])


def test_batches_go_on_from_the_window_of_a_number() -> None:
    like = stack_examples([make_example(0)], ("value",))
    batches = batch_windows(draw, 5, like, 2)
    for expected in ([5, 6], [7, 8]):
        inputs, targets = next(batches)
        np.testing.assert_array_equal(inputs[:, 0, 0, 0], expected)
        np.testing.assert_array_equal(targets["value"][:, 0, 0, 0], expected)
