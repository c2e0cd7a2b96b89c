"""Layout of a granule's store: types, times, hashes, gaps and lost chunks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
import zarr.core.buffer
from zarr.storage import MemoryStore

from blindzone.core.errors import ArchiveError, DamagedError
from blindzone.pipeline.archive.zarr_layout import (
    check_same_grid,
    count_microseconds,
    describe_grid,
    encode_curtain,
    hash_content,
    hash_grid,
    measure_gaps,
    open_curtain,
    set_types,
)


def make_store(contents: dict[str, bytes]) -> MemoryStore:
    buffer = zarr.core.buffer.default_buffer_prototype().buffer
    return MemoryStore({name: buffer.from_bytes(content) for name, content in contents.items()})


def make_times(*seconds: float) -> xr.Dataset:
    start = np.datetime64("2021-03-14", "ns")
    offsets = (np.array(seconds) * 1e9).astype("timedelta64[ns]")
    return xr.Dataset(coords={"time": ("time", start + offsets)})


def test_encoded_curtain_is_opened_as_it_was(curtain: xr.Dataset) -> None:
    typed = set_types(curtain)
    found = open_curtain(make_store(encode_curtain(typed))).load()
    assert hash_content(found) == hash_content(typed)
    for name in typed.variables:
        assert found[name].dtype == typed[name].dtype
        assert found[name].values.tobytes() == typed[name].values.tobytes()


def test_a_lost_chunk_is_damage_and_no_fill_value(curtain: xr.Dataset) -> None:
    contents = encode_curtain(set_types(curtain))
    lost = next(name for name in contents if name.startswith("reflectivity/c/"))
    del contents[lost]
    opened = open_curtain(make_store(contents))
    with pytest.raises(DamagedError, match="is gone; the store is damaged"):
        opened["reflectivity"].load()


def test_times_are_rounded_to_the_microsecond(curtain: xr.Dataset) -> None:
    times = curtain["time"].values.copy()
    shifted = curtain.assign_coords(time=times + np.timedelta64(600, "ns"))
    expected = times.astype("datetime64[us]") + np.timedelta64(1, "us")
    assert np.array_equal(set_types(shifted)["time"].values, expected.astype("datetime64[ns]"))


def test_fields_and_codes_get_their_types(curtain: xr.Dataset) -> None:
    wide = curtain.assign(
        reflectivity=curtain["reflectivity"].astype(np.float64),
        detection_status=curtain["detection_status"].astype(np.int64),
    )
    found = set_types(wide)
    assert found["reflectivity"].dtype == np.float32
    assert found["detection_status"].dtype == np.int8
    assert wide["reflectivity"].dtype == np.float64


def test_microseconds_are_counted_from_1970() -> None:
    curtain = xr.Dataset(coords={"time": [np.datetime64("1970-01-01T00:00:01.000002499", "ns")]})
    assert count_microseconds(curtain).tolist() == [1_000_002]


def test_content_hash_depends_on_values_names_and_types(curtain: xr.Dataset) -> None:
    typed = set_types(curtain)
    changed = typed["reflectivity"].copy(deep=True)
    changed[3, 3] += 0.5
    hashes = {
        hash_content(typed),
        hash_content(typed.assign(reflectivity=changed)),
        hash_content(typed.rename(reflectivity="other")),
        hash_content(typed.assign(reflectivity=typed["reflectivity"].astype(np.float64))),
    }
    assert len(hashes) == 4
    assert hash_content(typed.copy(deep=True)) == hash_content(typed)


def test_grids_are_the_same_to_a_millimetre() -> None:
    heights = np.arange(4) * 100.0
    check_same_grid(heights, heights + 0.0009, where="here", whose="the others")
    assert hash_grid(heights) == hash_grid(heights + 1e-6)
    for other in (heights + 0.01, heights[:3]):
        with pytest.raises(ArchiveError, match=r"^here: its grid is 4 rows .* the others "):
            check_same_grid(heights, other, where="here", whose="the others")


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ([50.0, 150.0, 250.0], "3 rows from 50.00 to 250.00 m, 100 m apart"),
        ([50.0, 150.0, 350.0], "3 rows from 50.00 to 350.00 m, 100 to 200 m apart"),
        ([50.0], "1 rows from 50.00 to 50.00 m"),
    ],
)
def test_grid_in_words(heights: list[float], words: str) -> None:
    assert describe_grid(np.array(heights)) == words


def test_steps_of_more_than_five_median_steps_are_gaps() -> None:
    # Median step 10 s: 50 s is no gap, 51 s is one.
    assert measure_gaps(make_times(0, 10, 20, 30, 40, 90)) == (0, 0.0)
    assert measure_gaps(make_times(0, 10, 20, 30, 40, 91)) == (1, 51.0)
    assert measure_gaps(make_times(0)) == (0, 0.0)
