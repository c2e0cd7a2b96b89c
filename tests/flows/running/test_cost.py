"""What filling costs: both ways are named, and each profile and pass counts."""

from __future__ import annotations

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.flows.running.cost import PASS_S, PROFILE_S, SINGLE_PASS_S, START_S, Cost


def test_time_is_that_of_the_start_the_profiles_and_their_passes() -> None:
    cost = Cost(products=2, tasks=3, profiles=10_000)
    assert cost.find_seconds(50) == START_S + 10_000 * (PROFILE_S + 50 * PASS_S)
    assert cost.find_seconds("single") == START_S + 10_000 * (PROFILE_S + SINGLE_PASS_S)
    assert cost.find_seconds(AdaptiveSampling(values=20)) == cost.find_seconds(20)
    assert Cost(products=0, tasks=3, profiles=0).find_seconds(50) == 0


def test_both_ways_are_named_in_fitting_units() -> None:
    cost = Cost(products=365, tasks=400, profiles=3_500_000)
    first, with_dropout, single = cost.describe(50)
    assert first == "365 of 400 products are to be made, of 3500000 profiles"
    # 10 s + 3.5e6 (3e-4 + 50 x 7.2e-5) s = 13,660 s, and 10 s + 3.5e6 (3e-4 + 9.4e-5) s = 1389 s
    assert with_dropout == ("50 passes with dropout: about 3.8 h of processor time (as asked for)")
    assert single == "a single pass without dropout: about 23 min of processor time"
    assert cost.describe("single")[2].endswith("(as asked for)")
    assert (
        Cost(products=1, tasks=1, profiles=0)
        .describe(50)[1]
        .startswith("50 passes with dropout: about 10 s")
    )
