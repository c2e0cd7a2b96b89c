"""The error tree: one root, so that one clause catches what is meant for the user."""

from __future__ import annotations

import inspect

from blindzone.core import errors
from blindzone.core.errors import ArchiveError, BlindzoneError, DamagedError, ModelError, PlanError


def test_every_error_is_one_of_the_package_and_says_when_it_is_raised() -> None:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(found) > 10
    for kind in found:
        assert issubclass(kind, BlindzoneError)
        assert kind.__doc__


def test_narrow_errors_are_caught_by_the_wider_ones() -> None:
    assert issubclass(DamagedError, ArchiveError)
    assert issubclass(errors.CheckpointError, ModelError)
    assert issubclass(PlanError, ValueError)  # so that pydantic adds the key in front
