"""A configuration as YAML, in which the fields' docstrings explain each key as comments."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from blindzone.core.configuration import to_plain

_WIDTH = 100
_INDENT = 2


def to_annotated_yaml(config: Any) -> str:
    """Returns all of a configuration, defaults included; read back it is the same configuration.

    A key is explained where it stands first: further items of a list repeat no comment.

    Args:
        config: An instance of a class under `core.configuration.configuration`.
    """
    return "\n".join(_format_section(config, to_plain(config), 0, set())).lstrip() + "\n"


def _format_section(
    config: Any, plain: dict[str, Any], indent: int, explained: set[str]
) -> Iterator[str]:
    """Yields the lines of a configuration's keys.

    Args:
        config: The configuration.
        plain: The same as plain values.
        indent: Number of blanks before a key.
        explained: What was explained before; that of this section is added.
    """
    for place, key in enumerate(_list_keys(type(config))):
        comment = _comment_of(type(config), key, indent, explained)
        if not indent or (comment and place):
            yield ""
        yield from comment
        yield from _format_key(key, getattr(config, key), plain[key], indent, explained)


def _list_keys(kind: type) -> list[str]:
    """Returns the keys of a class, its own before those of the class that it extends."""
    keys = [field.name for field in dataclasses.fields(kind)]
    return sorted(keys, key=lambda key: key not in inspect.get_annotations(kind))


def _comment_of(kind: type, key: str, indent: int, explained: set[str]) -> list[str]:
    """Returns the lines that explain a key; none if it was explained before."""
    if (name := f"{kind.__qualname__}.{key}") in explained:
        return []
    explained.add(name)
    begin = " " * indent + "# "
    return [
        line
        for paragraph in inspect.cleandoc(_find_description(kind, key)).split("\n\n")
        for line in textwrap.wrap(
            " ".join(paragraph.split()),
            _WIDTH,
            initial_indent=begin,
            subsequent_indent=begin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def _find_description(kind: Any, key: str) -> str:
    """Returns the docstring of a field, which may be one of a class that this one extends."""
    classes = [each for each in kind.__mro__ if key in inspect.get_annotations(each)]
    return classes[0].__pydantic_fields__[key].description or ""


def _format_key(
    key: str, value: Any, plain: Any, indent: int, explained: set[str]
) -> Iterator[str]:
    """Yields the lines of one key with its value."""
    blanks, further = " " * indent, indent + _INDENT
    if dataclasses.is_dataclass(value) and isinstance(plain, dict) and plain:
        yield f"{blanks}{key}:"
        yield from _format_section(value, plain, further, explained)
    elif _is_list_of_sections(value):
        yield f"{blanks}{key}:"
        for item, of_item in zip(value, plain, strict=True):
            yield f"{blanks}-"
            yield from _format_section(item, of_item, further, explained)
    else:
        yield f"{blanks}{key}: {_format_value(plain)}"


def _is_list_of_sections(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(dataclasses.is_dataclass, value))


def _format_value(plain: Any) -> str:
    """Returns a value on one line."""
    text = yaml.safe_dump(plain, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("...\n").strip()
