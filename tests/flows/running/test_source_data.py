"""A source's data: its entry and its archived days as one value."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, CatalogError, CurtainError
from blindzone.flows.experiments.training_data import preprocess_for
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.pipeline.network_input.preprocessing import CHANNELS

SOURCE = "short_days"
DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))


@pytest.fixture
def data(catalog: Path, trained: tuple[Path, Path]) -> SourceData:
    return open_source(SOURCE, DataPlaces(catalog=catalog, archive=str(trained[0])))


def test_source_knows_its_entry_and_its_archived_days(data: SourceData) -> None:
    assert data.entry.title == "Two simulated hours a day"
    assert data.days == DAYS
    assert data.where(DAYS[0]) == "short_days 2000-01-01"
    assert data.read(DAYS[1]).sizes == {"time": 600, "height": 128}


def test_source_that_the_catalogue_lacks_is_an_error_before_the_archive_is_opened(
    catalog: Path, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match="no source 'other'; it has short_days"):
        open_source("other", DataPlaces(catalog=catalog, archive=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_day_that_is_not_archived_is_an_error(data: SourceData) -> None:
    with pytest.raises(ArchiveError, match="2001-01-01"):
        data.read(date(2001, 1, 1))


def test_day_without_radar_echo_is_named(data: SourceData, monkeypatch: pytest.MonkeyPatch) -> None:
    curtain = data.read(DAYS[0]).drop_vars(["reflectivity", "detection_status"])
    monkeypatch.setattr(
        "blindzone.pipeline.archive.Archive.read_granule", lambda *_: (curtain, None)
    )
    with pytest.raises(CurtainError, match="short_days 2000-01-01"):
        data.read(DAYS[0])


def test_curtain_that_was_read_is_the_input_of_a_network_without_collocated_fields(
    data: SourceData,
) -> None:
    preprocessing = preprocess_for(data.entry)
    assert not preprocessing.uses_collocated
    curtain = data.read(DAYS[0])
    assert data.read_input(DAYS[0], preprocessing, curtain) is curtain
    xr.testing.assert_identical(data.read_input(DAYS[0], preprocessing), curtain)


def test_network_with_collocated_fields_gets_them_whatever_was_read(
    data: SourceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    curtain = data.read(DAYS[0])
    wider = curtain.assign(temperature=curtain["reflectivity"])
    asked: list[object] = []

    def open_wider(*arguments: object) -> xr.Dataset:
        asked.extend(arguments)
        return wider

    monkeypatch.setattr("blindzone.flows.running.source_data.open_collocated", open_wider)
    preprocessing = preprocess_for(data.entry, channels=(*CHANNELS, "temperature"))
    assert preprocessing.uses_collocated
    assert "temperature" in data.read_input(DAYS[0], preprocessing, curtain)
    assert asked == [data.archive, data.catalog, SOURCE, DAYS[0]]


def test_hash_is_that_of_the_content_in_any_order(
    data: SourceData, catalog: Path, tmp_path: Path
) -> None:
    whole = data.hash_content(DAYS)
    assert data.hash_content(reversed(DAYS)) == whole
    assert data.hash_content(DAYS[:2]) != whole
    copy = shutil.copytree(str(data.archive.root), tmp_path / "archive")
    other = open_source(SOURCE, DataPlaces(catalog=catalog, archive=str(copy)))
    assert other.hash_content(DAYS) == whole
    (record,) = Path(copy).glob(f"{SOURCE}/ledger/20000102.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"content_hash": "0" * 64}))
    assert other.hash_content(DAYS) != whole


def test_files_of_an_emulated_source_are_read_by_the_entry_of_its_ground_radar(
    catalog: Path, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    emulate = f"emulate: {{of: {SOURCE}, sensor: cloudsat}}"
    path.write_text(f"{catalog.read_text()}  from_space:\n    {emulate}\n")
    places = DataPlaces(catalog=path, archive=str(tmp_path / "archive"))
    assert open_source("from_space", places).ground == open_source(SOURCE, places).entry
    assert open_source(SOURCE, places).ground == open_source(SOURCE, places).entry
