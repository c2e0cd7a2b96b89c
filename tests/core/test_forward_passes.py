"""Ways of passing: read from what people and deployments give, each wrong one is one fault."""

from __future__ import annotations

from typing import Any

import pytest

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.configuration import configuration, read_plain
from blindzone.core.errors import PlanError
from blindzone.core.forward_passes import FixedPasses, Passes, describe_passes, is_single


@configuration(error=PlanError, what="plan")
class Plan:
    """Both kinds."""

    passes: Passes = 50
    fixed: FixedPasses = 50


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (2, 2),
        ("50", 50),
        (7.0, 7),
        ("single", "single"),
        ({"tolerance_db": 0.1}, AdaptiveSampling(tolerance_db=0.1)),
        (AdaptiveSampling(), AdaptiveSampling()),
    ],
    ids=str,
)
def test_ways_of_passing_are_read_from_plain_values(given: Any, read: Any) -> None:
    assert read_plain(Plan, {"passes": given}, where="here", error=PlanError).passes == read
    if not isinstance(read, AdaptiveSampling):
        assert Plan(fixed=given).fixed == read


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "a distribution needs at least 2; found 0"),
        (1, "a distribution needs at least 2; found 1"),
        ("1", "a distribution needs at least 2; found 1"),
        (1.5, "a number of stochastic passes of at least 2, or 'single'"),
        ("two", "or 'single', one pass without dropout, is right; found 'two'"),
        (True, "found True"),
        (None, "found None"),
        (float("nan"), "found nan"),
        (float("inf"), "found inf"),
        ([50], r"found \[50\]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["passes", "fixed"])
def test_anything_else_is_one_fault_of_one_line(key: str, given: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message) as refusal:
        Plan(**{key: given})
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"plan: {key}: ")


def test_ways_of_passing_are_named() -> None:
    assert is_single("single")
    assert not any(map(is_single, (50, AdaptiveSampling(), None)))
    assert describe_passes(50) == "50 passes with dropout"
    assert describe_passes("single") == "a single pass without dropout"
    assert describe_passes(AdaptiveSampling()) == "passes with dropout for bounds to 0.25 dB"
