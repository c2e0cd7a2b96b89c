"""Exported curtains: CF netCDF that xarray and the compliance checker take, whole or none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from compliance_checker.runner import CheckSuite

from blindzone.core.errors import ArchiveError, LockedError, ProductError
from blindzone.pipeline.archive import Archive, FileRecord, exporting
from blindzone.pipeline.archive.exporting import export_days
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.curtains.cf import check_cf

DAY, NEXT_DAY = date(2021, 3, 14), date(2021, 3, 15)
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32, uuid="1234")
LATE = FileRecord(name="b.nc", size=12, sha256="cd" * 32, uuid="5678")

MakeCurtain = Callable[..., xr.Dataset]


@pytest.fixture
def flagged(curtain: xr.Dataset) -> xr.Dataset:
    flags = np.arange(300 * 16).reshape(300, 16).astype(np.uint8)
    return curtain.assign(quality_flags=(("time", "height"), flags))


@pytest.fixture
def archive(tmp_path: Path, flagged: xr.Dataset) -> Archive:
    archive = Archive(tmp_path / "archive")
    described = flagged.assign_attrs(
        title="Cloud radar of the station",
        source="cloud radar",
        references="https://doi.org/10.21105/joss.02123",
    )
    archive.upsert("station", DAY, {FILE: described.isel(time=slice(0, 200))}, {"reader": "r"})
    archive.upsert("station", DAY, {LATE: described.isel(time=slice(200, None))}, {"reader": "r"})
    shifted = described.assign_coords(time=described["time"] + np.timedelta64(1, "D"))
    archive.upsert("station", NEXT_DAY, {FILE: shifted}, {"reader": "r"})
    return archive


def test_netcdf_holds_every_bit_with_flags_in_their_own_types(
    archive: Archive, flagged: xr.Dataset, tmp_path: Path
) -> None:
    paths = export_days(archive, "station", DAY, NEXT_DAY, tmp_path / "out")
    assert [path.name for path in paths] == ["station_20210314.nc", "station_20210315.nc"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        path.name for path in paths
    ]
    with xr.open_dataset(paths[0], engine="h5netcdf") as found:
        for name in flagged.data_vars:
            assert found[name].dtype == flagged[name].dtype
            assert found[name].values.tobytes() == flagged[name].values.tobytes()
        assert found["detection_status"].attrs["flag_values"].dtype == np.int8
        assert found["quality_flags"].attrs["flag_masks"].dtype == np.uint8
        assert found["source_file"].values.tolist() == [0] * 200 + [1] * 100
        assert (
            found.attrs["source_files"] == f"0: a.nc sha256:{'ab' * 32}; 1: b.nc sha256:{'cd' * 32}"
        )
        assert found.attrs["source_file_uuids"] == "1234; 5678"
        assert found.attrs["title"] == "Cloud radar of the station"
        check_cf(found)


@pytest.mark.parametrize("checker", ["cf:1.11", "acdd:1.3"])
def test_compliance_checker_has_no_finding(checker: str, archive: Archive, tmp_path: Path) -> None:
    (path,) = export_days(archive, "station", DAY, DAY, tmp_path / "out")
    suite = CheckSuite()
    suite.load_all_available_checkers()
    dataset = suite.load_dataset(str(path))
    results, errors = suite.run_all(dataset, [checker])[checker]
    dataset.close()
    assert not errors
    faults = [
        f"{result.name}: {result.msgs}" for result in results if not has_full_score(result.value)
    ]
    assert faults == []


def has_full_score(value: object) -> bool:
    return value[0] == value[1] if isinstance(value, tuple) else bool(value)


def test_zarr_export_opens_plainly_and_replaces_an_earlier_one(
    archive: Archive, flagged: xr.Dataset, tmp_path: Path
) -> None:
    for _ in range(2):
        (path,) = export_days(archive, "station", DAY, DAY, tmp_path / "out", "zarr")
        assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["station_20210314.zarr"]
        with xr.open_zarr(path, consolidated=False, chunks=None) as found:
            assert (
                found["reflectivity"].values.tobytes() == flagged["reflectivity"].values.tobytes()
            )


def test_simulated_curtain_is_said_to_be_none_measured(archive: Archive, tmp_path: Path) -> None:
    (path,) = export_days(archive, "station", DAY, DAY, tmp_path / "out", simulated=True)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert (
            found["reflectivity"].attrs["long_name"] == "simulated equivalent reflectivity factor"
        )
        assert found["reflectivity"].attrs["coverage_content_type"] == "modelResult"


def test_swath_is_exported_as_it_is(tmp_path: Path, make_curtain: MakeCurtain) -> None:
    rays = [make_curtain(seed=seed, profiles=20) for seed in range(3)]
    swath = xr.concat(rays, dim="ray", coords="minimal", compat="override")
    archive = Archive(tmp_path / "archive")
    archive.upsert("gpm", datetime(2021, 3, 14, 9, 50), {FILE: swath}, {})
    (path,) = export_days(archive, "gpm", DAY, DAY, tmp_path / "out")
    assert path.name == "gpm_20210314T095000.nc"
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found["reflectivity"].dims == ("ray", "time", "height")
        assert found["reflectivity"].values.tobytes() == swath["reflectivity"].values.tobytes()


def test_range_that_is_not_held_and_unknown_format_are_refused(
    archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(
        ArchiveError, match="no station for 2021-04-01 to 2021-04-02; it holds 2 days"
    ):
        export_days(archive, "station", date(2021, 4, 1), date(2021, 4, 2), tmp_path)
    with pytest.raises(ArchiveError, match="unknown format 'grib'; netcdf or zarr is right"):
        export_days(archive, "station", DAY, DAY, tmp_path, "grib")  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", ["netcdf", "zarr"])
def test_place_that_cannot_be_written_is_refused_and_nothing_is_left(
    format_: str, archive: Archive, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(ProductError, match=r"station_20210314\.(nc|zarr): cannot be written"):
        export_days(archive, "station", DAY, DAY, blocked, format_)  # type: ignore[arg-type]
    assert blocked.read_text() == "no folder"


@pytest.mark.parametrize("format_", ["netcdf", "zarr"])
def test_next_export_removes_what_a_killed_one_left(
    format_: Any, archive: Archive, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (path,) = export_days(archive, "station", DAY, DAY, out, format_)
    left, other = "0123456789abcdef" * 2, "0123456789abcdee" * 2
    for name in (f".{path.stem}.{left}.old", f".{path.stem}.{left}.zarr"):
        (out / name).mkdir()
    (out / f"..{path.stem}.{left}.{other}.partial").mkdir()
    (out / f".{path.stem}.{left}.nc").write_text("half")
    (out / f".{path.name}.lock").touch()  # its holder is dead
    mine = [out / f".station_20210315.{left}.old", out / ".station_20210314.notes.old"]
    for folder in mine:
        folder.mkdir()
    export_days(archive, "station", DAY, DAY, out, format_)
    assert sorted(out.iterdir()) == sorted([path, *mine])


def test_store_of_an_export_killed_between_its_renames_comes_back(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A further export that fails, too, must not cost the earlier store."""
    out = tmp_path / "out"
    (path,) = export_days(archive, "station", DAY, DAY, out, "zarr")
    path.rename(out / f".{path.stem}.{'0f' * 16}.old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStorage, "write_folder", refuse)
    with pytest.raises(ProductError, match="No space left on device"):
        export_days(archive, "station", DAY, DAY, out, "zarr")
    assert list(out.iterdir()) == [path]


def test_export_leaves_alone_what_another_one_is_writing(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LOCK_WAIT_S", 0.1)
    out = tmp_path / "out"
    out.mkdir()
    at_work = out / f".station_20210314.{'0f' * 16}.zarr"
    at_work.mkdir()
    with (
        LocalStorage(out).lock(".station_20210314.zarr.lock", 0),
        pytest.raises(LockedError, match="another export has been writing it"),
    ):
        export_days(archive, "station", DAY, DAY, out, "zarr")
    assert at_work.exists()
