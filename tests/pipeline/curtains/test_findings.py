"""Findings of a reader: counted, carried by attributes, told in lines."""

from __future__ import annotations

from datetime import date

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.findings import (
    PROFILES_DROPPED,
    describe_findings,
    drop_findings,
    pick_findings,
    read_counts,
    read_doubts,
    read_dropped,
    with_count,
    with_doubt,
    with_dropped,
)


def test_counts_of_one_reason_add_up() -> None:
    attrs = with_count(with_count({"site": "here"}, "too fast", 3), "too fast", np.int64(2))

    assert read_counts(attrs) == {"too fast": 5}
    assert attrs["site"] == "here"


def test_nothing_found_leaves_no_attribute() -> None:
    assert with_count({}, "too fast", 0) == {}
    assert read_counts({}) == {}
    assert read_doubts({}) == ()


def test_dropped_profiles_count_on_their_own_day_and_those_without_a_time_on_the_files() -> None:
    before, after = np.datetime64("2021-03-14T23:59", "ns"), np.datetime64("2021-03-15T00:01", "ns")
    unknown = np.datetime64("NaT", "ns")
    attrs = with_dropped({}, "off zenith", np.array([before, after, after]))
    attrs = with_dropped(attrs, "without a credible time", np.array([unknown]))
    attrs = with_dropped(attrs, "at the time of another", np.array([before]))
    days = date(2021, 3, 14), date(2021, 3, 15)
    assert read_counts(attrs, PROFILES_DROPPED) == {
        "off zenith": 3,
        "without a credible time": 1,
        "at the time of another": 1,
    }
    assert read_dropped(attrs, days[0], own=True) == {
        "off zenith": 1,
        "without a credible time": 1,
        "at the time of another": 1,
    }
    assert read_dropped(attrs, days[1], own=False) == {"off zenith": 2}
    assert read_dropped({}, days[0], own=True) == {}
    # Counts without times, such as of damaged messages, are of the file's own day.
    assert read_dropped(with_count({}, "damaged", 2, PROFILES_DROPPED), days[0], own=True) == {
        "damaged": 2
    }


def test_same_doubt_twice_is_one() -> None:
    attrs = with_doubt(with_doubt(with_doubt({}, "one"), "two"), "one")

    assert read_doubts(attrs) == ("one", "two")


def test_curtain_with_findings_can_be_written_and_stripped(tmp_path) -> None:  # type: ignore[no-untyped-def]
    attrs = with_doubt(with_count({"site": "here"}, "too fast", 3), "one")
    curtain = xr.Dataset({"reflectivity": ("time", [1.0], {"units": "dBZ"})}, attrs=attrs)

    curtain.to_netcdf(tmp_path / "a.nc")

    with xr.open_dataset(tmp_path / "a.nc") as written:
        assert pick_findings(written.attrs) == pick_findings(attrs)
    stripped = drop_findings(curtain)
    assert stripped.attrs == {"site": "here"}
    assert stripped["reflectivity"].attrs == {"units": "dBZ"}
    assert curtain.attrs == attrs


def test_lines_state_number_and_reason() -> None:
    assert describe_findings({"too fast": 5}, ("one",)) == [
        "5 values masked: too fast",
        "doubtful: one",
    ]
