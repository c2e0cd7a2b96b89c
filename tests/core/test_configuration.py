"""Configuration: read from YAML with line and key, built in code with its own error, and back."""

from __future__ import annotations

import pickle
from itertools import pairwise
from textwrap import dedent
from typing import Annotated

import pytest
from pydantic import Field

from blindzone.core.configuration import (
    configuration,
    known_keys,
    overlay,
    parse_yaml,
    read_yaml,
    to_plain,
)
from blindzone.core.errors import CatalogError, CurtainError


@configuration(error=CurtainError, what="layer")
class Layer:
    """A layer."""

    top_m: Annotated[float, Field(gt=0)] = 1000.0
    base_m: float = 0.0

    def __post_init__(self) -> None:
        if self.base_m >= self.top_m:
            raise ValueError(f"base_m must lie below top_m; found {self.base_m} and {self.top_m}")


@configuration(error=CatalogError, what="stack")
class Stack:
    """Layers."""

    name: str
    lowest: Layer | None = None
    others: tuple[Layer, ...] = ()
    by_name: dict[str, Layer] = Field(default_factory=dict)


def read(text: str) -> Stack:
    return read_yaml(Stack, dedent(text), where="stack.yaml", error=CatalogError)


def test_text_becomes_a_configuration_and_plain_values_again() -> None:
    stack = read("""
        name: two
        lowest: {top_m: 500}
        others: [{base_m: 500}]
        """)
    assert stack == Stack(name="two", lowest=Layer(top_m=500.0), others=(Layer(base_m=500.0),))
    assert to_plain(stack)["others"] == [{"top_m": 1000.0, "base_m": 500.0}]
    assert pickle.loads(pickle.dumps(stack)) == stack


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lowest: {}", "stack.yaml, line 1: name: this key is missing"),
        ("name: a\nlowest: {top_m: -1}", r"line 2: lowest.top_m: should be .* 0 \(found -1\)"),
        ("name: a\nothers:\n- {}\n- {base_m: 2e3}", r"line 4: others.1: base_m must lie below"),
        (
            "name: a\nby_name:\n  x: {tip_m: 1}",
            "line 3: .*tip_m: unknown key; known .*: base_m, top_m",
        ),
        ("nome: a", "nome: unknown key; known keys here: by_name, lowest, name, others"),
        ("name: [", "stack.yaml: not valid YAML"),
        ("name: 2021-02-30", "stack.yaml: not valid YAML: day is out of range"),
        ("- 1", "must be a mapping of keys"),
        ("name: a\nlowest: 3", "line 2: lowest: must be a mapping of keys, found 3"),
    ],
)
def test_text_that_is_wrong_is_refused_with_its_line_and_key(text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        read(text)


def test_every_fault_of_a_text_is_named() -> None:
    with pytest.raises(CatalogError) as refused:
        read("name: a\nlowest: {top_m: -1}\nothers: [{top_m: 0}]")
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "stack.yaml, line 2",
        "stack.yaml, line 3",
    ]


def test_class_itself_refuses_in_its_own_words() -> None:
    with pytest.raises(CurtainError, match=r"layer: top_m: should be greater than 0 \(found 0"):
        Layer(top_m=0.0)
    with pytest.raises(
        CurtainError, match=r"layer: base_m must lie below top_m; found 1\.0 and 0\.5"
    ):
        Layer(base_m=1.0, top_m=0.5)


def test_configuration_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Layer().top_m = 3.0  # type: ignore[misc]


def test_keys_are_found_through_optional_and_repeated_sections() -> None:
    assert known_keys(Stack, []) == ["by_name", "lowest", "name", "others"]
    for path in (["lowest"], ["others", "0"], ["by_name", "any"]):
        assert known_keys(Stack, path) == ["base_m", "top_m"]


def test_overlay_replaces_by_section_and_none_replaces_nothing() -> None:
    below = {"a": {"x": 1, "y": 2}, "b": 3}
    assert overlay(below, {"a": {"y": 5, "x": None}, "c": 4, "b": None}) == {
        "a": {"x": 1, "y": 5},
        "b": 3,
        "c": 4,
    }
    assert below == {"a": {"x": 1, "y": 2}, "b": 3}


def repeat_again(form: str, times: int) -> str:
    """A node, and others that each hold the one before so many times."""
    first = form.format("x: 1, y: 2" if "{{" in form else "x")
    later = (
        f"{new}: &{new} {form.format(', '.join([f'*{old}'] * times))}"
        for old, new in pairwise("abcdefgh")
    )
    return "\n".join([f"a: &a {first}", *later])


HOSTILE = {
    "deep": "[" * 5000,
    "aliases of aliases": repeat_again("[{}]", 10),
    "merged mappings": repeat_again("{{<<: [{}]}}", 20).replace("<<: [x: 1, y: 2]", "x: 1"),
    "alias of itself": "a: &a [*a]",
    "many values": "[" + "1," * 60_000 + "1]",
    "long": "a: " + "x" * (5 * 2**20),
    "long number": "a: " + "9" * 10_000,
    "python object": "a: !!python/object/apply:os.system ['true']",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text_without_bounds_is_refused_at_once(name: str) -> None:
    with pytest.raises(CatalogError, match=r"^c\.yaml: ") as raised:
        parse_yaml(HOSTILE[name], where="c.yaml", error=CatalogError)
    assert len(str(raised.value)) < 1000


def test_aliases_are_read_as_what_they_stand_for() -> None:
    text = "a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}\n"
    assert parse_yaml(text, where="c.yaml", error=CatalogError) == {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 2]},
        "c": {"x": [1, 2], "y": 3},
    }
