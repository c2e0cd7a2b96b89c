"""The plan of a training: every choice but the data, from a YAML file and the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from blindzone.core.configuration import configuration, parse_yaml, read_plain, to_plain
from blindzone.core.errors import BlindzoneError, PlanError
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.network_input.preprocessing import CHANNELS
from blindzone.pipeline.network_input.scaling import ReflectivityScaling
from blindzone.pipeline.network_input.training_windows import WindowConfig

RECIPE = Path(str(files("blindzone.models") / "weights" / "default.yaml"))
"""The default plan of a training: the best of those that were tried on three folds of days."""

DEFAULT_MINUTES = 20.0
PATHS_SHARE = 0.8
"""Share of a budget in minutes that goes into the column paths, where each is trained alone
first."""


def _as_value_error(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Turns an error of a class's own checks into the kind that is reported with line and key."""
    try:
        return check(value)
    except BlindzoneError as error:
        raise ValueError(str(error)) from error


_Explained = WrapValidator(_as_value_error)


@configuration(error=PlanError, what="validation")
class ValidationPlan:
    """The windows that tell which weights are best: drawn once from whole days."""

    windows: Annotated[int, Field(ge=1)] = 96
    """Number of windows: 96 give a loss that is steady to a few per cent, in a second or two."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the draw: not that of the training, so that trainings of different seeds can be
    compared."""
    clear_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the windows that are drawn from clear sky [1]."""
    varied: bool = False
    """Whether blind zone and height of the atmosphere vary as in training. For networks that fill
    zones of many depths, and layers amid the atmosphere; else nothing varies."""

    def choose_windows(self, training: WindowConfig) -> WindowConfig:
        """Returns which windows are drawn, given those of the training."""
        if not self.varied:
            return WindowConfig(clear_share=self.clear_share, holes=training.holes)
        return replace(
            training,
            clear_share=self.clear_share,
            flip_share=0.0,
            offset_share=0.0,
            channel_dropout=0.0,
        )


@configuration(error=PlanError, what="training plan")
class TrainingPlan:
    """Every choice of a training but the data."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Shape of the network; its map and the number of channels follow from the source."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(minutes=DEFAULT_MINUTES)
    )
    """Budget, rates, losses, seed, devices."""
    windows: Annotated[WindowConfig, _Explained] = field(default_factory=WindowConfig)
    """Which windows are drawn from the training days, and how they vary."""
    validation: ValidationPlan = field(default_factory=ValidationPlan)
    """The windows of the validation days."""
    channels: tuple[str, ...] = CHANNELS
    """Channels of the network's input."""
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Wall-clock budget [min] of all that a training does, from start to report; its parts then get
    what is left of it. None: the budgets of the parts alone."""
    window_profiles: Annotated[int, Field(ge=2)] = 128
    """Width of a window in profiles, divisible by 2^depth."""
    scaling: ReflectivityScaling = ReflectivityScaling()
    """Range of reflectivity in network units, -60 to 30 dBZ by default: stronger echo is clipped,
    so that precipitation radars need another."""
    path_training: TrainingConfig | None = None
    """If set, how each column path of the network is trained alone before, with budget and rates
    of its own; seeds count up from that of `training`, whose precision and devices hold too."""

    def __post_init__(self) -> None:
        if self.path_training is not None and not (
            self.network.base == "column" and self.network.filters
        ):
            raise ValueError(
                "path_training needs a network on column paths, base 'column' and filters above 0; "
                f"found base {self.network.base!r} and filters {self.network.filters}"
            )

    def of_paths(self) -> list[TrainingPlan]:
        """Returns the plans by which the column paths are trained alone before; perhaps none."""
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
            replace(self, network=network, training=training, path_training=None, minutes=None)
            for training in trainings
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as plain values; as JSON or YAML they are a file for `read_plan`."""
        return to_plain(self)


def read_plan(
    path: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> TrainingPlan:
    """Returns the plan of a YAML (or JSON) file, with the values of the command line in place.

    Args:
        path: File with the sections of a `TrainingPlan`, each key of which may be left out, such as
            `RECIPE`; none for defaults alone.
        overrides: Values by section and key that take the place of the file's; None is none.

    Raises:
        PlanError: If the file is missing, no YAML, or has an unknown key or a wrong value; the
            message quotes the line, the key and what would be right.
    """
    where, text = ("the command line", "") if path is None else (str(path), _read(path))
    content = parse_yaml(text, where=where, error=PlanError)
    full = _complete(content, overrides or {})
    return read_plain(TrainingPlan, full, where=where, error=PlanError, text=text)


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
        if section == "training" and {"minutes", "steps"} & given.keys():
            content["minutes"] = given.get("minutes")
    training = content.setdefault("training", {})
    if (
        isinstance(training, dict)
        and training.get("minutes") is None
        and training.get("steps") is None
    ):
        training["minutes"] = content.get("minutes") or DEFAULT_MINUTES
    return content


def _override(content: dict[str, Any], section: str, given: dict[str, Any]) -> None:
    """Puts values into a section; those of the training hold for the paths, in shares of time."""
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
