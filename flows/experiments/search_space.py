"""What a sweep searches over: keys of a training plan, each with choices or a range."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import optuna
import yaml
from pydantic import Field

from blindzone.core.configuration import configuration, read_plain
from blindzone.core.errors import PlanError
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.models.network_config import NetworkConfig

STAGES = "stages"


@configuration(error=PlanError, what="range of a sweep")
class Range:
    """Numbers from `low` to `high`; whole ones if both are."""

    low: int | float
    """The lowest."""
    high: int | float
    """The highest."""
    log: bool = False
    """Whether powers are drawn evenly, as is right for rates."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"a range goes up{', from above 0' if self.log else ''}; found {self.low} to"
                f" {self.high}"
            )


Choices = Annotated[tuple[Any, ...], Field(min_length=1)]
Space = dict[str, Range | Choices]
"""Range or choices by key, such as `network.family`, `stages.whole.learning_rate`, `stages.seed`
(of all stages) or `windows.zone.random_depth_share`."""

DEFAULT_SPACE: Space = {
    "depth": Range(low=2, high=5),
    "filters": (8, 12, 16, 24, 32),
    "dropout": Range(low=0.02, high=0.4),
    "l2": Range(low=1e-7, high=1e-3, log=True),
    "interpolation": ("bilinear", "nearest"),
    "head": ("two_part", "single"),
    "learning_rate": Range(low=2e-4, high=1e-2, log=True),
    "optimizer": ("adam", "adamw", "nadam", "rmsprop"),
    "batch_size": (8, 16, 32),
}
"""What is searched unless a sweep says otherwise: keys of the network, or of all stages."""

_COMPARED_BY = "validation"
"""The section that no sweep changes: on its windows trials are compared."""


def choose_space(plan: TrainingPlan) -> Space:
    """Returns the default space as far as it suits a plan's network."""
    is_column = plan.network.base == "column"
    return {key: what for key, what in DEFAULT_SPACE.items() if key != "head" or not is_column}


def parse_space(texts: Sequence[str]) -> Space:
    """Returns the space of words like `KEY=8,16,32`, `KEY=2..5` or `KEY=1e-4..1e-2:log`.

    Raises:
        PlanError: If one cannot be read.
    """
    return dict(_parse_key(text) for text in texts)


def _parse_key(text: str) -> tuple[str, Range | Choices]:
    key, _, values = (part.strip() for part in text.partition("="))
    try:
        if ".." in values:
            ends, _, kind = values.partition(":")
            low, high = (_parse_number(end) for end in ends.split("..", 1))
            if kind not in ("", "log"):
                raise ValueError(kind)
            return key, Range(low=low, high=high, log=kind == "log")
        choices = tuple(yaml.safe_load(f"[{values}]"))
    except PlanError as error:
        raise PlanError(f"{key}: {error}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise PlanError(_explain(text)) from error
    if not key or not choices:
        raise PlanError(_explain(text))
    return key, choices


def _explain(text: str) -> str:
    return f"{text!r}: KEY=A,B,..., KEY=LOW..HIGH or KEY=LOW..HIGH:log is right"


def _parse_number(text: str) -> int | float:
    return int(text) if text.strip().lstrip("-").isdigit() else float(text)


def distribute(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """Returns Optuna's distribution of each key; choices that are no scalars are JSON texts."""
    return {key: _distribute(what) for key, what in space.items()}


def _distribute(what: Range | Choices) -> optuna.distributions.BaseDistribution:
    if not isinstance(what, Range):
        return optuna.distributions.CategoricalDistribution(tuple(map(_label, what)))
    if isinstance(what.low, int) and isinstance(what.high, int):
        return optuna.distributions.IntDistribution(what.low, what.high, log=what.log)
    return optuna.distributions.FloatDistribution(what.low, what.high, log=what.log)


def _label(choice: Any) -> Any:
    is_scalar = choice is None or isinstance(choice, bool | int | float | str)
    return choice if is_scalar else json.dumps(choice)


def vary_plan(plan: TrainingPlan, space: Space, values: Mapping[str, Any]) -> TrainingPlan:
    """Returns a plan with the values of a trial.

    Args:
        plan: What all trials share.
        space: What is searched.
        values: A value of Optuna's distributions by key.

    Raises:
        PlanError: If the plan has no such key, or may not have such a value, alone or with others.
    """
    content = plan.to_dict()
    for key, value in values.items():
        what = space.get(key, ())
        labels = {} if isinstance(what, Range) else {_label(choice): choice for choice in what}
        _set(content, key, labels.get(value, value))
    if content["network"]["head"] == "single":
        content["network"]["joint_forecast"] = False
    return read_plain(TrainingPlan, content, where="the plan of a trial", error=PlanError)


def check_space(plan: TrainingPlan, space: Space) -> None:
    """Checks that a plan has each key of a space, and that trials can be compared.

    Raises:
        PlanError: If not.
    """
    for key in space:
        if _COMPARED_BY in _expand(key)[0][:1] or key == "minutes":
            raise PlanError(
                f"{key}: trials are compared on the same windows and budgets; a key of network,"
                " windows, channels or stages is right"
            )
        _set(plan.to_dict(), key, None)


def _expand(key: str) -> tuple[list[str], bool]:
    """Returns the parts of a key, and whether it is one of all stages."""
    parts = key.split(".")
    if len(parts) == 1 and key not in _names_of(TrainingPlan):
        if key in _names_of(NetworkConfig):
            parts = ["network", key]
        elif key in _names_of(Stage):
            parts = [STAGES, key]
    return parts, parts[0] == STAGES and len(parts) > 1 and parts[1] in _names_of(Stage)


def _names_of(kind: Any) -> set[str]:
    return {key.name for key in dataclasses.fields(kind)}


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value into a plan's plain content.

    Raises:
        PlanError: If the plan has no such key.
    """
    parts, of_all = _expand(key)
    if of_all:
        for stage in content[STAGES]:
            _set_in(stage, parts[1:], value, key)
        return
    if parts[0] == STAGES:
        content = {STAGES: _name_stages(content[STAGES])}
    _set_in(content, parts, value, key)


def _name_stages(stages: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns stages by number, from 0, and by name."""
    return {str(number): stage for number, stage in enumerate(stages)} | {
        stage["name"]: stage for stage in stages
    }


def _set_in(section: Any, parts: Sequence[str], value: Any, key: str) -> None:
    for number, part in enumerate(parts):
        if not isinstance(section, dict) or part not in section:
            known = ", ".join(sorted(section)) if isinstance(section, dict) else "none"
            raise PlanError(f"{key}: the plan has no such key; known here: {known}")
        if number == len(parts) - 1:
            section[part] = value
        section = section[part]
