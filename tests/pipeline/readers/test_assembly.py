"""The native curtain: status of each pixel, velocity, coordinates, and what cannot be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.readers._assembly import assemble_curtain, build_curtain

NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
NAN = np.nan
PLACE: dict[str, Any] = {
    "time": np.datetime64("2021-03-14", "ns") + np.arange(2) * np.timedelta64(9, "s"),
    "height": np.float32([50, 100]),
    "site": (48.7, 2.2, NAN),
    "attrs": {"instrument": "a radar"},
    "path": Path("a.nc"),
}


def build(**fields: Any) -> xr.Dataset:
    """Two profiles of two gates: echo and no echo, no data and an echo."""
    given = {
        "reflectivity": np.array([[-20, NAN], [NAN, 5.0]]),
        "no_data": np.array([[False, False], [True, False]]),
    }
    return build_curtain(given | fields, **PLACE)


def test_status_follows_from_echo_and_missing_data() -> None:
    curtain = build()
    assert curtain["detection_status"].values.tolist() == [[ECHO, NO_ECHO], [NO_DATA, ECHO]]
    assert curtain["reflectivity"].dtype == np.float32
    assert curtain["height"].dtype == np.float64
    assert curtain.attrs == {"instrument": "a radar"}
    assert [curtain[name].item() for name in ("latitude", "longitude")] == [48.7, 2.2]


def test_echo_is_data_whatever_else_is_said() -> None:
    no_data = np.ones((2, 2), dtype=bool)
    status = build(no_data=no_data)["detection_status"].values
    assert status.tolist() == [[ECHO, NO_DATA], [NO_DATA, ECHO]]


def test_velocity_without_echo_is_dropped() -> None:
    velocity = np.array([[-1, -1], [-1, -1.0]])
    found = build(doppler_velocity=velocity)["doppler_velocity"].values
    np.testing.assert_array_equal(found, np.float32([[-1, NAN], [NAN, -1]]))
    assert (velocity == -1).all()


def test_velocity_of_another_unit_is_rejected() -> None:
    with pytest.raises(SourceFileError, match=r"a\.nc: 1 Doppler velocities exceed 150 m s-1"):
        build(doppler_velocity=np.array([[-300, NAN], [NAN, -1.0]]))


def test_moving_platform_has_its_track() -> None:
    status = np.full((2, 2), NO_ECHO, dtype=np.int8)
    curtain = assemble_curtain(
        {"reflectivity": np.full((2, 2), NAN, dtype=np.float32), "detection_status": status},
        **PLACE | {"site": (np.array([70.0, 71]), np.array([9.0, 9]), np.zeros(2))},
        track={"along_track_distance": np.array([0.0, 1000])},
    )
    assert curtain["latitude"].dims == ("time",)
    assert curtain["along_track_distance"].values.tolist() == [0, 1000]


def test_gates_that_do_not_rise_are_rejected_with_the_file() -> None:
    fields = {"reflectivity": np.full((2, 2), NAN), "no_data": np.zeros((2, 2), dtype=bool)}
    with pytest.raises(CurtainError, match=r"^a\.nc: height runs backwards at index 1"):
        build_curtain(fields, **PLACE | {"height": np.array([100.0, 50])})
