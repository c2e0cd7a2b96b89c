"""The canonical form: what is taken, and what each rejection says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain

DIMS = ("time", "height")


def set_pixel(curtain: xr.Dataset, name: str, value: float) -> xr.Dataset:
    """Returns the curtain with one other value at profile 1, row 2, which is an echo."""
    values = curtain[name].values.copy()
    values[1, 2] = value
    return curtain.assign({name: (DIMS, values)})


def reorder(curtain: xr.Dataset, name: str, order: list[int]) -> xr.Dataset:
    """Returns the curtain with the first coordinate values in another order, fields unchanged."""
    values = curtain[name].values.copy()
    values[: len(order)] = values[order]
    return curtain.assign_coords({name: values})


@dataclass(frozen=True)
class Rejection:
    """A way to break the form, and what the message must say."""

    name: str
    break_it: Callable[[xr.Dataset], xr.Dataset]
    says: str


REJECTIONS = (
    Rejection(
        "no latitude",
        lambda c: c.drop_vars("latitude"),
        "needs the coordinate 'latitude'; it has ['altitude'",
    ),
    Rejection(
        "no status",
        lambda c: c.drop_vars("detection_status"),
        "needs the variable 'detection_status'; it has [",
    ),
    Rejection(
        "swapped",
        lambda c: c.transpose("height", "time"),
        "'reflectivity' has dimensions ('height', 'time')",
    ),
    Rejection(
        "velocity without height",
        lambda c: c.assign(doppler_velocity=c["doppler_velocity"].isel(height=0, drop=True)),
        "'doppler_velocity' has dimensions ('time',); ('time', 'height') is right",
    ),
    Rejection("no profile", lambda c: c.isel(time=slice(0)), "'time' is empty"),
    Rejection("no gate", lambda c: c.isel(height=slice(0)), "'height' is empty"),
    Rejection(
        "time backwards", lambda c: reorder(c, "time", [0, 2, 1]), "time runs backwards at index 2"
    ),
    Rejection("time repeated", lambda c: reorder(c, "time", [0, 0]), "time repeats at index 1"),
    Rejection(
        "height downwards",
        lambda c: c.assign_coords(height=c["height"].values[::-1]),
        "height runs backwards",
    ),
    Rejection(
        "height missing",
        lambda c: c.assign_coords(height=c["height"].values * np.nan),
        "'height' has missing",
    ),
    Rejection(
        "time missing",
        lambda c: c.assign_coords(time=np.full(c.sizes["time"], np.datetime64("NaT", "ns"))),
        "'time' has missing values",
    ),
    Rejection(
        "linear zero",
        lambda c: set_pixel(c, "reflectivity", -np.inf),
        "'reflectivity' holds infinite values",
    ),
    Rejection(
        "unknown code",
        lambda c: set_pixel(c, "detection_status", 9),
        "holds [9]; known codes are [0, 1, 2, 3, 4]",
    ),
    Rejection(
        "missing code",
        lambda c: set_pixel(
            c.assign(detection_status=c["detection_status"].astype(float)),
            "detection_status",
            np.nan,
        ),
        "'detection_status' holds [nan]",
    ),
    Rejection(
        "echo without value",
        lambda c: set_pixel(c, "reflectivity", np.nan),
        "1 pixels are marked as echo",
    ),
    Rejection(
        "value without echo",
        lambda c: set_pixel(c, "detection_status", DetectionStatus.NO_ECHO),
        "1 pixels have a reflectivity and are not marked as echo or untrusted",
    ),
)


def test_canonical_curtain_is_taken_with_and_without_velocity(curtain: xr.Dataset) -> None:
    check_curtain(curtain)
    check_curtain(curtain.drop_vars("doppler_velocity"))


def test_one_profile_and_one_gate_are_enough(curtain: xr.Dataset) -> None:
    check_curtain(curtain.isel(time=[0], height=[0]))


def test_untrusted_pixel_may_hold_a_value_or_none(curtain: xr.Dataset) -> None:
    untrusted = set_pixel(curtain, "detection_status", DetectionStatus.UNTRUSTED)
    check_curtain(untrusted)
    check_curtain(set_pixel(untrusted, "reflectivity", np.nan))


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.name)
def test_broken_form_is_rejected_with_what_was_found(
    rejection: Rejection, curtain: xr.Dataset
) -> None:
    with pytest.raises(CurtainError, match=re.escape(rejection.says)) as caught:
        check_curtain(rejection.break_it(curtain), where="station 2021-03-14")
    assert str(caught.value).startswith("station 2021-03-14: ")


def test_backward_times_are_quoted_and_counted(curtain: xr.Dataset) -> None:
    # Profiles 1 and 2 swapped (one step back), 4 and 5 swapped (another): 2 of 299 steps.
    swapped = reorder(curtain, "time", [0, 2, 1, 3, 5, 4])
    first, second = curtain["time"].values[[2, 1]]
    with pytest.raises(
        CurtainError, match=re.escape(f"({first} is followed by {second}), at 2 of 299 steps")
    ):
        check_curtain(swapped)


def test_status_codes_never_change() -> None:
    # They are stored in archives and published files.
    assert {code.name: code.value for code in DetectionStatus} == {
        "NO_DATA": 0,
        "NO_ECHO": 1,
        "ECHO": 2,
        "CLUTTER_REMOVED": 3,
        "UNTRUSTED": 4,
    }
