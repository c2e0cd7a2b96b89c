"""What filling costs: both ways are named, and each profile and pass counts."""

from __future__ import annotations

import pytest

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.flows.running import cost as module
from blindzone.flows.running.cost import (
    LIGHT_START_S,
    PASS_S,
    PROFILE_S,
    SINGLE_PASS_S,
    START_S,
    Cost,
)


def test_time_is_that_of_the_start_the_profiles_and_their_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cost = Cost(products=2, tasks=3, profiles=10_000)
    assert cost.find_seconds(50) == START_S + 10_000 * (PROFILE_S + 50 * PASS_S)
    for start, found in ((START_S, None), (LIGHT_START_S, "there")):
        monkeypatch.setattr(module, "find_spec", lambda name, found=found: found)
        assert cost.find_seconds("single") == start + 10_000 * (PROFILE_S + SINGLE_PASS_S)
    assert cost.find_seconds(AdaptiveSampling(values=20)) == cost.find_seconds(20)
    assert Cost(products=0, tasks=3, profiles=0).find_seconds(50) == 0


def test_both_ways_are_named_in_fitting_units() -> None:
    cost = Cost(products=365, tasks=400, profiles=3_500_000)
    first, with_dropout, single = cost.describe(50)
    assert first == "365 of 400 products are to be made, of 3500000 profiles"
    # 10 s + 3.5e6 (1.6e-4 + 50 x 6.6e-5) s = 12,120 s, and 3.5e6 (1.6e-4 + 1.05e-4) s = 928 s
    assert with_dropout == ("50 passes with dropout: about 3.4 h of processor time (as asked for)")
    assert single == "a single pass without dropout: about 16 min of processor time"
    assert cost.describe("single")[2].endswith("(as asked for)")
    assert (
        Cost(products=1, tasks=1, profiles=0)
        .describe(50)[1]
        .startswith("50 passes with dropout: about 10 s")
    )
