"""One stage of a training plan: what is trained, for how long, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.models.training_config import TrainingConfig

Part = Literal["column_paths", "all"]


@configuration(error=PlanError, what="stage")
class Stage(TrainingConfig):
    """A training of the network, or of each of its column paths, from where the last one ended."""

    name: Annotated[str, Field(min_length=1)]
    """What the stage is called, in progress and messages."""
    part: Part = "all"
    """What is trained: the whole network, or each of its column paths alone.

    The stages of the column paths come first. Each path goes through all of them, with a seed that
    counts up from the stage's. The whole network then starts from the paths.
    """
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of a budget in minutes for all of the plan; that of column paths is of all together.

    By default an equal part of what the other stages leave.
    """
    window_profiles: Annotated[int, Field(ge=2)] | None = None
    """Width of a window in profiles, a part of the plan's; that of the plan by default.

    A stage of narrower windows first takes more and cheaper steps. The weights fit all widths.
    """

    @property
    def training(self) -> TrainingConfig:
        """How the stage trains, without what is of the plan."""
        keys = [key.name for key in dataclasses.fields(TrainingConfig)]
        return TrainingConfig(**{key: getattr(self, key) for key in keys})


def find_shares(shares: Sequence[float | None]) -> list[float]:
    """Returns the share of each stage; those without one get equal parts of what is left."""
    open_ones = sum(share is None for share in shares)
    left = max(0.0, 1 - sum(share or 0.0 for share in shares))
    return [left / open_ones if share is None else share for share in shares]


def share_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a plan's content in which stages without a budget have their shares of the plan's.

    Values of a wrong kind stay as they are, to be refused.
    """
    stages, minutes = content.get("stages"), content.get("minutes")
    if not isinstance(stages, list | tuple) or not isinstance(minutes, int | float):
        return dict(content)
    try:
        shares = find_shares([_get(stage, "share") for stage in stages])
        paths = _get(content.get("network", {}), "column_paths") or 1
        full = [
            stage | {"minutes": share * minutes / (paths if _is_of_paths(stage) else 1)}
            if isinstance(stage, dict)
            and stage.get("minutes") is None
            and stage.get("steps") is None
            else stage
            for stage, share in zip(stages, shares, strict=True)
        ]
    except TypeError:
        return dict(content)
    return dict(content) | {"stages": full}


def _is_of_paths(stage: Any) -> bool:
    return bool(_get(stage, "part") == "column_paths")


def _get(section: Any, key: str) -> Any:
    """Returns a value of a section that is a mapping or a configuration."""
    return section.get(key) if isinstance(section, Mapping) else getattr(section, key, None)
