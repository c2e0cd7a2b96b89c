"""Profiles outside a network's range are counted, and named by what differs."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.curtains.flags import OutOfRangeFlag as Flag
from blindzone.pipeline.inpainting.range_summary import RangeSummary, summarize_range


def test_line_names_what_differs() -> None:
    bits = Flag.SITE_DIFFERS | Flag.SENSITIVITY_DIFFERS | Flag.TIME_STEP_DIFFERS
    found = summarize_range(np.full(100, bits, dtype=np.int16))
    assert found.is_all_outside
    assert str(found) == (
        "100 of 100 profiles lie outside what the network was made for: site, sensitivity, time"
        " step; intervals are not calibrated here"
    )


def test_profiles_without_data_count_neither_way() -> None:
    empty = int(Flag.NO_VISIBLE_DATA | Flag.SITE_DIFFERS)
    found = summarize_range(np.array([0, 0, empty, int(Flag.PROFILE_UNLIKE_TRAINING)]))
    assert (found.profiles, found.outside, found.reasons) == (3, 1, "weather")
    assert not found.is_mostly_outside
    assert "calibrated there" in str(found)
    assert "none is filled" in str(summarize_range(np.array([empty])))
    assert not summarize_range(np.array([empty])).is_all_outside


def test_network_without_calibration_is_said_to_have_none() -> None:
    found = summarize_range(np.ones(7, dtype=np.int16))
    assert found.is_all_outside
    assert "7 of 7 profiles are filled by a network without calibration" in str(found)


def test_all_in_range_is_said_too() -> None:
    assert str(summarize_range(np.zeros(7, dtype=np.int16))).startswith("all 7 profiles lie within")


def test_sums_of_days_are_those_of_all_profiles() -> None:
    days = [np.array([0, 16]), np.array([512, 512, 2])]
    one, other = map(summarize_range, days)
    assert one + other == summarize_range(np.concatenate(days))
    assert one + other == RangeSummary(profiles=4, outside=3, bits=512 | 16)


@pytest.mark.parametrize(("outside", "mostly"), [(5, False), (6, True)])
def test_more_than_half_is_mostly(outside: int, mostly: bool) -> None:
    assert RangeSummary(profiles=10, outside=outside).is_mostly_outside == mostly


def test_every_bit_but_those_without_comparison_has_words() -> None:
    for bit in Flag:
        if bit not in (Flag.NOT_ASSESSED, Flag.NO_VISIBLE_DATA):
            assert RangeSummary(profiles=1, outside=1, bits=int(bit)).reasons
