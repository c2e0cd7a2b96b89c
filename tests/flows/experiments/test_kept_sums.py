"""Kept sums: files named by all that decides them, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from blindzone.core.errors import ArchiveError
from blindzone.flows.experiments import kept_sums
from blindzone.flows.experiments.kept_sums import KeptSums, ScoredDays
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source

DAYS = (date(2000, 1, 1), date(2000, 1, 2))


@pytest.fixture
def scored(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> ScoredDays:
    data = open_source("short_days", DataPlaces(catalog=catalog, archive=str(trained[0])))
    return ScoredDays(data=data, layer=layer_of(data.entry), days=DAYS, folder=tmp_path)


def test_each_day_has_a_file_with_scheme_and_day_in_its_name(scored: ScoredDays) -> None:
    files = scored.name_files("linear", [1, "a"])
    assert list(files) == list(DAYS)
    assert [path.name[:16] for path in files.values()] == ["linear_20000101_", "linear_20000102_"]
    assert scored.name_files("linear", [1, "a"]) == files


def test_names_change_with_all_that_decides_the_numbers(
    scored: ScoredDays, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in scored.name_files("linear", [1]).values()}
    others = [
        scored.name_files("linear", [2]),
        replace(scored, layer=replace(scored.layer, lowest_row=5)).name_files("linear", [1]),
    ]
    monkeypatch.setattr(kept_sums, "EVALUATION_VERSION", "another")
    others.append(scored.name_files("linear", [1]))
    for files in others:
        assert not names & {path.name for path in files.values()}


def test_days_without_sums_are_missing_and_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"cut short")
    files = {DAYS[0]: broken, DAYS[1]: tmp_path / "absent.npz"}
    sums = KeptSums(files=files, is_deterministic=True, configuration={})
    assert sums.missing == list(DAYS)
    with pytest.raises(ArchiveError, match=r"broken\.npz: these sums were removed or damaged"):
        sums.read()
