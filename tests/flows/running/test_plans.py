"""Sections that plans share: what they reject, and defaults found where a run begins."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from blindzone.core.errors import PlanError
from blindzone.flows.running.plans import DataPlaces, Filling, Places, check_range
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS


def test_range_may_be_open_or_of_one_day_but_not_end_before_it_starts() -> None:
    first, second = date(2021, 3, 14), date(2021, 3, 15)
    for start, end in ((None, None), (first, None), (None, first), (first, first), (first, second)):
        check_range(start, end)
    with pytest.raises(PlanError, match="starts on 2021-03-15 and ends on 2021-03-14"):
        check_range(second, first)


def test_archive_may_be_a_path_or_a_url(tmp_path: Path) -> None:
    assert DataPlaces(archive=tmp_path).archive_address == str(tmp_path)  # type: ignore[arg-type]
    assert DataPlaces(archive="s3://bucket/a").archive_address == "s3://bucket/a"


def test_settled_places_give_their_data_places(tmp_path: Path) -> None:
    settled = Places(catalog=tmp_path / "c.yaml", archive="memory://a").settle()
    assert settled.data == DataPlaces(catalog=tmp_path / "c.yaml", archive="memory://a")


def test_settled_filling_has_a_checkpoint_and_all_else_as_before() -> None:
    settled = Filling(passes=3, seed=5, members=2).settle("station")
    assert settled == Filling(passes=3, seed=5, members=2, checkpoint=SHIPPED_WEIGHTS.absolute())


def test_unknown_key_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(PlanError, match="filling: cycles: unknown key; known keys here: check"):
        Filling(cycles=3)  # type: ignore[call-arg]
