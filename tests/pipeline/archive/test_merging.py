"""Merging: a new file takes the place of just what it covers, in any order of ingestion."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from blindzone.core.errors import ArchiveError
from blindzone.pipeline.archive.merging import Merged, find_covered, merge_files
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin

MakeCurtain = Callable[..., xr.Dataset]
START = np.datetime64("2021-03-14T00:00:00", "ns")


def make_part(seconds: list[int], value: float = 0.0) -> xr.Dataset:
    """A curtain of one row with profiles at given seconds; its echo encodes origin and time."""
    times = np.array(sorted(seconds), dtype=np.int64)
    dbz = (value + times / 1000).astype(np.float32)[:, None]
    dims = ("time", "height")
    return xr.Dataset(
        {
            "reflectivity": (dims, dbz),
            "detection_status": (dims, np.full(dbz.shape, 2, dtype=np.int8)),
        },
        {
            "time": START + times * np.timedelta64(1, "s"),
            "height": [39.0625],
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
    )


def list_profiles(merged: Merged) -> dict[int, tuple[str, float]]:
    """Each profile's second, file and value."""
    seconds = ((merged.curtain["time"].values - START) // np.timedelta64(1, "s")).tolist()
    files = [merged.files[number] for number in merged.curtain["source_file"].values]
    return dict(
        zip(
            seconds,
            zip(files, merged.curtain["reflectivity"].values[:, 0].tolist(), strict=True),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("by", "times", "covered"),
    [
        ([10, 20, 30], [9, 10, 15, 30, 31], [False, True, True, True, False]),
        # Steps of 10, 10, 50 and 10 s: 50 s are five median steps, so no gap yet.
        ([0, 10, 20, 70, 80], [45], [True]),
        ([0, 10, 20, 71, 81], [45, 71], [False, True]),
        ([10], [9, 10, 11], [False, True, False]),
        ([], [9], [False]),
        ([10, 20], [], []),
    ],
)
def test_covered_are_times_of_the_file_and_those_between_two_without_a_gap(
    by: list[int], times: list[int], covered: list[bool]
) -> None:
    found = find_covered(np.array(times, dtype=np.int64), np.array(by, dtype=np.int64))
    assert found.tolist() == covered


def merge_by_hand(
    held: dict[int, tuple[str, float]], parts: dict[str, dict[int, float]]
) -> dict[int, tuple[str, float]]:
    """The rule once more, by plain dictionaries."""
    held = {time: profile for time, profile in held.items() if profile[0] not in parts}
    for name in sorted(parts):
        times = sorted(parts[name])
        step = median([later - earlier for earlier, later in pairwise(times)] or [0])
        stretches = [(a, b) for a, b in pairwise(times) if b - a <= 5 * step]
        held = {
            time: profile
            for time, profile in held.items()
            if time not in parts[name] and not any(a < time < b for a, b in stretches)
        } | {time: (name, value) for time, value in parts[name].items()}
    return dict(sorted(held.items()))


seconds = st.sets(st.integers(0, 60), min_size=1, max_size=25) | st.builds(
    lambda start, step, count: set(range(start, start + step * count, step)),
    st.integers(0, 40),
    st.integers(1, 4),
    st.integers(1, 15),
)
upserts = st.lists(
    st.dictionaries(st.sampled_from("abcd"), seconds, min_size=1, max_size=3),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150)
@given(upserts)
def test_any_files_in_any_order_leave_the_profiles_that_the_rule_says(
    upserts: list[dict[str, set[int]]],
) -> None:
    held: xr.Dataset | None = None
    files: tuple[str, ...] = ()
    expected: dict[int, tuple[str, float]] = {}
    for number, names in enumerate(upserts):
        parts = {name: make_part(list(times), 10.0 * number) for name, times in names.items()}
        values = {
            name: dict(
                zip(sorted(names[name]), part["reflectivity"].values[:, 0].tolist(), strict=True)
            )
            for name, part in parts.items()
        }
        before, expected = expected, merge_by_hand(expected, values)
        merged = merge_files(held, files, parts)
        assert list_profiles(merged) == expected
        assert list(list_profiles(merged)) == sorted(expected)
        assert set(merged.files) == {name for name, _ in expected.values()}
        kept = sum(before.get(time) == profile for time, profile in expected.items())
        known = len(before.keys() & expected.keys())
        assert (merged.added, merged.replaced, merged.kept, merged.dropped) == (
            len(expected) - known,
            known - kept,
            kept,
            len(before) - known,
        )
        held, files = merged.curtain, merged.files


@given(st.permutations("abcd"))
def test_files_that_do_not_overlap_come_to_the_same_in_any_order(order: list[str]) -> None:
    parts = {
        name: make_part(list(range(20 * k, 20 * k + 15)), float(k)) for k, name in enumerate("abcd")
    }
    at_once = merge_files(None, (), parts)
    one_by_one = merge_files(None, (), {order[0]: parts[order[0]]})
    for name in order[1:]:
        one_by_one = merge_files(one_by_one.curtain, one_by_one.files, {name: parts[name]})
    assert one_by_one.files == at_once.files
    xr.testing.assert_identical(one_by_one.curtain, at_once.curtain)


def test_kept_profiles_keep_every_bit_of_every_variable(curtain: xr.Dataset) -> None:
    held = merge_files(None, (), {"a": curtain})
    late = curtain.isel(time=slice(200, None)).assign(
        reflectivity=curtain["reflectivity"][200:] + np.float32(1)
    )
    merged = merge_files(held.curtain, held.files, {"b": late})
    assert (merged.kept, merged.replaced, merged.added) == (200, 100, 0)
    for name in ("reflectivity", "doppler_velocity", "detection_status", "time"):
        both = merged.curtain[name].values
        assert both[:200].tobytes() == curtain[name].values[:200].tobytes()
        assert both[200:].tobytes() == late[name].values.tobytes()
        assert both.dtype == curtain[name].dtype


def test_version_with_fewer_profiles_leaves_none_of_its_earlier_self() -> None:
    held = merge_files(None, (), {"a": make_part([0, 1, 2, 3]), "b": make_part([10, 11])})
    merged = merge_files(held.curtain, held.files, {"a": make_part([1])})
    assert list(list_profiles(merged)) == [1, 10, 11]
    assert merged.dropped == 3


def test_version_without_profiles_removes_its_earlier_self_alone() -> None:
    held = merge_files(None, (), {"a": make_part([0, 1]), "b": make_part([10, 11])})
    empty = make_part([5]).isel(time=slice(0))
    merged = merge_files(held.curtain, held.files, {"a": empty})
    assert (list(list_profiles(merged)), merged.files) == ([10, 11], ("b",))
    with pytest.raises(ArchiveError, match="no profile would be left; the archive stays as it was"):
        merge_files(merged.curtain, merged.files, {"b": empty})


def test_replacing_all_keeps_nothing_whatever_its_name() -> None:
    held = merge_files(None, (), {"a": make_part([0, 1])})
    merged = merge_files(held.curtain, held.files, {"b": make_part([5])}, replace_all=True)
    assert (list(list_profiles(merged)), merged.dropped) == ([5], 2)


def test_swath_is_merged_ray_by_ray(make_curtain: MakeCurtain) -> None:
    rays = [make_curtain(seed=seed, profiles=20) for seed in range(3)]
    swath = xr.concat(rays, dim="ray", coords="minimal", compat="override")
    held = merge_files(None, (), {"a": swath.isel(time=slice(0, 12))})
    merged = merge_files(held.curtain, held.files, {"b": swath.isel(time=slice(12, None))})
    found = merged.curtain["reflectivity"]
    assert found.dims == ("ray", "time", "height")
    assert found.values.tobytes() == swath["reflectivity"].values.tobytes()


def test_other_variables_are_rejected_with_both_sets() -> None:
    more = make_part([5]).assign(
        doppler_velocity=(("time", "height"), np.zeros((1, 1), dtype=np.float32))
    )
    held = merge_files(None, (), {"a": make_part([0, 1])})
    with pytest.raises(ArchiveError) as caught:
        merge_files(held.curtain, held.files, {"b": more}, where="station 2021-03-14")
    message = str(caught.value)
    assert message.startswith(
        "station 2021-03-14: one file holds altitude (), detection_status (time, height), height"
    )
    assert (
        "another altitude (), detection_status (time, height), doppler_velocity (time, height)"
        in message
    )
    # They do not hinder each other where nothing of the one is left.
    assert merge_files(held.curtain, held.files, {"a": more}).files == ("a",)


def test_other_grid_is_rejected_with_both() -> None:
    held = merge_files(None, (), {"a": make_part([0, 1])})
    with pytest.raises(
        ArchiveError,
        match=r"grid is 1 rows from 40\.00 .*hash [0-9a-f]{12}.*1 rows from 39\.06.*hash",
    ):
        merge_files(held.curtain, held.files, {"b": make_part([5]).assign_coords(height=[40.0])})


@pytest.mark.parametrize(
    ("name", "value"), [("latitude", 48.8), ("altitude", 300.0), ("longitude", np.nan)]
)
def test_other_place_is_rejected_with_both(name: str, value: float) -> None:
    held = merge_files(None, (), {"a": make_part([0, 1])})
    with pytest.raises(
        ArchiveError,
        match=rf"one file is at {name} .*, another at {name} {value:g}; one fixed site",
    ):
        merge_files(held.curtain, held.files, {"b": make_part([5]).assign_coords({name: value})})


def test_hours_of_a_ship_make_one_day_with_a_position_for_each_profile() -> None:
    harbour = make_part([0, 1])
    at_sea = make_part([60, 61]).assign_coords(latitude=("time", [48.71, 48.72]))
    merged = merge_files(None, (), {"b": at_sea, "a": harbour})
    assert merged.curtain["latitude"].values.tolist() == [48.7, 48.7, 48.71, 48.72]
    assert merged.curtain["longitude"].values.tolist() == [2.2] * 4
    assert merged.curtain["altitude"].item() == 156
    later = make_part([120]).assign_coords(latitude=48.73)
    added = merge_files(merged.curtain, merged.files, {"c": later})
    assert added.curtain["latitude"].values.tolist() == [48.7, 48.7, 48.71, 48.72, 48.73]
    elsewhere = make_part([121, 122]).assign_coords(latitude=("time", [10.0, 11.0]))
    with pytest.raises(ArchiveError, match=r"one file is at position 48\.7200, 2\.2000 at .*track"):
        merge_files(merged.curtain, merged.files, {"c": elsewhere})


def test_place_that_moves_by_metres_is_that_of_the_first_file() -> None:
    held = merge_files(None, (), {"a": make_part([0, 1])})
    merged = merge_files(
        held.curtain, held.files, {"b": make_part([5]).assign_coords(altitude=160.0)}
    )
    assert merged.curtain["altitude"].item() == 156.0


def test_attributes_that_only_one_file_has_are_not_said_of_all() -> None:
    one = make_part([0]).assign_attrs(title="radar", file_uuid="1")
    other = make_part([5]).assign_attrs(title="radar", file_uuid="2")
    assert merge_files(None, (), {"a": one, "b": other}).curtain.attrs == {"title": "radar"}
    assert merge_files(None, (), {"a": one}).curtain.attrs == {"title": "radar", "file_uuid": "1"}


def test_file_without_flags_joins_one_with_flags() -> None:
    flagged = make_part([0])
    flags = np.full((1, flagged.sizes["height"]), 128, dtype=np.uint8)
    flagged = flagged.assign(quality_flags=(("time", "height"), flags))
    plain = make_part([10]).drop_vars("quality_flags", errors="ignore")

    merged = merge_files(None, [], {"a.nc": flagged, "b.nc": plain}).curtain

    assert merged["quality_flags"].dtype == np.uint8
    assert (merged["quality_flags"].values == [[128], [0]]).all()


def test_file_without_a_variable_of_profiles_joins_one_with_it() -> None:
    known = make_part([0]).assign(
        surface_echo=("time", np.array([11], np.float32)),
        blind_zone_origin=("time", np.array([BlindZoneOrigin.FILE], np.int8)),
    )

    merged = merge_files(None, [], {"a.nc": known, "b.nc": make_part([10])}).curtain

    assert np.array_equal(merged["surface_echo"].values, [11, np.nan], equal_nan=True)
    assert merged["surface_echo"].dtype == np.float32
    assert merged["blind_zone_origin"].values.tolist() == [BlindZoneOrigin.FILE, 0]
