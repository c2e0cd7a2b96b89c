from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import xarray as xr

from blindzone.flows.ingest import IngestError, ingest, ingest_days
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.errors import CatalogError

SOURCE = "short_days"


def test_ingest_archives_every_day_and_leaves_unchanged_days_alone(catalog: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = ingest.fn(SOURCE, catalog=catalog, archive=archive)
    again = ingest.fn(SOURCE, catalog=catalog, archive=archive)

    assert set(first.outcomes.values()) == {Outcome.INGESTED}
    assert set(again.outcomes.values()) == {Outcome.UNCHANGED}
    assert Archive(archive).days(SOURCE) == (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
    with xr.open_zarr(Archive(archive).store_path(SOURCE, date(2000, 1, 1)), consolidated=False) as day:
        assert day.sizes == {"time": 600, "height": 128}  # two hours of 12 s


def test_range_takes_both_ends(catalog: Path, tmp_path: Path) -> None:
    report = ingest_days(SOURCE, date(2000, 1, 2), date(2000, 1, 3), catalog, tmp_path / "archive")

    assert list(report.outcomes) == [date(2000, 1, 2), date(2000, 1, 3)]


def test_range_without_files_says_which_days_there_are(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="holds 2000-01-01 to 2000-01-03"):
        ingest_days(SOURCE, date(2001, 1, 1), None, catalog, tmp_path / "archive")


def test_range_that_ends_before_it_starts_is_an_error(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="start must not be after end"):
        ingest_days(SOURCE, date(2000, 1, 3), date(2000, 1, 1), catalog, tmp_path / "archive")


def test_bad_file_is_set_aside_with_its_reason_and_the_other_days_go_on(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(simulated_days, folder)
    cut = folder / SOURCE / "20000102_radar.nc"
    cut.write_bytes(cut.read_bytes()[:10_000])
    monkeypatch.setenv("BLINDZONE_DATA", str(folder))

    with pytest.raises(IngestError, match=r"20000102_radar\.nc: cannot be read as netCDF"):
        ingest.fn(SOURCE, catalog=catalog, archive=tmp_path / "archive")

    assert Archive(tmp_path / "archive").days(SOURCE) == (date(2000, 1, 1), date(2000, 1, 3))


def test_new_version_of_a_file_replaces_the_day_and_a_bad_one_does_not(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(simulated_days, folder)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder))
    day, archive = date(2000, 1, 1), tmp_path / "archive"
    ingest_days(SOURCE, day, day, catalog, archive)
    held = Archive(archive).open_day(SOURCE, day).load()

    path = folder / SOURCE / "20000101_radar.nc"
    path.write_bytes(b"not a radar file")
    refused = ingest_days(SOURCE, day, day, catalog, archive)
    assert refused.outcomes[day] is Outcome.REFUSED
    xr.testing.assert_identical(Archive(archive).open_day(SOURCE, day).load(), held)

    shutil.copy(folder / SOURCE / "20000102_radar.nc", path)  # a readable file of another day
    wrong_day = ingest_days(SOURCE, day, day, catalog, archive)
    assert "lie outside the day" in wrong_day.refusals[day]
    xr.testing.assert_identical(Archive(archive).open_day(SOURCE, day).load(), held)


def test_archived_simulated_day_says_so_in_title_and_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        """
version: 1
sources:
  generated:
    title: A day
    reader: cloudnet_radar
    directory: generated
    files: "%Y%m%d.nc"
    instrument: simulated radar
    site: nowhere
    simulation: {seed: 3, days: 1}
"""
    )
    report = ingest_days("generated", None, None, catalog, tmp_path / "archive")

    day = Archive(tmp_path / "archive").open_day("generated", date(2000, 1, 1))
    assert report.outcomes == {date(2000, 1, 1): Outcome.INGESTED}
    assert "simulated" in day.attrs["title"]
    assert "simulated" in day.attrs["source"]
