"""Configuration one way: frozen, checked dataclasses, from YAML or JSON and back to plain values.

A class becomes a configuration by one decorator; its bounds stand in its annotations:

    @configuration(error=CurtainError, what="blind zone")
    class BlindZone:
        top_m: Annotated[float, Field(gt=0)] = 1250.0

Built in code with a wrong value it raises its own error, with the key and what was found. Read from
a file (`read_yaml`) the message also names the file and the line.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from blindzone.core.errors import BlindzoneError
from blindzone.core.fence import quote, refusing_as

T = TypeVar("T")
Places = Mapping[tuple[str, ...], tuple[str, ...]]
"""Where a message says that keys are, by the beginnings of where they are."""

_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)

LONGEST_TEXT = 4 * 2**20
"""Most characters of a configuration: of ten thousand days of a split, 120,000."""
DEEPEST = 40
"""Most levels of a configuration; a catalogue's have six."""
MOST_VALUES = 50_000
"""Most values and keys of a configuration, aliases counted as what they stand for."""
_MOST_FAULTS = 10
"""Most faults that one message lists."""


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(Field, dataclasses.field)
)
def configuration(*, error: type[BlindzoneError], what: str) -> Callable[[type[T]], type[T]]:
    """Returns a decorator that makes a class a frozen, keyword-only, checked dataclass.

    Checks of several keys together are methods of the class under pydantic's `model_validator`,
    or a `__post_init__` that raises ValueError.

    Args:
        error: Raised by the class itself if a value is refused.
        what: What is configured, for the message; for example `blind zone`.
    """

    def make(cls: type[T]) -> type[T]:
        made = checked_dataclass(frozen=True, kw_only=True, config=_CONFIG)(cls)
        build = made.__init__

        @functools.wraps(build)
        def checked_init(self: Any, *args: Any, **values: Any) -> None:
            try:
                build(self, *args, **values)
            except ValidationError as refused:
                raise error(explain(refused, made, where=what)) from refused

        made.__init__ = checked_init  # type: ignore[method-assign]
        return made  # type: ignore[return-value]

    return make


def read_yaml(kind: type[T], text: str, *, where: str, error: type[BlindzoneError]) -> T:
    """Returns a configuration from a YAML or JSON text.

    Args:
        kind: The configuration's class.
        text: The text; an empty one gives the defaults.
        where: Name of the file, for the message.
        error: Raised if the text is refused.

    Raises:
        BlindzoneError: Of the type `error`; quotes the line, the key, and what would be right.
    """
    return read_plain(
        kind, parse_yaml(text, where=where, error=error), where=where, error=error, text=text
    )


class _BoundedLoader(yaml.SafeLoader):
    """Loads plain YAML that is neither nested nor repeated without bounds.

    An alias stands for a whole node again: ten lines of ten aliases each are ten billion values.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[yaml.Node, int] = {}
        self._size = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Returns the next node, counted with all that is in it."""
        before, mark = self._size, self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > DEEPEST:
            raise _mark_unbounded(f"nested deeper than {DEEPEST} levels", mark)
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and node not in self._sizes:
            raise _mark_unbounded("an alias inside of what it stands for", mark)
        self._size += self._sizes[node] if is_alias and node is not None else 1
        if self._size > MOST_VALUES:
            raise _mark_unbounded(f"more than {MOST_VALUES} values, aliases written out", mark)
        if node is not None and not is_alias:
            self._sizes[node] = self._size - before
        return node


