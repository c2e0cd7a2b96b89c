"""Records of granules and their files, and checks of files before they are merged."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, CurtainError
from blindzone.pipeline.archive.ledger import DayRecord, FileRecord, Verdict
from blindzone.pipeline.archive.merging import merge_files
from blindzone.pipeline.archive.recording import (
    add_rejected,
    check_nothing_lost,
    check_part,
    describe_difference,
    describe_granule,
    list_files,
)

DAY = date(2021, 3, 14)
ONE = FileRecord(name="one.nc", size=1, sha256="aa", profiles=3)
TWO = FileRecord(name="two.nc", size=2, sha256="bb", profiles=2)


def make_record(*files: FileRecord, **changes: Any) -> DayRecord:
    values: dict[str, Any] = {
        "source": "station",
        "day": DAY,
        "store": "20210314-x.zarr",
        "files": files,
        "configuration": {"reader": "basta"},
        "profiles": 5,
        "first_time": "",
        "last_time": "",
        "written": "",
        "content_hash": "ff",
    }
    return DayRecord(**values | changes)


def test_part_gets_the_archives_types_and_loses_its_origins(curtain: xr.Dataset) -> None:
    wide = curtain.assign(reflectivity=curtain["reflectivity"].astype(np.float32)).assign_coords(
        source_file=("time", np.zeros(curtain.sizes["time"], dtype=np.int16))
    )
    found = check_part(wide, DAY, "here")
    assert "source_file" not in found.coords
    assert found["reflectivity"].dtype == np.float32


def test_profiles_less_than_a_microsecond_apart_are_rejected(curtain: xr.Dataset) -> None:
    times = curtain["time"].values.copy()
    times[1] = times[0] + np.timedelta64(100, "ns")
    with pytest.raises(CurtainError, match="here: 1 profiles are less than a microsecond"):
        check_part(curtain.assign_coords(time=times), DAY, "here")


@pytest.mark.parametrize(
    ("granule", "message"),
    [
        (date(2021, 3, 15), "profiles are outside the day"),
        (datetime(2021, 5, 1), "profiles are more than 31 days from the granule's start"),
    ],
)
def test_profiles_elsewhere_in_time_are_rejected(
    curtain: xr.Dataset, granule: date, message: str
) -> None:
    with pytest.raises(ArchiveError, match=f"here: {curtain.sizes['time']} {message}"):
        check_part(curtain, granule, "here")
    check_part(curtain, datetime(2021, 3, 14, 12), "here")


def test_lost_files_are_named_with_their_profiles_and_reasons() -> None:
    record = make_record(ONE, TWO)
    check_nothing_lost(record, {"one.nc", "two.nc"}, "it was damaged", {})
    with pytest.raises(
        ArchiveError,
        match=r"^station 2021-03-14: it was damaged; .*: one\.nc \(3 profiles\), two\.nc \(2"
        r" profiles; rejected: cut short\)",
    ):
        check_nothing_lost(record, set(), "it was damaged", {TWO: "cut short"})


def test_configurations_are_compared_key_by_key() -> None:
    record = make_record(ONE, configuration={"reader": "basta", "position": None})
    assert describe_difference(record, {"reader": "basta", "position": None}) == ""
    assert (
        describe_difference(record, {"reader": "mira", "position": None, "quality": {}})
        == 'quality: {} instead of null; reader: "mira" instead of "basta"'
    )


def test_rejected_files_come_last_and_replace_their_earlier_entry() -> None:
    before = replace(TWO, profiles=0, verdict=Verdict.REJECTED, reason="cut short")
    found = add_rejected((ONE, before), {replace(TWO, sha256="cc"): "no netCDF"})
    assert found == (
        ONE,
        replace(TWO, sha256="cc", profiles=0, verdict=Verdict.REJECTED, reason="no netCDF"),
    )


def test_files_are_contributing_then_superseded_then_rejected(curtain: xr.Dataset) -> None:
    merged = merge_files(None, (), {"one.nc": curtain})
    old = make_record(TWO, replace(ONE, name="bad.nc", verdict=Verdict.REJECTED, reason="bad"))
    found = list_files(old, {"one.nc": ONE}, {}, merged)
    assert [file.name for file in found] == ["one.nc", "two.nc", "bad.nc"]
    assert [file.profiles for file in found[:2]] == [curtain.sizes["time"], 0]
    assert found[1].verdict is Verdict.SUPERSEDED
    assert found[1].reason == "covered by one.nc"


def test_record_counts_profiles_and_keeps_the_granule_to_the_second(curtain: xr.Dataset) -> None:
    start = datetime(2021, 3, 14, 1, 2, 3, 456)
    record = describe_granule("station", start, "x.zarr", curtain, (ONE,), {"reader": "basta"})
    assert record.day == datetime(2021, 3, 14, 1, 2, 3)
    assert record.profiles == curtain.sizes["time"]
    assert record.grid.startswith(f"{curtain.sizes['height']} rows from ")
    assert record.rays == 0
    assert np.datetime64(record.first_time.rstrip("Z")) == curtain["time"].values[0].astype(
        "datetime64[ms]"
    )
