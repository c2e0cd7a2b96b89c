"""Reading from the archive: ranges, records, and errors with their place."""

from __future__ import annotations

import errno
import os
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, DamagedError, UnwritableError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.reading import guard, reading

DAY = date(2021, 3, 14)
DAYS = tuple(DAY + timedelta(days=number) for number in range(3))
FILE = FileRecord(name="20210314_station.nc", size=12, sha256="ab" * 32)


@pytest.fixture
def archive(tmp_path: Path, curtain: xr.Dataset) -> Archive:
    """An archive of three days."""
    filled = Archive(tmp_path)
    for number, day in enumerate(DAYS):
        moved = curtain.assign_coords(time=curtain["time"] + (number * 86_400 * 10**9))
        filled.upsert("station", day, {FILE: moved}, {})
    return filled


def test_days_of_a_range_include_both_ends(archive: Archive) -> None:
    assert archive.days_between("station") == DAYS
    assert archive.days_between("station", DAYS[1]) == DAYS[1:]
    assert archive.days_between("station", None, DAYS[1]) == DAYS[:2]
    with pytest.raises(ArchiveError, match=r"no station for 2022-01-01 .*; it holds 3 days"):
        archive.days_between("station", date(2022, 1, 1))


def test_archived_granules_are_found_in_the_order_asked(archive: Archive) -> None:
    asked = [DAYS[2], date(2020, 1, 1), DAYS[0], datetime(2021, 3, 14, 1)]
    assert archive.find_archived("station", asked) == (DAYS[2], DAYS[0])


def test_record_of_another_day_is_damage(archive: Archive) -> None:
    ledger = Path(archive.root) / "station" / "ledger"
    (ledger / "20210315.json").write_text((ledger / "20210314.json").read_text())
    with pytest.raises(DamagedError, match=r"it is that of station 2021-03-14"):
        archive.record("station", DAYS[1])
    records, faults = archive.read_records("station")
    assert set(records) == {DAYS[0], DAYS[2]}
    assert set(faults) == {DAYS[1]}


def test_variables_of_a_range_can_be_chosen_and_must_exist(archive: Archive) -> None:
    joined = archive.open_range("station", variables=("reflectivity",))
    assert set(joined.data_vars) == {"reflectivity"}
    assert joined.sizes["time"] == sum(archive.record("station", day).profiles for day in DAYS)
    with pytest.raises(ArchiveError, match="station 2021-03-14 has no colour; it has"):
        archive.open_range("station", variables=("colour",))


def test_store_that_is_cut_short_is_not_whole(archive: Archive) -> None:
    record, store = archive.record("station", DAY), archive.store_path("station", DAY)
    assert archive.is_whole(record)
    chunk = next(path for path in store.rglob("*") if path.is_file() and path.stat().st_size > 9)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert not archive.is_whole(record)
    with pytest.raises(DamagedError, match="gone, or not whole; ingest 2021-03-14 of station"):
        archive.open_day("station", DAY)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOTDIR])
def test_a_place_without_permission_or_space_is_unwritable(number: int) -> None:
    with (
        pytest.raises(UnwritableError, match=r"^here: cannot be written: .*free space is right"),
        guard("here", "written"),
    ):
        raise OSError(number, os.strerror(number))


def test_other_errors_are_of_the_granule_alone() -> None:
    for what, number in (("written", errno.EIO), ("read", errno.EACCES)):
        with (
            pytest.raises(ArchiveError, match=f"^here: cannot be {what}") as caught,
            guard("here", what),
        ):
            raise OSError(number, os.strerror(number))
        assert not isinstance(caught.value, UnwritableError)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(ValueError("checksum"), DamagedError), (PermissionError("no"), ArchiveError)],
)
def test_damage_differs_from_a_place_that_cannot_be_reached(
    raised: Exception, expected: type[ArchiveError]
) -> None:
    with pytest.raises(ArchiveError, match=r"^here: ") as caught, reading("here"):
        raise raised
    assert type(caught.value) is expected
