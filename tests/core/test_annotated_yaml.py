"""A configuration as commented YAML: every key is explained, and reads back as it was."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import yaml
from pydantic import Field

from blindzone.core.annotated_yaml import to_annotated_yaml
from blindzone.core.configuration import configuration, read_yaml
from blindzone.core.errors import PlanError


@configuration(error=PlanError, what="base")
class Base:
    """What others extend."""

    depth_m: float = 1e-7
    """How deep [m]. This explanation goes on for so long that it cannot stand on a single line."""


@configuration(error=PlanError, what="item")
class Item(Base):
    """An item of a list."""

    name: str
    """What it is called.

    Anything does.
    """
    rates: dict[str, float] = Field(default_factory=dict)
    """Rates by name."""


@configuration(error=PlanError, what="whole")
class Whole:
    """All of it."""

    items: tuple[Item, ...] = ()
    """The items."""
    base: Base = Base()
    """A section."""
    none: int | None = None
    """Nothing."""
    words: tuple[str, ...] = ("on", "1", "a: b", "")
    """Words that look like something else."""


WHOLE = Whole(items=(Item(name="a # b", rates={"x_y": 0.5}), Item(name="null", depth_m=1)))


def test_what_is_written_reads_back() -> None:
    text = to_annotated_yaml(WHOLE)
    assert read_yaml(Whole, text, where="x", error=PlanError) == WHOLE
    assert read_yaml(Whole, to_annotated_yaml(Whole()), where="x", error=PlanError) == Whole()


def test_each_key_is_explained_where_it_first_stands() -> None:
    lines = to_annotated_yaml(WHOLE).splitlines()
    kinds: tuple[Any, ...] = (Whole, Item, Base)
    explained = [line.strip() for before, line in pairwise(lines) if "# " in before]
    for key in {field.name for kind in kinds for field in dataclasses.fields(kind)}:
        assert any(line.startswith(f"{key}:") for line in explained), key
    assert sum("What it is called." in line for line in lines) == 1
    assert all(len(line) <= 100 for line in lines)


def test_own_keys_come_before_those_of_the_class_extended() -> None:
    (first, _) = yaml.safe_load(to_annotated_yaml(WHOLE))["items"]
    assert list(first) == ["name", "rates", "depth_m"]
