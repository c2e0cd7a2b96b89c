from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
from flow_calls import ingest_days, plan_ingest
from mounting import mounting

from blindzone.core.errors import ArchiveError, CatalogError, PlanError, UnwritableError
from blindzone.flows.ingest import IngestError, ingest
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.archive.recording import check_rays
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.readers._netcdf import read_netcdf

SOURCE = "short_days"


def test_ingest_archives_every_day_and_leaves_unchanged_days_alone(
    catalog: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    first = ingest.fn(plan_ingest(SOURCE, catalog=catalog, archive=archive))
    again = ingest.fn(plan_ingest(SOURCE, catalog=catalog, archive=archive))

    assert set(first.outcomes.values()) == {Outcome.INGESTED}
    assert set(again.outcomes.values()) == {Outcome.UNCHANGED}
    assert Archive(archive).days(SOURCE) == (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
    with xr.open_zarr(
        Archive(archive).store_path(SOURCE, date(2000, 1, 1)), consolidated=False
    ) as day:
        assert day.sizes == {"time": 600, "height": 128}  # two hours of 12 s


def test_range_takes_both_ends(catalog: Path, tmp_path: Path) -> None:
    report = ingest_days(SOURCE, date(2000, 1, 2), date(2000, 1, 3), catalog, tmp_path / "archive")

    assert list(report.outcomes) == [date(2000, 1, 2), date(2000, 1, 3)]


def test_range_without_files_says_which_days_there_are(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="holds 2000-01-01 to 2000-01-03"):
        ingest_days(SOURCE, date(2001, 1, 1), None, catalog, tmp_path / "archive")


def test_range_that_ends_before_it_starts_is_an_error(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="start must not be after end"):
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
        ingest.fn(plan_ingest(SOURCE, catalog=catalog, archive=tmp_path / "archive"))

    assert Archive(tmp_path / "archive").days(SOURCE) == (date(2000, 1, 1), date(2000, 1, 3))


def test_an_archive_that_cannot_be_written_ends_the_ingest_with_one_error(
    catalog: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    archive = tmp_path / "file" / "archive"
    with pytest.raises(UnwritableError, match=r"cannot be locked: .*Not a directory") as caught:
        ingest.fn(plan_ingest(SOURCE, catalog=catalog, archive=archive))
    assert str(caught.value).count("cannot be") == 1  # and not one error for each of the days


def test_an_archive_mounted_read_only_ends_the_ingest_with_one_error(
    catalog: Path, tmp_path: Path
) -> None:
    with mounting(tmp_path) as call:
        place = call("-t", "tmpfs", "-o", "ro", "none")
        with pytest.raises(UnwritableError, match=r"Read-only file system.*write permission"):
            ingest_days(SOURCE, None, None, catalog, place)


@pytest.mark.parametrize("folder", ["", SOURCE, f"{SOURCE}/ledger", f"{SOURCE}/stores"])
def test_a_file_in_place_of_a_folder_of_the_archive_ends_the_ingest_with_one_error(
    catalog: Path, tmp_path: Path, folder: str
) -> None:
    place = tmp_path / "archive" / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    with pytest.raises(UnwritableError) as caught:
        ingest_days(SOURCE, None, None, catalog, tmp_path / "archive")
    assert str(caught.value).count("cannot be") == 1
    assert place.read_text() == "in the way"


@pytest.mark.parametrize("unit", ["folder", "record"])
def test_archive_that_cannot_be_read_is_one_error_and_a_record_one_days(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    ingest_days(SOURCE, None, None, catalog, tmp_path / "archive")
    read = LocalStorage.read_texts

    def refuse(storage: LocalStorage, names: Sequence[str]) -> dict[str, str]:
        if unit == "folder" or f"{SOURCE}/ledger/20000102.json" in names:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(storage, names)

    monkeypatch.setattr(LocalStorage, "read_texts", refuse)
    if unit == "folder":
        with pytest.raises(ArchiveError, match=r"cannot be read: .*Permission denied"):
            ingest_days(SOURCE, None, None, catalog, tmp_path / "archive")
    else:
        report = ingest_days(SOURCE, None, None, catalog, tmp_path / "archive")
        assert list(report.rejections) == [date(2000, 1, 2)]


@pytest.mark.parametrize("kind", ["", ".absent"])
def test_folder_in_place_of_a_record_costs_its_own_day(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The first day's file comes last: its heights are compared with a day that can be read.
    folder, archive = tmp_path / "data", tmp_path / "archive"
    shutil.copytree(simulated_days, folder)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder))
    (folder / SOURCE / "20000102_radar.nc").rename(tmp_path / "late.nc")
    (archive / SOURCE / "ledger" / f"20000102{kind}.json").mkdir(parents=True)
    report = ingest_days(SOURCE, None, None, catalog, archive)
    assert report.missing == (date(2000, 1, 2),)
    assert not report.rejections
    (tmp_path / "late.nc").rename(folder / SOURCE / "20000102_radar.nc")
    report = ingest_days(SOURCE, None, None, catalog, archive)
    days = [date(2000, 1, 1), date(2000, 1, 3)]
    assert {report.outcomes[day] for day in days} == {Outcome.UNCHANGED}
    records, faults = Archive(archive).read_records(SOURCE)
    if kind:
        assert not report.rejections
        assert set(records) == {date(2000, 1, 2), *days}
    else:
        ((day, _, reason),) = report.list_rejections()
        assert day == date(2000, 1, 2)
        assert "20000102.json: cannot be read: [Errno 21] Is a directory" in reason
        assert set(records) == set(days)
        assert set(faults) == {day}


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
    assert refused.outcomes[day] is Outcome.REJECTED
    xr.testing.assert_identical(Archive(archive).open_day(SOURCE, day).load(), held)

    shutil.copy(folder / SOURCE / "20000102_radar.nc", path)  # a readable file of another day
    wrong_day = ingest_days(SOURCE, day, day, catalog, archive)
    assert "are outside the day" in wrong_day.rejections[day][path.name]
    xr.testing.assert_identical(Archive(archive).open_day(SOURCE, day).load(), held)


def test_archived_simulated_day_says_so_in_title_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("""
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
""")
    report = ingest_days("generated", None, None, catalog, tmp_path / "archive")

    day = Archive(tmp_path / "archive").open_day("generated", date(2000, 1, 1))
    assert report.outcomes == {date(2000, 1, 1): Outcome.INGESTED}
    assert "simulated" in day.attrs["title"]
    assert "simulated" in day.attrs["source"]


@pytest.fixture
def two_files(
    simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[Path]]:
    """A catalogue, and a day in two files of an hour each; undecoded, to be written as they are."""
    folder = tmp_path / "data" / "halves"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder.parent))
    whole = read_netcdf(simulated_days / SOURCE / "20000101_radar.nc")
    paths = [folder / f"20000101_{half}.nc" for half in (1, 2)]
    for half, path in enumerate(paths):
        whole.isel(time=slice(300 * half, 300 * (half + 1))).to_netcdf(path, engine="h5netcdf")
    catalog = tmp_path / "halves.yaml"
    catalog.write_text(
        "version: 1\nsources:\n  halves:\n    title: halves\n    directory: halves\n    site:"
        " none\n    instrument: none\n    reader: cloudnet_radar\n    files: '%Y%m%d_*.nc'\n"
    )
    return catalog, paths


def edit(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    changed = change(read_netcdf(path))
    path.unlink()
    changed.to_netcdf(path, engine="h5netcdf")


def test_files_of_one_day_are_joined(two_files: tuple[Path, list[Path]], tmp_path: Path) -> None:
    catalog, paths = two_files
    edit(
        paths[1], lambda raw: raw.assign(latitude=raw["latitude"] + np.float32(0.001))
    )  # as satellite receivers do
    report = ingest_days("halves", None, None, catalog, tmp_path / "archive")
    assert report.rejections == {}
    day = Archive(tmp_path / "archive").open_day("halves", date(2000, 1, 1))
    assert day.sizes["time"] == 600
    assert day["latitude"].item() == 50  # of the first file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda raw: raw.assign(latitude=raw["latitude"] + np.float32(1)),
            r"its latitude is 51, that of 20000101_1\.nc 50",
        ),
    ],
    ids=["site"],
)
def test_files_of_one_day_that_do_not_fit_are_refused_by_name(
    change: Callable[[xr.Dataset], xr.Dataset],
    says: str,
    two_files: tuple[Path, list[Path]],
    tmp_path: Path,
) -> None:
    catalog, paths = two_files
    edit(paths[1], change)
    report = ingest_days("halves", None, None, catalog, tmp_path / "archive")
    assert report.outcomes == {date(2000, 1, 1): Outcome.INGESTED}  # what the other file holds
    assert re.match(rf"{paths[1]}: .*{says}", report.rejections[date(2000, 1, 1)][paths[1].name])


