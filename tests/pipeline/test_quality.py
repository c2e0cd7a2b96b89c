"""Quality rules: what each takes out, what reason it leaves, and when a whole day is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.quality import (
    ClutterRule,
    QualityRules,
    apply_floor,
    apply_quality,
    check_measured,
    mark_untrusted,
    remove_clutter,
)

NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
RULE = ClutterRule(below_m=400, weaker_than_dbz=-45)


def make_native(dbz: list[list[float]], heights: list[float]) -> xr.Dataset:
    """Native profiles 10 s apart; NaN is no echo."""
    values = np.array(dbz, dtype=np.float32)
    echo = np.isfinite(values)
    dims = ("time", "height")
    return xr.Dataset(
        {
            "reflectivity": (dims, values),
            "detection_status": (dims, np.where(echo, ECHO, NO_ECHO).astype(np.int8)),
            "doppler_velocity": (dims, np.where(echo, -1, np.nan).astype(np.float32)),
        },
        {
            "time": np.datetime64("2021-03-14", "ns") + np.arange(len(values)) * np.timedelta64(10, "s"),
            "height": heights,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
    )


def test_clutter_rule_takes_only_what_is_both_low_and_weak() -> None:
    # Gates at 300 (low), 400 (no longer below 400 m) and 500 m.
    native = make_native([[-50, -50, -50], [-45, -45, -45], [-10, -10, -10]], [300, 400, 500])
    cleaned = remove_clutter(native, RULE)
    check_curtain(cleaned)
    # Only -50 dBZ at 300 m is below 400 m and weaker than -45 dBZ; -45 dBZ itself is not weaker.
    assert cleaned["detection_status"].values.tolist() == [[CLUTTER_REMOVED, ECHO, ECHO], [ECHO] * 3, [ECHO] * 3]
    assert np.isnan(cleaned["reflectivity"].values).sum() == 1
    assert np.isnan(cleaned["doppler_velocity"].values).sum() == 1
    assert np.isnan(cleaned["reflectivity"].values[0, 0])
    assert np.isnan(cleaned["doppler_velocity"].values[0, 0])


def test_clutter_rule_leaves_every_other_status_alone() -> None:
    native = make_native([[-50, np.nan, np.nan]], [100, 200, 300])
    codes = np.array([[UNTRUSTED, NO_DATA, NO_ECHO]], dtype=np.int8)
    native = native.assign(detection_status=(("time", "height"), codes))
    xr.testing.assert_identical(remove_clutter(native, RULE), native)


def test_untrusted_gates_keep_what_was_measured() -> None:
    native = make_native([[-5, np.nan, -7]], [200, 233.9, 234])
    marked = mark_untrusted(native, 234)
    check_curtain(marked)
    assert marked["detection_status"].values.tolist() == [[UNTRUSTED, UNTRUSTED, ECHO]]
    assert marked["reflectivity"].identical(native["reflectivity"])
    assert marked["doppler_velocity"].identical(native["doppler_velocity"])


def test_gate_without_data_stays_without_data_below_the_lowest_trusted_one() -> None:
    native = make_native([[np.nan, np.nan]], [100, 300])
    native = native.assign(detection_status=native["detection_status"].where(native["height"] > 200, np.int8(NO_DATA)))
    assert mark_untrusted(native, 234)["detection_status"].values.tolist() == [[NO_DATA, NO_ECHO]]


def test_rules_are_applied_in_order_and_leave_the_argument_alone() -> None:
    native = make_native([[-50, -50, -35, -10]], [100, 300, 350, 1000])
    before = native.copy(deep=True)
    rules = QualityRules(clutter=(RULE, ClutterRule(below_m=360, weaker_than_dbz=-30)), lowest_trusted_m=200)
    cleaned = apply_quality(native, rules)
    check_curtain(cleaned)
    # 100 m: clutter first, then untrusted. 300 m: by the first rule. 350 m: by the second. 1000 m: kept.
    assert cleaned["detection_status"].values.tolist() == [[UNTRUSTED, CLUTTER_REMOVED, CLUTTER_REMOVED, ECHO]]
    assert np.isfinite(cleaned["reflectivity"].values).tolist() == [[False, False, False, True]]
    xr.testing.assert_identical(native, before)


def test_types_and_dimensions_stay_canonical() -> None:
    native = make_native([[-50, -10]], [100, 1000])
    cleaned = apply_quality(native, QualityRules(clutter=(RULE,), lowest_trusted_m=234))
    for name in ("reflectivity", "detection_status", "doppler_velocity"):
        assert cleaned[name].dtype == native[name].dtype
        assert cleaned[name].dims == ("time", "height")


def test_curtain_without_velocity_is_cleaned_too() -> None:
    native = make_native([[-50, -10]], [100, 1000]).drop_vars("doppler_velocity")
    cleaned = apply_quality(native, QualityRules(clutter=(RULE,)))
    assert cleaned["detection_status"].values.tolist() == [[CLUTTER_REMOVED, ECHO]]


def test_no_rules_change_nothing() -> None:
    native = make_native([[-50, -10]], [100, 1000])
    xr.testing.assert_identical(apply_quality(native, QualityRules()), native)


def test_day_without_any_value_is_refused_with_its_size_and_the_way_out() -> None:
    empty = make_native([[np.nan, np.nan]] * 3, [100, 1000])
    with pytest.raises(
        CurtainError, match=r"^station 2021-03-14: no reflectivity in any of 3 profiles x 2 gates"
    ) as caught:
        check_measured(empty, QualityRules(), where="station 2021-03-14")
    assert "quality: {empty_day: clear}" in str(caught.value)


def test_day_without_any_value_is_clear_where_the_catalogue_says_so() -> None:
    empty = make_native([[np.nan, np.nan]] * 3, [100, 1000])
    check_measured(empty, QualityRules(empty_day="clear"), where="station")


def test_day_with_a_single_value_is_measured() -> None:
    check_measured(make_native([[np.nan, -60]], [100, 1000]), QualityRules(), where="station")


def test_floor_takes_what_does_not_exceed_it_and_leaves_the_argument_alone() -> None:
    values = np.array([[-30.001, -30, -29.999], [np.nan, 5, -60]])
    before = values.copy()
    floored = apply_floor(values, -30)
    assert floored.dtype == np.float32
    assert np.isfinite(floored).tolist() == [[False, False, True], [False, True, False]]
    assert floored[1, 1] == 5
    assert np.array_equal(values, before, equal_nan=True)
    assert apply_floor(values.astype(np.float32), -30) is not values