class _KeepingLoader(_BoundedLoader):
    """Loads a scalar that cannot be what it looks like as its text: 2021-02-30 is no date.

    The key that it stands under refuses it, with its line, and no other key.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Returns a node's value."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            self.recursive_objects.pop(node, None)
            return node.value


def _mark_unbounded(problem: str, mark: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def parse_yaml(
    text: str,
    *,
    where: str,
    error: type[BlindzoneError],
    keep_odd: bool = False,
    line: int = 0,
) -> Any:
    """Returns the content of a YAML text, `{}` of an empty one.

    Args:
        text: The text.
        where: Name of the file, for the message.
        error: Raised if the text is refused.
        keep_odd: Whether a date or number that is none is kept as its text, for its key to refuse.
        line: Number of lines before the text in its file, for the message.

    Raises:
        BlindzoneError: Of the type `error`, if it is no YAML, or longer, deeper or with more values
            than any configuration.
    """
    if len(text) > LONGEST_TEXT:
        raise error(
            f"{where}: {len(text)} characters are no configuration; {LONGEST_TEXT} at most are"
            " right"
        )
    # PyYAML lets the ValueError of 2021-02-30 through, and more.
    with refusing_as(error, f"{where}: not valid YAML"):
        try:
            loader = _KeepingLoader(text) if keep_odd else _BoundedLoader(text)
            loader.line = line
            content = loader.get_single_data()
        except yaml.YAMLError as wrong:
            raise error(f"{where}: not valid YAML: {wrong}") from wrong
    return {} if content is None else content


def read_plain(
    kind: type[T],
    content: Any,
    *,
    where: str,
    error: type[BlindzoneError],
    text: str = "",
    places: Places | None = None,
) -> T:
    """Returns a configuration from plain values, as `to_plain` gives them.

    Args:
        kind: The configuration's class.
        content: Mapping of its keys.
        where: Where the values come from, for the message.
        error: Raised if a value is refused.
        text: The YAML that they were read from, for line numbers.
        places: Where the text has what the content has elsewhere, for messages.

    Raises:
        BlindzoneError: Of the type `error`; quotes the key and what would be right.
    """
    try:
        read: T = TypeAdapter(kind).validate_python(content)
    except ValidationError as refused:
        raise error(explain(refused, kind, where=where, text=text, places=places)) from refused
    return read


def to_plain(config: Any) -> dict[str, Any]:
    """Returns a configuration as plain values, defaults included, for JSON or YAML."""
    return dict(TypeAdapter(type(config)).dump_python(config, mode="json"))


def explain(
    refused: ValidationError,
    kind: type,
    *,
    where: str,
    text: str = "",
    places: Places | None = None,
) -> str:
    """Returns one line a fault: where it is, its key, what was found, what would be right."""
    faults = refused.errors(include_url=False)
    lines = [_explain(detail, kind, where, text, places or {}) for detail in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        lines.append(f"{where}: and {len(faults) - _MOST_FAULTS} more such faults")
    return "\n".join(lines)


def _explain(detail: Any, kind: type, where: str, text: str, places: Places) -> str:
    # "[key]" is pydantic's mark of a mapping's name that is refused.
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    message = {
        "unexpected_keyword_argument": "unknown key",
        "missing": "this key is missing",
        "missing_keyword_only": "this key is missing",
        # Own checks quote what they found.
        "value_error": detail["msg"].removeprefix("Value error, "),
        "dataclass_type": f"must be a mapping of keys, found {quote(detail['input'])}",
    }.get(
        detail["type"],
        f"{detail['msg'].replace('Input should', 'should')} (found {quote(detail['input'])})",
    )
    if detail["type"] == "unexpected_keyword_argument":
        message += f"; known keys here: {', '.join(known_keys(kind, location[:-1]))}"
    return locate(message, location, where=where, text=text, places=places)


def locate(
    message: str,
    location: Sequence[str],
    *,
    where: str,
    text: str = "",
    places: Places | None = None,
) -> str:
    """Returns a message with file, line and key before it."""
    for begins, stands in (places or {}).items():
        if tuple(location[: len(begins)]) == begins:
            location = [*stands, *location[len(begins) :]]
    line = f", line {line_of(text, location)}" if text.strip() else ""
    key = f"{'.'.join(location)}: " if location else ""
    return f"{where}{line}: {key}{message}"


def known_keys(kind: type, location: Sequence[str]) -> list[str]:
    """Returns the keys of the configuration that a path of keys leads to, sorted."""
    for part in location:
        hints = (
            typing.get_type_hints(kind, include_extras=False)
            if dataclasses.is_dataclass(kind)
            else {}
        )
        inner = _find_dataclass(hints.get(part))
        if inner is not None:
            kind = inner
    return sorted(field.name for field in dataclasses.fields(kind))


def _find_dataclass(hint: Any) -> type | None:
    """Returns the dataclass in a type such as `X | None`, `tuple[X, ...]` or `dict[str, X]`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    if isinstance(hint, types.GenericAlias | types.UnionType) or typing.get_origin(hint):
        found = (_find_dataclass(part) for part in typing.get_args(hint))
        return next((kind for kind in found if kind is not None), None)
    return None


def line_of(text: str, location: Sequence[str]) -> int:
    """Returns the line number of the deepest part of a key path that a YAML text has."""
    node, line = _compose(text), 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entries = {key.value: (key, value) for key, value in node.value}
            if part not in entries:
                break
            key, node = entries[part]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            break
    return line


@functools.lru_cache(maxsize=1)
def _compose(text: str) -> yaml.Node | None:
    """Returns the nodes of a YAML text; a text with a fault mostly has more of them."""
    return yaml.compose(text, Loader=_BoundedLoader)


def overlay(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns plain values with changes in their place, by section; None changes nothing."""
    merged = dict(content)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = overlay(merged[key], value)
        elif value is not None:
            merged[key] = value
    return merged
