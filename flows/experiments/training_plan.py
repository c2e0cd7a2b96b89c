"""The plan of a training: every choice but the data, from defaults, a YAML file and the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from blindzone.core.configuration import line_of
from blindzone.core.errors import BlindzoneError, ModelError, PlanError
from blindzone.models.training import TrainingConfig
from blindzone.models.unet3plus import UNet3PlusConfig
from blindzone.pipeline.network_input.preprocessing import CHANNELS
from blindzone.pipeline.network_input.training_windows import WindowConfig

RECIPE = Path(str(files("blindzone.models") / "weights" / "default.yaml"))
"""The plan of a training that is given none: of those that were tried on three folds of days it did
best."""

DEFAULT_MINUTES = 20.0
PATHS_SHARE = 0.8
"""Share of a budget in minutes that goes into the column paths, where each is trained alone
first."""


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
        seed: Which of them: not that of the training, or trainings of different seeds could not be
            compared.
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
        path_training: If set, how each column path of the network is trained alone before, with
            budget and rates of its own; seeds count up from that of `training`, whose precision and
            devices hold too.
        windows: Which windows are drawn from the training days, and how they vary.
        validation: The windows of the validation days.
        channels: What the network sees.
        window_profiles: Width of its map in profiles, divisible by 2^depth.
    """

    network: Annotated[UNet3PlusConfig, WrapValidator(_as_value_error)] = field(
        default_factory=UNet3PlusConfig
    )
    training: Annotated[TrainingConfig, WrapValidator(_as_value_error)] = field(
        default_factory=lambda: TrainingConfig(minutes=DEFAULT_MINUTES)
    )
    windows: Annotated[WindowConfig, WrapValidator(_as_value_error)] = field(
        default_factory=WindowConfig
    )
    validation: ValidationPlan = field(default_factory=ValidationPlan)
    channels: tuple[str, ...] = CHANNELS
    window_profiles: Annotated[int, Field(ge=2)] = 128
    path_training: Annotated[TrainingConfig | None, WrapValidator(_as_value_error)] = None

    def __post_init__(self) -> None:
        if self.path_training is not None and not (
            self.network.base == "column" and self.network.filters
        ):
            raise ValueError(
                "path_training needs a network on column paths, base 'column' and filters above 0; "
                f"found base {self.network.base!r} and filters {self.network.filters}"
            )

    def of_paths(self) -> list[TrainPlan]:
        """Returns the plan by which each column path of the network is trained alone before; none if none is."""
        if self.path_training is None:
            return []
        network = replace(self.network, filters=0, column_paths=1)
        shared = replace(
            self.path_training, precision=self.training.precision, devices=self.training.devices
        )
        trainings = [
            replace(shared, seed=self.training.seed + number)
            for number in range(self.network.column_paths)
        ]
        return [
            replace(self, network=network, training=training, path_training=None)
            for training in trainings
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as plain values; as JSON or YAML they are a file that `read_plan` takes."""
        return dict(TypeAdapter(TrainPlan).dump_python(self, mode="json"))


def read_plan(
    path: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> TrainPlan:
    """Returns the plan of a YAML (or JSON) file, with what the command line says in its place.

    Args:
        path: File with the sections of a `TrainPlan`, each key of which may be left out, such as
            `RECIPE`; none for defaults alone.
        overrides: Values by section and key that take the place of the file's; None is none.

    Raises:
        PlanError: If the file is missing, no YAML, or has an unknown key or a wrong value; the
            message quotes the line, the key and what would be right.
    """
    where, text = ("the command line", "") if path is None else (str(path), _read(path))
    try:
        content = yaml.safe_load(text) if text.strip() else {}
    except (yaml.YAMLError, ValueError) as error:
        raise PlanError(f"{where}: not valid YAML: {error}") from error
    try:
        return TypeAdapter(TrainPlan).validate_python(_complete(content, overrides or {}))
    except ValidationError as error:
        raise PlanError(
            "\n".join(_explain(detail, where, text) for detail in error.errors())
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: the plan cannot be read: {error}") from error


def _complete(content: Any, overrides: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns a plan's content with the overrides, and with a budget."""
    if not isinstance(content, dict):
        return content
    content = copy.deepcopy(content)
    for section, values in overrides.items():
        given = {key: value for key, value in values.items() if value is not None}
        if given and isinstance(content.setdefault(section, {}), dict):
            _override(content, section, given)
    training = content.setdefault("training", {})
    if (
        isinstance(training, dict)
        and training.get("minutes") is None
        and training.get("steps") is None
    ):
        training["minutes"] = DEFAULT_MINUTES
    return content


def _override(content: dict[str, Any], section: str, given: dict[str, Any]) -> None:
    """Puts values into a section; what is said of the training holds for that of the paths, with its share of time."""
    parts = {section: given}
    if section == "training" and isinstance(content.get("path_training"), dict):
        parts["path_training"] = dict(given)
        if minutes := given.get("minutes"):
            network = content.get("network")
            paths = network.get("column_paths", 1) if isinstance(network, dict) else 1
            parts["path_training"]["minutes"] = PATHS_SHARE * minutes / paths
            parts["training"] = given | {"minutes": (1 - PATHS_SHARE) * minutes}
    for part, values in parts.items():
        if {"minutes", "steps"} & values.keys():  # a budget on the command line is the whole budget
            content[part] = {
                k: v for k, v in content[part].items() if k not in ("minutes", "steps")
            }
        content[part] |= values


def _explain(detail: Any, where: str, text: str) -> str:
    location = [str(part) for part in detail["loc"]]
    line = f", line {line_of(text, location)}" if text.strip() else ""
    message = {
        "unexpected_keyword_argument": "unknown key",
        "value_error": detail["msg"].removeprefix("Value error, "),
        "dataclass_type": f"must be a mapping of keys, found {detail['input']!r}",
    }.get(detail["type"], f"{detail['msg']} (found {detail['input']!r})")
    return f"{where}{line}: {'.'.join(location) or 'the plan'}: {message}"
