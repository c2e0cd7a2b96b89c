"""Steps of an ingest: which files are of which day, and what becomes of each."""

from __future__ import annotations

import shutil
from datetime import date, datetime
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import xarray as xr
from flow_calls import ingest_days, ingest_granule, plan_ingest

from blindzone.core.errors import CatalogError, PlanError
from blindzone.flows.running import ingestion
from blindzone.flows.running.ingestion import GranuleFiles, IngestPlan, find_files, find_reaching
from blindzone.pipeline.archive import Archive, FileRecord, Outcome

SOURCE = "short_days"
DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))


def test_plan_includes_both_ends_and_granules_by_their_day() -> None:
    plan = IngestPlan(source=SOURCE, start=DAYS[0], end=DAYS[1])
    assert [plan.includes(day) for day in DAYS] == [True, True, False]
    assert plan.includes(datetime(2000, 1, 2, 23, 59))
    assert not plan.includes(datetime(2000, 1, 3, 0, 0))
    assert IngestPlan(source=SOURCE).includes(date(1900, 1, 1))
    with pytest.raises(PlanError, match="start must not be after end"):
        IngestPlan(source=SOURCE, start=DAYS[1], end=DAYS[0])


def test_own_files_of_a_day_come_before_those_that_reach_into_it() -> None:
    files = GranuleFiles(granule=DAYS[0], own=(Path("a"),), reaching=(Path("b"),))
    assert files.all == (Path("a"), Path("b"))


def test_files_of_the_range_are_found_and_its_days_without_one(
    catalog: Path, simulated_days: Path
) -> None:
    files, missing = find_files(plan_ingest(SOURCE, DAYS[1], date(2000, 1, 5), catalog))
    folder = simulated_days / SOURCE
    assert files == {day: (folder / f"{day:%Y%m%d}_radar.nc",) for day in DAYS[1:]}
    assert missing == (date(2000, 1, 4), date(2000, 1, 5))


def with_entry(catalog: Path, folder: Path, line: str) -> Path:
    """The catalogue with one more line in its entry."""
    path = folder / "changed.yaml"
    path.write_text(catalog.read_text().replace("reader:", f"{line}\n    reader:"))
    return path


def test_days_of_the_sources_period_are_missed_where_the_range_is_open(
    catalog: Path, tmp_path: Path
) -> None:
    longer = with_entry(catalog, tmp_path, "period: {start: 1999-12-31, end: 2000-01-04}")
    _, missing = find_files(plan_ingest(SOURCE, catalog=longer))
    assert missing == (date(1999, 12, 31), date(2000, 1, 4))
    _, missing = find_files(plan_ingest(SOURCE, DAYS[0], catalog=longer))
    assert missing == (date(2000, 1, 4),)


def test_range_without_a_file_names_the_days_that_there_are(catalog: Path) -> None:
    with pytest.raises(CatalogError, match="holds 2000-01-01 to 2000-01-03"):
        find_files(plan_ingest(SOURCE, date(2001, 1, 1), None, catalog))


def test_days_of_a_simulation_are_written_once_and_only_those_of_the_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[date, int]] = []

    def write(day: date, path: Path, *, seed: int) -> None:
        written.append((day, seed))
        path.touch()

    monkeypatch.setattr(ingestion, "write_simulated_day", write)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        dedent("""
            version: 1
            sources:
              made:
                directory: made
                files: "%Y%m%d.nc"
                simulation: {seed: 7, start: 2000-01-01, days: 3}
            """)
    )
    plan = plan_ingest("made", DAYS[1], None, catalog)
    files, _ = find_files(plan)
    assert list(files) == [DAYS[1], DAYS[2]]
    find_files(plan)
    assert written == [(DAYS[1], 7), (DAYS[2], 7)]


