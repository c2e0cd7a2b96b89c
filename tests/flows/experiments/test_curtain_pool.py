"""The pool of curtains: measured radars on one grid, with whole windows."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import WindowError
from blindzone.flows.experiments.curtain_pool import find_pool
from blindzone.flows.running.plans import DataPlaces


def test_a_radar_without_a_whole_window_is_left_out(
    catalog: Path, trained: tuple[Path, Path]
) -> None:
    places = DataPlaces(catalog=catalog, archive=str(trained[0]))
    assert find_pool(places, 600) == ("short_days",)  # as many profiles as a day has
    with pytest.raises(WindowError, match=r"no measured radar .* 601 profiles"):
        find_pool(places, 601)


def test_an_empty_archive_says_what_to_do(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(WindowError, match="blindzone ingest SOURCE"):
        find_pool(DataPlaces(catalog=catalog, archive=str(tmp_path)), 32)
