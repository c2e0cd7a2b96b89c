"""A site's files from a portal to the archive: one command, then an ingest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from cloudnet_files import make_lidar, make_model, make_radar
from cloudnet_portal import Portal, serving_portal
from flow_calls import ingest_days
from raw_files import write_raw
from surface_files import make_disdrometer_raw, make_station_raw

from blindzone.core.errors import CatalogError, FetchError, PlanError
from blindzone.flows.fetch import FetchPlan, fetch
from blindzone.flows.running.fetched import FetchReport
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import open_collocated
from blindzone.pipeline.catalog.catalog import read_catalog

DAYS = (date(2021, 3, 14), date(2021, 3, 15))
RADAR, LIDAR = "cloudnet_palaiseau_basta", "cloudnet_palaiseau_chm15k"
MODEL, STATION = "cloudnet_palaiseau_ecmwf", "cloudnet_palaiseau_weather-station"
DROPS = "cloudnet_palaiseau_parsivel"


def _make(raw: xr.Dataset, folder: Path) -> bytes:
    return write_raw(raw, folder / "surface.nc").read_bytes()


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, date], bytes]:
    folder = tmp_path_factory.mktemp("contents")
    makers = {
        "radar": make_radar,
        "lidar": make_lidar,
        "model": make_model,
        "weather-station": lambda day, folder: _make(make_station_raw(str(day)), folder),
        "disdrometer": lambda day, folder: _make(make_disdrometer_raw(str(day)), folder),
    }
    return {(name, day): make(day, folder) for name, make in makers.items() for day in DAYS}


@pytest.fixture
def portal(
    contents: dict[tuple[str, date], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Portal]:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    instruments = {
        "radar": ("basta", "BASTA"),
        "lidar": ("chm15k", "Lufft CHM15k"),
        "model": ("ecmwf", "ECMWF IFS forecast"),
        "weather-station": ("weather-station", "Generic weather station"),
        "disdrometer": ("parsivel", "OTT HydroMet Parsivel2"),
    }
    with serving_portal() as served:
        for (product, day), content in contents.items():
            instrument, name = instruments[product]
            served.add(product, day, content, instrument=instrument, name=name)
        yield served


def run(served: Portal, tmp_path: Path, /, **options: Any) -> FetchReport:
    values = {
        "site": "palaiseau",
        "start": DAYS[0],
        "end": DAYS[-1],
        "catalog": tmp_path / "catalog.yaml",
        "portal": served.address,
    }
    return fetch.fn(FetchPlan(**{**values, **options}))


def test_site_is_fetched_entered_and_ingested_with_its_partners(
    portal: Portal, tmp_path: Path
) -> None:
    report = run(portal, tmp_path)

    assert [(source.name, source.fetched) for source in report.sources] == [
        (RADAR, 2),
        (LIDAR, 2),
        (MODEL, 2),
        (STATION, 2),
        (DROPS, 2),
    ]
    assert report.added == (RADAR, LIDAR, MODEL, STATION, DROPS)
    catalog = read_catalog(report.catalog)
    entry = catalog[RADAR]
    assert (entry.partners.lidar, entry.partners.state) == (LIDAR, MODEL)
    assert entry.partners.surface == (STATION, DROPS)
    assert (entry.licence, entry.creator) == ("CC BY 4.0", "Julien Delanoe")
    assert entry.institution == "Institut Pierre Simon Laplace (IPSL)"
    assert entry.directory == RADAR

    archive = tmp_path / "archive"
    for name in report.added:
        ingested = ingest_days(name, None, None, report.catalog, archive)
        assert list(ingested.changes) == list(DAYS)
        assert not ingested.rejections
    day = open_collocated(Archive(archive), catalog, RADAR, DAYS[0])
    row = day.sel(height=3000, method="nearest")
    # 280 K at the model's ground, 156 m, and 6 K km-1 less above; heights are above the radar.
    above_ground_m = float(row["height"]) + float(day["altitude"]) - 156
    assert float(row["temperature"][0]) == pytest.approx(280 - 0.006 * above_ground_m, abs=0.01)
    assert int((day["backscatter_status"] == 1).sum()) > 0


def test_terms_and_identifiers_are_kept_beside_the_files(portal: Portal, tmp_path: Path) -> None:
    report = run(portal, tmp_path, products=("radar",))
    kept = json.loads((report.sources[0].folder / "data_use.json").read_text())
    assert kept["licence"] == "CC BY 4.0"
    assert kept["acknowledgement"] == "We acknowledge ACTRIS for providing the data."
    assert {name: about["pid"] for name, about in kept["files"].items()} == {
        "20210314_palaiseau_basta.nc": portal.files[0]["pid"],
        "20210315_palaiseau_basta.nc": portal.files[1]["pid"],
    }


def test_second_fetch_takes_what_is_new_alone(portal: Portal, tmp_path: Path) -> None:
    run(portal, tmp_path, end=DAYS[0])
    before = (tmp_path / "catalog.yaml").read_bytes()
    portal.asked.clear()
    report = run(portal, tmp_path)
    assert [(source.fetched, source.unchanged) for source in report.sources] == [(1, 1)] * 5
    assert sum(asked.startswith("download/") for asked in portal.asked) == 5
    assert report.added == ()
    assert (tmp_path / "catalog.yaml").read_bytes() == before
    kept = json.loads((report.sources[0].folder / "data_use.json").read_text())
    assert len(kept["files"]) == 2


def test_file_that_cannot_be_had_leaves_the_others(portal: Portal, tmp_path: Path) -> None:
    first = next(path for path in portal.contents if "20210314_palaiseau_basta" in path)
    portal.faults[first] = [403]
    report = run(portal, tmp_path, products=("radar",))
    (source,) = report.sources
    assert (source.fetched, source.unchanged) == (1, 0)
    assert list(source.failed) == ["20210314_palaiseau_basta.nc"]
    assert "403 Forbidden" in source.failed["20210314_palaiseau_basta.nc"]
    assert report.added == (RADAR,)


def test_source_without_any_file_gets_no_entry(portal: Portal, tmp_path: Path) -> None:
    for path in portal.contents:
        if "chm15k" in path:
            portal.faults[path] = [404]
    report = run(portal, tmp_path, products=("radar", "lidar"))
    assert report.added == (RADAR,)
    assert read_catalog(report.catalog)[RADAR].partners.lidar is None


def test_folder_that_is_named_is_outside_of_the_data(portal: Portal, tmp_path: Path) -> None:
    report = run(portal, tmp_path, products=("radar",), output=tmp_path / "elsewhere")
    entry = read_catalog(report.catalog)[RADAR]
    assert (entry.directory, entry.outside) == (str(tmp_path / "elsewhere" / RADAR), True)
    assert list(entry.find_days(tmp_path / "data")) == list(DAYS)


def test_names_of_the_portal_lead_nowhere_else(portal: Portal, tmp_path: Path) -> None:
    portal.sites["palaiseau"] = "../../Palaiseau\n  evil: {}"
    portal.add("lidar", DAYS[0], b"1", instrument="../../up", filename="..")
    report = run(portal, tmp_path, instruments=("../../up",), products=("radar", "lidar"))
    folders = [source.folder for source in report.sources]
    assert [folder.parent for folder in folders] == [tmp_path / "data"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.yaml", "data"]


def test_of_two_instruments_the_one_with_most_days_is_taken_unless_named(
    portal: Portal, tmp_path: Path
) -> None:
    portal.add("lidar", DAYS[0], b"1", instrument="cl61d", name="Vaisala CL61d")
    report = run(portal, tmp_path, products=("radar", "lidar"))
    assert [source.name for source in report.sources] == [RADAR, LIDAR]
    assert report.left_out == ("lidar cl61d (1 day)",)
    report = run(
        portal, tmp_path, products=("lidar",), instruments=("cl61d",), catalog=tmp_path / "b.yaml"
    )
    assert [source.name for source in report.sources] == ["cloudnet_palaiseau_cl61d"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"site": "palaisau"}, "no site 'palaisau' among 1; nearest: palaiseau"),
        (
            {"start": date(2020, 1, 1), "end": date(2020, 1, 2)},
            "no radar of palaiseau from 2020-01-01 to 2020-01-02; there is nothing else",
        ),
        (
            {"start": date(2021, 3, 20), "end": date(2021, 3, 20)},
            r"no radar of palaiseau .*; there is lidar chm15k \(1 day\)",
        ),
        ({"instruments": ("mira-35",)}, "no file of instrument or model mira-35; there are basta"),
        ({"portal": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_fetch_of_nothing_is_one_error_and_writes_nothing(
    portal: Portal, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    portal.add("lidar", date(2021, 3, 20), b"1", instrument="chm15k")
    with pytest.raises(FetchError, match=says):
        run(portal, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(PlanError, match="start must not be after end"):
        FetchPlan(site="palaiseau", start=DAYS[1], end=DAYS[0])


def test_name_that_the_catalogue_has_for_another_folder_is_refused_before_any_download(
    portal: Portal, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        f'version: 1\nsources:\n  {RADAR}: {{directory: mine, files: "%Y%m%d.nc"}}\n'
    )
    with pytest.raises(CatalogError, match=f"it has a source '{RADAR}' already, whose files are"):
        run(portal, tmp_path)
    assert not any(asked.startswith("download/") for asked in portal.asked)


def test_disk_without_room_is_refused_before_any_download(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(FetchError, match="MB are to be fetched, 0 MB are free"):
        run(portal, tmp_path)
    assert not any(asked.startswith("download/") for asked in portal.asked)


def test_portal_that_goes_while_files_are_fetched_leaves_whole_files_for_the_next_fetch(
    portal: Portal, tmp_path: Path
) -> None:
    second = next(path for path in portal.contents if "20210315_palaiseau_basta" in path)
    portal.faults[second] = ["drop"] * 9
    with pytest.raises(FetchError, match="cannot be reached"):
        run(portal, tmp_path)
    folder = tmp_path / "data" / RADAR
    assert sorted(path.name for path in folder.iterdir()) == [
        "20210314_palaiseau_basta.nc",
        "data_use.json",
    ]
    portal.faults.clear()
    report = run(portal, tmp_path)
    assert (report.sources[0].fetched, report.sources[0].unchanged) == (1, 1)