def test_first_ingest_adds_a_day_and_the_second_leaves_it(
    catalog: Path, simulated_days: Path, tmp_path: Path
) -> None:
    file = simulated_days / SOURCE / "20000101_radar.nc"
    archive = tmp_path / "archive"
    change, rejected = ingest_granule(SOURCE, DAYS[0], (file,), catalog, archive)
    assert (change.outcome, change.added, rejected) == (Outcome.INGESTED, 600, {})
    change, rejected = ingest_granule(SOURCE, DAYS[0], (file,), catalog, archive)
    assert (change.outcome, change.added, rejected) == (Outcome.UNCHANGED, 0, {})
    # Files of a day that end at its end reach into no other.
    assert find_reaching(plan_ingest(SOURCE, catalog=catalog, archive=archive)) == {}


def test_day_of_bad_files_alone_is_rejected_and_one_good_file_saves_it(
    catalog: Path, simulated_days: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "20000101_bad.nc"
    bad.write_bytes(b"no netCDF")
    good = simulated_days / SOURCE / "20000101_radar.nc"
    archive = tmp_path / "archive"
    change, rejected = ingest_granule(SOURCE, DAYS[0], (bad,), catalog, archive)
    assert (change.outcome, list(rejected)) == (Outcome.REJECTED, [bad.name])
    assert Archive(archive).days(SOURCE) == ()
    change, rejected = ingest_granule(SOURCE, DAYS[0], (bad, good), catalog, archive)
    assert (change.outcome, list(rejected)) == (Outcome.INGESTED, [bad.name])
    assert Archive(archive).days(SOURCE) == (DAYS[0],)


def test_ingest_of_a_range_goes_on_after_a_bad_day_and_notes_missing_ones(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / SOURCE
    folder.mkdir(parents=True)
    (folder / "20000101_radar.nc").write_bytes(b"no netCDF")
    shutil.copy(simulated_days / SOURCE / "20000103_radar.nc", folder)
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    report = ingest_days(SOURCE, None, None, catalog, tmp_path / "archive")
    assert report.outcomes == {DAYS[0]: Outcome.REJECTED, DAYS[2]: Outcome.INGESTED}
    assert report.missing == (DAYS[1],)
    assert [(day, name) for day, name, _ in report.list_rejections()] == [
        (DAYS[0], "20000101_radar.nc")
    ]


def with_emulated(catalog: Path, folder: Path, **settings: object) -> Path:
    """The catalogue with the source as EarthCARE would see it."""
    written = "".join(f", {key}: {value}" for key, value in settings.items())
    path = folder / f"emulated{len(written)}.yaml"
    ground = catalog.read_text().replace("reader:", "frequency_ghz: 95\n    reader:")
    emulate = f"emulate: {{of: {SOURCE}, sensor: earthcare, wind: 10{written}}}"
    path.write_text(f"{ground}  from_space:\n    {emulate}\n")
    return path


def test_emulated_source_is_made_of_the_files_of_its_ground_radar(
    catalog: Path, tmp_path: Path
) -> None:
    emulated, folder = with_emulated(catalog, tmp_path), tmp_path / "archive"
    report = ingest_days("from_space", DAYS[0], DAYS[1], emulated, folder)
    assert [change.outcome for change in report.changes.values()] == [Outcome.INGESTED] * 2
    archive = Archive(folder)
    curtain, record = archive.read_granule("from_space", DAYS[0])
    assert [file.name for file in record.files] == [f"{DAYS[0]:%Y%m%d}_radar.nc"]
    # Two hours at 10 m/s are 72 km of 144 profiles.
    assert curtain.sizes == {"time": 144, "height": 128}
    assert curtain.attrs["title"].startswith("Emulated EarthCARE CPR")
    assert curtain.attrs["emulated_from"] == "simulated radar"
    assert archive.days(SOURCE) == ()

    again = ingest_days("from_space", DAYS[0], DAYS[1], emulated, folder)
    assert {change.outcome for change in again.changes.values()} == {Outcome.UNCHANGED}
    other = with_emulated(catalog, tmp_path, seed=1)
    anew = ingest_days("from_space", DAYS[0], DAYS[0], other, folder)
    assert anew.changes[DAYS[0]].outcome is Outcome.REPLACED


def test_emulated_source_without_the_state_it_asks_for_is_rejected_with_the_reason(
    catalog: Path, tmp_path: Path
) -> None:
    path = with_state(catalog, tmp_path)
    report = ingest_days("from_space", DAYS[0], DAYS[0], path, tmp_path / "archive")
    ((_, _, reason),) = report.list_rejections()
    assert "'wind: state' needs a state" in reason


def with_state(catalog: Path, folder: Path) -> Path:
    """The catalogue with a source emulated with the wind of another one."""
    text = with_emulated(catalog, folder).read_text()
    text = text.replace("wind: 10}", "wind: state}\n    partners: {state: weather}")
    path = folder / "state.yaml"
    path.write_text(f"{text}  weather: {{directory: weather, files: '%Y%m%d.nc'}}\n")
    return path


def test_emulated_source_takes_the_wind_of_its_archived_state(
    catalog: Path, tmp_path: Path
) -> None:
    path, archive = with_state(catalog, tmp_path), Archive(tmp_path / "archive")
    shape = (25, 40)
    hours = np.datetime64(DAYS[0], "ns") + np.arange(25) * np.timedelta64(3599, "s")
    state = xr.Dataset(
        {
            name: (("time", "height"), np.full(shape, speed, dtype=np.float32))
            for name, speed in (("eastward_wind", 12.0), ("northward_wind", 16.0))
        },
        {
            "time": hours,
            "height": 250.0 * np.arange(40),
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 100.0,
        },
    )
    file = FileRecord(name="weather.nc", size=1, sha256="ab" * 32)
    archive.upsert("weather", DAYS[0], {file: state}, {})
    report = ingest_days("from_space", DAYS[0], DAYS[0], path, tmp_path / "archive")
    assert report.changes[DAYS[0]].outcome is Outcome.INGESTED
    curtain, _ = archive.read_granule("from_space", DAYS[0])
    # 20 m/s for two hours.
    assert curtain["along_track_distance"].values[-1] == pytest.approx(144_000, abs=500)


def test_emulated_source_takes_the_wind_of_an_archived_station(
    catalog: Path, tmp_path: Path
) -> None:
    text = with_emulated(catalog, tmp_path).read_text()
    text = text.replace("wind: 10}", "wind: station}\n    partners: {surface: [drops, mast]}")
    path = tmp_path / "station.yaml"
    others = "".join(
        f"  {name}: {{directory: x, files: '%Y%m%d.nc'}}\n" for name in ("drops", "mast")
    )
    path.write_text(text + others)
    archive = Archive(tmp_path / "archive")

    def put(speed: float) -> None:
        minutes = np.datetime64(DAYS[0], "ns") + np.arange(150) * np.timedelta64(60, "s")
        site = {"latitude": 48.7, "longitude": 2.2, "altitude": 100.0}
        for name, field in (("drops", "n_particles"), ("mast", "wind_speed")):
            values = {field: ("time", np.full(150, speed, dtype=np.float32))}
            series = xr.Dataset(values, {"time": minutes, **site})
            file = FileRecord(name="a.nc", size=1, sha256=f"{speed:.0f}")
            archive.upsert(name, DAYS[0], {file: series}, {})

    for speed, outcome in ((20, Outcome.INGESTED), (10, Outcome.REPLACED)):
        put(speed)
        report = ingest_days("from_space", DAYS[0], DAYS[0], path, tmp_path / "archive")
        assert report.changes[DAYS[0]].outcome is outcome
        curtain, _ = archive.read_granule("from_space", DAYS[0])
        # Two hours.
        expected = pytest.approx(7200 * speed, abs=500)
        assert curtain["along_track_distance"].values[-1] == expected
    again = ingest_days("from_space", DAYS[0], DAYS[0], path, tmp_path / "archive")
    assert again.changes[DAYS[0]].outcome is Outcome.UNCHANGED
