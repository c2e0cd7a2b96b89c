"""Instruments at the surface on their way through catalogue, ingest, archive and export."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from flow_calls import ingest_days
from raw_files import write_raw
from surface_files import MINUTES, make_disdrometer_raw

from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.care import verify_archive
from blindzone.pipeline.archive.exporting import export_days
from blindzone.pipeline.archive.ledger import Verdict
from blindzone.pipeline.archive.writing import Outcome
from blindzone.pipeline.curtains.cf import check_cf

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
CATALOG = """
version: 1
sources:
  rain: {title: Rain, directory: rain, files: "%Y%m%d.nc",
         period: {start: 2021-03-14, end: 2021-03-15}}
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    (tmp_path / "rain").mkdir()
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(CATALOG)
    return catalog, tmp_path / "archive"


def test_day_is_archived_and_exported_with_its_gaps(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    raw = make_disdrometer_raw().isel(time=np.r_[0:20, 40:MINUTES])
    write_raw(raw, tmp_path / "rain" / "20210314.nc")
    report = ingest_days("rain", DAY, NEXT_DAY, *places)
    assert report.rejected_files == 0
    archive = Archive(places[1])
    assert archive.record("rain", DAY).profiles == MINUTES - 20
    assert archive.record("rain", DAY).gaps == 1
    assert [one.verdict for one in archive.absent("rain")] == [Verdict.MISSING]
    assert verify_archive(archive) == []
    (path,) = export_days(archive, "rain", DAY, DAY, tmp_path / "out")
    with xr.open_dataset(path) as found:
        check_cf(found)
        assert dict(found.sizes) == {"time": MINUTES - 20}
        assert np.isnan(found["radar_reflectivity"][1])
        assert "at the surface" in found.attrs["summary"]
    again = ingest_days("rain", DAY, DAY, *places)
    assert again.outcomes == {DAY: Outcome.UNCHANGED}


def test_newer_version_of_a_file_replaces_it(places: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "rain" / "20210314.nc"
    write_raw(make_disdrometer_raw(), path)
    ingest_days("rain", DAY, DAY, *places)
    write_raw(make_disdrometer_raw(minutes=MINUTES + 5), path)
    ingest_days("rain", DAY, DAY, *places)
    assert Archive(places[1]).open_day("rain", DAY).sizes["time"] == MINUTES + 5


def test_bad_day_costs_itself_alone(places: tuple[Path, Path], tmp_path: Path) -> None:
    write_raw(make_disdrometer_raw(), tmp_path / "rain" / "20210314.nc")
    (tmp_path / "rain" / "20210315.nc").write_bytes(b"nothing")
    report = ingest_days("rain", DAY, NEXT_DAY, *places)
    assert [(day, name) for day, name, _ in report.list_rejections()] == [(NEXT_DAY, "20210315.nc")]
    assert Archive(places[1]).days("rain") == (DAY,)
