"""Blocks of days: those of the split, the last fifth without one, and what a network saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blindzone.core.errors import ArchiveError, CatalogError, CheckpointError, WindowError
from blindzone.flows.experiments.day_blocks import (
    check_not_trained_on,
    find_days,
    find_training_days,
    split_days,
)
from blindzone.flows.running.source_data import SourceData
from blindzone.models.checkpoint import Checkpoint

FIRST = date(2021, 3, 1)


@dataclass
class Archived:
    """Stands in for a source's data: its archived days and its split."""

    days: tuple[date, ...]
    training: tuple[date, ...] = ()
    validation: tuple[date, ...] = ()
    test: tuple[date, ...] = ()
    name: str = "station"
    entry: Any = field(init=False)

    def __post_init__(self) -> None:
        split = SimpleNamespace(training=self.training, validation=self.validation, test=self.test)
        self.entry = SimpleNamespace(split=split)


def data(count: int, **split: tuple[date, ...]) -> SourceData:
    return cast("SourceData", Archived(days=days(*range(count)), **split))


def days(*numbers: int) -> tuple[date, ...]:
    return tuple(FIRST + timedelta(days=number) for number in numbers)


@pytest.mark.parametrize(("archived", "validation"), [(2, 1), (5, 1), (9, 1), (10, 2), (23, 4)])
def test_source_without_a_split_is_validated_on_its_last_fifth_by_all_flows(
    archived: int, validation: int
) -> None:
    source = data(archived)
    training, last = split_days(source)
    assert training + last == source.days
    assert len(last) == validation
    assert find_days(source, "validation") == last
    assert find_training_days(source) == training


def test_source_without_a_split_has_no_test_day() -> None:
    with pytest.raises(CatalogError, match="names no test day"):
        find_days(data(10), "test")


def test_source_without_a_split_needs_two_days() -> None:
    with pytest.raises(WindowError, match="0 to train and 1 to validate on"):
        find_days(data(1), "validation")


def test_days_of_a_split_are_those_of_the_catalogue_in_order() -> None:
    source = data(6, training=days(4, 0), validation=days(2), test=days(5, 3))
    assert split_days(source) == (days(0, 4), days(2))
    assert find_days(source, "validation") == days(2)
    assert find_days(source, "test") == days(3, 5)
    assert find_training_days(source) == days(0, 4)


def test_split_without_the_block_is_an_error_and_not_the_last_fifth() -> None:
    source = data(6, training=days(0), test=days(5))
    with pytest.raises(CatalogError, match="names no validation day"):
        find_days(source, "validation")
    with pytest.raises(CatalogError, match="names no training day"):
        find_training_days(data(6, validation=days(1)))


def test_day_that_is_not_archived_is_named() -> None:
    source = data(3, training=days(0, 8), validation=days(1, 9))
    with pytest.raises(ArchiveError, match=r"lacks 1 of 2 days of the validation .*2021-03-10"):
        find_days(source, "validation")
    with pytest.raises(ArchiveError, match=r"lacks 1 of 2 days of the training .*2021-03-09"):
        find_training_days(source)


def test_block_that_is_none_is_named() -> None:
    with pytest.raises(CatalogError, match=r"no block .training.*; validation or test is right"):
        find_days(data(3), "training")


def test_network_is_scored_on_no_day_that_it_was_trained_on() -> None:
    training = {"source": "station", "training_days": ["2021-03-01", "2021-03-02"]}
    trained = cast("Checkpoint", SimpleNamespace(training=training))
    check_not_trained_on(trained, "station", days(2, 3), "x.keras")
    check_not_trained_on(trained, "elsewhere", days(0, 1), "x.keras")
    with pytest.raises(CheckpointError, match=r"x\.keras: trained on 2021-03-02, which would"):
        check_not_trained_on(trained, "station", days(1, 2), "x.keras")
