"""Plans from before a training had stages: `training`, and perhaps `path_training` before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from blindzone.core.configuration import Places

DEFAULT_MINUTES = 20.0
"""Wall-clock budget of a training that states none [min]."""
PATHS, WHOLE = "column paths", "whole"
"""Names of the two stages that a former plan has."""
PATHS_SHARE, WHOLE_SHARE = 0.8, 0.2
"""Their shares of a budget in minutes."""

FORMER = ("training", "path_training")
_OF_ALL = ("seed", "precision", "devices")
"""Keys of `training` that applied to the column paths too."""


def is_former(content: Any) -> bool:
    """Returns whether a plan's plain content has the former keys."""
    return isinstance(content, Mapping) and any(key in content for key in FORMER)


def translate_plan(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a plan's content with stages, made of the former keys if it has none.

    Raises:
        ValueError: If it has both.
    """
    if "stages" in content:
        if is_former(content):
            raise ValueError("training and path_training are an older form of stages; found both")
        return dict(content)
    rest = {key: value for key, value in content.items() if key not in FORMER}
    training = _as_plain(content.get("training", {}))
    paths = _as_plain(content.get("path_training"))
    if not isinstance(training, dict) or not isinstance(paths, dict | None):
        # What is no mapping is refused as a stage.
        return rest | {"stages": [training] if paths is None else [paths, training]}
    if training.get("minutes") is None and training.get("steps") is None:
        training["minutes"] = content.get("minutes") or DEFAULT_MINUTES
    if paths is None:
        return rest | {"stages": [{"name": WHOLE, **training}]}
    shared = {key: training[key] for key in _OF_ALL if key in training}
    alone = {"name": PATHS, "part": "column_paths", "share": PATHS_SHARE}
    own = {key: value for key, value in paths.items() if key not in _OF_ALL}
    whole = {"name": WHOLE, "share": WHOLE_SHARE}
    return rest | {"stages": [alone | own | shared, whole | training]}


def former_places(content: Any) -> Places:
    """Returns where the keys of the stages stand in a former plan, for messages."""
    if not is_former(content):
        return {}
    names = ("path_training", "training") if content.get("path_training") else ("training",)
    return {("stages", str(number)): (name,) for number, name in enumerate(names)}


def _as_plain(section: Any) -> Any:
    """Returns a section as a mapping of its own, that of a configuration as its fields."""
    if dataclasses.is_dataclass(section) and not isinstance(section, type):
        return {key.name: getattr(section, key.name) for key in dataclasses.fields(section)}
    return dict(section) if isinstance(section, Mapping) else section
