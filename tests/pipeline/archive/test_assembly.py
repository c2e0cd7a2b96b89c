"""From a source file to its share of a granule."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.assembly import (
    check_frequency,
    check_same_site,
    cut_granule,
    cut_outside,
    describe_address,
    describe_part,
    emulate_part,
    find_span,
    hold_position,
    make_part,
    reaches_into,
    read_native,
)
from blindzone.pipeline.catalog.catalog import Source, read_catalog
from blindzone.pipeline.catalog.emulated_entry import Emulation
from blindzone.pipeline.catalog.entry_parts import Position
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.curtains.findings import pick_findings, read_doubts, with_count, with_doubt

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
    found = describe_part(FILE, native, DAY)
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


def test_file_of_all_days_gives_each_its_own_and_is_rejected_where_it_has_none() -> None:
    native = make_profiles("2021-03-12T12:00", "2021-03-14T12:00", "2021-03-16T12:00")
    assert times_of(cut_granule(native, DAY, PATH, shared=True)) == ["2021-03-14T12:00"]
    with pytest.raises(SourceFileError, match=r"^station\.nc: it has no profile on 2021-03-15"):
        cut_granule(native, date(2021, 3, 15), PATH, shared=True)


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
    first = {FileRecord(name="first.nc", size=1, sha256=""): curtain}
    check_same_site(curtain, {}, PATH)
    check_same_site(curtain, first, PATH)
    with pytest.raises(
        SourceFileError, match=r"^station\.nc: its latitude is 50, that of first\.nc "
    ):
        check_same_site(curtain.assign_coords(latitude=50.0), first, PATH)


def at(latitude: float, longitude: float) -> xr.Dataset:
    """Returns a curtain of a fixed site."""
    return make_profiles("2021-03-14T00:00").assign_coords(latitude=latitude, longitude=longitude)


def test_file_elsewhere_than_the_catalogue_says_is_a_doubt_and_swapped_is_refused() -> None:
    position = Position(latitude=48.716, longitude=2.212)

    assert not hold_position(at(48.7, 2.2), position, PATH).attrs
    assert not hold_position(at(np.nan, np.nan), position, PATH).attrs
    assert not hold_position(at(48.7, 362.2), position, PATH).attrs
    doubts = read_doubts(hold_position(at(40.0, 2.2), position, PATH).attrs)
    assert doubts == (
        "its site is 40 N 2.2 E, the catalogue's 48.716 N 2.212 E; the file's is taken",
    )
    with pytest.raises(
        SourceFileError, match=r"station\.nc: .* latitude and longitude are swapped"
    ):
        hold_position(at(2.212, 48.716), position, PATH)


@pytest.mark.parametrize(("found", "stated"), [(94.0, 95.0), (None, 35.0), (35.0, None)])
def test_frequency_of_the_same_band_or_not_stated_is_right(
    found: float | None, stated: float | None, entry: Source
) -> None:
    attrs = {} if found is None else {"frequency_ghz": found}
    check_frequency(xr.Dataset(attrs=attrs), replace(entry, frequency_ghz=stated), PATH)


def test_radar_of_another_band_than_the_catalogue_says_is_refused(entry: Source) -> None:
    native = xr.Dataset(attrs={"frequency_ghz": 35.5})
    with pytest.raises(SourceFileError, match=r"35\.5 GHz, 'frequency_ghz' .* is 95; the same"):
        check_frequency(native, replace(entry, frequency_ghz=95.0), PATH)


def test_findings_are_in_the_record_and_not_in_the_part(
    simulated_file: Path, entry: Source
) -> None:
    native = read_native(simulated_file, entry)
    native = native.assign_attrs(with_doubt(with_count(native.attrs, "too fast", 3), "odd"))

    record = describe_part(FILE, native, DAY)

    assert (record.values_masked, record.doubts) == ({"too fast": 3}, ("odd",))
    assert record.findings == ["3 values masked: too fast", "doubtful: odd"]
    assert not pick_findings(make_part(native, entry, "here").attrs)


def test_file_of_a_ship_follows_the_one_that_is_nearest_in_time(curtain: xr.Dataset) -> None:
    track = np.linspace(10, 10.2, curtain.sizes["time"])
    at_sea = curtain.assign_coords(latitude=("time", track), longitude=("time", 0 * track))
    hours = [
        at_sea.assign_coords(
            time=at_sea["time"] + np.timedelta64(number, "h"), latitude=at_sea["latitude"] + number
        )
        for number in range(4)
    ]
    parts = {FileRecord(name=f"{number}.nc", size=1, sha256=""): hours[number] for number in (0, 2)}
    # 20 degrees in an hour, and back.
    check_same_site(hours[3], parts, PATH)
    far = hours[3].assign_coords(latitude=hours[3]["latitude"] + 20)
    with pytest.raises(SourceFileError, match=r"its position is 33\.0000.*that of 2\.nc 12\.2000"):
        check_same_site(far, parts, PATH)


def test_emulated_part_comes_after_the_quality_rules_of_the_ground_radar(
    entry: Source, simulated_file: Path
) -> None:
    native = read_native(simulated_file, entry)
    emulation = Emulation(of="simulated", sensor="cloudsat", wind=10)
    space = replace(
        entry,
        name="space",
        title="From space",
        instrument="",
        emulate=emulation,
        grid=emulation.spaceborne.grid,
    )
    strict = replace(entry, quality=replace(entry.quality, lowest_trusted_m=2000.0))
    part, high = (emulate_part(native, ground, space, "a day") for ground in (entry, strict))
    check_curtain(part)
    low = {"height": slice(300, 1700)}
    assert (part.sel(low)["detection_status"] == DetectionStatus.ECHO).any()
    assert (high.sel(low)["detection_status"] == DetectionStatus.UNTRUSTED).all()
    archived = make_part(part, space, "a day")
    assert archived.attrs["title"] == "From space (simulated, emulated)"
    assert archived.attrs["source"].startswith("emulated CloudSat CPR from")
    np.testing.assert_array_equal(archived["detection_status"], part["detection_status"])


def test_profiles_from_above_are_averaged_to_the_spacing_of_the_entry(
    entry: Source, simulated_file: Path
) -> None:
    native = read_native(simulated_file, entry).isel(time=slice(0, 240))
    along = 100.0 * np.arange(240)
    above = native.assign_coords(along_track_distance=("time", along))
    part = make_part(above, replace(entry, profile_spacing_m=1000.0), "here")
    check_curtain(part)
    assert part.sizes["time"] == 24  # 240 profiles stand for 24 km
    np.testing.assert_allclose(np.diff(part["along_track_distance"].values), 1000)
    with pytest.raises(CurtainError, match="profiles are 100 m apart"):
        make_part(above, replace(entry, profile_spacing_m=50.0), "here")
    with pytest.raises(CurtainError, match="none is right for a radar on the ground"):
        make_part(native, replace(entry, profile_spacing_m=1000.0), "here")


def test_swath_is_not_emulated(entry: Source, simulated_file: Path) -> None:
    native = read_native(simulated_file, entry)
    swath = xr.concat([native, native], dim="ray")
    space = replace(entry, emulate=Emulation(of="simulated", sensor="cloudsat"))
    with pytest.raises(CurtainError, match="reflectivity over"):
        emulate_part(swath, entry, space, "a granule")
