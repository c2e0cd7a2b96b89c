"""Wall-clock budget of a training: of all that its command does, from start to report.

Data are read, graphs compiled, networks validated and scored, and all of it takes longer on a busy
machine. So no share is fixed beforehand: after the first column path is trained, the time that it
took besides its steps is the unit in which the rest is reckoned. A plan that cannot fit is shrunk,
and the notes say by what.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from blindzone.flows.experiments.former_plan import DEFAULT_MINUTES
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.training_stage import Stage, find_shares

FEWEST_WINDOWS = 8
"""Fewest windows of a validation."""
VALIDATIONS = 3
"""Validations of a stage of the whole network."""

_END_SHARE, _END_UNITS = 0.1, 3.0
"""What scores, contest and report take at least: a share of the budget, and what a path took
besides its steps. A network of six paths takes three times as long to build and score as one."""
_WHOLE_SHARE, _WHOLE_UNITS = 0.75, 4.0
"""The same of the stages of the whole network, whose graphs are compiled in that time: a part of
their own share, which also pays for the end."""
_FIRST_SHARE = 0.5
"""Share of its time that the first path gets for its steps: what it takes besides is not known."""
_LEAST_S = 1.0


class Budget:
    """A budget of wall-clock time and what of it is left.

    Args:
        minutes: The budget [min].
        spent_s: What was spent before [s], such as on imports.
    """

    def __init__(self, minutes: float, spent_s: float = 0.0) -> None:
        self.total_s = 60 * minutes
        self.notes: tuple[str, ...] = ()
        self._begun = time.monotonic() - spent_s
        self._unit_s = 0.0

    @property
    def spent_s(self) -> float:
        """What is spent [s]."""
        return time.monotonic() - self._begun

    def fit_validation(self, plan: TrainingPlan) -> TrainingPlan:
        """Returns the plan with no more validation windows than the budget allows.

        The windows of a plan are meant for `DEFAULT_MINUTES`; a shorter budget gets as many fewer.
        """
        asked = plan.validation.windows
        share = min(1.0, self.total_s / (60 * DEFAULT_MINUTES))
        windows = max(min(asked, FEWEST_WINDOWS), round(asked * share))
        if windows < asked:
            self._note(f"{windows} of {asked} validation windows")
        return replace(plan, validation=replace(plan.validation, windows=windows))

    def plan_paths(self, plan: TrainingPlan, done: int) -> TrainingPlan:
        """Returns the plan with as many column paths as still fit.

        Args:
            plan: The plan.
            done: Number of paths that are trained.
        """
        paths = plan.network.column_paths
        if not self._unit_s or not plan.path_stages:
            return plan
        # A path whose steps take less than all the rest is not worth its time.
        fitting = done + max(0, int(self._left_for_paths(plan) / (2 * self._unit_s)))
        if fitting >= paths:
            return plan
        fewer = max(done, fitting, 1)
        self._note(f"{fewer} of {paths} column paths")
        return replace(plan, network=replace(plan.network, column_paths=fewer))

    def fit_path(self, plan: TrainingPlan, done: int) -> tuple[Stage, ...]:
        """Returns how long the next column path is trained: its stages.

        Args:
            plan: The plan.
            done: Number of paths that are trained.
        """
        alone = plan.of_paths()[done].stages
        slot_s = self._left_for_paths(plan) / (plan.network.column_paths - done)
        steps_s = slot_s - self._unit_s if self._unit_s else _FIRST_SHARE * slot_s
        shares = [share for stage, share in _share_stages(plan) if stage.part == "column_paths"]
        return tuple(
            _limit(stage, steps_s * share / sum(shares))
            for stage, share in zip(alone, shares, strict=True)
        )

    def learn(self, took_s: float, steps_s: float) -> None:
        """Learns from a path how long one takes besides its steps.

        Args:
            took_s: What the path took in all [s].
            steps_s: What its steps took, without the first [s].
        """
        self._unit_s = max(took_s - steps_s, _LEAST_S)

    def fit_whole(self, stages: Sequence[Stage]) -> Stage:
        """Returns how the next stage of the whole network is trained, in its share of what is left.

        If that is less than its graph takes, it is validated once, without forward passes.

        Args:
            stages: The stages that are left, the next one first.
        """
        shares = find_shares([stage.share for stage in stages])
        left_s = (self.total_s - self.spent_s - self._end_s) * shares[0] / sum(shares)
        limited = _limit(stages[0], left_s)
        if left_s >= _WHOLE_UNITS * self._unit_s:
            return replace(limited, validations=limited.validations or VALIDATIONS)
        self._note(f"one validation of the stage {limited.name!r}, without forward passes")
        return replace(limited, validations=1, validation="deterministic")

    def _left_for_paths(self, plan: TrainingPlan) -> float:
        of_whole = [share for stage, share in _share_stages(plan) if stage.part == "all"]
        units = _WHOLE_UNITS * self._unit_s * len(of_whole)
        whole_s = max(_WHOLE_SHARE * sum(of_whole) * self.total_s, units)
        return self.total_s - self.spent_s - self._end_s - whole_s

    @property
    def _end_s(self) -> float:
        return max(_END_SHARE * self.total_s, _END_UNITS * self._unit_s)

    def _note(self, note: str) -> None:
        self.notes = (*self.notes, f"to fit into {self.total_s / 60:g} min: {note}")


def _share_stages(plan: TrainingPlan) -> list[tuple[Stage, float]]:
    """Returns the stages of a plan, each with its share of the budget."""
    shares = find_shares([stage.share for stage in plan.stages])
    return list(zip(plan.stages, shares, strict=True))


def _limit(stage: Stage, seconds: float) -> Stage:
    """Returns a stage of so many seconds; the first step is taken in any case."""
    return replace(stage, minutes=max(seconds, _LEAST_S) / 60, steps=None)