def test_unchanged_day_is_tidied_of_what_a_killed_ingest_left(
    catalog: Path, tmp_path: Path
) -> None:
    day, archive = date(2000, 1, 1), tmp_path / "archive"
    ingest_days(SOURCE, day, day, catalog, archive)
    left = archive / SOURCE / "stores" / ".20000101-0123456789ab.00ff.partial"
    left.mkdir()
    (archive / SOURCE / ".lock").touch()  # a killed ingest leaves its lock, too
    assert ingest_days(SOURCE, day, day, catalog, archive).outcomes == {day: Outcome.UNCHANGED}
    assert not left.exists()


def test_refusal_by_any_step_names_the_files(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(simulated_days, tmp_path / "data")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    day, path = date(2000, 1, 1), tmp_path / "data" / SOURCE / "20000101_radar.nc"
    for change, says in (
        (lambda raw: raw.isel(range=slice(9)), "the gates end at"),
        (lambda raw: raw.assign(Zh=xr.full_like(raw["Zh"], np.nan)), "no reflectivity in any of"),
    ):
        shutil.copy(simulated_days / SOURCE / path.name, path)
        edit(path, change)
        reason = ingest_days(SOURCE, day, day, catalog, tmp_path / "archive").rejections[day][
            path.name
        ]
        assert says in reason
        assert path.name in reason


def test_file_that_was_moved_away_keeps_its_profiles_when_another_arrives(
    two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    later = paths[1].rename(tmp_path / "later.nc")
    archive, day = Archive(tmp_path / "archive"), date(2000, 1, 1)
    first = ingest_days("halves", None, None, catalog, archive.root)
    paths[0].unlink()
    later.rename(paths[1])
    second = ingest_days("halves", None, None, catalog, archive.root)

    assert (first.changes[day].added, first.changes[day].kept) == (300, 0)
    assert second.changes[day].outcome is Outcome.UPDATED
    assert (second.changes[day].added, second.changes[day].replaced, second.changes[day].kept) == (
        300,
        0,
        300,
    )
    with archive.open_day("halves", day) as held:
        assert held.sizes["time"] == 600
        assert held["source_file"].values.tolist() == [0] * 300 + [1] * 300


def test_newer_version_of_one_file_replaces_its_profiles_alone(
    two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    archive, day = Archive(tmp_path / "archive"), date(2000, 1, 1)
    ingest_days("halves", None, None, catalog, archive.root)
    before = archive.open_day("halves", day).load()
    edit(
        paths[1],
        lambda raw: raw.assign(Zh=raw["Zh"].where(raw["Zh"] > 1e30, raw["Zh"] + np.float32(3))),
    )
    change = ingest_days("halves", None, None, catalog, archive.root).changes[day]

    assert (change.outcome, change.added, change.replaced, change.kept) == (
        Outcome.UPDATED,
        0,
        300,
        300,
    )
    after = archive.open_day("halves", day).load()
    xr.testing.assert_identical(after.isel(time=slice(300)), before.isel(time=slice(300)))
    louder = (after["reflectivity"] - before["reflectivity"]).values[300:]
    np.testing.assert_allclose(
        louder[np.isfinite(louder)], 3, atol=1e-4
    )  # the mean of gates 3 dB louder is so too


def test_bad_file_of_a_day_is_set_aside_alone_and_noted_in_the_ledger(
    two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    paths[1].write_bytes(paths[1].read_bytes()[:5000])
    archive, day = Archive(tmp_path / "archive"), date(2000, 1, 1)
    with pytest.raises(IngestError, match=r"20000101_2\.nc: cannot be read as netCDF") as caught:
        ingest.fn(plan_ingest("halves", catalog=catalog, archive=archive.root))

    assert caught.value.report.outcomes == {day: Outcome.INGESTED}
    assert archive.open_day("halves", day).sizes["time"] == 300
    notes = {file.name: (file.verdict, file.reason) for file in archive.record("halves", day).files}
    assert notes[paths[0].name] == ("ingested", "")
    assert notes[paths[1].name][0] == "refused"
    assert "cannot be read as netCDF" in notes[paths[1].name][1]


def test_missing_and_refused_days_are_in_the_ledger_until_they_are_held(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(simulated_days, folder)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder))
    second, third = (folder / SOURCE / f"2000010{day}_radar.nc" for day in (2, 3))
    second.rename(tmp_path / "second.nc")
    content = third.read_bytes()
    third.write_bytes(content[:5000])
    archive = Archive(tmp_path / "archive")
    report = ingest_days(SOURCE, None, None, catalog, archive.root)

    assert report.missing == (date(2000, 1, 2),)
    absent = {record.day: record for record in archive.absent(SOURCE)}
    assert {day: str(record.verdict) for day, record in absent.items()} == {
        date(2000, 1, 2): "missing",
        date(2000, 1, 3): "refused",
    }
    assert "cannot be read as netCDF" in absent[date(2000, 1, 3)].files[0].reason

    (tmp_path / "second.nc").rename(second)
    third.write_bytes(content)
    ingest_days(SOURCE, None, None, catalog, archive.root)
    assert archive.absent(SOURCE) == ()
    assert len(archive.days(SOURCE)) == 3


@pytest.fixture
def over_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of a source whose first day's last file reaches 10 minutes into the next day.

    MRR-like files, in the layout of IMProToo: a profile a minute, 23:30 to 00:09, named by their
    first day.
    """
    folder = tmp_path / "data" / "mrr"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder.parent))
    write_improtoo(folder / "20000101_2330.nc", np.datetime64("2000-01-01T23:30"), 40)
    catalog = tmp_path / "mrr.yaml"
    catalog.write_text(
        "version: 1\nsources:\n  mrr:\n    title: mrr\n    directory: mrr\n    site: none\n   "
        " instrument: none\n    reader: mrr\n    files: '%Y%m%d_*.nc'\n    grid: {rows: 16,"
        " row_depth_m: 50}\n"
    )
    return catalog


def write_improtoo(path: Path, start: np.datetime64, profiles: int) -> None:
    seconds = (start - np.datetime64("1970-01-01")) / np.timedelta64(1, "s") + 60.0 * np.arange(
        profiles
    )
    heights = np.tile(np.float32(50) * np.arange(1, 21, dtype=np.float32), (profiles, 1))
    reflectivity = 5 - heights / np.float32(1000)  # one value everywhere would be no measurement
    xr.Dataset(
        {
            "Ze": (("time", "range"), reflectivity, {"units": "dBz"}),
            "W": (("time", "range"), np.full(heights.shape, 2, np.float32), {"units": "m/s"}),
            "height": (("time", "range"), heights, {"units": "m"}),
        },
        {"time": ("time", seconds.astype(np.int64))},
    ).to_netcdf(path, engine="h5netcdf")


def test_file_that_reaches_over_midnight_gives_each_day_its_profiles(
    over_midnight: Path, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "archive")
    report = ingest_days("mrr", None, None, over_midnight, archive.root)
    assert report.outcomes == {
        date(2000, 1, 1): Outcome.INGESTED,
        date(2000, 1, 2): Outcome.INGESTED,
    }
    # Of 40 profiles from 23:30 on, 30 lie before midnight.
    assert [archive.open_day("mrr", day).sizes["time"] for day in archive.days("mrr")] == [30, 10]
    again = ingest_days("mrr", None, None, over_midnight, archive.root)
    assert set(again.outcomes.values()) == {Outcome.UNCHANGED}


def test_dropped_profiles_of_a_file_over_midnight_count_once_on_their_own_day(
    over_midnight: Path, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "mrr" / "20000101_2330.nc"
    with xr.open_dataset(path, decode_times=False) as file:
        changed = file.load()
    seconds = changed["time"].values.copy()
    seconds[[5, 33, 36]] = seconds[[4, 32, 35]]  # one repeated before midnight, two after
    changed.assign_coords(time=("time", seconds)).to_netcdf(path, engine="h5netcdf")
    archive = Archive(tmp_path / "archive")
    report = ingest_days("mrr", None, None, over_midnight, archive.root)
    files = [archive.record("mrr", day).files[0] for day in archive.days("mrr")]
    reason = "at the time of another"
    assert [file.profiles_dropped for file in files] == [{reason: 1}, {reason: 2}]
    assert report.summary().endswith("; 3 profiles left out of files")


def test_files_of_the_day_itself_come_before_what_reaches_into_it(
    over_midnight: Path, tmp_path: Path
) -> None:
    own = tmp_path / "data" / "mrr" / "20000102_0005.nc"
    write_improtoo(own, np.datetime64("2000-01-02T00:05"), 40)
    archive = Archive(tmp_path / "archive")
    ingest_days("mrr", None, None, over_midnight, archive.root)
    with archive.open_day("mrr", date(2000, 1, 2)) as day:
        names = [file.name for file in archive.record("mrr", date(2000, 1, 2)).files]
        # 00:00 to 00:04 only the earlier file has; from 00:05 on its own file holds.
        assert [names[number] for number in day["source_file"].values] == [
            "20000101_2330.nc"
        ] * 5 + [own.name] * 40


def test_killed_between_two_days_of_one_file_is_carried_on(
    over_midnight: Path, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "archive")
    ingest_days(
        "mrr", date(2000, 1, 1), date(2000, 1, 1), over_midnight, archive.root
    )  # as if killed after the first
    assert archive.days("mrr") == (date(2000, 1, 1),)
    ingest_days("mrr", None, None, over_midnight, archive.root)
    assert archive.days("mrr") == (date(2000, 1, 1), date(2000, 1, 2))


def test_changed_rules_make_a_day_anew_unless_a_file_of_it_is_gone(
    two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    archive, day = Archive(tmp_path / "archive"), date(2000, 1, 1)
    ingest_days("halves", None, None, catalog, archive.root)
    catalog.write_text(catalog.read_text() + "    quality: {lowest_trusted_m: 300}\n")
    change = ingest_days("halves", None, None, catalog, archive.root).changes[day]
    assert (change.outcome, change.replaced) == (Outcome.REPLACED, 600)

    held = archive.open_day("halves", day).load()
    paths[0].unlink()
    catalog.write_text(catalog.read_text().replace("300}", "400}"))
    report = ingest_days("halves", None, None, catalog, archive.root)
    assert report.outcomes == {day: Outcome.REJECTED}
    assert "20000101_1.nc" in str(report.rejections)
    xr.testing.assert_identical(archive.open_day("halves", day).load(), held)


def test_files_and_archive_may_lie_behind_urls(
    two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    files = fsspec.filesystem("memory")
    for path in paths:
        files.pipe(f"/ingest-url/{path.name}", path.read_bytes())
    catalog.write_text(
        catalog.read_text().replace("directory: halves", "directory: memory://ingest-url")
    )
    archive = "memory://ingest-url-archive"
    first = ingest_days("halves", None, None, catalog, archive)
    again = ingest_days("halves", None, None, catalog, archive)
    assert first.outcomes == {date(2000, 1, 1): Outcome.INGESTED}
    assert again.outcomes == {date(2000, 1, 1): Outcome.UNCHANGED}
    assert Archive(archive).open_day("halves", date(2000, 1, 1)).load().sizes["time"] == 600


EMULATED = (
    "palaiseau_as_cloudsat",
    *(
        pytest.param(name, marks=pytest.mark.soak)
        for name in (
            "palaiseau_as_earthcare",
            "palaiseau_as_cloudsat_drawn",
            "palaiseau_as_earthcare_drawn",
        )
    ),
)


def ingest_first(
    name: str, measured_directory: Path, catalog_file: Path, archive: Path
) -> xr.Dataset:
    """Ingests the first day or granule of a source, checks it and returns it."""
    source = read_catalog(catalog_file)[name]
    first = next(iter(source.find_days(measured_directory)))
    day = first.date() if isinstance(first, datetime) else first
    report = ingest_days(name, day, day, catalog_file, archive)
    assert report.rejections == {}, name
    assert set(report.outcomes.values()) == {Outcome.INGESTED}
    found = Archive(archive).open_day(name, first).load()
    check_rays(found, name)
    return found


@pytest.mark.parametrize("name", EMULATED)
def test_emulated_source_is_ingested(
    name: str,
    measured_directory: Path,
    catalog_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(measured_directory))
    found = ingest_first(name, measured_directory, catalog_file, tmp_path)
    assert "along_track_distance" in found.coords


def test_every_measured_set_of_the_catalogue_is_ingested(
    measured_directory: Path, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(measured_directory))
    found = {
        name: ingest_first(name, measured_directory, catalog_file, tmp_path)
        for name, source in read_catalog(catalog_file).items()
        if source.simulation is None
        and source.emulate is None
        and (measured_directory / source.directory).is_dir()
    }
    assert {"reflectivity", "attenuated_backscatter", "temperature", "eastward_wind"} <= set(
        found["cabauw_categorize"].data_vars
    )
    tops = found["gpm_dpr_ku"]["blind_zone_top"].values
    assert tops.shape == (49, 136)
    # The lowest clutter-free bin lies 5 to 21 bins of 125 m above the surface (less, along a
    # slanted ray).
    assert 500 < np.nanmin(tops) < np.nanmax(tops) < 21.5 * 125
