"""Parameters of deployments made before each flow took one plan, and keys of plans made before."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic_core import ArgsKwargs

from blindzone.core.configuration import read_plain
from blindzone.core.errors import PlanError

P = TypeVar("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)


def also_takes(
    kind: type[P], *, nested: tuple[type, str] | None = None, **places: str
) -> Callable[[Callable[[P], R]], Callable[..., R]]:
    """Returns a decorator that lets the function of a flow take its former parameters too.

    They become its plan, with a notice. Prefect sees all of them in the signature.

    Args:
        kind: Class of the flow's plan.
        nested: Class of what the parameter `plan` took before, and its key in the plan.
        places: Key in the plan of each former parameter, with dots where it is in a section.
    """
    former_kind, former_key = nested or (None, "")

    def decorate(function: Callable[[P], R]) -> Callable[..., R]:
        @functools.wraps(function)
        def call(plan: Any = None, **former: Any) -> R:
            given = {places[name]: value for name, value in former.items() if value is not None}
            if former_kind is not None and isinstance(plan, former_kind):
                given, plan = given | {former_key: plan}, None
            if plan is None:
                plan = _plan_of(kind, given, function.__name__)
            elif given:
                raise PlanError(f"{function.__name__}: found a plan and {_list(former)} next to it")
            return function(plan)

        kinds = kind | None if former_kind is None else kind | former_kind | None
        parameters = [_parameter("plan", kinds, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        parameters += [_parameter(name, Any, inspect.Parameter.KEYWORD_ONLY) for name in places]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return call

    return decorate


def _parameter(name: str, annotation: Any, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


def _list(former: Mapping[str, Any]) -> str:
    return ", ".join(name for name, value in former.items() if value is not None)


def _plan_of(kind: type[P], given: Mapping[str, Any], flow: str) -> P:
    """Returns the plan of a flow from its values by key; a dot in a key leads into a section."""
    content: dict[str, Any] = {}
    for place, value in given.items():
        *sections, key = place.split(".")
        section = content
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    if given:
        _log.warning(
            "%s: separate parameters are an older form; one parameter 'plan' with the keys %s"
            " is right",
            flow,
            ", ".join(sorted(given)),
        )
    return read_plain(kind, content, where=f"the plan of {flow}", error=PlanError)


def rename_keys(given: Any, names: Mapping[str, str], *, where: str) -> Any:
    """Returns what a plan is made from with its former keys renamed, with a notice.

    Args:
        given: Keys and values as pydantic's validators before all others get them.
        names: The present name of each former key.
        where: What is configured, for the message.

    Raises:
        ValueError: If a key is given under both names.
    """
    values = given.kwargs if isinstance(given, ArgsKwargs) else given
    if not isinstance(values, Mapping) or not names.keys() & values.keys():
        return given
    for former in sorted(names.keys() & values.keys()):
        if names[former] in values:
            raise ValueError(f"{former} is the former name of {names[former]}; found both")
        _log.warning("%s: the key '%s' is now called '%s'", where, former, names[former])
    renamed = {names.get(key, key): value for key, value in values.items()}
    return ArgsKwargs(given.args, renamed) if isinstance(given, ArgsKwargs) else renamed


def describe_keys(schema: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Returns a plan's JSON schema with its former keys, so that Prefect lets them through."""
    known = schema.get("properties", {})
    former = {
        old: known[new] | {"title": old, "deprecated": True, "description": f"Now {new}."}
        for old, new in names.items()
        if new in known
    }
    return schema | {"properties": known | former} if former else schema
