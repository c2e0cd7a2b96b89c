"""Tables that stand in every profile of a raw file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._tables import drop_time_axis

FILE = Path("a.nc")
TABLE = np.array([30.0, 60.0, 90.0])


def make_raw(rows: Any, **attrs: Any) -> xr.Dataset:
    return xr.Dataset({"height": (("time", "gate"), np.asarray(rows), {"units": "m"} | attrs)})


def test_table_of_every_profile_is_one_table() -> None:
    found = drop_time_axis(make_raw(np.tile(TABLE, (4, 1))), ("height", "absent"), FILE)["height"]
    assert found.dims == ("gate",)
    assert found.attrs == {"units": "m"}
    np.testing.assert_array_equal(found, TABLE)


def test_axis_may_stand_in_every_profile_too() -> None:
    rows = np.tile(np.float32(TABLE), (2, 1))
    raw = xr.Dataset({"range": (("time", "range"), rows), "z": (("time", "range"), rows)})
    assert drop_time_axis(raw, ("range",), FILE)["range"].dims == ("range",)


def test_table_without_the_axis_is_left_alone() -> None:
    raw = xr.Dataset({"height": ("gate", TABLE)})
    assert drop_time_axis(raw, ("height",), FILE) is raw


def test_profiles_that_miss_an_entry_do_not_count() -> None:
    raw = make_raw([[30.0, -999.0, 90.0], TABLE, [np.nan] * 3], missing_value=-999.0)
    np.testing.assert_array_equal(drop_time_axis(raw, ("height",), FILE)["height"], TABLE)


def test_table_that_changes_is_an_error() -> None:
    raw = make_raw([TABLE, TABLE + np.array([0, 0, 0.4])])
    drop_time_axis(raw, ("height",), FILE, tolerance=0.5)
    message = r"'height' changes within the file \(entry 2: 90, in profile 1 90.4\)"
    with pytest.raises(SourceFileError, match=message):
        drop_time_axis(raw, ("height",), FILE)


def test_table_that_is_nowhere_whole_is_an_error() -> None:
    with pytest.raises(SourceFileError, match="no profile of 'height' states every entry"):
        drop_time_axis(make_raw([[30.0, np.nan], [np.nan, 60.0]]), ("height",), FILE)
