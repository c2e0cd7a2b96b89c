"""The plan of a training: every choice but the data, from a YAML file and the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import ArgsKwargs, CoreSchema

from blindzone.core.configuration import configuration, locate, parse_yaml, read_plain, to_plain
from blindzone.core.errors import BlindzoneError, PlanError
from blindzone.flows.experiments.former_plan import (
    DEFAULT_MINUTES,
    FORMER,
    WHOLE,
    former_places,
    translate_plan,
)
from blindzone.flows.experiments.stage_checks import (
    check_order,
    check_paths,
    check_widths,
    find_slips,
)
from blindzone.flows.experiments.training_stage import Stage, share_out
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.network_input.preprocessing import CHANNELS
from blindzone.pipeline.network_input.scaling import ReflectivityScaling
from blindzone.pipeline.network_input.training_windows import WindowConfig

RECIPE = Path(str(files("blindzone.models") / "weights" / "default.yaml"))
"""The default plan of a training: the best of those that were tried on three folds of days."""


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
    """Every choice of a training but the data.

    Plans from before there were stages have the keys `training` and `path_training`; they become
    two stages.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Shape of the network; its map and the number of channels follow from the source."""
    windows: Annotated[WindowConfig, _Explained] = field(default_factory=WindowConfig)
    """Which windows are drawn from the training days, and how they vary."""
    validation: ValidationPlan = field(default_factory=ValidationPlan)
    """The windows of the validation days."""
    channels: tuple[str, ...] = CHANNELS
    """Channels of the network's input."""
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Wall-clock budget [min] of all that a training does, from start to report; its stages then
    get their shares of what is left of it. None: the budgets of the stages alone."""
    window_profiles: Annotated[int, Field(ge=2)] = 128
    """Width of a window in profiles, divisible by 2^depth."""
    pooling: Literal["in_turn", "by_length"] = "in_turn"
    """How windows of several sources mix: as many of each, or in proportion to their profiles."""
    scaling: ReflectivityScaling = ReflectivityScaling()
    """Range of reflectivity in network units, -60 to 30 dBZ by default: stronger echo is clipped,
    so that precipitation radars need another."""
    stages: tuple[Stage, ...] = field(
        default_factory=lambda: (Stage(name=WHOLE, minutes=DEFAULT_MINUTES),)
    )
    """The trainings one after the other: budget, rates, losses, seed, what is frozen."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        values = given.kwargs if isinstance(given, ArgsKwargs) else given
        if not isinstance(values, Mapping):
            return given
        full = share_out(translate_plan(values or {}))
        return ArgsKwargs(given.args, full) if isinstance(given, ArgsKwargs) else full

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        own = handler.resolve_ref_schema(schema)
        own["properties"] |= {key: {"title": key, "deprecated": True} for key in FORMER}
        return schema

    @field_validator("stages")
    @classmethod
    def _check_stages(cls, stages: tuple[Stage, ...], info: ValidationInfo) -> tuple[Stage, ...]:
        check_order(stages)
        if "network" in info.data:
            check_paths(stages, info.data["network"])
            if "window_profiles" in info.data:
                check_widths(stages, info.data["window_profiles"], info.data["network"].depth)
        return stages

    @property
    def training(self) -> TrainingConfig:
        """How the last stage trains."""
        return self.stages[-1].training

    @property
    def path_stages(self) -> tuple[Stage, ...]:
        """The stages that each column path goes through alone; perhaps none."""
        return tuple(stage for stage in self.stages if stage.part == "column_paths")

    @property
    def whole_stages(self) -> tuple[Stage, ...]:
        """The stages of the whole network."""
        return tuple(stage for stage in self.stages if stage.part == "all")

    def of_paths(self) -> list[TrainingPlan]:
        """Returns the plans by which the column paths are trained alone before; perhaps none."""
        if not self.path_stages:
            return []
        shared = replace(
            self,
            network=replace(self.network, filters=0, column_paths=1),
            window_profiles=self.path_stages[-1].window_profiles or self.window_profiles,
            minutes=None,
            stages=tuple(replace(stage, part="all", share=None) for stage in self.path_stages),
        )
        return [
            replace(
                shared,
                stages=tuple(replace(stage, seed=stage.seed + number) for stage in shared.stages),
            )
            for number in range(self.network.column_paths)
        ]

    def only(self, stage: Stage) -> TrainingPlan:
        """Returns the plan of one of the stages alone, with its width of windows."""
        return replace(
            self,
            window_profiles=stage.window_profiles or self.window_profiles,
            stages=(replace(stage, window_profiles=None),),
            minutes=None,
        )

    def without_paths(self) -> TrainingPlan:
        """Returns the plan of the whole network's stages alone."""
        return replace(self, stages=self.whole_stages)

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
        overrides: Values by section and key that take the place of the file's; None is none. Those
            of `training` hold for every stage.

    Raises:
        PlanError: If the file is missing, no YAML, or has an unknown key or a wrong value, or a
            stage names layers that the network has not, or freezes all; the message quotes the
            line, the key and what would be right.
    """
    where, text = ("the command line", "") if path is None else (str(path), _read(path))
    content = parse_yaml(text, where=where, error=PlanError)
    places = former_places(content)
    try:
        full = _override(content, overrides or {})
    except ValueError as error:
        raise PlanError(locate(str(error), [], where=where, text=text)) from error
    plan = read_plain(TrainingPlan, full, where=where, error=PlanError, text=text, places=places)
    for number, key, problem in find_slips(plan):
        place = ["stages", str(number), key]
        raise PlanError(locate(problem, place, where=where, text=text, places=places))
    return plan


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: the plan cannot be read: {error}") from error


def _override(content: Any, overrides: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns a plan's content with the overrides.

    Raises:
        ValueError: If it has stages and their former keys.
    """
    if not isinstance(content, dict):
        return content
    content = translate_plan(copy.deepcopy(content))
    for section, values in overrides.items():
        given = {key: value for key, value in values.items() if value is not None}
        if section == "training":
            _override_stages(content, given)
        elif given and isinstance(content.setdefault(section, {}), dict):
            content[section] |= given
    return content


def _override_stages(content: dict[str, Any], given: dict[str, Any]) -> None:
    """Puts values into every stage; a budget is the whole budget, in minutes to be shared out."""
    stages = content["stages"]
    dropped: set[str] = set()
    if {"minutes", "steps"} & given.keys():
        content["minutes"] = given.pop("minutes", None)
        dropped = {"minutes", "steps"}
    if isinstance(stages, list):
        content["stages"] = [
            {key: value for key, value in stage.items() if key not in dropped} | given
            if isinstance(stage, dict)
            else stage
            for stage in stages
        ]
