"""Profiles that no curtain can hold: left out one by one, the others put in order of time."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from field_cases import field_case

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts, read_doubts
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers._profiles import Fault, keep_sound

FILE = Path("a.nc")
NOON = np.datetime64("2021-03-14T12:00", "ns")
NAT = np.datetime64("NaT", "ns")


def at(*seconds: float | None) -> np.ndarray:
    """Times so many seconds after noon; None is no time."""
    milliseconds = [
        np.timedelta64("NaT") if s is None else np.timedelta64(round(s * 1000), "ms")
        for s in seconds
    ]
    return NOON + np.array(milliseconds, dtype="timedelta64[ns]")


def keep(
    time: np.ndarray, *faults: Fault, values: np.ndarray | None = None
) -> tuple[list[int], dict[str, int], tuple[str, ...]]:
    """Returns the numbers of the profiles that are kept, and what is counted and doubted."""
    numbers = np.arange(time.size, dtype=np.float32)[:, np.newaxis] * np.ones(3, np.float32)
    raw = xr.Dataset({"z": (("time", "range"), numbers if values is None else values)})
    raw = raw.assign(number=("time", np.arange(time.size)))
    kept, times = keep_sound(raw, time, FILE, *faults)
    assert (np.diff(times) > np.timedelta64(0)).all()
    assert kept.sizes["time"] == times.size
    return (
        kept["number"].values.tolist(),
        read_counts(kept.attrs, PROFILES_DROPPED),
        read_doubts(kept.attrs),
    )


def test_file_without_a_fault_stays_as_it_is() -> None:
    raw, time = xr.Dataset({"z": (("time", "range"), np.zeros((3, 2)))}), at(0, 1, 2)
    kept, times = keep_sound(raw, time, FILE)
    assert kept.identical(raw)
    assert kept["z"].values is raw["z"].values
    assert times is time


@pytest.mark.parametrize(
    ("time", "kept", "dropped"),
    [
        (at(0, 1, 1, 2), [0, 1, 3], {"at the time of another": 1}),
        (at(0, 1, 1.0000002, 2), [0, 1, 3], {"at the time of another": 1}),
        (at(0, None, 2), [0, 2], {"without a credible time": 1}),
        # Another date was due after 23:59:50.
        (at(43_180, 43_190, -43_200, -43_190), [0, 1], {"after midnight with the date before": 2}),
    ],
    ids=["repeated", "less than a microsecond", "missing", "midnight"],
)
def test_faulty_times_cost_their_profiles(
    time: np.ndarray, kept: list[int], dropped: dict[str, int]
) -> None:
    assert keep(time) == (kept, dropped, ())


@pytest.mark.parametrize(
    ("time", "kept", "late"),
    [
        (at(0, 1, 4, 5, 2, 3, 6), [0, 1, 4, 5, 2, 3, 6], 2),
        (at(3, 2, 1, 0), [3, 2, 1, 0], 3),
        # A clock that is set back by 1.5 s.
        (at(0, 1, 2, 1.5, 2.5, 3.5), [0, 1, 3, 2, 4, 5], 1),
        # The halves of a day, which do not reach over midnight.
        (at(0, 43_190, -43_200, -10), [2, 3, 0, 1], 2),
    ],
    ids=["blocks", "backwards", "clock", "halves of a day"],
)
def test_profiles_are_put_in_order_and_told(time: np.ndarray, kept: list[int], late: int) -> None:
    told = (f"{late} profiles after later ones, put in order of time",)
    assert keep(time) == (kept, {}, told)


def test_profile_counts_under_its_first_fault() -> None:
    scan = Fault("off zenith", np.array([False, True, True, False, False, False, False]))
    values = np.zeros((7, 3), dtype=np.float32)
    values[[1, 4], 2] = np.inf
    found = keep(at(0, None, 2, 3, 4, 5, 6), scan, values=values)
    assert found[0] == [0, 3, 5, 6]
    assert found[1] == {
        "without a credible time": 1,
        "off zenith": 1,
        "with infinite values": 1,
    }


def test_of_two_profiles_with_one_time_a_sound_one_is_kept() -> None:
    scan = Fault("off zenith", np.array([False, True, False, False]))
    assert keep(at(0, 1, 1, 2), scan)[0] == [0, 2, 3]


def test_infinite_fill_value_is_no_fault() -> None:
    raw = xr.Dataset({"z": (("time", "range"), np.full((2, 3), np.inf), {"_FillValue": np.inf})})
    kept, _ = keep_sound(raw, at(0, 1), FILE)
    assert kept.identical(raw)


def test_file_that_is_mostly_fault_is_refused_with_the_reasons() -> None:
    scan = Fault("off zenith", np.array([True, True, False, False]), "60 degrees; 5 are right")
    assert keep(at(0, 1, 2, 3), scan)[0] == [2, 3]
    with pytest.raises(
        SourceFileError,
        match=r"^a\.nc: 3 of 4 profiles cannot be used \(2 off zenith: 60 degrees; 5 are right,"
        r" 1 at the time of another\); at most 50% may be left out",
    ):
        keep(at(0, 1, 2, 2), scan)
    with pytest.raises(SourceFileError, match="3 of 4 profiles cannot be used"):
        keep(np.array([NAT, NAT, NAT, NOON]))


def read_raw(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns hours, reflectivity NaN without echo, and zenith angles of a field case."""
    with netCDF4.Dataset(path) as file:
        hours = file["time"][:].filled()
        tilt = file["zenith_angle"][:].filled() if "zenith_angle" in file.variables else 0.0
        zenith = np.broadcast_to(tilt, hours.shape)
        return hours, file["Zh"][:].filled(np.nan), zenith


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("08", "20210314_dup.nc"),
        ("08", "20210314_two_blocks_swapped.nc"),
        ("09", "20210314_scan.nc"),
    ],
)
def test_field_case_keeps_every_other_profile_in_order_of_time(case: str, name: str) -> None:
    path = field_case(case) / name
    hours, reflectivity, zenith = read_raw(path)
    up = np.flatnonzero(np.abs(zenith) <= 5)
    _, first = np.unique(hours[up], return_index=True)
    kept = up[first]
    curtain = read_curtain(path)
    found = (curtain["time"].values - np.datetime64("2021-03-14")) / np.timedelta64(1, "h")
    np.testing.assert_allclose(found, hours[kept], atol=1e-6)
    np.testing.assert_array_equal(curtain["reflectivity"].values, reflectivity[kept])
    dropped = {"off zenith": hours.size - up.size, "at the time of another": up.size - kept.size}
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {
        reason: count for reason, count in dropped.items() if count
    }
    late = int((hours[kept := np.sort(kept)] < np.maximum.accumulate(hours[kept])).sum())
    assert bool(read_doubts(curtain.attrs)) == (late > 0)


@pytest.mark.parametrize("name", ["20210314_ship.nc", "20210314_dateline.nc"])
def test_field_case_of_a_ship_keeps_its_positions(name: str) -> None:
    path = field_case("02") / name
    curtain = read_curtain(path)
    with netCDF4.Dataset(path) as file:
        for coordinate in ("latitude", "longitude"):
            assert curtain[coordinate].dims == ("time",)
            np.testing.assert_array_equal(
                curtain[coordinate].values, file[coordinate][:].filled().astype(np.float64)
            )
        assert curtain["altitude"].item() == np.median(file["altitude"][:])
