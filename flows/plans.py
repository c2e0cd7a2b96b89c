"""The plan of a training: every choice but the data, from defaults, a YAML file and the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.dataclasses import dataclass

from blindzone.models.errors import ModelError
from blindzone.models.training import TrainingConfig
from blindzone.models.unet3plus import UNet3PlusConfig
from blindzone.pipeline.catalog import line_of
from blindzone.pipeline.errors import BlindzoneError
from blindzone.pipeline.preprocessing import CHANNELS
from blindzone.pipeline.windows import WindowConfig

SMALL_NETWORK = UNet3PlusConfig(filters=8, dropout=0.05)
"""What learns most in a few minutes on two cores; its map and channels follow from the source."""

STANDARD_NETWORK = UNet3PlusConfig(filters=16, dropout=0.1)
"""What a longer budget is spent on: 18 minutes took it past persistence on the validation days."""

STANDARD_FROM_MINUTES = 10.0
DEFAULT_MINUTES = 20.0


class PlanError(BlindzoneError):
    """The plan of a training is not usable."""


def _as_value_error(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Passes a refusal by a class's own checks on in the form that gets the line and the key in front of it."""
    try:
        return check(value)
    except (ModelError, BlindzoneError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ValidationPlan:
    """The windows that tell which weights are best: drawn once, from whole validation days, none of them varied.

    Attributes:
        windows: Their number: 96 give a loss that is steady to a few per cent, in a second or two.
        clear_share: Share of them drawn from clear sky.
        seed: Which of them: not that of the training, or trainings of different seeds could not be compared.
    """

    windows: Annotated[int, Field(ge=1)] = 96
    seed: Annotated[int, Field(ge=0)] = 0
    clear_share: Annotated[float, Field(ge=0, le=1)] = 0.1


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainPlan:
    """Every choice of a training but the data.

    Attributes:
        network: Shape of the network; its map and the number of channels follow from the source.
        training: Budget, rates, losses, seed, devices.
        windows: Which windows are drawn from the training days, and how they vary.
        validation: The windows of the validation days.
        channels: What the network sees.
        window_profiles: Width of its map in profiles, divisible by 2^depth.
    """

    network: Annotated[UNet3PlusConfig, WrapValidator(_as_value_error)] = STANDARD_NETWORK
    training: Annotated[TrainingConfig, WrapValidator(_as_value_error)] = field(
        default_factory=lambda: TrainingConfig(minutes=DEFAULT_MINUTES)
    )
    windows: Annotated[WindowConfig, WrapValidator(_as_value_error)] = field(default_factory=WindowConfig)
    validation: ValidationPlan = field(default_factory=ValidationPlan)
    channels: tuple[str, ...] = CHANNELS
    window_profiles: Annotated[int, Field(ge=2)] = 128

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as plain values; as JSON or YAML they are a file that `read_plan` takes."""
        return dict(TypeAdapter(TrainPlan).dump_python(self, mode="json"))


def default_network(minutes: float | None) -> UNet3PlusConfig:
    """Returns the network that a budget is best spent on."""
    return SMALL_NETWORK if minutes is not None and minutes < STANDARD_FROM_MINUTES else STANDARD_NETWORK


def read_plan(path: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> TrainPlan:
    """Returns the plan of a YAML (or JSON) file, with what the command line says in its place.

    Args:
        path: File with the sections of a `TrainPlan`, each key of which may be left out; none for defaults alone.
        overrides: Values by section and key that take the place of the file's; None is none.

    Raises:
        PlanError: If the file is missing, no YAML, or has an unknown key or a wrong value; the message quotes the line,
            the key and what would be right.
    """
    where, text = ("the command line", "") if path is None else (str(path), _read(path))
    try:
        content = yaml.safe_load(text) if text.strip() else {}
    except (yaml.YAMLError, ValueError) as error:
        raise PlanError(f"{where}: not valid YAML: {error}") from error
    try:
        return TypeAdapter(TrainPlan).validate_python(_complete(content, overrides or {}))
    except ValidationError as error:
        raise PlanError("\n".join(_explain(detail, where, text) for detail in error.errors())) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: the plan cannot be read: {error}") from error


def _complete(content: Any, overrides: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns a plan's content with the overrides, a budget, and the network that suits the budget."""
    if not isinstance(content, dict):
        return content
    content = copy.deepcopy(content)
    for section, values in overrides.items():
        given = {key: value for key, value in values.items() if value is not None}
        if given and isinstance(content.setdefault(section, {}), dict):
            if {"minutes", "steps"} & given.keys():  # a budget on the command line is the whole budget
                content[section] = {k: v for k, v in content[section].items() if k not in ("minutes", "steps")}
            content[section] |= given
    training, network = content.setdefault("training", {}), content.setdefault("network", {})
    if isinstance(training, dict) and isinstance(network, dict):
        if training.get("minutes") is None and training.get("steps") is None:
            training["minutes"] = DEFAULT_MINUTES
        minutes = training.get("minutes")
        suited = default_network(minutes if isinstance(minutes, int | float) else None)
        content["network"] = {"filters": suited.filters, "dropout": suited.dropout} | network
    return content


def _explain(detail: Any, where: str, text: str) -> str:
    location = [str(part) for part in detail["loc"]]
    line = f", line {line_of(text, location)}" if text.strip() else ""
    message = {
        "unexpected_keyword_argument": "unknown key",
        "value_error": detail["msg"].removeprefix("Value error, "),
        "dataclass_type": f"must be a mapping of keys, found {detail['input']!r}",
    }.get(detail["type"], f"{detail['msg']} (found {detail['input']!r})")
    return f"{where}{line}: {'.'.join(location) or 'the plan'}: {message}"
