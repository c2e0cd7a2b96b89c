"""The wall-clock budget of a training: what fits is reckoned from what a path took."""

from __future__ import annotations

import pytest

from blindzone.flows.experiments import training_budget
from blindzone.flows.experiments.training_budget import Budget
from blindzone.flows.experiments.training_plan import RECIPE, read_plan


class Clock:
    """A clock that goes on when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(training_budget, "time", clock)
    return clock


def run_paths(budget: Budget, clock: Clock, minutes: float, extra_s: float) -> tuple[int, float]:
    """Trains paths, each with so much besides its steps; returns their number and what is left."""
    plan, done = read_plan(RECIPE, {"training": {"minutes": minutes}}), 0
    while done < plan.network.column_paths:
        (training,) = budget.fit_path(plan, done)
        assert training.minutes is not None
        steps_s = max(60 * training.minutes, extra_s / 2)  # the graph is compiled in any case
        clock.now += steps_s + extra_s / 2
        budget.learn(steps_s + extra_s / 2, max(0.0, steps_s - extra_s / 2))
        done += 1
        plan = budget.plan_paths(plan, done)
    whole = budget.fit_whole(plan.whole_stages)
    assert whole.minutes is not None
    return done, 60 * whole.minutes


def test_time_before_the_flow_counts(clock: Clock) -> None:
    budget = Budget(2.0, spent_s=10.0)
    assert (budget.total_s, budget.spent_s) == (120.0, 10.0)
    clock.now += 5
    assert budget.spent_s == 15.0


@pytest.mark.parametrize("minutes", [2.0, 4.0, 20.0])
@pytest.mark.parametrize("extra_s", [1.0, 5.0])
def test_all_paths_fit_where_they_take_little_besides_their_steps(
    minutes: float, extra_s: float, clock: Clock
) -> None:
    budget = Budget(minutes, spent_s=10.0)
    paths, whole_s = run_paths(budget, clock, minutes, extra_s)
    assert (paths, budget.notes) == (6, ())
    # The whole network's steps, then an end of a tenth or three times what a path took besides.
    end_s = max(0.1 * 60 * minutes, 3 * extra_s)
    assert budget.spent_s + whole_s + end_s == pytest.approx(60 * minutes, rel=0.01)


def test_on_a_slow_machine_fewer_paths_are_trained_and_that_is_told(clock: Clock) -> None:
    budget = Budget(2.0, spent_s=20.0)
    paths, whole_s = run_paths(budget, clock, 2.0, extra_s=10.0)
    # After the first path (30 s): 120 - 50 - 30 - 40 s are left, none of 20 s.
    assert paths == 1
    assert budget.notes == ("to fit into 2 min: 1 of 6 column paths",)
    assert budget.spent_s + whole_s + 30 == pytest.approx(120, abs=1)


def test_whole_network_is_validated_once_where_not_even_its_graph_fits(clock: Clock) -> None:
    budget = Budget(1.0, spent_s=30.0)
    paths, whole_s = run_paths(budget, clock, 1.0, extra_s=20.0)
    assert (paths, whole_s) == (1, 1.0)
    assert "without forward passes" in budget.notes[-1]


@pytest.mark.parametrize(("minutes", "windows"), [(2.0, 26), (0.1, 8), (20.0, 256), (60.0, 256)])
def test_validation_windows_are_fewer_below_twenty_minutes(minutes: float, windows: int) -> None:
    budget = Budget(minutes)
    plan = budget.fit_validation(read_plan(RECIPE, {"training": {"minutes": minutes}}))
    assert plan.validation.windows == windows
    assert bool(budget.notes) == (windows < 256)
