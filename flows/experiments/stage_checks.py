"""Checks of the stages of a training plan, so that no slip is found after hours of training."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from blindzone.core.errors import PlanError
from blindzone.flows.experiments.training_stage import Stage
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.parameter_groups import LayerNames, find_slip, name_layers

if TYPE_CHECKING:
    from blindzone.flows.experiments.training_plan import TrainingPlan


def check_order(stages: Sequence[Stage]) -> None:
    """Checks that stages have names of their own, and that column paths come first.

    Raises:
        ValueError: If not.
    """
    names = [stage.name for stage in stages]
    if len({*names}) < len(names):
        raise ValueError(f"each stage needs a name of its own; found {', '.join(names)}")
    parts = [stage.part for stage in stages]
    if "all" not in parts or parts != sorted(parts, key=lambda part: part == "all"):
        raise ValueError(
            "stages of column_paths come first, and one or more of 'all' after them; found"
            f" {', '.join(parts) or 'no stage'}"
        )
    shares = [stage.share for stage in stages]
    total, rounding = sum(share or 0.0 for share in shares), 1e-9
    if total > 1 + rounding or (None in shares and total > 1 - rounding):
        raise ValueError(
            "the shares of all stages must be together at most 1, and leave something for stages"
            f" without one; found {', '.join(map(str, shares))}"
        )


def check_paths(stages: Sequence[Stage], network: NetworkConfig) -> None:
    """Checks that a network has column paths if they are trained alone.

    Raises:
        ValueError: If not.
    """
    of_paths = any(stage.part == "column_paths" for stage in stages)
    if of_paths and not (network.base == "column" and network.has_trunk):
        raise ValueError(
            "training column paths alone needs a network on column paths, base 'column' and"
            f" filters above 0; found base {network.base!r} and filters {network.filters}"
        )


def check_widths(stages: Sequence[Stage], window_profiles: int, depth: int) -> None:
    """Checks that windows of the plan can be parted into those of each stage.

    Raises:
        ValueError: If not.
    """
    for part in ("column_paths", "all"):
        widths = [stage.window_profiles for stage in stages if stage.part == part]
        known = [window_profiles if width is None else width for width in widths]
        for width, wider in pairwise([*known, window_profiles]):
            if wider % width or width % 2**depth:
                raise ValueError(
                    f"window_profiles of a stage must be divisible by {2**depth}, and divide those"
                    f" of the next stage and of the plan, {window_profiles}; found {width}"
                )
    if known[-1] != window_profiles:
        raise ValueError(
            f"the last stage must have the plan's window_profiles, {window_profiles}; found"
            f" {known[-1]}"
        )


def find_slips(plan: TrainingPlan) -> Iterator[tuple[int, str, str]]:
    """Yields number, key and problem of each stage that names no layers, or freezes all."""
    paths = len(plan.path_stages)
    alone = plan.of_paths()[:1]
    staged = [(0, alone[0])] if alone else []
    for first, part in (*staged, (paths, plan.without_paths())):
        for number, stage in enumerate(part.stages, start=first):
            if stage.frozen or stage.rates or stage.freeze_statistics:
                slip = find_slip(_layers_of(part.network), stage)
                if slip is not None:
                    yield number, *slip


def check_stages(plan: TrainingPlan) -> None:
    """Checks what each stage of a plan freezes.

    Raises:
        PlanError: If a stage names layers that the network has not, or freezes all.
    """
    for number, key, problem in find_slips(plan):
        raise PlanError(f"stages.{number}.{key}: {problem}")


@functools.lru_cache(maxsize=8)
def _layers_of(network: NetworkConfig) -> LayerNames:
    return name_layers(build_network(network))
