"""From a source file to its share of a granule."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.assembly import (
    check_same_site,
    cut_granule,
    cut_outside,
    describe_address,
    describe_part,
    find_span,
    make_part,
    reaches_into,
    read_native,
)
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.curtains.curtain import check_curtain

DAY = date(2021, 3, 14)
PATH = Path("station.nc")
FILE = FileRecord(
    name="station.nc",
    size=1,
    sha256="aa",
    first_time="2021-03-13T23:50:00.000Z",
    last_time="2021-03-14T23:59:59.000Z",
)


def make_profiles(*times: str) -> xr.Dataset:
    return xr.Dataset(coords={"time": [np.datetime64(time, "ns") for time in times]})


def times_of(dataset: xr.Dataset) -> list[str]:
    return [str(time)[:16] for time in dataset["time"].values]


@pytest.fixture(scope="module")
def entry(catalog_file: Path) -> Source:
    """The catalogue's simulated source."""
    return read_catalog(catalog_file)["simulated"]


def test_file_is_described_by_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(b"echo")
    found = describe_address(path)
    assert (found.name, found.size) == ("a.nc", 4)
    assert found.sha256 == hashlib.sha256(b"echo").hexdigest()
    with pytest.raises(SourceFileError, match=r"missing\.nc: cannot be read: No such file"):
        describe_address(tmp_path / "missing.nc")


def test_simulated_file_becomes_a_gridded_part(simulated_file: Path, entry: Source) -> None:
    native = read_native(simulated_file, entry)
    part = make_part(native, entry, "here")
    check_curtain(part, where="here")
    assert part.sizes["time"] == native.sizes["time"]
    assert np.array_equal(part["height"].values, entry.grid.centres_m)
    assert part.attrs["site"] == entry.site


def test_part_is_described_by_its_times_and_reader() -> None:
    native = make_profiles("2021-03-14T00:00:00.0004", "2021-03-14T23:59:59").assign_attrs(
        reader="basta", file_uuid="12-34"
    )
    found = describe_part(FILE, native)
    assert (found.reader, found.uuid) == ("basta", "12-34")
    assert (found.first_time, found.last_time) == (
        "2021-03-14T00:00:00.000Z",
        "2021-03-14T23:59:59.000Z",
    )


def test_profiles_beyond_midnight_are_cut() -> None:
    native = make_profiles("2021-03-13T23:59", "2021-03-14T00:00", "2021-03-15T00:30")
    assert times_of(cut_granule(native, DAY, PATH)) == ["2021-03-14T00:00"]
    assert cut_granule(native, datetime(2021, 3, 14), PATH) is native


@pytest.mark.parametrize(
    "times",
    [("2021-03-14T12:00", "2021-03-15T01:01"), ("2021-03-15T00:10",)],
    ids=["more than an hour", "none on the day"],
)
def test_file_of_another_day_is_rejected_unless_it_reaches_in(times: tuple[str, ...]) -> None:
    native = make_profiles(*times)
    with pytest.raises(
        SourceFileError, match=rf"^station\.nc: 1 of {len(times)} profiles are outside the day"
    ):
        cut_granule(native, DAY, PATH)
    expected = [time for time in times if time.startswith("2021-03-14")]
    assert times_of(cut_granule(native, DAY, PATH, own=False)) == expected


def test_file_reaches_into_the_days_of_its_time_range() -> None:
    days = [date(2021, 3, number) for number in (12, 13, 14, 15)]
    assert [reaches_into(FILE, day) for day in days] == [False, True, True, False]
    assert not reaches_into(FileRecord(name="unread.nc", size=1, sha256="aa"), DAY)


def test_span_of_a_day_leaves_out_files_that_reach_in(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    parts = {FILE: make_profiles("2021-03-14T00:00")}
    assert find_span(archive, "station", DAY, parts, {FILE.name}) is None
    assert find_span(archive, "station", DAY, parts, set()) == (
        np.datetime64("2021-03-13T23:50:00.000"),
        np.datetime64("2021-03-14T23:59:59.000"),
    )


def test_profiles_outside_a_span_are_kept_without_its_ends() -> None:
    part = make_profiles("2021-03-14T00:00", "2021-03-14T01:00", "2021-03-14T02:00")
    ends = np.datetime64("2021-03-14T01:00"), np.datetime64("2021-03-14T01:30")
    assert times_of(cut_outside(part, ends)) == ["2021-03-14T00:00", "2021-03-14T02:00"]
    assert cut_outside(part, None) is part


def test_files_of_one_day_have_one_site(curtain: xr.Dataset) -> None:
    check_same_site(curtain, curtain, PATH, "first.nc")
    with pytest.raises(SourceFileError, match=r"^station\.nc: its latitude is 50, that of first"):
        check_same_site(curtain.assign_coords(latitude=50.0), curtain, PATH, "first.nc")
