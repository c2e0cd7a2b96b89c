from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.flows.ingest import IngestError, ingest, ingest_days
from blindzone.pipeline.archive import Archive, Outcome
from blindzone.pipeline.errors import CatalogError
from blindzone.pipeline.netcdf import read_netcdf

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


@pytest.fixture
def two_files(simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Path]]:
    """A catalogue, and a day in two files of an hour each; undecoded, so that they can be written as they are."""
    folder = tmp_path / "data" / "halves"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BLINDZONE_DATA", str(folder.parent))
    whole = read_netcdf(simulated_days / SOURCE / "20000101_radar.nc")
    paths = [folder / f"20000101_{half}.nc" for half in (1, 2)]
    for half, path in enumerate(paths):
        whole.isel(time=slice(300 * half, 300 * (half + 1))).to_netcdf(path, engine="h5netcdf")
    catalog = tmp_path / "halves.yaml"
    catalog.write_text(
        "version: 1\nsources:\n  halves:\n    title: halves\n    directory: halves\n    site: none\n"
        "    instrument: none\n    reader: cloudnet_radar\n    files: '%Y%m%d_*.nc'\n"
    )
    return catalog, paths


def edit(path: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    changed = change(read_netcdf(path))
    path.unlink()
    changed.to_netcdf(path, engine="h5netcdf")


def test_files_of_one_day_are_joined(two_files: tuple[Path, list[Path]], tmp_path: Path) -> None:
    catalog, paths = two_files
    edit(paths[1], lambda raw: raw.assign(latitude=raw["latitude"] + np.float32(0.001)))  # as satellite receivers do
    report = ingest_days("halves", None, None, catalog, tmp_path / "archive")
    assert report.refusals == {}
    day = Archive(tmp_path / "archive").open_day("halves", date(2000, 1, 1))
    assert day.sizes["time"] == 600
    assert day["latitude"].item() == 50  # of the first file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.isel(range=slice(1, None)), "the files of one day must have the same gates"),
        (lambda raw: raw.drop_vars("v"), "the files of one day must hold the same"),
        (
            lambda raw: raw.assign(latitude=raw["latitude"] + np.float32(1)),
            r"its latitude is 51, that of 20000101_1\.nc 50",
        ),
    ],
    ids=["gates", "no velocity", "site"],
)
def test_files_of_one_day_that_do_not_fit_are_refused_by_name(
    change: Callable[[xr.Dataset], xr.Dataset], says: str, two_files: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    catalog, paths = two_files
    edit(paths[1], change)
    report = ingest_days("halves", None, None, catalog, tmp_path / "archive")
    (reason,) = report.refusals.values()
    assert re.match(rf"{paths[1]}: .*{says}", reason)


def test_unchanged_day_is_tidied_of_what_a_killed_ingest_left(catalog: Path, tmp_path: Path) -> None:
    day, archive = date(2000, 1, 1), tmp_path / "archive"
    ingest_days(SOURCE, day, day, catalog, archive)
    left = archive / SOURCE / "stores" / ".20000101-0123456789ab.00ff.partial"
    left.mkdir()
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
        (reason,) = ingest_days(SOURCE, day, day, catalog, tmp_path / "archive").refusals.values()
        assert says in reason
        assert path.name in reason
