from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import ArchiveError
from blindzone.core.granule import Granule

SWATH = datetime(2014, 12, 6, 9, 50, 2)


@given(st.one_of(st.dates(), st.datetimes()))
def test_key_leads_back_to_the_same_granule(start: date) -> None:
    granule = Granule.of(start)
    found = Granule.parse(granule.key)
    assert found == granule
    assert type(found.start) is type(start)


def test_key_is_the_day_or_the_start_to_the_second() -> None:
    assert Granule.of(date(2014, 12, 6)).key == "20141206"
    assert Granule.of(SWATH).key == "20141206T095002"
    assert Granule.of(date(33, 1, 2)).key == "00330102"


def test_a_satellite_granule_is_known_by_its_second() -> None:
    assert Granule.of(SWATH.replace(microsecond=987_654)) == Granule.of(SWATH)


def test_a_satellite_granule_at_midnight_is_no_day() -> None:
    granule, day = Granule.of(datetime(2014, 12, 6)), Granule.of(date(2014, 12, 6))
    assert granule != day
    assert (granule.kind, day.kind) == ("granule", "day")
    assert granule.day == day.day == date(2014, 12, 6)


def test_start_with_a_time_zone_is_rejected() -> None:
    with pytest.raises(ArchiveError, match="without a time zone"):
        Granule.of(SWATH.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "key",
    ["", "2014120", "20141306", "20141206T", "20141206T0950", "20141206T250000", "20141206.absent"],
)
def test_other_texts_are_no_keys(key: str) -> None:
    with pytest.raises(ValueError, match=r"key|month|hour"):
        Granule.parse(key)


@given(st.lists(st.datetimes(), max_size=5))
def test_granules_are_ordered_by_time(starts: list[datetime]) -> None:
    seconds = [start.replace(microsecond=0) for start in starts]
    found = sorted(map(Granule.of, starts))
    assert [granule.start for granule in found] == sorted(seconds)


def test_a_day_precedes_the_granules_on_it() -> None:
    day, next_day = Granule.of(date(2014, 12, 6)), Granule.of(date(2014, 12, 7))
    assert sorted([next_day, Granule.of(SWATH), day]) == [day, Granule.of(SWATH), next_day]


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        (None, None, True),
        (date(2014, 12, 6), date(2014, 12, 6), True),
        (date(2014, 12, 7), None, False),
        (None, date(2014, 12, 5), False),
        (SWATH, SWATH, True),
        (datetime(2014, 12, 6, 9, 50, 3), None, False),
        (None, datetime(2014, 12, 6, 9, 50, 1), False),
    ],
)
def test_a_range_of_days_includes_the_granules_of_both_ends(
    start: date | None, end: date | None, inside: bool
) -> None:
    limits = [None if limit is None else Granule.of(limit) for limit in (start, end)]
    assert Granule.of(SWATH).is_between(*limits) is inside


def test_a_day_is_in_the_range_of_granules_that_starts_on_it() -> None:
    day = Granule.of(SWATH.date())
    assert day.is_between(Granule.of(SWATH), None)
    assert not day.is_between(None, Granule.of(datetime(2014, 12, 5, 23, 59, 59)))
